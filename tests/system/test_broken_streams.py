"""Streams that break off, stop too early or report an error: what the client gets, and what the lane is blamed for."""

from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest

from busbar_fast.mock.script import Script
from tests.system.doors import Keeper
from tests.system.engines import running
from tests.system.fleets import Fleet, fleet
from tests.system.gateways import Utterance
from tests.system.origins import serving_upstream
from tests.system.rawclient import Answer, Truncated
from tests.system.serving import Serve, post

DIALECTS = ("openai", "responses", "anthropic", "cohere", "gemini", "array", "bedrock")
EVENTS = tuple(name for name in DIALECTS if name not in ("array", "bedrock"))
LONG: dict[str, Any] = {"deltas": 12, "delta_chars": 40}


def payloads(body: bytes) -> list[Any]:
    """Return what the events of a stream say; of a terminator its text."""
    said: list[Any] = []
    for block in body.replace(b"\r\n", b"\n").split(b"\n\n"):
        lines = [line.partition(b":")[2].strip() for line in block.split(b"\n") if line.startswith(b"data:")]
        if lines:
            raw = b"\n".join(lines)
            said.append(raw.decode() if raw == b"[DONE]" else orjson.loads(raw))
    return said


def check_broken(dialect: str, body: bytes) -> None:
    """The end of a stream is the dialect's own way to say that something failed, and names nobody in the middle."""
    for word in (b"upstream", b"proxy", b"gateway", b"lane", b"pool", b"127.0.0.1", b"busbar"):
        assert word not in body.lower()
    if dialect == "bedrock":
        assert b"internalServerException" in body
        return
    if dialect == "array":
        assert orjson.loads(body)[-1]["error"]["status"] == "INTERNAL"
        return
    said = payloads(body)
    last = said[-1]
    if dialect == "openai":
        assert (said[-2]["error"]["type"], last) == ("server_error", "[DONE]")
    elif dialect == "anthropic":
        assert (last["type"], last["error"]["type"]) == ("error", "api_error")
        assert not any(event["type"] == "message_stop" for event in said)
    elif dialect == "responses":
        assert (last["type"], last["response"]["status"]) == ("response.failed", "failed")
        assert last["response"]["error"]["code"] == "server_error"
        assert last["response"]["id"] == said[0]["response"]["id"]
    elif dialect == "gemini":
        assert (last["error"]["code"], last["error"]["status"]) == (500, "INTERNAL")
    else:
        ends = [event for event in said if event != "[DONE]" and event["type"] == "message-end"]
        assert [event["delta"]["finish_reason"] for event in ends] == ["ERROR"]


async def stream(made: Fleet) -> Answer:
    """Return a streamed answer."""
    return await made.ask(stream=True)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_whole_stream_is_a_success(tmp_path: Path, serve: Serve, dialect: str) -> None:
    """Reliability case 56: clean ends are no failures, in any dialect."""
    async with fleet(tmp_path, serve, [Script(**LONG)], dialect=dialect) as made:
        for number in range(1, 4):
            assert (await stream(made)).status == 200
            assert made.counts("m0") == (number, 0, 0)


@pytest.mark.parametrize("fault", ["cut_at", "reset_at"])
@pytest.mark.parametrize("dialect", [name for name in DIALECTS if name != "bedrock"])
@pytest.mark.parametrize("at", [900, 901, 950, 1003, 1100])
async def test_stream_that_breaks_off_ends_natively(
    tmp_path: Path, serve: Serve, dialect: str, fault: str, at: int
) -> None:
    """Reliability case 57: a break after the first bytes is told in band, is one failure, and gives its unit back."""
    script = Script(**LONG | {fault: at})
    async with fleet(tmp_path, serve, script, dialect=dialect, model="max_requests: 9") as made:
        got = await stream(made)
        assert got.status == 200
        check_broken(dialect, got.body)
        assert made.counts("m0") == (1, 1, 0)
        assert made.state("m0").budget == 9


async def test_frames_that_break_off_between_two_end_natively(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 57: behind a whole frame an exception frame ends the stream; inside one only a cut can."""
    async with fleet(tmp_path, serve, [Script(**LONG)], dialect="bedrock") as made:
        whole = (await stream(made)).body
    edges, at = [], 0
    while at < len(whole):
        at += int.from_bytes(whole[at : at + 4], "big")
        edges.append(at)
    fates = [Script(**LONG, cut_at=edges[4]), Script(**LONG, cut_at=edges[4] + 1)]
    async with fleet(tmp_path, serve, fates, dialect="bedrock") as made:
        got = await stream(made)
        assert got.body.startswith(whole[: edges[4]])
        check_broken("bedrock", got.body)
        with pytest.raises(Truncated):
            await stream(made)
        assert made.counts("m0") == (2, 2, 0)


@pytest.mark.parametrize("dialect", EVENTS)
@pytest.mark.parametrize("status", [529, 500])
async def test_stream_that_begins_with_an_error_is_another_lanes(
    tmp_path: Path, serve: Serve, dialect: str, status: int
) -> None:
    """Reliability case 55: an error as the first event is a failure like any other, and another member serves."""
    async with fleet(
        tmp_path, serve, Script(status=status, error="Kaputt", fail_after=0), None, dialect=dialect
    ) as made:
        got = await stream(made)
        assert got.status == 200
        assert b"Kaputt" not in got.body
        assert (made.counts("m0"), made.counts("m1")) == ((0, 1, 0), (1, 0, 0))


@pytest.mark.parametrize("body", [b"", b": still here\n\n", b"retry: 5\n\n\n\n: x\n\n"])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_stream_without_an_event_is_another_lanes(
    tmp_path: Path, serve: Serve, dialect: str, body: bytes
) -> None:
    """Reliability case 54: good headers and nothing that means anything is one failure, and another member serves."""
    kind = b"application/vnd.amazon.eventstream" if dialect == "bedrock" else b"text/event-stream"
    silence = Utterance(kind, b"" if dialect == "bedrock" else body)
    async with fleet(tmp_path, serve, silence, None, dialect=dialect) as made:
        assert (await stream(made)).status == 200
        assert (made.counts("m0"), made.counts("m1")) == ((0, 1, 0), (1, 0, 0))


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
DELTA = b'data: {"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
FAULT = b'data: {"error":{"message":"Kaputt","type":"server_error","code":null}}\n\n'


def chunk(payload: bytes) -> bytes:
    """Return a chunk."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)


async def tell(folder: Path, *pieces: bytes, closes: bool = False) -> tuple[Answer | None, tuple[int, int]]:
    """Return what a client has of a stream that an upstream tells in pieces, None if it sees a truncation.

    The second part is what the lane counts. There is another lane, which answers with its own name.
    """
    async with serving_upstream() as bad, serving_upstream() as good:
        bad.script = Keeper(*pieces, closes=closes)
        good.script = Keeper(
            CHUNKED + chunk(DELTA.replace(b'"a"', b'"other"')) + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"
        )
        text = f"""
listen: 127.0.0.1:0
providers:
  bad: {{protocol: openai, base_url: "http://127.0.0.1:{bad.port}", api_key_env: UP_KEY}}
  good: {{protocol: openai, base_url: "http://127.0.0.1:{good.port}", api_key_env: UP_KEY}}
models: {{m0: {{provider: bad}}, m1: {{provider: good}}}}
pools: {{pool: {{members: [{{target: m0, weight: 100}}, {{target: m1}}]}}}}
"""
        async with running(folder, text) as site:
            client = site.connect()
            client.send(post(b'{"model":"pool","stream":true,"messages":[]}', target=b"/v1/chat/completions"))
            try:
                got = await client.read_answer()
            except (Truncated, ConnectionResetError):  # the second where the end of the connection ends an answer
                got = None
            client.close()
            state = site.engine.lanes["m0"].state
            return got, (state.ok, state.err)


@pytest.mark.parametrize("front", [b": PROCESSING\n\n", b"retry: 1000\n\n", b"\n", b"\r\n: x\r\n\r\n", b": x\n"])
async def test_comment_is_no_first_event(tmp_path: Path, front: bytes) -> None:
    """Reliability case 55: an error behind comments is the first event still, however it is cut into pieces."""
    for pieces in ((CHUNKED, chunk(front), chunk(FAULT)), (CHUNKED + chunk(front + FAULT),)):
        got, counts = await tell(tmp_path, *pieces, b"0\r\n\r\n")
        assert got is not None
        assert b'"other"' in got.body
        assert counts == (0, 1)


async def test_comments_in_front_of_a_good_stream_are_passed_on(tmp_path: Path) -> None:
    """Reliability §6: what is held back until the first event comes out with it."""
    said = b": PROCESSING\n\n" + DELTA + b"data: [DONE]\n\n"
    got, counts = await tell(tmp_path, CHUNKED, chunk(said[:9]), chunk(said[9:30]), chunk(said[30:]), b"0\r\n\r\n")
    assert got is not None
    assert (got.body, counts) == (said, (1, 0))


async def test_comments_may_be_longer_than_what_is_held_back(tmp_path: Path) -> None:
    """Reliability §6: a stream that goes on behind very long comments is a good one, and loses no byte."""
    said = b": %b\n\n" % (b"x" * 1000) * 80 + DELTA + b"data: [DONE]\n\n"
    pieces = [chunk(said[at : at + 5000]) for at in range(0, len(said), 5000)]
    got, counts = await tell(tmp_path, CHUNKED, *pieces, b"0\r\n\r\n")
    assert got is not None
    assert (got.body, counts) == (said, (1, 0))


@pytest.mark.parametrize(("event", "counts"), [(DELTA, (1, 0)), (FAULT, (0, 1))])
async def test_byte_order_mark_is_no_comment(tmp_path: Path, event: bytes, counts: tuple[int, int]) -> None:
    """Reliability case 55: the first event is one also behind a byte order mark, good or an error."""
    said = b"\xef\xbb\xbf" + event + b"data: [DONE]\n\n"
    got, found = await tell(tmp_path, CHUNKED, chunk(said[:30]), chunk(said[30:]), b"0\r\n\r\n")
    assert got is not None
    assert found == counts
    assert (got.body == said) is (counts == (1, 0))


async def test_long_error_in_front_of_the_terminator_is_counted(tmp_path: Path) -> None:
    """Reliability D22: an error is one however long its words are, and in how many pieces they come."""
    fault = FAULT.replace(b"Kaputt", b"x" * 6000)
    pieces = [chunk(fault[at : at + 1000]) for at in range(0, len(fault), 1000)]
    got, counts = await tell(tmp_path, CHUNKED, chunk(DELTA), *pieces, chunk(b"data: [DONE]\n\n"), b"0\r\n\r\n")
    assert got is not None
    assert (got.body, counts) == (DELTA + fault + b"data: [DONE]\n\n", (1, 1))


@pytest.mark.parametrize("is_chunked", [True, False])
async def test_stream_that_stops_inside_a_long_event_is_cut(tmp_path: Path, *, is_chunked: bool) -> None:
    """Reliability case 61: where no native end can be made of what has come, the client sees a truncation."""
    pieces = [DELTA, b'data: {"', *[b"x" * 2100] * 12]
    written = [chunk(piece) for piece in pieces] if is_chunked else pieces
    head, end = (CHUNKED, b"0\r\n\r\n") if is_chunked else (HEAD + b"Connection: close\r\n\r\n", b"")
    assert await tell(tmp_path, head, *written, end, closes=not is_chunked) == (None, (1, 1))


@pytest.mark.parametrize("dialect", EVENTS)
async def test_error_inside_a_stream_is_relayed_and_counted(tmp_path: Path, serve: Serve, dialect: str) -> None:
    """Reliability D22: an error after good events reaches the client as it came, and the success becomes a failure."""
    script = Script(**LONG, status=529, error="Kaputt", fail_after=9, delay_frame_ms=10)
    async with fleet(tmp_path, serve, script, None, dialect=dialect) as made:
        got = await stream(made)
        assert b"Kaputt" in got.body
        assert made.counts("m0") == (1, 1, 0)
        assert made.asked == "0"


async def test_three_deaths_trip(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 59: streams that begin well and die count in a row."""
    pool = "breaker: {trip: {mode: consecutive, consecutive_n: 3}}"
    async with fleet(tmp_path, serve, Script(**LONG, cut_at=900), pool=pool) as made:
        for _ in range(3):
            assert (await stream(made)).status == 200
        assert made.state("m0").cells["pool"].state.name == "OPEN"
        assert (await stream(made)).status == 503


async def test_document_that_breaks_off_is_cut(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 58: a body too large to be held is cut so that it shows, one failure, the unit comes back."""
    script = Script(body_bytes=200_000, cut_at=150_000)
    async with fleet(tmp_path, serve, script, model="max_requests: 9") as made:
        with pytest.raises(Truncated):
            await made.ask()
        assert made.counts("m0") == (1, 1, 0)
        assert made.state("m0").budget == 9


@pytest.mark.timeout(60)
@pytest.mark.parametrize("fault", ["cut_at", "reset_at"])
async def test_stream_in_crumbs_that_breaks_off_is_sound(tmp_path: Path, serve: Serve, fault: str) -> None:
    """Reliability case 57: however a stream is cut into chunks, what a client gets of a broken one can be parsed."""
    draw = Random(3)
    sizes = (2, 7, 16, 19, 30, 64, 200, 300)
    crumbs: dict[str, Any] = {"deltas": 8, "delta_chars": 5}
    scripts = [Script(**crumbs | {"split": draw.choice(sizes), fault: draw.randrange(700, 2400)}) for _ in range(60)]
    async with fleet(tmp_path, serve, scripts, pool="breaker: {trip: {min_requests: 1000}}") as made:
        for _ in scripts:
            got = await stream(made)
            if got.status == 200:
                said = payloads(got.body)
                assert "error" in said[-2] or said[-2]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("dialect", ["openai", "anthropic", "gemini"])
async def test_stream_lasts_as_long_as_it_goes_on(tmp_path: Path, serve: Serve, dialect: str) -> None:
    """Reliability case 62: no length of time ends a stream that goes on, silence does, with a native error."""
    slow, mute = Script(deltas=9, delay_frame_ms=200), Script(**LONG | {"stall_at": 1100})
    limits = "limits: {upstream_request_timeout_secs: 1}"
    async with fleet(tmp_path, serve, [slow, mute], dialect=dialect, top=limits) as made:
        answer = await stream(made)
        assert answer.status == 200
        assert made.counts("m0") == (1, 0, 0)
        check_broken(dialect, (await stream(made)).body)
        assert made.counts("m0") == (2, 1, 0)
