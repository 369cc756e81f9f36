"""How long a cell rests: doubling, cap, spread, and the floor an upstream asks for."""

from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.reliability.backoff import cooldown_s, honoured_s

DRAWS = [number / 1000 for number in range(1000)]


@pytest.mark.parametrize(
    ("streak", "lowest", "highest"), [(1, 27.0, 33.0), (2, 54.0, 66.0), (3, 96.0, 120.0), (4, 96.0, 120.0)]
)
def test_rest_doubles_up_to_the_cap(streak: int, lowest: float, highest: float) -> None:
    """Reliability case 37: with the defaults the first three failures bring rests within these bounds."""
    rests = [cooldown_s(15.0, 120.0, streak, chance) for chance in DRAWS]
    assert min(rests) == lowest
    assert highest - 0.1 < max(rests) <= highest


@pytest.mark.parametrize(
    ("base_s", "longest_s", "streak", "chance", "expected"),
    [
        (1.0, 1.0, 1, 0.0, 1.0),
        (1.0, 120.0, 1, 0.0, 1.0),
        (16.0, 120.0, 200, 0.999999, pytest.approx(120.0, abs=0.01)),
        (16.0, 120.0, 10**9, 0.0, 96.0),
    ],
)
def test_rest_has_its_limits(base_s: float, longest_s: float, streak: int, chance: float, expected: float) -> None:
    """Reliability case 37: a small base rests a second at least, and an endless streak rests the cap and not 0."""
    assert cooldown_s(base_s, longest_s, streak, chance) == expected


@pytest.mark.parametrize(("streak", "centre"), [(1, 30.0), (2, 60.0), (7, 108.0)])
def test_rests_spread_to_both_sides(streak: int, centre: float) -> None:
    """Reliability case 38: rests lie on both sides of their centre, on the first trip and at the cap too."""
    rests = [cooldown_s(15.0, 120.0, streak, chance) for chance in DRAWS]
    assert min(rests) < centre < max(rests)
    assert mean(rests) == pytest.approx(centre, rel=0.01)
    assert len(set(rests)) == len(DRAWS)


@given(
    st.floats(min_value=1, max_value=1e6),
    st.floats(min_value=1, max_value=1e6),
    st.integers(min_value=1, max_value=10**6),
    st.floats(min_value=0, max_value=1, exclude_max=True),
)
def test_rest_stays_between_a_second_and_the_cap(base_s: float, more: float, streak: int, chance: float) -> None:
    """No setting, streak or draw leads outside of what is allowed, nor below half the doubled base."""
    longest_s = base_s * more
    rest_s = cooldown_s(base_s, longest_s, streak, chance)
    assert 1.0 <= rest_s <= longest_s
    assert rest_s >= min(base_s, longest_s / 2)


@pytest.mark.parametrize(
    ("asked", "honoured"), [(90.0, 90.0), (0.0, 0.0), (-3.0, 0.0), (10.0**20, 86400.0), (86400.0, 86400.0)]
)
def test_a_request_to_wait_is_honoured_within_limits(asked: float, honoured: float) -> None:
    """Reliability case 39: a number of 20 digits is a day, and a date in the past asks for nothing."""
    assert honoured_s(asked, 86400.0) == honoured
