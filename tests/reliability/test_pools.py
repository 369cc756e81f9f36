"""A pool knows who serves, and what becomes of its rotation when it is replaced."""

import pytest

from busbar_fast.reliability.pools import PoolSettings
from busbar_fast.reliability.selection import rotate
from tests.reliability.builders import names, new_lane, new_pool


def test_drained_and_excluded_members_do_not_serve() -> None:
    """Reliability cases 11 and 70: weight 0 and exclusion by model keep a member from serving, not from the list."""
    lanes = [new_lane(name) for name in "abc"]
    pool = new_pool(lanes, (0, 1, 1), PoolSettings(exclusions=("c",)))
    assert (names(pool.members), names(pool.serving)) == ("abc", "b")
    assert repr(pool) == "<Pool pool serving 1 of 3>"
    assert repr(pool.serving) == "(<PoolMember b weight=1 <Cell CLOSED streak=0 cooldown_until_s=0.000>>,)"


def test_the_same_members_go_on_where_they_stood() -> None:
    """A reload that changes nothing about the shares does not restart the rotation."""
    lanes = [new_lane(name) for name in "ab"]
    old = new_pool(lanes, (2, 1))
    first = rotate(old.serving)
    pool = new_pool(lanes, (2, 1))
    pool.go_on_from(old)
    assert names([first, *(rotate(pool.serving) for _ in range(2))]) == "aba"


@pytest.mark.parametrize("weights", [(1, 1, 1), (2, 1, 0), None])
def test_other_members_begin_anew(weights: tuple[int, ...] | None) -> None:
    """Credit earned under other weights, beside other members, or before the pool was gone for a while is dropped."""
    lanes = [new_lane(name) for name in "abc"]
    old = new_pool(lanes, (2, 1, 1))
    rotate(old.serving)
    pool = new_pool(lanes, weights or (2, 1, 1))
    pool.go_on_from(old if weights else None)
    assert [member.cell.current_weight for member in pool.members] == [0, 0, 0]
