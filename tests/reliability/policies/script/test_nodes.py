"""What each expression evaluates to, what it costs, and what it cannot do."""

from typing import Any

import pytest

from busbar_fast.errors import ScriptError
from tests.reliability.policies.script.running import evaluate, spent

REQUEST: dict[str, Any] = {"pool": "p", "total_chars": 9}
FIRST: dict[str, Any] = {"idx": 7, "tags": ["a", "b"], "tier": "gold", "cost_per_mtok": None}
SECOND: dict[str, Any] = {"idx": 8, "tags": [], "tier": None, "cost_per_mtok": 2.0}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("[None, True, 2, 2.5, 'x']", [None, True, 2, 2.5, "x"]),
        ("(1, (2, 3), ())", [1, [2, 3], []]),
        ("req.pool", "p"),
        ("candidates[0].idx + candidates[-1].idx", 15),
        ("1 + 2 * 3 - 4 / 2", 5.0),
        ("7 // 2 + 7 % 2", 4),
        ("[1] + [2, 3]", [1, 2, 3]),
        ("-3 + +2", -1),
        ("-True", -1),
        ("[not 1, not [], not None]", [False, True, True]),
        ("[1 and 0 and 2, 1 and 2, 0 or '' or 3, 0 or 4 or 5]", [0, 2, 3, 4]),
        ("[1 < 2, 2 <= 2, 1 > 2, 2 >= 3, 'a' < 'b']", [True, True, False, False, True]),
        ("[1 == 1.0, 'a' != 'a', None == None, 1 == 'x']", [True, False, True, False]),
        ("[1 < 2 < 3, 1 < 2 > 3, 3 > 2 == 2]", [True, False, True]),
        ("[2 in [1, 2], 3 in [1, 2], 3 not in [1, 2], None in [None]]", [True, False, True, True]),
        ("['b' in 'abc', 'x' not in 'abc']", [True, True]),
        ("['b' in candidates[0].tags, 'b' in candidates[1].tags]", [True, False]),
        (
            "candidates[0] in candidates",
            True,
        ),
        ("[None is None, 1 is None, 1 is not None]", [True, False, True]),
        ("1 if req.pool == 'p' else 2", 1),
        ("1 if req.pool is None else 2", 2),
        ("[c.idx for c in candidates]", [7, 8]),
        ("[c.idx for c in candidates if c.tier is None if c.idx > 7]", [8]),
        ("[c.idx for c in candidates if c.tier is None if c.idx > 8]", []),
        ("[[n * c.idx for n in [1, 2]] for c in candidates]", [[7, 14], [8, 16]]),
        ("any(c.idx == 8 for c in candidates)", True),
        ("coalesce(candidates[0].cost_per_mtok, 1.5)", 1.5),
        ("[c.idx for c in sorted(candidates, key=lambda c: c.idx, reverse=True)]", [8, 7]),
        ("sorted([2, 1], reverse=0)", [1, 2]),
        ("min(candidates, key=lambda c: [c.tier is None, c.idx]).idx", 7),
        ("max(3, 1, 2) + min([4, 5])", 7),
    ],
)
def test_an_expression_has_its_value(source: str, value: Any) -> None:
    """Reliability §11: each expression means what it means in Python."""
    assert evaluate(source, REQUEST, [FIRST, SECOND], {}) == value


@pytest.mark.parametrize(
    "source",
    [
        "candidates.idx",
        "req.pool.pool",
        "candidates[0].provider",
        "[1, 2][2]",
        "[1, 2][-3]",
        "[1, 2][True]",
        "[1, 2]['x']",
        "'abc'[0]",
        "req[0]",
        "'a' + 'b'",
        "'a' * 2",
        "[1] * 2",
        "2 * [1]",
        "[1] + 1",
        "None + 1",
        "-'x'",
        "+None",
        "9223372036854775807 + 1",
        "-9223372036854775807 - 1",
        "1e308 * 10",
        "1 / 0",
        "1 // 0.0",
        "1 % 0",
        "1 < 'x'",
        "None < 1",
        "1 < 2 < 'x'",
        "[1] == [1]",
        "[1] in [[1]]",
        "1 in 'x'",
        "1 in req",
        "'x' in 1",
        "[c for c in 'abc']",
        "[c for c in req]",
        "[c for c in candidates if c.tier > 1]",
        "[c.pool for c in candidates]",
        "late\nlate = 1",
    ],
)
def test_what_values_do_not_allow_ends_the_script(source: str) -> None:
    """Reliability §11: type errors, missing fields and division by zero are errors of the script."""
    with pytest.raises(ScriptError):
        evaluate(source, REQUEST, [FIRST, SECOND], {})


def test_lists_do_not_grow_without_end() -> None:
    """Reliability §11: a list that is joined or made may have 4096 items and no more."""
    doubled = "x = [1]\n" + "x = x + x\n" * 12
    assert len(evaluate(doubled + "x")) == 4096
    with pytest.raises(ScriptError, match="4096"):
        evaluate(doubled + "x + [1]")
    assert len(evaluate(doubled + "[c for c in x]")) == 4096


def test_only_the_arm_that_is_taken_is_evaluated() -> None:
    """Reliability §11: `and`, `or`, a choice and a chain stop where Python stops."""
    fails = "1 / 0"
    assert evaluate(f"[0 and {fails}, 1 or {fails}, 1 if 1 else {fails}, {fails} if 0 else 2]") == [0, 1, 1, 2]
    assert evaluate(f"2 < 1 < {fails}") is False


@pytest.mark.parametrize(
    ("source", "steps"),
    [
        ("", 0),
        ("1", 2),
        ("x = 1", 2),
        ("1 + 2 * 3", 6),
        ("[1, 2, 3]", 5),
        ("req.pool", 3),
        ("candidates[0]", 4),
        ("not 1", 3),
        ("-(1)", 3),
        ("1 < 2", 4),
        ("1 < 2 < 3", 5),
        ("2 < 1 < 3", 4),
        ("1 and 2 and 3", 5),
        ("0 and 2 and 3", 3),
        ("0 or 2 or 3", 4),
        ("1 if 1 else 2 + 3", 4),
        ("1 if 0 else 2 + 3", 6),
        ("[1] + [2]", 8),
        ("2 in [1, 2, 3]", 10),
        ("'b' in 'abc'", 8),
        ("[c for c in [1, 2, 3]]", 9),
        ("[c for c in [1, 2, 3] if c > 1]", 17),
        ("[c for c in [1, 2, 3] if c > 1 if c > 2]", 22),
        ("len('abc')", 6),
        ("len([1, 2])", 7),
        ("coalesce(1, 2)", 6),
        ("min(1, 2)", 6),
        ("sorted([2, 1])", 9),
        ("sorted([2, 1], key=lambda c: -c)", 13),
        ("if 0:\n 1\nelif 0:\n 1\nelse:\n 1", 6),
        ("if 1:\n 1\nelif 0:\n 1", 4),
    ],
)
def test_each_node_costs_a_step_and_each_function_its_input(source: str, steps: int) -> None:
    """Reliability §11: a step for every node that is evaluated, and for functions the size of what they are given."""
    assert spent(source, REQUEST, [FIRST, SECOND], {}) == steps


def test_a_long_text_is_paid_for_when_it_is_searched() -> None:
    """Reliability case 80: `in` pays for every character, in a list for how long the text is."""
    text = "x" * 5000
    assert spent("'y' in req.pool", {"pool": text}) == 5 + 5001
    assert spent("req.pool in [1, 2]", {"pool": text}) == 7 + 2 * 20
