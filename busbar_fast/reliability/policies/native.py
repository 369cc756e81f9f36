"""The policies that need no more than one number per member: cheapest, fastest, least busy, most headroom.

Of equals the one with the smaller `idx` comes first, who lacks the number comes last. When nobody has it, or all have
the same, a ranking would send everything to the first member only, so the policy has no opinion. `Explorer` lets a
member be measured that would never be chosen for want of a measurement.
"""

from collections.abc import Callable, Mapping, Sequence
from math import inf, isfinite
from typing import Final

from busbar_fast.clock import Now
from busbar_fast.reliability.policies.candidates import Candidate, Order

Rank = Callable[[Sequence[Candidate]], Order]

EXPLORE_EVERY_S: Final = 60.0


def rank_weighted(candidates: Sequence[Candidate]) -> Order:  # noqa: ARG001  one signature for all
    """Leave the choice to the weights."""
    return None


def rank_cheapest(candidates: Sequence[Candidate]) -> Order:
    """Rank by cost, the lowest first."""
    return _ranked([(_known(c.cost_per_mtok), c.idx) for c in candidates])


def rank_fastest(candidates: Sequence[Candidate]) -> Order:
    """Rank by smoothed latency, the shortest first."""
    return _ranked([(_known(c.latency_ms), c.idx) for c in candidates])


def rank_least_busy(candidates: Sequence[Candidate]) -> Order:
    """Rank by free permits, the most first; a member without a cap has more than any other."""
    free = [(inf if c.available_concurrency is None else c.available_concurrency, c.idx) for c in candidates]
    return _ranked([(-permits, idx) for permits, idx in free])


def rank_by_usage(candidates: Sequence[Candidate]) -> Order:
    """Rank by what is left of the caller's rate, the most first."""
    left = [(_known(c.rate_headroom), c.idx) for c in candidates]
    return _ranked([(None if share is None else -share, idx) for share, idx in left])


# By the names that a configuration knows.
RANKINGS: Final[Mapping[str, Rank]] = {
    "weighted": rank_weighted,
    "cheapest": rank_cheapest,
    "fastest": rank_fastest,
    "least_busy": rank_least_busy,
    "usage": rank_by_usage,
}


def _known(value: float | None) -> float | None:
    """Return a measure that can be ranked by, None if it is missing or makes no sense."""
    return value if value is not None and isfinite(value) and value >= 0 else None


def _ranked(rows: list[tuple[float | None, int]]) -> Order:
    """Return the `idx` of each row, the smallest value first; None if the values tell nobody apart."""
    if len({value for value, _ in rows}) < 2:
        return None
    return [idx for _, idx in sorted((inf if value is None else value, idx) for value, idx in rows)]


class Explorer:
    """Lets one request in a while go to a member that was never measured; each pool that wants it has its own."""

    __slots__ = ("_next_s", "_now")

    def __init__(self, now: Now) -> None:
        self._now = now
        self._next_s = -inf

    def explore(self, order: Order, candidates: Sequence[Candidate], is_ready: Callable[[int], bool]) -> Order:
        """Return the order, with a member in front that is ready and has no latency yet, if its time has come.

        Without an order the weights decide, and they reach everybody.
        """
        if order is None:
            return None
        now_s = self._now()
        if now_s < self._next_s:
            return order
        for candidate in candidates:
            if candidate.latency_ms is None and is_ready(candidate.idx):
                self._next_s = now_s + EXPLORE_EVERY_S
                return [candidate.idx, *(idx for idx in order if idx != candidate.idx)]
        return order
