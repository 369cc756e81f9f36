"""What a lane is to everybody who uses it: permits and who waits for them, budget, counters, and its cells.

A lane state outlives reloads; pools come and go and find their cells here. Every change is one synchronous call, so
nobody ever sees half of it. A lane has a cell for each pool it is a member of and a default one, called `DEFAULT`, for
requests that ask for the lane itself; a cell that is made later starts as a copy of the default one.

Who finds a lane full may wait on several at once. Permits that come free go to those who wait, in order, and to
newcomers only when nobody waits. Hot: `is_available`, `take` and `give_back`; perf/micro/bench_reliability.py.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection
from math import inf, isfinite
from typing import Final

from busbar_fast.reliability.breaker import BreakerSettings, Cell, Chance

DEFAULT: Final = ""
UNLIMITED: Final = -1
_EWMA_SHARE: Final = 0.2  # of the newest sample


class LaneState:
    """See the module. `provider` and `model` are only ever compared and shown."""

    __slots__ = (
        "_chance",
        "_is_serving",
        "_line",
        "_most",
        "_most_spent",
        "_spent",
        "cells",
        "client_fault",
        "condemnations",
        "context_max",
        "dead_reason",
        "err",
        "inflight",
        "is_available",
        "is_dead",
        "key_number",
        "latency_ewma_ms",
        "model",
        "ok",
        "provider",
    )

    def __init__(
        self, model: str, provider: str, chance: Chance, settings: BreakerSettings, *, context_max: int | None = None
    ) -> None:
        self.model = model
        self.provider = provider
        self.context_max = context_max
        self._chance = chance
        self.cells = {DEFAULT: Cell(settings, chance)}
        self.is_dead = False  # administrative; no outcome sets it
        self.dead_reason = ""
        self.condemnations = 0
        self.key_number = 0  # of the key that is in use; another one has another number
        self.ok = 0
        self.err = 0
        self.client_fault = 0
        self.latency_ewma_ms: float | None = None
        self.inflight = 0  # permits that are out
        self._most = inf
        self._spent = 0
        self._most_spent = inf
        self._line: OrderedDict[Waiter, None] = OrderedDict()
        self._is_serving = False
        self.is_available = True  # one more request could begin at once, as far as the lane goes

    def __repr__(self) -> str:
        return f"<LaneState {self.model} inflight={self.inflight} waiting={len(self._line)} budget={self.budget}>"

    # Cells.

    def cell(self, pool: str, settings: BreakerSettings) -> Cell:
        """Return the cell of a pool, which judges by these settings from now on; make it if there is none."""
        found = self.cells.get(pool)
        if found is None:
            found = self.cells[pool] = self.cells[DEFAULT].copy(settings)
        else:
            found.retune(settings)
        return found

    def keep_cells(self, pools: Collection[str]) -> None:
        """Forget the cells of pools that are gone. Requests that still run on them keep them."""
        self.cells = {pool: cell for pool, cell in self.cells.items() if pool == DEFAULT or pool in pools}

    @property
    def routed_cells(self) -> list[Cell]:
        """The cells by which requests come: those of the pools, the default one if there is no pool."""
        return [cell for pool, cell in self.cells.items() if pool != DEFAULT] or [self.cells[DEFAULT]]

    def needs_probe(self, now_s: float) -> bool:
        """Whether a health probe could bring a cell back earlier."""
        return any(cell.is_suppressed(now_s) for cell in self.cells.values())

    def condemn(self, now_s: float, reason: str) -> bool:
        """Put every cell to a long rest; return whether that is a trip, which it is if a cell was closed."""
        self.dead_reason = reason
        self.condemnations += 1
        were_closed = [cell.condemn(now_s) for cell in self.cells.values()]
        return any(were_closed)

    def use_key(self, number: int) -> None:
        """Go on with the key of this number: with another one than before no hard-down is in force any more.

        A hard-down is about a key or its account, so what became of the one before says nothing about this one.
        """
        if number != self.key_number:
            self.key_number = number
            self.dead_reason = ""
            for cell in self.cells.values():
                cell.pardon()

    # Limits.

    @property
    def max_concurrent(self) -> int | None:
        """How many permits there are; None: as many as anybody wants."""
        return None if self._most == inf else int(self._most)

    @property
    def free_slots(self) -> int | None:
        """How many permits are left; None: as many as anybody wants."""
        return None if self._most == inf else max(0, int(self._most) - self.inflight)

    @property
    def is_full(self) -> bool:
        """Whether a newcomer would have to wait for a permit."""
        return self.inflight >= self._most or bool(self._line)

    @property
    def waiting(self) -> int:
        """How many wait here."""
        return len(self._line)

    @property
    def budget(self) -> int:
        """How many requests are left, `UNLIMITED` if that has no end."""
        return UNLIMITED if self._most_spent == inf else max(0, int(self._most_spent) - self._spent)

    @property
    def has_budget(self) -> bool:
        """Whether one more request may be paid for."""
        return self._spent < self._most_spent

    def limit(self, max_concurrent: int | None, max_requests: int = UNLIMITED) -> None:
        """Hold the lane to other limits from now on. What runs goes on, and what was spent stays spent."""
        self._most = inf if max_concurrent is None else max_concurrent
        self._most_spent = inf if max_requests == UNLIMITED else max_requests
        self._open_up()

    def set_dead(self, is_dead: bool) -> None:
        """Take the lane out of service, or put it back."""
        self.is_dead = is_dead
        self._open_up()

    # Permits and budget. Whoever takes owes both: the permit in any case, the unit unless it was used.

    def take(self) -> None:
        """Take a permit and a unit of the budget. The caller has made sure that both are there."""
        self.inflight += 1
        self._spent += 1
        if self.inflight >= self._most or self._spent >= self._most_spent:
            self.is_available = False

    def give_back(self) -> None:
        """Give a permit back; whoever waits for it gets it before this returns."""
        self.inflight -= 1
        if not self.is_available:
            self._open_up()

    def refund(self) -> None:
        """Give a unit of the budget back."""
        self._spent -= 1
        if not self.is_available:
            self._open_up()

    def _open_up(self) -> None:
        """Let those in line have what came free, and newcomers what is left.

        A waiter that is called may run its request to the end at once and come back here; it finds this loop running.
        """
        if not self._is_serving:
            self._is_serving = True
            try:
                while self._line and self.inflight < self._most:
                    waiter, _ = self._line.popitem(last=False)
                    waiter.on_permit(self)
            finally:
                self._is_serving = False
        self._settle()

    def _settle(self) -> None:
        self.is_available = not self.is_dead and self.has_budget and not self.is_full

    # What waiters call.

    def line_up(self, waiter: "Waiter") -> None:
        """Put a waiter last in line. The lane is full, or nobody would have to wait."""
        assert self.is_full
        self._line[waiter] = None

    def leave(self, waiter: "Waiter") -> None:
        """Take a waiter out of the line."""
        del self._line[waiter]
        self._settle()

    # Statistics.

    def sample(self, latency_ms: float) -> None:
        """Take the time from sending a request to the head of a good answer."""
        if not (isfinite(latency_ms) and latency_ms > 0):
            return
        before = self.latency_ewma_ms
        self.latency_ewma_ms = latency_ms if before is None else before + _EWMA_SHARE * (latency_ms - before)


class Waiter:
    """A place in several lines, in each behind those who came before: of lanes that are full, and of cells that rest.

    `on_permit` is called with a lane that has a permit free, `on_ready` with a cell that serves again; the line is left
    by then. Either leaves the other lines, too, and begins, or lets it pass and goes on waiting.
    """

    __slots__ = ("_cells", "_on_permit", "_on_ready", "lanes")

    def __init__(self, on_permit: Callable[[LaneState], None], on_ready: Callable[[Cell], None]) -> None:
        self.lanes: set[LaneState] = set()
        self._cells: set[Cell] = set()
        self._on_permit = on_permit
        self._on_ready = on_ready

    def await_permit(self, lane: LaneState) -> None:
        """Stand in the line of a lane that is full."""
        lane.line_up(self)
        self.lanes.add(lane)

    def await_rest(self, cell: Cell) -> None:
        """Stand in the line of a cell that rests, or whose trial runs."""
        cell.line_up(self)
        self._cells.add(cell)

    def on_permit(self, lane: LaneState) -> None:
        """Hear from a lane that it has a permit free, and that this waiter is no longer in its line."""
        self.lanes.discard(lane)
        self._on_permit(lane)

    def on_ready(self, cell: Cell) -> None:
        """Hear from a cell that it serves again, and that this waiter is no longer in its line."""
        self._cells.discard(cell)
        self._on_ready(cell)

    def leave(self) -> None:
        """Leave every line, at any time and as often as wanted."""
        while self.lanes:
            self.lanes.pop().leave(self)
        while self._cells:
            self._cells.pop().leave(self)


class Probe:
    """One health probe of a lane, made when it is sent; reports one outcome at most.

    What became of the lane meanwhile wins over a success: a rest that began after the probe was sent goes on.
    """

    __slots__ = ("_armings", "_condemnations", "_lane")

    def __init__(self, lane: LaneState) -> None:
        self._lane = lane
        self._armings = {pool: cell.armings for pool, cell in lane.cells.items()}
        self._condemnations = lane.condemnations

    def succeed(self, now_s: float) -> None:
        """Take a good answer: it counts once for the lane, and brings back each of its cells."""
        lane, at_start = self._lane, self._armings
        lane.ok += 1
        if lane.condemnations == self._condemnations:
            lane.dead_reason = ""
        for pool, cell in lane.cells.items():
            cell.probe_succeeded(now_s, at_start.get(pool, at_start[DEFAULT]))

    def fail(self, now_s: float, retry_after_s: float | None = None) -> list[str]:
        """Take a failure that may pass: it counts once for the lane, and each cell judges it by its own settings.

        Return the pools whose cell tripped by it.
        """
        self._lane.err += 1
        return [pool for pool, cell in self._lane.cells.items() if cell.probe_failed(now_s, retry_after_s)]

    def condemn(self, now_s: float, reason: str) -> bool:
        """Take an answer that puts the lane out of service; return whether that is a trip."""
        self._lane.err += 1
        return self._lane.condemn(now_s, reason)
