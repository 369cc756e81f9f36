"""A whole answer for a client."""

from collections.abc import Iterable

from busbar_fast.dialects.guard import field_of
from busbar_fast.dialects.members import write
from busbar_fast.dialects.minting import base62
from busbar_fast.dialects.openai_chat.translation.abilities import NAME
from busbar_fast.dialects.openai_chat.translation.calls import calls_of
from busbar_fast.dialects.openai_chat.translation.stops import word_of
from busbar_fast.dialects.openai_chat.translation.usages import usage_of
from busbar_fast.dialects.openai_shared_annotations import annotations_of
from busbar_fast.dialects.openai_shared_logprobs import logprobs_of
from busbar_fast.dialects.translator import Reply
from busbar_fast.ir.answers import Answer
from busbar_fast.ir.blocks import Text, Thinking, ToolUse
from busbar_fast.ir.report import Report


def new_id() -> str:
    """Return an id as the vendor mints them."""
    return f"chatcmpl-{base62(24)}"


def custom_names(reply: Reply) -> frozenset[str]:
    """Return the tools of the client that take free text."""
    return frozenset(tool.name for tool in reply.request.tools if tool.is_custom)


def nested(annotations: Iterable[dict[str, object]]) -> list[object]:
    """Return annotations as messages of this dialect hold them."""
    return [{"type": "url_citation", "url_citation": one} for one in annotations]


def write_answer(answer: Answer, reply: Reply, report: Report) -> bytes:
    """Write an answer."""
    choice: dict[str, object] = {"index": 0, "message": _message(answer, reply, report)}
    if answer.logprobs:
        choice["logprobs"] = {"content": logprobs_of(answer.logprobs), "refusal": None}
    has_text = [block for block in answer.blocks if isinstance(block, Text) and block.text]
    choice["finish_reason"] = word_of(answer.stop, has_text=bool(has_text))
    if answer.stop.matched is not None and answer.source != NAME:
        report.dropped("stop_sequence")
    members: dict[str, object] = {
        "id": answer.id or new_id(),
        "object": "chat.completion",
        "created": answer.created_s or reply.created_s,
        "model": answer.model or reply.model,
        "choices": [choice],
        "usage": usage_of(answer.usage),
    }
    for name, raw in answer.ext.items() if answer.ext else ():
        members.setdefault(name, raw)
    return write(members)


def _message(answer: Answer, reply: Reply, report: Report) -> dict[str, object]:
    texts: list[Text] = []
    thoughts: list[str] = []
    refusals: list[str] = []
    has_calls = False
    for block in answer.blocks:
        if isinstance(block, Text):
            if block.is_refusal:
                refusals.append(block.text)
            else:
                texts.append(block)
        elif isinstance(block, Thinking):
            thoughts.append(block.text)
        elif isinstance(block, ToolUse):
            has_calls = True
        else:
            report.dropped(field_of(block))
    annotations: list[object] = []
    offset = 0
    for text in texts:
        if text.citations:
            annotations += nested(annotations_of(text.citations, offset, len(text.text), report))
        offset += len(text.text)
    message: dict[str, object] = {
        "role": "assistant",
        "content": "".join([text.text for text in texts]) if texts else None,
        "refusal": "".join(refusals) if refusals else None,
    }
    if thoughts:
        message["reasoning_content"] = "".join(thoughts)
    if has_calls:
        message["tool_calls"] = calls_of(answer.blocks, custom_names(reply))
    if annotations:
        message["annotations"] = annotations
    return message
