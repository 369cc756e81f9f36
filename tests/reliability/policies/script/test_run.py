"""How a run pays, and when it ends."""

import pytest

from busbar_fast.errors import ScriptError
from busbar_fast.reliability.policies.script.run import UNSET, Run
from tests.fakes import FakeClock


def run_of(steps: int, clock: FakeClock, seconds: float = 0.025) -> Run:
    """Return a run with these limits."""
    return Run([1, 2], steps, clock, clock() + seconds)


def test_a_run_ends_when_its_steps_are_used_up() -> None:
    """Reliability §11: the budget may be used to the last step, and one more is an error."""
    run = run_of(1000, FakeClock())
    for _ in range(10):
        run.pay(100)
    assert (run.left, run.result) == (0, UNSET)
    with pytest.raises(ScriptError, match="steps"):
        run.pay(1)


def test_the_clock_is_looked_at_every_256_steps() -> None:
    """Reliability §11: the deadline is tested every 256 steps, not at each of them."""
    looks = []

    def now() -> float:
        looks.append(run.left)
        return 0.0

    run = Run([], 1024, now, 1.0)
    for _ in range(1024):
        run.pay(1)
    assert looks == [767, 510, 253]


def test_a_run_ends_at_its_deadline() -> None:
    """Reliability §11: at the first look behind the deadline the run is over, whatever steps it has left."""
    clock = FakeClock()
    run = run_of(20_000, clock)
    clock.now_s += 0.0249
    run.pay(300)
    clock.now_s += 0.0001
    run.pay(200)
    with pytest.raises(ScriptError, match="too long"):
        run.pay(100)


def test_what_takes_long_is_not_begun_too_late() -> None:
    """Reliability case 80: an operation of many steps cannot be interrupted, so it has to fit into the time left."""
    clock = FakeClock()
    run = run_of(250_000, clock)
    run.pay(50_000)
    clock.now_s += 0.024
    with pytest.raises(ScriptError, match="too long"):
        run.pay(50_000)


def test_a_small_budget_has_no_look_before_its_end() -> None:
    """Reliability §11: a budget below 256 is counted like any other."""
    run = run_of(5, FakeClock())
    run.pay(5)
    with pytest.raises(ScriptError, match="steps"):
        run.pay(1)
