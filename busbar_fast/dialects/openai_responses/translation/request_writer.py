"""A request for an upstream."""

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Raw

from busbar_fast.dialects.call_arguments import args_text, free_text
from busbar_fast.dialects.file_urls import data_url
from busbar_fast.dialects.members import read_object, without_nothing, write
from busbar_fast.dialects.openai_responses.translation.abilities import NAME
from busbar_fast.dialects.openai_responses.translation.hosted import hosted_tool
from busbar_fast.dialects.translator import Recipient
from busbar_fast.errors import Misshapen
from busbar_fast.ir.blocks import (
    NOTHING,
    AnyBlock,
    Ext,
    Held,
    Inline,
    Media,
    MediaKind,
    Opaque,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Url,
)
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import ChoiceMode, Message, OutputFormat, ReasoningMode, Request, Role, Tool, ToolChoice

_ROLES: Final = {Role.SYSTEM: "system", Role.USER: "user", Role.ASSISTANT: "assistant", Role.TOOL: "user"}
_CHOICES: Final = {ChoiceMode.AUTO: "auto", ChoiceMode.NONE: "none", ChoiceMode.REQUIRED: "required"}
_NO_SCHEMA: Final = Raw(b'{"type":"object","properties":{}}')
_PDF: Final = "application/pdf"
_PART: Final[tuple[str, ...]] = ("input_", "output_", "text", "refusal")
_LOGPROBS: Final = "message.output_text.logprobs"
_SEALED: Final = "reasoning.encrypted_content"


def write_request(request: Request, recipient: Recipient, report: Report) -> bytes:
    """Write a request. Raise Misshapen if no item is left."""
    items = ItemWriter(frozenset(tool.name for tool in request.tools if tool.is_custom)).items(request.messages)
    is_own = request.source == NAME
    if not items and not (is_own and request.held):
        raise Misshapen("input", "must hold at least one item that this model can read")
    ext = dict(request.ext or {})
    tools: list[object] = [_tool(tool) for tool in request.tools]
    tools += [hosted_tool(tool) for tool in request.hosted]
    sampling = request.sampling
    reasoning = _merged(_reasoning(request, recipient, report), ext, "reasoning")
    members: dict[str, object] = {
        "model": recipient.model,
        "instructions": "\n".join(block.text for block in request.system if isinstance(block, Text)) or None,
        "input": items or None,
        "tools": tools or None,
        "tool_choice": _choice(request.tool_choice) if tools else None,
        "parallel_tool_calls": request.parallel_tools if tools else None,
        "max_output_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_logprobs": sampling.top_logprobs,
        "text": _merged(_format(request.format), ext, "text"),
        "reasoning": reasoning,
        "include": _include(request, is_asked=reasoning is not None),
        "user": request.user or None,
        "stream": True if request.in_stream else None,
    }
    if is_own:
        members |= {name: raw for name, raw in (request.echo or {}).items() if name in ("user", "safety_identifier")}
        members["include"] = (request.echo or {}).get("include")
    return write(without_nothing(members | ext))


def _merged(members: dict[str, object], ext: Ext, name: str) -> dict[str, object] | None:
    """Return members together with those that nobody has read; None if there are none."""
    raw = ext.pop(name, NOTHING)
    return (members | (read_object(raw).rest() or {}) if raw else members) or None


def _include(request: Request, *, is_asked: bool) -> list[str] | None:
    """Return what an answer should hold besides; thoughts come back only if they are sealed."""
    sampling = request.sampling
    found = [_LOGPROBS] if sampling.has_logprobs or sampling.top_logprobs else []
    found += [_SEALED] if is_asked else []
    return found or None


def _tool(tool: Tool) -> dict[str, object]:
    ext = tool.ext or {}
    if tool.is_custom:
        return without_nothing({"type": "custom", "name": tool.name, "description": tool.description or None, **ext})
    members: dict[str, object] = {
        "type": "function",
        "name": tool.name,
        "description": tool.description or None,
        "parameters": tool.schema or _NO_SCHEMA,
        "strict": tool.strict or False,
        **ext,
    }
    return without_nothing(members)


def _choice(choice: ToolChoice | None) -> object:
    if choice is None:
        return None
    if choice.allowed:
        mode = "required" if choice.mode is ChoiceMode.REQUIRED else "auto"
        tools = [{"type": "function", "name": name} for name in choice.allowed]
        return {"type": "allowed_tools", "mode": mode, "tools": tools}
    if choice.mode is ChoiceMode.NAMED:
        return {"type": "function", "name": choice.name}
    return _CHOICES[choice.mode]


def _format(asked: OutputFormat | None) -> dict[str, object]:
    if asked is None:
        return {}
    if not asked.schema:
        return {"format": {"type": "json_object"}}
    members: dict[str, object] = {
        "type": "json_schema",
        "name": asked.name or "response",
        "description": asked.description or None,
        "schema": asked.schema,
        "strict": asked.strict,
    }
    return {"format": without_nothing(members)}


def _reasoning(request: Request, recipient: Recipient, report: Report) -> dict[str, object]:
    """Return how much the model should think, in a word, and how much of that should be shown."""
    reasoning = request.reasoning
    if reasoning is None:
        return {}
    if reasoning.mode is ReasoningMode.OFF:
        return {"effort": "none"}
    is_own = request.source == NAME
    effort = reasoning.effort
    if not effort and not is_own:
        report.mapped("reasoning")
        effort = "medium" if reasoning.budget is None else _word_for(reasoning.budget, recipient)
    summary = reasoning.summary or ("auto" if not is_own and reasoning.is_shown is not False else "")
    asked = {"effort": effort, "summary": summary}
    return {name: word for name, word in asked.items() if word}


def _word_for(budget: int, recipient: Recipient) -> str:
    """Return the largest word whose tokens a budget reaches, never less than low."""
    reached = [
        word for word, tokens in recipient.budgets.items() if tokens <= budget and word not in ("minimal", "max")
    ]
    return reached[-1] if reached else "low"


class ItemWriter:
    """Writes turns as items. `custom` are the tools that take free text."""

    def __init__(self, custom: frozenset[str]) -> None:
        self._custom = custom
        self._custom_calls: set[str] = set()

    def items(self, messages: Iterable[Message]) -> list[object]:
        """Return the items of a conversation."""
        return [item for message in messages for item in self._turn(message)]

    def _turn(self, message: Message) -> list[object]:
        """Return the items of one turn; parts that follow each other are one message."""
        found: list[object] = []
        parts: list[AnyBlock] = []
        for block in message.blocks:
            item = self._item(block)
            if item is None:
                parts.append(block)
                continue
            found += _message(parts, message)
            parts = []
            found.append(item)
        return found + _message(parts, message)

    def _item(self, block: AnyBlock) -> object:
        """Return a block that is an item of its own; None if it is a part of a message."""
        if isinstance(block, ToolUse):
            return self._call(block)
        if isinstance(block, ToolResult):
            kind = "custom_tool_call_output" if block.tool_id in self._custom_calls else "function_call_output"
            return {"type": kind, "call_id": block.tool_id, "output": _output(block), **(block.ext or {})}
        if isinstance(block, Thinking):
            summary = [{"type": "summary_text", "text": block.text}] if block.text else []
            sealed = {} if block.seal is None else {"encrypted_content": block.seal.value}
            return {"type": "reasoning", "summary": summary, **sealed, **(block.ext or {})}
        if isinstance(block, Opaque) and not (block.label or "").startswith(_PART):
            return block.raw
        return None

    def _call(self, block: ToolUse) -> dict[str, object]:
        head = {"call_id": block.id, "name": block.name}
        if block.name in self._custom and block.args_text is None:
            self._custom_calls.add(block.id)
            return {"type": "custom_tool_call", **head, "input": free_text(block.args), **(block.ext or {})}
        return {"type": "function_call", **head, "arguments": args_text(block), **(block.ext or {})}


def _message(blocks: Sequence[AnyBlock], message: Message) -> list[object]:
    """Return one message with these parts, none if there is nothing in it."""
    is_answer = message.role is Role.ASSISTANT
    parts = [part for part in (_part(block, is_answer=is_answer) for block in blocks) if part is not None]
    return [{"role": _ROLES[message.role], "content": parts}] if parts else []


def _output(block: ToolResult) -> object:
    """Return what became of a call: a text, or parts where there is more than that."""
    if all(isinstance(part, Text) for part in block.blocks):
        return "".join(part.text for part in block.blocks if isinstance(part, Text))
    parts = (_part(part, is_answer=False) for part in block.blocks)
    return [part for part in parts if part is not None]


def _part(block: AnyBlock, *, is_answer: bool) -> object:
    if isinstance(block, Opaque):
        return block.raw
    members: dict[str, object] | None = None
    if isinstance(block, Text) and block.text:
        if block.is_refusal:
            members = {"type": "refusal", "refusal": block.text}
        else:
            members = {"type": "output_text" if is_answer else "input_text", "text": block.text}
    elif isinstance(block, Media):
        if isinstance(block.source, Held):
            return block.source.raw
        members = _media(block)
    if members is None:
        return None
    if block.mark is not None:
        members["prompt_cache_breakpoint"] = {"mode": "explicit"}
    return members | (block.ext or {})


def _media(block: Media) -> dict[str, object]:
    source = block.source
    assert isinstance(source, Inline | Url)  # the others are not taken
    if block.kind is MediaKind.IMAGE:
        url = source.url if isinstance(source, Url) else data_url(block.mime or "image/png", source.base64)
        return {"type": "input_image", "image_url": url, "detail": block.detail or "auto"}
    if isinstance(source, Url):
        named = {"filename": block.name} if block.name else {}
        return {"type": "input_file", "file_url": source.url, **named}
    mime = block.mime or _PDF
    name = block.name or f"document.{mime.rpartition('/')[2]}"
    return {"type": "input_file", "filename": name, "file_data": data_url(mime, source.base64)}
