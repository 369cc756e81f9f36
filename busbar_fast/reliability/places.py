"""One request's place in line, while every member that could serve it is full.

With members that lack nothing but a permit it stands in the line of the lane, with members that rest in that of the
cell, and so nobody who comes later is served before it by either. It lasts as long as some lane may yet have a permit:
who would have to wait for a rest alone is told to come back.
"""

from collections.abc import Callable
from typing import Self

from busbar_fast.clock import Now
from busbar_fast.reliability.attempts import Attempt, Attempts
from busbar_fast.reliability.breaker import Cell
from busbar_fast.reliability.lanes import LaneState, Waiter
from busbar_fast.reliability.lookout import Lookout
from busbar_fast.reliability.pools import PoolMember
from busbar_fast.reliability.selection import may_serve


class Place:
    """See the module. Held with a `with`, which may be left at any time; an attempt that nobody took is given back.

    The clock is for the moment a permit comes: whoever gives it back does not know what time it is. The lookout is told
    whose rest somebody waits for.
    """

    __slots__ = ("_attempt", "_attempts", "_lookout", "_members", "_now", "_waiter", "_wake", "is_settled")

    def __init__(self, attempts: Attempts, wake: Callable[[], None], now: Now, lookout: Lookout) -> None:
        self._attempts = attempts
        self._wake = wake
        self._now = now
        self._lookout = lookout
        self._attempt: Attempt | None = None
        self.is_settled = False  # there is an attempt to take, or nothing left to wait for
        able = [member for member in attempts.pool.serving if not attempts.is_barred(member.lane)]
        self._members: dict[LaneState | Cell, PoolMember] = {}
        for member in able:
            self._members[member.lane] = self._members[member.cell] = member
        self._waiter = Waiter(self._on_permit, self._on_ready)
        now_s = now()
        for member in able:
            if member.lane.is_full and may_serve(member, now_s):
                self._waiter.await_permit(member.lane)
            else:
                self._await_rest(member)
        assert self._waiter.lanes  # it had to wait

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._waiter.leave()
        attempt = self.take()
        if attempt is not None:
            attempt.close()

    def take(self) -> Attempt | None:
        """Return the attempt that waiting has brought, to be held with a `with` at once; None if it brought none."""
        attempt, self._attempt = self._attempt, None
        return attempt

    def _on_permit(self, lane: LaneState) -> None:
        now_s, member = self._now(), self._members[lane]
        if may_serve(member, now_s):
            self._begin(member, now_s)
            return
        self._await_rest(member)  # it has tripped, or run out of budget; others may still come free
        if not self._waiter.lanes:
            self._settle()

    def _on_ready(self, cell: Cell) -> None:
        member = self._members[cell]
        if member.lane.is_available:
            self._begin(member, self._now())
        elif member.lane.is_full:
            self._waiter.await_permit(member.lane)

    def _await_rest(self, member: PoolMember) -> None:
        if not member.lane.is_dead and member.lane.has_budget:
            self._waiter.await_rest(member.cell)
            self._lookout.watch(member.cell)

    def _begin(self, member: PoolMember, now_s: float) -> None:
        self._waiter.leave()
        if now_s < self._attempts.deadline_s:
            self._attempt = self._attempts.begin(member)
        self._settle()

    def _settle(self) -> None:
        self._waiter.leave()
        self.is_settled = True
        self._wake()
