"""A prepared answer as clients of this dialect read it; always in camel case, which is all that its SDK reads."""

from typing import Final

from busbar_fast.dialects.gemini.translation.abilities import NAME
from busbar_fast.dialects.gemini.translation.carrying import unpacked
from busbar_fast.dialects.gemini.translation.citations import CitationSheet
from busbar_fast.dialects.gemini.translation.logprobs import logprobs_result
from busbar_fast.dialects.gemini.translation.part_writer import write_part
from busbar_fast.dialects.gemini.translation.stops import finish_reason
from busbar_fast.dialects.gemini.translation.usages import usage_metadata
from busbar_fast.dialects.members import write
from busbar_fast.dialects.minting import base62
from busbar_fast.dialects.translator import Reply
from busbar_fast.ir.answers import Answer, Reason, Stop, Usage
from busbar_fast.ir.blocks import Text
from busbar_fast.ir.report import Report

_ID_LENGTH: Final = 16
_FEEDBACK: Final = "promptFeedback"


def new_response_id() -> str:
    """Return an id as the vendor mints it."""
    return base62(_ID_LENGTH)


def is_blocked(stop: Stop, usage: Usage, *, has_content: bool) -> bool:
    """Say whether a prompt was refused before there was any output: the vendor then shows no candidate."""
    return stop.reason is Reason.SAFETY and not stop.owner and not has_content and not usage.output


def feedback_of(stop: Stop) -> dict[str, object]:
    """Return what is said of a prompt that was refused."""
    return _without_empty({"blockReason": "SAFETY", "blockReasonMessage": stop.detail})


def ending_of(stop: Stop) -> dict[str, object]:
    """Return what a candidate says of its end."""
    return _without_empty({"finishReason": finish_reason(stop), "finishMessage": stop.detail})


def _without_empty(members: dict[str, str]) -> dict[str, object]:
    return {name: text for name, text in members.items() if text}


def write_answer(answer: Answer, reply: Reply, report: Report) -> bytes:
    """Write a prepared answer."""
    carried = unpacked(answer.ext)
    document: dict[str, object] = {}
    is_without = is_blocked(answer.stop, answer.usage, has_content=bool(answer.blocks))
    if _FEEDBACK in carried:
        document[_FEEDBACK] = carried[_FEEDBACK]
    elif is_without:
        document[_FEEDBACK] = feedback_of(answer.stop)
    else:
        document["candidates"] = [_candidate(answer, report)]
    document["usageMetadata"] = usage_metadata(answer.usage) | unpacked(answer.ext, "usageMetadata")
    document["modelVersion"] = answer.model or reply.model
    document["responseId"] = answer.id or new_response_id()
    return write(document | carried)


def _candidate(answer: Answer, report: Report) -> dict[str, object]:
    sheet = CitationSheet(report)
    parts: list[object] = []
    bytes_before = 0
    for block in answer.blocks:
        if isinstance(block, Text):
            sheet.add(block.citations, block.text, bytes_before, len(parts))
            bytes_before += len(block.text.encode())
        part = write_part(block, report)
        if part is not None:
            parts.append(part)
    candidate: dict[str, object] = {
        "content": {"parts": parts, "role": "model"} | unpacked(answer.ext, "content"),
    } | ending_of(answer.stop)
    if answer.logprobs:
        candidate["logprobsResult"] = logprobs_result(answer.logprobs)
    # The vendor's own references are carried as they were.
    references = {} if answer.source == NAME else sheet.members()
    return candidate | {"index": 0} | references | unpacked(answer.ext, "candidate")
