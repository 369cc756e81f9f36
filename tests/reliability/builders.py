"""Lanes, pools and requests for the tests of this package, in a few words."""

from collections.abc import Sequence

from busbar_fast.reliability.attempts import Attempt, Attempts
from busbar_fast.reliability.breaker import BreakerSettings, Cell, State, Trip
from busbar_fast.reliability.lanes import UNLIMITED, LaneState
from busbar_fast.reliability.pools import Pool, PoolMember, PoolSettings

CENTRE = 0.5  # the draw that hits the middle: rests of 30, 60 and 108 s with the defaults
DEFAULTS = BreakerSettings()
EAGER = BreakerSettings(trip=Trip.CONSECUTIVE, consecutive_n=1)  # one failure trips


def centre() -> float:
    """Draw the middle, always."""
    return CENTRE


def new_cell(settings: BreakerSettings = DEFAULTS) -> Cell:
    """Return a fresh cell without jitter."""
    return Cell(settings, centre)


def new_lane(
    model: str = "m",
    *,
    most: int | None = None,
    budget: int = UNLIMITED,
    provider: str = "p",
    context_max: int | None = None,
) -> LaneState:
    """Return a fresh lane without jitter."""
    lane = LaneState(model, provider, centre, DEFAULTS, context_max=context_max)
    lane.limit(most, budget)
    return lane


def new_pool(
    lanes: Sequence[LaneState],
    weights: Sequence[int] = (),
    settings: PoolSettings | None = None,
    *,
    name: str = "pool",
    breaker: BreakerSettings = DEFAULTS,
) -> Pool:
    """Return a pool of these lanes with these weights, 1 each if none are given."""
    shares = weights or [1] * len(lanes)
    members = [PoolMember(lane, lane.cell(name, breaker), weight) for lane, weight in zip(lanes, shares, strict=True)]
    return Pool(name, members, settings)


def trip(cell: Cell, now_s: float = 0.0) -> None:
    """Open a closed cell by failures, whatever its settings are."""
    while cell.state is State.CLOSED:
        cell.fail(now_s)


def begun(attempts: Attempts, now_s: float = 0.0) -> Attempt:
    """Return the next attempt of a request that has one."""
    attempt = attempts.maybe_attempt(now_s)
    assert attempt is not None
    return attempt


def names(members: Sequence[PoolMember]) -> str:
    """Return the models of these members in a row."""
    return "".join(member.lane.model for member in members)


def one_lane(*, most: int | None = None, budget: int = -1, breaker: BreakerSettings = DEFAULTS) -> Pool:
    """Return a pool of a single lane."""
    return new_pool([new_lane(most=most, budget=budget)], breaker=breaker)


def only(pool: Pool) -> PoolMember:
    """Return the only member of a pool."""
    (member,) = pool.members
    return member


def hop(attempts: Attempts, now_s: float = 0.0) -> str:
    """Make an attempt that fails; return its model, a dot if there is none."""
    attempt = attempts.maybe_attempt(now_s)
    if attempt is None:
        return "."
    with attempt:
        attempt.fail(now_s)
    return attempt.lane.model


# Phases.


def ignore() -> None:
    """Take notice of nothing."""
