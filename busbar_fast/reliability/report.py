"""What an operator is shown of a lane. Looking changes nothing: a trial that is due stays due."""

from collections.abc import Callable, Iterable
from math import ceil
from typing import Literal, TypedDict

from busbar_fast.reliability.breaker import Cell, State
from busbar_fast.reliability.lanes import DEFAULT, LaneState

# Why a lane takes no request now; the gravest reason is named.
Availability = Literal["available", "at_capacity", "probe_in_flight", "breaker_open", "budget_exhausted", "dead"]


class CellReport(TypedDict):
    """One cell."""

    state: str
    streak: int
    cooldown_remaining_s: int


class LaneReport(TypedDict):
    """One lane; the names are those of the statistics page. Seconds and milliseconds are rounded up."""

    model: str
    provider: str
    max_concurrent: int | None
    inflight: int
    free_slots: int | None
    ok: int
    err: int
    client_fault: int
    usable: bool
    dead: bool
    dead_reason: str
    cooldown_remaining_s: int
    streak: int
    budget: int
    availability: Availability
    recovery_hint_ms: int | None
    breaker_state: str
    at_capacity: bool
    cells: dict[str, CellReport]


def is_usable(lane: LaneState, now_s: float) -> bool:
    """Whether a request could be served here now or once a permit is free."""
    return not lane.is_dead and lane.has_budget and any(_would_admit(cell, now_s) for cell in lane.routed_cells)


def is_any_usable(lanes: Iterable[LaneState], now_s: float) -> bool:
    """Whether requests can be served at all."""
    return any(is_usable(lane, now_s) for lane in lanes)


def availability(lane: LaneState, now_s: float) -> Availability:
    """Return whether a lane takes a request now, and why not."""
    if lane.is_dead:
        return "dead"
    if not lane.has_budget:
        return "budget_exhausted"
    if is_usable(lane, now_s):
        return "at_capacity" if lane.is_full else "available"
    is_tried = any(cell.state is State.HALF_OPEN for cell in lane.routed_cells)
    return "probe_in_flight" if is_tried else "breaker_open"


def report(lane: LaneState, now_s: float, is_shown: Callable[[str], bool] = bool) -> LaneReport:
    """Return what is shown of a lane. Cells of pools that are not shown are left out, the default cell never is."""
    cells = lane.cells.values()
    why = availability(lane, now_s)
    until_s = min(_admits_from_s(cell) for cell in lane.routed_cells)
    best = min(lane.routed_cells, key=lambda cell: (not _would_admit(cell, now_s), _RANKS[cell.state]))
    return LaneReport(
        model=lane.model,
        provider=lane.provider,
        max_concurrent=lane.max_concurrent,
        inflight=lane.inflight,
        free_slots=lane.free_slots,
        ok=lane.ok,
        err=lane.err,
        client_fault=lane.client_fault,
        usable=is_usable(lane, now_s),
        dead=lane.is_dead,
        dead_reason=lane.dead_reason,
        cooldown_remaining_s=max(_left_s(cell, now_s) for cell in cells),
        streak=max(cell.streak for cell in cells),
        budget=lane.budget,
        availability=why,
        recovery_hint_ms=ceil((until_s - now_s) * 1000) if why == "breaker_open" else None,
        breaker_state=best.state.name.lower(),
        at_capacity=lane.is_full,
        cells={
            pool: CellReport(
                state=cell.state.name.lower(), streak=cell.streak, cooldown_remaining_s=_left_s(cell, now_s)
            )
            for pool, cell in lane.cells.items()
            if pool == DEFAULT or is_shown(pool)
        },
    )


_RANKS = {State.CLOSED: 0, State.HALF_OPEN: 1, State.OPEN: 2}  # the best first


def _would_admit(cell: Cell, now_s: float) -> bool:
    return cell.is_ready(now_s) or cell.is_soft(now_s)


def _admits_from_s(cell: Cell) -> float:
    """Return when a cell without a trial lets somebody in, as a last resort at least."""
    return cell.hold_until_s if cell.state is State.CLOSED else cell.cooldown_until_s


def _left_s(cell: Cell, now_s: float) -> int:
    return ceil(cell.cooldown_left_s(now_s))
