"""What takes the pieces of a chunked body that run through from one transport to the other.

Streams come one event, one chunk, one piece. Such a piece is known by its look alone, so it is written on without being
read; everything else goes to `pass_any`, which reads. One function per need, so that nobody pays for what nobody asked
for. Each is made for one wait and lives as long. It must not know what bodies mean.

Hot: perf/micro/bench_exchange.py.
"""

from collections.abc import Callable
from typing import Protocol

from busbar_fast.wire.backpressure import Receiver
from busbar_fast.wire.framing import chunk_payload, one_chunk_start
from busbar_fast.wire.trail import LEAST_CHUNK_BYTES, Trail, kept_chunk_start
from busbar_fast.wire.viewing import View
from busbar_fast.wire.wheel import Wheel

Passer = Callable[[bytes], None]


class Speaker(Protocol):
    """The connection that the pieces come from."""

    heard_at: float
    view: View | None
    trail: Trail | None


def new_passer(
    speaker: Speaker, receiver: Receiver, wheel: Wheel, pass_any: Passer, tell: Callable[[], None]
) -> Passer:
    """Return what takes the next piece between chunks; `tell` is called when the receiver is full."""
    write: Passer = receiver.transport.write
    trail = speaker.trail
    if speaker.view is not None:
        write = write if trail is None else _write_and_keep(write, trail)
        return _new_viewed_passer(speaker, speaker.view, receiver, wheel, write, pass_any, tell)

    def pass_chunk(piece: bytes) -> None:
        # HOT: such a piece does not wake the strand, perf/micro/bench_exchange.py, 3.11, 2026-11
        if not (piece.startswith(one_chunk_start(len(piece))) and piece.endswith(b"\r\n")):
            pass_any(piece)
            return
        write(piece)
        speaker.heard_at = wheel.coarse
        if receiver.is_congested:
            tell()

    if trail is None:
        return pass_chunk
    keep, ends = trail.keep, trail.ends

    def pass_kept(piece: bytes) -> None:
        # HOT: as above, perf/micro/bench_exchange.py, 3.11, 2026-11
        if not (piece.startswith(kept_chunk_start(len(piece))) and piece.endswith(ends)):
            pass_any(piece)
            return
        write(piece)
        keep(piece)
        speaker.heard_at = wheel.coarse
        if receiver.is_congested:
            tell()

    return pass_kept


def _new_viewed_passer(
    speaker: Speaker,
    view: View,
    receiver: Receiver,
    wheel: Wheel,
    write: Passer,
    pass_any: Passer,
    tell: Callable[[], None],
) -> Passer:
    """Return what takes the next piece when somebody looks."""
    keep, show_chunk, start_of, ends = view.keep, view.show_chunk, view.start_of, view.ends
    sign, other_sign, other_byte = view.sign, view.other_sign, view.other_sign[0] if view.other_sign else 0

    def pass_viewed(piece: bytes) -> None:
        # HOT: a piece without the sign is kept instead of shown, perf/micro/bench_exchange.py, 3.11, 2026-11
        if not (piece.startswith(start_of(len(piece))) and piece.endswith(ends)):
            pass_any(piece)
            return
        # Searching for one byte costs a quarter of searching for several.
        if piece.rfind(sign) < 0 and not (other_sign and other_byte in piece and piece.rfind(other_sign) >= 0):
            keep(piece)
        else:
            piece = show_chunk(piece)
        write(piece)
        speaker.heard_at = wheel.coarse
        if receiver.is_congested:
            tell()

    return pass_viewed


def _write_and_keep(write: Passer, trail: Trail) -> Passer:
    """Return what writes a whole small chunk, or nothing, and keeps it."""
    keep = trail.keep

    def write_and_keep(piece: bytes) -> None:
        write(piece)
        if len(piece) >= LEAST_CHUNK_BYTES:
            keep(piece)
        else:
            trail.note(chunk_payload(piece))

    return write_and_keep
