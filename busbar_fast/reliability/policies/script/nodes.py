"""The evaluator: each function here returns a node, a closure that is called with a run and gives a value.

Hot: perf/micro/bench_script.py. Nodes pay for nothing that is certain to happen: whoever stands above does, so a whole
expression without a choice in it is paid for at once. `Priced` carries what is still owed; a node pays by itself for
what depends on values: the arm that was taken, each round of a comprehension, each argument's size.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from busbar_fast.errors import ScriptError
from busbar_fast.reliability.policies.script.ordering import Key, extreme, sort
from busbar_fast.reliability.policies.script.run import UNSET, Run
from busbar_fast.reliability.policies.script.values import (
    SCALARS,
    Value,
    calculate,
    checked,
    checked_list,
    name_of,
    size_of,
    weight_of,
)

Node = Callable[[Run], Value]
Operate = Callable[[Any, Any], Any]
# Compares two values; what that costs beyond one step it pays.
Test = Callable[[Run, Value, Value], bool]


class Priced(NamedTuple):
    """A node and the steps that must be paid before it is called."""

    node: Node
    price: int


def constant(value: Value) -> Node:
    """Return a node that is always the same."""
    return lambda _run: value


def variable(slot: int) -> Node:
    """Return a node for a variable that has a value whenever it can be read."""
    return lambda run: run.variables[slot]


def late_variable(slot: int, name: str) -> Node:
    """Return a node for a variable that is assigned somewhere, but perhaps not yet."""

    def read(run: Run) -> Value:
        value = run.variables[slot]
        if value is UNSET:
            raise ScriptError(f"`{name}` has no value yet")
        return value

    return read


def display(items: Sequence[Node]) -> Node:
    """Return a node for a list written down."""
    return lambda run: [item(run) for item in items]


def field(owner: Node, name: str) -> Node:
    """Return a node for a field of a record."""

    def read(run: Run) -> Value:
        record = owner(run)
        if type(record) is not dict:
            raise ScriptError(f"{name_of(record)} has no field `{name}`")
        if name not in record:
            raise ScriptError(f"this record has no field `{name}`")
        return record[name]

    return read


def item(owner: Node, index: Node) -> Node:
    """Return a node for one item of a list."""

    def read(run: Run) -> Value:
        items, place = owner(run), index(run)
        if type(items) is not list or type(place) is not int:
            raise ScriptError(f"a list is indexed by a whole number, not {name_of(items)} by {name_of(place)}")
        if not -len(items) <= place < len(items):
            raise ScriptError("a list has no item there")
        return items[place]

    return read


def sum_of(left: Node, right: Node) -> Node:
    """Return a node for `+`, which also joins two lists."""

    def add(run: Run) -> Value:
        first, second = left(run), right(run)
        if type(first) is list and type(second) is list:
            run.pay(len(first) + len(second))
            return checked_list(first + second)
        return calculate("+", _add, first, second)

    return add


def _add(first: Value, second: Value) -> Value:
    return first + second


def calculation(sign: str, operate: Operate, left: Node, right: Node) -> Node:
    """Return a node for an operator on two numbers."""
    return lambda run: calculate(sign, operate, left(run), right(run))


def sign(operate: Callable[[Any], Any], operand: Node) -> Node:
    """Return a node for a sign in front of a number."""

    def apply(run: Run) -> Value:
        value = operand(run)
        if type(value) not in (int, float, bool):
            raise ScriptError(f"a sign needs a number, not {name_of(value)}")
        return checked(operate(value))

    return apply


def negation(operand: Node) -> Node:
    """Return a node for `not`."""
    return lambda run: not operand(run)


def junction(first: Node, others: Sequence[Priced], *, stops_at: bool) -> Node:
    """Return a node for `or`, which stops at what is true, or for `and`, which stops at what is not."""

    def evaluate(run: Run) -> Value:
        value = first(run)
        for operand, price in others:
            if bool(value) is stops_at:
                break
            run.pay(price)
            value = operand(run)
        return value

    return evaluate


def comparison(test: Test, left: Node, right: Node) -> Node:
    """Return a node for one comparison."""
    return lambda run: test(run, left(run), right(run))


def chain(first: Node, links: Sequence[tuple[Test, Priced]]) -> Node:
    """Return a node for comparisons that share their operands; it ends at the first that does not hold."""

    def evaluate(run: Run) -> bool:
        left = first(run)
        for test, (operand, price) in links:
            run.pay(price)
            right = operand(run)
            if not test(run, left, right):
                return False
            left = right
        return True

    return evaluate


def is_within(run: Run, needle: Value, stack: Value) -> bool:
    """Say whether a list holds a scalar or a record, or a text another one."""
    if type(stack) is list and (type(needle) in SCALARS or type(needle) is dict):
        run.pay(len(stack) * weight_of(needle))
        return needle in stack
    if type(stack) is str and type(needle) is str:
        run.pay(len(stack) + len(needle))
        return needle in stack
    raise ScriptError(f"`in` looks for a value in a list or for a text in a text, not for {name_of(needle)}")


def is_none(_run: Run, value: Value, _none: Value) -> bool:
    """Say whether there is no value."""
    return value is None


def choice(test: Node, chosen: Priced, otherwise: Priced) -> Node:
    """Return a node for `a if b else c`."""

    def evaluate(run: Run) -> Value:
        arm, price = chosen if test(run) else otherwise
        run.pay(price)
        return arm(run)

    return evaluate


def comprehension(source: Node, slot: int, conditions: Sequence[Priced], element: Priced) -> Node:
    """Return a node for a list made from a list."""
    node, price = element

    def evaluate(run: Run) -> Value:
        items = source(run)
        if type(items) is not list:
            raise ScriptError(f"a comprehension runs over a list, not {name_of(items)}")
        found = []
        for run.variables[slot] in items:
            if conditions and not _holds(run, conditions):
                continue
            run.pay(price)
            found.append(node(run))
        return checked_list(found)

    return evaluate


def _holds(run: Run, conditions: Sequence[Priced]) -> bool:
    for condition, price in conditions:
        run.pay(price)
        if not condition(run):
            return False
    return True


def call(function: Callable[..., Value], arguments: Sequence[Node]) -> Node:
    """Return a node for a call of a plain function."""

    def evaluate(run: Run) -> Value:
        values = [argument(run) for argument in arguments]
        run.pay(sum(map(size_of, values)))
        return function(*values)

    return evaluate


def key_by(slot: int, body: Priced) -> Key:
    """Return what `key=lambda ...` does to one item."""
    node, price = body

    def key(run: Run, value: Value) -> Value:
        run.variables[slot] = value
        run.pay(price)
        return node(run)

    return key


def ordered(source: Node, key: Key | None, reverse: Node) -> Node:
    """Return a node for `sorted`."""
    return lambda run: sort(run, source(run), key, is_reversed=bool(reverse(run)))


def outermost(name: str, source: Node, key: Key | None) -> Node:
    """Return a node for `min` or `max`."""
    return lambda run: extreme(run, name, source(run), key)
