"""Finds the counts in answers of this dialect while their bytes go by: a whole document, or binary frames.

Input excludes what a cache read or took, so that is added; a stream tells its usage in one frame near its end. Bytes
that are not what they should be are passed over; nothing here raises. Memory is bounded: a frame or a value of more
than `CAP_BYTES` is not looked at, unless it came in one piece with its end. Knows no HTTP and no prices.
"""

from typing import Final

from busbar_fast.aws.eventstream import OVERHEAD_BYTES, FrameGarbled, FrameReader, Kind
from busbar_fast.dialects.dialect import Usage, UsageTap
from busbar_fast.errors import NotJson, TooDeep
from busbar_fast.wire.json_scan import MemberScanner, Span, find_members, is_object

CAP_BYTES: Final = 64 * 1024

_USAGE: Final = (b"usage",)
_INPUT, _OUTPUT = b"inputTokens", b"outputTokens"
# Some models spell the counts of the cache in a way of their own; either may stand there.
_CACHES: Final = (
    (b"cacheReadInputTokens", b"cacheReadInputTokenCount"),
    (b"cacheWriteInputTokens", b"cacheWriteInputTokenCount"),
)
_COUNTS: Final = (_INPUT, _OUTPUT, *_CACHES[0], *_CACHES[1])
_DIGITS: Final = 15  # more is no count of tokens
_FRAMES: Final = b"application/vnd.amazon.eventstream"
_LENGTH_BYTES: Final = 4  # a frame begins with its length


def new_tap(content_type: bytes) -> UsageTap:
    """Return a tap for this type of answer."""
    return FramesTap() if content_type.lower().startswith(_FRAMES) else DocumentTap()


def _read_document(document: bytes) -> Usage | None:
    """Return the usage that a whole document tells."""
    try:
        spans = find_members(document, _USAGE).get(_USAGE[0], [])
    except (NotJson, TooDeep):
        return None
    return _read_usage(document, spans[-1]) if spans else None


def _read_usage(document: bytes, span: Span) -> Usage | None:
    """Return the usage in this span, if it is an object with counts in it."""
    if not is_object(document, span):
        return None
    try:
        found = find_members(document, _COUNTS, *span)
    except (NotJson, TooDeep):
        return None
    counts: dict[bytes, int] = {}
    for name, spans in found.items():
        start, end = spans[-1]
        raw = document[start:end]
        if raw.isdigit() and len(raw) <= _DIGITS:
            counts[name] = int(raw)
    if not counts:
        return None
    cached = sum(counts.get(usual, counts.get(other, 0)) for usual, other in _CACHES)
    return Usage(counts.get(_INPUT, 0) + cached, counts.get(_OUTPUT, 0))


class FramesTap(UsageTap):
    """Reads a stream of binary frames."""

    __slots__ = ("_held", "_is_spent", "_reader", "_skipped_bytes", "_usage")

    def __init__(self) -> None:
        self._reader = FrameReader(CAP_BYTES)
        self._held = bytearray()  # the beginning of the frame at hand
        self._skipped_bytes = 0  # what is still to come of a frame that is too large
        self._is_spent = False
        self._usage: Usage | None = None

    def feed(self, piece: bytes) -> None:
        """Read the frames that end in this piece."""
        at = 0
        while at < len(piece) and not self._is_spent:
            if self._skipped_bytes:
                step = min(self._skipped_bytes, len(piece) - at)
                self._skipped_bytes -= step
            else:
                step = min(self._missing_bytes(), len(piece) - at)
                self._held += piece[at : at + step]
                self._judge()
            at += step

    def maybe_usage(self) -> Usage | None:
        """Return what was found so far."""
        return self._usage

    def _missing_bytes(self) -> int:
        """Return how much is to come of the length of a frame, or of the frame if that is known."""
        if len(self._held) < _LENGTH_BYTES:
            return _LENGTH_BYTES - len(self._held)
        return self._total_bytes() - len(self._held)

    def _total_bytes(self) -> int:
        return int.from_bytes(self._held[:_LENGTH_BYTES], "big")

    def _judge(self) -> None:
        """Decide what becomes of what is held: wait for more, read it, skip the rest, or give up."""
        if len(self._held) < _LENGTH_BYTES:
            return
        total_bytes = self._total_bytes()
        if total_bytes > CAP_BYTES:
            self._skipped_bytes = total_bytes - len(self._held)
            self._held.clear()
        elif total_bytes < OVERHEAD_BYTES:
            self._is_spent = True
        elif len(self._held) == total_bytes:
            self._read_frame(bytes(self._held))
            self._held.clear()

    def _read_frame(self, raw: bytes) -> None:
        self._reader.feed(raw)
        try:
            frame = self._reader.maybe_next()
        except FrameGarbled:
            self._is_spent = True
            return
        if frame is not None and frame.kind is Kind.EVENT and frame.event_type == "metadata":
            self._usage = _read_document(frame.payload) or self._usage


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
            self._usage = _read_usage(raw, (0, len(raw)))

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
