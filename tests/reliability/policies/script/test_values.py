"""What values may be, and what may be done with two of them."""

import operator
from typing import Any

import pytest

from busbar_fast.errors import ScriptError
from busbar_fast.reliability.policies.script import values


@pytest.mark.parametrize("number", [0, 2**63 - 1, 1 - 2**63, 1.5, -1.7e308, True])
def test_a_number_in_its_range_is_kept(number: float) -> None:
    """Reliability §11: integers below 2^63 on either side and finite floats are numbers."""
    assert values.checked(number) is number


@pytest.mark.parametrize("number", [2**63, -(2**63), 10**400, float("inf"), float("-inf"), float("nan")])
def test_a_number_out_of_its_range_is_an_error(number: float) -> None:
    """Reliability §11: what is larger, infinite or no number at all ends the script."""
    with pytest.raises(ScriptError):
        values.checked(number)


def test_lists_and_texts_have_a_longest() -> None:
    """Reliability §11: 4096 items and 8192 characters fit, one more does not."""
    items, text = [1] * 4096, "x" * 8192
    assert values.checked_list(items) is items
    assert values.checked_text(text) is text
    with pytest.raises(ScriptError, match="4096"):
        values.checked_list([1] * 4097)
    with pytest.raises(ScriptError, match="8192"):
        values.checked_text("x" * 8193)


def test_numbers_are_calculated_with() -> None:
    """Reliability §11: operators work on two numbers, a truth value is one, and the result is checked."""
    assert values.calculate("*", operator.mul, 3, 0.5) == 1.5
    assert values.calculate("+", operator.add, True, 1) == 2
    with pytest.raises(ScriptError, match="range"):
        values.calculate("*", operator.mul, 2**62, 2)


@pytest.mark.parametrize(("left", "right"), [("x", 2), (2, "x"), (None, 1), ([1], 2), ({}, 1), ("x", "y")])
def test_nothing_else_is_calculated_with(left: Any, right: Any) -> None:
    """Reliability §11: texts are not repeated and not joined, and nothing is a number but numbers."""
    with pytest.raises(ScriptError, match=r"`\*` needs two numbers"):
        values.calculate("*", operator.mul, left, right)


@pytest.mark.parametrize("operate", [operator.truediv, operator.floordiv, operator.mod])
def test_division_by_zero_is_an_error(operate: Any) -> None:
    """Reliability §11: dividing by zero ends the script."""
    with pytest.raises(ScriptError, match="zero"):
        values.calculate("/", operate, 1, 0)


def test_two_numbers_or_two_texts_are_compared() -> None:
    """Reliability §11: order exists among numbers and among texts."""
    assert values.compare("<", operator.lt, 1, 1.5)
    assert values.compare("<", operator.lt, "a", "b")
    assert not values.compare(">", operator.gt, False, True)


@pytest.mark.parametrize(("left", "right"), [(1, "x"), ("x", 1), (None, 1), ([1], [2]), ({}, {}), (None, None)])
def test_nothing_else_is_compared(left: Any, right: Any) -> None:
    """Reliability §11: a list, a record and None have no order, and numbers have none with texts."""
    with pytest.raises(ScriptError, match="needs two numbers or two texts"):
        values.compare("<", operator.lt, left, right)


def test_scalars_are_equal_or_not() -> None:
    """Reliability §11: any two scalars may be asked whether they are equal."""
    assert values.is_equal(1, 1.0)
    assert not values.is_equal("1", 1)
    assert values.is_equal(None, None)


@pytest.mark.parametrize(("left", "right"), [([1], [1]), (1, [1]), ({}, None)])
def test_lists_and_records_are_never_equal(left: Any, right: Any) -> None:
    """Reliability §11: comparing what may be long is no single step, so it cannot be asked for."""
    with pytest.raises(ScriptError, match="compare scalars"):
        values.is_equal(left, right)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "None"),
        (True, "a truth value"),
        (1, "a number"),
        (1.5, "a number"),
        ("x", "a text"),
        ([], "a list"),
        ({}, "a record"),
    ],
)
def test_a_message_names_the_kind_and_not_the_value(value: Any, name: str) -> None:
    """Reliability §11: what a script was given does not get into a log."""
    assert values.name_of(value) == name


@pytest.mark.parametrize(
    ("value", "size", "weight"),
    [
        (1, 1, 1),
        (None, 1, 1),
        ("", 0, 1),
        ("x" * 255, 255, 1),
        ("x" * 8192, 8192, 33),
        ([], 0, 1),
        ([1, 2, 3], 3, 3),
        (["x" * 512, 1], 2, 4),
        ({"idx": 1}, 1, 1),
    ],
)
def test_what_is_long_costs_more(value: Any, size: int, weight: int) -> None:
    """Reliability §11: a function pays for the size of its arguments, an order for how long its keys are."""
    assert (values.size_of(value), values.weight_of(value)) == (size, weight)


def test_keys_are_scalars_or_short_lists_of_them() -> None:
    """Reliability §11: a key is a scalar or a list of at most 8 scalars."""
    values.check_keys([1, "x", None, 2.5, True, [], [1, "x", None], [1] * 8])
    keys: list[Any] = [{}, [[1]], [{}], [1] * 9]
    for key in keys:
        with pytest.raises(ScriptError, match="order"):
            values.check_keys([1, key])
