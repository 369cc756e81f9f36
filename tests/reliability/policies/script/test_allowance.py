"""The time that a script has: what is used up in a row, and how it comes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.errors import ScriptError
from busbar_fast.reliability.policies.script.allowance import Allowance
from busbar_fast.reliability.policies.script.limits import LONGEST_S

MOMENTS = st.floats(min_value=0.0, max_value=0.04)


def test_time_is_used_up_and_comes_back() -> None:
    """Reliability §11: 25 ms in a row, and as much again after three times as much without a run."""
    allowance = Allowance()
    assert allowance.begin(5.0) == pytest.approx(0.025)
    allowance.end(5.005)
    assert allowance.begin(5.005) == pytest.approx(0.020)
    allowance.end(5.025)
    for now_s in (5.025, 5.084):
        with pytest.raises(ScriptError, match="not run"):
            allowance.begin(now_s)
    assert allowance.begin(5.088) == pytest.approx(0.021)


@given(st.lists(st.tuples(MOMENTS, MOMENTS), max_size=60))
def test_others_never_wait_longer_than_one_allowance(moments: list[tuple[float, float]]) -> None:
    """Reliability §11: whatever comes whenever, runs never take more than 25 ms beyond a third of the time between."""
    now_s = debt_s = 0.0
    allowance = Allowance()
    for pause_s, wanted_s in moments:
        now_s += pause_s
        debt_s = max(0.0, debt_s - pause_s / 3)
        try:
            taken_s = min(wanted_s, allowance.begin(now_s))
        except ScriptError:
            continue
        now_s += taken_s
        debt_s += taken_s
        allowance.end(now_s)
        assert debt_s <= LONGEST_S + 1e-6


def test_many_short_runs_are_never_too_much() -> None:
    """Reliability §11: a run that takes a third of the request around it always has its time."""
    allowance, now_s = Allowance(), 0.0
    for _ in range(10_000):
        allowance.begin(now_s)
        now_s += 0.0001
        allowance.end(now_s)
        now_s += 0.0003
    assert allowance.begin(now_s) >= 0.0249
