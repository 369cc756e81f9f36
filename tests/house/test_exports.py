"""What a module shows to others: each package lists its exports, and underscore names stay at home."""

import ast
from collections.abc import Iterator

import pytest

from tests.house.source import Module, modules, parse

# Underscore names that are public by agreement: those of named tuples, and the mark by which asyncio knows a future.
DOCUMENTED = {"_asdict", "_fields", "_make", "_replace", "_asyncio_future_blocking"}


def exported(module: Module) -> set[str]:
    """Return the names in `__all__`."""
    for statement in module.tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                return set(ast.literal_eval(value))
    return set()


def re_exported(module: Module) -> set[str]:
    """Return the names a package file imports from its own modules."""
    statements = (node for node in module.tree.body if isinstance(node, ast.ImportFrom))
    return {alias.asname or alias.name for node in statements for alias in node.names}


def unlisted(module: Module) -> set[str]:
    """Return the names that are imported or listed, but not both."""
    return exported(module) ^ re_exported(module)


def is_private(name: str) -> bool:
    """Return whether a name says that it is nobody else's business."""
    return name.startswith("_") and not name.endswith("__") and name != "_"


def own_names(module: Module) -> Iterator[str]:
    """Yield every name that this module defines or assigns, slots included."""
    for node in ast.walk(module.tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name, ctx=ast.Store()):
                yield name
            case ast.Assign(targets=[ast.Name(id="__slots__")], value=value):
                yield from slots(value)


def slots(value: ast.expr) -> Iterator[str]:
    """Yield the names in the value of `__slots__`."""
    for node in ast.walk(value):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def intrusions(module: Module) -> list[str]:
    """Return a complaint for each underscore name of another module that is touched here."""
    own = DOCUMENTED.union(own_names(module))
    found = []
    for node in ast.walk(module.tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                continue
            case ast.Attribute(attr=name) if is_private(name) and name not in own:
                found.append(module.at(node.lineno, f"touches {name} of another module"))
            case ast.ImportFrom(names=names):
                private = [alias.name for alias in names if is_private(alias.name)]
                found += [module.at(node.lineno, f"imports {name} of another module") for name in private]
    return found


def test_each_package_lists_what_it_offers() -> None:
    """What a package file imports from its modules and what `__all__` lists is the same."""
    packages = [module for module in modules("busbar_fast") if module.path.endswith("__init__.py")]
    assert {module.path: names for module in packages if (names := unlisted(module))} == {}


def test_underscore_names_stay_at_home() -> None:
    """No module touches an underscore name of another one."""
    assert [found for module in modules("busbar_fast", "perf") for found in intrusions(module)] == []


@pytest.mark.parametrize(
    "text",
    [
        "from busbar_fast.wire.heads import Fields",
        "from busbar_fast.wire.heads import Fields\n__all__ = ['Field']",
        "__all__ = ['Fields']",
    ],
)
def test_an_unlisted_export_is_found(text: str) -> None:
    """An export missing on either side is noticed."""
    assert unlisted(parse(text)) != set()


@pytest.mark.parametrize(
    "text",
    ["pool._idle.clear()", "pool._idle = 1", "heads._LINES", "from busbar_fast.wire.heads import _LINES"],
)
def test_an_intrusion_is_found(text: str) -> None:
    """Reading, writing and importing a foreign underscore name are complained about."""
    assert len(intrusions(parse(text))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "self._idle",
        "cls._made",
        "class A:\n    __slots__ = ('_idle',)\ndef same(a, b):\n    return a._idle == b._idle",
        "class A:\n    def __init__(self):\n        self._idle = 0\nA()._idle",
        "class A:\n    def _go(self): ...\nA()._go()",
        "peer._replace(port=1)",
        "x.__class__",
    ],
)
def test_a_name_of_the_same_module_is_left_alone(text: str) -> None:
    """Underscore names may be used throughout the module that defines them."""
    assert intrusions(parse(text)) == []
