"""The manual of routing policies says what is so, and its scripts do what stands above them."""

import json
import re

import pytest

from busbar_fast.reliability.policies.candidates import Candidate, RequestFacts
from busbar_fast.reliability.policies.native import RANKINGS
from busbar_fast.reliability.policies.script import Script
from busbar_fast.reliability.policies.script.functions import FUNCTIONS
from busbar_fast.reliability.policies.script.limits import CANDIDATE_FIELDS, CONTEXT_FIELDS, REQUEST_FIELDS
from busbar_fast.reliability.policies.script.ordering import ORDERING
from busbar_fast.reliability.policies.webhook import encode_question
from tests.fakes import FakeClock
from tests.house.source import ROOT
from tests.reliability.policies.members import FACTS, members

MANUAL = (ROOT / "docs" / "routing.md").read_text(encoding="utf-8")
FITTING, QUICK, TIERED = (
    Script(text, now=FakeClock()) for text in re.findall(r"```python\n(.*?)```", MANUAL, re.DOTALL)
)


def row(name: str) -> set[str]:
    """Return the names in the second column of the row that begins with this one."""
    found = re.search(rf"^\| `{name}`[^|]*\|([^|]*)\|", MANUAL, re.MULTILINE)
    assert found is not None
    return set(re.findall(r"`(\w+)`", found[1]))


def test_inputs_and_functions_are_all_listed() -> None:
    """Reliability §11: every field, function and native policy stands in the manual, and none that does not exist."""
    assert row("req") == set(REQUEST_FIELDS)
    assert row("candidates") == set(CANDIDATE_FIELDS)
    assert row("ctx") == set(CONTEXT_FIELDS)
    table = MANUAL.partition("| Function | Gives |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)\(", table)) == set(FUNCTIONS) | ORDERING
    assert all(f"`{name}`" in MANUAL for name in RANKINGS)


def test_the_question_has_the_shape_that_is_shown() -> None:
    """Reliability case 79: the example of a webhook's question has the members of a real one, in their order."""
    shown = re.search(r"```json\n(.*?)```", MANUAL, re.DOTALL)
    assert shown is not None
    example = json.loads(shown[1])
    real = json.loads(encode_question(FACTS, members(weight=(1,))))
    assert [list(example[part]) for part in ("request", "context")] == [
        list(real[part]) for part in ("request", "context")
    ]
    assert list(example) == list(real)
    assert list(example["candidates"][0]) == list(real["candidates"][0])


@pytest.mark.parametrize(
    ("facts", "order"),
    [
        (FACTS._replace(total_chars=400, has_tools=False, max_tokens=100), [2, 0, 1, 3]),
        (FACTS._replace(total_chars=400, has_tools=True, max_tokens=100), [0, 1]),
        (FACTS._replace(total_chars=40_000, has_tools=False, max_tokens=None), [1, 3]),
        (FACTS._replace(total_chars=40_000_000, has_tools=True, max_tokens=None), [3]),
    ],
)
def test_the_first_script_finds_the_cheapest_that_fits(facts: RequestFacts, order: list[int]) -> None:
    """Reliability case 80: a script of the manual ranks by cost and `req.total_chars`."""
    crowd = members(
        context_max=(8000, 128_000, 8000, None),
        cost_per_mtok=(2.0, 5.0, 0.5, None),
        tags=(("tools",), ("tools", "vision"), (), ()),
    )
    assert FITTING.rank(facts, crowd) == order


def test_the_second_script_prefers_the_fastest_for_streams() -> None:
    """Reliability case 80: a script of the manual ranks streams by latency and the rest by free permits."""
    crowd = members(latency_ms=(90.0, None, 700.0), available_concurrency=(3, 9, None))
    assert QUICK.rank(FACTS._replace(stream=True), crowd) == [0, 1, 2]
    assert QUICK.rank(FACTS._replace(stream=False), crowd) == [2, 1, 0]


def test_the_third_script_keeps_what_is_nearly_spent_for_the_end() -> None:
    """Reliability case 80: a script of the manual ranks by tier and budget."""
    crowd: list[Candidate] = members(tier=("large", "small", "small", None), budget_remaining=(None, 10, 500, None))
    assert TIERED.rank(FACTS._replace(total_chars=10, message_count=1, has_tools=False), crowd) == [2, 0, 3, 1]
    assert TIERED.rank(FACTS._replace(total_chars=9000), crowd) == [0, 2, 3, 1]
