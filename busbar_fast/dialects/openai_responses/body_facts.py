"""Counts a request for a response: one text, or items of many kinds."""

from typing import Any, Final

from busbar_fast.dialects.body_facts import BodyFacts, chars, count, length, objects_in, read_object
from busbar_fast.dialects.openai_shared import SYSTEM_ROLES

_TEXTS: Final = ("text", "refusal")
_THOUGHTS: Final = "reasoning"


def request_facts(body: bytes) -> BodyFacts:
    """Return the numbers of one request."""
    request = read_object(body)
    items = request.get("input")
    system = chars(request.get("instructions"))
    total = system + (chars(items) if isinstance(items, str) else 0)
    for item in objects_in(items):
        written = _chars_of_item(item)
        total += written
        if item.get("role") in SYSTEM_ROLES:
            system += written
    return BodyFacts(
        1 if isinstance(items, str) else length(items),
        length(request.get("tools")),
        total,
        system,
        count(request.get("max_output_tokens")),
    )


def _chars_of_item(item: dict[str, Any]) -> int:
    """Return the characters of a message, of a tool's output or of a part that stands alone."""
    if item.get("type") == _THOUGHTS:
        return 0
    return chars(item, _TEXTS) + chars(item.get("content"), _TEXTS) + chars(item.get("output"), _TEXTS)
