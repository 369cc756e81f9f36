"""Finds the counts in answers of this dialect while their bytes go by: a whole document, or events of documents.

Counts are cumulative, and some events carry only part of them, so the last value of each count stands. Bytes that are
not what they should be are passed over; nothing here raises. Memory is bounded: an event or a value of more than
`CAP_BYTES` is not looked at, unless it came in one piece with its end. Knows no HTTP and no prices.
"""

from typing import Final

from busbar_fast.dialects.dialect import Usage, UsageTap
from busbar_fast.errors import NotJson, TooDeep, UpstreamGarbled
from busbar_fast.wire.json_scan import MemberScanner, Span, find_members, is_object
from busbar_fast.wire.sse import SseSplitter, parse_event

CAP_BYTES: Final = 64 * 1024

_USAGE: Final = (b"usageMetadata",)
_PROMPT, _CACHED, _TOOLS = b"promptTokenCount", b"cachedContentTokenCount", b"toolUsePromptTokenCount"
_ANSWER, _THOUGHTS = b"candidatesTokenCount", b"thoughtsTokenCount"
_COUNTS: Final = (_PROMPT, _CACHED, _TOOLS, _ANSWER, _THOUGHTS)
_DIGITS: Final = 15  # more is no count of tokens
_EVENTS: Final = b"text/event-stream"


def new_tap(content_type: bytes) -> UsageTap:
    """Return a tap for this type of answer."""
    return EventsTap() if content_type.lower().startswith(_EVENTS) else DocumentTap()


class _Counts:
    """The last value of each count that was seen."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[bytes, int] = {}

    def read_document(self, document: bytes) -> None:
        """Take the counts of a whole answer or event."""
        try:
            spans = find_members(document, _USAGE).get(_USAGE[0], [])
        except (NotJson, TooDeep):
            return
        for span in spans[-1:]:
            self.read_usage(document, span)

    def read_usage(self, document: bytes, span: Span) -> None:
        """Take the counts of the object in this span, if it is one."""
        if not is_object(document, span):
            return
        try:
            found = find_members(document, _COUNTS, *span)
        except (NotJson, TooDeep):
            return
        for name, spans in found.items():
            start, end = spans[-1]
            raw = document[start:end]
            if raw.isdigit() and len(raw) <= _DIGITS:
                self._counts[name] = int(raw)

    def maybe_usage(self) -> Usage | None:
        """Return what the counts come to; thoughts are output, what tools put into the prompt is input."""
        get = self._counts.get
        if not self._counts:
            return None
        # Cached tokens are part of the prompt; if there are more of them, they are all that went in.
        prompt = max(get(_PROMPT, 0) + get(_TOOLS, 0), get(_CACHED, 0))
        return Usage(prompt, get(_ANSWER, 0) + get(_THOUGHTS, 0))


class EventsTap(UsageTap):
    """Reads a stream of events."""

    __slots__ = ("_counts", "_is_skipping", "_splitter")

    def __init__(self) -> None:
        self._counts = _Counts()
        self._splitter = SseSplitter(CAP_BYTES)
        self._is_skipping = False  # the event at hand is too large

    def feed(self, piece: bytes) -> None:
        """Read the events that end in this piece."""
        # In slices no larger than the cap an event either ends or leaves too much, so none is lost beside a large one.
        for at in range(0, len(piece), CAP_BYTES):
            self._feed_slice(piece[at : at + CAP_BYTES])

    def maybe_usage(self) -> Usage | None:
        """Return what was found so far; an event without its empty line counts, as it does for clients."""
        rest = self._splitter.take_rest()
        self._splitter.feed(rest)
        if not self._is_skipping:
            self._read(rest)
        return self._counts.maybe_usage()

    def _feed_slice(self, piece: bytes) -> None:
        try:
            events = self._splitter.feed(piece)
        except UpstreamGarbled:
            # The last byte may be half of what ends the event.
            self._splitter = SseSplitter(CAP_BYTES)
            self._splitter.feed(piece[-1:])
            self._is_skipping = True
            return
        if events and self._is_skipping:
            del events[0]
            self._is_skipping = False
        for event in events:
            self._read(event)

    def _read(self, event: bytes) -> None:
        payload = parse_event(event).payload
        if payload is not None:
            self._counts.read_document(payload)


class DocumentTap(UsageTap):
    """Reads one document, keeping nothing but the value it looks for."""

    __slots__ = ("_at", "_is_spent", "_kept", "_scanner", "_usage")

    def __init__(self) -> None:
        self._scanner = MemberScanner(_USAGE)
        self._at = 0  # where the next piece starts
        self._kept = bytearray()  # the beginning of the value that is still open
        self._is_spent = False
        self._usage: Usage | None = None

    def feed(self, piece: bytes) -> None:
        """Read the next piece of the document."""
        if self._is_spent:
            return
        try:
            self._scanner.feed(piece)
        except (NotJson, TooDeep):
            self._is_spent = True
        for span in self._scanner.found.pop(_USAGE[0], []):
            self._take(piece, span)
        self._keep(piece)
        self._at += len(piece)

    def maybe_usage(self) -> Usage | None:
        """Return what was found so far."""
        return self._usage

    def _take(self, piece: bytes, span: Span) -> None:
        """Read a value that ended in this piece."""
        start, end = span
        if start >= self._at:
            raw = piece[start - self._at : end - self._at]
        else:
            raw = bytes(self._kept) + piece[: end - self._at]
        self._kept.clear()
        if len(raw) == end - start:  # or else it was too large to be kept
            counts = _Counts()
            counts.read_usage(raw, (0, len(raw)))
            self._usage = counts.maybe_usage()

    def _keep(self, piece: bytes) -> None:
        """Keep what is here of a value that has not ended, as long as it is of a sane size."""
        start = self._scanner.open_start
        if start is None or self._is_spent:
            return
        part = piece[max(0, start - self._at) :]
        if len(self._kept) + len(part) <= CAP_BYTES:
            self._kept += part
        else:
            self._kept.clear()
