"""What values a script can hold, and what may be done with two of them; whatever else is tried is a ScriptError.

Values are None, truth values, integers below 2^63, finite floats, texts, lists and records. A record is a dict here and
can only be read. As in Python a truth value counts as a number.
"""

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any, Final

from busbar_fast.errors import ScriptError
from busbar_fast.reliability.policies.script.limits import INT_END, KEY_SCALARS, LIST_ITEMS, TEXT_CHARACTERS

# None | bool | int | float | str | list | dict, the dict a record; mypy cannot follow an evaluator.
Value = Any

NUMBERS: Final = frozenset((int, float, bool))
SCALARS: Final = NUMBERS | {str, type(None)}
_CHARACTERS_PER_WEIGHT: Final = 256

_NAMES: Final = {
    type(None): "None",
    bool: "a truth value",
    int: "a number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "a record",
}


def name_of(value: Value) -> str:
    """Return what a message calls a value; never the value, for that may be a client's."""
    return _NAMES[type(value)]


def checked(number: float) -> Value:
    """Return a number that came out of a calculation, if it is one that a script may hold."""
    if type(number) is float:
        if not isfinite(number):
            raise ScriptError("a number left its range")
    elif not -INT_END < number < INT_END:
        raise ScriptError("a number left its range")
    return number


def checked_list(items: list[Value]) -> list[Value]:
    """Return a new list, if it is no longer than a script may hold."""
    if len(items) > LIST_ITEMS:
        raise ScriptError(f"a list may have at most {LIST_ITEMS} items")
    return items


def checked_text(text: str) -> str:
    """Return a new text, if it is no longer than a script may hold."""
    if len(text) > TEXT_CHARACTERS:
        raise ScriptError(f"a text may have at most {TEXT_CHARACTERS} characters")
    return text


def calculate(sign: str, operate: Callable[[Any, Any], Any], left: Value, right: Value) -> Value:
    """Return the result of an operator on two numbers."""
    if type(left) not in NUMBERS or type(right) not in NUMBERS:
        raise ScriptError(f"`{sign}` needs two numbers, not {name_of(left)} and {name_of(right)}")
    try:
        return checked(operate(left, right))
    except ZeroDivisionError as error:
        raise ScriptError("division by zero") from error


def compare(sign: str, operate: Callable[[Any, Any], Any], left: Value, right: Value) -> bool:
    """Return how two numbers or two texts compare."""
    kind = type(left)
    if not (kind in NUMBERS and type(right) in NUMBERS) and not (kind is str and type(right) is str):
        raise ScriptError(f"`{sign}` needs two numbers or two texts, not {name_of(left)} and {name_of(right)}")
    return bool(operate(left, right))


def is_equal(left: Value, right: Value) -> bool:
    """Say whether two scalars are equal."""
    if type(left) not in SCALARS or type(right) not in SCALARS:
        raise ScriptError(f"`==` and `!=` compare scalars, not {name_of(left)} and {name_of(right)}")
    return bool(left == right)


def size_of(value: Value) -> int:
    """Return how many steps a function pays for an argument."""
    return len(value) if type(value) is list or type(value) is str else 1


def weight_of(key: Value) -> int:
    """Return how much longer than a number it takes to compare this: lists item by item, texts by length."""
    if type(key) is str:
        return 1 + len(key) // _CHARACTERS_PER_WEIGHT
    if type(key) is list:
        return sum(map(weight_of, key)) or 1
    return 1


def check_keys(keys: Sequence[Value]) -> None:
    """Raise unless each of these can be ordered by: a scalar, or a short list of scalars."""
    for key in keys:
        if type(key) in SCALARS:
            continue
        if type(key) is not list:
            raise ScriptError(f"{name_of(key)} cannot be ordered; `key=lambda c: ...` says by what")
        if len(key) > KEY_SCALARS or not all(type(item) in SCALARS for item in key):
            raise ScriptError(f"a list can be ordered by if it holds at most {KEY_SCALARS} scalars")
