"""Random programs: the evaluator and Python agree on every one, and whatever goes wrong is a ScriptError."""

from collections.abc import Callable
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from busbar_fast.errors import ScriptError, ScriptRefused
from busbar_fast.reliability.policies.candidates import Candidate
from busbar_fast.reliability.policies.script.script import Script
from tests.fakes import FakeClock
from tests.reliability.policies.members import FACTS
from tests.reliability.policies.script.programs import plain, programs, twin
from tests.reliability.policies.script.running import evaluate, record

CANDIDATES = st.lists(
    st.builds(
        Candidate,
        idx=st.integers(0, 9),
        model=st.sampled_from(["a", "B", "large"]),
        provider=st.sampled_from(["p", "q"]),
        weight=st.integers(0, 5),
        tier=st.sampled_from([None, "gold"]),
        cost_per_mtok=st.sampled_from([None, 0.5, 2.0, 3.0]),
        latency_ms=st.sampled_from([80.0, 120.5]),
        tags=st.sampled_from([(), ("gold",), ("a", "b")]),
    ),
    min_size=1,
    max_size=4,
)
FAILURES = (TypeError, ZeroDivisionError, IndexError, ValueError, OverflowError)
# What only the language minds.
STRICTER = ("left its range", "used up its steps", "cannot be ordered", "can be ordered by")

SIGNS = "[ ] ( ) , . + - * / // % < == : = ** @ {} \n"
WORDS = (
    "1 2.5 'x' None True in is not and or if else for c lambda req candidates ctx c.idx req.pool 9223372036854775807"
)
MORE_WORDS = "len sorted min sum coalesce key= reverse= order x while def import _"
TOKENS = [token for line in (SIGNS, WORDS, MORE_WORDS) for token in line.split(" ")]


@given(programs(), CANDIDATES)
@settings(max_examples=600, deadline=None)
def test_every_program_means_what_it_means_in_python(source: str, candidates: list[Candidate]) -> None:
    """Reliability case 80: a program of the grammar gives what Python gives, or fails where Python fails."""
    records = [record(candidate) for candidate in candidates]
    expected = outcome(lambda: plain(twin(source, FACTS, candidates)))
    found = outcome(lambda: evaluate(source, FACTS._asdict(), records, {}))
    if isinstance(found, ScriptError):
        event(f"fails: {found}" if isinstance(expected, FAILURES) else f"is refused: {found}")
        assert isinstance(expected, FAILURES) or any(words in str(found) for words in STRICTER)
        return
    event("has a value")
    assert found == expected
    assert type(found) is type(expected)


def outcome(call: Callable[[], Any]) -> Any:
    """Return the value of a call, or the error that it ended with."""
    try:
        return call()
    except (ScriptError, *FAILURES) as error:
        return error


@given(programs(), CANDIDATES)
@settings(max_examples=200, deadline=None)
def test_every_program_ranks_or_fails_as_a_policy(source: str, candidates: list[Candidate]) -> None:
    """Reliability case 80: as a policy a program gives numbers or no opinion, or it is an error of the script."""
    script = Script(source, now=FakeClock())
    order = outcome(lambda: script.rank(FACTS, candidates))
    assert order is None or isinstance(order, ScriptError) or all(type(idx) is int for idx in order)
    assert script.steps <= 20_000


@given(st.lists(st.sampled_from(TOKENS), max_size=25))
@settings(max_examples=600, deadline=None)
def test_any_words_in_any_order_are_refused_or_run(words: list[str]) -> None:
    """Reliability case 80: nothing but our two errors leaves the language, whatever is written in it."""
    check_harmless(" ".join(words), [])


@given(st.text(max_size=80), CANDIDATES)
@settings(max_examples=300, deadline=None)
def test_any_text_is_refused_or_runs(source: str, candidates: list[Candidate]) -> None:
    """Reliability case 80: nothing but our two errors leaves the language, whatever bytes a file holds."""
    check_harmless(source, candidates)


def check_harmless(source: str, candidates: list[Any]) -> None:
    """Demand that a source is refused, fails or ranks."""
    try:
        order = Script(source, now=FakeClock()).rank(FACTS, candidates)
    except (ScriptRefused, ScriptError):
        return
    assert order is None or all(type(idx) is int for idx in order)
