"""Schemas of OpenAPI's kind as JSON Schema, which is what all but one vendor take.

Types are in upper case there or numbers, null is a flag of its own, and whole numbers may be texts. Only the vendor's
own keywords are turned; what stands where users give names, below `properties`, is looked into but never renamed.
"""

from collections.abc import Callable
from typing import Any, Final

from msgspec import DecodeError, Raw
from msgspec.json import Decoder

from busbar_fast.dialects.members import integer_of, is_object, text_of, write
from busbar_fast.errors import TooDeep

# Numbers keep their digits: each value that is no schema stays as it was written.
_decode_object: Final = Decoder(dict[str, Raw]).decode
_decode_list: Final = Decoder(list[Raw]).decode
_UNSAID: Final = Raw(b'"TYPE_UNSPECIFIED"')
_TRUE: Final = Raw(b"true")

_TYPES: Final = {1: "string", 2: "number", 3: "integer", 4: "boolean", 5: "array", 6: "object", 7: "null"}
_KEYWORDS: Final = {
    "any_of": "anyOf",
    "one_of": "oneOf",
    "additional_properties": "additionalProperties",
    "max_items": "maxItems",
    "min_items": "minItems",
    "max_length": "maxLength",
    "min_length": "minLength",
    "max_properties": "maxProperties",
    "min_properties": "minProperties",
    "defs": "$defs",
    "ref": "$ref",
}
_COUNTS: Final = frozenset(("maxItems", "minItems", "maxLength", "minLength", "maxProperties", "minProperties"))
_LEFT_OUT: Final = frozenset(("nullable", "propertyOrdering", "property_ordering", "example", "type"))
_MOST_LEVELS: Final = 128

Schema = dict[str, Any]


def to_json_schema(schema: Raw) -> Raw:
    """Return a schema of OpenAPI's kind as JSON Schema. Raise TooDeep; what is no schema is left as it is."""
    return Raw(write(_converted(schema, 0)))


def _converted(raw: Raw, level: int) -> Any:
    if level > _MOST_LEVELS:
        raise TooDeep
    if not is_object(raw):  # true and false are schemas too
        return raw
    written = _decode_object(raw)
    members = {_KEYWORDS.get(name, name): value for name, value in written.items()}
    schema: Schema = {}
    kind = _type(members)
    if kind is not None:
        schema["type"] = kind
    for name, value in members.items():
        if name not in _LEFT_OUT:
            convert = _INNER.get(name)
            schema[name] = value if convert is None else convert(value, level + 1)
    if "example" in members:
        schema["examples"] = [members["example"]]
    return _with_null(schema) if members.get("nullable") == _TRUE else schema


def _type(members: dict[str, Raw]) -> Any:
    """Return a type by the name that JSON Schema has for it; None if there is none to speak of."""
    raw = members.get("type")
    if raw is None or raw == _UNSAID:
        return None
    number = integer_of(raw)
    if number is not None:
        return _TYPES.get(number)
    name = text_of(raw)
    return raw if name is None else name.lower()


def _with_null(schema: Schema) -> Schema:
    """Return a schema that also takes null."""
    kind = schema.get("type")
    if isinstance(kind, str) and "enum" not in schema:
        return schema | {"type": [kind, "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def _many(raw: Raw, level: int) -> Any:
    try:
        return [_converted(item, level) for item in _decode_list(raw)]
    except DecodeError:
        return raw


def _named(raw: Raw, level: int) -> Any:
    if not is_object(raw):
        return raw
    return {name: _converted(value, level) for name, value in _decode_object(raw).items()}


def _count(raw: Raw, _level: int) -> Any:
    text = bytes(raw).strip(b'"')
    return Raw(text) if text.isdigit() else raw


_INNER: Final[dict[str, Callable[[Raw, int], Any]]] = {
    "items": _converted,
    "additionalProperties": _converted,
    "anyOf": _many,
    "oneOf": _many,
    "allOf": _many,
    "properties": _named,
    "$defs": _named,
    **dict.fromkeys(_COUNTS, _count),
}
