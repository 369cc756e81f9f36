"""What of a head travels on in each direction, which answers are whose, and that nothing tells who stands between."""

import json
import re
from itertools import product
from pathlib import Path

import pytest

from busbar_fast import __version__
from tests.system.doors import BY_NAME, DOORS, LANE_KEY, TELLING, Door, House, Seen, chunked, read, six_doors
from tests.system.serving import chunked_head, post, until

CLOSE = b"Connection: close"
EVERY_DOOR = pytest.mark.parametrize("door", DOORS, ids=[door.name for door in DOORS])
OPENAI, ANTHROPIC, GEMINI = (BY_NAME[name] for name in ("openai", "anthropic", "gemini"))


def answer(status: int, *lines: bytes, body: bytes = b'{"a":1}', reason: bytes = b"X") -> bytes:
    """Return what an upstream says."""
    more = b"".join(line + b"\r\n" for line in (b"Content-Type: application/json", *lines))
    return b"HTTP/1.1 %d %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, reason, more, len(body), body)


def id_of(door: Door, value: bytes) -> bytes:
    """Return the header line by which an upstream of this dialect says the id of its answer."""
    return b"%b: %b" % (door.id_field.title().encode(), value)


# What reaches the client

JUNK = [
    b"Set-Cookie: a=b; Path=/",
    b"Set-Cookie: c=d",
    b"Server: nginx",
    b"Via: 1.1 somebody",
    b"X-Powered-By: x",
    b"Access-Control-Allow-Origin: *",
    b"Access-Control-Expose-Headers: *",
    b"openai-organization: org",
    b"openai-processing-ms: 5",
    b"x-ratelimit-remaining-requests: 9",
    b"cf-ray: x",
    b"Date: Thu, 01 Jan 1970 00:00:00 GMT",
    b"Content-Language: en",
    b"Cache-Control: max-age=60",
    b"ETag: x",
    b"Location: http://127.0.0.1/",
    b"WWW-Authenticate: Bearer",
    b"Alt-Svc: h3=:443",
    b"Strict-Transport-Security: max-age=1",
    b"Content-Encoding: identity",
    b"Keep-Alive: timeout=5",
    b"Proxy-Authenticate: Basic",
    b"Proxy-Connection: keep-alive",
    b"TE: trailers",
    b"Upgrade: h2c",
    b"Connection: keep-alive, Foo, X-Bar",
    b"Foo: 1",
    b"X-Bar: 2",
    b"x-busbar-route-policy: cheapest",
    b"Server-Timing: a;dur=1",
    b"x-request-id-other: 1",
]


def crowd_of(door: Door) -> list[bytes]:
    """Return a crowd of header lines: what nobody relays, every vendor's id, and when to come back."""
    others = {field for other in DOORS if other.id_field != door.id_field and (field := other.id_field)}
    own = [id_of(door, b"id-of-theirs")] if door.id_field else []
    return [*JUNK, b"Retry-After: 7", *own, *(field.encode() + b": foreign" for field in others)]


def check_listed(door: Door, seen: Seen, *more: str) -> None:
    """Of that crowd the client has the type, the vendor's id and what else is named, and the date is ours."""
    assert seen.body == b'{"a":1}'
    assert seen.names == sorted({"content-type", door.id_field, *more} - {""})
    assert not door.id_field or seen.value(door.id_field) == "id-of-theirs"
    assert seen.value("date") != "Thu, 01 Jan 1970 00:00:00 GMT"
    assert seen.value("connection") == "close"


@EVERY_DOOR
@pytest.mark.parametrize("status", [200, 400])
async def test_only_listed_headers_reach_the_client(tmp_path: Path, door: Door, status: int) -> None:
    """Reliability case 82: of a crowd of headers the client gets the type and the vendor's id."""
    async with six_doors(tmp_path) as house:
        house.keeper.pieces = (answer(status, *crowd_of(door)),)
        seen = await house.ask(door)
        assert seen.status == status
        check_listed(door, seen, *["retry-after"] * (door is ANTHROPIC))


@EVERY_DOOR
async def test_refusal_of_a_last_resort_says_when_to_come_back(tmp_path: Path, door: Door) -> None:
    """Reliability §7 and §8, `least_bad`: what the last resort refuses is relayed, with its time to come back."""
    async with six_doors(tmp_path, on_exhausted="least_bad") as house:
        house.keeper.pieces = (answer(429, *crowd_of(door)),)
        seen = await house.hear(door)
        assert (seen.status, seen.value("retry-after")) == (429, "7")
        check_listed(door, seen, "retry-after")
        assert len(house.keeper.heads) == 2


@EVERY_DOOR
@pytest.mark.parametrize("status", [429, 503, 529, 400, 500, 504])
async def test_when_to_come_back_is_told_where_it_is_heeded(tmp_path: Path, door: Door, status: int) -> None:
    """Reliability §8, Anthropic §9: `Retry-After` travels with limits, to Anthropic's clients with anything."""
    async with six_doors(tmp_path, on_exhausted="least_bad") as house:
        house.keeper.pieces = (answer(status, b"Retry-After: 7"),)
        told = [value for name, value in (await house.hear(door)).fields if name == "retry-after"]
        assert told == ["7"] * (door is ANTHROPIC or status in {429, 503, 529})


@EVERY_DOOR
@pytest.mark.parametrize("in_stream", [False, True])
async def test_id_is_minted_in_the_vendors_way(tmp_path: Path, door: Door, in_stream: bool) -> None:
    """Operations case 61, reliability case 82: an answer without an id gets one of ours, once, and never the same."""
    forms = {
        "x-request-id": r"req_[0-9a-f]{32}",
        "request-id": r"req_01[1-9A-HJ-NP-Za-km-z]{22}",
        "x-amzn-requestid": r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
    }
    async with six_doors(tmp_path) as house:
        house.keeper.pieces = (answer(200),)
        target = door.stream if in_stream else door.target
        seen = [await house.ask(door, b"x-request-id: mine", target=target) for _ in range(5)]
        if door.id_field:
            ids = {one.value(door.id_field) for one in seen}
            assert len(ids) == 5
            assert all(re.fullmatch(forms[door.id_field], value) for value in ids)
        else:
            assert {tuple(one.names) for one in seen} == {("content-type",)}


@EVERY_DOOR
async def test_id_of_ours_stands_in_every_refusal(tmp_path: Path, door: Door) -> None:
    """Operations §10: errors of ours carry the vendor's id header too, and Anthropic's repeats it in the body."""
    async with six_doors(tmp_path) as house:
        raw = post(b"", CLOSE, target=door.target)
        for refused in (post(b"[", CLOSE, target=door.target), raw.replace(b"POST", b"PUT")):
            seen = read(await house.say(refused))
            assert seen.status in {400, 405}
            assert [name for name in seen.names if name.endswith("id")] == [door.id_field] * bool(door.id_field)
            if door is ANTHROPIC:
                assert json.loads(seen.body)["request_id"] == seen.value("request-id")


@EVERY_DOOR
async def test_id_without_a_value_is_none(tmp_path: Path, door: Door) -> None:
    """Reliability §8: an upstream that leaves its id empty has none, so the client finds one of ours, exactly once."""
    wanted = [door.id_field] * bool(door.id_field)
    async with six_doors(tmp_path) as house:
        for status in (200, 400):
            house.keeper.pieces = (answer(status, id_of(door, b"")) if door.id_field else answer(status),)
            for target in (door.target, door.stream):
                seen = await house.ask(door, target=target)
                assert [name for name, value in seen.fields if name.endswith("id") and value] == wanted


@pytest.mark.parametrize("door", [door for door in DOORS if door.id_field], ids=lambda door: door.name)
async def test_id_is_there_exactly_once(tmp_path: Path, door: Door) -> None:
    """Reliability §8: an id that an upstream says twice is said once, and of two different ones neither is."""
    async with six_doors(tmp_path) as house:
        house.keeper.pieces = (answer(200, id_of(door, b"one"), id_of(door, b"one")),)
        assert (await house.ask(door)).value(door.id_field) == "one"
        house.keeper.pieces = (answer(200, id_of(door, b"one"), id_of(door, b"two")),)
        assert re.fullmatch("[a-z]*_?[A-Za-z0-9-]{24,36}", (await house.ask(door)).value(door.id_field))


async def test_headers_that_connection_names_go_no_further(tmp_path: Path) -> None:
    """Reliability §8: a listed header that the upstream calls its connection's own is dropped, and the id is minted."""
    lines = (b"Connection: keep-alive,Retry-After , x-REQUEST-id", b"Retry-After: 5", b"x-request-id: theirs")
    async with six_doors(tmp_path) as house:
        house.keeper.pieces = (answer(200, *lines),)
        for _ in range(2):
            seen = await house.ask(OPENAI)
            assert seen.names == ["content-type", "x-request-id"]
            assert seen.value("x-request-id").startswith("req_")


@pytest.mark.parametrize("value", [b"a\xffb", "é".encode(), b"a\tb", b"x" * 9000, b'"; drop', b"a, b"])
async def test_odd_value_is_relayed_as_it_is(tmp_path: Path, value: bytes) -> None:
    """Operations §6: values of listed headers are opaque, whatever bytes they hold, as long as they stay one line."""
    async with six_doors(tmp_path) as house:
        house.keeper.pieces = (answer(200, b"x-request-id:  \t%b \t" % value),)
        raw = await house.say(post(OPENAI.minimal, CLOSE, target=OPENAI.target))
        assert raw.count(b"\r\nx-request-id: %b\r\n" % value) == 1
        assert raw.startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    "line",
    [
        b"x-request-id: a\rSet-Cookie: b",
        b"x-request-id: a\nSet-Cookie: b",
        b"x-request-id: a\x00b",
        b"x-request-id : a",
        b"x-request-id: a\r\n Set-Cookie: b",
        b": a",
        b"x request-id: a",
        b"nothing",
    ],
)
async def test_line_that_breaks_out_is_never_relayed(tmp_path: Path, line: bytes) -> None:
    """Operations case 34: a head with CR, LF or NUL in a value, or a line that is none, is not HTTP and no answer."""
    async with six_doors(tmp_path) as house:
        house.keeper.pieces = (answer(200, line),)
        raw = await house.say(post(OPENAI.minimal, CLOSE, target=OPENAI.target))
        assert read(raw).status == 503
        assert b"et-Cookie" not in raw


async def test_coded_answer_is_no_answer(tmp_path: Path) -> None:
    """Reliability §8: what comes in a content coding, although none was accepted, never reaches the client."""
    async with six_doors(tmp_path) as house:
        for coding in (b"gzip", b"BR", b"identity, gzip", b"x"):
            house.keeper.pieces = (answer(200, b"Content-Encoding: " + coding, body=b"\x1f\x8b"),)
            for door in DOORS:
                assert (await house.ask(door)).status == 503
        for coding in (b"identity", b"Identity"):
            house.keeper.pieces = (answer(200, b"Content-Encoding: " + coding),)
            assert (await house.ask(OPENAI)).status == 200


@EVERY_DOOR
async def test_interim_answers_are_skipped(tmp_path: Path, door: Door) -> None:
    """Reliability §8: `103 Early Hints` and its headers stay here, and the answer behind it is the client's."""
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nx-request-id: early\r\n\r\n"
    async with six_doors(tmp_path) as house:
        house.keeper.pieces = (b"HTTP/1.1 100 Continue\r\n\r\n" + early, early + answer(200))
        seen = await house.ask(door)
        assert (seen.status, seen.body) == (200, b'{"a":1}')
        assert seen.names == sorted({"content-type", door.id_field} - {""})


# What reaches the upstream

CROWD = [
    b"Accept: text/html",
    b"Accept-Encoding: gzip, br",
    b"Accept-Language: de",
    b"User-Agent: OpenAI/Python 1.95",
    b"Content-Type: text/plain",
    b"Cookie: a=b",
    b"Forwarded: for=1.2.3.4",
    b"X-Forwarded-For: 1.2.3.4",
    b"X-Forwarded-Proto: https",
    b"X-Real-IP: 1.2.3.4",
    b"Via: 1.1 x",
    b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    b"x-request-id: mine",
    b"x-session-id: s",
    b"x-stainless-os: Linux",
    b"OpenAI-Organization: org",
    b"x-goog-user-project: p",
    b"x-amz-date: 20260101T000000Z",
    b"amz-sdk-invocation-id: x",
    b"Authorization: Bearer callers-own",
    b"x-api-key: callers-own",
    b"Transfer-Encodin: chunked",
    b"X-Mock: status=500",
    b"Priority: u=1",
    b"TE: trailers",
    b"Upgrade: h2c",
    b"HTTP2-Settings: x",
    b"Origin: http://x",
    b"Range: bytes=0-1",
    b"If-None-Match: x",
    b"Idempotency-Key: x",
]
ACCEPTS = {
    "openai": (b"application/json", b"text/event-stream"),
    "responses": (b"application/json", b"text/event-stream"),
    "anthropic": (b"application/json", b"application/json"),
    "cohere": (b"application/json", b"text/event-stream"),
    "gemini": (b"application/json", b"text/event-stream"),
    "bedrock": (b"application/json", b"application/vnd.amazon.eventstream"),
}


@EVERY_DOOR
@pytest.mark.parametrize("in_stream", [False, True])
async def test_head_that_goes_upstream_is_ours(tmp_path: Path, door: Door, in_stream: bool) -> None:
    """Reliability §8, operations §6: the head is built from scratch, to the byte the same for whoever asks."""
    body = door.minimal
    if in_stream and body != b"{}":
        body = body.replace(b"}", b',"stream":true}')
    sent = body.replace(door.model, b"vendor-m")
    more = b"anthropic-version: 2023-06-01\r\n" if door is ANTHROPIC else b""
    async with six_doors(tmp_path) as house:
        target = door.stream if in_stream else door.target
        for lines in ((), CROWD):
            assert (await house.ask(door, *lines, body=body, target=target)).status == 200
        host = b"127.0.0.1:%d" % house.upstream.port
        wanted = [
            b"POST %b HTTP/1.1" % (door.upstream_stream if in_stream else door.upstream),
            b"Host: " + host,
            b"Accept-Encoding: identity",
            b"User-Agent: busbar-fast/" + __version__.encode(),
            b"Content-Type: application/json",
            b"Accept: " + ACCEPTS[door.name][in_stream],
            *more.splitlines(),
            door.key + LANE_KEY.encode(),
            b"Content-Length: %d" % len(sent),
        ]
        assert [head.split(b"\r\n") for head in house.keeper.heads] == [[*wanted, b"", b""]] * 2
        assert house.keeper.bodies == [sent] * 2


async def test_listed_headers_travel_on(tmp_path: Path) -> None:
    """Anthropic's version, betas and account headers and Cohere's client name are the client's to choose, once each."""
    lines = [b"anthropic-version: 2099-01-01", b"anthropic-beta: a-1,b-2", b"x-client-name: me", b"anthropic-x: no"]
    async with six_doors(tmp_path) as house:
        for door in DOORS:
            assert (await house.ask(door, *lines)).status == 200
            (head,) = house.keeper.heads
            house.keeper.heads.clear()
            carried = [line for line in lines if b"\r\n%b\r\n" % line in head]
            assert carried == {"anthropic": lines[:2], "cohere": lines[2:3]}.get(door.name, [])
            assert head.lower().count(b"anthropic-version") == (door is ANTHROPIC)


async def test_query_travels_where_the_vendor_has_one(tmp_path: Path) -> None:
    """What a client writes into its query goes on where the vendor knows queries, but for whatever is a credential."""
    wanted = {"anthropic": b"?beta=true&x=%20", "cohere": b"?beta=true&x=%20", "gemini": b"?beta=true&x=%20"}
    async with six_doors(tmp_path) as house:
        for door in DOORS:
            assert (await house.ask(door, target=door.target + b"?key=mine&beta=true&k%65y=mine&x=%20")).status == 200
            upstream = house.keeper.heads.pop().split(b" ")[1]
            assert upstream == door.upstream + wanted.get(door.name, b"")


# Whose answer it is


@EVERY_DOOR
@pytest.mark.parametrize("status", [400, 404, 405, 406, 409, 411, 413, 415, 418, 422, 431, 451, 300, 302, 307])
async def test_status_of_a_fault_is_the_upstreams(tmp_path: Path, door: Door, status: int) -> None:
    """Reliability §8, operations case 46: faults of a client and redirects reach it to the letter, at once."""
    said = '{"error":{"message":"é"},  "x":1e400}'.encode()
    where = b"Location: http://127.0.0.1:9/"
    async with six_doors(tmp_path) as house:
        house.keeper.pieces = (answer(status, where, body=said),)
        for target in (door.target, door.stream):
            seen = await house.ask(door, target=target)
            assert (seen.status, seen.body) == (status, said)
            assert "location" not in seen.names
        assert len(house.keeper.heads) == 2
        assert len(house.upstream.peers) == 1


@EVERY_DOOR
async def test_other_methods_are_refused(tmp_path: Path, door: Door) -> None:
    """Operations case 29: on a route for POST every other method gets 405 with `Allow: POST`, HEAD without a body."""
    async with six_doors(tmp_path) as house:
        raw = b" %b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" % door.target
        bodies = {}
        for method in (b"GET", b"HEAD", b"OPTIONS", b"PUT", b"PATCH", b"DELETE", b"TRACE", b"PROPFIND"):
            seen = read(await house.say(method + raw), method.decode())
            assert (seen.status, seen.value("allow")) == (405, "POST")
            assert not TELLING.search(seen.body)
            bodies[method] = len(seen.body), int(seen.value("content-length"))
        assert bodies.pop(b"HEAD") == (0, bodies[b"GET"][1])
        assert all(size == declared > 0 for size, declared in bodies.values())
        assert house.keeper.heads == []


async def test_pages_and_lists_have_their_methods(tmp_path: Path) -> None:
    """Operations case 29: HEAD gives the length of GET and no body, and `OPTIONS *` is answered in a native shape."""
    async with six_doors(tmp_path) as house:
        for path in (b"/healthz", b"/livez", b"/stats", b"/v1/models", b"/v1beta/models", b"/v1/models/openai-m"):
            raw = b" %b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" % path
            got = read(await house.say(b"GET" + raw))
            head = read(await house.say(b"HEAD" + raw), "HEAD")
            assert (got.status, head.status, head.body) == (200, 200, b"")
            assert got.value("content-length") == head.value("content-length")
            seen = read(await house.say(b"POST" + raw))
            assert (seen.status, seen.value("allow")) == (405, "GET, HEAD")
        seen = read(await house.say(b"OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), "OPTIONS")
        assert (seen.status, seen.value("allow")) == (405, "GET, HEAD, POST")
        assert json.loads(seen.body)["error"]["type"] == "invalid_request_error"


# Nothing tells


async def check_tells_nothing(house: House, raw: bytes, status: int) -> None:
    """A request is answered with this status, and no word of it says who answers."""
    said = await house.say(raw)
    assert read(said).status == status
    assert not TELLING.search(said), said


@EVERY_DOOR
async def test_no_refusal_tells_who_stands_between(tmp_path: Path, door: Door) -> None:
    """Reliability §8: at every refusal of ours, of any status, neither head nor body has a word of this house."""
    token = b"Authorization: Bearer t"
    more = "limits: {request_body_max_bytes: 65536}\n"
    async with six_doors(tmp_path, "{mode: token, client_tokens: [t]}", more) as house:
        good = post(door.minimal, CLOSE, token, target=door.target)
        unauthorised = {"bedrock": 403, "gemini": 400}.get(door.name, 401)
        await check_tells_nothing(house, good.replace(b"Bearer t", b"Bearer x"), unauthorised)
        await check_tells_nothing(house, post(b"x", CLOSE, token, target=door.target), 400)
        await check_tells_nothing(house, good.replace(b"POST ", b"PUT "), 405)
        await check_tells_nothing(house, post(b"{}", CLOSE, token, target=door.target.replace(b":", b"/") + b"/x"), 404)
        await check_tells_nothing(house, good.replace(b"/", b"//", 1), 404)
        large = post(b"x" * 65537, CLOSE, token, target=door.target)
        await check_tells_nothing(house, large, 413)
        many = chunked_head(CLOSE, token, target=door.target) + b"8000\r\n%b\r\n" % (b"x" * 32768) * 3 + b"0\r\n\r\n"
        await check_tells_nothing(house, many, 413)
        for said, status in (
            (b"nonsense\r\n\r\n", 503),
            (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", 503),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 503),
            (answer(401, reason=b"Gateway", body=b"busbar"), unauthorised),
        ):
            house.keeper.pieces = (said,)
            await check_tells_nothing(house, good, status)
        house.keeper.pieces = ()
        house.keeper.closes = True
        await check_tells_nothing(house, good, 503)


@EVERY_DOOR
async def test_mistake_of_ours_reads_like_one_of_the_vendor(
    tmp_path: Path, door: Door, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Reliability §8: an internal fault is a native 500 that says nothing of itself, and the connection lives on."""

    async def fail(_request: object) -> None:
        raise RuntimeError("pool upstream busbar")

    kinds = {
        "openai": b'"type":"api_error"',
        "responses": b'"type":"',
        "anthropic": b'"type":"api_error"',
        "gemini": b'"status":"INTERNAL"',
        "cohere": b'{"message":"',
        "bedrock": b'"__type":"InternalServerException"',
    }
    async with six_doors(tmp_path) as house:
        asked = post(door.minimal, target=door.target)
        client = house.connect()
        with monkeypatch.context() as patch:
            patch.setattr("busbar_fast.gateway.app.forward", fail)
            client.send(asked)
            seen = await client.read_answer(b"POST")
        assert (seen.status, seen.closes, seen.fields[b"content-type"]) == (500, False, b"application/json")
        assert kinds[door.name] in seen.body
        assert not TELLING.search(seen.body)
        assert sum("a request failed" in record.message for record in caplog.records) == 1
        client.send(asked)
        assert (await client.read_answer(b"POST")).status == 200


@EVERY_DOOR
async def test_exhaustion_says_when_to_come_back(tmp_path: Path, door: Door) -> None:
    """Reliability cases 37 and 64: a 503 of ours is native and says how long the lane rests, then twice that."""
    kinds = {
        "openai": b'"type":"server_error"',
        "responses": b'"type":"server_error"',
        "anthropic": b'"type":"overloaded_error"',
        "gemini": b'"status":"UNAVAILABLE"',
        "cohere": b'{"message":"',
        "bedrock": b'"__type":"ServiceUnavailableException"',
    }
    async with six_doors(tmp_path) as house:
        house.keeper.pieces = (b"nonsense\r\n\r\n",)
        for target, least_s, most_s in ((door.target, 26, 33), (door.stream, 53, 66)):
            seen = await house.ask(door, target=target)
            assert seen.status == 503
            assert least_s <= int(seen.value("retry-after")) <= most_s
            assert kinds[door.name] in seen.body


@EVERY_DOOR
async def test_break_in_the_middle_shows_and_says_nothing(tmp_path: Path, door: Door) -> None:
    """Reliability case 58: a document too large to be held ends short of its length, without a word of ours."""
    part = b'{"a":"' + b"x" * 80_000
    line = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    async with six_doors(tmp_path) as house:
        house.keeper.pieces = (line + b"Content-Length: 90000\r\n\r\n" + part,)
        house.keeper.closes = True
        raw = await house.say(post(door.minimal, target=door.target))
        assert raw.endswith(b"\r\n\r\n" + part)
        assert b"\r\nContent-Length: 90000\r\n" in raw
        house.keeper.pieces = (line + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(part, len(part))[:-5], b"zz\r\n")
        raw = await house.say(post(door.minimal, target=door.target))
        assert raw.endswith(b"xxx\r\n")
        assert not TELLING.search(raw)
        await until(lambda: house.site.counts(f"{door.name}-m") == (2, 2, 0))


@EVERY_DOOR
async def test_document_that_breaks_off_is_no_answer(tmp_path: Path, door: Door) -> None:
    """Reliability §6: of a small body that is no stream, whatever its type, nothing is out before its end."""
    kinds = (b"application/json", b"Application/JSON;charset=UTF-8", b"application/vnd.x+json", b"")
    async with six_doors(tmp_path) as house:
        house.keeper.closes = True
        for kind in kinds:
            line = b"Content-Type: %b\r\n" % kind if kind else b""
            house.keeper.pieces = (b"HTTP/1.1 200 OK\r\n%bContent-Length: 7\r\n\r\n" % line, b'{"a"')
            seen = await house.ask(door)
            assert (seen.status, int(seen.value("retry-after")) >= 26) == (503, True)
            assert b'{"a"' not in seen.body
        await until(lambda: house.site.counts(f"{door.name}-m") == (0, len(kinds), 0))


async def test_array_that_has_not_begun_is_no_answer(tmp_path: Path) -> None:
    """Reliability §6: a stream that breaks off before the first element is out leaves the request to be served anew."""
    array = GEMINI.stream.replace(b"?alt=sse", b"")
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    early = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with six_doors(tmp_path) as house:
        nothing = head + b": nothing\n\n"
        for said in (early + b"7\r\ndata: {\r\n", early + b"4\r\n: x\n\r\n", early, nothing):
            house.keeper.pieces = (said,)
            house.keeper.closes = True
            seen = await house.ask(GEMINI, target=array)
            assert (seen.status, seen.body[:9]) == (503, b'[{"error"')
        house.keeper.pieces = (early + b'f\r\ndata: {"a":1}\n\n\r\n',)
        seen = await house.ask(GEMINI, target=array)
        assert seen.status == 200
        assert seen.body.startswith(b'[{"a":1},\r\n{"error":{"code":50')
        assert json.loads(seen.body)[1]["error"]["status"] == "INTERNAL"
        assert not TELLING.search(seen.body)


@pytest.mark.parametrize("status", [200, 204, 304, 404])
async def test_answer_without_a_body_has_none(tmp_path: Path, status: int) -> None:
    """Operations §3.3: an answer that may not have a body has none, whatever length the upstream gives it."""
    async with six_doors(tmp_path) as house:
        for door, line in product(DOORS, (b"", b"Content-Length: 0\r\n")):
            house.keeper.pieces = (b"HTTP/1.1 %d X\r\n%b\r\n" % (status, line),)
            house.keeper.closes = status in {200, 404} and not line
            seen = await house.ask(door)
            assert (seen.status, seen.body) == (status, b"")


@EVERY_DOOR
async def test_upstream_that_leaves_between_requests_is_no_failure(tmp_path: Path, door: Door) -> None:
    """Reliability case 87: a kept connection that was closed meanwhile is replaced, and nothing is recorded."""
    async with six_doors(tmp_path) as house:
        house.keeper.pieces = (answer(200),)
        house.keeper.closes = True
        for number in range(1, 4):
            assert (await house.ask(door)).status == 200
            assert house.site.counts(f"{door.name}-m") == (number, 0, 0)
        assert len(house.upstream.peers) == 3
