"""Requests that wait for a permit of one of several lanes, and the door that closes on them when the process ends."""

from functools import partial
from typing import Final

from busbar_fast.clock import now
from busbar_fast.errors import Overloaded
from busbar_fast.reliability.attempts import Attempt, Attempts
from busbar_fast.reliability.lookout import Lookout
from busbar_fast.reliability.places import Place
from busbar_fast.wire.strand import Strand
from busbar_fast.wire.wheel import TICK_S, Timer

_LOOK_EVERY_S: Final = TICK_S


class Line:
    """Everybody who waits; see the module."""

    __slots__ = ("_is_closed", "_lookout", "_timer", "_waiting", "shed")

    def __init__(self) -> None:
        self._waiting: dict[Place, Strand] = {}
        self._lookout = Lookout(self._arm)
        self._timer: Timer | None = None
        self._is_closed = False
        self.shed = 0  # waited in vain

    def __len__(self) -> int:
        return len(self._waiting)

    async def wait(self, strand: Strand, attempts: Attempts) -> Attempt | None:
        """Wait for a permit; return the attempt it allows, to be held with a `with` at once, or None if none came."""
        if self._timer is None:
            self._timer = strand.timer(self._look)
        with Place(attempts, partial(self._wake, strand), now, self._lookout) as place:
            self._waiting[place] = strand
            try:
                with strand.within(attempts.patience_s(now()), _too_late):
                    while not (place.is_settled or self._is_closed):
                        await strand.wait_for(self)
            except Overloaded:
                self.shed += 1
            finally:
                del self._waiting[place]
            return place.take()

    def close(self) -> None:
        """Send everybody away who waits, now and from now on."""
        self._is_closed = True
        for strand in list(self._waiting.values()):
            self._wake(strand)

    def _arm(self) -> None:
        assert self._timer is not None  # nobody waits before there is one
        self._timer.arm(_LOOK_EVERY_S)

    def _look(self) -> None:
        """Look whether a lane serves again, and go on with that as long as anybody waits for one."""
        self._arm()
        self._lookout.look(now())
        if self._timer is not None and not self._lookout.is_needed:
            self._timer.disarm()

    def _wake(self, strand: Strand) -> None:
        strand.wake(self)


def _too_late() -> Overloaded:
    return Overloaded("no permit came free in time")
