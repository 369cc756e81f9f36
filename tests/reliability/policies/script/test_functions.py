"""The functions of the language, one by one."""

from typing import Any

import pytest

from busbar_fast.errors import ScriptError
from busbar_fast.reliability.policies.script.functions import FUNCTIONS


@pytest.mark.parametrize(
    ("name", "arguments", "value"),
    [
        ("len", ("abc",), 3),
        ("len", ([],), 0),
        ("sum", ([1, 2.5, True],), 4.5),
        ("sum", ([],), 0),
        ("abs", (-3,), 3),
        ("abs", (True,), 1),
        ("round", (2.5,), 2),
        ("round", (2.567, 1), 2.6),
        ("round", (1234, -2), 1200),
        ("any", ([0, "", None],), False),
        ("any", ([0, "x"],), True),
        ("all", ([1, "x"],), True),
        ("all", ([1, None],), False),
        ("int", (2.9,), 2),
        ("int", (" 12 ",), 12),
        ("float", ("2.5",), 2.5),
        ("float", (2,), 2.0),
        ("lower", ("Ab",), "ab"),
        ("startswith", ("abc", "ab"), True),
        ("startswith", ("abc", "b"), False),
        ("endswith", ("abc", "bc"), True),
        ("endswith", ("abc", "b"), False),
        ("contains", ("abc", "b"), True),
        ("contains", ("abc", "x"), False),
        ("coalesce", (None, 0, 1), 0),
        ("coalesce", (None, [1]), [1]),
        ("coalesce", (None,), None),
    ],
)
def test_a_function_gives_what_it_is_named_for(name: str, arguments: tuple[Any, ...], value: Any) -> None:
    """Reliability §11: each function does what Python's own of that name does, or what its name says."""
    found = FUNCTIONS[name].call(*arguments)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("len", (1,)),
        ("len", ({"idx": 1},)),
        ("sum", ("abc",)),
        ("sum", ([1, "x"],)),
        ("sum", ([2**62, 2**62],)),
        ("sum", ([1e308, 1e308],)),
        ("abs", ("x",)),
        ("abs", (None,)),
        ("round", ("x",)),
        ("round", (1e300,)),
        ("round", (5, -(10**9))),
        ("round", (5, 16)),
        ("round", (5, True)),
        ("round", (5, 1.0)),
        ("round", (99 * 10**16 + 9 * 10**18 - 1, -15)),
        ("any", ("x",)),
        ("all", ({"idx": 1},)),
        ("int", ("x",)),
        ("int", (None,)),
        ("int", (1e300,)),
        ("int", ("9" * 65,)),
        ("int", ("9" * 64,)),
        ("float", ("nan",)),
        ("float", ("1e999",)),
        ("float", ("",)),
        ("float", ([],)),
        ("lower", (1,)),
        ("lower", ("İ" * 8192,)),
        ("startswith", ("x", None)),
        ("startswith", (["x"], "x")),
        ("endswith", ("x", 1)),
        ("contains", (["x"], "x")),
        ("contains", ("x", 1)),
    ],
)
def test_a_function_refuses_what_it_is_not_made_for(name: str, arguments: tuple[Any, ...]) -> None:
    """Reliability §11: a wrong kind of value, and a result that no value may be, end the script."""
    with pytest.raises(ScriptError):
        FUNCTIONS[name].call(*arguments)


def test_there_are_these_functions_and_no_others() -> None:
    """Reliability §11: the list of functions, but for the three that order something."""
    names = "len sum abs round any all int float lower startswith endswith contains coalesce"
    assert " ".join(FUNCTIONS) == names
