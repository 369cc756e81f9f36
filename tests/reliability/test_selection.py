"""Smooth weighted round robin: exact shares, even spread, exclusion."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.reliability.selection import pick

WEIGHTS = st.lists(st.integers(min_value=1, max_value=9), min_size=1, max_size=6)


@dataclass(eq=False)
class Member:
    """One member of a rotation."""

    name: str
    weight: int
    credit: int = 0
    has_room: bool = True


def rotation(*weights: int) -> list[Member]:
    """Return members called a, b, c, … with these weights."""
    return [Member(name, weight) for name, weight in zip("abcdefgh", weights, strict=False)]


def picks(members: list[Member], count: int) -> str:
    """Return the names of that many picks in a row."""
    chosen = [pick(members) for _ in range(count)]
    return "".join(member.name for member in chosen if member is not None)


@pytest.mark.parametrize(
    ("weights", "order"),
    [
        ((1,), "aaa"),
        ((1, 1), "abab"),
        ((5, 1, 1), "aabacaa"),
        ((3, 2), "ababa" * 2),
        ((1, 2, 3), "cbacbc"),
        ((2, 0), "aaaa"),
    ],
)
def test_picks_are_spread_as_evenly_as_they_can(weights: tuple[int, ...], order: str) -> None:
    """The order over whole cycles is the one worked out by hand; of equals the first in the list begins."""
    assert picks(rotation(*weights), len(order)) == order


def test_nobody_to_pick_is_none() -> None:
    """Neither an empty rotation nor one that is excluded as a whole has a turn."""
    members = rotation(1, 2)
    assert pick([]) is None
    assert pick(members, members) is None
    assert [member.credit for member in members] == [0, 0]


def test_excluded_member_neither_earns_nor_pays() -> None:
    """While a member is out the others even out what they owe each other, and afterwards it goes on where it stood."""
    first, second, third = members = rotation(1, 1, 1)
    assert pick(members) is first
    before = second.credit
    assert [pick(members, [second]) for _ in range(4)] == [third, third, first, third]
    assert second.credit == before
    assert pick(members) is second


@given(WEIGHTS, st.integers(min_value=1, max_value=4))
def test_shares_are_exact_after_whole_cycles(weights: list[int], cycles: int) -> None:
    """After k times the sum of the weights each member was picked k times its weight, and nobody owes anything."""
    members = rotation(*weights)
    order = picks(members, cycles * sum(weights))
    assert [order.count(member.name) for member in members] == [cycles * weight for weight in weights]
    assert all(member.credit == 0 for member in members)


@given(WEIGHTS, st.integers(min_value=1, max_value=60))
def test_shares_are_never_far_off(weights: list[int], count: int) -> None:
    """At any moment a member is at most one round of the others away from its exact share."""
    members = rotation(*weights)
    order = picks(members, count)
    assert len(order) == count
    for member in members:
        assert abs(order.count(member.name) - count * member.weight / sum(weights)) < len(members)


@given(WEIGHTS, st.lists(st.sets(st.integers(min_value=0, max_value=5)), max_size=40))
def test_exclusion_is_kept_and_credit_adds_up(weights: list[int], exclusions: list[set[int]]) -> None:
    """Whoever is excluded, at whatever time, is not picked, and the credits always sum to nothing."""
    members = rotation(*weights)
    for numbers in exclusions:
        excluded = [member for number, member in enumerate(members) if number in numbers]
        chosen = pick(members, excluded)
        assert chosen not in excluded
        assert (chosen is None) == (len(excluded) == len(members))
        assert sum(member.credit for member in members) == 0


def test_member_without_room_neither_earns_nor_pays() -> None:
    """Reliability §3: a full member is passed over while room is needed, and has its turn where it is not."""
    members = rotation(1, 1, 1)
    members[0].has_room = False
    assert [getattr(pick(members, needs_room=True), "name", None) for _ in range(4)] == ["b", "c", "b", "c"]
    assert members[0].credit == 0
    members[1].has_room = members[2].has_room = False
    assert pick(members, needs_room=True) is None
    assert pick(members) is members[0]
