"""Whose turn it is: exact shares, even spread, exclusion, sticky and ranked members, last resorts, who is awaited."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.reliability.affinity import sticky_index
from busbar_fast.reliability.breaker import Cell, State
from busbar_fast.reliability.lanes import DEFAULT, LaneState
from busbar_fast.reliability.pools import Pool, PoolMember, PoolSettings
from busbar_fast.reliability.selection import awaited, call_lines, rotate, select
from tests.reliability.builders import DEFAULTS, EAGER, new_lane, new_pool, trip

WEIGHTS = st.lists(st.integers(min_value=1, max_value=9), min_size=1, max_size=6)


def lanes_of(models: str, **limits: int) -> list[LaneState]:
    """Return lanes with these one-letter models."""
    return [new_lane(model, **limits) for model in models]  # type: ignore[arg-type]


def turns(pool: Pool, count: int, now_s: float = 0.0, ranked: Sequence[PoolMember] = ()) -> str:
    """Return who is selected so many times in a row, a dot where nobody is."""
    chosen = (select(pool, now_s, ranked=ranked) for _ in range(count))
    return "".join("." if member is None else member.lane.model for member in chosen)


def nobody(_: LaneState) -> bool:
    """Bar nobody."""
    return False


@pytest.mark.parametrize(
    ("weights", "order"),
    [
        ((5, 1, 1), "aabacaa" * 2),
        ((2, 1), "aba" * 3),
        ((1,), "aaa"),
        ((1, 1), "abab"),
        ((3, 2), "ababa" * 2),
        ((1, 2, 3), "cbacbc"),
        ((2, 0), "aaaa"),
    ],
)
def test_members_take_turns_by_weight(weights: tuple[int, ...], order: str) -> None:
    """Reliability case 8: 5, 1, 1 gives a a b a c a a twice, 2, 1 gives a b a."""
    pool = new_pool(lanes_of("abc"[: len(weights)]), weights)
    assert turns(pool, len(order)) == order


@given(WEIGHTS, st.integers(min_value=1, max_value=60))
def test_shares_are_never_far_off_and_exact_after_whole_cycles(weights: list[int], count: int) -> None:
    """At any moment a member is at most one round of the others away from its share, and it has it after each cycle."""
    pool = new_pool(lanes_of("abcdef"[: len(weights)]), weights)
    for order in (turns(pool, sum(weights)), turns(pool, count)):
        shares = [len(order) * weight / sum(weights) for weight in weights]
        missing = [abs(order.count(model) - share) for model, share in zip("abcdef", shares, strict=False)]
        assert max(missing) == 0 if len(order) == sum(weights) else max(missing) < len(weights)


def test_absent_member_neither_earns_nor_pays() -> None:
    """While a member is out the others even out what they owe each other, and afterwards it goes on where it stood."""
    pool = new_pool(lanes_of("abc"), (1, 1, 1))
    first, second, third = pool.members
    assert rotate(pool.members) is first
    before = second.cell.current_weight
    assert [rotate([first, third]) for _ in range(4)] == [third, third, first, third]
    assert second.cell.current_weight == before
    assert rotate(pool.members) is second


def test_shares_over_a_thousand() -> None:
    """Reliability cases 8 and 10: weights 8 and 2 get 800 and 200 of a thousand, and the credits sum to nothing."""
    pool = new_pool(lanes_of("ab"), (8, 2))
    assert Counter(turns(pool, 1000)) == {"a": 800, "b": 200}
    assert [member.cell.current_weight for member in pool.members] == [0, 0]


def test_pools_rotate_independently() -> None:
    """Reliability case 10: two pools over the same lanes each have their own turns."""
    lanes = lanes_of("ab")
    pools = [new_pool(lanes, name=name) for name in ("one", "two")]
    assert [turns(pools[0], 1), turns(pools[1], 3), turns(pools[0], 1)] == ["a", "aba", "b"]


def test_tripped_member_is_left_out_and_comes_back_gently() -> None:
    """Reliability case 9: the others share by weight, and who recovers has no credit to spend in a burst."""
    pool = new_pool(lanes_of("abc"), (1, 2, 1), breaker=EAGER)
    cell = pool.members[0].cell
    turns(pool, 3)
    assert cell.current_weight == -1
    trip(cell)
    rest_s = cell.cooldown_until_s
    assert Counter(turns(pool, 30)) == {"b": 21, "c": 9}  # b was owed one
    cell.succeed(rest_s, cell.admit())
    assert (cell.current_weight, cell.state) == (0, State.CLOSED)
    assert turns(pool, 8, rest_s).count("a") == 2


def test_pool_that_is_drained_has_nobody() -> None:
    """Reliability case 11: where all weights are 0 nobody is selected, ranked or sticky as they may be."""
    pool = new_pool(lanes_of("ab"), (0, 0))
    member = pool.members[0]
    assert select(pool, 0.0, ranked=[member], sticky=member) is None


def test_drained_member_is_passed_over_by_rank_and_session() -> None:
    """Reliability cases 11 and 70: a drained and an excluded member are nobody's first choice any more."""
    pool = new_pool(lanes_of("abc"), (0, 1, 1), PoolSettings(exclusions=["b"]))
    for member in pool.members[:2]:
        assert select(pool, 0.0, ranked=[member]) is pool.members[2]
        assert select(pool, 0.0, sticky=member) is pool.members[2]


def test_session_sticks() -> None:
    """Reliability cases 12 and 13: a hundred requests of a session go to one member, whatever the weights say."""
    pool = new_pool(lanes_of("abc"), (5, 1, 5))
    sticky = pool.members[sticky_index(b"session-1", len(pool.members))]
    assert {select(pool, 0.0, sticky=sticky) for _ in range(100)} == {pool.members[1]}
    assert [member.cell.current_weight for member in pool.members] == [0, 0, 0]


@pytest.mark.parametrize("trouble", ["open", "soft", "full", "dead", "spent", "barred"])
def test_session_goes_elsewhere_when_its_member_cannot(trouble: str) -> None:
    """Reliability case 14: a sticky member that cannot serve at once is passed over without a word."""
    pool = new_pool(lanes_of("ab"), breaker=EAGER if trouble == "open" else DEFAULTS)
    sticky, other = pool.members
    lane = sticky.lane
    lane.limit(1 if trouble == "full" else None, 1 if trouble == "spent" else 99)
    lane.set_dead(trouble == "dead")
    if trouble in ("full", "spent"):
        lane.take()
    elif trouble in ("open", "soft"):
        sticky.cell.fail(0.0)
    is_barred = (lambda candidate: candidate is lane) if trouble == "barred" else None
    assert select(pool, 0.0, is_barred, sticky=sticky) is other


def test_sticky_beats_rank_and_rank_beats_weight() -> None:
    """Reliability cases 15 and 76: first the session's member, then the best ranked who can, then the rotation."""
    pool = new_pool(lanes_of("abcx"), breaker=EAGER)
    a, b, c, _ = pool.members
    assert select(pool, 0.0, ranked=[c, b], sticky=a) is a
    assert select(pool, 0.0, ranked=[c, b]) is c
    trip(c.cell)
    assert select(pool, 0.0, ranked=[c, b]) is b
    assert turns(pool, 3, ranked=[c]) == "abx"


def test_full_member_is_skipped() -> None:
    """Reliability case 16: while another has room nobody waits for the one that is busy."""
    pool = new_pool(lanes_of("ab", most=1))
    pool.members[0].lane.take()
    assert turns(pool, 3) == "bbb"


def test_soft_rest_is_the_last_resort() -> None:
    """Reliability §3 D6: a member in a soft rest is skipped while any other is ready, and serves when none is."""
    pool = new_pool(lanes_of("abc"))
    a, b, c = pool.members
    a.cell.fail(0.0)
    b.cell.fail(0.0)
    assert turns(pool, 2) == "cc"
    trip(c.cell)
    assert turns(pool, 4) == "abab"
    assert turns(pool, 2, ranked=[b]) == "bb"
    assert select(pool, 0.0, lambda lane: lane is a.lane) is b
    assert select(pool, 0.0, lambda lane: lane.model in "ab") is None


def test_last_resort_needs_a_permit_and_the_upstreams_consent() -> None:
    """Reliability §3 D6: a full lane and a rest that the upstream asked for are no last resort."""
    pool = new_pool(lanes_of("ab", most=1))
    a, b = pool.members
    a.cell.fail(0.0)
    a.lane.take()
    b.cell.fail(0.0, retry_after_s=60.0)
    assert turns(pool, 1) == "."


def test_looking_uses_up_no_trial() -> None:
    """Reliability case 31: a thousand looks at an open cell whose rest is over leave it open and ready."""
    pool = new_pool(lanes_of("ab"), breaker=EAGER)
    cell = pool.members[1].cell
    trip(cell)
    for _ in range(1000):
        select(pool, 30.0)
        awaited(pool, 30.0, nobody)
    assert (cell.state, cell.is_ready(30.0)) == (State.OPEN, True)


def test_full_lane_starts_no_trial() -> None:
    """Reliability case 34: an open cell whose rest is over is not tried while its lane has no permit."""
    pool = new_pool(lanes_of("a", most=1), breaker=EAGER)
    (member,) = pool.members
    trip(member.cell)
    member.lane.take()
    assert select(pool, 30.0) is None
    assert member.cell.state is State.OPEN


def test_awaited_are_those_that_lack_a_permit_only() -> None:
    """Reliability §3 D5: the full ones are waited for, unless something else is wrong with them too."""
    pool = new_pool(lanes_of("abcdefg", most=1), (1, 1, 1, 1, 1, 1, 0), breaker=EAGER)
    ready, soft, tripped, dead, spent, _, drained = pool.members
    for member in (ready, soft, tripped, dead, spent, drained):
        member.lane.take()
    soft.cell.retune(DEFAULTS)
    soft.cell.fail(0.0)
    trip(tripped.cell)
    dead.lane.set_dead(True)
    spent.lane.limit(1, 1)
    assert awaited(pool, 0.0, nobody) == [ready, soft]
    assert awaited(pool, 0.0, lambda lane: lane is ready.lane) == [soft]


def test_lane_itself_is_a_pool_of_one() -> None:
    """Reliability §1: a request for a lane itself goes by its default cell, which pools do not touch."""
    lane = new_lane("a")
    trip(new_pool([lane], breaker=EAGER).members[0].cell)
    direct = Pool("a", [PoolMember(lane, lane.cells[DEFAULT])])
    assert turns(direct, 2) == "aa"


@given(WEIGHTS, st.lists(st.sets(st.integers(min_value=0, max_value=5)), max_size=40))
def test_credit_adds_up_whoever_is_absent(weights: list[int], absences: list[set[int]]) -> None:
    """Whoever is absent, at whatever time, is not chosen and keeps its credit, and the credits sum to nothing."""
    pool = new_pool(lanes_of("abcdef"[: len(weights)]), weights)
    for absent in absences:
        present = [member for number, member in enumerate(pool.members) if number not in absent]
        before = [member.cell.current_weight for member in pool.members]
        if present:
            assert rotate(present) in present
        kept = [number for number in absent if number < len(weights)]
        assert all(pool.members[number].cell.current_weight == before[number] for number in kept)
        assert sum(member.cell.current_weight for member in pool.members) == 0


# Those who came before.


class InLine:
    """One that is called, and lets it pass."""

    def on_ready(self, cell: Cell) -> None:
        assert not cell.has_line


def test_member_with_a_line_is_left_to_it() -> None:
    """Reliability §3: neither a rest that is over nor a soft one lets a newcomer pass those in line."""
    pool = new_pool([new_lane("a"), new_lane("b"), new_lane("c")])
    pool.members[2].lane.limit(None, 0)
    for member in pool.members[:2]:
        member.cell.fail(0.0, retry_after_s=5.0)
        member.cell.line_up(InLine())
    assert [(call_lines(pool, now_s), select(pool, now_s)) for now_s in (0.0, 4.0)] == [(False, None)] * 2
    assert [select(pool, now_s) for now_s in (10.0, 31.0)] == [None, None]
    assert [call_lines(pool, 10.0) for _ in range(3)] == [True, True, False]
    assert select(pool, 10.0) is not None
