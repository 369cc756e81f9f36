"""Counts a chat request; texts of the system stand among the messages."""

from busbar_fast.dialects.body_facts import BodyFacts, chars, count, length, objects_in, read_object


def request_facts(body: bytes) -> BodyFacts:
    """Return the numbers of one request."""
    request = read_object(body)
    messages = request.get("messages")
    total = system = 0
    for message in objects_in(messages):
        written = chars(message.get("content")) + chars(message.get("tool_plan"))
        total += written
        if message.get("role") == "system":
            system += written
    return BodyFacts(length(messages), length(request.get("tools")), total, system, count(request.get("max_tokens")))
