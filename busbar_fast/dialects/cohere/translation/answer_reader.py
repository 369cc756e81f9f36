"""A whole answer of an upstream."""

from collections.abc import Iterable

from msgspec import Raw

from busbar_fast.dialects.cohere.translation.abilities import NAME
from busbar_fast.dialects.cohere.translation.citations import read_citation
from busbar_fast.dialects.cohere.translation.content_reader import read_call, read_content
from busbar_fast.dialects.cohere.translation.stops import FAILURES, stop_of
from busbar_fast.dialects.cohere.translation.usages import read_usage
from busbar_fast.dialects.members import Members, objects_of, read_object
from busbar_fast.errors import FaultReported, Misshapen
from busbar_fast.ir.answers import Answer, TokenLogprob, Usage
from busbar_fast.ir.blocks import AnyBlock, Text
from busbar_fast.ir.report import Report


def read_answer(body: bytes, report: Report) -> Answer:
    """Read an answer. Raise FaultReported if it is an error, Misshapen if it is something else."""
    members = read_object(body)
    word = members.maybe_text("finish_reason") or ""
    message = members.maybe_object("message")
    if message is None:
        if word in FAILURES:
            raise FaultReported(body)
        raise Misshapen("message", "is missing")
    blocks = _blocks(message)
    if word in FAILURES and not blocks:
        raise FaultReported(body)
    return Answer(
        NAME,
        members.maybe_text("id") or "",
        members.maybe_text("model") or "",
        blocks=blocks,
        stop=stop_of(word),
        usage=read_usage(members.maybe_object("usage")) or Usage(),
        logprobs=read_logprobs(members.raw("logprobs"), report),
        ext=members.rest(),
    )


def read_logprobs(raw: Raw, report: Report) -> list[TokenLogprob]:
    """Read how likely tokens were; pieces of several tokens say too little."""
    if not raw:
        return []
    found = []
    for item in objects_of(raw, "logprobs"):
        likely = item.maybe_items("logprobs") or []
        if len(likely) != 1:
            report.dropped("logprobs")
            return []
        found.append(TokenLogprob(item.maybe_text("text") or "", likely[0]))
    return found


def _blocks(message: Members) -> list[AnyBlock]:
    plan = message.maybe_text("tool_plan")
    blocks: list[AnyBlock] = [Text(plan, is_plan=True)] if plan else []
    content = read_content(message)
    _cite(content, message.maybe_items("citations") or [])
    blocks += content
    blocks += [read_call(call) for call in message.objects("tool_calls")]
    return blocks


def _cite(content: list[AnyBlock], citations: Iterable[Raw]) -> None:
    """Put references where they belong; those that do not fit the text are about their source."""
    for raw in citations:
        at, citation = read_citation(raw)
        block = content[at] if at is not None and 0 <= at < len(content) else _last_text(content)
        if isinstance(block, Text):
            span = citation.answer
            if span is not None and span.text and block.text[span.start : span.end] != span.text:
                citation.source, citation.answer = span, None
            block.citations = [*block.citations, citation]


def _last_text(content: list[AnyBlock]) -> AnyBlock | None:
    return next((block for block in reversed(content) if isinstance(block, Text)), None)
