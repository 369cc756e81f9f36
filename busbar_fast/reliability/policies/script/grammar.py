"""What a script may be made of; whatever is not listed here is refused, with its line and what it is.

Shapes only: which names exist is found when the tree is compiled. Recurses, so the tree must have been measured before.
"""

import ast
from collections.abc import Iterable
from math import inf
from typing import Final, NoReturn

from busbar_fast.errors import ScriptRefused
from busbar_fast.reliability.policies.script.functions import FUNCTIONS
from busbar_fast.reliability.policies.script.limits import (
    COMPREHENSION_DEPTH,
    FIELDS,
    INT_END,
    TEXT_CHARACTERS,
)
from busbar_fast.reliability.policies.script.ordering import ORDERING

_WORDS: Final[dict[type[ast.AST], str]] = {
    ast.AnnAssign: "annotations",
    ast.Assert: "assertions",
    ast.AsyncFor: "loops",
    ast.AsyncFunctionDef: "functions of one's own",
    ast.AsyncWith: "`with`",
    ast.AugAssign: "assignments like `+=`",
    ast.Await: "`await`",
    ast.BitAnd: "the operator `&`",
    ast.BitOr: "the operator `|`",
    ast.BitXor: "the operator `^`",
    ast.Break: "`break`",
    ast.ClassDef: "classes",
    ast.Continue: "`continue`",
    ast.Delete: "`del`",
    ast.Dict: "dictionaries",
    ast.DictComp: "dictionaries",
    ast.For: "loops",
    ast.FormattedValue: "formatted texts",
    ast.FunctionDef: "functions of one's own",
    ast.Global: "`global`",
    ast.Import: "imports",
    ast.ImportFrom: "imports",
    ast.Invert: "the operator `~`",
    ast.JoinedStr: "formatted texts",
    ast.Lambda: "`lambda` anywhere but as `key=` of sorted, min and max",
    ast.LShift: "the operator `<<`",
    ast.Match: "`match`",
    ast.MatMult: "the operator `@`",
    ast.NamedExpr: "`:=`",
    ast.Nonlocal: "`nonlocal`",
    ast.Pass: "`pass`",
    ast.Pow: "the operator `**`",
    ast.Raise: "`raise`",
    ast.Return: "`return`",
    ast.RShift: "the operator `>>`",
    ast.Set: "sets",
    ast.SetComp: "sets",
    ast.Slice: "slices",
    ast.Starred: "`*` in front of a value",
    ast.Try: "`try`",
    ast.TryStar: "`try`",
    ast.While: "loops",
    ast.With: "`with`",
    ast.Yield: "`yield`",
    ast.YieldFrom: "`yield`",
}
_OPERATORS: Final = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod)
_SIGNS: Final = (ast.Not, ast.USub, ast.UAdd)
_IDENTITIES: Final = (ast.Is, ast.IsNot)
_CONSTANTS: Final = (type(None), bool, int, float, str)

Listed = ast.ListComp | ast.GeneratorExp


def check_grammar(tree: ast.Module) -> None:
    """Raise ScriptRefused for the first thing that the language does not have."""
    _Checker().check_block(tree.body)


def refuse(node: ast.AST, reason: str) -> NoReturn:
    """Refuse a node of the tree."""
    raise ScriptRefused(getattr(node, "lineno", 1), reason)


class _Checker:
    """Walks one tree; `_depth` is the number of comprehensions around the node at hand."""

    def __init__(self) -> None:
        self._depth = 0

    def check_block(self, statements: Iterable[ast.stmt]) -> None:
        for statement in statements:
            self._check_statement(statement)

    def _check_statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Expr():
                self._check(node.value)
            case ast.Assign(targets=[ast.Name(id=name)]):
                _check_new_name(node, name)
                self._check(node.value)
            case ast.Assign():
                refuse(node, "a value is assigned to one plain name")
            case ast.If():
                self._check_if(node)
            case _:
                _refuse_kind(node, node)

    def _check_if(self, node: ast.If) -> None:
        """Check an `if` with all its `elif`s; there may be more of those than a recursion could bear."""
        while True:
            self._check(node.test)
            self.check_block(node.body)
            match node.orelse:
                case [ast.If() as following]:
                    node = following
                case rest:
                    self.check_block(rest)
                    return

    def _check(self, node: ast.expr) -> None:
        match node:
            case ast.Constant():
                _check_constant(node)
            case ast.Name():
                _check_name(node)
            case ast.List() | ast.Tuple():
                self._check_each(node.elts)
            case ast.Attribute():
                self._check_field(node)
            case ast.Subscript():
                self._check_each((node.value, node.slice))
            case ast.BinOp():
                self._check_operator(node)
            case ast.UnaryOp():
                self._check_sign(node)
            case ast.BoolOp():
                self._check_each(node.values)
            case ast.Compare():
                self._check_comparison(node)
            case ast.IfExp():
                self._check_each((node.test, node.body, node.orelse))
            case ast.ListComp() | ast.GeneratorExp():
                self._check_comprehension(node)
            case ast.Call():
                self._check_call(node)
            case _:
                _refuse_kind(node, node)

    def _check_each(self, nodes: Iterable[ast.expr]) -> None:
        for node in nodes:
            self._check(node)

    def _check_field(self, node: ast.Attribute) -> None:
        if node.attr not in FIELDS:
            refuse(node, f"`{node.attr}` is not a field of any record")
        self._check(node.value)

    def _check_operator(self, node: ast.BinOp) -> None:
        if not isinstance(node.op, _OPERATORS):
            _refuse_kind(node, node.op)
        self._check(node.left)
        self._check(node.right)

    def _check_sign(self, node: ast.UnaryOp) -> None:
        if not isinstance(node.op, _SIGNS):
            _refuse_kind(node, node.op)
        self._check(node.operand)

    def _check_comparison(self, node: ast.Compare) -> None:
        for operator, right in zip(node.ops, node.comparators, strict=True):
            is_none = isinstance(right, ast.Constant) and right.value is None
            if isinstance(operator, _IDENTITIES) and not is_none:
                refuse(node, "`is` compares with None only")
        self._check_each((node.left, *node.comparators))

    def _check_comprehension(self, node: Listed) -> None:
        if len(node.generators) != 1:
            refuse(node, "a comprehension has one `for`")
        generator = node.generators[0]
        if generator.is_async or not isinstance(generator.target, ast.Name):
            refuse(node, "a comprehension runs over one plain name")
        _check_new_name(node, generator.target.id)
        self._check(generator.iter)
        self._depth += 1
        if self._depth > COMPREHENSION_DEPTH:
            refuse(node, f"comprehensions may nest {COMPREHENSION_DEPTH} levels deep")
        self._check_each((*generator.ifs, node.elt))
        self._depth -= 1

    def _check_call(self, node: ast.Call) -> None:
        if not isinstance(node.func, ast.Name):
            refuse(node, "only the functions of the language can be called, no methods")
        name, count = node.func.id, len(node.args)
        if name in ORDERING:
            self._check_ordering(node, name)
        elif name not in FUNCTIONS:
            refuse(node, f"there is no function `{name}`")
        elif node.keywords:
            refuse(node, f"`{name}` takes no keyword arguments")
        elif not FUNCTIONS[name].fewest <= count <= FUNCTIONS[name].most:
            refuse(node, f"`{name}` does not take {count} arguments")
        self._check_each(node.args)

    def _check_ordering(self, node: ast.Call, name: str) -> None:
        allowed = ("key", "reverse") if name == "sorted" else ("key",)
        for keyword in node.keywords:
            if keyword.arg not in allowed:
                refuse(node, f"`{name}` takes no keyword arguments but {', '.join(allowed)}")
            if keyword.arg == "key":
                self._check_key(keyword.value)
            else:
                self._check(keyword.value)
        is_one_list = len(node.args) == 1
        if not is_one_list and (name == "sorted" or node.keywords or not node.args):
            refuse(node, f"`{name}` needs one list")

    def _check_key(self, node: ast.expr) -> None:
        match node:
            case ast.Lambda(args=ast.arguments(posonlyargs=[], args=[ast.arg(arg=name)], kwonlyargs=[])):
                listed = node.args
                if listed.vararg or listed.kwarg or listed.defaults:
                    refuse(node, "a key takes one argument")
                _check_new_name(node, name)
                self._check(node.body)
            case _:
                refuse(node, "a key is written `key=lambda c: ...`, with one argument")


def _check_constant(node: ast.Constant) -> None:
    value = node.value
    if not isinstance(value, _CONSTANTS):
        refuse(node, f"not allowed in a script: values of the type {type(value).__name__}")
    if isinstance(value, int) and value >= INT_END:
        refuse(node, "a number must be below 2^63")
    if isinstance(value, float) and value == inf:
        refuse(node, "a number must be finite")
    if isinstance(value, str) and len(value) > TEXT_CHARACTERS:
        refuse(node, f"a text may have at most {TEXT_CHARACTERS} characters")


def _check_name(node: ast.Name) -> None:
    if node.id in FUNCTIONS or node.id in ORDERING:
        refuse(node, f"`{node.id}` is a function and no value; write `{node.id}(...)`")


def _check_new_name(node: ast.AST, name: str) -> None:
    if name in FUNCTIONS or name in ORDERING:
        refuse(node, f"`{name}` is a function and cannot be assigned")


def _refuse_kind(node: ast.AST, kind: ast.AST) -> NoReturn:
    refuse(node, f"not allowed in a script: {_WORDS.get(type(kind), type(kind).__name__)}")
