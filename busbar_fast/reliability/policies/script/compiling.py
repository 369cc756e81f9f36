"""From a checked tree to nodes that can run: names become numbered slots, prices of what is certain are added up.

A name that nothing binds is refused here, and so is a field that an input does not have. Comprehensions and keys have
slots of their own, so what they bind is not seen outside of them.
"""

import ast
import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from busbar_fast.reliability.policies.script import nodes
from busbar_fast.reliability.policies.script.functions import FUNCTIONS
from busbar_fast.reliability.policies.script.grammar import refuse
from busbar_fast.reliability.policies.script.limits import FIELDS_OF, INPUTS, ORDER
from busbar_fast.reliability.policies.script.nodes import Node, Priced, Test
from busbar_fast.reliability.policies.script.ordering import ORDERING, Key
from busbar_fast.reliability.policies.script.run import Run
from busbar_fast.reliability.policies.script.values import Value, compare, is_equal

Statement = Callable[[Run], None]

_CALCULATIONS: Final = {
    ast.Sub: ("-", operator.sub),
    ast.Mult: ("*", operator.mul),
    ast.Div: ("/", operator.truediv),
    ast.FloorDiv: ("//", operator.floordiv),
    ast.Mod: ("%", operator.mod),
}
_SIGNS: Final[dict[type[ast.unaryop], Callable[[Value], Value]]] = {ast.USub: operator.neg, ast.UAdd: operator.pos}
_ORDERS: Final = {
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
}


def _ordering(sign: str, operate: Callable[[Value, Value], bool]) -> Test:
    return lambda _run, left, right: compare(sign, operate, left, right)


def _negated(test: Test) -> Test:
    return lambda run, left, right: not test(run, left, right)


def _equality(_run: Run, left: Value, right: Value) -> bool:
    return is_equal(left, right)


_TESTS: Final[dict[type[ast.cmpop], Test]] = {
    **{kind: _ordering(sign, operate) for kind, (sign, operate) in _ORDERS.items()},
    ast.Eq: _equality,
    ast.NotEq: _negated(_equality),
    ast.In: nodes.is_within,
    ast.NotIn: _negated(nodes.is_within),
    ast.Is: nodes.is_none,
    ast.IsNot: _negated(nodes.is_none),
}


class Program:
    """A compiled script: what it runs, how many variables that needs, what it reads, and where the result may be."""

    __slots__ = ("fields", "order_slot", "run", "slots")

    def __init__(self, run: Statement, slots: int, fields: frozenset[str], order_slot: int | None) -> None:
        self.run = run
        self.slots = slots
        self.fields = fields
        self.order_slot = order_slot


def compile_tree(tree: ast.Module) -> Program:
    """Return the program of a tree that passed the grammar. Raise ScriptRefused for names that do not exist."""
    compiler = _Compiler(tree)
    run = compiler.block(tree.body)
    fields = frozenset(node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    return Program(run, compiler.slots, fields, compiler.outer.get(ORDER))


class _Compiler:
    """Compiles one tree; `outer` has the names of the script itself, `_scopes` those of whatever is around a node."""

    def __init__(self, tree: ast.Module) -> None:
        self.outer = {name: slot for slot, name in enumerate(INPUTS)}
        self.slots = len(INPUTS)
        self._assigned = {
            target.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for name in sorted(self._assigned.difference(INPUTS)):
            self.outer[name] = self._new_slot()
        self._scopes: list[tuple[str, int]] = []

    def _new_slot(self) -> int:
        self.slots += 1
        return self.slots - 1

    # Statements

    def block(self, statements: Sequence[ast.stmt]) -> Statement:
        """Return what runs these statements one after the other."""
        compiled = [self._statement(statement) for statement in statements]

        def run_all(run: Run) -> None:
            for statement in compiled:
                statement(run)

        return run_all

    def _statement(self, node: ast.stmt) -> Statement:
        match node:
            case ast.If():
                return self._branches(node)
            case ast.Assign(targets=[ast.Name(id=name)]):
                return _assignment(self.outer[name], self.expression(node.value))
        assert isinstance(node, ast.Expr)
        return _result(self.expression(node.value))

    def _branches(self, node: ast.If) -> Statement:
        """Compile an `if` with all its `elif`s, which are too many for a recursion."""
        arms: list[tuple[Priced, Statement]] = []
        rest: list[ast.stmt] = [node]
        while len(rest) == 1 and isinstance(following := rest[0], ast.If):
            arms.append((self.expression(following.test), self.block(following.body)))
            rest = following.orelse
        last = self.block(rest)

        def choose(run: Run) -> None:
            for (test, price), body in arms:
                run.pay(1 + price)
                if test(run):
                    body(run)
                    return
            last(run)

        return choose

    # Expressions

    def expression(self, node: ast.expr) -> Priced:
        """Return the node of an expression with its price."""
        match node:
            case ast.Constant(value=constant):
                return Priced(nodes.constant(constant), 1)
            case ast.Name(id=name):
                return Priced(self._variable(node, name), 1)
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                items = [self.expression(element) for element in elements]
                return _priced(nodes.display([item.node for item in items]), *items)
            case ast.Attribute(value=owner, attr=name):
                self._check_field(owner, name)
                record = self.expression(owner)
                return _priced(nodes.field(record.node, name), record)
            case ast.Subscript(value=owner, slice=index):
                stack, place = self.expression(owner), self.expression(index)
                return _priced(nodes.item(stack.node, place.node), stack, place)
            case ast.BinOp():
                return self._calculation(node)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                value = self.expression(operand)
                return _priced(nodes.negation(value.node), value)
            case ast.UnaryOp(op=sign, operand=operand):
                value = self.expression(operand)
                return _priced(nodes.sign(_SIGNS[type(sign)], value.node), value)
            case ast.BoolOp(op=junction, values=[first, *others]):
                value = self.expression(first)
                rest = [self.expression(other) for other in others]
                return _priced(nodes.junction(value.node, rest, stops_at=isinstance(junction, ast.Or)), value)
            case ast.Compare():
                return self._comparison(node)
            case ast.IfExp():
                test = self.expression(node.test)
                return _priced(nodes.choice(test.node, self.expression(node.body), self.expression(node.orelse)), test)
            case ast.ListComp() | ast.GeneratorExp():
                return self._comprehension(node)
        assert isinstance(node, ast.Call)
        assert isinstance(node.func, ast.Name)
        return (self._ordering if node.func.id in ORDERING else self._call)(node, node.func.id)

    def _variable(self, node: ast.Name, name: str) -> Node:
        for bound, slot in reversed(self._scopes):
            if bound == name:
                return nodes.variable(slot)
        if name not in self.outer:
            refuse(node, f"unknown name `{name}`")
        slot = self.outer[name]
        return nodes.variable(slot) if name in INPUTS else nodes.late_variable(slot, name)

    def _check_field(self, owner: ast.expr, name: str) -> None:
        """Refuse a field that an input does not have; of other records only a run knows."""
        if not isinstance(owner, ast.Name) or owner.id in self._assigned or owner.id not in FIELDS_OF:
            return
        if name not in FIELDS_OF[owner.id] and all(bound != owner.id for bound, _ in self._scopes):
            refuse(owner, f"`{owner.id}` has no field `{name}`")

    def _calculation(self, node: ast.BinOp) -> Priced:
        left, right = self.expression(node.left), self.expression(node.right)
        if isinstance(node.op, ast.Add):
            return _priced(nodes.sum_of(left.node, right.node), left, right)
        sign, operate = _CALCULATIONS[type(node.op)]
        return _priced(nodes.calculation(sign, operate, left.node, right.node), left, right)

    def _comparison(self, node: ast.Compare) -> Priced:
        left = self.expression(node.left)
        tests = [_TESTS[type(kind)] for kind in node.ops]
        operands = [self.expression(operand) for operand in node.comparators]
        if len(tests) == 1:
            return _priced(nodes.comparison(tests[0], left.node, operands[0].node), left, operands[0])
        return _priced(nodes.chain(left.node, list(zip(tests, operands, strict=True))), left)

    def _comprehension(self, node: ast.ListComp | ast.GeneratorExp) -> Priced:
        generator = node.generators[0]
        source = self.expression(generator.iter)
        assert isinstance(generator.target, ast.Name)
        with self._bound(generator.target.id) as slot:
            conditions = [self.expression(condition) for condition in generator.ifs]
            element = self.expression(node.elt)
        return _priced(nodes.comprehension(source.node, slot, conditions, element), source)

    @contextmanager
    def _bound(self, name: str) -> Iterator[int]:
        """Give a name a slot of its own for as long as the block lasts."""
        slot = self._new_slot()
        self._scopes.append((name, slot))
        yield slot
        self._scopes.pop()

    def _call(self, node: ast.Call, name: str) -> Priced:
        arguments = [self.expression(argument) for argument in node.args]
        return _priced(nodes.call(FUNCTIONS[name].call, [argument.node for argument in arguments]), *arguments)

    def _ordering(self, node: ast.Call, name: str) -> Priced:
        key: Key | None = None
        reverse = Priced(nodes.constant(value=False), 0)
        for keyword in node.keywords:
            if isinstance(keyword.value, ast.Lambda):
                with self._bound(keyword.value.args.args[0].arg) as slot:
                    key = nodes.key_by(slot, self.expression(keyword.value.body))
            else:
                reverse = self.expression(keyword.value)
        arguments = [self.expression(argument) for argument in node.args]
        source = arguments[0].node if len(arguments) == 1 else nodes.display([each.node for each in arguments])
        if name == "sorted":
            return _priced(nodes.ordered(source, key, reverse.node), reverse, *arguments)
        return _priced(nodes.outermost(name, source, key), *arguments)


def _priced(node: Node, *parts: Priced) -> Priced:
    """Return a node with its own step and what is certain to be evaluated below it."""
    return Priced(node, 1 + sum(part.price for part in parts))


def _assignment(slot: int, value: Priced) -> Statement:
    node, price = value

    def assign(run: Run) -> None:
        run.pay(1 + price)
        run.variables[slot] = node(run)

    return assign


def _result(value: Priced) -> Statement:
    node, price = value

    def keep(run: Run) -> None:
        run.pay(1 + price)
        run.result = node(run)

    return keep
