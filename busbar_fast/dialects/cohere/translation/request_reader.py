"""A client's request."""

from typing import Final

from msgspec import Raw

from busbar_fast.dialects.asks import Ask
from busbar_fast.dialects.cohere.translation.abilities import NAME
from busbar_fast.dialects.cohere.translation.citations import read_citation
from busbar_fast.dialects.cohere.translation.content_reader import read_call, read_content
from busbar_fast.dialects.members import Members, integer_of, is_object, items_of, object_of, read_object, text_of
from busbar_fast.ir import tool_ids
from busbar_fast.ir.blocks import NOTHING, AnyBlock, Text, ToolResult
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import (
    ChoiceMode,
    Document,
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

_ROLES: Final = {"system": Role.SYSTEM, "user": Role.USER, "assistant": Role.ASSISTANT, "tool": Role.TOOL}
_CHOICES: Final = {"REQUIRED": ChoiceMode.REQUIRED, "NONE": ChoiceMode.NONE}
_UNCITED: Final[tuple[str, ...]] = ("DISABLED", "OFF")
_MOST: Final = 2**32 - 1


def read_request(body: bytes, ask: Ask, report: Report) -> Request:  # noqa: ARG001  the body says it all
    """Read a request. Raise NotJson, TooDeep or Misshapen."""
    members = read_object(body)
    members.raw("model")
    if "messages" not in members:
        raise members.wrong("messages", "must be a list of messages")
    system, messages = _messages(members.objects("messages"))
    tools, hosted = _tools(members)
    strict = members.flag("strict_tools")
    choice = _CHOICES.get(members.maybe_text("tool_choice") or "")
    sampling = _sampling(members, report)
    options = members.raw("citation_options")
    documents = _documents(members, options)
    request = Request(
        NAME,
        system,
        messages,
        tools,
        hosted,
        None if choice is None else ToolChoice(choice),
        strict_tools=strict,
        sampling=sampling,
        format=_format(members),
        reasoning=_reasoning(members),
        documents=documents,
        in_stream=members.flag("stream") is True,
        echo={"citation_options": options} if options else None,
    )
    request.ext = members.rest()
    return request


def _messages(turns: list[Members]) -> tuple[list[AnyBlock], list[Message]]:
    """Return the system prompt that stands in front, and the turns."""
    system: list[AnyBlock] = []
    found: list[Message] = []
    for members in turns:
        word = members.text("role")
        role = _ROLES.get(word)
        if role is None:
            raise members.wrong("role", f"must be one of {', '.join(_ROLES)}")
        if role is Role.SYSTEM and not found:
            system += read_content(members)
            continue
        if role is Role.ASSISTANT:
            blocks = _assistant(members)
        elif role is Role.TOOL:
            tool_id = members.text("tool_call_id") or tool_ids.invented(members.path, "")
            blocks = [ToolResult(tool_id, read_content(members))]
        else:
            blocks = read_content(members)
        found.append(Message(role, blocks, members.rest()))
    return system, found


def _assistant(members: Members) -> list[AnyBlock]:
    """Read a turn of a model: what it planned, what it said, what it called."""
    plan = members.maybe_text("tool_plan")
    blocks: list[AnyBlock] = [Text(plan, is_plan=True)] if plan else []
    before = len(blocks)
    blocks += read_content(members)
    for raw in members.maybe_items("citations") or []:
        at, citation = read_citation(raw)
        cited = blocks[before + (at or 0)] if before + (at or 0) < len(blocks) else None
        if isinstance(cited, Text):
            cited.citations = [*cited.citations, citation]
    for at, call in enumerate(members.objects("tool_calls")):
        use = read_call(call)
        use.id = use.id or tool_ids.invented(f"{members.path}.tool_calls[{at}]", use.name)
        blocks.append(use)
    return blocks


def _tools(members: Members) -> tuple[list[Tool], list[HostedTool]]:
    raw = members.raw("tools")
    tools: list[Tool] = []
    hosted: list[HostedTool] = []
    place = members.place("tools")
    for at, one in enumerate(items_of(raw, place) if raw else []):
        tool = object_of(one, f"{place}[{at}]")
        function = tool.maybe_object("function")
        if function is None:
            hosted.append(HostedTool("other", NAME, one))
            continue
        name, description = function.text("name"), function.maybe_text("description") or ""
        tools.append(Tool(name, description, function.raw("parameters"), ext=function.rest()))
    return tools, hosted


def _documents(members: Members, options: Raw) -> list[Document]:
    """Read what an answer should rest on, and whether it should say so."""
    raw = members.raw("documents")
    if not raw:
        return []
    mode = object_of(options, members.place("citation_options")).maybe_text("mode") if options else None
    is_cited = mode not in _UNCITED
    found = []
    for at, one in enumerate(items_of(raw, members.place("documents"))):
        text = text_of(one)
        if text is not None:
            found.append(Document(text=text, is_cited=is_cited))
            continue
        document = object_of(one, f"documents[{at}]")
        content = document.raw("data")
        found.append(_document(document.maybe_text("id") or "", content, is_cited=is_cited))
    return found


def _document(name: str, content: Raw, *, is_cited: bool) -> Document:
    if not is_object(content):
        return Document(name, text=text_of(content) or "" if content else "", is_cited=is_cited)
    members = object_of(content, "documents")
    title, text = members.maybe_text("title"), members.maybe_text("text")
    if text is not None and not members.rest():
        return Document(name, title or "", text, is_cited=is_cited)
    return Document(name, title or "", content=content, is_cited=is_cited)


def _sampling(members: Members, report: Report) -> Sampling:
    return Sampling(
        _positive(members, "max_tokens", "max_tokens", report),
        members.number("temperature"),
        members.number("p"),
        _positive(members, "k", "top_k", report),
        members.number("seed"),
        frequency_penalty=members.number("frequency_penalty"),
        presence_penalty=members.number("presence_penalty"),
        stop=[text for raw in members.maybe_items("stop_sequences") or [] if (text := text_of(raw))],
        has_logprobs=members.flag("logprobs"),
    )


def _positive(members: Members, name: str, label: str, report: Report) -> Raw:
    """Read a number of something, which is not there if it cannot be, or if it is 0."""
    raw = members.number(name)
    number = integer_of(raw) if raw else None
    if number is not None and 1 <= number <= _MOST:
        return raw
    if raw and number != 0:
        report.dropped(label)
    return NOTHING


def _format(members: Members) -> OutputFormat | None:
    asked = members.maybe_object("response_format")
    if asked is None or asked.maybe_text("type") != "json_object":
        return None
    return OutputFormat(asked.raw("json_schema") or asked.raw("schema"))


def _reasoning(members: Members) -> Reasoning | None:
    thinking = members.maybe_object("thinking")
    if thinking is None:
        return None
    if thinking.maybe_text("type") == "disabled":
        return Reasoning(ReasoningMode.OFF)
    budget = thinking.count("token_budget")
    return Reasoning(ReasoningMode.DYNAMIC if budget is None else ReasoningMode.ON, budget=budget)
