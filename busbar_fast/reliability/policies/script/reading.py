"""From source to a syntax tree that is small enough to be walked; what the tree may hold is not known here.

Size and brackets are checked before Python's own parser sees anything, because deep brackets are what it recurses on;
the number of nodes and the depth right behind it, without recursion. No code object is made on the way.
"""

import ast
import re
import warnings
from collections.abc import Iterator
from typing import Final

from busbar_fast.errors import ScriptRefused
from busbar_fast.reliability.policies.script.limits import BRACKET_DEPTH, NODES, SOURCE_BYTES, TREE_DEPTH

_RHAI_HINT: Final = "; this looks like Rhai, which is not accepted: policies use the language of docs/routing.md"
# A string in three quotes or in one, a comment; or one bracket; or many operators that all wait for one operand.
# A string without an end is taken as far as it goes, so that nothing is looked at twice.
_tokens = re.compile(
    r"""'{3}(?:[^\\]|\\.)*?(?:'{3}|\\?\Z)|"{3}(?:[^\\]|\\.)*?(?:"{3}|\\?\Z)"""
    r"""|'(?:[^'\\\n]|\\.)*(?:'|\\?\Z)?|"(?:[^"\\\n]|\\.)*(?:"|\\?\Z)?|\#[^\n]*"""
    r"""|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<run>(?:(?:not\b|lambda\b[^:\n]{0,64}:|[-+~])[ \t\f\\]*){33})""",
    re.DOTALL,
).finditer
_is_rhai = re.compile(
    r"^[ \t]*(?:let|const|fn|switch|loop|print)\b[^\n=(]*[({=]|^[ \t]*//|;[ \t]*$"
    r"|\|[ \t]*\w+[ \t]*(?:,[ \t]*\w+[ \t]*)*\||=>|#\{|\$\{|&&|\|\||\}[ \t]*else\b|\.(?:sort|filter|map|push|len)\(",
    re.MULTILINE,
).search
# Counted for nothing: they say how their parent is used, and are the same objects everywhere.
_MARKS: Final = (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)


def read_script(source: str) -> ast.Module:
    """Return the tree of a script. Raise ScriptRefused."""
    try:
        size = len(source.encode())
    except UnicodeEncodeError as error:
        raise ScriptRefused(_line_at(source, error.start), "holds half a character") from error
    if size > SOURCE_BYTES:
        raise ScriptRefused(1, f"a script may have at most {SOURCE_BYTES} bytes, this one has {size}")
    _check_brackets(source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except SyntaxError as error:
        hint = _RHAI_HINT if _is_rhai(source) else ""
        raise ScriptRefused(error.lineno or 1, f"{error.msg}{hint}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise ScriptRefused(1, "too large or nested too deeply to be read") from error
    _check_size(tree)
    return tree


def _check_brackets(source: str) -> None:
    depth = 0
    for match in _tokens(source):
        kind = match.lastgroup
        if kind == "open":
            depth += 1
        elif kind == "close":
            depth -= 1
        if kind == "run" or depth > BRACKET_DEPTH:
            reason = f"brackets may nest {BRACKET_DEPTH} levels deep" if kind == "open" else "nested too deeply"
            raise ScriptRefused(_line_at(source, match.start()), reason)


def _line_at(source: str, at: int) -> int:
    return source.count("\n", 0, at) + 1


def _check_size(tree: ast.Module) -> None:
    """Raise if the tree has too many nodes or levels."""
    count = 0
    levels: list[tuple[ast.AST, int, int]] = [(child, 1, 1) for child in tree.body]
    while levels:
        node, depth, line = levels.pop()
        count += 1
        line = getattr(node, "lineno", line)
        if depth > TREE_DEPTH:
            raise ScriptRefused(line, f"expressions may nest {TREE_DEPTH} levels deep")
        if count > NODES:
            raise ScriptRefused(line, f"a script may have at most {NODES} nodes")
        levels += [(child, depth + deeper, line) for child, deeper in _children(node)]


def _children(node: ast.AST) -> Iterator[tuple[ast.AST, int]]:
    """Yield what stands in a node, and how much deeper; an `elif` stands beside its `if`."""
    arms = node.orelse if isinstance(node, ast.If) else []
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, _MARKS):
            yield child, 0 if len(arms) == 1 and child is arms[0] and isinstance(child, ast.If) else 1
