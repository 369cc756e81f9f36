"""Who is let in, over real sockets: the three modes, where a token is looked for, and how a caller is turned away."""

import logging
import re
from itertools import product
from pathlib import Path

import pytest

from tests.system.doors import BY_NAME, DOORS, LANE_KEY, OK, Door, House, config, read, six_doors
from tests.system.serving import chunked_head, post, until

TOKEN_MODE = "{mode: token, client_tokens: [first-token, '${SECOND}', third-token]}"
TOKEN = b"first-token"
RIGHT = b"Authorization: Bearer " + TOKEN
CLOSE = b"Connection: close"
EVERY_DOOR = pytest.mark.parametrize("door", DOORS, ids=[door.name for door in DOORS])
OPENAI = (
    401,
    (
        b'{"error":{"message":"Incorrect API key provided.","type":"authentication_error","param":null,'
        b'"code":"invalid_api_key"}}'
    ),
)
SHAPES = {
    "openai": OPENAI,
    "responses": OPENAI,
    "anthropic": (
        401,
        b'{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"},"request_id":"<id>"}',
    ),
    "gemini": (
        400,
        (
            b'{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.",'
            b'"status":"INVALID_ARGUMENT",'
            b'"details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID",'
            b'"domain":"googleapis.com","metadata":{"service":"generativelanguage.googleapis.com"}}]}}'
        ),
    ),
    "cohere": (401, b'{"message":"invalid api token"}'),
    "bedrock": (
        403,
        b'{"message":"The security token included in the request is invalid.","__type":"AccessDeniedException"}',
    ),
}
PATHS = [
    (b"/v1/chat/completions", "openai"),
    (b"/v1/responses", "responses"),
    (b"/v2/chat", "cohere"),
    (b"/v1/messages", "anthropic"),
    (b"/some/v1/messages", "anthropic"),
    (b"/some/more/v1/messages", "anthropic"),
    (b"/a/b/c/v1/messages", "anthropic"),
    (b"/adminx/v1/messages", "anthropic"),
    (b"/v1/messages/count_tokens", "anthropic"),
    (b"/v1beta/models/x:generateContent", "gemini"),
    (b"/v1beta/models/x:streamGenerateContent?alt=sse", "gemini"),
    (b"/v1/models/x:generateContent", "gemini"),
    (b"/v1/models/x:embedContent", "gemini"),
    (b"/v1beta/models/x", "gemini"),
    (b"/v1beta/models", "gemini"),
    (b"/v1beta/nothing", "gemini"),
    (b"/v1/models/ft:a:b::c", "openai"),
    (b"/v1/models", "openai"),
    (b"/model/x/converse", "bedrock"),
    (b"/model/x%2Fy%3Az/converse-stream", "bedrock"),
    (b"/stats", "openai"),
    (b"/metrics", "openai"),
    (b"/", "openai"),
    (b"/nowhere", "openai"),
    (b"/healthz/", "openai"),
    (b"/livez/x", "openai"),
    (b"/%68ealthz", "openai"),
    (b"//healthz", "openai"),
    (b"/admin", "openai"),
    (b"/admin?x=1", "openai"),
    (b"/admin/keys", "openai"),
    (b"/admin/v1/messages", "openai"),
    (b"/admin/x/converse", "openai"),
    (b"/%61dmin/keys", "openai"),
    (b"/adminx", "openai"),
]
ID = {"anthropic": rb"req_01[1-9A-HJ-NP-Za-km-z]{22}"}
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def check_turned_away(raw: bytes, door: str, method: str = "POST") -> None:
    """An answer is this dialect's way to turn a caller away, to the byte."""
    seen = read(raw, method)
    status, body = SHAPES[door]
    assert seen.status == status, seen
    if method != "HEAD":
        assert re.sub(ID.get(door, rb"(?!)"), b"<id>", seen.body) == body
    assert seen.value("content-type") == "application/json"
    extra = {
        "openai": ["x-request-id"],
        "responses": ["x-request-id"],
        "anthropic": ["request-id"],
        "bedrock": ["x-amzn-errortype", "x-amzn-requestid"],
    }
    assert seen.names == sorted(["content-type", *extra.get(door, [])])
    if door == "anthropic" and method != "HEAD":
        assert seen.value("request-id").encode() in seen.body
    if door == "bedrock":
        assert UUID.fullmatch(seen.value("x-amzn-requestid"))
        assert seen.value("x-amzn-errortype") == "AccessDeniedException"


async def ask(house: House, target: bytes, *lines: bytes, method: bytes = b"POST", body: bytes = b"{}") -> bytes:
    """Return what comes for a request that is the last on its connection."""
    return await house.say(method + post(body, CLOSE, *lines, target=target).removeprefix(b"POST"))


# Who is turned away, and how


@pytest.mark.parametrize(("path", "door"), PATHS)
async def test_shape_follows_the_path(tmp_path: Path, path: bytes, door: str) -> None:
    """Governance case 9: each path class turns callers away in its own words, whatever the reason and the method."""
    reasons = [b"X-Other: 1", b"Authorization: Bearer wrong", b"x-api-key: wrong", b"Authorization: Basic Zmlyc3Q="]
    async with six_doors(tmp_path, TOKEN_MODE, SECOND="second") as house:
        for reason, method in product(reasons, (b"POST", b"GET", b"OPTIONS", b"DELETE")):
            check_turned_away(await ask(house, path, reason, method=method), door)
        check_turned_away(await ask(house, path, method=b"HEAD", body=b""), door, "HEAD")
        assert house.keeper.heads == []


@EVERY_DOOR
async def test_nothing_tells_why(tmp_path: Path, door: Door) -> None:
    """Governance case 10: missing and wrong tokens give the same bytes, ids aside, and as many of them."""
    wrong = [b"Authorization: Bearer " + token for token in (b"x", b"first-toke", b"first-tokenx", b"FIRST-TOKEN", b"")]
    wrong += [b"Authorization: Bearer \xff", b"Authorization: " + TOKEN, b"Authorization: Token " + TOKEN, b"X: 1"]
    wrong += [b"x-api-key: " + b"x" * 9000, b"Authorization: Bearer  first-token", b"x_api_key: " + TOKEN]
    wrong += [b"Cookie: key=" + TOKEN, b"Proxy-Authorization: Bearer " + TOKEN, b"x-admin-token: " + TOKEN]
    async with six_doors(tmp_path, TOKEN_MODE, SECOND="second") as house:
        shown = set()
        for line in wrong:
            raw = await ask(house, door.target, line)
            check_turned_away(raw, door.name)
            ids = rb"req_[0-9A-Za-z]+|[0-9a-f-]{36}|Date: [^\r]*"
            shown.add(re.sub(ids, b"", raw))
        assert len(shown) == 1


async def test_first_usable_carrier_decides(tmp_path: Path) -> None:
    """Governance §1.2 and cases 5 to 7: the order of the carriers, and what makes one of them count as absent."""
    bearer, own, google = b"Authorization: ", b"x-api-key: ", b"x-goog-api-key: "
    right = [
        [bearer + b"Bearer " + TOKEN],
        [bearer + b"bearer " + TOKEN],
        [b"AUTHORIZATION: BEARER " + TOKEN],
        [bearer + b"\t Bearer " + TOKEN + b" \t"],
        [bearer + b"Bearer third-token"],
        [bearer + b"Bearer second ${NOT_A_VARIABLE}"],
        [own + TOKEN],
        [google + TOKEN],
        [bearer + b"Bearer " + TOKEN, own + b"wrong", google + b"wrong"],
        [bearer + b"Bearer", own + TOKEN],
        [bearer + b"Bearer ", own + TOKEN],
        [bearer + b"Basic Zmlyc3Q=", google + TOKEN],
        [bearer + b"AWS4-HMAC-SHA256 Credential=x", own + TOKEN],
        [own, google + TOKEN],
        [own + b"  ", google + TOKEN],
        [bearer + b"Bearer \xff" + TOKEN, own + TOKEN],
        [bearer + b"Bearer a\xc3\xa9", google + TOKEN],
    ]
    wrong = [
        [bearer + b"Bearer wrong", own + TOKEN],
        [own + b"wrong", google + TOKEN],
        [own + TOKEN, own + b"other"],
        [own + b"other", own + TOKEN],
        [bearer + b"Bearer " + TOKEN, bearer + b"Bearer other"],
        [bearer + b"Bearer " + TOKEN + b" x"],
        [bearer + b"Bearer\t" + TOKEN],
    ]
    async with six_doors(tmp_path, TOKEN_MODE, SECOND="second ${NOT_A_VARIABLE}") as house:
        door = BY_NAME["openai"]
        assert [(await house.ask(door, *lines)).status for lines in right] == [200] * len(right)
        assert [(await house.ask(door, *lines)).status for lines in wrong] == [401] * len(wrong)
        assert len(house.keeper.heads) == len(right)


REPEATED = [
    ([b"Authorization: Bearer first-token", b"Authorization: Bearer first-token"], True),
    ([b"Authorization: Bearer first-token", b"authorization:  Bearer first-token "], True),
    ([b"Authorization: Bearer first-token", b"Authorization: Bearer third-token"], False),
    ([b"Authorization: Bearer first-token", b"Authorization: bearer first-token"], False),
    ([b"Authorization: Basic eA==", b"Authorization: Bearer first-token"], False),
    ([b"Authorization: Bearer first-token", b"Authorization:"], False),
    ([b"Authorization: Bearer wrong", b"Authorization: Bearer other", b"x-api-key: first-token"], True),
    ([b"x-api-key: first-token", b"X-API-KEY: first-token"], True),
    ([b"x-api-key: first-token"] * 3, True),
    ([b"x-api-key: first-token", b"x-api-key: third-token"], False),
    ([b"x-api-key:", b"x-api-key: first-token"], False),
    ([b"x-api-key: wrong", b"x-api-key: other", b"x-goog-api-key: first-token"], True),
    ([b"x-goog-api-key: first-token", b"x-goog-api-key: first-token"], True),
    ([b"x-goog-api-key: first-token", b"x-goog-api-key: wrong"], False),
    ([b"x-api-key: first-token, first-token"], False),
    ([b"x-api-key: second, second"], True),
]


@EVERY_DOOR
async def test_two_values_of_one_carrier_are_none(tmp_path: Path, door: Door) -> None:
    """Governance §1.2: a credential that is repeated counts once, one that contradicts itself is none at all."""
    async with six_doors(tmp_path, TOKEN_MODE, SECOND="second, second") as house:
        for lines, is_right in REPEATED:
            raw = await ask(house, door.target, *lines, body=door.minimal)
            if is_right:
                assert read(raw).status == 200, lines
            else:
                check_turned_away(raw, door.name)


@EVERY_DOOR
async def test_two_values_of_one_carrier_go_nowhere(tmp_path: Path, door: Door) -> None:
    """Governance §1: mode passthrough sends a repeated key once, and of two different ones neither."""
    own = b"Authorization: Bearer " if door.name == "anthropic" else door.key
    async with six_doors(tmp_path, "{mode: passthrough}") as house:
        for carrier in (b"Authorization: Bearer ", b"x-api-key: ", b"x-goog-api-key: "):
            assert (await house.ask(door, carrier + b"mine", carrier + b"mine")).status == 200
            assert (await house.ask(door, carrier + b"mine", carrier + b"other")).status == 200
        assert [key_lines(head) for head in house.keeper.heads] == [[own + b"mine"], []] * 3


async def test_key_in_a_query_is_for_gemini_alone(tmp_path: Path) -> None:
    """Governance case 8: `?key=` opens Gemini's paths and no others, below any header, and never goes upstream."""
    async with six_doors(tmp_path, TOKEN_MODE, SECOND="second &+%") as house:
        gemini = BY_NAME["gemini"]
        for query in (b"key=first-token", b"%24alt=json&key=first%2Dtoken&x=1", b"key=second%20%26%2B%25"):
            assert read(await ask(house, gemini.target + b"?" + query)).status == 200
            assert read(await ask(house, gemini.stream + b"&" + query)).status == 200
        for line in (b"x-goog-api-key: wrong", b"Authorization: Bearer wrong"):
            check_turned_away(await ask(house, gemini.target + b"?key=first-token", line), "gemini")
        assert read(await ask(house, gemini.target + b"?key=first-token&key=first%2Dtoken")).status == 200
        for query in (b"key=wrong&key=first-token", b"key=first-token&key=wrong", b"key=first-token&key="):
            check_turned_away(await ask(house, gemini.target + b"?" + query), "gemini")
        check_turned_away(await ask(house, gemini.target + b"?Key=first-token"), "gemini")
        for door in DOORS:
            if door is not gemini:
                check_turned_away(await ask(house, door.target + b"?key=first-token"), door.name)
        assert not any(b"first" in head or b"second" in head or b"key=" in head for head in house.keeper.heads)


async def test_trailer_is_no_credential(tmp_path: Path) -> None:
    """Operations case 21: what comes behind a chunked body lets nobody in and changes nothing."""
    tail = b"2\r\n{}\r\n0\r\nAuthorization: Bearer first-token\r\nx-api-key: first-token\r\nHost: other\r\n\r\n"
    async with six_doors(tmp_path, TOKEN_MODE, SECOND="second") as house:
        for door in DOORS:
            check_turned_away(await house.say(chunked_head(CLOSE, target=door.target) + tail), door.name)
        gemini = BY_NAME["gemini"]
        tail = tail.replace(b"first", b"wrong")
        assert read(await house.say(chunked_head(CLOSE, RIGHT, target=gemini.target) + tail)).status == 200
        assert b"wrong" not in house.keeper.heads[0]


# Before the body

HUGE = 30 * 1024 * 1024


@EVERY_DOOR
@pytest.mark.parametrize("sent", [0, 1, 200_000])
async def test_refusal_does_not_wait_for_the_body(tmp_path: Path, door: Door, sent: int) -> None:
    """Operations case 10: a caller who announces 30 MiB is turned away at once, and can read it while it sends."""
    head = post(b"", target=door.target).replace(b"Length: 0", b"Length: %d" % HUGE)
    async with six_doors(tmp_path, TOKEN_MODE, SECOND="second") as house:
        client = house.connect()
        client.send(head)
        await client.send_large(b"x" * sent)
        raw = await client.read_all()
        check_turned_away(raw, door.name)
        assert b"\r\nConnection: close\r\n" in raw
        assert not client.was_reset


@EVERY_DOOR
async def test_nobody_is_asked_for_a_body_to_refuse(tmp_path: Path, door: Door) -> None:
    """Operations case 28: a bad token gets the refusal and no `100 Continue`, a good one gets that first."""
    lines = (b"Expect: 100-continue",)
    head = post(b"", *lines, target=door.target).replace(b"Length: 0", b"Length: %d" % len(door.minimal))
    async with six_doors(tmp_path, TOKEN_MODE, SECOND="second") as house:
        raw = await house.say(head)
        check_turned_away(raw, door.name)
        assert b"\r\nConnection: close\r\n" in raw
        client = house.connect()
        client.send(head.replace(b"Host: h\r\n", b"Host: h\r\n" + RIGHT + b"\r\n"))
        assert (await client.read_answer(b"POST")).status == 100
        client.send(door.minimal)
        assert (await client.read_answer(b"POST")).status == 200


# What is open, and what is not


@pytest.mark.parametrize("auth", [TOKEN_MODE, "{mode: passthrough}", "{mode: none}"])
async def test_probes_are_open_and_pages_are_not(tmp_path: Path, auth: str) -> None:
    """Governance case 13, operations case 56: probes are open in every mode, pages where callers are, admin nowhere."""
    async with six_doors(tmp_path, auth, SECOND="second") as house:
        is_open = auth is not TOKEN_MODE
        for path, line in product((b"/healthz", b"/livez", b"/readyz", b"/healthz?x=1"), (b"X: 1", b"x-api-key: no")):
            assert read(await ask(house, path, line, method=b"GET")).body == b"ok"
            assert read(await ask(house, path, line)).status == 405
        for path in (b"/stats", b"/metrics", b"/v1/models"):
            assert read(await ask(house, path, method=b"GET")).status == (200 if is_open else 401)
            assert read(await ask(house, path, RIGHT, method=b"GET")).status == 200
            assert read(await ask(house, path, RIGHT, method=b"DELETE")).status == 405
        for path in (b"/admin", b"/admin/", b"/admin/keys", b"/admin/v1/messages"):
            for line in (b"X: 1", RIGHT, b"x-admin-token: first-token"):
                check_turned_away(await ask(house, path, line), "openai")
        for path, door in ((b"/adminx/v1/messages", "anthropic"), (b"/%61dmin/keys", "openai"), (b"/adminx", "openai")):
            seen = read(await ask(house, path, RIGHT))
            assert seen.status == 404
            assert seen.body.startswith(b'{"type":"error"') == (door == "anthropic")


METRICS_TOKEN = "observability: {metrics_token: '${SCRAPER}'}\n"


@pytest.mark.parametrize("auth", [TOKEN_MODE, "{mode: passthrough}", "{mode: none}"])
async def test_metrics_with_a_token_of_their_own(tmp_path: Path, auth: str) -> None:
    """Governance §1.1 and case 13: with `metrics_token` exactly that token reads `/metrics`, in any carrier or mode."""
    bearer, own, google = b"Authorization: Bearer ", b"x-api-key: ", b"x-goog-api-key: "
    right = [[bearer + b"scrape me"], [own + b"scrape me"], [google + b"scrape me"], [own + b"scrape me"] * 2]
    right += [[bearer + b"scrape me", own + TOKEN], [b"Authorization: Basic eA==", own + b"scrape me"]]
    wrong = [[b"X: 1"], [RIGHT], [bearer + b"third-token"], [own + TOKEN], [bearer + b"scrape"], [own + b"Scrape me"]]
    wrong += [[RIGHT, own + b"scrape me"], [own + b"scrape me", own + TOKEN], [b"x-admin-token: scrape me"]]
    async with six_doors(tmp_path, auth, METRICS_TOKEN, SECOND="second", SCRAPER="scrape me") as house:
        for lines in right:
            seen = read(await ask(house, b"/metrics?x=1", *lines, method=b"GET"))
            assert (seen.status, b"busbar_requests_total" in seen.body) == (200, True)
            assert read(await ask(house, b"/metrics", *lines, method=b"HEAD", body=b""), "HEAD").status == 200
            assert read(await ask(house, b"/metrics", *lines, method=b"DELETE")).status == 405
        for lines in wrong:
            for method in (b"GET", b"DELETE"):
                check_turned_away(await ask(house, b"/metrics", *lines, method=method), "openai")
        check_turned_away(await ask(house, b"/metrics?key=scrape%20me", method=b"GET"), "openai")
        is_open = auth is not TOKEN_MODE
        for path in (b"/stats", b"/v1/models", b"/metrics/"):
            status = read(await ask(house, path, bearer + b"scrape me", method=b"GET")).status
            assert status == (401 if not is_open else 404 if path == b"/metrics/" else 200)
        assert (await house.ask(BY_NAME["openai"], bearer + b"scrape me")).status == (200 if is_open else 401)


async def test_metrics_token_changes_with_a_reload(tmp_path: Path) -> None:
    """Config §14 X9: a new token holds from the next request on, on an open connection as well, and may go again."""
    raw = b"GET /metrics HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer one\r\n\r\n"
    more = "observability: {metrics_token: %s}\n"
    async with six_doors(tmp_path, more=more % "one") as house:
        client = house.connect()
        for text, status in (("", 200), (more % "two", 401), (more % "one", 200), ("observability: {}\n", 200)):
            if text:
                assert await house.site.reload(config(house.upstream.port, more=text))
            client.send(raw)
            answer = await client.read_answer()
            assert (answer.status, answer.closes) == (status, False)


@pytest.mark.parametrize("source", ["env: SCRAPER", "file: <folder>/token"])
async def test_metrics_token_comes_from_where_secrets_come_from(tmp_path: Path, source: str) -> None:
    """Config §7: the token may stand in a variable or a file, as those of clients may."""
    (tmp_path / "token").write_text("hush-hush\n")
    more = f"observability: {{metrics_token: {{{source.replace('<folder>', str(tmp_path))}}}}}\n"
    async with six_doors(tmp_path, more=more, SCRAPER="hush-hush") as house:
        assert read(await ask(house, b"/metrics", b"x-api-key: hush-hush", method=b"GET")).status == 200
        check_turned_away(await ask(house, b"/metrics", method=b"GET"), "openai")


@pytest.mark.parametrize(
    "word",
    ["token", "  ToKeN ", "TOKEN"],
)
async def test_mode_is_read_in_any_case(tmp_path: Path, word: str) -> None:
    """Governance case 1: the word for a mode may stand in any case, with blanks around it."""
    async with six_doors(tmp_path, f"{{mode: '{word}', client_tokens: [first-token]}}") as house:
        assert (await house.ask(BY_NAME["cohere"], RIGHT)).status == 200
        assert (await house.ask(BY_NAME["cohere"])).status == 401


# Whose key goes upstream


def key_lines(head: bytes) -> list[bytes]:
    """Return the lines of a head that could carry a credential."""
    return [line for line in head.split(b"\r\n") if re.match(rb"(?i)(authorization|.*key|.*token|cookie)", line)]


@EVERY_DOOR
@pytest.mark.parametrize("auth", [TOKEN_MODE, "{mode: none}"])
async def test_own_key_goes_upstream(tmp_path: Path, door: Door, auth: str) -> None:
    """Governance §1: in modes token and none the provider gets its own key, in its own way, and nothing of ours."""
    callers = [(RIGHT,), (b"x-api-key: first-token",), (b"x-goog-api-key: first-token", b"Cookie: a=first-token")]
    async with six_doors(tmp_path, auth, SECOND="second") as house:
        for lines in callers:
            assert (await house.ask(door, *lines)).status == 200
        assert [key_lines(head) for head in house.keeper.heads] == [[door.key + LANE_KEY.encode()]] * 3
        assert not any(b"first" in head for head in house.keeper.heads)


@EVERY_DOOR
async def test_callers_key_goes_upstream(tmp_path: Path, door: Door) -> None:
    """Governance §1, reliability case 45: mode passthrough sends what the caller sent, or nothing, never our key."""
    bearer = b"Authorization: Bearer " if door.name == "anthropic" else door.key
    async with six_doors(tmp_path, "{mode: passthrough}") as house:
        carriers = (b"Authorization: Bearer ", b"Authorization: bearer ", b"x-api-key: ", b"x-goog-api-key: ")
        for carrier in carriers:
            assert (await house.ask(door, carrier + b"mine:x=")).status == 200
        assert [key_lines(head) for head in house.keeper.heads] == [[bearer + b"mine:x="]] * 4
        for lines in ((), (b"Authorization: Basic eA==",), (b"x-api-key:",), (b"x-api-key: \xff",)):
            house.keeper.heads.clear()
            assert (await house.ask(door, *lines)).status == 200
            assert [key_lines(head) for head in house.keeper.heads] == [[]]


@EVERY_DOOR
@pytest.mark.parametrize("status", [401, 403])
async def test_rejected_key_is_whose_it_is(tmp_path: Path, door: Door, status: int) -> None:
    """Reliability cases 41 and 45: a caller's rejected key is reported to the letter, ours in the dialect's words."""
    said = b'{"said":"by the vendor about its key"}'
    answer = OK.replace(b"200 OK", b"%d X" % status).replace(b"Length: 2", b"Length: %d" % len(said))
    for auth in ("{mode: passthrough}", "{mode: none}"):
        async with six_doors(tmp_path, auth) as house:
            house.keeper.pieces = (answer.removesuffix(b"{}") + said,)
            raw = await ask(house, door.target, RIGHT, body=door.minimal)
            if auth == "{mode: none}":
                check_turned_away(raw, door.name)
            else:
                assert (read(raw).status, read(raw).body) == (status, said)
            assert len(house.keeper.heads) == 1


async def test_no_log_shows_a_credential(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Operations case 47, governance case 8: no log, at any level, holds a token, a key, a query's key or a body."""
    caplog.set_level(logging.DEBUG)
    async with six_doors(tmp_path, TOKEN_MODE, METRICS_TOKEN, SECOND="second-secret", SCRAPER="my-secret") as house:
        for token in (b"my-secret", b"wrong-secret"):
            await ask(house, b"/metrics", b"Authorization: Bearer " + token, method=b"GET")
        for said in (OK, b"secret nonsense\r\n\r\n", OK.replace(b"200 OK", b"401 no-secret")):
            house.keeper.pieces = (said,)
            for door in DOORS:
                for token in (b"second-secret", b"wrong-secret"):
                    body = door.minimal.replace(b"{", b'{"x":"body-secret"' + b"," * (door.minimal != b"{}"), 1)
                    await ask(house, door.target, b"Authorization: Bearer " + token, body=body)
                    await ask(house, door.target + b"?key=" + token, body=body + b"secret")
    shown = [record.getMessage() for record in caplog.records if record.name.startswith("busbar_fast")]
    for word in ("openai-m failed", "openai-m answered 401", "lane out of service"):
        assert any(word in line for line in shown)
    assert not any("secret" in line or LANE_KEY in line for line in shown)


def said_of(record: logging.LogRecord) -> str:
    """Return the message of a record with its fields."""
    return " ".join([record.getMessage(), *(f"{k}={v}" for k, v in getattr(record, "fields", {}).items())])


async def test_log_tells_why(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Governance §1.3, reliability §1: the log says at debug why somebody was refused, never what the client wrote."""
    caplog.set_level(logging.DEBUG, "busbar_fast.gateway")
    openai, gemini = BY_NAME["openai"], BY_NAME["gemini"]
    asked = [
        (b"/stats", b"X: 1", "caller refused: no usable credential"),
        (openai.target, b"x-api-key: wrong", "caller refused: an unknown credential"),
        (b"/admin/keys", RIGHT, "caller refused: the management API takes nobody this way"),
        (b"/nowhere-at-all", RIGHT, "refused status=404 pool=unresolved"),
        (openai.target, RIGHT, "refused status=400 pool=unresolved"),
        (gemini.target.replace(gemini.model, b"nobody"), RIGHT, "refused status=404 pool=unresolved"),
    ]
    async with six_doors(tmp_path, TOKEN_MODE, SECOND="second") as house:
        for target, line, said in asked:
            caplog.clear()
            await ask(house, target, line, body=b"{}")
            assert [said_of(record) for record in caplog.records] == [said]


# A reload


async def test_token_that_is_gone_is_refused_on_an_open_connection(tmp_path: Path) -> None:
    """Config §14 X9: a head that a connection repeats to the byte is judged by the tokens of now."""
    async with six_doors(tmp_path, TOKEN_MODE, SECOND="second") as house:
        door = BY_NAME["openai"]
        raw = post(door.minimal, RIGHT, target=door.target)
        client = house.connect()
        for _ in range(3):
            client.send(raw)
            assert (await client.read_answer(b"POST")).status == 200
        for auth, status in (
            ("{mode: token, client_tokens: [other]}", 401),
            ("{mode: token, client_tokens: [other, first-token]}", 200),
            ("{mode: none}", 200),
            ("{mode: token, client_tokens: [other]}", 401),
        ):
            assert await house.site.reload(config(house.upstream.port, auth))
            for _ in range(2):
                client.send(raw)
                answer = await client.read_answer(b"POST")
                assert (answer.status, answer.closes) == (status, False)
        assert len(house.keeper.heads) == 7
        await until(lambda: house.site.counts("openai-m")[2] == 0)


async def test_request_that_was_let_in_is_finished(tmp_path: Path) -> None:
    """Config §14 X9: who was let in before a reload sends its body in peace, and is out with the next request."""
    async with six_doors(tmp_path, TOKEN_MODE, SECOND="second") as house:
        door = BY_NAME["cohere"]
        raw = post(door.minimal, RIGHT, target=door.target)
        client = house.connect()
        await client.send_pieces(raw[:-5])
        assert await house.site.reload(config(house.upstream.port, "{mode: token, client_tokens: [other]}"))
        client.send(raw[-5:])
        assert (await client.read_answer(b"POST")).status == 200
        client.send(raw)
        assert (await client.read_answer(b"POST")).status == 401
