"""The stream client against a fake transport: it counts what is right and reports what is not."""

import asyncio
from collections.abc import Iterator

import pytest

from perf import shapes
from perf.streams import StreamCaller, Tally

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
STREAM = HEAD + b"".join(b"%x\r\n%s\r\n" % (len(frame), frame) for frame in shapes.stream_frames()) + b"0\r\n\r\n"


class Wire(asyncio.Transport):
    """A transport that keeps what is written and knows whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[object] = []
        self.is_closed = False

    def write(self, data: object) -> None:
        """Keep it."""
        self.writes.append(data)

    def close(self) -> None:
        """Remember it."""
        self.is_closed = True

    abort = close


class Call:
    """One caller with its tally, its wire and its future."""

    def __init__(self, loop: asyncio.AbstractEventLoop, count: int) -> None:
        self.tally = Tally(count, 1)
        self.done: asyncio.Future[None] = loop.create_future()
        self.wire = Wire()
        self.caller = StreamCaller(self.tally, b"request", self.done)
        self.caller.connection_made(self.wire)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Return a loop of its own."""
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.mark.parametrize("size", [1, 2, 5, 170, 100_000])
def test_streams_are_counted_at_any_split(loop: asyncio.AbstractEventLoop, size: int) -> None:
    """One stream follows the other, and the connection closes after the last."""
    call = Call(loop, count=2)
    for _ in range(2):
        for at in range(0, len(STREAM), size):
            call.caller.data_received(STREAM[at : at + size])
    assert (call.tally.completed, call.tally.failures) == (2, [])
    assert call.wire.writes == [b"request", b"request"]
    assert call.wire.is_closed
    assert call.done.done()


def test_longest_silence_is_kept(loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is the time between two pieces of one stream, not the one between two streams."""
    call = Call(loop, count=2)
    for at_s, piece in ((5.0, STREAM[:500]), (5.25, STREAM[500:700]), (5.3, STREAM[700:]), (9.0, STREAM)):
        monkeypatch.setattr("time.monotonic", lambda at_s=at_s: at_s)
        call.caller.data_received(piece)
    assert (call.tally.completed, call.tally.longest_gap_s) == (2, 0.25)


@pytest.mark.parametrize(
    "raw",
    [
        STREAM.replace(b"token 000000007", b"token 000000008"),
        STREAM.replace(b"200 OK", b"503 No"),
        STREAM.replace(b"a6\r\n", b"a5\r\n", 1),
        HEAD + b"0\r\n\r\n",
    ],
)
def test_wrong_stream_is_a_failure(loop: asyncio.AbstractEventLoop, raw: bytes) -> None:
    """A changed byte, another status, a torn chunk and an empty body each end the connection as a failure."""
    call = Call(loop, count=5)
    call.caller.data_received(raw)
    assert (call.tally.completed, len(call.tally.failures)) == (0, 1)
    assert call.done.done()


def test_lost_connection_is_a_failure_only_inside_a_stream(loop: asyncio.AbstractEventLoop) -> None:
    """After the last stream the connection may go."""
    early, late = Call(loop, count=1), Call(loop, count=1)
    early.caller.data_received(STREAM[:500])
    late.caller.data_received(STREAM)
    for call in (early, late):
        call.caller.connection_lost(None)
    assert (len(early.tally.failures), late.tally.failures) == (1, [])
