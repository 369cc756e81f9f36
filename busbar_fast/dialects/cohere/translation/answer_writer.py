"""A whole answer for a client."""

from typing import Final

from busbar_fast.dialects.call_arguments import args_text
from busbar_fast.dialects.cohere.translation.abilities import NAME
from busbar_fast.dialects.cohere.translation.citations import citation_of
from busbar_fast.dialects.cohere.translation.stops import word_of
from busbar_fast.dialects.cohere.translation.usages import usage_of
from busbar_fast.dialects.guard import field_of
from busbar_fast.dialects.members import write
from busbar_fast.dialects.minting import uuid4
from busbar_fast.ir.answers import Answer
from busbar_fast.ir.blocks import Text, Thinking, ToolUse
from busbar_fast.ir.report import Report

_WRITTEN: Final = (Text, Thinking, ToolUse)


def write_answer(answer: Answer, report: Report) -> bytes:
    """Write an answer."""
    members: dict[str, object] = {
        "id": answer.id or uuid4(),
        "finish_reason": word_of(answer.stop),
        "message": _message(answer, report),
        "usage": usage_of(answer.usage),
    }
    if answer.model:
        members["model"] = answer.model
    if answer.logprobs:
        report.dropped("logprobs")
    if answer.stop.matched is not None and answer.source != NAME:
        report.dropped("stop_sequence")
    return write(members | (answer.ext or {}))


def _message(answer: Answer, report: Report) -> dict[str, object]:
    calls = [block for block in answer.blocks if isinstance(block, ToolUse)]
    plan = "".join(block.text for block in answer.blocks if isinstance(block, Text) and block.is_plan and calls)
    content: list[object] = []
    citations: list[object] = []
    for block in answer.blocks:
        if not isinstance(block, _WRITTEN):
            report.dropped(field_of(block))
        elif isinstance(block, Thinking):
            content.append({"type": "thinking", "thinking": block.text})
        elif isinstance(block, Text) and not (block.is_plan and calls):
            for citation in block.citations:
                shown = citation_of(citation, len(content), block.text)
                citations.append(shown)
                if shown is None:
                    report.dropped("citations")
            content.append({"type": "text", "text": block.text})
    message: dict[str, object] = {"role": "assistant"}
    if plan:
        message["tool_plan"] = plan
    message["content"] = content
    if calls:
        message["tool_calls"] = [call_of(call.id, call.name, args_text(call)) for call in calls]
    cited = [citation for citation in citations if citation is not None]
    if cited:
        message["citations"] = cited
    return message


def call_of(tool_id: str, name: str, arguments: str) -> dict[str, object]:
    """Return a call as the client gets it."""
    return {"id": tool_id, "type": "function", "function": {"name": name, "arguments": arguments}}
