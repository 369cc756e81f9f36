"""JSON Schema for lanes that know only OpenAPI's kind."""

from typing import Any

import pytest

from busbar_fast.dialects.gemini.translation.schemas import to_openapi
from busbar_fast.dialects.members import value_of
from busbar_fast.errors import TooDeep
from tests.dialects.gemini.translation.turns import raw


def converted(schema: object) -> Any:
    """Return a schema of OpenAPI's kind."""
    return value_of(to_openapi(raw(schema)))


@pytest.mark.parametrize(
    ("schema", "openapi"),
    [
        ({"type": "object", "$schema": "x", "$comment": "y"}, {"type": "object"}),
        ({"const": "a"}, {"enum": ["a"]}),
        ({"const": 1}, {}),
        ({"type": ["string", "null"]}, {"nullable": True, "type": "string"}),
        ({"type": ["string", "integer"]}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        ({"type": ["null"]}, {"nullable": True, "type": "null"}),
        ({"additionalProperties": False}, {"additionalProperties": False}),
        ({"additionalProperties": {"type": "string"}}, {}),
        ({"items": {"examples": [1], "type": "string"}}, {"items": {"type": "string"}}),
        ({"anyOf": [{"const": "a"}, True]}, {"anyOf": [{"enum": ["a"]}, {}]}),
        ({"anyOf": 1, "properties": 1}, {"anyOf": [], "properties": {}}),
        (True, {}),
    ],
)
def test_keywords_are_turned(schema: object, openapi: object) -> None:
    """What has no word falls away (gemini.md case 32)."""
    assert converted(schema) == openapi


def test_names_of_users_survive() -> None:
    """Below properties a keyword is a name (gemini.md case 31)."""
    properties = {name: {"type": "string"} for name in ("const", "examples", "$ref", "definitions", "type")}
    assert converted({"type": "object", "properties": properties}) == {"type": "object", "properties": properties}


def test_references_are_put_in_place() -> None:
    """Keywords beside one win over what it points at (gemini.md case 32)."""
    schema = {
        "properties": {"a": {"$ref": "#/$defs/leaf", "description": "mine"}, "b": {"$ref": "#/definitions/leaf"}},
        "$defs": {"leaf": {"type": "string", "description": "its own"}},
        "definitions": {"leaf": {"$ref": "#/$defs/leaf"}},
    }
    assert converted(schema) == {
        "properties": {
            "a": {"type": "string", "description": "mine"},
            "b": {"type": "string", "description": "its own"},
        }
    }


def test_a_circle_ends() -> None:
    """Where a reference comes back to itself anything goes (gemini.md case 32)."""
    tree = {"type": "object", "properties": {"child": {"$ref": "#/$defs/tree"}}}
    found = converted({"$ref": "#/$defs/tree", "$defs": {"tree": tree}})
    assert found == {"type": "object", "properties": {"child": {}}}


@pytest.mark.parametrize("reference", ["#/$defs/missing", "#/properties/a", "https://a.test/schema", "#/$defs/one"])
def test_a_reference_to_nothing_is_anything(reference: str) -> None:
    """Nothing is looked up elsewhere."""
    assert converted({"properties": {"a": {"$ref": reference}}, "$defs": {"one": 1}}) == {"properties": {"a": {}}}


def test_no_schema_grows_without_bound() -> None:
    """Neither depth nor references that multiply are followed for ever."""
    deep: Any = {}
    for _ in range(200):
        deep = {"items": deep}
    with pytest.raises(TooDeep):
        converted(deep)
    halves = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}
    with pytest.raises(TooDeep):
        converted({"$ref": "#/$defs/d0", "$defs": halves})
