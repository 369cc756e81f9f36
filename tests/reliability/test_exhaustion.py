"""When nobody can serve: how long to stay away, whom to try all the same, where to go on."""

import pytest

from busbar_fast.reliability.exhaustion import chain, fallback_of, least_bad, retry_after_s
from busbar_fast.reliability.lanes import Waiter
from busbar_fast.reliability.pools import Action, OnExhausted, Pool, PoolSettings
from tests.reliability.builders import EAGER, new_lane, new_pool, trip


def resting_pool(*rests_s: float, most: int | None = None) -> Pool:
    """Return a pool of open cells with these rests left in second 0."""
    pool = new_pool([new_lane(name, most=most) for name in "abcd"[: len(rests_s)]], breaker=EAGER)
    for member, rest_s in zip(pool.members, rests_s, strict=True):
        member.cell.fail(rest_s - 30.0)
    return pool


def falling_back(*steps: tuple[str, str]) -> dict[str, Pool]:
    """Return empty pools by name, each with the one it falls back to."""
    settings = {name: PoolSettings(on_exhausted=OnExhausted(Action.FALL_BACK, to)) for name, to in steps}
    return {name: Pool(name, (), settings[name]) for name, _ in steps}


def test_single_resting_member_says_when() -> None:
    """Reliability case 64: the rest of the only member is what the client is told, rounded up."""
    assert retry_after_s([resting_pool(29.3)], 0.0) == 30
    assert retry_after_s([resting_pool(29.3)], 28.5) == 1


def test_busy_member_is_worth_coming_back_for() -> None:
    """Reliability case 64: a busy closed member beside one that rests for 100 s means two seconds."""
    pool = resting_pool(100.0, 0.0, most=1)
    busy = pool.members[1]
    busy.cell.succeed(0.0, busy.cell.admit())
    busy.lane.take()
    assert retry_after_s([pool], 0.0) == 2


def test_line_that_is_being_told_is_no_full_lane() -> None:
    """Reliability D18: those who waited for a lane that trips hear when its rest is over, whoever is behind them."""
    lane = new_lane(most=1)
    pool = new_pool([lane], breaker=EAGER)
    lane.take()
    heard: list[int] = []
    for _ in range(3):
        Waiter(lambda _: heard.append(retry_after_s([pool], 0.0)), lambda _: None).await_permit(lane)
    trip(pool.members[0].cell)
    lane.give_back()
    assert heard == [30, 30, 30]


def test_running_trial_is_worth_coming_back_for() -> None:
    """Reliability §7 D18: while somebody tries a member its verdict is two seconds away."""
    pool = resting_pool(0.0)
    pool.members[0].cell.admit()
    assert retry_after_s([pool], 0.0) == 2


def test_ready_member_means_at_once() -> None:
    """Reliability §7 D18: where a member is ready, and this request has tried it, the next one may come in a second."""
    assert retry_after_s([new_pool([new_lane()])], 0.0) == 1


def test_the_soonest_of_all_pools_counts() -> None:
    """Whoever comes back asks all the pools again, so the first to recover of any of them decides."""
    assert retry_after_s([resting_pool(90.0, 50.0), resting_pool(40.0)], 0.0) == 40


def test_members_that_never_come_back_say_nothing() -> None:
    """Reliability §7 D18: drained, excluded, dead and spent members do not count, and without others it is 2."""
    lanes = [new_lane(name, budget=1) for name in "abcd"]
    pool = new_pool(lanes, (0, 1, 1, 1), PoolSettings(exclusions=("b",)))
    lanes[2].set_dead(True)
    lanes[3].take()
    assert retry_after_s([pool], 0.0) == 2
    assert retry_after_s([], 0.0) == 2


def chosen(pool: Pool, tried: str = "", excluded: str = "") -> str:
    """Return whom to try in spite of the breakers, a dot for nobody."""
    member = least_bad(pool, 0.0, lambda lane: lane.model in tried, lambda lane: lane.model in excluded)
    return "." if member is None else member.lane.model


def test_first_to_come_back_is_least_bad() -> None:
    """Reliability §7: untried ones first, then the shortest rest, then the order of the configuration."""
    pool = resting_pool(90.0, 10.0, 50.0, 10.0)
    assert [chosen(pool, tried) for tried in ("", "b", "bd", "bcd", "abcd")] == ["b", "d", "c", "a", "b"]


def test_full_member_is_not_least_bad() -> None:
    """Reliability case 65: of two open members the one with the shorter rest is full, so the other gets it."""
    pool = resting_pool(10.0, 90.0, most=1)
    pool.members[0].lane.take()
    assert chosen(pool) == "b"
    pool.members[1].lane.take()
    assert chosen(pool) == "."


@pytest.mark.parametrize("reason", ["drained", "excluded", "dead", "spent", "told"])
def test_who_never_serves_is_not_least_bad(reason: str) -> None:
    """Reliability cases 11 and 70: drained, excluded, dead and spent lanes are out, so are those to avoid."""
    lane, settings = new_lane("a"), PoolSettings(exclusions=("a",) if reason == "excluded" else ())
    pool = new_pool([lane], (0 if reason == "drained" else 1,), settings, breaker=EAGER)
    trip(pool.members[0].cell)
    lane.set_dead(reason == "dead")
    if reason == "spent":
        lane.limit(None, 0)
    assert chosen(pool, excluded="a" if reason == "told" else "") == "."


def test_trial_of_another_is_bypassed() -> None:
    """Reliability §3: a half-open member is no candidate anywhere but here, that is what this is for."""
    pool = resting_pool(-1.0, 50.0)
    pool.members[0].cell.admit()
    assert chosen(pool) == "a"


def test_chain_of_pools() -> None:
    """Reliability §7: pools lead on until one does not."""
    pools = falling_back(("a", "b"), ("b", "c"))
    pools["c"] = Pool("c", ())
    assert [pool.name for pool in chain(pools["a"], pools)] == ["a", "b", "c"]
    assert fallback_of(pools["c"], pools, ()) is None


@pytest.mark.parametrize(
    ("steps", "walked"),
    [([("a", "a")], "a"), ([("a", "b"), ("b", "a")], "ab"), ([("a", "b"), ("b", "c"), ("c", "b")], "abc")],
)
def test_circle_of_pools_ends(steps: list[tuple[str, str]], walked: str) -> None:
    """Reliability case 69: a pool that was visited ends the chain."""
    pools = falling_back(*steps)
    assert "".join(pool.name for pool in chain(pools["a"], pools)) == walked


def test_pool_that_is_not_there_ends_the_chain() -> None:
    """A name that leads nowhere is the end, like no name at all."""
    pools = falling_back(("a", "gone"))
    assert chain(pools["a"], pools) == [pools["a"]]
