"""A request for an upstream."""

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Raw

from busbar_fast.dialects.call_arguments import args_text
from busbar_fast.dialects.cohere.translation.abilities import NAME
from busbar_fast.dialects.file_urls import data_url
from busbar_fast.dialects.members import is_object, without_nothing, write
from busbar_fast.dialects.translator import Recipient
from busbar_fast.errors import Misshapen
from busbar_fast.ir.blocks import AnyBlock, Inline, Json, Media, Opaque, Text, Thinking, ToolResult, ToolUse, Url
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import ChoiceMode, Document, Message, ReasoningMode, Request, Role, Sampling, Tool

_ROLES: Final = {Role.SYSTEM: "system", Role.USER: "user", Role.ASSISTANT: "assistant", Role.TOOL: "user"}
_CHOICES: Final = {ChoiceMode.REQUIRED: "REQUIRED", ChoiceMode.NONE: "NONE"}
_NO_SCHEMA: Final = Raw(b'{"type":"object","properties":{}}')


def write_request(request: Request, recipient: Recipient, report: Report) -> bytes:
    """Write a request. Raise Misshapen if no message is left."""
    messages = [one for message in request.messages for one in _written(message)]
    if not messages:
        raise Misshapen("messages", "must hold at least one message that this model can read")
    system = "\n".join(block.text for block in request.system if isinstance(block, Text))
    if system:
        messages.insert(0, {"role": "system", "content": system})
    tools: list[object] = [_tool(tool) for tool in request.tools]
    tools += [tool.raw for tool in request.hosted]
    choice = request.tool_choice
    is_strict = True if any(tool.strict for tool in request.tools) else request.strict_tools
    members: dict[str, object] = {
        "model": recipient.model,
        "messages": messages,
        "tools": tools or None,
        "strict_tools": is_strict if tools else None,
        "tool_choice": _CHOICES.get(choice.mode) if choice is not None and tools else None,
        "documents": _documents(request.documents),
        **_sampling(request.sampling),
        "response_format": _format(request),
        "thinking": _thinking(request, recipient, report),
        "stream": True if request.in_stream else None,
        **(request.echo or {} if request.source == NAME else {}),
    }
    return write(without_nothing(members | (request.ext or {})))


def _sampling(sampling: Sampling) -> dict[str, object]:
    return {
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "p": sampling.top_p,
        "k": sampling.top_k,
        "seed": sampling.seed,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        "stop_sequences": sampling.stop or None,
        "logprobs": sampling.has_logprobs,
    }


def _tool(tool: Tool) -> dict[str, object]:
    function = {
        "name": tool.name,
        "description": tool.description or None,
        "parameters": tool.schema or _NO_SCHEMA,
        **(tool.ext or {}),
    }
    return {"type": "function", "function": without_nothing(function)}


def _documents(documents: Iterable[Document]) -> list[object] | None:
    found: list[object] = []
    for document in documents:
        content: object = document.content
        if not document.content:
            text = {"title": document.title, "text": document.text} if document.title else {"text": document.text}
            content = text
        found.append({"id": document.id, "data": content} if document.id else {"data": content})
    return found or None


def _format(request: Request) -> object:
    asked = request.format
    if asked is None:
        return None
    return {"type": "json_object"} | ({"json_schema": asked.schema} if asked.schema else {})


def _thinking(request: Request, recipient: Recipient, report: Report) -> object:
    reasoning = request.reasoning
    if reasoning is None:
        return None
    if reasoning.mode is ReasoningMode.OFF:
        return {"type": "disabled"}
    budget = reasoning.budget
    if budget is None and reasoning.effort:
        report.mapped("reasoning")
        budget = recipient.budgets.get(reasoning.effort, recipient.budgets["medium"])
    return {"type": "enabled"} | ({} if budget is None else {"token_budget": budget})


# Messages


def _written(message: Message) -> list[dict[str, object]]:
    """Return one turn as messages: results each on its own, then what else there is."""
    results = [_result(block) for block in message.blocks if isinstance(block, ToolResult)]
    rest = [block for block in message.blocks if not isinstance(block, ToolResult)]
    if message.role is Role.ASSISTANT:
        return results + _assistant(rest, message)
    content = _content(rest)
    if not content:
        return results
    return [*results, {"role": _ROLES[message.role], "content": content, **(message.ext or {})}]


def _result(block: ToolResult) -> dict[str, object]:
    """Return a result: all it says as one text, its objects as documents behind it."""
    said: list[str] = []
    objects: list[Json] = []
    for part in block.blocks:
        if isinstance(part, Json) and is_object(part.value):
            objects.append(part)
        elif isinstance(part, Json):
            said.append(bytes(part.value).decode())
        elif isinstance(part, Text):
            said.append(part.text)
    text = "".join(said)
    content: list[object] = [{"type": "text", "text": text}] if text else []
    content += [_document(part) for part in objects]
    return {"role": "tool", "tool_call_id": block.tool_id, "content": content if objects else text}


def _document(block: Json) -> dict[str, object]:
    document: dict[str, object] = {"data": block.value}
    return {"type": "document", "document": document | ({"id": block.id} if block.id else {})}


def _assistant(blocks: Sequence[AnyBlock], message: Message) -> list[dict[str, object]]:
    calls = [_call(block) for block in blocks if isinstance(block, ToolUse)]
    spoken = [block for block in blocks if isinstance(block, Text | Thinking | Opaque)]
    members: dict[str, object] = {"role": "assistant"}
    if calls:
        planned = [block for block in spoken if isinstance(block, Text)]
        plan = "".join(block.text for block in planned)
        spoken = [block for block in spoken if not isinstance(block, Text)]
        members |= {"tool_plan": plan} if plan else {}
    content = _content(spoken)
    members |= {"content": content} if content else {}
    members |= {"tool_calls": calls} if calls else {}
    return [members | (message.ext or {})] if len(members) > 1 else []


def _call(block: ToolUse) -> dict[str, object]:
    return {"id": block.id, "type": "function", "function": {"name": block.name, "arguments": args_text(block)}}


def _content(blocks: Sequence[AnyBlock]) -> object:
    """Return blocks, or just the text where there is nothing else; nothing at all is empty."""
    parts = [part for part in map(_part, blocks) if part is not None]
    if len(parts) == 1 and isinstance(parts[0], dict) and parts[0].keys() == {"type", "text"}:
        return parts[0]["text"]
    return parts


def _part(block: AnyBlock) -> object:
    if isinstance(block, Opaque):
        return block.raw
    members: dict[str, object] | None = None
    if isinstance(block, Text):
        members = {"type": "text", "text": block.text} if block.text else None
    elif isinstance(block, Thinking):
        members = {"type": "thinking", "thinking": block.text}
    elif isinstance(block, Media):
        source = block.source
        assert isinstance(source, Inline | Url)  # the others are not taken
        url = source.url if isinstance(source, Url) else data_url(block.mime or "image/png", source.base64)
        image = {"url": url} | ({"detail": block.detail} if block.detail else {})
        members = {"type": "image_url", "image_url": image}
    return None if members is None else members | (block.ext or {})
