"""How much a request holds, in numbers and never in words: what routing policies may know of a body.

Each dialect counts its own shape in a module of the same name; what counting needs in any shape is here. Characters are
code points of what somebody wrote: text, also of tools' results, but no thinking, no arguments, no schemas. A body is
read leniently, for the upstream is the one to refuse what makes no sense; only what is no JSON object is an error.
"""

import json
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import orjson

from busbar_fast.errors import NotJson

_COUNT_END: Final = 2**32
_SAFE_DIGITS: Final = 18
_TEXT: Final = ("text",)


class BodyFacts(NamedTuple):
    """One body in numbers."""

    message_count: int = 0
    tool_count: int = 0
    total_chars: int = 0
    system_chars: int = 0
    max_tokens: int | None = None


def read_object(body: bytes) -> dict[str, Any]:
    """Return the object that a body is. Raise NotJson.

    Half a character in an escape, which one of two parsers refuses, and numbers of any length are let through.
    """
    try:
        document = orjson.loads(body)
    except ValueError:
        document = _read_leniently(body)
    if not isinstance(document, dict):
        raise NotJson("not an object")
    return document


def _read_leniently(body: bytes) -> object:
    try:
        return json.loads(body.decode(), parse_int=_number)
    except (ValueError, RecursionError) as error:
        raise NotJson("not JSON") from error


def _number(text: str) -> float:
    return int(text) if len(text) <= _SAFE_DIGITS else float(text)


def objects_in(value: object) -> list[dict[str, Any]]:
    """Return the objects of a list; what is no list has none."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def object_at(value: object, *names: str) -> dict[str, Any]:
    """Return the object under one of these names, an empty one if there is none."""
    found = member(value, *names)
    return found if isinstance(found, dict) else {}


def member(value: object, *names: str) -> Any:
    """Return what an object has under the first of these names that it knows, None for anything else."""
    if isinstance(value, dict):
        for name in names:
            if value.get(name) is not None:
                return value[name]
    return None


def length(value: object) -> int:
    """Return the number of items in a list, 0 for what is none."""
    return len(value) if isinstance(value, list) else 0


def chars(value: object, names: Iterable[str] = _TEXT) -> int:
    """Return the characters of a text, of these members of a part, or of a list of either."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(len(text) for name in names if isinstance(text := value.get(name), str))
    if isinstance(value, list):
        return sum(chars(part, names) for part in value if isinstance(part, str | dict))
    return 0


def count(value: object) -> int | None:
    """Return a number of tokens, None for what is none: absent, zero, not whole or too large to be meant."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 < value < _COUNT_END else None
