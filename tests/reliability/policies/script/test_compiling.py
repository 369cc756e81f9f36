"""Names and statements: what binds a name, where it is seen, and what the result is."""

from typing import Any

import pytest

from busbar_fast.errors import ScriptError, ScriptRefused
from busbar_fast.reliability.policies.script.compiling import compile_tree
from busbar_fast.reliability.policies.script.reading import read_script
from tests.reliability.policies.script.running import evaluate

REQUEST = {"pool": "p", "total_chars": 10}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("x = 1\ny = x + 1\nx = 5\n[x, y]", [5, 2]),
        ("if req.total_chars > 5:\n x = 1\nelse:\n x = 2\nx", 1),
        ("if req.total_chars < 5:\n x = 1\nelif req.total_chars < 20:\n x = 2\nelse:\n x = 3\nx", 2),
        ("if 0:\n x = 1\nelif 0:\n x = 2\nelse:\n x = 3\nx", 3),
        ("x = 0\nif 0:\n x = 1\nx", 0),
        ("if 1:\n if 1:\n  7", 7),
        ("if 1:\n 1\nelse:\n if 1:\n  2", 1),
        ("1\n2\nx = 3", 2),
        ("if 1:\n 4\nelse:\n 5", 4),
        ("x = 1\n[x for x in [2, 3]]\n", [2, 3]),
        ("x = 1\ny = [x for x in [2, 3]]\nx", 1),
        ("x = [1, 2]\n[x for x in x]", [1, 2]),
        ("[[c + d for d in [10, 20]] for c in [1, 2]]", [[11, 21], [12, 22]]),
        ("[[c for c in [c, c + 1]] for c in [1, 3]]", [[1, 2], [3, 4]]),
        ("sorted([1, 2, 3], key=lambda x: -x)", [3, 2, 1]),
        ("x = 2\nsorted([1, 2, 3], key=lambda c: (c - x) * (c - x))", [2, 1, 3]),
        ("[max([c, 2], key=lambda d: d * c) for c in [-1, 3]]", [-1, 3]),
        ("candidates = [1]\ncandidates + [2]", [1, 2]),
        ("req = [5]\nreq[0]", 5),
        ("[req for req in [1]]", [1]),
        ("ctx.budget_remaining is None", True),
        ("not (1 > 2 or 2 > 1 > 0)", False),
        ("-1 if 0 else +2 % 3", 2),
        ("[7, 8][1] - 2", 6),
        ("sorted([1, 3, 2], reverse=True)", [3, 2, 1]),
        ("max(1, len('ab'))", 2),
    ],
)
def test_names_and_statements(source: str, value: Any) -> None:
    """Reliability §11: assignments, branches and the value of the last expression statement that was reached."""
    assert evaluate(source, REQUEST, [], {"pool": "p", "budget_remaining": None}) == value


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("nothing", "unknown name `nothing`"),
        ("[c for c in candidates]\nc", "unknown name `c`"),
        ("sorted([1], key=lambda c: d)", "unknown name `d`"),
        ("[c for c in c]", "unknown name `c`"),
        ("__builtins__", "unknown name `__builtins__`"),
        ("req.idx", "`req` has no field `idx`"),
        ("req.tags", "`req` has no field `tags`"),
        ("ctx.model", "`ctx` has no field `model`"),
    ],
)
def test_what_does_not_exist_is_refused_at_load(source: str, named: str) -> None:
    """Reliability §11: unknown names and fields that an input never has are load errors, with their line."""
    with pytest.raises(ScriptRefused) as refused:
        compile_tree(read_script("x = 1\n" + source))
    assert refused.value.reason == named
    assert refused.value.line >= 2


def test_a_name_of_an_input_may_mean_something_else() -> None:
    """Reliability §11: where `req` is a variable of the script, its fields are what it holds."""
    candidate = {"idx": 3, "tags": []}
    assert evaluate("[req.idx for req in candidates]", REQUEST, [candidate]) == [3]
    assert evaluate("ctx = candidates[0]\nctx.idx", REQUEST, [candidate]) == 3
    assert evaluate("sorted(candidates, key=lambda ctx: ctx.idx)", REQUEST, [candidate]) == [candidate]


def test_a_variable_must_have_a_value_when_it_is_read() -> None:
    """Reliability §11: what is assigned in an arm that was not taken has no value."""
    with pytest.raises(ScriptError, match="`x` has no value yet"):
        evaluate("if 0:\n x = 1\nx")


def test_many_arms_are_no_recursion() -> None:
    """Reliability case 80: hundreds of elif are compiled and run one after the other."""
    arms = "".join(f"elif x == {number}:\n {number}\n" for number in range(200))
    assert evaluate(f"x = 199\nif 0:\n 0\n{arms}") == 199


def test_where_the_order_would_be_is_known() -> None:
    """Reliability §11: a script that assigns `order` can be asked for it."""
    assert compile_tree(read_script("order = [1]")).order_slot == 3
    assert compile_tree(read_script("x = [1]")).order_slot is None


def test_what_a_script_reads_is_known() -> None:
    """Reliability §11: only the fields that a script names have to be put in front of it."""
    program = compile_tree(read_script("sorted(candidates, key=lambda c: c.weight + req.total_chars)"))
    assert program.fields == {"weight", "total_chars"}
