"""Counts a request for content, or for its tokens, which may have it inside.

Names come in two spellings, one object may stand where a list is meant, and numbers may be floats or texts: the vendor
reads all of that, and its SDK writes some of it.
"""

from typing import Any, Final

from busbar_fast.dialects.body_facts import (
    BodyFacts,
    chars,
    count,
    length,
    member,
    object_at,
    objects_in,
    read_object,
)

_DECLARED: Final = ("functionDeclarations", "function_declarations")
_MOST_DIGITS: Final = 10


def request_facts(body: bytes) -> BodyFacts:
    """Return the numbers of one request."""
    document = read_object(body)
    request = object_at(document, "generateContentRequest", "generate_content_request") or document
    contents = _listed(request.get("contents"))
    system = _chars_of_content(member(request, "systemInstruction", "system_instruction"))
    return BodyFacts(
        length(contents),
        sum(_count_of_tools(tool) for tool in objects_in(_listed(request.get("tools")))),
        system + sum(_chars_of_content(content) for content in contents),
        system,
        _limit(object_at(request, "generationConfig", "generation_config")),
    )


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _chars_of_content(content: object) -> int:
    if isinstance(content, str):
        return len(content)
    return sum(_chars_of_part(part) for part in objects_in(_listed(member(content, "parts"))))


def _chars_of_part(part: dict[str, Any]) -> int:
    if part.get("thought") is True:
        return 0
    response = object_at(object_at(part, "functionResponse", "function_response"), "response")
    return chars(part) + chars(response, response)


def _count_of_tools(tool: dict[str, Any]) -> int:
    """Return how many tools an entry holds: each function declared there, and each other kind."""
    declared = _listed(member(tool, *_DECLARED))
    return len(declared) + sum(name not in _DECLARED for name in tool)


def _limit(config: dict[str, Any]) -> int | None:
    value = member(config, "maxOutputTokens", "max_output_tokens")
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS:
        value = int(value)
    return count(value)
