"""Our Python files as syntax trees, for the rules in this folder."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Module:
    """One file: where it lies, what it says, what it means."""

    path: str
    text: str
    tree: ast.Module

    @property
    def dotted(self) -> str:
        """Return the name it is imported by."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def at(self, line: int, message: str) -> str:
        """Return a complaint that an editor can jump to."""
        return f"{self.path}:{line} {message}"


def parse(text: str, path: str = "busbar_fast/sample.py") -> Module:
    """Return a module made of this text; the samples that prove a rule come from here."""
    text = dedent(text).lstrip("\n")
    return Module(path, text, ast.parse(text))


@cache
def modules(*folders: str) -> tuple[Module, ...]:
    """Return every module below these folders, in order of path."""
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return tuple(parse(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()) for path in paths)


def functions(module: Module) -> Iterator[Function]:
    """Yield every function and method, nested ones too."""
    for node in ast.walk(module.tree):
        if isinstance(node, Function):
            yield node


def docstring_of(node: ast.AST) -> ast.Expr | None:
    """Return the statement that is this node's docstring."""
    if not isinstance(node, Documented) or not node.body or ast.get_docstring(node) is None:
        return None
    first = node.body[0]
    assert isinstance(first, ast.Expr)
    return first


def docstrings(module: Module) -> Iterator[ast.Expr]:
    """Yield the docstrings of the module, its classes and its functions."""
    for node in ast.walk(module.tree):
        if docstring := docstring_of(node):
            yield docstring


def parameters(function: Function) -> Iterator[ast.arg]:
    """Yield every parameter, `self` and the starred ones included."""
    listed = function.args
    yield from listed.posonlyargs
    yield from listed.args
    yield from listed.kwonlyargs
    yield from (starred for starred in (listed.vararg, listed.kwarg) if starred)
