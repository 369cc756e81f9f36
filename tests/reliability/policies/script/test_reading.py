"""From source to a tree: size, brackets, depth, and what Python itself refuses."""

import ast
from time import process_time

import pytest

from busbar_fast.errors import ScriptRefused
from busbar_fast.reliability.policies.script.limits import BRACKET_DEPTH, NODES, SOURCE_BYTES, TREE_DEPTH
from busbar_fast.reliability.policies.script.reading import read_script


def refusal(source: str) -> ScriptRefused:
    """Return why a source cannot be read."""
    with pytest.raises(ScriptRefused) as refused:
        read_script(source)
    return refused.value


def test_a_source_becomes_a_tree() -> None:
    """Reliability §11: what fits is parsed by Python's own grammar."""
    assert ast.unparse(read_script("x = [1, 2]\nx")) == "x = [1, 2]\nx"


def test_a_source_may_be_so_large_and_no_larger() -> None:
    """Reliability §11: 16 KiB of UTF-8 are read, one byte more is refused before it is parsed."""
    filler = "#" + "é" * ((SOURCE_BYTES - 2) // 2)
    assert len((filler + "x").encode()) == SOURCE_BYTES
    assert read_script(filler + "x").body == []
    assert "16384 bytes" in str(refusal(filler + "xy"))


@pytest.mark.parametrize("piece", ["'\\", '"\\', "'\\\n", "'a", "\"'", "'(\\"])
def test_texts_without_an_end_are_read_once(piece: str) -> None:
    """Reliability §11: reading a script takes time in proportion to its length, whatever quotes it is made of."""
    source = "1 +" + (piece * SOURCE_BYTES)[: SOURCE_BYTES - 3]
    began_s = process_time()
    refusal(source)
    assert process_time() - began_s < 0.2


@pytest.mark.parametrize("brackets", ["()", "[]", "{}", "(]"])
def test_brackets_are_counted_before_anything_is_parsed(brackets: str) -> None:
    """Reliability §11: brackets may nest 64 deep, and the line of the one too many is named."""
    error = refusal("x = 1\n\n" + brackets[0] * (BRACKET_DEPTH + 1) + brackets[1] * (BRACKET_DEPTH + 1))
    assert (error.line, error.reason) == (3, "brackets may nest 64 levels deep")
    assert "64" not in str(refusal(brackets[0] * BRACKET_DEPTH))


@pytest.mark.parametrize(
    "source",
    [
        "x = '" + "(" * 80 + "'",
        'x = "\\"' + "(" * 80 + '"',
        "x = '''\n" + "(" * 80 + "'''",
        'x = """\n\'"' + "(" * 80 + '"""',
        "x = 1  # " + "[" * 80,
        "x = [(1)]\n" * 100,
    ],
)
def test_brackets_in_texts_and_comments_are_none(source: str) -> None:
    """Reliability §11: only brackets of the program itself nest."""
    assert read_script(source).body != []


@pytest.mark.parametrize(
    "source",
    [
        "not " * 40 + "x",
        "-" * 2000 + "1",
        "x = 1\n" + "~+-" * 40 + "1",
        "lambda: " * 300 + "x",
        "1 - " + "- " * 40 + "1",
    ],
)
def test_operators_in_a_row_are_refused_before_they_are_parsed(source: str) -> None:
    """Reliability §11: what would make the parser recurse without a bracket is found beforehand."""
    assert refusal(source).reason == "nested too deeply"


@pytest.mark.parametrize(
    "source",
    [
        "x" + ".idx" * 4000,
        "x" + "[0]" * 5000,
        "1" + "+1" * 8000,
        "1 if 1 else " * 1300 + "1",
        "2**-" * 4000 + "1",
        "1 < " * 3000 + "1",
        "[" * 40 + "]" * 40,
        "if 1:\n" + "".join(f"{' ' * level}if 1:\n" for level in range(1, 40)) + " " * 40 + "1",
    ],
)
def test_a_deep_or_large_tree_is_refused(source: str) -> None:
    """Reliability §11: 2000 nodes and 32 levels are the limit, and what Python's parser cannot bear is refused too."""
    reason = refusal(source).reason
    assert any(said in reason for said in ("levels deep", "2000 nodes", "nested too deeply"))


def test_a_tree_may_be_so_deep_and_no_deeper() -> None:
    """Reliability §11: the limit itself is allowed, and the line where it is passed is named."""
    inside = TREE_DEPTH - 1  # the statement is a level
    assert read_script("[" * inside + "]" * inside).body != []
    assert refusal("x = 1\n" + "[" * (inside + 1) + "]" * (inside + 1)).line == 2
    assert TREE_DEPTH == 32


def test_a_tree_may_have_so_many_nodes_and_no_more() -> None:
    """Reliability §11: the limit itself is allowed."""
    numbers = NODES - 2  # a statement and a list
    assert read_script("[" + "1," * numbers + "]").body != []
    assert refusal("[" + "1," * (numbers + 1) + "]").reason == "a script may have at most 2000 nodes"


def test_a_long_row_of_elif_is_not_deep() -> None:
    """Reliability §11: an elif stands beside its if, not inside it."""
    arms = "".join(f"elif {number}:\n 1\n" for number in range(200))
    assert read_script(f"if 0:\n 1\n{arms}else:\n 2\n").body != []


@pytest.mark.parametrize(
    ("source", "line"),
    [("x = 1\ny = = 2", 2), ("x = (", 1), ("if 1:\nx", 2), ("x\0", 1), ("'" + "9", 1), ("x = " + "9" * 5000, 1)],
)
def test_what_is_no_python_is_refused_with_its_line(source: str, line: int) -> None:
    """Reliability §11: the parser's reason is passed on with the line it gives."""
    assert refusal(source).line == line


def test_half_a_character_is_refused() -> None:
    """Reliability §11: a source that is no UTF-8 is refused where it breaks."""
    assert refusal("x = 1\ny = '\ud800'").line == 2


def test_a_strange_escape_is_no_warning() -> None:
    """Reliability §11: what Python would warn about says nothing to whoever starts the gateway."""
    assert read_script(r"'\d'").body != []


@pytest.mark.parametrize(
    "source",
    [
        "let cheap = candidates.filter(|c| c.cost < 3);",
        "fn rank(c) { c.cost }\nrank(1)",
        "// cheapest first\n[0]",
        "candidates.sort(|a, b| a.cost - b.cost)",
        'if req.stream { [0] } else { "x" }',
        "x => x",
        "pick(${x})",
        "let m = #{a: 1};",
        "x = 1;\nif a && b { 1 }",
        "switch req.pool { _ => [] }",
    ],
)
def test_rhai_is_refused_with_a_hint(source: str) -> None:
    """Config §6.3: a script of the other language is refused, and the refusal says so."""
    assert "Rhai" in refusal(source).reason


def test_other_mistakes_are_not_called_rhai() -> None:
    """Config §6.3: a typing error in the right language gets no hint to another one."""
    assert "Rhai" not in refusal("x = sorted(candidates, key=lambda c: )").reason


@pytest.mark.parametrize(
    "source", ["'''\\'" * 3200, "'" * 16384, "lambda " * 2300, "(" * 16384, "|a" * 8000, '"""' + '\\"""' * 4000]
)
def test_a_hostile_source_is_refused_soon(source: str) -> None:
    """Reliability case 80: no source of the largest size keeps the loader busy for long."""
    began_s = process_time()
    assert refusal(source).line >= 1
    assert process_time() - began_s < 2.0
