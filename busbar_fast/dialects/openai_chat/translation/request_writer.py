"""A request for an upstream: only what the request needs, because hosts that are like the vendor refuse the rest."""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Raw

from busbar_fast.dialects.file_urls import data_url
from busbar_fast.dialects.members import read_object, without_nothing, write
from busbar_fast.dialects.openai_chat.translation.abilities import NAME
from busbar_fast.dialects.openai_chat.translation.calls import calls_of, styled
from busbar_fast.dialects.translator import Recipient
from busbar_fast.errors import Misshapen
from busbar_fast.ir.blocks import NOTHING, AnyBlock, Held, Inline, Media, MediaKind, Opaque, Text, ToolResult, Url
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import (
    ChoiceMode,
    Message,
    OutputFormat,
    ReasoningMode,
    Request,
    Role,
    Sampling,
    Tool,
    ToolChoice,
)

_ROLES: Final = {Role.SYSTEM: "system", Role.USER: "user", Role.ASSISTANT: "assistant", Role.TOOL: "user"}
_CHOICES: Final = {ChoiceMode.AUTO: "auto", ChoiceMode.NONE: "none", ChoiceMode.REQUIRED: "required"}
_NO_SCHEMA: Final = Raw(b'{"type":"object","properties":{}}')
_NUMBERS: Final = ("temperature", "top_p", "seed", "frequency_penalty", "presence_penalty", "n")
_NEW_LIMIT, _OLD_LIMIT = "max_completion_tokens", "max_tokens"
_NEW_HOSTS: Final = ("api.openai.com", ".openai.azure.com")
_FORMATS: Final = {"audio/mpeg": "mp3"}
_PDF: Final = "application/pdf"


def write_request(request: Request, recipient: Recipient, report: Report) -> bytes:
    """Write a request. Raise Misshapen if no message is left."""
    custom = frozenset(tool.name for tool in request.tools if tool.is_custom)
    writer = MessageWriter(custom, recipient.options.get("tool_id_style"), report)
    turns = [Message(Role.SYSTEM, [block]) for block in request.system] + request.messages
    messages = [one for message in turns for one in writer.written(message)]
    if not any(one["role"] != "system" for one in messages):
        raise Misshapen("messages", "must hold at least one message that this model can read")
    is_own = request.source == NAME
    echo = request.echo or {} if is_own else {}
    ext = dict(request.ext or {})
    tools: list[object] = [_tool(tool) for tool in request.tools]
    tools += [tool.raw for tool in request.hosted]
    members: dict[str, object] = {
        "model": recipient.model,
        "messages": messages,
        **_limits(request.sampling, recipient, echo),
        "tools": tools or None,
        "tool_choice": _choice(request.tool_choice) if tools else None,
        "parallel_tool_calls": request.parallel_tools if tools else None,
        "response_format": _format(request.format),
        "reasoning_effort": _effort(request, recipient, report),
        "user": request.user or None,
        **_streaming(request, recipient, ext, is_own=is_own),
    }
    return write(without_nothing(members | ext | _people(echo)))


def _people(echo: Mapping[str, Raw]) -> dict[str, Raw]:
    """Return who asks as it was said, where it was said twice."""
    return {name: raw for name, raw in echo.items() if name != _NEW_LIMIT}


def _streaming(request: Request, recipient: Recipient, ext: dict[str, Raw], *, is_own: bool) -> dict[str, object]:
    """Return that a stream is wanted, and its usage, which other vendors' clients are told anyway."""
    raw = ext.pop("stream_options", NOTHING)
    if not request.in_stream:
        return {}
    options: dict[str, object] = dict(read_object(raw).rest() or {}) if raw else {}
    if is_own and request.include_usage is not None:
        options["include_usage"] = request.include_usage
    elif not is_own and recipient.options.get("stream_usage", True):
        options["include_usage"] = True
    return {"stream": True, "stream_options": options or None}


def _limits(sampling: Sampling, recipient: Recipient, echo: Mapping[str, Raw]) -> dict[str, object]:
    name = recipient.options.get("token_limit_field") or (_NEW_LIMIT if _is_new(recipient.host) else _OLD_LIMIT)
    if _NEW_LIMIT in echo:
        name = _NEW_LIMIT
    found: dict[str, object] = {str(name): sampling.max_tokens or None}
    found |= {number: getattr(sampling, number) for number in _NUMBERS}
    return found | {
        "stop": sampling.stop or None,
        "logprobs": True if sampling.top_logprobs else sampling.has_logprobs,
        "top_logprobs": sampling.top_logprobs,
    }


def _is_new(host: str) -> bool:
    return host == _NEW_HOSTS[0] or host.endswith(_NEW_HOSTS[1])


def _tool(tool: Tool) -> dict[str, object]:
    ext = tool.ext or {}
    if tool.is_custom:
        named = {"name": tool.name, "description": tool.description or None, **ext}
        return {"type": "custom", "custom": without_nothing(named)}
    function = {
        "name": tool.name,
        "description": tool.description or None,
        "parameters": tool.schema or _NO_SCHEMA,
        "strict": tool.strict,
        **ext,
    }
    return {"type": "function", "function": without_nothing(function)}


def _choice(choice: ToolChoice | None) -> object:
    if choice is None:
        return None
    if choice.allowed:
        tools = [{"type": "function", "function": {"name": name}} for name in choice.allowed]
        mode = "required" if choice.mode is ChoiceMode.REQUIRED else "auto"
        return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}
    if choice.mode is ChoiceMode.NAMED:
        return {"type": "function", "function": {"name": choice.name}}
    return _CHOICES[choice.mode]


def _format(asked: OutputFormat | None) -> object:
    if asked is None:
        return None
    if not asked.schema:
        return {"type": "json_object"}
    schema = {
        "name": asked.name or "response",
        "description": asked.description or None,
        "schema": asked.schema,
        "strict": asked.strict,
    }
    return {"type": "json_schema", "json_schema": without_nothing(schema)}


def _effort(request: Request, recipient: Recipient, report: Report) -> str | None:
    """Return the word for how much the model should think."""
    reasoning = request.reasoning
    if reasoning is None:
        return None
    if reasoning.mode is ReasoningMode.OFF:
        return "none"
    effort = reasoning.effort
    if not effort:
        report.mapped("reasoning")
        effort = "medium" if reasoning.budget is None else word_for(reasoning.budget, recipient)
    is_early = recipient.model[:1] == "o" and recipient.model[1:2].isdigit()
    return "low" if effort == "minimal" and is_early and request.source != NAME else effort


def word_for(budget: int, recipient: Recipient) -> str:
    """Return the largest word whose tokens a budget reaches, never less than low."""
    reached = [
        word for word, tokens in recipient.budgets.items() if tokens <= budget and word not in ("minimal", "max")
    ]
    return reached[-1] if reached else "low"


class MessageWriter:
    """Writes turns. `custom` are the tools that take free text, `style` how ids of calls are spelt."""

    def __init__(self, custom: frozenset[str], style: object, report: Report) -> None:
        self._custom = custom
        self._style = style
        self._report = report

    def written(self, message: Message) -> list[dict[str, object]]:
        """Return one turn as messages: results each on its own, then what else there is."""
        results = [self._result(block) for block in message.blocks if isinstance(block, ToolResult)]
        rest = [block for block in message.blocks if not isinstance(block, ToolResult)]
        if message.role is Role.ASSISTANT:
            return results + self._assistant(rest, message)
        content = self._content(rest)
        if not content:
            return results
        return [*results, {"role": _ROLES[message.role], "content": content, **(message.ext or {})}]

    def _result(self, block: ToolResult) -> dict[str, object]:
        text = "".join(part.text for part in block.blocks if isinstance(part, Text))
        return {"role": "tool", "tool_call_id": styled(block.tool_id, self._style), "content": text}

    def _assistant(self, blocks: Sequence[AnyBlock], message: Message) -> list[dict[str, object]]:
        calls = calls_of(blocks, self._custom, self._style)
        refusal = "".join(block.text for block in blocks if isinstance(block, Text) and block.is_refusal)
        spoken = [block for block in blocks if isinstance(block, Text | Opaque) and not _is_refusal(block)]
        content = self._content(spoken)
        if not (calls or refusal or content):
            return []
        members: dict[str, object] = {"role": "assistant", "content": content or None}
        if refusal:
            members["refusal"] = refusal
        if calls:
            members["tool_calls"] = calls
        return [members | (message.ext or {})]

    def _content(self, blocks: Sequence[AnyBlock]) -> object:
        """Return parts, or just the text where there is nothing else; nothing at all is empty."""
        parts = [part for part in map(self._part, blocks) if part is not None]
        if len(parts) == 1 and isinstance(parts[0], dict) and parts[0].keys() == {"type", "text"}:
            return parts[0]["text"]
        return parts

    def _part(self, block: AnyBlock) -> object:
        if isinstance(block, Opaque):
            return block.raw
        members: dict[str, object] | None = None
        if isinstance(block, Text):
            members = {"type": "text", "text": block.text} if block.text else None
        elif isinstance(block, Media):
            members = self._media(block)
        if members is None:
            return None
        if block.mark is not None:
            members["prompt_cache_breakpoint"] = {"mode": "explicit"}
        return members | (block.ext or {})

    def _media(self, block: Media) -> dict[str, object] | None:
        source = block.source
        if block.kind is MediaKind.IMAGE:
            assert isinstance(source, Inline | Url)  # the others are not taken
            url = source.url if isinstance(source, Url) else data_url(block.mime or "image/png", source.base64)
            return {"type": "image_url", "image_url": {"url": url} | ({"detail": block.detail} if block.detail else {})}
        if isinstance(source, Held):
            return {"type": "file", "file": source.raw}
        assert isinstance(source, Inline)  # as above
        if block.kind is MediaKind.AUDIO:
            word = _FORMATS.get(block.mime, block.mime.removeprefix("audio/"))
            return {"type": "input_audio", "input_audio": {"data": source.base64, "format": word}}
        mime = block.mime or _PDF
        name = block.name or f"document.{mime.rpartition('/')[2]}"
        return {"type": "file", "file": {"filename": name, "file_data": data_url(mime, source.base64)}}


def _is_refusal(block: AnyBlock) -> bool:
    return isinstance(block, Text) and block.is_refusal
