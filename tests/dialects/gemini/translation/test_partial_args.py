"""Arguments that come value by value."""

import json

import pytest

from busbar_fast.dialects.gemini.translation.fields import fields_of
from busbar_fast.dialects.gemini.translation.partial_args import PartialArgs
from tests.dialects.gemini.translation.turns import raw


def put_together(*pieces: tuple[str, str, object]) -> object:
    """Return the arguments that pieces make: path, kind and value of each."""
    args = PartialArgs()
    for path, kind, value in pieces:
        args.add(fields_of(raw({"jsonPath": path, f"{kind}Value": value})))
    return json.loads(args.encoded())


@pytest.mark.parametrize(
    ("pieces", "args"),
    [
        ([], {}),
        ([("$.a", "string", "x"), ("$.a", "string", "y")], {"a": "xy"}),
        ([("$.a", "number", 1.5), ("$.a", "string", "y")], {"a": "y"}),
        ([("$.a.b", "bool", False), ("$.a['c.d']", "null", "NULL_VALUE")], {"a": {"b": False, "c.d": None}}),
        ([("$.a[1].b", "number", 2), ("$.a[0]", "string", "x")], {"a": ["x", {"b": 2}]}),
        ([('$["a"][0][1]', "number", 2)], {"a": [[None, 2]]}),
        ([("$.a", "number", 1), ("$.a.b", "number", 2)], {"a": {"b": 2}}),
        ([("$.a[99999]", "number", 1)], {"a": []}),
        ([("$.a[99999].b", "number", 1)], {"a": []}),
        ([("$", "number", 1), ("", "number", 1), ("a", "number", 1), ("$[0]", "number", 1)], {}),
    ],
)
def test_values_stand_at_their_places(pieces: list[tuple[str, str, object]], args: object) -> None:
    """More of a text goes on behind it, and what has no place falls away."""
    assert put_together(*pieces) == args
