"""The perf upstream against a fake transport: what it writes, and when it waits."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from perf import http_reply, shapes
from perf.upstream import Upstream


class Wire(asyncio.Transport):
    """A transport that keeps what is written and tells the protocol to pause after so many writes."""

    def __init__(self, protocol: Upstream, pause_after: int = 0) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self._protocol = protocol
        self._pause_after = pause_after
        protocol.connection_made(self)

    def write(self, data: object) -> None:
        """Keep it."""
        assert isinstance(data, bytes)
        self.writes.append(data)
        if self._pause_after and len(self.writes) % self._pause_after == 0:
            self._protocol.pause_writing()

    def answer(self) -> tuple[int, bytes] | None:
        """Return what a client makes of all of it."""
        return http_reply.maybe_payload(b"".join(self.writes))


class InstantLoop(asyncio.SelectorEventLoop):
    """A loop that notes pauses instead of making them."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses_ms: list[int] = []

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        """Note the pause and run the callback at once."""
        if delay:
            self.pauses_ms.append(round(delay * 1000))
        return super().call_later(0, callback, *args, context=context)

    def run_until_idle(self) -> None:
        """Run enough turns for a whole stream."""
        for _ in range(300):
            turn(self)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Return a loop of its own."""
    made = asyncio.new_event_loop()
    yield made
    made.close()


def turn(loop: asyncio.AbstractEventLoop) -> None:
    """Run the loop for one turn."""
    loop.call_soon(loop.stop)
    loop.run_forever()


def test_json_request_is_answered_at_any_split(loop: asyncio.AbstractEventLoop) -> None:
    """The answer waits for the last byte of the request and comes in one write."""
    request = shapes.encode_call(1, shapes.REQUEST)
    for at in range(1, len(request)):
        upstream = Upstream(loop)
        wire = Wire(upstream)
        upstream.data_received(request[:at])
        assert wire.writes == []
        upstream.data_received(request[at:])
        assert len(wire.writes) == 1
        assert wire.answer() == (200, shapes.REPLY)


def test_longer_answer_on_request(loop: asyncio.AbstractEventLoop) -> None:
    """A wish at the end of a body is heard, however long the body is; the same words in its middle are none."""
    wish = b'"perf-reply=5000"'
    for body, due in (
        (b'{"model":"m","x":"%b","user":%b}' % (b"y" * 900, wish), shapes.long_reply(5000)),
        (b'{"model":"m","user":%b,"x":"%b"}' % (wish, b"y" * 900), shapes.REPLY),
    ):
        upstream = Upstream(loop)
        wire = Wire(upstream)
        upstream.data_received(shapes.encode_call(1, body))
        assert wire.answer() == (200, due)


def test_stream_is_one_write_for_each_turn(loop: asyncio.AbstractEventLoop) -> None:
    """The head leaves at once, each frame in a turn of its own, the end with the last frame."""
    upstream = Upstream(loop)
    wire = Wire(upstream)
    upstream.data_received(shapes.encode_call(1, shapes.stream_request()))
    for written in range(shapes.FRAME_COUNT):
        assert len(wire.writes) == 1 + written
        turn(loop)
    assert wire.answer() == (200, b"".join(shapes.stream_frames()))


@pytest.mark.parametrize(("wish", "pauses"), [({"gap_ms": 3}, [3]), ({"pace_ms": 2}, [2] * 66), ({}, [])])
def test_stream_pauses_as_asked(wish: dict[str, int], pauses: list[int]) -> None:
    """A gap comes once, after the first frame, and a pace between all of them."""
    loop = InstantLoop()
    upstream = Upstream(loop)
    wire = Wire(upstream)
    upstream.data_received(shapes.encode_call(1, shapes.stream_request(**wish)))
    loop.run_until_idle()
    loop.close()
    assert loop.pauses_ms == pauses
    assert wire.answer() == (200, b"".join(shapes.stream_frames()))


def test_stream_ends_when_the_peer_leaves(loop: asyncio.AbstractEventLoop) -> None:
    """Nothing is written to a connection that is gone."""
    upstream = Upstream(loop)
    wire = Wire(upstream)
    upstream.data_received(shapes.encode_call(1, shapes.stream_request()))
    turn(loop)
    upstream.connection_lost(None)
    turn(loop)
    assert len(wire.writes) == 2


@pytest.mark.parametrize("total_bytes", [0, 3, 16_384, 32_768, 100_000])
@pytest.mark.parametrize("pause_after", [1, 2, 3, 0])
def test_long_stream_waits_for_its_reader_and_is_complete(
    loop: asyncio.AbstractEventLoop, total_bytes: int, pause_after: int
) -> None:
    """However often the reader lags, exactly the asked number of bytes comes, then the end."""
    upstream = Upstream(loop)
    wire = Wire(upstream, pause_after)
    upstream.data_received(b"GET /big?bytes=%d HTTP/1.1\r\n\r\n" % total_bytes)
    for _ in range(20):
        upstream.resume_writing()
    answer = wire.answer()
    assert answer is not None
    assert (answer[0], len(answer[1])) == (200, total_bytes)


def test_long_stream_stops_while_its_reader_lags(loop: asyncio.AbstractEventLoop) -> None:
    """A paused upstream writes nothing more."""
    upstream = Upstream(loop)
    wire = Wire(upstream, pause_after=3)
    upstream.data_received(shapes.encode_call(1, shapes.stream_request(total_bytes=1_000_000)))
    assert len(wire.writes) == 3


def test_request_without_a_length_is_refused(loop: asyncio.AbstractEventLoop) -> None:
    """Chunked requests are beyond this upstream, and it says so."""
    upstream = Upstream(loop)
    wire = Wire(upstream)
    wire.close = lambda: None  # type: ignore[method-assign]
    upstream.data_received(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert wire.writes[0].startswith(b"HTTP/1.1 411 ")
