"""Counts and durations as plain numbers in slotted objects; the exposition reads them when somebody asks.

The event loop owns all of them, so moving one is an addition. Names and labels are configured words, never a client's.
"""

from collections.abc import Mapping, Sequence
from typing import Final

# Seconds; what is above the last belongs to no bucket but the total.
BOUNDS_S: Final[tuple[float, ...]] = (
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    120.0,
    300.0,
)
# Why a request moved on to another lane.
HOPS: Final[tuple[str, ...]] = (
    "timeout",
    "connect",
    "transient_upstream",
    "hard_down",
    "context_length",
    "untranslatable",
)
FAILURES: Final[tuple[str, ...]] = (
    "transient_upstream",
    "hard_down",
    "context_length",
)  # what was made of a lane's failure
ABORTS: Final[tuple[str, ...]] = ("client", "upstream", "translate", "drain")  # who ended a stream before its end
OUTCOMES: Final[tuple[str, ...]] = ("ok", "exhausted", "client_error", "error", "client_closed")


# From which dialect to which, what was done, to what.
Loss = tuple[str, str, str, str]


class Histogram:
    """Durations by bucket."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)  # not cumulative
        self.sum_s = 0.0

    def observe(self, duration_s: float) -> None:
        """Count one."""
        at = 0  # most are short, and then this is faster than halving
        while at < len(BOUNDS_S) and duration_s > BOUNDS_S[at]:
            at += 1
        self.counts[at] += 1
        self.sum_s += duration_s


class Tally:
    """What became of the requests of one dialect for one pool."""

    __slots__ = ("duration", "first_byte", "outcomes")

    def __init__(self) -> None:
        self.outcomes = dict.fromkeys(OUTCOMES, 0)
        self.duration = Histogram()
        self.first_byte = Histogram()

    def settle(self, status: int | None, duration_s: float, delay_s: float) -> None:
        """Count a request that is over, and when its answer began; without a status the client left before that."""
        self.outcomes["ok" if status == 200 else outcome_of(status)] += 1
        self.duration.observe(duration_s)
        if status is not None:
            self.first_byte.observe(delay_s)


def outcome_of(status: int | None) -> str:
    """Return the word for a status."""
    if status is None:
        return "client_closed"
    if status < 300:
        return "ok"
    if status == 503:
        return "exhausted"
    return "client_error" if 400 <= status < 500 else "error"


class LaneTally:
    """What became of a lane's attempts for one pool."""

    __slots__ = ("attempts", "failures", "tokens_in", "tokens_out", "trips")

    def __init__(self) -> None:
        self.attempts = 0
        self.failures = dict.fromkeys(FAILURES, 0)
        self.tokens_in = 0
        self.tokens_out = 0
        self.trips = 0

    def add_usage(self, went_in: int, came_out: int) -> None:
        """Count what one answer used: tokens that went in, tokens that came out."""
        self.tokens_in += went_in
        self.tokens_out += came_out

    @property
    def tokens(self) -> dict[str, int]:
        """The tokens by the word for their way."""
        return {"input": self.tokens_in, "output": self.tokens_out}


class Shed:
    """What sinks were not told, because they were too slow or could not be reached."""

    __slots__ = ("records", "spans")

    def __init__(self) -> None:
        self.records = 0
        self.spans = 0


class Tallies:
    """Every tally by dialect and pool; a pool that is not configured counts as `unresolved`."""

    __slots__ = (
        "_lanes",
        "_pools",
        "_tallies",
        "aborts",
        "auth_failures",
        "failovers",
        "losses",
        "selections",
        "translations",
    )

    def __init__(self) -> None:
        self._pools: Mapping[str, Sequence[str]] = {}
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._lanes: dict[tuple[str, str], LaneTally] = {}
        self.auth_failures: dict[str, int] = {}
        self.failovers: dict[tuple[str, str], int] = {}  # by pool and reason
        self.aborts: dict[tuple[str, str], int] = {}  # of streams, by pool and reason
        self.selections: dict[tuple[str, str], int] = {}  # by pool and policy
        self.translations: dict[tuple[str, str], int] = {}  # by the dialects of client and lane
        self.losses: dict[Loss, int] = {}

    def know(self, dialects: Sequence[str], pools: Mapping[str, Sequence[str]]) -> None:
        """Show these pools and their lanes from now on, with zeros where nothing happened; what is known goes on."""
        self._pools = pools
        for pool, lanes in pools.items():
            for reason in HOPS:
                self.failovers.setdefault((pool, reason), 0)
            for reason in ABORTS:
                self.aborts.setdefault((pool, reason), 0)
            for lane in lanes:
                self.lane(pool, lane)
        for dialect in dialects:
            self.auth_failures.setdefault(dialect, 0)
            for pool in (*pools, UNRESOLVED):
                self._tallies.setdefault((dialect, pool), Tally())

    def of(self, dialect: str, pool: str) -> Tally:
        """Return the tally of a dialect and a pool."""
        return self._tallies[dialect, pool if pool in self._pools else UNRESOLVED]

    def lane(self, pool: str, lane: str) -> LaneTally:
        """Return the tally of a lane in a pool."""
        found = self._lanes.get((pool, lane))
        if found is None:
            found = self._lanes[pool, lane] = LaneTally()
        return found

    def is_shown(self, pool: str) -> bool:
        """Say whether a pool is configured now."""
        return pool in self._pools

    @property
    def lanes(self) -> list[tuple[str, str, LaneTally]]:
        """Every lane's tally in every pool that is configured now."""
        return [(pool, lane, self.lane(pool, lane)) for pool, lanes in self._pools.items() for lane in lanes]

    @property
    def rows(self) -> list[tuple[str, str, Tally]]:
        """Every tally that is shown: those of pools that are gone are not."""
        return [
            (dialect, pool, tally)
            for (dialect, pool), tally in self._tallies.items()
            if pool == UNRESOLVED or pool in self._pools
        ]


UNRESOLVED: Final = "unresolved"
