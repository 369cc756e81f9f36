"""Counts and durations as plain numbers in slotted objects; the exposition reads them when somebody asks.

The event loop owns all of them, so moving one is an addition. Names and labels are configured words, never a client's.
"""

from bisect import bisect_left
from collections.abc import Sequence

# Seconds; what is above the last belongs to no bucket but the total.
BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
HOPS = ("timeout", "connect", "transient_upstream", "hard_down")  # why a request moved on to another lane
OUTCOMES = ("ok", "exhausted", "client_error", "error", "client_closed")


class Histogram:
    """Durations by bucket."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)  # not cumulative
        self.sum_s = 0.0

    def observe(self, duration_s: float) -> None:
        """Count one."""
        self.counts[bisect_left(BOUNDS_S, duration_s)] += 1
        self.sum_s += duration_s


class Tally:
    """What became of the requests of one dialect for one pool."""

    __slots__ = ("duration", "outcomes")

    def __init__(self) -> None:
        self.outcomes = dict.fromkeys(OUTCOMES, 0)
        self.duration = Histogram()

    def settle(self, status: int | None, duration_s: float) -> None:
        """Count a request that is over; without a status the client left first."""
        self.outcomes["ok" if status == 200 else outcome_of(status)] += 1
        self.duration.observe(duration_s)


def outcome_of(status: int | None) -> str:
    """Return the word for a status."""
    if status is None:
        return "client_closed"
    if status < 300:
        return "ok"
    if status == 503:
        return "exhausted"
    return "client_error" if 400 <= status < 500 else "error"


class Tallies:
    """Every tally by dialect and pool; a pool that is not configured counts as `unresolved`."""

    __slots__ = ("_pools", "_tallies", "auth_failures", "failovers")

    def __init__(self) -> None:
        self._pools: frozenset[str] = frozenset()
        self._tallies: dict[tuple[str, str], Tally] = {}
        self.auth_failures: dict[str, int] = {}
        self.failovers: dict[tuple[str, str], int] = {}  # by pool and reason

    def know(self, dialects: Sequence[str], pools: Sequence[str]) -> None:
        """Show these from now on, with zeros where nothing happened yet; what is known already goes on."""
        self._pools = frozenset(pools)
        for pool in pools:
            for reason in HOPS:
                self.failovers.setdefault((pool, reason), 0)
        for dialect in dialects:
            self.auth_failures.setdefault(dialect, 0)
            for pool in (*pools, UNRESOLVED):
                self._tallies.setdefault((dialect, pool), Tally())

    def of(self, dialect: str, pool: str) -> Tally:
        """Return the tally of a dialect and a pool."""
        return self._tallies[dialect, pool if pool in self._pools else UNRESOLVED]

    def is_shown(self, pool: str) -> bool:
        """Say whether a pool is configured now."""
        return pool in self._pools

    @property
    def rows(self) -> list[tuple[str, str, Tally]]:
        """Every tally that is shown: those of pools that are gone are not."""
        return [
            (dialect, pool, tally)
            for (dialect, pool), tally in self._tallies.items()
            if pool == UNRESOLVED or pool in self._pools
        ]


UNRESOLVED = "unresolved"
