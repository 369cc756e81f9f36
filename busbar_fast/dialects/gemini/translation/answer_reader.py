"""What a model of this vendor answers, in neutral records."""

from collections.abc import Mapping
from typing import Final

from msgspec import Raw

from busbar_fast.dialects.gemini.translation.abilities import NAME
from busbar_fast.dialects.gemini.translation.carrying import joined, packed
from busbar_fast.dialects.gemini.translation.citations import read_citations
from busbar_fast.dialects.gemini.translation.fields import Fields, fields_in, items_of, read_fields
from busbar_fast.dialects.gemini.translation.logprobs import read_logprobs
from busbar_fast.dialects.gemini.translation.part_reader import read_part, seal_of_vendor
from busbar_fast.dialects.gemini.translation.stops import read_block, read_stop
from busbar_fast.dialects.gemini.translation.usages import take_counts, usage_of
from busbar_fast.dialects.members import is_object
from busbar_fast.errors import FaultReported, Misshapen
from busbar_fast.ir.answers import Answer, Reason, Stop
from busbar_fast.ir.blocks import AnyBlock, Opaque, Text, ToolUse
from busbar_fast.ir.report import Report

# Kept whole beside what is read of them: there is more in them than references.
_REFERENCES: Final[tuple[str, ...]] = ("citationMetadata", "groundingMetadata")


def read_answer(body: bytes, report: Report) -> Answer:
    """Read an answer. Raise NotJson, TooDeep, FaultReported, or Misshapen if it says nothing at all."""
    document = read_fields(body)
    if is_object(document.raw("error")):
        raise FaultReported(body)
    metadata = fields_in(document.raw("usageMetadata"))
    answer = Answer(
        NAME,
        id=document.maybe_text("responseId") or "",
        model=document.maybe_text("modelVersion") or "",
        usage=usage_of(take_counts(metadata)),
    )
    candidates = items_of(document.raw("candidates")) or []
    if len(candidates) > 1:
        report.dropped("candidates")
    left = packed(metadata.rest(), "usageMetadata")
    if candidates:
        left |= _read_candidate(answer, fields_in(candidates[0]))
    if not answer.blocks and answer.stop.reason is Reason.NONE:
        feedback = document.raw("promptFeedback")
        answer.stop = read_feedback(feedback) or _nothing()
        left["promptFeedback"] = feedback
    answer.ext = joined(left, document.rest())
    return answer


def read_feedback(raw: Raw) -> Stop | None:
    """Return why a prompt was blocked; None if it was not."""
    feedback = fields_in(raw)
    word = feedback.maybe_text("blockReason")
    return read_block(word, feedback.maybe_text("blockReasonMessage") or "") if word else None


def read_block_of_vendor(raw: Raw) -> AnyBlock:
    """Return a part of an answer as a block, whatever it looks like."""
    try:
        return read_part(raw, "", seal_of_vendor)
    except Misshapen:
        return Opaque(NAME, raw)


def stop_of(word: str, detail: str, *, has_call: bool) -> Stop:
    """Return why a candidate ends; this vendor has no word of its own for calls."""
    stop = read_stop(word, detail)
    if has_call and stop.reason is Reason.END_TURN:
        return Stop(Reason.TOOL_USE, stop.native, stop.owner, detail=stop.detail)
    return stop


def _nothing() -> Stop:
    raise Misshapen("candidates", "must not be empty")


def _read_candidate(answer: Answer, candidate: Fields) -> Mapping[str, Raw]:
    """Read a candidate into an answer; return what is left of it."""
    content = fields_in(candidate.raw("content"))
    content.raw("role")
    candidate.raw("index")
    answer.blocks = [read_block_of_vendor(part) for part in items_of(content.raw("parts")) or ()]
    answer.stop = stop_of(
        candidate.maybe_text("finishReason") or "",
        candidate.maybe_text("finishMessage") or "",
        has_call=any(isinstance(block, ToolUse) for block in answer.blocks),
    )
    answer.logprobs = read_logprobs(candidate.raw("logprobsResult"))
    references = {name: raw for name in _REFERENCES if (raw := candidate.raw(name))}
    _cite(answer.blocks, references)
    left = packed(content.rest(), "content") | packed(candidate.rest(), "candidate")
    return left | packed(references, "candidate")


def _cite(blocks: list[AnyBlock], references: Mapping[str, Raw]) -> None:
    texts = [block.text if isinstance(block, Text) else "" for block in blocks]
    sources, grounding = (references.get(name, Raw()) for name in _REFERENCES)
    for at, citation in read_citations(sources, grounding, texts, by_part=True):
        block = blocks[at]
        if isinstance(block, Text):
            block.citations = [*block.citations, citation]
