"""Counts a request to converse, or to count the tokens of one, which has it inside."""

from typing import Any, Final

from busbar_fast.dialects.body_facts import BodyFacts, chars, count, length, object_at, objects_in, read_object

_TOOLS: Final = ("toolSpec", "systemTool")  # beside them stand marks for a cache


def request_facts(body: bytes) -> BodyFacts:
    """Return the numbers of one request."""
    document = read_object(body)
    request = object_at(object_at(document, "input"), "converse") or document
    messages = request.get("messages")
    total = system = chars(request.get("system"))
    for message in objects_in(messages):
        written = sum(_chars_of_block(block) for block in objects_in(message.get("content")))
        total += written
        if message.get("role") == "system":
            system += written
    tools = objects_in(object_at(request, "toolConfig").get("tools"))
    return BodyFacts(
        length(messages),
        sum(any(kind in tool for kind in _TOOLS) for tool in tools),
        total,
        system,
        count(object_at(request, "inferenceConfig").get("maxTokens")),
    )


def _chars_of_block(block: dict[str, Any]) -> int:
    cited = chars(object_at(block, "citationsContent").get("content"))
    return chars(block) + chars(object_at(block, "toolResult").get("content")) + cited
