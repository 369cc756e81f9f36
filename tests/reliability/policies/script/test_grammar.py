"""What a script may be made of, and how everything else is refused."""

import ast

import pytest

from busbar_fast.errors import ScriptRefused
from busbar_fast.reliability.policies.script.grammar import check_grammar

ALLOWED = [
    "",
    "# nothing",
    "None, True, False, 1, 2.5, 'x', 9223372036854775807",
    "x = 1",
    "if x:\n y = 1\nelif z:\n y = 2\nelse:\n y = 3",
    "x.model",
    "x[0]",
    "x[-1]",
    "x + y - 1 * 2 / 3 // 4 % 5",
    "-x, +x, not x",
    "x and y or z",
    "x < y <= 3 > z >= 4",
    "x == y != z",
    "x in y, x not in y",
    "x is None, x is not None",
    "1 if x else 2",
    "[c for c in x]",
    "[c for c in x if c if d]",
    "any(c for c in x)",
    "[[d for d in c] for c in x]",
    "[1, [2, (3, 4)], ()]",
    "len(x), sum(x), abs(x), round(x), round(x, 1), any(x), all(x), int(x), float(x), lower(x)",
    "startswith(x, y), endswith(x, y), contains(x, y), coalesce(x), coalesce(x, y, z)",
    "sorted(x), sorted(x, reverse=True), sorted(x, key=lambda c: c.idx), sorted(x, reverse=y, key=lambda c: 1)",
    "min(x), max(x), min(x, y), max(1, 2, 3), min(x, key=lambda c: c.weight)",
]

REFUSED = [
    ("while x:\n 1", "loops"),
    ("for c in x:\n 1", "loops"),
    ("async def f():\n 1", "functions"),
    ("def f():\n 1", "functions"),
    ("class A:\n 1", "classes"),
    ("import os", "imports"),
    ("from os import path", "imports"),
    ("try:\n 1\nfinally:\n 1", "`try`"),
    ("try:\n 1\nexcept* x:\n 1", "`try`"),
    ("with x:\n 1", "`with`"),
    ("del x", "`del`"),
    ("global x", "`global`"),
    ("nonlocal x", "`nonlocal`"),
    ("pass", "`pass`"),
    ("break", "`break`"),
    ("continue", "`continue`"),
    ("return 1", "`return`"),
    ("raise x", "`raise`"),
    ("assert x", "assertions"),
    ("x += 1", "assignments like `+=`"),
    ("x: int = 1", "annotations"),
    ("match x:\n case 1:\n  1", "`match`"),
    ("x = y = 1", "one plain name"),
    ("x.idx = 1", "one plain name"),
    ("x[0] = 1", "one plain name"),
    ("x, y = 1, 2", "one plain name"),
    ("len = 1", "`len` is a function"),
    ("sorted = 1", "`sorted` is a function"),
    ("1 ** 2", "`**`"),
    ("1 << 2", "`<<`"),
    ("1 >> 2", "`>>`"),
    ("1 & 2", "`&`"),
    ("1 | 2", "`|`"),
    ("1 ^ 2", "`^`"),
    ("1 @ 2", "`@`"),
    ("~1", "`~`"),
    ("x is y", "None only"),
    ("x is not 1", "None only"),
    ("None is x", "None only"),
    ("f'{x}'", "formatted texts"),
    ("b'x'", "bytes"),
    ("1j", "complex"),
    ("...", "ellipsis"),
    ("9223372036854775808", "2^63"),
    ("1e999", "finite"),
    ("'" + "x" * 8193 + "'", "8192"),
    ("{1: 2}", "dictionaries"),
    ("{1}", "sets"),
    ("{c: 1 for c in x}", "dictionaries"),
    ("{c for c in x}", "sets"),
    ("x[1:2]", "slices"),
    ("[*x]", "`*`"),
    ("len(*x)", "`*`"),
    ("(x := 1)", "`:=`"),
    ("lambda c: 1", "`lambda`"),
    ("x = lambda c: 1", "`lambda`"),
    ("await x", "`await`"),
    ("yield x", "`yield`"),
    ("(yield from x)", "`yield`"),
    ("x.__class__", "`__class__`"),
    ("x._private", "`_private`"),
    ("x.cost", "`cost`"),
    ("x.lower()", "no methods"),
    ("(lambda: 1)()", "no methods"),
    ("x()()", "no methods"),
    ("print(x)", "no function `print`"),
    ("eval('1')", "no function `eval`"),
    ("getattr(x, 'y')", "no function `getattr`"),
    ("x(1)", "no function `x`"),
    ("x = len", "is a function and no value"),
    ("[min]", "is a function and no value"),
    ("len()", "does not take 0"),
    ("len(x, y)", "does not take 2"),
    ("round(x, 1, 2)", "does not take 3"),
    ("coalesce()", "does not take 0"),
    ("startswith(x)", "does not take 1"),
    ("sum(x, start=1)", "no keyword arguments"),
    ("sum(**x)", "no keyword arguments"),
    ("sorted()", "one list"),
    ("sorted(x, y)", "one list"),
    ("min()", "one list"),
    ("max(x, y, key=lambda c: 1)", "one list"),
    ("min(x, reverse=True)", "but key"),
    ("min(x, default=1)", "but key"),
    ("sorted(x, cmp=1)", "but key, reverse"),
    ("sorted(x, **y)", "but key, reverse"),
    ("sorted(x, key=len)", "key=lambda"),
    ("sorted(x, key=lambda: 1)", "key=lambda"),
    ("sorted(x, key=lambda c, d: 1)", "key=lambda"),
    ("sorted(x, key=lambda c, /: 1)", "key=lambda"),
    ("sorted(x, key=lambda *, c: 1)", "key=lambda"),
    ("sorted(x, key=lambda c, *d: 1)", "one argument"),
    ("sorted(x, key=lambda c, **d: 1)", "one argument"),
    ("sorted(x, key=lambda c=1: 1)", "one argument"),
    ("sorted(x, key=lambda len: 1)", "`len` is a function"),
    ("sorted(x, key=lambda c: f(c))", "no function `f`"),
    ("sorted(x, reverse=lambda c: 1)", "`lambda`"),
    ("[c for c in x for d in y]", "one `for`"),
    ("[c async for c in x]", "one plain name"),
    ("[c for c, d in x]", "one plain name"),
    ("[c for x.idx in x]", "one plain name"),
    ("[max for max in x]", "`max` is a function"),
    ("[[[e for e in d] for d in c] for c in x]", "2 levels"),
    ("[c for c in x if [d for d in c if [e for e in d]]]", "2 levels"),
    ("[sorted(c, key=lambda d: [[f for f in e] for e in d]) for c in x]", "2 levels"),
    ("if x:\n while y:\n  1", "loops"),
    ("if x:\n 1\nelif y:\n 2\nelse:\n pass", "`pass`"),
    ("[1, [2, {3}]]", "sets"),
    ("x if y else {1}", "sets"),
    ("x and {1}", "sets"),
    ("x < {1}", "sets"),
    ("x[{1}]", "sets"),
    ("-{1}", "sets"),
    ("1 + {1}", "sets"),
    ("[c for c in {1}]", "sets"),
    ("coalesce(1, {1})", "sets"),
    ("sorted({1})", "sets"),
]


@pytest.mark.parametrize("source", ALLOWED)
def test_what_the_language_has_is_allowed(source: str) -> None:
    """Reliability §11: each statement, expression and function of the language passes, in whatever way it is meant."""
    tree = ast.parse(source)
    check_grammar(tree)
    assert ast.unparse(tree) == ast.unparse(ast.parse(source))


@pytest.mark.parametrize(("source", "named"), REFUSED)
def test_everything_else_is_refused_by_name_and_line(source: str, named: str) -> None:
    """Reliability case 80: what the language does not have is refused when it is loaded, with line and name."""
    with pytest.raises(ScriptRefused) as refused:
        check_grammar(ast.parse("x = 1\n\n" + source))
    assert named in refused.value.reason
    assert refused.value.line >= 3
    assert str(refused.value) == f"line {refused.value.line} of the script: {refused.value.reason}"


def test_the_line_is_that_of_the_offence() -> None:
    """Reliability §11: in a script of many lines the one at fault is named."""
    with pytest.raises(ScriptRefused) as refused:
        check_grammar(ast.parse("x = [\n 1,\n 2 ** 3,\n]"))
    assert refused.value.line == 3


def test_comprehensions_in_a_row_are_not_nested() -> None:
    """Reliability §11: the list that a comprehension runs over may be made by another one."""
    tree = ast.parse("[c for c in [d for d in [e for e in x]]]")
    check_grammar(tree)
    assert len(tree.body) == 1


def test_a_kind_without_a_word_of_ours_is_named_as_python_names_it() -> None:
    """Reliability §11: a statement that a later Python adds is refused as well."""

    class Novelty(ast.stmt):
        """A statement nobody knows."""

    with pytest.raises(ScriptRefused, match="Novelty"):
        check_grammar(ast.Module(body=[Novelty()], type_ignores=[]))
