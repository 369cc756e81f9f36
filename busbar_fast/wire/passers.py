"""What takes the pieces of a chunked body that run through from one transport to the other.

Streams come one event, one chunk, one piece. Such a piece is known by its look alone, so it is written on without being
read; everything else is left to be read. One class per need, so that nobody pays for what nobody asked for. Each is
made for one wait and lives as long. It must not know what bodies mean.

Hot: perf/micro/bench_exchange.py.
"""

from typing import Final

from busbar_fast.wire.backpressure import Receiver
from busbar_fast.wire.looks import Look, chunk_payload
from busbar_fast.wire.trail import Trail
from busbar_fast.wire.viewing import View

_PLAIN: Final = Look()


class Passer:
    """Passes pieces on that nobody looks at."""

    __slots__ = ("_look", "_write", "receiver")

    def __init__(self, receiver: Receiver, look: Look = _PLAIN) -> None:
        self.receiver = receiver
        self._look = look
        self._write = receiver.transport.write

    def passes(self, piece: bytes) -> bool:
        """Pass a piece on if it looks like one chunk; say whether it does."""
        # HOT: such a piece does not wake the strand, perf/micro/bench_exchange.py, 3.11, 2026-11
        if not self._look.fits(piece):
            return False
        self._write(piece)
        return True


class TrailPasser(Passer):
    """Passes pieces on and keeps the last of them."""

    __slots__ = ("_keep",)

    def __init__(self, receiver: Receiver, trail: Trail) -> None:
        super().__init__(receiver, trail.look)
        self._keep = trail.keep

    def passes(self, piece: bytes) -> bool:
        """As above."""
        if not self._look.fits(piece):
            return False
        self._write(piece)
        self._keep(piece)
        return True


class ViewPasser(Passer):
    """Passes pieces on that somebody looks at; one without the sign is kept for later instead of shown."""

    __slots__ = ("_keep", "_other_sign", "_sign", "_trail", "_view")

    def __init__(self, receiver: Receiver, view: View, trail: Trail | None) -> None:
        super().__init__(receiver, view.look)
        self._view = view
        self._trail = trail
        self._keep = view.keep
        self._sign = view.sign
        self._other_sign = view.other_sign

    def passes(self, piece: bytes) -> bool:
        """As above; what goes on may have been changed."""
        if not self._look.fits(piece):
            return False
        # Searching for one byte costs a quarter of searching for several.
        other = self._other_sign
        if piece.rfind(self._sign) < 0 and not (other and other[0] in piece and piece.rfind(other) >= 0):
            self._keep(piece)
        else:
            piece = self._view.show_chunk(piece)
        self._write(piece)
        if self._trail is not None:
            self._trail.note(chunk_payload(piece))
        return True


def new_passer(receiver: Receiver, view: View | None, trail: Trail | None) -> Passer:
    """Return what takes the next piece between chunks."""
    if view is not None:
        return ViewPasser(receiver, view, trail)
    return Passer(receiver) if trail is None else TrailPasser(receiver, trail)
