"""Whose turn it is: of those who may serve now the sticky one, else the best ranked, else the next in the rotation.

The rotation is smooth weighted round robin: each member gets its share of the picks, spread as evenly as whole picks
allow. Every pick adds each candidate's weight to its credit, takes the candidate with the most credit, and charges it
the sum of the weights. Who is no candidate neither earns nor pays.

Selecting changes nothing of a cell but that credit: who only looks must not use up a trial. A cell that others stand in
line for is theirs, and `call_lines` lets them go first. Hot: `select` and `rotate`; perf/micro/bench_reliability.py.
"""

from collections.abc import Callable, Sequence
from typing import Final

from busbar_fast.reliability.lanes import LaneState
from busbar_fast.reliability.pools import Pool, PoolMember

Barred = Callable[[LaneState], bool]

_LESS_THAN_ANY: Final = -(2**62)  # credit


def select(
    pool: Pool,
    now_s: float,
    is_barred: Barred | None = None,
    ranked: Sequence[PoolMember] = (),
    sticky: PoolMember | None = None,
) -> PoolMember | None:
    """Return the member that serves next, None if nobody can at once. Who is barred serves this request no more."""
    able = [m for m in pool.serving if m.lane.is_available and m.cell.ready_at_s <= now_s]
    if is_barred is not None:
        able = [m for m in able if not is_barred(m.lane)]
    if not able:  # a rest that is only soft makes way for having nobody at all
        able = [m for m in pool.serving if m.lane.is_available and m.cell.is_soft(now_s) and not m.cell.has_line]
        able = able if is_barred is None else [m for m in able if not is_barred(m.lane)]
        if not able:
            return None
    elif sticky is not None and sticky in able:
        return sticky
    for member in ranked:
        if member in able:
            return member
    return rotate(able)


def rotate(members: Sequence[PoolMember]) -> PoolMember:
    """Return the member whose turn it is among these, at least one; of equals the first."""
    best = members[0]
    if len(members) == 1:  # it would earn its weight and pay it
        return best
    total, most = 0, _LESS_THAN_ANY
    for member in members:
        weight, cell = member.weight, member.cell
        total += weight
        credit = cell.current_weight = cell.current_weight + weight
        if credit > most:
            best, most = member, credit
    best.cell.current_weight -= total
    return best


def awaited(pool: Pool, now_s: float, is_barred: Barred) -> list[PoolMember]:
    """Return the members that lack nothing but a permit."""
    return [m for m in pool.serving if m.lane.is_full and may_serve(m, now_s) and not is_barred(m.lane)]


def call_lines(pool: Pool, now_s: float) -> bool:
    """Let those go on who stand in line for a member that serves again; return whether there was anybody."""
    return any(member.cell.call(now_s) for member in pool.serving if member.cell.has_line)


def may_serve(member: PoolMember, now_s: float) -> bool:
    """Whether a member could serve if it has a permit."""
    lane, cell = member.lane, member.cell
    return not lane.is_dead and lane.has_budget and (cell.is_ready(now_s) or cell.is_soft(now_s))
