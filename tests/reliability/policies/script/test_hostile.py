"""Attacks on the ranking language: none leaves it, none takes more than its steps, none takes longer than its time."""

from copy import deepcopy

import pytest

from busbar_fast.errors import ScriptError, ScriptRefused
from busbar_fast.reliability.policies.script import Script, complaint_of_script
from busbar_fast.reliability.policies.script.limits import DEFAULT_STEPS
from perf.micro.script_attacks import CROWD, ESCAPES, FACTS, GREEDY
from tests.fakes import FakeClock

MOST_STEPS = 250_000


class TickingClock:
    """A clock that passes a little time at each look, and counts them."""

    def __init__(self, tick_s: float) -> None:
        self.now_s = 0.0
        self.looks = 0
        self._tick_s = tick_s

    def __call__(self) -> float:
        self.now_s += self._tick_s
        self.looks += 1
        return self.now_s


@pytest.mark.parametrize("name", ESCAPES)
def test_what_leaves_the_language_is_refused_at_load(name: str) -> None:
    """Reliability case 80: whatever is no ranking is refused before it could run, with its line."""
    with pytest.raises(ScriptRefused) as refused:
        Script(ESCAPES[name])
    assert refused.value.line >= 1
    assert complaint_of_script(ESCAPES[name]) == str(refused.value)


@pytest.mark.parametrize("steps", [DEFAULT_STEPS, MOST_STEPS])
@pytest.mark.parametrize("name", GREEDY)
def test_what_takes_too_much_ends_as_an_error_of_the_script(name: str, steps: int) -> None:
    """Reliability case 80: a greedy script ends by its steps or by its values, and the clock is never far away."""
    clock = TickingClock(0.0)
    script = Script(GREEDY[name], max_steps=steps, now=clock)
    facts, crowd = deepcopy(FACTS), deepcopy(CROWD)
    for _ in range(2):  # a failure leaves nothing behind
        before = clock.looks
        with pytest.raises(ScriptError):
            script.rank(facts, crowd)
        assert clock.looks - before <= steps // 256 + 2
    assert (facts, crowd) == (FACTS, CROWD)


@pytest.mark.parametrize(
    "name", ["a million elements", "a key within a key", "searching a long list", "any over everything"]
)
def test_a_slow_machine_ends_a_script_by_its_clock(name: str) -> None:
    """Reliability case 80: at 1 ms for every look a script is over within 25 ms, with most of its steps left."""
    clock = TickingClock(0.001)
    with pytest.raises(ScriptError, match="too long"):
        Script(GREEDY[name], max_steps=MOST_STEPS, timeout_ms=150, now=clock).rank(FACTS, CROWD)
    assert clock.now_s <= 0.028  # one look of them when it is over
    assert clock.looks <= 28


def test_a_shorter_time_of_the_pool_is_kept() -> None:
    """Reliability §11: the deadline is the smaller of the policy's timeout and 25 ms."""
    for timeout_ms, longest_s in ((5, 0.008), (25, 0.028), (10_000, 0.028)):
        clock = TickingClock(0.001)
        script = Script(GREEDY["a million elements"], max_steps=MOST_STEPS, timeout_ms=timeout_ms, now=clock)
        with pytest.raises(ScriptError, match="too long"):
            script.rank(FACTS, CROWD)
        assert longest_s - 0.003 <= clock.now_s <= longest_s


def test_an_honest_script_is_not_taken_for_a_greedy_one() -> None:
    """Reliability case 80: ranking a large pool by two facts stays far within the default budget."""
    script = Script(
        "sorted(candidates, key=lambda c: [coalesce(c.cost_per_mtok, 9), coalesce(c.latency_ms, 9)])", now=FakeClock()
    )
    assert script.rank(FACTS, CROWD) == list(range(15, -1, -1))
    assert script.steps < DEFAULT_STEPS / 20


def test_many_runs_in_a_row_are_held_to_the_time_of_one() -> None:
    """Reliability case 80: several callers of a greedy script take no more time in a row than one of them may."""
    clock = TickingClock(0.001)
    script = Script(GREEDY["a million elements"], max_steps=1000, now=clock)
    reasons: list[str] = []
    for _ in range(16):
        with pytest.raises(ScriptError) as failed:
            script.rank(FACTS, CROWD)
        reasons.append(str(failed.value))
    spent, refused = "used up its steps", "not run: those before it took all the time that scripts have"
    assert reasons[0] == spent
    assert 1 < reasons.count(spent) < 6  # each look at the clock lets time pass, also one that ends in a refusal
    assert reasons.count(refused) + reasons.count(spent) == 16
    clock.now_s += 0.075
    with pytest.raises(ScriptError, match="steps"):
        script.rank(FACTS, CROWD)


def test_there_are_enough_attacks() -> None:
    """Reliability case 80: at least 20 attacks of each kind are tried."""
    assert min(len(ESCAPES), len(GREEDY)) >= 20
