"""A whole answer for a client."""

from typing import Final

from busbar_fast.dialects.bedrock.translation.abilities import NAME
from busbar_fast.dialects.bedrock.translation.block_writer import BlockWriter
from busbar_fast.dialects.bedrock.translation.stops import word_of
from busbar_fast.dialects.bedrock.translation.usages import usage_of
from busbar_fast.dialects.guard import field_of
from busbar_fast.dialects.members import write
from busbar_fast.dialects.translator import Reply
from busbar_fast.ir.answers import Answer, Stop
from busbar_fast.ir.blocks import Json, SearchResult, ToolResult
from busbar_fast.ir.report import Report

_NOT_ANSWERED: Final = (Json, SearchResult, ToolResult)


def write_answer(answer: Answer, reply: Reply, report: Report) -> bytes:
    """Write an answer."""
    for block in answer.blocks:
        if isinstance(block, _NOT_ANSWERED):
            report.dropped(field_of(block))
    if answer.logprobs:
        report.dropped("logprobs")
    blocks = [block for block in answer.blocks if not isinstance(block, _NOT_ANSWERED)]
    members: dict[str, object] = {
        "output": {"message": {"role": "assistant", "content": BlockWriter(report).blocks(blocks) or [{"text": ""}]}},
        "stopReason": word_of(answer.stop),
        "usage": usage_of(answer.usage),
        "metrics": {"latencyMs": reply.elapsed_ms()},
    }
    members |= matched_of(answer.stop)
    return write(members | (answer.ext or {}) if answer.source == NAME else members)


def matched_of(stop: Stop) -> dict[str, object]:
    """Return the stop string that was hit, where clients look for it."""
    return {} if stop.matched is None else {"additionalModelResponseFields": {"stop_sequence": stop.matched}}
