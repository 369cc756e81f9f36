"""A whole answer for a client."""

from typing import Final

from busbar_fast.dialects.guard import field_of
from busbar_fast.dialects.members import write
from busbar_fast.dialects.openai_responses.translation.abilities import NAME
from busbar_fast.dialects.openai_responses.translation.responses import (
    Members,
    call_item,
    custom_names,
    flat,
    message_item,
    new_id,
    reasoning_item,
    refusal_part,
    skeleton,
    text_part,
)
from busbar_fast.dialects.openai_responses.translation.stops import status_of
from busbar_fast.dialects.openai_responses.translation.usages import usage_of
from busbar_fast.dialects.openai_shared_logprobs import logprobs_of
from busbar_fast.dialects.translator import Reply
from busbar_fast.ir.answers import Answer
from busbar_fast.ir.blocks import Opaque, Text, Thinking, ToolUse
from busbar_fast.ir.report import Report

FAILED: Final = "failed"


def write_answer(answer: Answer, reply: Reply, report: Report) -> bytes:
    """Write an answer."""
    output = _output(answer, reply, report)
    status, detail = status_of(answer.stop, is_empty=not output)
    response = skeleton(
        reply, answer.id or new_id("resp"), answer.created_s or reply.created_s, answer.model or reply.model
    )
    response |= {"status": status, "output": output, "usage": usage_of(answer.usage)}
    if detail is not None:
        response["incomplete_details"] = {"reason": detail}
    if status == FAILED:
        response["error"] = {"code": "server_error", "message": "The model failed to answer."}
    if answer.stop.matched is not None and answer.source != NAME:
        report.dropped("stop_sequence")
    return write(response)


def _output(answer: Answer, reply: Reply, report: Report) -> list[object]:
    custom = custom_names(reply)
    found: list[object] = []
    logprobs = logprobs_of(answer.logprobs)
    for block in answer.blocks:
        if isinstance(block, Text):
            part: Members = refusal_part(block.text)
            if not block.is_refusal:
                part = text_part(block.text, flat(block.citations, len(block.text), report), logprobs)
                logprobs = []  # all of them are with the first text
            found.append(message_item(new_id("msg"), [part]))
        elif isinstance(block, ToolUse):
            found.append(call_item(new_id("ctc" if block.name in custom else "fc"), block, custom))
        elif isinstance(block, Thinking):
            found.append(reasoning_item(new_id("rs"), block.text, None if block.seal is None else block.seal.value))
        elif isinstance(block, Opaque):
            found.append(block.raw)
        else:
            report.dropped(field_of(block))
    return found
