"""What readers of event streams share: cutting the bytes into events, and the end. Hot."""

from abc import ABC, abstractmethod

from busbar_fast.errors import Misshapen, NotJson, TooDeep
from busbar_fast.ir.events import Sink
from busbar_fast.ir.report import Report
from busbar_fast.wire.sse import SseSplitter, parse_event


class SseReader(ABC):
    """Reads an event stream; a dialect says what an event means. `has_ended` is set once one said that it is complete.

    An event that is no JSON, or has another shape than it should, is skipped.
    """

    __slots__ = ("_splitter", "has_ended", "report", "sink")

    def __init__(self, sink: Sink, report: Report) -> None:
        self.sink = sink
        self.report = report
        self.has_ended = False
        self._splitter = SseSplitter()

    @abstractmethod
    def read_event(self, name: bytes, payload: bytes) -> None:
        """Take what an event says. May raise NotJson, TooDeep and Misshapen."""

    def feed(self, piece: bytes) -> None:
        """Read the next bytes, cut anywhere. Raise UpstreamGarbled if an event does not end."""
        for event in self._splitter.feed(piece):
            self._read(event)

    def end(self) -> None:
        """Read what has come without its empty line, and end the sink."""
        rest = self._splitter.take_rest()
        if rest:
            self._read(rest)
        self.sink.end(is_natural=self.has_ended)

    def _read(self, event: bytes) -> None:
        parsed = parse_event(event)
        if parsed.payload:
            try:  # HOT: `suppress` takes as long as reading a small event, CPython 3.11, 2026-11
                self.read_event(parsed.name or b"", parsed.payload)
            except (NotJson, TooDeep, Misshapen):
                return  # skipped
