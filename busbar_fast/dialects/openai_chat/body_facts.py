"""Counts a chat request; texts of the system stand among the messages."""

from typing import Final

from busbar_fast.dialects.body_facts import BodyFacts, chars, count, length, member, objects_in, read_object
from busbar_fast.dialects.openai_shared import SYSTEM_ROLES

_TEXTS: Final = ("text", "refusal")


def request_facts(body: bytes) -> BodyFacts:
    """Return the numbers of one request."""
    request = read_object(body)
    messages = request.get("messages")
    total = system = 0
    for message in objects_in(messages):
        written = chars(message.get("content"), _TEXTS) + chars(message.get("refusal"))
        total += written
        if message.get("role") in SYSTEM_ROLES:
            system += written
    return BodyFacts(
        length(messages),
        length(request.get("tools")) + length(request.get("functions")),
        total,
        system,
        count(member(request, "max_tokens", "max_completion_tokens")),
    )
