"""Schemas of OpenAPI's kind as JSON Schema."""

import pytest
from msgspec import Raw

from busbar_fast.dialects.members import value_of, write
from busbar_fast.dialects.preparing.openapi import to_json_schema
from busbar_fast.errors import TooDeep


def converted(schema: object) -> object:
    """Return a schema as JSON Schema."""
    return value_of(to_json_schema(Raw(write(schema))))


@pytest.mark.parametrize(
    ("openapi", "schema"),
    [
        ({"type": "OBJECT", "propertyOrdering": ["a"]}, {"type": "object"}),
        (
            {"type": 6, "properties": {"a": {"type": 5, "items": {"type": 1}}}},
            {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}}},
        ),
        ({"type": "TYPE_UNSPECIFIED"}, {}),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        ({"type": 99}, {}),
        ({"type": "6"}, {"type": "object"}),
        ({"type": "STRING", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "STRING", "nullable": False}, {"type": "string"}),
        (
            {"type": "STRING", "enum": ["a"], "nullable": True},
            {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]},
        ),
        (
            {"anyOf": [{"type": "STRING"}], "nullable": True},
            {"anyOf": [{"anyOf": [{"type": "string"}]}, {"type": "null"}]},
        ),
        ({"example": {"type": "OBJECT"}}, {"examples": [{"type": "OBJECT"}]}),
        ({"minItems": "1", "max_items": 2, "minLength": "x"}, {"minItems": 1, "maxItems": 2, "minLength": "x"}),
        ({"any_of": [{"type": "NUMBER"}, True]}, {"anyOf": [{"type": "number"}, True]}),
        ({"anyOf": 1, "properties": 1}, {"anyOf": 1, "properties": 1}),
        ({"additionalProperties": False}, {"additionalProperties": False}),
        (
            {"ref": "#/$defs/a", "defs": {"a": {"type": "NULL"}}},
            {"$ref": "#/$defs/a", "$defs": {"a": {"type": "null"}}},
        ),
        (True, True),
    ],
)
def test_keywords_are_turned(openapi: object, schema: object) -> None:
    """Types, nulls, examples and counts get the names and forms of JSON Schema (gemini.md cases 28, 29 and 30)."""
    assert converted(openapi) == schema


def test_names_of_users_survive() -> None:
    """Below properties a keyword is a name (gemini.md case 31)."""
    names = ("const", "examples", "$ref", "definitions", "type", "nullable", "any_of")
    properties = {name: {"type": "string"} for name in names}
    assert converted({"properties": properties}) == {"properties": properties}


def test_numbers_keep_their_digits() -> None:
    """What is no schema stays as it was written."""
    schema = Raw(b'{"type":"NUMBER","maximum":123456789012345678901234567890,"default":1.10}')
    assert to_json_schema(schema) == Raw(b'{"type":"number","maximum":123456789012345678901234567890,"default":1.10}')


def test_depth_has_an_end() -> None:
    """No schema is followed for ever."""
    deep: object = {}
    for _ in range(200):
        deep = {"items": deep}
    with pytest.raises(TooDeep):
        converted(deep)
