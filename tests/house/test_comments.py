"""Comments stay short and finished, and no error is caught without a word."""

import ast
import io
import re
import tokenize
from itertools import groupby

import pytest

from tests.house.source import Module, docstrings, modules, parse

BLOCK_LINES = 8
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def comments(module: Module) -> list[tokenize.TokenInfo]:
    """Return every comment."""
    tokens = tokenize.generate_tokens(io.StringIO(module.text).readline)
    return [token for token in tokens if token.type == tokenize.COMMENT]


def unfinished(module: Module) -> list[str]:
    """Return a complaint for each comment or docstring that promises work instead of doing it."""
    texts = [(comment.start[0], comment.string) for comment in comments(module)]
    texts += [(node.lineno, ast.unparse(node)) for node in docstrings(module)]
    return [module.at(line, "is unfinished") for line, text in texts if UNFINISHED.search(text)]


def long_blocks(module: Module) -> list[str]:
    """Return a complaint for each block of comment lines that belongs in docs/ by its length."""
    alone = [comment.start[0] for comment in comments(module) if comment.line.lstrip().startswith("#")]
    # Lines that follow each other have the same distance to their place in the list.
    blocks = [[line for _, line in run] for _, run in groupby(enumerate(alone), lambda pair: pair[1] - pair[0])]
    return [module.at(block[0], f"{len(block)} comment lines") for block in blocks if len(block) > BLOCK_LINES]


def is_silent(body: list[ast.stmt]) -> bool:
    """Return whether these statements do nothing at all."""
    return all(
        isinstance(statement, ast.Pass)
        or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        for statement in body
    )


def swallowed(module: Module) -> list[str]:
    """Return a complaint for each `except` that names no error or does nothing about it."""
    found = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler):
            if node.type is None:
                found.append(module.at(node.lineno, "catches everything"))
            if is_silent(node.body):
                found.append(module.at(node.lineno, "does nothing; contextlib.suppress says it is meant"))
    return found


SHARES = 8  # of all modules, each within its own time limit


def complaints(module: Module) -> list[str]:
    """Return what the rules of this file say about a module."""
    return unfinished(module) + long_blocks(module) + swallowed(module)


@pytest.mark.parametrize("share", range(SHARES))
def test_comments_and_catches_are_in_order(share: int) -> None:
    """No module holds unfinished or overlong comments or an error caught in silence."""
    everything = modules("busbar_fast", "perf", "tests")[share::SHARES]
    assert [complaint for module in everything for complaint in complaints(module)] == []


@pytest.mark.parametrize(
    "text",
    [
        "go()  # TODO later",
        "# FIXME",
        '"""HACK around it."""',
        "# a line\n" * (BLOCK_LINES + 1),
        "try:\n    go()\nexcept:\n    raise",
        "try:\n    go()\nexcept OSError:\n    pass",
        "try:\n    go()\nexcept OSError:\n    ...",
    ],
)
def test_each_offence_is_found(text: str) -> None:
    """A sample of each offence is complained about once."""
    assert len(complaints(parse(text))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "marker = 'TODO'",
        "# a line\n" * BLOCK_LINES + "\n" + "# a line\n" * BLOCK_LINES,
        "go()  # why\n" * (BLOCK_LINES + 1),
        "try:\n    go()\nexcept OSError:\n    return_code = 1",
    ],
)
def test_what_is_in_order_passes(text: str) -> None:
    """Strings, separate short blocks, comments behind code and a handled error are left alone."""
    assert complaints(parse(text)) == []
