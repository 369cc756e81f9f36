"""A whole answer for a client."""

from typing import Final

from busbar_fast.dialects.anthropic.translation.block_writer import BlockWriter
from busbar_fast.dialects.anthropic.translation.stops import word_of
from busbar_fast.dialects.anthropic.translation.usages import usage_of
from busbar_fast.dialects.guard import field_of
from busbar_fast.dialects.members import write
from busbar_fast.dialects.minting import base58
from busbar_fast.ir.answers import Answer
from busbar_fast.ir.blocks import Media, SearchResult, ToolResult
from busbar_fast.ir.report import Report

_NOT_ANSWERED: Final = (Media, SearchResult, ToolResult)


def new_id() -> str:
    """Return an id as the vendor mints them."""
    return f"msg_01{base58(22)}"


def write_answer(answer: Answer, report: Report) -> bytes:
    """Write an answer."""
    for block in answer.blocks:
        if isinstance(block, _NOT_ANSWERED):
            report.dropped(field_of(block))
    if answer.logprobs:
        report.dropped("logprobs")
    blocks = [block for block in answer.blocks if not isinstance(block, _NOT_ANSWERED)]
    return write(
        {
            "id": answer.id or new_id(),
            "type": "message",
            "role": "assistant",
            "model": answer.model,
            "content": BlockWriter(report, is_client=True).blocks(blocks),
            "stop_reason": word_of(answer.stop),
            "stop_sequence": answer.stop.matched,
            "usage": usage_of(answer.usage),
            **(answer.ext or {}),
        }
    )
