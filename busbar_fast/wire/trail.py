"""The last pieces of a body as they were passed on, so that whoever judges its end can read what stands there.

It must not know what bodies mean. Keeping a piece is one append: it is taken out of its framing only when somebody
asks. What is kept is never interrupted and ends with the last byte that was passed on. Hot:
perf/micro/bench_exchange.py, together with `Upstream`.

Theory of operation. A whole plain chunk that ends like something whole is kept as it came; other payload is kept in a
tuple of its own, to be told from those, and small payloads grow together: so something that comes in crumbs leaves more
than a few bytes, and its beginning with it. Memory is bounded by TRAIL_PIECES times KEPT_BYTES.
"""

from collections import deque
from functools import lru_cache
from typing import Final

from busbar_fast.wire.looks import Look, chunk_payload

TRAIL_PIECES: Final = 8
KEPT_BYTES: Final = 65536  # of one piece
GROWN_BYTES: Final = 4096  # payloads that come one after the other grow together up to here
LEAST_CHUNK_BYTES: Final = 19  # an event of any use has that many; smaller ones are better read, to grow together


class Trail:
    """See the module. `ends` is what payload ends with that ends something whole; by default all does."""

    __slots__ = ("_kept", "keep", "look")

    def __init__(self, *ends: bytes) -> None:
        self._kept: deque[bytes | tuple[bytes]] = deque(maxlen=TRAIL_PIECES)
        self.keep = self._kept.append  # takes a chunk that looks like this
        self.look = _look_of(ends or (b"",))

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
        return b"".join([piece[0] if isinstance(piece, tuple) else chunk_payload(piece) for piece in self._kept])


@lru_cache(maxsize=8)
def _look_of(ends: tuple[bytes, ...]) -> Look:
    return Look(ends, LEAST_CHUNK_BYTES, KEPT_BYTES)
