"""Taps that find the usage in an answer while its bytes go by.

They must not know where the bytes come from or what usage costs; they keep no more than CAP_BYTES of an answer and
never raise, whatever the bytes are.

Theory of operation. A whole answer has a member `usage`; a stream has one inside the message of its first event and
one in the event that ends the message, and what the later one says counts. Input is reported in three parts that add
up: fresh, written to the cache, read from it. Output includes thinking.
"""

from contextlib import suppress
from typing import Final

from busbar_fast.dialects.dialect import Usage, UsageTap
from busbar_fast.errors import NotJson, TooDeep, UpstreamGarbled
from busbar_fast.wire.json_scan import MemberScanner, Span, find_members, is_object
from busbar_fast.wire.sse import SseSplitter, parse_event

CAP_BYTES: Final = 64 * 1024  # of one event, or of one usage; larger ones are ignored

_MESSAGE: Final = b"message"
_USAGE: Final = b"usage"
_INPUTS: Final = (b"input_tokens", b"cache_creation_input_tokens", b"cache_read_input_tokens")
_OUTPUT: Final = b"output_tokens"
_COUNTS: Final = (*_INPUTS, _OUTPUT)
_COUNT_DIGITS: Final = 18  # more is no count, and the sum of three such still fits 64 bits


def new_tap(content_type: bytes) -> UsageTap:
    """Return a tap for an event stream or, whatever else the type says, for one JSON document."""
    if content_type.lstrip()[:17].lower() == b"text/event-stream":
        return StreamTap()
    return BodyTap()


class _Tally(UsageTap):
    """The counts seen so far, by their names; a later one replaces an earlier one."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[bytes, int] = {}

    def maybe_usage(self) -> Usage | None:
        if not self._counts:
            return None
        return Usage(sum(self._counts.get(name, 0) for name in _INPUTS), self._counts.get(_OUTPUT, 0))

    def _read_usage(self, document: bytes, span: Span) -> None:
        """Take the counts of the object in this span; what is no count, such as null, counts as not said."""
        for name, spans in find_members(document, _COUNTS, *span).items():
            start, end = spans[-1]
            raw = document[start:end]
            if raw.isdigit() and len(raw) <= _COUNT_DIGITS:
                self._counts[name] = int(raw)


class BodyTap(_Tally):
    """Watches one JSON document."""

    __slots__ = ("_base", "_kept", "_kept_bytes", "_scanner")

    def __init__(self) -> None:
        super().__init__()
        self._scanner: MemberScanner | None = MemberScanner((_USAGE,))
        self._base = 0  # the offset of the next piece
        self._kept: list[bytes] = []  # of a usage that began before it
        self._kept_bytes = 0

    def feed(self, piece: bytes) -> None:
        scanner = self._scanner
        if scanner is None:
            return
        try:
            scanner.feed(piece)
        except (NotJson, TooDeep):
            self._scanner = None
        for start, end in scanner.found.pop(_USAGE, ()):
            if end - start <= CAP_BYTES:
                self._read_value(piece, start - self._base, end - self._base)
        self._keep(piece, scanner.open_start)
        self._base += len(piece)

    def _read_value(self, piece: bytes, start: int, end: int) -> None:
        """Read the value that ends in this piece; a negative start means that it began before."""
        value = piece[start:end] if start >= 0 else b"".join((*self._kept, piece[:end]))
        span = (0, len(value))
        if is_object(value, span):
            with suppress(NotJson, TooDeep):
                self._read_usage(value, span)

    def _keep(self, piece: bytes, open_start: int | None) -> None:
        """Keep what there is of a usage that has not ended, until it is too large to be one."""
        if open_start is None or open_start >= self._base:
            self._kept.clear()
            self._kept_bytes = 0
        if open_start is not None and self._kept_bytes <= CAP_BYTES:
            part = piece[max(open_start - self._base, 0) :][: CAP_BYTES + 1]
            self._kept.append(part)
            self._kept_bytes += len(part)


class StreamTap(_Tally):
    """Watches an event stream."""

    __slots__ = ("_is_skipping", "_splitter")

    def __init__(self) -> None:
        super().__init__()
        self._splitter = SseSplitter(CAP_BYTES)
        self._is_skipping = False  # inside an event that is too large

    def feed(self, piece: bytes) -> None:
        for start in range(0, len(piece), CAP_BYTES):
            self._feed_part(piece[start : start + CAP_BYTES])

    def _feed_part(self, part: bytes) -> None:
        """Read the events that end in this part, which is so short that an event is too large only if none does."""
        try:
            events = self._splitter.feed(part)
        except UpstreamGarbled:
            # The last byte may be half of the empty line that ends the event.
            self._splitter = SseSplitter(CAP_BYTES)
            self._splitter.feed(part[-1:])
            self._is_skipping = True
            return
        if self._is_skipping and events:
            del events[0]
            self._is_skipping = False
        for event in events:
            # Most events are deltas of text, and these need no closer look.
            if b'usage"' in event and len(event) <= CAP_BYTES:
                self._read_event(event)

    def _read_event(self, event: bytes) -> None:
        payload = parse_event(event).payload
        if payload is None:
            return
        with suppress(NotJson, TooDeep):
            for name, spans in find_members(payload, (_MESSAGE, _USAGE)).items():
                if is_object(payload, spans[-1]):
                    self._read_part(payload, name, spans[-1])

    def _read_part(self, payload: bytes, name: bytes, span: Span) -> None:
        if name == _USAGE:
            self._read_usage(payload, span)
            return
        spans = find_members(payload, (_USAGE,), *span).get(_USAGE)
        if spans and is_object(payload, spans[-1]):
            self._read_usage(payload, spans[-1])
