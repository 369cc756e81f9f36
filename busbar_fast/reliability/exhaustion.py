"""When nobody can serve: how soon to come back, which lane is the least bad, and where the pools lead."""

from collections.abc import Callable, Collection, Iterable, Mapping
from math import ceil
from typing import Final

from busbar_fast.reliability.breaker import State
from busbar_fast.reliability.lanes import LaneState
from busbar_fast.reliability.pools import Action, Pool, PoolMember

_SOON_S: Final = 2  # for a permit, or for the end of somebody else's trial
_NOW_S: Final = 1


def retry_after_s(pools: Iterable[Pool], now_s: float) -> int:
    """Return when one of these pools may serve again, in whole seconds."""
    waits = [
        _wait_s(member, now_s)
        for pool in pools
        for member in pool.serving
        if not member.lane.is_dead and member.lane.has_budget
    ]
    return min(waits, default=_SOON_S)


def _wait_s(member: PoolMember, now_s: float) -> int:
    if member.lane.free_slots == 0 or member.cell.state is State.HALF_OPEN:
        return _SOON_S
    return ceil(member.cell.cooldown_left_s(now_s)) or _NOW_S


def least_bad(
    pool: Pool, now_s: float, has_tried: Callable[[LaneState], bool], is_excluded: Callable[[LaneState], bool]
) -> PoolMember | None:
    """Return the member to try in spite of the breakers: an untried one if it can be, and the first to come back."""
    able = (member for member in pool.serving if member.lane.is_available and not is_excluded(member.lane))
    return min(able, key=lambda m: (has_tried(m.lane), m.cell.cooldown_left_s(now_s)), default=None)


def fallback_of(pool: Pool, pools: Mapping[str, Pool], visited: Collection[Pool]) -> Pool | None:
    """Return the pool where this one's requests go on; None if it has none, or if they have been there before."""
    on = pool.settings.on_exhausted
    found = pools.get(on.fallback) if on.action is Action.FALL_BACK else None
    return None if found is None or found in visited else found


def chain(pool: Pool, pools: Mapping[str, Pool]) -> list[Pool]:
    """Return every pool that may serve a request for this one, itself first."""
    found = [pool]
    while (following := fallback_of(found[-1], pools, found)) is not None:
        found.append(following)
    return found
