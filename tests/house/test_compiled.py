"""What is compiled (`native/modules.txt`) keeps to the ground on which compiled and written program do the same.

Each rule is here because the compiler took another way without a word, see docs/adr/0015-compiled-hot-modules.md.
"""

import ast
import builtins
from collections.abc import Iterator, Sequence

import pytest

from native.__main__ import LIST, modules
from tests.house.source import ROOT, Module, functions, parse
from tests.house.source import modules as read_modules

COMPILED = modules()


def split() -> tuple[list[Module], list[Module]]:
    """Return our modules: those that are compiled, and the others."""
    every = read_modules("busbar_fast")
    return [one for one in every if one.path in COMPILED], [one for one in every if one.path not in COMPILED]


def classes(module: Module) -> Iterator[ast.ClassDef]:
    """Yield every class of a module."""
    return (node for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef))


def imported(module: Module) -> dict[str, str]:
    """Return where each imported name comes from."""
    return {
        alias.asname or alias.name: (node.module or "").replace(".", "/") + ".py"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def heirs(module: Module, listed: Sequence[str]) -> list[str]:
    """Return the classes that inherit from a compiled one, which only compiled ones can."""
    origins = imported(module)
    return [
        module.at(one.lineno, f"{one.name} inherits from a compiled class and is not compiled")
        for one in classes(module)
        for base in one.bases
        if origins.get(ast.unparse(base).partition("[")[0]) in listed
    ]


def is_built_in(base: ast.expr) -> bool:
    """Say whether this is a built-in type that no compiled class can inherit from."""
    kind = getattr(builtins, ast.unparse(base).partition("[")[0], None)
    return isinstance(kind, type) and kind is not object


def is_alias(name: str, value: ast.expr) -> bool:
    """Say whether a name stands for a type."""
    plain = name.lstrip("_")
    is_capital = plain[:1].isupper() and plain[1:2].islower() and not isinstance(value, ast.Constant)
    return is_capital or ast.unparse(value).startswith("TypeVar(")


def is_plain_tuple(value: ast.expr | None) -> bool:
    """Say whether a value is a tuple of several texts or numbers."""
    if not isinstance(value, ast.Tuple) or len(value.elts) < 2:
        return False
    return any(isinstance(item, ast.Constant) and item.value is not None for item in value.elts)


def oddities(module: Module) -> Iterator[str]:
    """Yield what compiles to something else than it says, or to something slow."""
    for at in module.tree.body:
        if isinstance(at, ast.Assign) and not is_alias(ast.unparse(at.targets[0]), at.value):
            yield module.at(at.lineno, f"{ast.unparse(at.targets[0])} is looked up in a dictionary unless it is Final")
        if isinstance(at, ast.AnnAssign) and ast.unparse(at.annotation) == "Final" and is_plain_tuple(at.value):
            yield module.at(
                at.lineno, f"{ast.unparse(at.target)} is made anew at each use unless its length is left open"
            )
    for one in classes(module):
        if any(ast.unparse(base) == "Struct" for base in one.bases):
            yield module.at(one.lineno, f"{one.name} is made by its base class, which would find no members in it")
        for at in one.body:
            if isinstance(at, ast.AnnAssign) and ast.unparse(at.annotation) == "object":
                yield module.at(at.lineno, f"{ast.unparse(at.target)} is of a type that is not found; Any is")
        if any(map(is_built_in, one.bases)):
            yield module.at(one.lineno, f"{one.name} inherits from a built-in type")
        if any(ast.unparse(base).endswith("Error") for base in one.bases):
            yield from (
                module.at(at.lineno, f"{one.name} is an exception, whose attributes must be set in its __init__")
                for at in one.body
                if isinstance(at, ast.Assign | ast.AnnAssign)
            )
    for function in functions(module):
        caught = {node.name for node in ast.walk(function) if isinstance(node, ast.ExceptHandler)}
        for node in ast.walk(function):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in caught:
                yield module.at(node.lineno, f"{node.id} is bound by an except as well")
            if isinstance(node, ast.Subscript) and "slice(" in ast.unparse(node.slice):
                yield module.at(node.lineno, "a slice that is a value cannot cut bytes")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("class A(bytes):\n    pass", "built-in"),
        ("class A(Struct, gc=False):\n    a: int = 1", "no members"),
        ("class A(NamedTuple):\n    a: object", "not found"),
        ("_a = 1", "_a is looked up"),
        ("A = 1", "A is looked up"),
        ("A, B = b'ab'", "(A, B) is looked up"),
        ("A: Final = ('a', B)", "anew"),
        ("class A(BusbarError):\n    status = 1", "exception"),
        ("def a():\n    try:\n        error = 1\n    except OSError as error:\n        pass", "except as well"),
        ("def a(b, c):\n    return b[slice(*c)]", "slice"),
    ],
)
def test_oddities_are_found(text: str, word: str) -> None:
    """The rules below find what they are about."""
    (found,) = oddities(parse(text))
    assert word in found


def test_heirs_are_found() -> None:
    """As above, for who inherits."""
    sample = parse("from busbar_fast.wire.strand import Strand\nclass A(Strand):\n    pass")
    assert len(heirs(sample, ["busbar_fast/wire/strand.py"])) == 1


def test_list_is_in_order() -> None:
    """Each line of the list is a module that exists, once, in order of name."""
    assert sorted(set(COMPILED)) == COMPILED
    assert [path for path in COMPILED if not (ROOT / path).is_file()] == [], LIST.name


def test_compiled_modules_keep_to_common_ground() -> None:
    """No compiled module says what would become something else."""
    inside, outside = split()
    assert len(inside) == len(COMPILED)
    assert [complaint for module in inside for complaint in oddities(module)] == []
    assert [complaint for module in outside for complaint in heirs(module, COMPILED)] == []
