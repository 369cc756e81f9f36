"""The attempts of one request: which lane is next, how many more there may be, until when, and what became of them.

`Attempts` belongs to one request. `maybe_attempt` returns the next attempt, already admitted: it holds a permit, a unit
of the lane's budget and, if the cell was waiting for one, the trial. It walks through the pool, then through what the
pool does when nobody can serve. When it returns None the request either has to line up for a
permit (`must_wait`, see `places`), or it is over and `ending` says how.

An `Attempt` is held with a `with`; whatever happens, everything it holds is given back once. What became of it is
reported by one call before the end of the block; without a report the lane is neither praised nor blamed.

Hot: a healthy request is `Attempts`, `maybe_attempt`, `commit` and `close`; perf/micro/bench_reliability.py.
"""

import logging
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Final, Self

from busbar_fast.errors import OutOfOrder
from busbar_fast.reliability.breaker import NO_TRIAL, Receipt, State
from busbar_fast.reliability.exhaustion import fallback_of, least_bad, retry_after_s
from busbar_fast.reliability.lanes import LaneState
from busbar_fast.reliability.pools import Action, Pool, PoolMember
from busbar_fast.reliability.selection import awaited, call_lines, select

_log: Final = logging.getLogger("busbar_fast.reliability")

_NO_POOLS: Mapping[str, Pool] = {}
_AFTER_DEADLINE_S: Final = 1


class Ending(IntEnum):
    """How a request ended that nobody served."""

    NONE = 0  # it has not
    EXHAUSTED = 1
    TIMED_OUT = 2
    KEY_REFUSED = 3  # the last of its attempts was refused for the gateway's own key, and no other failed otherwise
    UNFIT = 4  # the last of its lanes could not take it as it is, and no other failed otherwise


class Phase(IntEnum):
    """Where an attempt is."""

    RUNNING = 0
    COMMITTED = 1  # a byte of a good answer is with the client
    JUDGED = 2
    OVER = 3


class Step(IntEnum):
    """What becomes of an attempt."""

    COMMIT = 0
    FAIL = 1
    CLIENT_FAULT = 2
    CONTEXT_REJECTED = 3
    HARD_DOWN = 4
    DIE = 5
    UNFIT = 6


NEXT: Final = {
    (Phase.RUNNING, Step.COMMIT): Phase.COMMITTED,
    (Phase.RUNNING, Step.FAIL): Phase.JUDGED,
    (Phase.RUNNING, Step.CLIENT_FAULT): Phase.JUDGED,
    (Phase.RUNNING, Step.CONTEXT_REJECTED): Phase.JUDGED,
    (Phase.RUNNING, Step.HARD_DOWN): Phase.JUDGED,
    (Phase.RUNNING, Step.UNFIT): Phase.JUDGED,
    (Phase.COMMITTED, Step.HARD_DOWN): Phase.JUDGED,
    (Phase.COMMITTED, Step.DIE): Phase.JUDGED,
}

# HOT: names for members of an IntEnum save 0.4 µs a request, perf/micro/bench_reliability.py, CPython 3.11, 2026-11.
_RUNNING: Final[Phase] = Phase.RUNNING
_OVER: Final[Phase] = Phase.OVER
_COMMIT: Final[Step] = Step.COMMIT
_CLOSED: Final[State] = State.CLOSED
_GOING_ON: Final[Ending] = Ending.NONE
_NO_RECEIPT: Final[Receipt] = (0, 0, 0)


class Attempt:
    """One try on one lane, see the module. `is_last_resort`: made in spite of the breaker, so it owns no trial."""

    __slots__ = (
        "_attempts",
        "_has_permit",
        "_owes_unit",
        "_receipt",
        "_trial",
        "cell",
        "is_last_resort",
        "lane",
        "member",
        "phase",
    )

    def __init__(self, attempts: "Attempts", member: PoolMember, *, is_last_resort: bool = False) -> None:
        lane, cell = member.lane, member.cell
        lane.take()
        self._attempts = attempts
        self.member = member
        self.lane = lane
        self.cell = cell
        self.is_last_resort = is_last_resort
        self._trial = NO_TRIAL if is_last_resort or cell.state is _CLOSED else cell.admit()
        self._has_permit = True
        self._owes_unit = True
        self._receipt = _NO_RECEIPT
        self.phase = _RUNNING

    def __repr__(self) -> str:
        return f"<Attempt {self.lane.model} {self.phase.name}{' trial' if self._trial else ''}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.phase = _OVER
        if self._trial:
            self.cell.release(self._trial)
        if self._owes_unit:
            self._owes_unit = False
            self.lane.refund()
        if self._has_permit:
            self._has_permit = False
            self.lane.give_back()

    def close(self) -> None:
        """Give back whatever is still held. May be called again."""
        self.__exit__()

    def return_permit(self) -> None:
        """Give the permit back early: the upstream is done, the answer is not."""
        if self._has_permit:
            self._has_permit = False
            self.lane.give_back()

    # What becomes of it. The two that may trip a breaker return whether they did.

    def commit(self, now_s: float, latency_ms: float) -> None:
        """Take a success: the first byte of a good answer is about to go to the client. The unit is used."""
        self._advance(_COMMIT)
        lane, cell = self.lane, self.cell
        if self._trial and cell.owns(self._trial):
            lane.dead_reason = ""
        self._receipt = cell.succeed(now_s, self._trial)
        self._owes_unit = False
        lane.ok += 1
        lane.sample(latency_ms)

    def fail(self, now_s: float, retry_after_s: float | None = None) -> bool:
        """Take a failure that may pass, before the commit."""
        self._advance(Step.FAIL)
        self._attempts.on_failure()
        self.lane.err += 1
        return self.cell.fail(now_s, self._trial, retry_after_s)

    def client_fault(self) -> None:
        """Take a refusal that the client has to answer for."""
        self._advance(Step.CLIENT_FAULT)
        self.lane.client_fault += 1

    def context_rejected(self) -> None:
        """Take a refusal for length: nobody's fault, and lanes that hold no more are not tried any more."""
        self._advance(Step.CONTEXT_REJECTED)
        self._attempts.on_context_rejected(self.lane)

    def unfit(self) -> None:
        """Take it that nothing was sent, because the request cannot be written for this lane: that was no hop."""
        self._advance(Step.UNFIT)
        self._attempts.on_unfit()

    def hard_down(self, now_s: float, reason: str, *, is_auth: bool, key_number: int = 0) -> bool:
        """Take a refusal of the lane's own key or account, before or after the commit.

        A key belongs to the provider, so its other lanes are not tried any more either. The lane only goes down if the
        key of this number is still in use.
        """
        has_committed = self.phase is Phase.COMMITTED
        self._advance(Step.HARD_DOWN)
        if is_auth:
            self._attempts.on_key_refused(self.lane)
        else:
            self._attempts.on_failure()
        self.lane.err += 1
        if key_number != self.lane.key_number:
            return False
        has_tripped = self.lane.condemn(now_s, reason)
        if has_committed:  # the cell is open, so only its window hears of it
            self.cell.revise(now_s, self._receipt)
        return has_tripped

    def die(self, now_s: float, *, is_refunded: bool, retry_after_s: float | None = None) -> bool:
        """Take a failure after the commit: the success becomes one. A transport failure is refunded."""
        self._advance(Step.DIE)
        if is_refunded:
            self.lane.refund()
        self.lane.err += 1
        return self.cell.revise(now_s, self._receipt, retry_after_s)

    def _advance(self, step: Step) -> None:
        try:
            self.phase = NEXT[self.phase, step]
        except KeyError:
            raise OutOfOrder(self.phase, step.name) from None


class Attempts:
    """See the module. `ranked` and `sticky` are members of the first pool and mean nothing in another one."""

    __slots__ = (
        "_context_floor",
        "_has_failed",
        "_has_resorted",
        "_has_waited",
        "_left",
        "_pools",
        "_ranked",
        "_refused_providers",
        "_sticky",
        "_verdict",
        "deadline_s",
        "ending",
        "must_wait",
        "pool",
        "tried",
        "visited",
    )

    def __init__(
        self,
        pool: Pool,
        now_s: float,
        *,
        pools: Mapping[str, Pool] = _NO_POOLS,
        ranked: Sequence[PoolMember] = (),
        sticky: PoolMember | None = None,
    ) -> None:
        self.pool = pool
        self.visited: tuple[Pool, ...] = (pool,)
        self._pools = pools
        self._ranked = ranked
        self._sticky = sticky
        self.deadline_s = now_s + pool.settings.timeout_s
        self._left = pool.settings.max_hops + 1
        self.tried: tuple[LaneState, ...] = ()
        self._refused_providers: tuple[str, ...] = ()
        self._context_floor = 0  # lanes known to hold no more than this are out
        self._verdict = _GOING_ON  # the last attempt's, if it speaks for the request
        self._has_failed = False  # in a way that says nothing about the request
        self._has_waited = False
        self._has_resorted = False
        self.must_wait = False
        self.ending = _GOING_ON

    # The next attempt.

    def maybe_attempt(self, now_s: float) -> Attempt | None:
        """Return the next attempt, to be held with a `with` at once; None if there is none now, see the module."""
        self.must_wait = False
        if now_s >= self.deadline_s:
            self.ending = Ending.TIMED_OUT
            return None
        while True:
            if self._left > 0:
                is_barred = self.is_barred if self.tried else None
                member = select(self.pool, now_s, is_barred, self._ranked, self._sticky)
                if member is not None:
                    return self.begin(member)
                if call_lines(self.pool, now_s):  # those who came before have what they waited for
                    continue
                if self.patience_s(now_s) > 0 and awaited(self.pool, now_s, self.is_barred):
                    self.must_wait = True
                    return None
            if not self._has_fallen_back():
                return self._maybe_last_resort(now_s)

    def begin(self, member: PoolMember, *, is_last_resort: bool = False) -> Attempt:
        """Return an attempt on a member that was found able to serve, to be held with a `with` at once."""
        self._left -= 1
        self.tried = (*self.tried, member.lane)
        return Attempt(self, member, is_last_resort=is_last_resort)

    def remaining_s(self, now_s: float) -> float:
        """Return how long the request may still take to get its first byte."""
        return max(0.0, self.deadline_s - now_s)

    def retry_after_s(self, now_s: float) -> int:
        """Return when the client should come back after `ending`."""
        return _AFTER_DEADLINE_S if self.ending is Ending.TIMED_OUT else retry_after_s(self.visited, now_s)

    def _has_fallen_back(self) -> bool:
        """Go on in the next pool; return False if there is none."""
        following = fallback_of(self.pool, self._pools, self.visited)
        if following is None:
            return False
        self.pool = following
        self.visited = (*self.visited, following)
        self._left = following.settings.max_hops + 1
        self._has_waited = False
        return True

    def _maybe_last_resort(self, now_s: float) -> Attempt | None:
        """Return one attempt in spite of the breakers if the pool wants that; else the request is over."""
        if self._verdict and not self._has_failed:
            self.ending = self._verdict
            return None
        if self.pool.settings.on_exhausted.action is Action.LEAST_BAD and not self._has_resorted:
            member = least_bad(self.pool, now_s, self._has_tried, self._is_excluded)
            if member is not None:
                self._has_resorted = True
                self._left = 0
                resorted = self.pool.last_resorts.count(now_s)
                if resorted:
                    text = "nobody in %s can serve: %s is tried all the same (%d since the last warning)"
                    _log.warning(text, self.pool.name, member.lane.model, resorted)
                return self.begin(member, is_last_resort=True)
        self.ending = Ending.EXHAUSTED
        return None

    # Waiting for a permit.

    def patience_s(self, now_s: float) -> float:
        """Return how long the request may wait for a permit in its present pool."""
        on = self.pool.settings.on_exhausted
        if self._has_waited or (on.action is Action.FALL_BACK and on.max_wait_s is None):
            return 0.0
        left_s = self.remaining_s(now_s)
        return left_s if on.max_wait_s is None else min(left_s, on.max_wait_s)

    def give_up_waiting(self) -> None:
        """Wait no more in this pool: the next call of `maybe_attempt` goes beyond it."""
        self._has_waited = True

    # What attempts report.

    def on_failure(self) -> None:
        """Hear of a failure that says nothing about the request."""
        self._has_failed = True

    def on_key_refused(self, lane: LaneState) -> None:
        """Hear of a lane whose key was refused: it is its provider's."""
        self._refused_providers = (*self._refused_providers, lane.provider)
        self._verdict = Ending.KEY_REFUSED

    def on_context_rejected(self, lane: LaneState) -> None:
        """Hear of a lane that cannot hold the request."""
        self._context_floor = max(self._context_floor, lane.context_max or 0)
        self._verdict = Ending.UNFIT

    def on_unfit(self) -> None:
        """Hear of a lane that nothing was sent to."""
        self._left += 1
        self._verdict = Ending.UNFIT

    def is_barred(self, lane: LaneState) -> bool:
        """Whether this lane serves this request no more."""
        return lane in self.tried or self._is_excluded(lane)

    def _has_tried(self, lane: LaneState) -> bool:
        return lane in self.tried

    def _is_excluded(self, lane: LaneState) -> bool:
        return lane.provider in self._refused_providers or (
            lane.context_max is not None and lane.context_max <= self._context_floor
        )
