"""A script as a policy: what it is given, what its result means, when it fails."""

from typing import Any

import pytest

from busbar_fast.errors import PolicyFailed, ScriptError
from busbar_fast.reliability.policies.candidates import Candidate
from busbar_fast.reliability.policies.order import decide
from busbar_fast.reliability.policies.script.script import Script, complaint_of_script
from tests.fakes import FakeClock
from tests.reliability.policies.members import FACTS, members

THREE = members(cost_per_mtok=(3.0, None, 1.0), weight=(1, 2, 3), tags=(("a",), (), ("b", "c")))


def ranked(source: str, candidates: list[Candidate] = THREE) -> Any:
    """Return what a script makes of these candidates."""
    return Script(source, now=FakeClock()).rank(FACTS, candidates)


@pytest.mark.parametrize(
    ("source", "order"),
    [
        ("[2, 0]", [2, 0]),
        ("(1, 2)", [1, 2]),
        ("candidates", [0, 1, 2]),
        ("order = [1]", [1]),
        ("order = [1]\n[2]", [2]),
        ("[2]\norder = [1]", [2]),
        ("if req.stream:\n [1]\nelse:\n [2]", [1]),
        ("if not req.stream:\n [1]\norder = [0]", [0]),
        ("[candidates[2], 0, candidates[1]]", [2, 0, 1]),
        ("[True, 1, False, 1.0, None, 'x', [2], req, ctx, 9, -1]", [1, 9, -1]),
    ],
)
def test_the_result_is_the_last_expression_or_the_order(source: str, order: list[int]) -> None:
    """Reliability §11: the last expression statement, else `order`; numbers and candidates count, others not."""
    assert ranked(source) == order


@pytest.mark.parametrize(
    "source",
    [
        "",
        "# nothing",
        "None",
        "1",
        "'x'",
        "req",
        "[]",
        "x = [1]",
        "[True, 'x']",
        "order = [1]\nNone",
        "if 0:\n order = [1]",
    ],
)
def test_anything_but_a_list_of_members_abstains(source: str) -> None:
    """Reliability §11: a result that names nobody leaves the choice to the weights, and is no error."""
    assert ranked(source) is None


def test_what_a_script_is_given() -> None:
    """Reliability §11: the fields of the request, of each candidate and of the context, absent ones as None."""
    request = "[req.pool, req.ingress_protocol, req.requested_model, req.message_count, req.tool_count, req.has_tools]"
    rest = "[req.total_chars, req.system_chars, req.max_tokens, req.stream, ctx.pool, ctx.budget_remaining]"
    candidate = "[c.idx, c.model, c.provider, c.weight, c.context_max, c.tier]"
    others = "[c.cost_per_mtok, c.latency_ms, c.available_concurrency, c.budget_remaining, c.rate_headroom]"
    expected = "['answer', 'anthropic', 'answer', 3, 2, True]", "[5000, 700, 256, True, 'answer', None]"
    checks = [
        *(f"{request}[{at}] == {expected[0]}[{at}]" for at in range(6)),
        *(f"{rest}[{at}] == {expected[1]}[{at}]" for at in range(6)),
        *(f"{candidate}[{at}] == [1, 'model-1', 'provider-1', 2, None, None][{at}]" for at in range(6)),
        *(f"{others}[{at}] is None" for at in range(5)),
        "'b' in candidates[2].tags and len(candidates[2].tags) == 2 and len(c.tags) == 0",
    ]
    for check in checks:
        assert ranked(f"c = candidates[1]\n[1] if {check} else [0]") == [1], check


def test_a_script_ranks_by_cost_and_size() -> None:
    """Reliability case 80: a script may rank by cost for short prompts and otherwise as it likes."""
    source = (
        "if req.total_chars > 4000:\n"
        "    order = sorted(candidates, key=lambda c: coalesce(c.cost_per_mtok, 1000000))\n"
        "else:\n"
        "    order = [c for c in candidates if 'a' in c.tags]\n"
    )
    script = Script(source, now=FakeClock())
    assert script.rank(FACTS, THREE) == [2, 0, 1]
    assert script.rank(FACTS._replace(total_chars=10), THREE) == [0]
    assert decide(script.rank(FACTS, THREE), THREE).order == (2, 0, 1)


@pytest.mark.parametrize("source", ["1 / 0", "candidates[3]", "sorted(candidates)", "candidates[0].pool", "None < 1"])
def test_a_failure_is_an_error_of_the_policy(source: str) -> None:
    """Reliability case 80: whatever goes wrong in a script is left to `on_error`."""
    with pytest.raises(ScriptError) as failed:
        ranked(source)
    assert isinstance(failed.value, PolicyFailed)


def test_steps_of_the_last_run_are_known() -> None:
    """Reliability §11: what a script costs can be read, so that a budget can be chosen."""
    script = Script("[1, 2]", max_steps=4, now=FakeClock())
    assert (script.rank(FACTS, []), script.steps) == ([1, 2], 4)
    with pytest.raises(ScriptError, match="steps"):
        Script("[1, 2]", max_steps=3, now=FakeClock()).rank(FACTS, [])


def test_a_run_leaves_nothing_to_the_next() -> None:
    """Reliability §11: variables of one request are not seen by another."""
    script = Script("if req.stream:\n x = [1]\nx", now=FakeClock())
    assert script.rank(FACTS, THREE) == [1]
    with pytest.raises(ScriptError, match="no value yet"):
        script.rank(FACTS._replace(stream=False), THREE)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("[0]", ""),
        ("x = 1\nwhile 1:\n x", "line 2 of the script: not allowed in a script: loops"),
        ("x = 1\ny", "line 2 of the script: unknown name `y`"),
        ("x = (", "line 1 of the script: '(' was never closed"),
    ],
)
def test_a_configuration_is_told_what_is_wrong(source: str, complaint: str) -> None:
    """Config §6.3: a script that is not in the language is a load error that names the line."""
    assert complaint_of_script(source) == complaint


@pytest.mark.parametrize(
    ("source", "needs_counts"),
    [("candidates", False), ("[c for c in candidates if req.stream]", False), ("[req.total_chars, req.pool]", True)],
)
def test_whether_a_body_has_to_be_counted_is_known(source: str, *, needs_counts: bool) -> None:
    """Reliability §11: a script that asks for no counts can be run without decoding the body."""
    assert Script(source).needs_counts is needs_counts


def test_whether_the_callers_rate_matters_is_known() -> None:
    """Reliability §11: only a script that reads it has it looked up."""
    assert Script("[c for c in candidates if c.rate_headroom]").needs_headroom
    assert not Script("[c for c in candidates if c.cost_per_mtok]").needs_headroom
