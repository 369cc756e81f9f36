"""Whatever is taken is given back on every way out: taking stands in a `with`, or a `finally` stands around it."""

import ast
from collections.abc import Iterator

import pytest

from tests.house.source import Function, Module, modules, parse

TAKING = {"acquire", "enter", "lease"}

Statements = list[ast.stmt]


def takings(node: ast.AST) -> list[ast.Call]:
    """Return the taking calls in a statement or expression."""
    return [
        call
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in TAKING
    ]


def blocks(tree: ast.Module) -> Iterator[tuple[Statements, bool]]:
    """Yield every list of statements, and whether a `finally` is sure to follow it."""
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            statements = getattr(node, name, None)
            if isinstance(statements, list) and statements:
                yield statements, isinstance(node, ast.Try) and name == "body" and bool(node.finalbody)


def simple_parts(statement: ast.stmt) -> list[ast.AST]:
    """Return what a statement evaluates itself, without the blocks inside it and without the items of a `with`."""
    match statement:
        case ast.With() | ast.AsyncWith() | ast.Try() | ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return []
        case ast.If(test=test) | ast.While(test=test):
            return [test]
        case ast.For(iter=source) | ast.AsyncFor(iter=source):
            return [source]
        case ast.Match(subject=subject):
            return [subject]
        case _:
            return [statement]


def is_guard(statement: ast.stmt | None, taken: ast.stmt) -> bool:
    """Return whether the next statement sees to the giving back of what this one took."""
    match statement, taken:
        case ast.Try(finalbody=[_, *_]), _:
            return True
        case ((ast.With(items=items) | ast.AsyncWith(items=items)), ast.Assign(targets=[ast.Name(id=name)])):
            return any(isinstance(item.context_expr, ast.Name) and item.context_expr.id == name for item in items)
        case _:
            return False


def handed_on(tree: ast.Module) -> set[int]:
    """Return the calls whose result a function of such a name returns: the duty goes to its caller."""
    return {
        id(call)
        for function in ast.walk(tree)
        if isinstance(function, Function) and function.name in TAKING
        for statement in ast.walk(function)
        if isinstance(statement, ast.Return)
        for call in takings(statement)
    }


def guarded(tree: ast.Module) -> set[int]:
    """Return the calls anywhere inside the body of a `try` that has a `finally`."""
    bodies = [statements for statements, is_covered in blocks(tree) if is_covered]
    return {id(call) for statements in bodies for statement in statements for call in takings(statement)}


def unpaired(module: Module) -> list[str]:
    """Return a complaint for each taking call without a certain giving back."""
    safe = handed_on(module.tree) | guarded(module.tree)
    found = []
    for statements, _ in blocks(module.tree):
        for statement, following in zip(statements, [*statements[1:], None], strict=True):
            if not is_guard(following, statement):
                loose = [call for part in simple_parts(statement) for call in takings(part) if id(call) not in safe]
                found += [module.at(call.lineno, f"{ast.unparse(call.func)} without giving back") for call in loose]
    return found


def test_whatever_is_taken_is_given_back() -> None:
    """Every taking call in the product stands in a `with` or under a `finally`."""
    assert [complaint for module in modules("busbar_fast") for complaint in unpaired(module)] == []


@pytest.mark.parametrize(
    "text",
    [
        "pool.lease()",
        "slot = await pool.acquire()\ngo(slot)\npool.release(slot)",
        "if gate.enter():\n    go()",
        "try:\n    go(pool.lease())\nexcept OSError:\n    raise",
        "try:\n    go()\nfinally:\n    pool.lease()",
        "def run():\n    return pool.lease()",
        "slot = pool.lease()\nwith other:\n    go()",
        "with other:\n    pool.lease()",
        "match a:\n    case 1:\n        pool.lease()",
    ],
)
def test_a_loose_taking_is_found(text: str) -> None:
    """A taking call without its pair is complained about once."""
    assert len(unpaired(parse(text))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "with pool.lease() as slot:\n    go(slot)",
        "async def run():\n    async with pool.acquire():\n        go()",
        "try:\n    slot = pool.lease()\n    go(slot)\nfinally:\n    pool.release()",
        "lock.acquire()\ntry:\n    go()\nfinally:\n    lock.release()",
        "slot = await pool.lease()\nwith slot:\n    go()",
        "def lease(self):\n    return self.pool.lease()",
        "pool.release()",
    ],
)
def test_a_paired_taking_passes(text: str) -> None:
    """Each form of certain giving back is left alone."""
    assert unpaired(parse(text)) == []
