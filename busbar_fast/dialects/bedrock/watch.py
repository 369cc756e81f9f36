"""What answers of this dialect count, and how its streams of binary frames end. Knows no HTTP and no prices.

Input excludes what a cache read or took, so that is added; a stream tells its usage in one frame near its end. Bytes
that are not what they should be are passed over; nothing here raises. Of a frame of more than `CAP_BYTES` nothing is
kept; only its type is read.
"""

from contextlib import suppress
from typing import Final

from busbar_fast.aws.eventstream import OVERHEAD_BYTES, Frame, FrameGarbled, FrameReader, Kind
from busbar_fast.dialects.dialect import StreamFault, Usage, Watch
from busbar_fast.dialects.watching import CAP_BYTES, DocumentWatch, maybe_object, read_counts
from busbar_fast.errors import NotJson, TooDeep

_USAGE: Final = b"usage"
_INPUT: Final = b"inputTokens"
_OUTPUT: Final = b"outputTokens"
# Some models spell the counts of the cache in a way of their own; either may stand there.
_CACHES: Final = (
    (b"cacheReadInputTokens", b"cacheReadInputTokenCount"),
    (b"cacheWriteInputTokens", b"cacheWriteInputTokenCount"),
)
_COUNTS: Final[tuple[bytes, ...]] = (_INPUT, _OUTPUT, *_CACHES[0], *_CACHES[1])
_FRAMES: Final = b"application/vnd.amazon.eventstream"
_LENGTH_BYTES: Final = 4  # a frame begins with its length
# The header of the frames that most of a stream consists of, and how far from the start of a frame it is looked for.
_DELTA: Final = b":event-type\x07\x00\x11contentBlockDelta"
_HEAD_BYTES: Final = 160


def new_watch(content_type: bytes) -> Watch:
    """Return what looks at this type of answer."""
    if content_type.lstrip()[: len(_FRAMES)].lower() == _FRAMES:
        return FrameWatch()
    return DocumentWatch(_USAGE, _read_usage)


def _read_usage(raw: bytes) -> Usage | None:
    """Return what a usage value counts, whatever it is."""
    try:
        counts = read_counts(raw, _COUNTS)
    except (NotJson, TooDeep):
        return None
    if not counts:
        return None
    cached = sum(counts.get(usual, counts.get(other, 0)) for usual, other in _CACHES)
    return Usage(counts.get(_INPUT, 0) + cached, counts.get(_OUTPUT, 0))


class FrameWatch(Watch):
    """Looks at a stream of binary frames, up to the first broken one."""

    __slots__ = ("_fault", "_has_ended", "_held", "_is_spent", "_reader", "_skipped_bytes", "_usage")

    sign = b'Tokens"'
    ends: tuple[bytes, ...] = (b"",)  # their heads say how long frames are

    def __init__(self) -> None:
        self._reader = FrameReader(CAP_BYTES)
        self._held = bytearray()  # the frame that is not whole
        self._skipped_bytes = 0  # what is still to come of one that is too large
        self._is_spent = False
        self._usage: Usage | None = None
        self._has_ended = False
        self._fault: StreamFault | None = None

    @staticmethod
    def unit_head(size: int) -> bytes:
        return size.to_bytes(_LENGTH_BYTES, "big")

    @property
    def is_between(self) -> bool:
        return not self._held and not self._skipped_bytes and not self._is_spent

    def maybe_usage(self) -> Usage | None:
        return self._usage

    @property
    def has_ended(self) -> bool:
        return self._has_ended

    @property
    def fault(self) -> StreamFault | None:
        return self._fault

    def feed(self, piece: bytes) -> None:
        at = _dull_end(piece) if self.is_between else 0
        while at < len(piece) and not self._is_spent:
            if self._skipped_bytes:
                step = min(self._skipped_bytes, len(piece) - at)
                self._skipped_bytes -= step
            else:
                step = min(self._missing_bytes(), len(piece) - at)
                self._held += piece[at : at + step]
                self._judge()
            at += step

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
            self._reader.feed(bytes(self._held))
            self._held.clear()
            try:
                frame = self._reader.maybe_next()
            except FrameGarbled:
                self._is_spent = True
            else:
                assert frame is not None  # it was whole
                self._read_frame(frame)

    def _read_frame(self, frame: Frame) -> None:
        if frame.kind is not Kind.EVENT:
            name = frame.exception_name or frame.text(":error-code")
            self._fault = self._fault or StreamFault(name, frame.payload)
        elif frame.event_type == "messageStop":
            self._has_ended = True
        elif frame.event_type == "metadata":
            self._has_ended = True
            with suppress(NotJson, TooDeep):
                usage_at = maybe_object(frame.payload, _USAGE)
                if usage_at is not None:
                    self._usage = _read_usage(frame.payload[usage_at[0] : usage_at[1]]) or self._usage


def _dull_end(piece: bytes) -> int:
    """Return the end of the whole frames at the start of a piece that only carry a part of the answer."""
    at = 0
    while at + OVERHEAD_BYTES <= len(piece):
        end = at + int.from_bytes(piece[at : at + _LENGTH_BYTES], "big")
        if end > len(piece) or piece.find(_DELTA, at, min(at + _HEAD_BYTES, end)) < 0:
            break
        at = end
    return at
