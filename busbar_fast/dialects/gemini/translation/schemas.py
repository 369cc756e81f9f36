"""JSON Schema as OpenAPI's kind of schema, for lanes that know nothing newer.

References are put in place, what has no word there falls away, and null becomes a flag. Which names are keywords
depends on where they stand: below `properties` they are users' own.
"""

from typing import TYPE_CHECKING, Any, Final

from msgspec import Raw

from busbar_fast.dialects.members import value_of, write
from busbar_fast.errors import TooDeep

if TYPE_CHECKING:
    from collections.abc import Callable

Schema = dict[str, Any]

_LEFT_OUT: Final = frozenset(
    (
        "$schema",
        "$id",
        "$ref",
        "$defs",
        "$comment",
        "definitions",
        "additionalItems",
        "patternProperties",
        "unevaluatedProperties",
        "const",
        "examples",
        "type",
    )
)
_DEFINITIONS: Final[tuple[str, ...]] = ("$defs", "definitions")
_NULL: Final = "null"
_MOST_LEVELS: Final = 128
_MOST_SCHEMAS: Final = 100_000  # references may multiply


def to_openapi(schema: Raw) -> Raw:
    """Return a JSON Schema as OpenAPI's kind. Raise TooDeep."""
    root = value_of(schema)
    return Raw(write(_Converter(root).converted(root, (), 0)))


class _Converter:
    """Knows the document that references point into."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._left = _MOST_SCHEMAS
        self._inner: dict[str, Callable[[Any, tuple[str, ...], int], Any]] = {
            "items": self.converted,
            "not": self.converted,
            "anyOf": self._many,
            "oneOf": self._many,
            "allOf": self._many,
            "properties": self._named,
            "dependentSchemas": self._named,
        }

    def converted(self, written: Any, within: tuple[str, ...], level: int) -> Any:
        """Return one schema; `within` holds the references it stands inside of."""
        self._left -= 1
        if level > _MOST_LEVELS or self._left < 0:
            raise TooDeep
        if not isinstance(written, dict):
            return {}
        reference = written.get("$ref")
        if isinstance(reference, str):
            if reference in within:
                return {}
            target = self._target(reference)
            siblings = {name: value for name, value in written.items() if name != "$ref"}
            return self.converted(target | siblings, (*within, reference), level + 1)
        schema = _typed(written)
        for name, value in written.items():
            if name == "additionalProperties":
                if isinstance(value, bool):
                    schema[name] = value
            elif name not in _LEFT_OUT:
                convert = self._inner.get(name)
                schema[name] = value if convert is None else convert(value, within, level + 1)
        if isinstance(written.get("const"), str):
            schema["enum"] = [written["const"]]
        return schema

    def _many(self, written: Any, within: tuple[str, ...], level: int) -> Any:
        return [self.converted(item, within, level) for item in written] if isinstance(written, list) else []

    def _named(self, written: Any, within: tuple[str, ...], level: int) -> Any:
        if not isinstance(written, dict):
            return {}
        return {name: self.converted(value, within, level) for name, value in written.items()}

    def _target(self, reference: str) -> Schema:
        """Return what a reference points at; anything goes where it points at nothing."""
        kind, _, name = reference.removeprefix("#/").partition("/")
        named = self._root.get(kind) if kind in _DEFINITIONS else None
        target = named.get(name) if isinstance(named, dict) else None
        return target if isinstance(target, dict) else {}


def _typed(written: Schema) -> Schema:
    """Return what OpenAPI has for a type: one name, a flag for null, or a choice between several."""
    kind = written.get("type")
    if not isinstance(kind, list):
        return {} if kind is None else {"type": kind}
    kinds = [name for name in kind if name != _NULL]
    schema: Schema = {"nullable": True} if len(kinds) < len(kind) else {}
    if len(kinds) == 1:
        return schema | {"type": kinds[0]}
    return schema | {"anyOf": [{"type": name} for name in kinds]} if kinds else schema | {"type": _NULL}
