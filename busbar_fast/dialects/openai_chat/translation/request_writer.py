"""A request for an upstream: only what the request needs, because hosts that are like the vendor refuse the rest."""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Raw, structs

from busbar_fast.dialects.file_urls import data_url
from busbar_fast.dialects.guard import field_of
from busbar_fast.dialects.members import read_object, without_nothing, write
from busbar_fast.dialects.openai_chat.translation.abilities import NAME, SEARCH
from busbar_fast.dialects.openai_chat.translation.calls import calls_of, styled
from busbar_fast.dialects.translator import Recipient
from busbar_fast.errors import Misshapen
from busbar_fast.ir.blocks import (
    NOTHING,
    AnyBlock,
    Block,
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
_NUMBERS: Final[tuple[str, ...]] = ("temperature", "top_p", "seed", "frequency_penalty", "presence_penalty", "n")
_NEW_LIMIT: Final = "max_completion_tokens"
_OLD_LIMIT: Final = "max_tokens"
_NEW_HOSTS: Final[tuple[str, ...]] = ("api.openai.com", ".openai.azure.com")
_PEOPLE: Final[tuple[str, ...]] = ("user", "safety_identifier")
_SOUNDS: Final = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/vnd.wave": "wav",
}
_PDF: Final = "application/pdf"
_ENDINGS: Final = {"text/plain": "txt", "text/markdown": "md"}  # of files; others end in their type


def write_request(request: Request, recipient: Recipient, report: Report) -> bytes:
    """Write a request. Raise Misshapen if no message is left."""
    custom = frozenset(tool.name for tool in request.tools if tool.is_custom)
    is_own = request.source == NAME
    writer = MessageWriter(custom, recipient.options.get("tool_id_style"), report, is_own=is_own)
    turns = [Message(Role.SYSTEM, [block]) for block in request.system] + request.messages
    messages = [one for message in turns for one in writer.written(message)]
    if not any(one["role"] != "system" for one in messages):
        raise Misshapen("messages", "must hold at least one message that this model can read")
    echo = request.echo or {} if is_own else {}
    ext = dict(request.ext or {})
    tools: list[object] = [_tool(tool, report) for tool in request.tools]
    tools += [tool.raw for tool in request.hosted if tool.kind != "web_search"]
    members: dict[str, object] = {
        "model": recipient.model,
        "messages": messages,
        _limit_name(recipient, echo, is_own=is_own): request.sampling.max_tokens,
        **_sampling(request.sampling),
        "tools": tools or None,
        "tool_choice": _choice(request.tool_choice, custom) if tools else None,
        "parallel_tool_calls": request.parallel_tools if tools else None,
        "response_format": _format(request.format),
        "reasoning_effort": _effort(request, recipient, report),
        "user": request.user or None,
        SEARCH: next((tool.raw for tool in request.hosted if tool.kind == "web_search"), None),
        **_streaming(request, recipient, ext, is_own=is_own),
    }
    return write(without_nothing(members | ext | _people(echo)))


def _people(echo: Mapping[str, Raw]) -> dict[str, Raw]:
    """Return who asks as it was said, where it was said twice."""
    return {name: echo[name] for name in _PEOPLE if name in echo}


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


def _limit_name(recipient: Recipient, echo: Mapping[str, Raw], *, is_own: bool) -> str:
    """Return what the length of an answer is called: as the client did, else as the host does."""
    if is_own:
        return _NEW_LIMIT if _NEW_LIMIT in echo else _OLD_LIMIT
    usual = _NEW_LIMIT if _is_new(recipient.host) else _OLD_LIMIT
    return str(recipient.options.get("token_limit_field") or usual)


def _sampling(sampling: Sampling) -> dict[str, object]:
    found: dict[str, object] = {number: getattr(sampling, number) for number in _NUMBERS}
    return found | {
        "stop": sampling.stop or None,
        "logprobs": True if sampling.top_logprobs else sampling.has_logprobs,
        "top_logprobs": sampling.top_logprobs,
    }


def _is_new(host: str) -> bool:
    return host == _NEW_HOSTS[0] or host.endswith(_NEW_HOSTS[1])


def _tool(tool: Tool, report: Report) -> dict[str, object]:
    ext = tool.ext or {}
    if tool.mark is not None:
        report.dropped("cache_control")
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


def _choice(choice: ToolChoice | None, custom: frozenset[str]) -> object:
    if choice is None:
        return None
    if choice.allowed:
        mode = "required" if choice.mode is ChoiceMode.REQUIRED else "auto"
        tools = [_named(name, custom) for name in choice.allowed]
        return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}
    if choice.mode is ChoiceMode.NAMED:
        return _named(choice.name, custom)
    return _CHOICES[choice.mode]


def _named(name: str, custom: frozenset[str]) -> dict[str, object]:
    kind = "custom" if name in custom else "function"
    return {"type": kind, kind: {"name": name}}


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

    def __init__(self, custom: frozenset[str], style: object, report: Report, *, is_own: bool) -> None:
        self._custom = custom
        self._style = style
        self._report = report
        self._is_own = is_own

    def written(self, message: Message) -> list[dict[str, object]]:
        """Return one turn as messages: results each on its own, then what else there is."""
        found = [self._result(block) for block in message.blocks if isinstance(block, ToolResult)]
        rest = [block for block in message.blocks if not isinstance(block, ToolResult)]
        if message.role is Role.ASSISTANT:
            return found + self._assistant(rest, message.ext)
        calls = [block for block in rest if isinstance(block, ToolUse)]
        found += self._assistant(calls, None)  # only a model calls, whoever is said to
        content = self._content([block for block in rest if not isinstance(block, ToolUse)])
        if content:
            found.append({"role": _ROLES[message.role], "content": content, **(message.ext or {})})
        return found

    def _result(self, block: ToolResult) -> dict[str, object]:
        """Return a result: its texts as one, or parts where there is more to say of them."""
        parts = list(block.blocks)
        if block.mark is not None and parts:
            parts[-1] = structs.replace(parts[-1], mark=block.mark)
        else:
            self._unmarked(block)
        texts = [part.text for part in parts if isinstance(part, Text) and part.mark is None and not part.ext]
        content = "".join(texts) if len(texts) == len(parts) else self._content(parts) or ""
        return {"role": "tool", "tool_call_id": styled(block.tool_id, self._style), "content": content}

    def _assistant(self, blocks: Sequence[AnyBlock], ext: Ext | None) -> list[dict[str, object]]:
        """Return a turn of a model, nothing if it says nothing; thoughts alone are nothing."""
        calls = calls_of(blocks, self._custom, self._style)
        thought = "".join(block.text for block in blocks if isinstance(block, Thinking))
        refusal = "".join(block.text for block in blocks if isinstance(block, Text) and block.is_refusal)
        content = self._content([block for block in blocks if self._is_said(block)])
        if not (calls or refusal or content):
            return []
        members: dict[str, object] = {"role": "assistant", "content": content or None}
        if thought:
            members["reasoning_content"] = thought
        if refusal:
            members["refusal"] = refusal
        if calls:
            members["tool_calls"] = calls
        return [members | (ext or {})]

    def _is_said(self, block: AnyBlock) -> bool:
        """Say whether a block of a model's turn is part of its content; files have no place there."""
        if isinstance(block, Media):
            self._report.dropped(field_of(block))
            return False
        is_elsewhere = isinstance(block, ToolUse | Thinking) or (isinstance(block, Text) and block.is_refusal)
        if is_elsewhere:
            self._unmarked(block)
        return not is_elsewhere

    def _unmarked(self, block: Block) -> None:
        """Note a mark that has no place."""
        if block.mark is not None:
            self._report.dropped("cache_control")

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
        else:
            self._report.dropped(field_of(block))
        if members is None:
            self._unmarked(block)
            return None
        if block.mark is not None:
            members["prompt_cache_breakpoint"] = {"mode": "explicit"}
        return members | (block.ext or {})

    def _media(self, block: Media) -> dict[str, object] | None:
        source = block.source
        if isinstance(source, Held):
            return {"type": "file", "file": source.raw}
        assert isinstance(source, Inline | Url)  # the others are not taken
        if block.kind is MediaKind.AUDIO:
            return self._sound(block)
        mime = block.mime or ("image/png" if block.kind is MediaKind.IMAGE else _PDF)
        url = source.url if isinstance(source, Url) else data_url(mime, source.base64)
        if block.kind is MediaKind.IMAGE:
            return {"type": "image_url", "image_url": {"url": url} | ({"detail": block.detail} if block.detail else {})}
        name = block.name or f"document.{_ENDINGS.get(mime) or mime.rpartition('/')[2]}"
        return {"type": "file", "file": {"filename": name, "file_data": url}}

    def _sound(self, block: Media) -> dict[str, object] | None:
        """Return a sound in one of the formats that the vendor hears; a client may know of more."""
        assert isinstance(block.source, Inline)  # as above
        word = _SOUNDS.get(block.mime) or (block.mime.removeprefix("audio/") if self._is_own else "")
        if not word:
            self._report.dropped("audio")
            return None
        return {"type": "input_audio", "input_audio": {"data": block.source.base64, "format": word}}
