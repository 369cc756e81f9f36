"""A whole answer of an upstream."""

from typing import Final

from msgspec import Raw

from busbar_fast.dialects.guard import field_of
from busbar_fast.dialects.members import Members, is_object, object_of, read_object
from busbar_fast.dialects.openai_chat.translation.abilities import NAME
from busbar_fast.dialects.openai_chat.translation.calls import read_call
from busbar_fast.dialects.openai_chat.translation.message_reader import read_content, thought_in
from busbar_fast.dialects.openai_chat.translation.stops import stop_of
from busbar_fast.dialects.openai_chat.translation.usages import read_usage
from busbar_fast.dialects.openai_chat.watch import NO_ERRORS
from busbar_fast.dialects.openai_shared_annotations import read_annotations
from busbar_fast.dialects.openai_shared_logprobs import read_logprobs
from busbar_fast.errors import FaultReported, Misshapen
from busbar_fast.ir.answers import Answer, Usage
from busbar_fast.ir.blocks import NOTHING, AnyBlock, Opaque, Text, Thinking
from busbar_fast.ir.report import Report

_NULL: Final = Raw(b"null")


def read_answer(body: bytes, report: Report) -> Answer:
    """Read an answer. Raise FaultReported if it is an error, Misshapen if it is something else."""
    members = read_object(body)
    if bytes(members.raw("error") or _NULL) not in NO_ERRORS:
        raise FaultReported(body)
    choices = members.objects("choices")
    if not choices:
        raise Misshapen("choices", "is missing")
    if len(choices) > 1:
        report.dropped("candidates")
    choice = _first(choices)
    message = choice.maybe_object("message")
    if message is None:
        raise Misshapen("choices", "holds no message")
    logprobs, usage = choice.maybe_object("logprobs"), members.maybe_object("usage")
    blocks = _blocks(message, report)
    has_refusal = any(isinstance(block, Text) and block.is_refusal for block in blocks)
    return Answer(
        NAME,
        members.maybe_text("id") or "",
        members.maybe_text("model") or "",
        members.count("created") or 0,
        blocks,
        stop_of(choice.maybe_text("finish_reason") or "", has_refusal=has_refusal),
        Usage() if usage is None else read_usage(usage),
        [] if logprobs is None else read_logprobs(logprobs.raw("content")),
        members.rest(),
    )


def _first(choices: list[Members]) -> Members:
    """Return the choice that counts as the answer."""
    return next((choice for choice in choices if choice.integer("index") == 0), choices[0])


def _blocks(message: Members, report: Report) -> list[AnyBlock]:
    thought = message.maybe_text("reasoning_content") or message.maybe_text("reasoning")
    blocks: list[AnyBlock] = [Thinking(thought)] if thought else []
    spoken: list[Text] = []
    for block in read_content(message):
        thought = thought_in(block.raw) if isinstance(block, Opaque) else ""
        if isinstance(block, Text):
            spoken.append(block)
        elif thought:
            blocks.append(Thinking(thought))
        else:
            report.dropped(field_of(block))
    annotations = message.maybe_items("annotations")
    if annotations and spoken:
        text = "".join(block.text for block in spoken)
        spoken = [Text(text, read_annotations((raw for raw in annotations if is_object(raw)), NAME))]
    blocks += spoken
    refusal = message.maybe_text("refusal")
    if refusal:
        blocks.append(Text(refusal, is_refusal=True))
    blocks += [read_call(object_of(raw, "tool_calls")) for raw in message.maybe_items("tool_calls") or []]
    legacy = message.raw("function_call")
    if is_object(legacy or _NULL):
        blocks.append(read_call(Members({"function": legacy, "id": NOTHING})))
    return blocks
