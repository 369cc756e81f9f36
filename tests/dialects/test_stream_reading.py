"""What readers of event streams share."""

import pytest

from busbar_fast.dialects.stream_reading import SseReader
from busbar_fast.errors import Misshapen, NotJson, TooDeep, UpstreamGarbled
from busbar_fast.ir.events import Sink
from busbar_fast.ir.report import Report
from tests.dialects.translating import Recorder

WRONG = {b"json": NotJson(), b"deep": TooDeep(), b"shape": Misshapen("x")}


class Reader(SseReader):
    """Keeps what it is told; some payloads are wrong, one is the end."""

    __slots__ = ("told",)

    def __init__(self, sink: Sink) -> None:
        super().__init__(sink, Report())
        self.told: list[tuple[bytes, bytes]] = []

    def read_event(self, name: bytes, payload: bytes) -> None:
        self.told.append((name, payload))
        if payload in WRONG:
            raise WRONG[payload]
        self.has_ended = self.has_ended or payload == b"end"


def reader() -> tuple[Reader, Recorder]:
    """Return a reader and its sink."""
    recorder = Recorder()
    return Reader(recorder), recorder


@pytest.mark.parametrize("size", [1, 3, 100])
def test_events_are_cut_out(size: int) -> None:
    """IR case 60: names, CRLF, several data lines, comments, and the last one without its empty line."""
    made, recorder = reader()
    stream = b"event: a\r\ndata: 1\r\ndata: 2\r\n\r\n: ping\n\nevent: lonely\n\ndata: end"
    for at in range(0, len(stream), size):
        made.feed(stream[at : at + size])
    made.end()
    assert made.told == [(b"a", b"1\n2"), (b"", b"end")]
    assert recorder.calls == [("end", True)]


def test_events_that_cannot_be_read_are_skipped() -> None:
    """IR case 59: one bad event does not spoil the others."""
    made, recorder = reader()
    made.feed(b"".join(b"data: %b\n\n" % payload for payload in (*WRONG, b"x")))
    made.end()
    assert made.told[-1] == (b"", b"x")
    assert recorder.calls == [("end", False)]


def test_event_without_an_end_is_refused() -> None:
    """IR case 61: no more than 16 MiB are held for one."""
    made, _ = reader()
    with pytest.raises(UpstreamGarbled):
        made.feed(b"data: " + b"x" * (17 * 1024 * 1024))
