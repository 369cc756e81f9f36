"""Who may import whom. Changing the table needs an ADR; docs/layers.md draws it."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.house.shelves import IO_SHELF, is_pure
from tests.house.source import Module, modules, parse

OURS = "busbar_fast"
ANYTHING = "anything"

# The parts of the standard library that wait, listen or start something.
ACTIVE = {
    "_socket",
    "_thread",
    "asyncio",
    "concurrent",
    "multiprocessing",
    "select",
    "selectors",
    "signal",
    "socket",
    "socketserver",
    "ssl",
    "subprocess",
    "threading",
}


@dataclass(frozen=True, slots=True)
class Row:
    """What one package or module may import besides itself and the quiet part of the standard library."""

    ours: str = ""
    foreign: str = ""
    active: bool = False


# The longest name that fits a module decides.
TABLE = {
    "busbar_fast": Row(),
    "busbar_fast.errors": Row(),
    "busbar_fast.clock": Row(),
    "busbar_fast.config": Row("errors", "yaml cryptography"),
    "busbar_fast.wire": Row("errors clock"),
    "busbar_fast.wire.parsers.h11_heads": Row("errors wire", "h11"),
    "busbar_fast.wire.parsers.httptools_heads": Row("errors wire", "httptools"),
    "busbar_fast.aws": Row("errors clock"),
    "busbar_fast.ir": Row("errors", "msgspec"),
    "busbar_fast.dialects": Row("ir errors wire", "msgspec orjson ujson"),
    "busbar_fast.dialects.bedrock": Row("ir errors wire dialects aws.eventstream", "msgspec orjson ujson"),
    "busbar_fast.reliability": Row("errors clock"),
    "busbar_fast.governance": Row("errors clock", "orjson cryptography", active=True),
    "busbar_fast.observe": Row("", "prometheus_client", active=True),
    "busbar_fast.mock": Row("wire aws errors clock", "orjson", active=True),
    "busbar_fast.gateway": Row(
        "dialects ir reliability governance observe config wire aws errors clock", "orjson ujson", active=True
    ),
    "busbar_fast.boot": Row("cli", "", active=True),
    "busbar_fast.cli": Row(ANYTHING, ANYTHING, active=True),
    "busbar_fast.demo": Row("gateway dialects mock wire errors clock", active=True),
    "busbar_fast.options": Row(),
    "busbar_fast.subcommand": Row(active=True),
    "busbar_fast.keys_command": Row("subcommand", active=True),
    "busbar_fast.top": Row("subcommand", active=True),
    "busbar_fast.__main__": Row("boot"),
}


def row_of(dotted: str) -> tuple[str, Row]:
    """Return the row that decides for this module, with its name."""
    fitting = (name for name in TABLE if dotted == name or dotted.startswith(f"{name}."))
    name = max(fitting, key=len)
    if name == OURS and dotted != OURS:
        raise LookupError(f"{dotted} has no row in the table of tests/house/test_layers.py")
    return name, TABLE[name]


def targets(module: Module) -> Iterator[tuple[int, str]]:
    """Yield line and full name of everything imported, wherever the import stands."""
    for node in ast.walk(module.tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=str(origin), names=names, level=0):
                yield from ((node.lineno, f"{origin}.{alias.name}") for alias in names)
            case ast.ImportFrom():
                yield node.lineno, "a relative import"
            case ast.Call(func=ast.Attribute(attr="import_module") | ast.Name(id="import_module" | "__import__")):
                yield node.lineno, fixed_part(node.args[0])


def fixed_part(name: ast.expr) -> str:
    """Return the part of a computed module name that is written down."""
    match name:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
            return text.rstrip(".")
        case _:
            return "a computed name"


def is_within(dotted: str, names: str) -> bool:
    """Return whether a name of ours lies in one of these packages or modules."""
    return any(dotted == f"{OURS}.{name}" or dotted.startswith(f"{OURS}.{name}.") for name in names.split())


def is_allowed(module: Module, target: str) -> bool:
    """Return whether the table lets this module import that."""
    name, row = row_of(module.dotted)
    top = target.partition(".")[0]
    if ANYTHING in (row.ours, row.foreign):
        return top == OURS or top in sys.stdlib_module_names or row.foreign == ANYTHING
    if top == OURS:
        if is_pure(module.dotted) and any(target == io or target.startswith(f"{io}.") for io in IO_SHELF):
            return False
        return target in (f"{OURS}.__version__", name) or target.startswith(f"{name}.") or is_within(target, row.ours)
    if top in ACTIVE:
        return row.active or module.dotted in IO_SHELF
    return top in sys.stdlib_module_names or top in row.foreign.split()


def crossings(module: Module) -> list[str]:
    """Return a complaint for each import that the table forbids."""
    return [
        module.at(line, f"may not import {target}")
        for line, target in targets(module)
        if not is_allowed(module, target)
    ]


def test_no_import_crosses_a_layer() -> None:
    """Every import in the product is one that the table allows."""
    assert [crossing for module in modules(OURS) for crossing in crossings(module)] == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("busbar_fast/errors.py", "from busbar_fast.clock import now"),
        ("busbar_fast/errors.py", "from busbar_fast import clock"),
        ("busbar_fast/wire/heads.py", "import asyncio"),
        ("busbar_fast/wire/heads.py", "from asyncio import Transport"),
        ("busbar_fast/wire/heads.py", "from busbar_fast.wire.pool import Pool"),
        ("busbar_fast/wire/heads.py", "from busbar_fast.wire import pool"),
        ("busbar_fast/wire/heads.py", "import httptools"),
        ("busbar_fast/wire/upstream.py", "import uvloop"),
        ("busbar_fast/wire/upstream.py", "from busbar_fast.mock.script import Script"),
        ("busbar_fast/wire/upstream.py", "def dial():\n    import orjson"),
        ("busbar_fast/wire/parsers/choice.py", "import_module('busbar_fast.gateway.app')"),
        ("busbar_fast/wire/parsers/choice.py", "importlib.import_module(f'busbar_fast.cli.{name}')"),
        ("busbar_fast/wire/parsers/choice.py", "importlib.import_module(name)"),
        ("busbar_fast/wire/framing.py", "from .heads import Fields"),
        ("busbar_fast/dialects/cohere/stream.py", "from busbar_fast.aws.eventstream import Frames"),
        ("busbar_fast/dialects/cohere/stream.py", "from busbar_fast.wire.upstream import Upstream"),
        ("busbar_fast/mock/server.py", "from busbar_fast import cli"),
        ("busbar_fast/gateway/app.py", "from busbar_fast.cli import main"),
        ("busbar_fast/gateway/app.py", "from busbar_fast.boot import park"),
        ("busbar_fast/gateway/app.py", "import requests"),
    ],
)
def test_a_forbidden_import_is_found(path: str, line: str) -> None:
    """A sample of each kind of forbidden import is complained about once."""
    assert len(crossings(parse(line, path))) == 1


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("busbar_fast/wire/heads.py", "from busbar_fast.errors import Refused"),
        ("busbar_fast/wire/pool.py", "import asyncio"),
        ("busbar_fast/wire/parsers/h11_heads.py", "import h11"),
        ("busbar_fast/wire/parsers/choice.py", "import_module(f'busbar_fast.wire.parsers.{name}')"),
        ("busbar_fast/dialects/bedrock/stream.py", "from busbar_fast.aws.eventstream import Frames"),
        ("busbar_fast/cli.py", "import uvloop\nfrom busbar_fast.gateway.app import App"),
        ("busbar_fast/boot.py", "def load():\n    from busbar_fast import cli"),
        ("busbar_fast/__main__.py", "from busbar_fast.boot import main"),
    ],
)
def test_an_allowed_import_is_left_alone(path: str, line: str) -> None:
    """A sample of each kind of allowed import passes."""
    assert crossings(parse(line, path)) == []


def test_a_package_without_a_row_is_refused() -> None:
    """A new top-level module does not pass for want of a row."""
    with pytest.raises(LookupError, match="has no row"):
        crossings(parse("import sys", "busbar_fast/helpers.py"))
