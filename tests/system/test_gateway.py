"""The gateway over failing lanes: what a client sees, and what it never notices."""

import asyncio
from typing import Any

import openai
import orjson
import pytest

from busbar_fast.mock.router import answer
from busbar_fast.mock.script import Script
from busbar_fast.wire.limits import Limits
from tests.system.clients import async_openai_client
from tests.system.gateways import DOWN, Fate, Front, gateway_over
from tests.system.rawclient import Answer, Truncated, split_answer
from tests.system.serving import Serve, until

CHAT = b"/v1/chat/completions"
BODY = b'{"model":"demo","messages":[{"role":"user","content":"hi"}]}'
STREAM = b'{"model":"demo","stream":true,"messages":[{"role":"user","content":"hi"}]}'
DEAD = Script(refuse=True)
TURNS: Any = [{"role": "user", "content": "hi"}]


def request(body: bytes, target: bytes = CHAT, method: bytes = b"POST") -> bytes:
    return b"%b %b HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%b" % (method, target, len(body), body)


def payload(body: bytes) -> bytes:
    return b"".join(answer(b"POST", CHAT, {}, body).frames)


async def ask(front: Front, body: bytes, target: bytes = CHAT, method: bytes = b"POST") -> Answer:
    client = await front.site.connected()
    client.send(request(body, target, method))
    got = await client.read_answer(method)
    client.close()
    return got


def check_fault(got: Answer, status: int, kind: str, **members: str | None) -> str:
    """An error is OpenAI's envelope with a request id; return its message."""
    assert got.status == status
    assert got.fields[b"content-type"] == b"application/json"
    assert got.fields[b"x-request-id"].startswith(b"req_")
    fault = orjson.loads(got.body)["error"]
    expected = {"type": kind, "param": None, "code": None, **members}
    assert {name: fault[name] for name in expected} == expected
    return str(fault["message"])


@pytest.mark.parametrize("body", [BODY, STREAM], ids=["whole", "stream"])
@pytest.mark.parametrize(
    "fate",
    [
        DOWN,
        DEAD,
        Script(garbage=True),
        Script(status=503),
        Script(status=429, retry_after_s=9),
        Script(cut_at=0),
        Script(reset_at=0),
        Script(cut_at=0, late_length=True, keepalive=False),
    ],
    ids=["down", "refuse", "garbage", "503", "429", "cut", "reset", "cut chunked"],
)
async def test_failure_before_the_first_byte_is_invisible(
    serve: Serve, parser_kind: str, fate: Fate, body: bytes
) -> None:
    """The next lane answers, whole, and the client cannot tell."""
    async with gateway_over(serve, parser_kind, fate, None) as front:
        got = await ask(front, body)
        assert (got.status, got.body) == (200, payload(body))
        assert b"retry-after" not in got.fields
        assert front.counts == [(0, 1), (1, 0)]


@pytest.mark.parametrize(
    "fate",
    [
        DOWN,
        DEAD,
        Script(garbage=True),
        Script(cut_at=0),
        Script(status=429, error="Slow down.", retry_after_s=9),
        Script(status=503, error="Later."),
    ],
    ids=["down", "refuse", "garbage", "cut", "429", "503"],
)
async def test_no_lane_left_is_an_overload(serve: Serve, parser_kind: str, fate: Fate) -> None:
    """Reliability case 64: when every lane fails the client is told in its own dialect when the first comes back."""
    async with gateway_over(serve, parser_kind, DOWN, fate) as front:
        got = await ask(front, BODY)
        message = "The server cannot take your request at the moment. Please try again later."
        assert check_fault(got, 503, "server_error") == message
        assert 26 <= int(got.fields[b"retry-after"]) <= 33
        assert front.counts == [(0, 1), (0, 1)]


async def test_lane_that_failed_once_is_the_last_resort(serve: Serve, parser_kind: str) -> None:
    """Reliability case 86: after one failure a lane rests while another serves, and serves when nobody else is left."""
    async with gateway_over(serve, parser_kind, [Script(status=500), None], [None] * 3 + [DEAD]) as front:
        assert [(await ask(front, BODY)).status for _ in range(4)] == [200] * 4
        assert front.counts == [(1, 1), (3, 1)]


async def test_lane_that_asked_for_a_rest_is_left_alone(serve: Serve, parser_kind: str) -> None:
    """Reliability case 86: a time to come back binds, even if nobody else is left."""
    async with gateway_over(serve, parser_kind, [Script(status=429, retry_after_s=300), None]) as front:
        for _ in range(2):
            got = await ask(front, BODY)
            assert (got.status, got.fields[b"retry-after"]) == (503, b"300")
        assert front.counts == [(0, 1)]


async def test_key_that_is_refused_sends_the_request_elsewhere(serve: Serve, parser_kind: str) -> None:
    """Reliability §8: our own key is nobody else's business; if no lane's key is taken the client's seems wrong."""
    async with gateway_over(serve, parser_kind, Script(status=401), Script(status=403), None) as front:
        assert (await ask(front, BODY)).status == 200
        assert front.counts == [(0, 1), (0, 1), (1, 0)]
    async with gateway_over(serve, parser_kind, Script(status=401), Script(status=403)) as front:
        check_fault(await ask(front, BODY), 401, "authentication_error", code="invalid_api_key")


@pytest.mark.parametrize("status", [400, 404, 422])
async def test_what_the_client_did_wrong_is_not_tried_again(serve: Serve, parser_kind: str, status: int) -> None:
    """A refusal that another lane would repeat goes to the client at once."""
    async with gateway_over(serve, parser_kind, Script(status=status), None) as front:
        assert (await ask(front, BODY)).status == status
        assert front.counts == [(0, 0), (0, 0)]
        assert [lane.state.client_fault for lane in front.lanes] == [1, 0]


@pytest.mark.parametrize("is_announced", [True, False])
async def test_document_that_breaks_after_the_first_byte_shows(
    serve: Serve, parser_kind: str, *, is_announced: bool
) -> None:
    """Operations case 36, reliability case 58: once a byte is out nobody else is asked, and the client sees the cut."""
    fate = Script(body_bytes=200_000, cut_at=150_000, late_length=not is_announced)
    async with gateway_over(serve, parser_kind, fate, None) as front:
        client = await front.site.connected()
        client.send(request(BODY))
        raw = await client.read_all()
        assert b" 200 " in raw
        with pytest.raises(Truncated):
            split_answer(raw, b"POST", has_ended=True)
        assert front.counts == [(1, 1), (0, 0)]
        client.close()


@pytest.mark.parametrize("fate", [Script(cut_at=500), Script(cut_at=500, split=50)], ids=["cut", "pieces"])
async def test_stream_that_breaks_after_the_first_byte_says_so(serve: Serve, parser_kind: str, fate: Script) -> None:
    """Operations case 36, reliability case 57: once a byte is out nobody else is asked; the vendor's error ends it."""
    async with gateway_over(serve, parser_kind, fate, None) as front:
        got = await ask(front, STREAM)
        assert got.status == 200
        *_, error, marker = got.body.split(b"data: ")
        assert marker == b"[DONE]\n\n"
        assert orjson.loads(error)["error"]["type"] == "server_error"
        assert front.counts == [(1, 1), (0, 0)]


@pytest.mark.parametrize("is_announced", [True, False])
@pytest.mark.parametrize("cut_at", [1, 100, 60_000])
async def test_document_that_breaks_off_early_is_no_answer(
    serve: Serve, parser_kind: str, cut_at: int, *, is_announced: bool
) -> None:
    """Reliability §6: of a small document nothing is out before its end, so another lane can still answer."""
    fate = Script(body_bytes=65_000, cut_at=cut_at, late_length=not is_announced)
    async with gateway_over(serve, parser_kind, fate, Script(body_bytes=65_000)) as front:
        answer = await ask(front, BODY)
        assert (answer.status, len(answer.body)) == (200, 65_000)
        assert front.counts == [(0, 1), (1, 0)]
    async with gateway_over(serve, parser_kind, fate) as front:
        assert (await ask(front, BODY)).status == 503
        assert front.counts == [(0, 1)]


@pytest.mark.parametrize(
    ("fate", "successes"),
    [(Script(delay_head_ms=60_000), 0), (Script(stall_at=0), 0), (Script(stall_at=500), 1)],
    ids=["no head", "no body", "an event"],
)
async def test_client_that_leaves_takes_the_request_along(
    serve: Serve, parser_kind: str, fate: Script, successes: int
) -> None:
    """Nothing runs on at the backend or on the lane for a client that is gone."""
    async with gateway_over(serve, parser_kind, fate) as front:
        backend = front.backends[0]
        assert backend is not None
        client = await front.site.connected()
        client.send(request(STREAM))
        await until(lambda: backend.service.in_flight == 1)
        assert front.in_flight == [1]
        client.close()
        await until(lambda: backend.service.in_flight == 0)
        assert front.in_flight == [0]
        assert front.counts == [(successes, 0)]


@pytest.mark.parametrize(
    "body",
    [
        rb'{"model":"\u0064emo","messages":[{"role":"user","content":"hi"}]}',
        rb'{"mod\u0065l":"demo","messages":[{"role":"user","content":"hi"}]}',
        b'{"model":"other","messages":[{"role":"user","content":"hi"}],"model":"demo"}',
        b' \r\n\t{ "messages" : [{"role":"user","content":"hi"}] , "model" : "demo" } ',
    ],
    ids=["escaped value", "escaped name", "last of two", "space"],
)
async def test_model_is_found_however_it_is_spelt(serve: Serve, parser_kind: str, body: bytes) -> None:
    """The model is what any JSON parser would read."""
    async with gateway_over(serve, parser_kind, None) as front:
        assert (await ask(front, body)).status == 200


@pytest.mark.parametrize(
    "body",
    [b'{"messages":[]}', b'{"model":null}', b'{"model":7}', b'{"model":["demo"]}', b'{"a":{"model":"demo"}}'],
)
async def test_missing_model_is_named(serve: Serve, parser_kind: str, body: bytes) -> None:
    """Without a model of its own, and a string, a request goes nowhere."""
    async with gateway_over(serve, parser_kind, None) as front:
        assert check_fault(await ask(front, body), 400, "invalid_request_error", param="model")
        assert front.counts == [(0, 0)]


@pytest.mark.parametrize(
    "body",
    [b"", b"nonsense", b'"demo"', b'["demo"]', b'{"model":"demo"', b'{"model":"\\x"}', b'{"model":"\xff"}'],
)
async def test_body_that_is_no_json_object_is_refused(serve: Serve, parser_kind: str, body: bytes) -> None:
    """What cannot be read is the client's fault and never reaches a lane."""
    async with gateway_over(serve, parser_kind, None) as front:
        assert "JSON" in check_fault(await ask(front, body), 400, "invalid_request_error")
        assert front.counts == [(0, 0)]


async def test_depth_has_its_limit(serve: Serve, parser_kind: str) -> None:
    """A body nested 128 deep passes, one level more is refused."""
    async with gateway_over(serve, parser_kind, None) as front:
        deep = b'{"model":"demo","messages":[{"role":"user","content":"hi"}],"x":%b%b}'
        assert (await ask(front, deep % (b"[" * 127, b"]" * 127))).status == 200
        got = await ask(front, deep % (b"[" * 128, b"]" * 128))
        assert "nested" in check_fault(got, 400, "invalid_request_error")


@pytest.mark.parametrize(
    ("spelt", "shown"),
    [
        (b"nobody", "nobody"),
        (rb"\ud800", "?"),
        (rb"a\r\nb\u0000", "a\r\nb\0"),
        (b"x" * 10_000, "x" * 200),
    ],
)
async def test_unknown_model_is_quoted_with_care(serve: Serve, parser_kind: str, spelt: bytes, shown: str) -> None:
    """A name nobody has is repeated, but neither endlessly nor so that the answer breaks."""
    async with gateway_over(serve, parser_kind, None) as front:
        got = await ask(front, b'{"model":"%b"}' % spelt)
        assert f"`{shown}`" in check_fault(got, 404, "not_found_error", code="model_not_found")


async def test_official_client_raises_its_own_classes(serve: Serve, parser_kind: str) -> None:
    """Errors of ours arrive as the classes that the client has for them, with message and request id."""
    limits = Limits(request_body_max_bytes=1000)
    async with (
        gateway_over(serve, parser_kind, None, limits=limits) as front,
        async_openai_client(front.site.port) as client,
    ):
        with pytest.raises(openai.NotFoundError, match="nobody") as unknown:
            await client.chat.completions.create(model="nobody", messages=TURNS)
        with pytest.raises(openai.BadRequestError, match="model") as bad:
            await client.post("/chat/completions", body={"messages": []}, cast_to=object)
        with pytest.raises(openai.APIStatusError, match="Only POST") as method:
            await client.get("/chat/completions", cast_to=object)
        with pytest.raises(openai.NotFoundError, match="Invalid URL") as path:
            await client.get("/nowhere", cast_to=object)
        with pytest.raises(openai.APIStatusError, match="too large") as large:
            await client.chat.completions.create(model="demo", messages=[{"role": "user", "content": "x" * 2000}])
        raised = (unknown, bad, method, path, large)
        assert [error.value.status_code for error in raised] == [404, 400, 405, 404, 413]
        assert all((error.value.request_id or "").startswith("req_") for error in raised)
        assert method.value.response.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        (b"GET", b"/healthz", 200),
        (b"HEAD", b"/livez", 200),
        (b"GET", b"/readyz?x=1", 200),
        (b"POST", b"/healthz", 405),
        (b"GET", b"/v1/models", 200),
        (b"HEAD", b"/v1/models", 200),
        (b"DELETE", b"/v1/models", 405),
        (b"GET", CHAT, 405),
        (b"GET", b"/", 404),
        (b"POST", CHAT + b"/", 404),
        (b"OPTIONS", b"*", 405),
    ],
)
async def test_routes(serve: Serve, parser_kind: str, method: bytes, target: bytes, status: int) -> None:
    """Each path has its methods, and a refusal names those that are allowed."""
    async with gateway_over(serve, parser_kind, None) as front:
        got = await ask(front, b"", target, method)
        assert got.status == status
        assert (b"allow" in got.fields) == (status == 405)
        assert not got.closes


async def test_readiness_ends_before_life(serve: Serve, parser_kind: str) -> None:
    """A gateway that is leaving is not ready any more but alive."""
    async with gateway_over(serve, parser_kind, None) as front:
        front.site.listener.leave()
        probes = {path: await ask(front, b"", path, b"GET") for path in (b"/healthz", b"/livez", b"/readyz")}
        assert {path: got.status for path, got in probes.items()} == {b"/healthz": 503, b"/livez": 200, b"/readyz": 503}
        assert all(got.closes for got in probes.values())


async def test_drain_lets_a_running_stream_end(serve: Serve, parser_kind: str) -> None:
    """A stream under way when the gateway is told to leave is delivered to its last byte."""
    async with gateway_over(serve, parser_kind, Script(deltas=10, delay_frame_ms=15)) as front:
        client = await front.site.connected()
        client.send(request(STREAM))
        head = await client.read_until(b"\n\n\r\n")
        draining = asyncio.ensure_future(front.site.listener.drain(10.0))
        rest = await client.read_all()
        assert await draining
        found = split_answer(head + rest, b"POST", has_ended=True)
        assert found is not None
        assert found[0].body.endswith(b"data: [DONE]\n\n")
        assert found[0].body.count(b"data: ") == 13
