"""A receive buffer that hands out message heads and remembers how far it has searched.

Bytes go in as they were received; one complete head (up to and including its empty line) comes out at a time, and
everything behind it stays. It must not know what the bytes mean beyond CRLF. The downstream and the upstream protocol
own one each. A piece that arrives while nothing is held is kept as it is, so the usual request costs no copy.
"""

from typing import Final

HEAD_END: Final = b"\r\n\r\n"
_CR: Final = 0x0D
_COMPACT_BYTES: Final = 65536


class HeadBuffer:
    """Bytes not yet given to anyone, oldest first."""

    __slots__ = ("_at", "_held", "_searched_at", "blank_bytes", "head_bytes")

    def __init__(self) -> None:
        self._held: bytes | bytearray = b""
        self._at = 0
        self._searched_at = 0
        self.blank_bytes = 0  # empty lines skipped before the head being collected; they count towards its size
        self.head_bytes = 0  # size of the head given out last, with the empty lines before it

    def __len__(self) -> int:
        return len(self._held) - self._at

    @property
    def is_empty(self) -> bool:
        """Whether nothing is held and no empty line was skipped."""
        return not self._held and not self.blank_bytes

    def feed(self, piece: bytes) -> None:
        """Add received bytes."""
        if self._at == len(self._held):
            self._held = piece
            self._at = self._searched_at = 0
            return
        if not isinstance(self._held, bytearray):
            self._held = bytearray(self._held)
        if self._at > _COMPACT_BYTES:
            del self._held[: self._at]
            self._searched_at -= self._at
            self._at = 0
        # A bytearray grows in amortised constant time, so a head sent byte by byte costs no quadratic copying.
        self._held += piece

    def next_head(self, piece: bytes) -> bytes | None:
        """Add a piece, which may be empty, and return the next complete head, or None when starved."""
        # HOT: a piece that starts with a whole head while nothing is held is cut in place,
        # perf/micro/bench_exchange.py, 3.11, 2026-11
        if not self._held:
            end = piece.find(HEAD_END) + 4
            if end > 3 and piece[0] != _CR:
                if end < len(piece):
                    self._held = piece
                    self._at = self._searched_at = end
                self.head_bytes = end
                return piece[:end]
        if piece:
            self.feed(piece)
        return self._find_head()

    def _find_head(self) -> bytes | None:
        """Return the next complete head, or None when starved. Leading empty lines are skipped (RFC 9112, 2.2)."""
        held = self._held
        at = self._at
        while held[at : at + 2] == b"\r\n":
            at += 2
            self.blank_bytes += 2
        if at != self._at:
            self._at = at
            self._searched_at = max(at, self._searched_at)
        found_at = held.find(HEAD_END, max(self._searched_at, at))
        if found_at < 0:
            self._searched_at = max(at, len(held) - 3)
            return None
        end = found_at + 4
        head = bytes(held[at:end])
        self.head_bytes = self.blank_bytes + len(head)
        if end == len(held):
            self._held = b""
            end = 0
        self._at = self._searched_at = end
        self.blank_bytes = 0
        return head

    def peek(self) -> bytes:
        """Return everything held without consuming it."""
        return bytes(self._held[self._at :])

    def count_new_heads(self, size: int) -> int:
        """Return how many heads end within the last `size` bytes fed."""
        return self._held.count(HEAD_END, max(self._at, len(self._held) - size - 3))

    def take(self, most: int) -> bytes:
        """Return at most so many of the bytes held and forget them."""
        held = self._held
        at = self._at
        end = at + most
        if end >= len(held):
            taken = held[at:]
            self._held = b""
            self.blank_bytes = 0
            end = 0
        else:
            taken = held[at:end]
        self._at = self._searched_at = end
        return bytes(taken)
