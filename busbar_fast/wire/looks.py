"""How a piece looks that is one plain chunk with something whole in it, so that it can be passed on without being read.

It must not know what bodies mean: whoever wants to know says how payload ends that ends something whole, and with what
it begins, if it says its own size there. Hot: perf/micro/bench_exchange.py, together with `Upstream`.

Theory of operation. Nearly everyone writes a chunk's size in as few hexadecimal digits as it takes, so the size of a
piece says how it begins if it is one chunk. Sizes repeat: what small pieces begin with is prepared once.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

PREPARED_BYTES: Final = 4096  # beginnings of pieces up to here are kept

_ANY: Final = (b"",)
_NONE: Final = bytes(PREPARED_BYTES + 1)  # no prepared piece begins with more than it has
_MOST_DIGITS: Final = 8
_ZERO: Final = 0x30


class Look:
    """What a piece must look like. Sizes count the whole piece; there is no unit head in one that is not prepared."""

    __slots__ = ("_ends", "_least_bytes", "_most_bytes", "_starts", "_unit_head")

    def __init__(
        self,
        ends: Sequence[bytes] = _ANY,
        least_bytes: int = 0,
        most_bytes: int = 2**63,
        unit_head: Callable[[int], bytes] | None = None,
    ) -> None:
        self._ends = tuple([end + b"\r\n" for end in ends])
        self._least_bytes = least_bytes
        self._most_bytes = most_bytes if unit_head is None else min(most_bytes, PREPARED_BYTES)
        self._unit_head = unit_head
        self._starts: list[bytes | None] = [None] * (PREPARED_BYTES + 1)

    def fits(self, piece: bytes) -> bool:
        """Say whether a piece that begins where a chunk begins is exactly one, and looks like this."""
        # HOT: with `passes` 0.45 µs a frame as written, perf/micro/bench_exchange.py, 3.11, 2026-11
        size = len(piece)
        start = self._starts[size] if size <= PREPARED_BYTES else one_chunk_start(size)
        if start is None:
            start = self._prepared(size)
        return piece.startswith(start) and size <= self._most_bytes and self.has_end(piece)

    def has_end(self, piece: bytes) -> bool:
        """Say whether a piece ends with a chunk that ends like this."""
        for end in self._ends:  # noqa: SIM110  a generator takes longer than all of this
            if piece.endswith(end):
                return True
        return False

    def _prepared(self, size: int) -> bytes:
        start = _NONE
        if self._least_bytes <= size <= self._most_bytes:
            start = one_chunk_start(size)
            if self._unit_head is not None:
                start += self._unit_head(max(size - len(start) - 2, 0))
        self._starts[size] = start
        return start


@lru_cache(maxsize=64)
def one_chunk_start(size: int) -> bytes:
    """Return what a piece of this many bytes starts with if it is one plain chunk, as nearly everyone writes it."""
    for digits in range(1, _MOST_DIGITS + 1):
        line = b"%x\r\n" % max(size - digits - 4, 0)
        if len(line) == digits + 2 and line[0] != _ZERO:
            return line
    return bytes(size + 1)  # no chunk is that long; nor does a piece start with more bytes than it has


def chunk_payload(chunk: bytes) -> bytes:
    """Return the payload of one plain chunk."""
    start, end = chunk.find(b"\n") + 1, len(chunk) - 2
    return chunk[start:end] if start < end else b""
