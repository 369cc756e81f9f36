"""Taps that find the usage in an answer while its bytes go by.

They must not know where the bytes come from or what usage costs; they keep no more than CAP_BYTES of an answer and
never raise, whatever the bytes are.

Theory of operation. A whole answer has a member `usage`, a stream has one in the `delta` of the event that ends the
message. Counts come as `tokens`, which we prefer, and as `billed_units`; both include what was read from a cache.
"""

import re
from contextlib import suppress
from typing import Final

from busbar_fast.dialects.dialect import Usage, UsageTap
from busbar_fast.errors import NotJson, TooDeep, UpstreamGarbled
from busbar_fast.wire.json_scan import MemberScanner, Span, find_members, is_object
from busbar_fast.wire.sse import SseSplitter, parse_event

CAP_BYTES: Final = 64 * 1024  # of one event, or of one usage; larger ones are ignored

_DELTA: Final = b"delta"
_USAGE: Final = b"usage"
_TOKENS: Final = b"tokens"
_BILLED: Final = b"billed_units"
_CACHED: Final = b"cached_tokens"
_INPUT: Final = b"input_tokens"
_OUTPUT: Final = b"output_tokens"

_COUNT_CAP: Final = 10**18  # more is no count
# A number, or a string that holds one. The vendor's type is a float, so `31.0` is a count.
_match_count = re.compile(rb'("?)([0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][-+]?[0-9]{1,3})?)\1').fullmatch


def new_tap(content_type: bytes) -> UsageTap:
    """Return a tap for an event stream or, whatever else the type says, for one JSON document."""
    if content_type.lstrip()[:17].lower() == b"text/event-stream":
        return StreamTap()
    return BodyTap()


class _Tally(UsageTap):
    """The usage seen last."""

    __slots__ = ("_usage",)

    def __init__(self) -> None:
        self._usage: Usage | None = None

    def maybe_usage(self) -> Usage | None:
        return self._usage

    def _read_usage(self, document: bytes, span: Span) -> None:
        """Read the object in this span."""
        found = find_members(document, (_TOKENS, _BILLED, _CACHED), *span)
        tokens, billed = (_read_pair(document, found.get(name)) for name in (_TOKENS, _BILLED))
        total = tokens[0] if tokens[0] is not None else billed[0]
        output = tokens[1] if tokens[1] is not None else billed[1]
        cached = _read_count(document, found.get(_CACHED))
        if (total, output, cached) != (None, None, None):
            self._usage = Usage(max(total or 0, cached or 0), output or 0)


def _read_pair(document: bytes, spans: list[Span] | None) -> tuple[int | None, int | None]:
    """Return the counts of input and output in an object."""
    if not spans or not is_object(document, spans[-1]):
        return None, None
    found = find_members(document, (_INPUT, _OUTPUT), *spans[-1])
    return _read_count(document, found.get(_INPUT)), _read_count(document, found.get(_OUTPUT))


def _read_count(document: bytes, spans: list[Span] | None) -> int | None:
    """Return a whole number, however it is written; None for anything else."""
    if not spans:
        return None
    start, end = spans[-1]
    match = _match_count(document[start:end])
    if match is None:
        return None
    raw = match[2]
    number = int(raw) if raw.isdigit() else float(raw)
    return int(number) if number < _COUNT_CAP and number == int(number) else None


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
            delta = find_members(payload, (_DELTA,)).get(_DELTA)
            if delta and is_object(payload, delta[-1]):
                usage = find_members(payload, (_USAGE,), *delta[-1]).get(_USAGE)
                if usage and is_object(payload, usage[-1]):
                    self._read_usage(payload, usage[-1])
