"""The functions of the language, each with how many arguments it takes; what an argument costs was paid before.

Only three of them order something and take a key; they live in `ordering`.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from busbar_fast.errors import ScriptError
from busbar_fast.reliability.policies.script.limits import MOST_DIGITS, NUMBER_CHARACTERS
from busbar_fast.reliability.policies.script.values import (
    NUMBERS,
    Value,
    checked,
    checked_text,
    name_of,
)

MANY: Final = 10_000  # more arguments than a script has nodes


class Function(NamedTuple):
    """A function: the fewest and the most arguments it takes, and what it does with them."""

    fewest: int
    most: int
    call: Callable[..., Value]


def _number(name: str, value: Value) -> Value:
    if type(value) not in NUMBERS:
        raise ScriptError(f"`{name}` needs a number, not {name_of(value)}")
    return value


def _text(name: str, value: Value) -> str:
    if type(value) is not str:
        raise ScriptError(f"`{name}` needs texts, not {name_of(value)}")
    return value


def _items(name: str, value: Value) -> list[Value]:
    if type(value) is not list:
        raise ScriptError(f"`{name}` needs a list, not {name_of(value)}")
    return value


def _len(value: Value) -> int:
    if type(value) is not str and type(value) is not list:
        raise ScriptError(f"`len` needs a list or a text, not {name_of(value)}")
    return len(value)


def _sum(items: Value) -> Value:
    return checked(sum(_number("sum", item) for item in _items("sum", items)))


def _abs(value: Value) -> Value:
    return checked(abs(_number("abs", value)))


def _round(value: Value, digits: Value = None) -> Value:
    """Round as Python does; digits are bounded, since rounding to a billion places takes as long as it sounds."""
    _number("round", value)
    if digits is None:
        return checked(round(value))
    if type(digits) is not int or not -MOST_DIGITS <= digits <= MOST_DIGITS:
        raise ScriptError(f"`round` needs a number of digits from -{MOST_DIGITS} to {MOST_DIGITS}")
    return checked(round(value, digits))


def _any(items: Value) -> bool:
    return any(_items("any", items))


def _all(items: Value) -> bool:
    return all(_items("all", items))


def _convert(name: str, kind: Callable[[Any], Any], value: Value) -> Value:
    if type(value) is not str:
        return checked(kind(_number(name, value)))
    if len(value) > NUMBER_CHARACTERS:
        raise ScriptError(f"`{name}` reads texts of at most {NUMBER_CHARACTERS} characters")
    try:
        return checked(kind(value))
    except ValueError as error:
        raise ScriptError(f"`{name}` found no number in a text") from error


def _int(value: Value) -> Value:
    return _convert("int", int, value)


def _float(value: Value) -> Value:
    return _convert("float", float, value)


def _lower(text: Value) -> str:
    return checked_text(_text("lower", text).lower())


def _startswith(text: Value, start: Value) -> bool:
    return _text("startswith", text).startswith(_text("startswith", start))


def _endswith(text: Value, end: Value) -> bool:
    return _text("endswith", text).endswith(_text("endswith", end))


def _contains(text: Value, part: Value) -> bool:
    return _text("contains", part) in _text("contains", text)


def _coalesce(*values: Value) -> Value:
    return next((value for value in values if value is not None), None)


FUNCTIONS: Final = {
    "len": Function(1, 1, _len),
    "sum": Function(1, 1, _sum),
    "abs": Function(1, 1, _abs),
    "round": Function(1, 2, _round),
    "any": Function(1, 1, _any),
    "all": Function(1, 1, _all),
    "int": Function(1, 1, _int),
    "float": Function(1, 1, _float),
    "lower": Function(1, 1, _lower),
    "startswith": Function(2, 2, _startswith),
    "endswith": Function(2, 2, _endswith),
    "contains": Function(2, 2, _contains),
    "coalesce": Function(1, MANY, _coalesce),
}
