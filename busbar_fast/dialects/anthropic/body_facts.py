"""Counts a request for a message, or for its tokens."""

from typing import Final

from busbar_fast.dialects.body_facts import BodyFacts, chars, count, length, objects_in, read_object

_RESULT: Final = "tool_result"


def request_facts(body: bytes) -> BodyFacts:
    """Return the numbers of one request."""
    request = read_object(body)
    messages = request.get("messages")
    total = system = chars(request.get("system"))
    for message in objects_in(messages):
        content = message.get("content")
        written = chars(content)
        written += sum(chars(block.get("content")) for block in objects_in(content) if block.get("type") == _RESULT)
        total += written
        if message.get("role") == "system":
            system += written
    return BodyFacts(length(messages), length(request.get("tools")), total, system, count(request.get("max_tokens")))
