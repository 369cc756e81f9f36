"""A client's request."""

from typing import Final

from msgspec import Raw

from busbar_fast.dialects.asks import Ask
from busbar_fast.dialects.members import Members, integer_of, items_of, object_of, read_object, text_of, write
from busbar_fast.dialects.openai_responses.translation.abilities import NAME
from busbar_fast.dialects.openai_responses.translation.hosted import read_hosted
from busbar_fast.dialects.openai_responses.translation.item_reader import REFERENCE, ItemReader
from busbar_fast.ir.blocks import NOTHING, AnyBlock, Ext, Opaque, Text
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

# What an answer says again of its request.
ECHOED: Final[tuple[str, ...]] = (
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
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "include",
    "safety_identifier",
)
_HELD: Final[tuple[str, ...]] = ("previous_response_id", "conversation", "prompt", "background")
_CHOICES: Final = {"auto": ChoiceMode.AUTO, "none": ChoiceMode.NONE, "required": ChoiceMode.REQUIRED}
_LOGPROBS: Final = "message.output_text.logprobs"
_SEALED: Final = "reasoning.encrypted_content"
_FALSE: Final = Raw(b"false")
_MOST: Final = 2**32 - 1
_ITEMS: Final = ItemReader(is_client=True)


def read_request(body: bytes, ask: Ask, report: Report) -> Request:  # noqa: ARG001  the body says it all
    """Read a request. Raise NotJson, TooDeep or Misshapen."""
    members = read_object(body)
    written = dict(members.rest() or {})
    members.raw("model")
    system, messages = _input(members)
    tools, hosted = _tools(members)
    includes = [text for raw in members.maybe_items("include") or [] if (text := text_of(raw))]
    wording, thinking = members.maybe_object("text"), members.maybe_object("reasoning")
    user, safe = members.maybe_text("user"), members.maybe_text("safety_identifier")
    choice, choice_raw = _choice(members)
    request = Request(
        NAME,
        system,
        messages,
        tools,
        hosted,
        choice,
        members.flag("parallel_tool_calls"),
        sampling=_sampling(members, includes, report),
        format=_format(wording),
        reasoning=_reasoning(thinking),
        user=safe or user or "",
        in_stream=members.flag("stream") is True,
        held=_held(written, messages),
        echo={name: written[name] for name in ECHOED if name in written} or None,
    )
    ext: Ext = dict(members.rest() or {})
    ext |= {
        name: Raw(write(rest))
        for name, left in (("text", wording), ("reasoning", thinking))
        if left and (rest := left.rest())
    }
    if choice_raw:
        ext["tool_choice"] = choice_raw
    if any(word not in (_LOGPROBS, _SEALED) for word in includes):
        ext["include"] = written["include"]
    request.ext = ext or None
    return request


def _held(written: Ext, messages: list[Message]) -> list[str]:
    """Return what leans on something that the vendor keeps."""
    found = [name for name in _HELD if written.get(name, NOTHING) and written[name] not in (Raw(b"null"), _FALSE)]
    blocks = (block for message in messages for block in message.blocks)
    if any(isinstance(block, Opaque) and block.label == REFERENCE for block in blocks):
        found.append("input")
    return found


def _input(members: Members) -> tuple[list[AnyBlock], list[Message]]:
    """Return the system prompt that stands in front, and the turns."""
    instructions = members.text("instructions")
    system: list[AnyBlock] = [Text(instructions)] if instructions else []
    raw = members.raw("input")
    text = text_of(raw) if raw else None
    if text is not None or not raw:
        return system, [Message(Role.USER, [Text(text)])] if text else []
    turns = _ITEMS.turns(items_of(raw, "input"), "input")
    while turns and turns[0].role is Role.SYSTEM:
        system += turns.pop(0).blocks
    return system, turns


def _tools(members: Members) -> tuple[list[Tool], list[HostedTool]]:
    raw = members.raw("tools")
    tools: list[Tool] = []
    hosted: list[HostedTool] = []
    place = members.place("tools")
    for at, one in enumerate(items_of(raw, place) if raw else []):
        tool = object_of(one, f"{place}[{at}]")
        kind = tool.maybe_text("type") or "function"
        if kind not in ("function", "custom"):
            hosted.append(read_hosted(kind, tool, one))
            continue
        is_custom = kind == "custom"
        name, description = tool.text("name"), tool.maybe_text("description") or ""
        schema, strict = tool.raw("parameters"), tool.flag("strict")
        tools.append(Tool(name, description, schema, strict=strict, is_custom=is_custom, ext=tool.rest()))
    return tools, hosted


def _choice(members: Members) -> tuple[ToolChoice | None, Raw]:
    """Read whether a tool is called; a choice that only the vendor understands is returned as it is."""
    raw = members.raw("tool_choice")
    if not raw:
        return None, NOTHING
    word = text_of(raw)
    if word is not None:
        mode = _CHOICES.get(word)
        return (None if mode is None else ToolChoice(mode)), NOTHING
    choice = object_of(raw, members.place("tool_choice"))
    kind = choice.maybe_text("type")
    if kind == "allowed_tools":
        names = [name for tool in choice.objects("tools") if (name := tool.maybe_text("name"))]
        return ToolChoice(_CHOICES.get(choice.maybe_text("mode") or "", ChoiceMode.AUTO), allowed=names), NOTHING
    inner = choice.maybe_object("function") or choice
    name = inner.maybe_text("name")
    if kind in ("function", "custom") and name:
        return ToolChoice(ChoiceMode.NAMED, name), NOTHING
    return None, raw


def _sampling(members: Members, includes: list[str], report: Report) -> Sampling:
    raw = members.number("max_output_tokens")
    most = integer_of(raw) if raw else None
    if raw and (most is None or not 1 <= most <= _MOST):
        report.dropped("max_tokens")
        raw = NOTHING
    return Sampling(
        raw,
        members.number("temperature"),
        members.number("top_p"),
        has_logprobs=True if _LOGPROBS in includes else None,
        top_logprobs=members.number("top_logprobs"),
    )


def _format(text: Members | None) -> OutputFormat | None:
    asked = None if text is None else text.maybe_object("format")
    kind = "text" if asked is None else asked.maybe_text("type")
    if asked is None or kind == "text":
        return None
    return OutputFormat(
        asked.raw("schema"),
        name=asked.maybe_text("name") or "",
        description=asked.maybe_text("description") or "",
        strict=asked.flag("strict"),
    )


def _reasoning(asked: Members | None) -> Reasoning | None:
    if asked is None:
        return None
    effort, summary = asked.maybe_text("effort") or "", asked.maybe_text("summary") or ""
    if not effort and not summary:
        return None
    mode = ReasoningMode.OFF if effort == "none" else ReasoningMode.ON if effort else ReasoningMode.DYNAMIC
    is_shown = True if summary else None
    return Reasoning(mode, "" if effort == "none" else effort, is_shown=is_shown, summary=summary)
