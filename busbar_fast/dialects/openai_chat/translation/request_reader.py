"""A client's request."""

from typing import Final

from msgspec import Raw

from busbar_fast.dialects.asks import Ask
from busbar_fast.dialects.members import (
    Members,
    first_of,
    integer_of,
    is_object,
    items_of,
    object_of,
    read_object,
    text_of,
    write,
)
from busbar_fast.dialects.openai_chat.translation.abilities import NAME, SEARCH
from busbar_fast.dialects.openai_chat.translation.message_reader import read_messages
from busbar_fast.dialects.whereabouts import read_place
from busbar_fast.ir.blocks import NOTHING, Ext
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import (
    CONTEXT_SIZES,
    ChoiceMode,
    HostedTool,
    OutputFormat,
    Reasoning,
    ReasoningMode,
    Request,
    Sampling,
    Tool,
    ToolChoice,
)

_CHOICES: Final = {"auto": ChoiceMode.AUTO, "none": ChoiceMode.NONE, "required": ChoiceMode.REQUIRED}
_MOST_TOKENS: Final = 2**32 - 1
_OFF: Final = "none"
_ABOUT_TOOLS: Final = frozenset(("tools", "functions", "tool_choice", "function_call", "parallel_tool_calls", SEARCH))
_ABOUT_SAMPLING: Final = frozenset(
    (
        "max_tokens",
        "max_completion_tokens",
        "stop",
        "temperature",
        "top_p",
        "seed",
        "n",
        "frequency_penalty",
        "presence_penalty",
        "logprobs",
        "top_logprobs",
    )
)


def read_request(body: bytes, ask: Ask, report: Report) -> Request:  # noqa: ARG001  the body says it all
    """Read a request. Raise NotJson, TooDeep or Misshapen."""
    members = read_object(body)
    members.raw("model")
    if "messages" not in members:
        raise members.wrong("messages", "must be a list of messages")
    system, messages = read_messages(members.objects("messages"))
    has_tools = members.has_any(_ABOUT_TOOLS)
    tools, hosted = _tools(members) if has_tools else ([], [])
    echo: Ext = {}
    sampling = _sampling(members, echo, report) if members.has_any(_ABOUT_SAMPLING) else Sampling()
    options = members.maybe_object("stream_options")
    include_usage = None if options is None else options.flag("include_usage")
    request = Request(
        NAME,
        system,
        messages,
        tools,
        hosted,
        _choice(members) if has_tools else None,
        members.flag("parallel_tool_calls") if has_tools else None,
        sampling=sampling,
        format=_format(members),
        reasoning=_reasoning(members),
        user=_user(members, echo),
        in_stream=members.flag("stream") is True,
        include_usage=include_usage,
        echo=echo or None,
    )
    ext: Ext = dict(members.rest() or {})
    if options is not None and (rest := options.rest()):
        ext["stream_options"] = Raw(write(rest))
    request.ext = ext or None
    return request


def _user(members: Members, echo: Ext) -> str:
    """Read who asks; the newer name of it is kept, for whoever knows both."""
    user, safe = members.raw("user"), members.raw("safety_identifier")
    if safe:
        echo |= {"user": user, "safety_identifier": safe}
    return text_of(safe or user) or "" if safe or user else ""


def _tools(members: Members) -> tuple[list[Tool], list[HostedTool]]:
    raw = members.raw("tools")
    tools: list[Tool] = []
    hosted: list[HostedTool] = []
    place = members.place("tools")
    for at, one in enumerate(items_of(raw, place) if raw else []):
        tool = object_of(one, f"{place}[{at}]")
        kind = tool.maybe_text("type") or "function"
        inner = tool.maybe_object(kind)
        if kind == "function":
            tools.append(_tool(inner or tool))
        elif kind == "custom" and inner is not None:
            name, description = inner.text("name"), inner.maybe_text("description") or ""
            tools.append(Tool(name, description, is_custom=True, ext=inner.rest()))
        else:
            hosted.append(HostedTool("other", NAME, one))
    tools += [_tool(one) for one in members.objects("functions")]
    search = members.raw(SEARCH)
    return tools, [*hosted, _search(search)] if search else hosted


def _search(raw: Raw) -> HostedTool:
    """Read that the vendor's model searches the web, which is no tool here but a member of its own."""
    tool = HostedTool("web_search", NAME, raw)
    members = object_of(raw, SEARCH) if is_object(raw) else Members({SEARCH: raw})
    size = members.maybe_text("search_context_size") or ""
    tool.context_size = size if size in CONTEXT_SIZES else ""
    location = members.maybe_object("user_location")
    if location is not None:
        tool.place = read_place(location.maybe_object("approximate"))
    tool.has_more = members.says_more or size != tool.context_size
    return tool


def _tool(members: Members) -> Tool:
    name, description = members.text("name"), members.maybe_text("description") or ""
    schema, strict = members.raw("parameters"), members.flag("strict")
    return Tool(name, description, schema, strict=strict, ext=members.rest())


def _choice(members: Members) -> ToolChoice | None:
    """Read whether a tool is called; what makes no sense is not there."""
    legacy, raw = members.raw("function_call"), members.raw("tool_choice")
    raw = raw or legacy
    if not raw:
        return None
    word = text_of(raw)
    if word is not None:
        mode = _CHOICES.get(word)
        return None if mode is None else ToolChoice(mode)
    choice = object_of(raw, members.place("tool_choice"))
    allowed = choice.maybe_object("allowed_tools")
    if allowed is not None:
        names = [name for tool in allowed.objects("tools") if (name := _name_in(tool))]
        return ToolChoice(_CHOICES.get(allowed.maybe_text("mode") or "", ChoiceMode.AUTO), allowed=names)
    name = _name_in(choice)
    return ToolChoice(ChoiceMode.NAMED, name) if name else None


def _name_in(members: Members) -> str:
    """Return the tool that is meant, by any of the forms there are."""
    inner = members.maybe_object("function") or members.maybe_object("custom") or members
    return inner.maybe_text("name") or ""


def _sampling(members: Members, echo: Ext, report: Report) -> Sampling:
    limit = _limit(members, "max_tokens", report)
    newer = _limit(members, "max_completion_tokens", report)
    if newer and not limit:
        echo["max_completion_tokens"] = newer
    stop = members.raw("stop")
    stops = [stop] if first_of(stop) == b'"' else items_of(stop, members.place("stop")) if stop else []
    return Sampling(
        limit or newer,
        members.number("temperature"),
        members.number("top_p"),
        seed=members.number("seed"),
        n=members.number("n"),
        frequency_penalty=members.number("frequency_penalty"),
        presence_penalty=members.number("presence_penalty"),
        stop=[text for raw in stops if (text := text_of(raw))],
        has_logprobs=members.flag("logprobs"),
        top_logprobs=members.number("top_logprobs"),
    )


def _limit(members: Members, name: str, report: Report) -> Raw:
    """Read how long an answer may be; what cannot be is not there."""
    raw = members.raw(name)
    if not raw:
        return NOTHING
    number = integer_of(raw)
    if number is not None and 1 <= number <= _MOST_TOKENS:
        return Raw(b"%d" % number)
    report.dropped("max_tokens")
    return NOTHING


def _format(members: Members) -> OutputFormat | None:
    asked = members.maybe_object("response_format")
    if asked is None:
        return None
    kind = asked.maybe_text("type")
    if kind == "text":
        return None
    schema = asked.maybe_object("json_schema")
    if schema is None:
        return OutputFormat()
    return OutputFormat(
        schema.raw("schema"),
        name=schema.maybe_text("name") or "",
        description=schema.maybe_text("description") or "",
        strict=schema.flag("strict"),
    )


def _reasoning(members: Members) -> Reasoning | None:
    effort = members.maybe_text("reasoning_effort")
    if not effort:
        return None
    return Reasoning(ReasoningMode.OFF) if effort == _OFF else Reasoning(ReasoningMode.ON, effort)
