"""A client's request."""

from typing import Final

from msgspec import Raw

from busbar_fast.dialects.anthropic.translation.abilities import NAME
from busbar_fast.dialects.anthropic.translation.block_reader import BlockReader, read_mark
from busbar_fast.dialects.anthropic.translation.hosted import read_hosted
from busbar_fast.dialects.asks import Ask
from busbar_fast.dialects.members import Members, first_of, integer_of, items_of, object_of, read_object, text_of, write
from busbar_fast.ir.blocks import NOTHING, AnyBlock, Ext
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import (
    ChoiceMode,
    HostedTool,
    Message,
    OutputFormat,
    Reasoning,
    ReasoningMode,
    Request,
    Role,
    Sampling,
    Tool,
    ToolChoice,
)

_ROLES: Final = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}
_CHOICES: Final = {
    "auto": ChoiceMode.AUTO,
    "any": ChoiceMode.REQUIRED,
    "none": ChoiceMode.NONE,
    "tool": ChoiceMode.NAMED,
}
_THINKING: Final = {"enabled": ReasoningMode.ON, "adaptive": ReasoningMode.DYNAMIC, "disabled": ReasoningMode.OFF}
_NO_SCHEMA: Final = Raw(b'{"type":"object","properties":{}}')
_MOST_TOKENS: Final = 2**32 - 1
_BLOCKS: Final = BlockReader(is_client=True)


def read_request(body: bytes, ask: Ask, report: Report) -> Request:
    """Read a request. Raise NotJson, TooDeep or Misshapen."""
    members = read_object(body)
    in_stream = members.flag("stream") is True
    members.raw("model")
    config = members.maybe_object("output_config")
    reasoning, unread_thinking = _reasoning(members, config)
    tools, hosted = _tools(members)
    choice, parallel = _choice(members)
    metadata = members.maybe_object("metadata")
    request = Request(
        NAME,
        _system(members),
        [_message(one) for one in members.objects("messages")],
        tools,
        hosted,
        choice,
        parallel,
        sampling=_sampling(members, report),
        format=_format(config),
        reasoning=reasoning,
        user="" if metadata is None else metadata.maybe_text("user_id") or "",
        mark=read_mark(members),
        in_stream=in_stream if ask.in_stream is None else ask.in_stream,
    )
    ext: Ext = dict(members.rest() or {})
    for name, left in (("metadata", metadata), ("output_config", config)):
        if left is not None and (rest := left.rest()):
            ext[name] = Raw(write(rest))
    if unread_thinking:
        ext["thinking"] = unread_thinking
    request.ext = ext or None
    return request


def _system(members: Members) -> list[AnyBlock]:
    """Read the system prompt; whatever is neither text nor blocks is none."""
    raw = members.raw("system")
    if first_of(raw) not in (b'"', b"["):
        return []
    return _BLOCKS.content(Members({"system": raw}), "system")


def _message(members: Members) -> Message:
    role = members.text("role")
    if role not in _ROLES:
        raise members.wrong("role", f"must be one of {', '.join(_ROLES)}")
    return Message(_ROLES[role], _BLOCKS.content(members, "content"), members.rest())


def _tools(members: Members) -> tuple[list[Tool], list[HostedTool]]:
    raw = members.raw("tools")
    tools: list[Tool] = []
    hosted: list[HostedTool] = []
    place = members.place("tools")
    for at, one in enumerate(items_of(raw, place) if raw else []):
        tool = object_of(one, f"{place}[{at}]")
        kind = tool.maybe_text("type") or "custom"
        if kind != "custom":
            hosted.append(read_hosted(kind, tool, one))
            continue
        mark, strict = read_mark(tool), tool.flag("strict")
        name, description = tool.text("name"), tool.text("description")
        schema = tool.raw("input_schema") or _NO_SCHEMA
        tools.append(Tool(name, description, schema, strict=strict, mark=mark, ext=tool.rest()))
    return tools, hosted


def _choice(members: Members) -> tuple[ToolChoice | None, bool | None]:
    """Read whether a tool is called, and whether several may be; what makes no sense is not there."""
    choice = members.maybe_object("tool_choice")
    if choice is None:
        return None, None
    off = choice.flag("disable_parallel_tool_use")
    parallel = None if off is None else not off
    mode, name = _CHOICES.get(choice.maybe_text("type") or ""), choice.maybe_text("name") or ""
    if mode is None or (mode is ChoiceMode.NAMED and not name):
        return None, parallel
    return ToolChoice(mode, name if mode is ChoiceMode.NAMED else ""), parallel


def _sampling(members: Members, report: Report) -> Sampling:
    return Sampling(
        _count(members, "max_tokens", report),
        members.number("temperature"),
        members.number("top_p"),
        _count(members, "top_k", report),
        stop=[text for raw in members.maybe_items("stop_sequences") or [] if (text := text_of(raw))],
    )


def _count(members: Members, name: str, report: Report) -> Raw:
    """Read a number of something; one that is too large for any vendor is not there."""
    raw = members.number(name)
    number = integer_of(raw) if raw else 0
    if number is not None and 0 <= number <= _MOST_TOKENS:
        return raw
    report.dropped(name)
    return NOTHING


def _reasoning(members: Members, config: Members | None) -> tuple[Reasoning | None, Raw]:
    """Read how much a model should think, and return what of it only the vendor itself understands."""
    raw = members.raw("thinking")
    effort = "" if config is None else config.maybe_text("effort") or ""
    if not raw:
        return (Reasoning(ReasoningMode.ON, effort) if effort else None), NOTHING
    thinking = object_of(raw, members.place("thinking"))
    kind = thinking.maybe_text("type") or ""
    budget, display = thinking.integer("budget_tokens"), thinking.maybe_text("display")
    is_shown = None if display is None else display != "omitted"
    mode = _THINKING.get(kind, ReasoningMode.DYNAMIC)
    is_whole = kind in _THINKING and not thinking.rest() and not (budget and effort)
    found = Reasoning(mode, effort, None if effort else budget, is_shown)
    return found, NOTHING if is_whole else raw


def _format(config: Members | None) -> OutputFormat | None:
    asked = None if config is None else config.maybe_object("format")
    if asked is None:
        return None
    return OutputFormat(asked.raw("schema"))
