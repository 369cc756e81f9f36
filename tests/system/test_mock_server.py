"""The mock backend over real sockets: every knob does on the wire what it says."""

import asyncio
import re
from dataclasses import dataclass

import orjson
import pytest

from busbar_fast.mock.router import answer
from busbar_fast.mock.schedule import GARBAGE
from busbar_fast.mock.script import Script
from busbar_fast.mock.server import MockBackend
from tests.system.rawclient import RawClient, Truncated, split_answer, turns
from tests.system.serving import Serve, Site, until

EARLY = 0.9  # a timer may fire a tick before its time


@dataclass(frozen=True)
class Question:
    """One request to the backend."""

    target: bytes
    body: bytes

    def encode(self, knobs: bytes = b"", *, minor: int = 1) -> bytes:
        return b"POST %b HTTP/1.%d\r\nHost: h\r\nX-Mock: %b\r\nContent-Length: %d\r\n\r\n%b" % (
            self.target,
            minor,
            knobs,
            len(self.body),
            self.body,
        )

    def payload(self, knobs: bytes = b"") -> bytes:
        """Return what the pure half of the backend says, without any framing."""
        return b"".join(answer(b"POST", self.target, {b"x-mock": knobs}, self.body).frames)


TURNS = b'"messages":[{"role":"user","content":"hi"}]'
CHAT = Question(b"/v1/chat/completions", b'{"model":"m",%b}' % TURNS)
CHAT_STREAM = Question(CHAT.target, b'{"model":"m","stream":true,%b}' % TURNS)
BEDROCK_BODY = b'{"messages":[{"role":"user","content":[{"text":"hi"}]}]}'
GEMINI_BODY = b'{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}'
WHOLE = {
    "chat": CHAT,
    "responses": Question(b"/v1/responses", b'{"model":"m","input":"hi"}'),
    "anthropic": Question(b"/v1/messages", b'{"model":"m","max_tokens":64,%b}' % TURNS),
    "gemini": Question(b"/v1/models/m:generateContent", GEMINI_BODY),
    "cohere": Question(b"/v2/chat", b'{"model":"m",%b}' % TURNS),
    "bedrock": Question(b"/model/m/converse", BEDROCK_BODY),
}
STREAMS = {
    "chat stream": CHAT_STREAM,
    "responses stream": Question(b"/v1/responses", b'{"model":"m","stream":true,"input":"hi"}'),
    "anthropic stream": Question(b"/v1/messages", b'{"model":"m","max_tokens":64,"stream":true,%b}' % TURNS),
    "gemini stream": Question(b"/v1/models/m:streamGenerateContent?alt=sse", GEMINI_BODY),
    "gemini array": Question(b"/v1/models/m:streamGenerateContent", GEMINI_BODY),
    "cohere stream": Question(b"/v2/chat", b'{"model":"m","stream":true,%b}' % TURNS),
    "bedrock stream": Question(b"/model/m/converse-stream", BEDROCK_BODY),
}
EVERY = {**WHOLE, **STREAMS}
SAYINGS = (
    b"",
    b"text=tr%C3%A8s%3B fine",
    b"deltas=5; delta_chars=3; thinking=1",
    b'tools=tides,moon; args={"port":"Brest"}',
    b"usage_in=100; usage_out=18; cached=30; cache_write=20; stop=max_tokens",
    b"stop_raw=odd",
    b"status=429; error=Slow; error_code=slow_down; retry_after=7",
)
ENDINGS = ("cut_at", "reset_at", "stall_at")


async def ask(site: Site, question: Question, knobs: bytes = b"", *, minor: int = 1) -> RawClient:
    """Send a question on a connection of its own."""
    client = await site.connected()
    client.send(question.encode(knobs, minor=minor))
    return client


def unframed(raw: bytes) -> bytes:
    """Return the payload of an answer that may have broken off in the middle."""
    head, _, body = raw.partition(b"\r\n\r\n")
    if b"\r\nTransfer-Encoding: chunked" not in head:
        return body
    payload = b""
    while (line := re.match(rb"([0-9a-f]+)\r\n", body)) and int(line[1], 16):
        size = int(line[1], 16)
        payload += body[line.end() : line.end() + size]
        body = body[line.end() + size + 2 :]
    return payload


def backend_of(script: Script | None = None) -> MockBackend:
    return MockBackend(lambda _number: script)


@pytest.mark.parametrize("question", EVERY.values(), ids=EVERY)
@pytest.mark.parametrize("knobs", SAYINGS, ids=lambda knobs: knobs.decode().split("=")[0] or "nothing")
async def test_payload_arrives_as_the_router_made_it(serve: Serve, question: Question, knobs: bytes) -> None:
    """What is said travels unchanged, an answer with its length and a stream in chunks."""
    async with serve(backend_of().serve) as site:
        client = await ask(site, question, knobs)
        got = await client.read_answer(b"POST")
        payload = question.payload(knobs)
        is_refusal = knobs.startswith(b"status")
        assert (got.status, got.body) == (429 if is_refusal else 200, payload)
        assert got.fields.get(b"retry-after") == (b"7" if is_refusal else None)
        if question in WHOLE.values() or is_refusal:
            assert got.framing == (b"%d" % len(payload), None)
        else:
            assert got.framing == (None, b"chunked")


@pytest.mark.parametrize("question", WHOLE.values(), ids=WHOLE)
async def test_answer_has_the_size_it_is_given(serve: Serve, question: Question) -> None:
    """The size of a JSON answer can be asked for to the byte."""
    async with serve(backend_of().serve) as site:
        client = await ask(site, question, b"bytes=70001")
        got = await client.read_answer(b"POST")
        assert len(got.body) == 70_001
        assert orjson.loads(got.body)


@pytest.mark.parametrize("question", STREAMS.values(), ids=STREAMS)
async def test_stream_fails_in_the_middle(serve: Serve, question: Question) -> None:
    """An error inside a stream is a part of a stream that ends in good order."""
    async with serve(backend_of().serve) as site:
        client = await ask(site, question, b"fail_after=1; status=503")
        got = await client.read_answer(b"POST")
        assert got.status == 200
        assert got.body == question.payload(b"fail_after=1; status=503") != question.payload()


async def test_delays_come_in_their_order(serve: Serve) -> None:
    """The head waits, then the first frame, then each further frame."""
    loop = asyncio.get_running_loop()
    async with serve(backend_of().serve) as site:
        client = await site.connected()
        begun_at = loop.time()
        client.send(CHAT_STREAM.encode(b"deltas=3; delay_head_ms=40; delay_first_ms=50; delay_frame_ms=30"))
        await client.read_until(b"\r\n\r\n")
        head_at = loop.time()
        await client.read_until(b"}\n\n\r\n")
        first_at = loop.time()
        gaps = []
        before = first_at
        for _ in range(3):
            await client.read_until(b"}\n\n\r\n")
            gaps.append(loop.time() - before)
            before = loop.time()
        await client.read_until(b"[DONE]\n\n\r\n0\r\n\r\n")
        assert head_at - begun_at >= 0.04 * EARLY
        assert first_at - begun_at >= 0.09 * EARLY
        assert sum(gaps) >= 0.09 * EARLY


async def test_head_leaves_before_a_late_first_frame(serve: Serve) -> None:
    """Who waits for the first frame has the head already."""
    async with serve(backend_of().serve) as site:
        client = await ask(site, CHAT_STREAM, b"delay_first_ms=600000")
        assert b" 200 " in await client.read_until(b"\r\n\r\n")
        await turns()
        assert client.received_nothing()


@pytest.mark.parametrize("question", [CHAT, CHAT_STREAM], ids=["whole", "stream"])
@pytest.mark.parametrize("knob", ENDINGS)
@pytest.mark.parametrize("at", [0, 1, 61, 300, -1])
async def test_payload_breaks_off_where_it_should(serve: Serve, question: Question, knob: str, at: int) -> None:
    """Exactly so many bytes of payload arrive, and then the end, a reset, or nothing."""
    payload = question.payload()
    at = at if at >= 0 else len(payload) - 1
    async with serve(backend_of().serve) as site:
        client = await ask(site, question, b"%b=%d" % (knob.encode(), at))
        if knob == "stall_at":
            while b"\r\n\r\n" not in client._held or len(unframed(client._held)) < at:
                await client.receive()
            assert unframed(client._held) == payload[:at]
            await check_silence(site, client)
            return
        raw = await client.read_all()
        assert client.was_reset == (knob == "reset_at")
        if knob == "cut_at":
            assert unframed(raw) == payload[:at]
            with pytest.raises(Truncated):
                split_answer(raw, b"POST", has_ended=True)
        else:
            assert payload.startswith(unframed(raw))  # a reset may overtake what was sent before it


async def check_silence(site: Site, client: RawClient) -> None:
    """The backend is still at it and says nothing; the client's leaving ends it."""
    client.drop_received()
    await turns()
    assert client.received_nothing()
    assert site.service.in_flight == 1
    client.close()
    await until(lambda: site.service.in_flight == 0)


@pytest.mark.parametrize(("knob", "is_reset"), [("cut_at", False), ("reset_at", True)])
async def test_stream_cut_at_its_end_lacks_the_end(serve: Serve, knob: str, *, is_reset: bool) -> None:
    """All payload of a stream may arrive and the stream still be unfinished."""
    async with serve(backend_of().serve) as site:
        size = len(CHAT_STREAM.payload())
        client = await ask(site, CHAT_STREAM, b"%b=%d" % (knob.encode(), size))
        raw = await client.read_all()
        assert client.was_reset == is_reset
        assert not raw.endswith(b"0\r\n\r\n")


async def test_break_beyond_the_end_changes_nothing(serve: Serve) -> None:
    """A fault that the payload never reaches does not happen, and the connection lives on."""
    async with serve(backend_of().serve) as site:
        client = await ask(site, CHAT, b"cut_at=100000")
        assert (await client.read_answer(b"POST")).body == CHAT.payload()
        client.send(CHAT.encode())
        assert not (await client.read_answer(b"POST")).closes


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_split_leaves_in_pieces(serve: Serve, size: int) -> None:
    """Each piece is a chunk of its own, at most as large as told, and the payload is whole."""
    async with serve(backend_of().serve) as site:
        client = await ask(site, CHAT_STREAM, b"split=%d; keepalive=0" % size)
        raw = await client.read_all()
        found = split_answer(raw, b"POST", has_ended=True)
        assert found is not None
        assert found[0].body == CHAT_STREAM.payload()
        sizes = [int(line, 16) for line in re.findall(rb"\r\n([0-9a-f]+)\r\n", raw)]
        assert max(sizes) <= size


async def test_split_whole_answer_keeps_its_length(serve: Serve) -> None:
    """Splitting a JSON answer changes its writes and nothing else."""
    async with serve(backend_of().serve) as site:
        client = await ask(site, CHAT, b"split=3")
        got = await client.read_answer(b"POST")
        assert (got.body, got.framing) == (CHAT.payload(), (b"%d" % len(CHAT.payload()), None))


@pytest.mark.parametrize("question", [CHAT, CHAT_STREAM], ids=["whole", "stream"])
@pytest.mark.parametrize(("knobs", "said"), [(b"refuse=1", b""), (b"garbage=1", GARBAGE)])
async def test_no_answer_at_all(
    serve: Serve, caplog: pytest.LogCaptureFixture, question: Question, knobs: bytes, said: bytes
) -> None:
    """A refusal closes without a byte, garbage is the whole of what comes, and the log knows that it was meant."""
    async with serve(backend_of().serve) as site:
        client = await ask(site, question, knobs)
        assert await client.read_all() == said
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize("question", [CHAT, CHAT_STREAM], ids=["whole", "stream"])
async def test_connection_closes_when_told(serve: Serve, question: Question) -> None:
    """The head says that the connection ends, and it does after a complete answer."""
    async with serve(backend_of().serve) as site:
        client = await ask(site, question, b"keepalive=0")
        got = await client.read_answer(b"POST")
        assert (got.body, got.closes) == (question.payload(), True)
        assert await client.read_all() == b""


async def test_length_comes_late(serve: Serve) -> None:
    """A JSON answer without a length is chunked and otherwise the same."""
    async with serve(backend_of().serve) as site:
        client = await ask(site, CHAT, b"late_length=1")
        got = await client.read_answer(b"POST")
        assert (got.body, got.framing) == (CHAT.payload(), (None, b"chunked"))


@pytest.mark.parametrize("question", [CHAT, CHAT_STREAM], ids=["whole", "stream"])
@pytest.mark.parametrize("knobs", [b"", b"late_length=1", b"split=5"])
async def test_http_1_0_client_gets_bare_payload(serve: Serve, question: Question, knobs: bytes) -> None:
    """A client that knows no chunks gets the payload and the end of the connection."""
    async with serve(backend_of().serve) as site:
        client = await ask(site, question, knobs, minor=0)
        raw = await client.read_all()
        head, _, body = raw.partition(b"\r\n\r\n")
        assert body == question.payload()
        assert b"chunked" not in head
        assert not client.was_reset


async def test_http_1_0_client_sees_a_cut(serve: Serve) -> None:
    """Where the end of the connection ends the answer, a cut is a reset and not an orderly end."""
    async with serve(backend_of().serve) as site:
        client = await ask(site, CHAT_STREAM, b"cut_at=100", minor=0)
        await client.read_all()
        assert client.was_reset


@pytest.mark.parametrize("is_reset", [False, True], ids=["leaves", "resets"])
@pytest.mark.parametrize(
    "knobs",
    [
        b"delay_head_ms=600000",
        b"delay_first_ms=600000",
        b"delay_frame_ms=600000",
        b"stall_at=0",
        b"stall_at=100",
        b"delay_head_ms=600000; refuse=1",
        b"delay_head_ms=600000; garbage=1",
    ],
)
async def test_client_that_leaves_ends_the_play(serve: Serve, knobs: bytes, *, is_reset: bool) -> None:
    """Wherever the backend waits, nothing of the exchange is left once its client is gone."""
    async with serve(backend_of().serve) as site:
        client = await ask(site, CHAT_STREAM, knobs)
        await until(lambda: site.service.in_flight == 1)
        if b"head" not in knobs:
            await client.read_until(b"\r\n\r\n")
        client.reset() if is_reset else client.close()
        assert await site.is_idle()


async def check_slow_reader(serve: Serve, knobs: bytes) -> None:
    """A client that takes nothing of a large stream stops it, and gets all of it in the end."""
    async with serve(backend_of().serve) as site:
        client = await site.connected(receive_buffer_bytes=4096)
        client.send(CHAT_STREAM.encode(knobs))
        await until(lambda: any(connection.is_congested for connection in site.service.connections))
        raw = await client.read_until(b"[DONE]\n\n\r\n0\r\n\r\n")
        found = split_answer(raw, b"POST", has_ended=True)
        assert found is not None
        assert found[0].body == CHAT_STREAM.payload(knobs)


async def test_slow_reader_holds_the_backend(serve: Serve) -> None:
    """Back-pressure reaches the backend, and nothing is lost by it."""
    await check_slow_reader(serve, b"deltas=2000; delta_chars=4000")


async def test_slow_reader_of_a_last_answer_gets_all_of_it(serve: Serve) -> None:
    """The same holds when the connection closes as soon as the client has caught up."""
    await check_slow_reader(serve, b"deltas=2000; delta_chars=4000; keepalive=0")


@pytest.mark.parametrize("knobs", [b"bogus=1", b"cut_at=-1", b"split=0", b"cut_at=1; stall_at=1", b"\xff=1"])
async def test_bad_knob_is_refused_by_name(serve: Serve, knobs: bytes) -> None:
    """A typing error in a knob is an error answer and not a silent default."""
    async with serve(backend_of().serve) as site:
        client = await ask(site, CHAT, knobs)
        got = await client.read_answer(b"POST")
        assert got.status == 400
        assert "x-mock" in orjson.loads(got.body)["error"]["message"]


async def test_script_goes_by_the_number_of_the_request(serve: Serve) -> None:
    """Requests are counted over all connections, and knobs of a request win over the script."""
    backend = MockBackend(lambda number: Script(status=500 + number) if number else None)
    async with serve(backend.serve) as site:
        statuses = []
        for knobs in (b"", b"", b"", b"status=418"):
            client = await ask(site, CHAT, knobs)
            statuses.append((await client.read_answer(b"POST")).status)
        assert statuses == [200, 501, 502, 418]
        assert backend.served == 4
