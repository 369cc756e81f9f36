"""The last pieces of a body as they were passed on, so that whoever judges its end can read what stands there.

It must not know what bodies mean. Keeping a piece is one append: it is taken out of its framing only when somebody
asks. What is kept is never interrupted and ends with the last byte that was passed on. Hot:
perf/micro/bench_exchange.py, together with `Upstream`.

Theory of operation. Whole chunks that end like something whole are kept as they came; other payload is kept in a
tuple of its own, to be told from those, and small payloads grow together: so something that comes in crumbs leaves more
than a few bytes, and its beginning with it. Memory is bounded by TRAIL_PIECES times KEPT_BYTES.
"""

from collections import deque
from functools import lru_cache
from typing import Final

from busbar_fast.wire.framing import ChunkedBody
from busbar_fast.wire.looks import Look

TRAIL_PIECES: Final = 8
KEPT_BYTES: Final = 65536  # of one piece
GROWN_BYTES: Final = 4096  # payloads that come one after the other grow together up to here
LEAST_CHUNK_BYTES: Final = 19  # an event of any use has that many; smaller ones are better read, to grow together


class Trail:
    """See the module. `ends` is what payload ends with that ends something whole; by default all does."""

    __slots__ = ("_kept", "keep", "look")

    def __init__(self, *ends: bytes) -> None:
        self._kept: deque[bytes | tuple[bytes]] = deque(maxlen=TRAIL_PIECES)
        self.keep = self._kept.append  # takes a chunk that looks like this, or chunks that `takes` admits
        self.look = _look_of(ends or (b"",))

    def takes(self, chunks: bytes) -> bool:
        """Say whether a piece, if it is nothing but whole chunks, may be kept as it is."""
        return LEAST_CHUNK_BYTES <= len(chunks) <= KEPT_BYTES and self.look.has_end(chunks)

    @property
    def is_full(self) -> bool:
        """Whether something may have come before what is kept."""
        return len(self._kept) == TRAIL_PIECES

    def note(self, payload: bytes) -> None:
        """Keep payload that was passed on in whatever framing."""
        if not payload:
            return
        kept = self._kept
        last = kept[-1] if kept else b""
        if isinstance(last, tuple) and len(last[0]) + len(payload) <= GROWN_BYTES:
            kept[-1] = (last[0] + payload,)
        elif len(payload) <= KEPT_BYTES:
            kept.append((payload,))
        else:
            kept.extend((payload[at : at + KEPT_BYTES],) for at in range(0, len(payload), KEPT_BYTES))

    def payload(self) -> bytes:
        """Return the end of the payload that was passed on: all of it, or TRAIL_PIECES pieces at least."""
        parts: list[bytes] = []
        for piece in self._kept:
            if isinstance(piece, tuple):
                parts.append(piece[0])
            else:
                ChunkedBody(len(piece)).feed(piece, parts)
        return b"".join(parts)


@lru_cache(maxsize=8)
def _look_of(ends: tuple[bytes, ...]) -> Look:
    return Look(ends, LEAST_CHUNK_BYTES, KEPT_BYTES)
