"""The response object and its items as clients get them, in one piece or in the events of a stream."""

from collections.abc import Iterable
from typing import Final

from msgspec import Raw

from busbar_fast.dialects.call_arguments import args_text, free_text
from busbar_fast.dialects.minting import hexadecimal
from busbar_fast.dialects.openai_shared_annotations import annotations_of
from busbar_fast.dialects.translator import Reply
from busbar_fast.ir.blocks import Citation, ToolUse
from busbar_fast.ir.report import Report

Members = dict[str, object]

# What the client's library insists on, should the request not have said it.
_DEFAULTS: Final = {"parallel_tool_calls": Raw(b"true"), "tool_choice": Raw(b'"auto"'), "tools": Raw(b"[]")}
_ECHOED: Final[tuple[str, ...]] = (
    "instructions",
    "metadata",
    "temperature",
    "top_p",
    "max_output_tokens",
    "previous_response_id",
    "reasoning",
    "text",
    "truncation",
    "user",
)
_NULL: Final = Raw(b"null")


def new_id(prefix: str) -> str:
    """Return an id as the vendor mints them."""
    return f"{prefix}_{hexadecimal(48)}"


def skeleton(reply: Reply, response_id: str, created_s: int, model: str) -> Members:
    """Return a response that has just begun."""
    echo = reply.request.echo or {}
    return {
        "id": response_id,
        "object": "response",
        "created_at": created_s,
        "status": "in_progress",
        "model": model,
        "output": [],
        "error": None,
        "incomplete_details": None,
        "usage": None,
        **{name: echo.get(name, _NULL) for name in _ECHOED},
        **{name: echo.get(name, default) for name, default in _DEFAULTS.items()},
    }


def text_part(text: str, annotations: list[Members], logprobs: list[Members]) -> Members:
    """Return a part of a message that is text."""
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": logprobs}


def refusal_part(text: str) -> Members:
    """Return a part of a message that refuses."""
    return {"type": "refusal", "refusal": text}


def message_item(item_id: str, parts: list[Members], status: str = "completed") -> Members:
    """Return a message."""
    return {"type": "message", "id": item_id, "status": status, "role": "assistant", "content": parts}


def reasoning_item(item_id: str, text: str, sealed: str | None) -> Members:
    """Return a thought."""
    content = [{"type": "reasoning_text", "text": text}] if text else []
    item: Members = {"type": "reasoning", "id": item_id, "summary": [], "content": content}
    return item if sealed is None else item | {"encrypted_content": sealed}


def call_item(item_id: str, block: ToolUse, custom: frozenset[str], status: str = "completed") -> Members:
    """Return a call; tools in `custom` take free text."""
    head: Members = {"id": item_id, "call_id": block.id, "name": block.name, "status": status}
    if block.name in custom and block.args_text is None:
        return {"type": "custom_tool_call", **head, "input": free_text(block.args)}
    return {"type": "function_call", **head, "arguments": args_text(block)}


def flat(citations: Iterable[Citation], length: int, report: Report) -> list[Members]:
    """Return the annotations of a part of this length."""
    return [{"type": "url_citation", **one} for one in annotations_of(citations, 0, length, report)]


def custom_names(reply: Reply) -> frozenset[str]:
    """Return the tools of the client that take free text."""
    return frozenset(tool.name for tool in reply.request.tools if tool.is_custom)
