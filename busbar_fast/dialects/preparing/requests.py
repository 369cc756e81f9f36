"""A request on its way to another dialect: one step after the other, in an order that matters.

The request that is given is never changed, nor anything in it: another lane may get it next.
"""

from typing import Final, TypeVar

from msgspec import Raw, structs

from busbar_fast.dialects.preparing.blocks import BlockPreparer, MarkBudget
from busbar_fast.dialects.preparing.losses import report_members
from busbar_fast.dialects.preparing.openapi import to_json_schema
from busbar_fast.dialects.translator import Abilities, Recipient
from busbar_fast.errors import Misshapen
from busbar_fast.ir.blocks import NOTHING, AnyBlock, Text, ToolResult
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import (
    ChoiceMode,
    Document,
    Message,
    OutputFormat,
    Request,
    Role,
    Sampling,
    Tool,
    ToolChoice,
)

_T = TypeVar("_T")

_INPUT: Final = Raw(b'{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}')
_ZERO: Final = Raw(b"0")
_ONE: Final = Raw(b"1")
_RARE: Final = ("top_k", "seed", "n", "frequency_penalty", "presence_penalty", "has_logprobs", "top_logprobs")
_LABELS: Final = {"has_logprobs": "logprobs", "top_logprobs": "logprobs"}


def prepare_request(request: Request, target: Abilities, recipient: Recipient, report: Report) -> Request:
    """Return a request without what the target has no place for. Raise Misshapen for what must not fall away.

    One that was written in the target's own dialect only loses what other vendors have sealed.
    """
    if request.source == target.name:
        return _without_foreign_seals(request, target, report)
    _refuse_kept(request, recipient, report)
    marks = _mark_budget(request, target, recipient)
    tools = _tools(request.tools, target, report, marks)
    preparer = BlockPreparer(target, report, marks, is_own=False)
    system = preparer.prepared(request.system)
    takes_later = target.takes_later_system == "always" or (
        target.takes_later_system == "asked" and recipient.options.get("inline_system") is True
    )
    messages, later = _messages(request.messages, preparer, report, takes_later=takes_later)
    tools, choice = _choice(request, tools, target, report)
    is_marked = request.mark is not None and marks.takes(report)
    messages = _with_documents(messages, request.documents, target, report)
    report_members(request.ext, report, (*request.held, *request.guards))
    return structs.replace(
        request,
        system=system + later,
        messages=messages,
        tools=tools,
        hosted=[tool for tool in request.hosted if _is_own(tool.owner, target, report)],
        tool_choice=choice,
        parallel_tools=_parallel(request, tools, target, report),
        strict_tools=request.strict_tools if target.takes_strict else None,
        sampling=_sampling(request.sampling, target, recipient, report),
        format=_format(request.format),
        reasoning=_if(request.reasoning, target.takes_reasoning and recipient.has_reasoning, "reasoning", report),
        documents=request.documents if target.takes_documents else [],
        user=_if(request.user, target.takes_user, "user", report) or "",
        mark=request.mark if is_marked else None,
        held=[],
        guards=[],
        ext=None,
    )


def _without_foreign_seals(request: Request, target: Abilities, report: Report) -> Request:
    preparer = BlockPreparer(target, report, MarkBudget(0, 0, takes_any=True), is_own=True)
    turns = ((message, preparer.prepared(message.blocks)) for message in request.messages)
    messages = [structs.replace(message, blocks=blocks) for message, blocks in turns if blocks or not message.blocks]
    return structs.replace(request, messages=messages)


def _refuse_kept(request: Request, recipient: Recipient, report: Report) -> None:
    """See to what only its own vendor has, or guards: it falls away if the operator says so, else nobody is asked."""
    for names, falls_away, label in (
        (request.held, recipient.drops_held, "server_state"),
        (request.guards, recipient.drops_guards, "guardrails"),
    ):
        if names and not falls_away:
            raise Misshapen(names[0], "is not supported with this model")
        if names:
            report.dropped(label)


def _is_own(owner: str, target: Abilities, report: Report) -> bool:
    if owner != target.name:
        report.dropped("hosted_tools")
    return owner == target.name


def _if(value: _T | None, is_taken: bool, label: str, report: Report) -> _T | None:
    """Return a value that the target takes; note one that it does not."""
    if value and not is_taken:
        report.dropped(label)
    return value if is_taken else None


# Messages


def _mark_budget(request: Request, target: Abilities, recipient: Recipient) -> MarkBudget:
    marked = [tool.mark for tool in request.tools]
    marked += [block.mark for block in request.system]
    marked += [block.mark for message in request.messages for block in message.blocks]
    takes_any = target.takes_marks == "always" or (target.takes_marks == "gated" and recipient.has_prompt_caching)
    return MarkBudget(sum(mark is not None for mark in marked), target.most_marks, takes_any=takes_any)


def _messages(
    messages: list[Message], preparer: BlockPreparer, report: Report, *, takes_later: bool
) -> tuple[list[Message], list[AnyBlock]]:
    """Return the turns as the target takes them, and what of them has to stand in front with the system prompt."""
    found: list[Message] = []
    later: list[AnyBlock] = []
    for message in messages:
        if message.role is not Role.TOOL:
            _set_beside(found, preparer)
        blocks = preparer.prepared(message.blocks)
        if message.role is Role.SYSTEM and not takes_later:
            report.mapped("message_role")
            later += blocks
            continue
        report_members(message.ext, report)
        if preparer.beside and message.role is not Role.TOOL:
            at = max((at for at, block in enumerate(blocks) if isinstance(block, ToolResult)), default=-1) + 1
            blocks[at:at] = preparer.beside
            preparer.beside = []
        if blocks:
            found.append(Message(message.role, blocks))
    _set_beside(found, preparer)
    return found, later


def _set_beside(found: list[Message], preparer: BlockPreparer) -> None:
    """Give files that results could not keep a turn of their own behind the results."""
    if preparer.beside:
        found.append(Message(Role.USER, preparer.beside))
        preparer.beside = []


def _with_documents(
    messages: list[Message], documents: list[Document], target: Abilities, report: Report
) -> list[Message]:
    """Put documents in front of the last question, where there is no other place for them."""
    if not documents or target.takes_documents:
        return messages
    report.mapped("documents")
    texts: list[AnyBlock] = [Text(_document_text(document)) for document in documents]
    at = max((at for at, message in enumerate(messages) if message.role is Role.USER), default=None)
    if at is None:
        return [Message(Role.USER, texts), *messages]
    asked = messages[at]
    return [*messages[:at], Message(Role.USER, texts + asked.blocks), *messages[at + 1 :]]


def _document_text(document: Document) -> str:
    head = " ".join(part for part in (document.id, document.title) if part)
    body = document.text or bytes(document.content).decode()
    return f"<document {head}>\n{body}\n</document>" if head else f"<document>\n{body}\n</document>"


# Tools


def _tools(tools: list[Tool], target: Abilities, report: Report, marks: MarkBudget) -> list[Tool]:
    found = []
    for tool in tools:
        report_members(tool.ext, report)
        changes: dict[str, object] = {"ext": None}
        if tool.mark is not None and not marks.takes(report):
            changes["mark"] = None
        if tool.is_custom and not target.takes_custom_tools:
            report.mapped("custom_tool")
            changes |= {"is_custom": False, "schema": _INPUT}
        if tool.is_openapi:
            changes |= {"is_openapi": False, "schema": to_json_schema(tool.schema)}
        if tool.strict is not None and not target.takes_strict:
            changes["strict"] = None
            if tool.strict:
                report.dropped("tool_strict")
        found.append(structs.replace(tool, **changes))
    return found


def _choice(
    request: Request, tools: list[Tool], target: Abilities, report: Report
) -> tuple[list[Tool], ToolChoice | None]:
    """Return the tools that may be called and whether one is; the nearest where the target cannot say it."""
    choice = request.tool_choice
    if choice is None or not tools:
        return tools, None
    if choice.allowed and "allowed" not in target.choices:
        report.mapped("allowed_tools")
        tools = [tool for tool in tools if tool.name in choice.allowed]
        choice = ToolChoice(choice.mode, choice.name)
    if choice.mode is ChoiceMode.NONE and "none" not in target.choices:
        report.mapped("tool_choice")
        return [], None
    if choice.mode is ChoiceMode.NAMED and "named" not in target.choices:
        report.mapped("tool_choice")
        tools = [tool for tool in tools if tool.name == choice.name]
        choice = ToolChoice(ChoiceMode.REQUIRED)
    return tools, choice if tools else None


def _parallel(request: Request, tools: list[Tool], target: Abilities, report: Report) -> bool | None:
    if not tools or request.parallel_tools is None:
        return None
    if not target.takes_parallel:
        if not request.parallel_tools:
            report.dropped("parallel_tool_calls")
        return None
    return request.parallel_tools


def _format(wanted: OutputFormat | None) -> OutputFormat | None:
    """Return what an answer should look like, with a schema that everybody reads."""
    if wanted is None or not wanted.is_openapi:
        return wanted
    return structs.replace(wanted, is_openapi=False, schema=to_json_schema(wanted.schema))


# Numbers


def _sampling(sampling: Sampling, target: Abilities, recipient: Recipient, report: Report) -> Sampling:
    if sampling.max_tokens == _ZERO:
        raise Misshapen("max_tokens", "must be at least 1 for this model")
    changes: dict[str, object] = {}
    for name in _RARE:
        value = getattr(sampling, name)
        if value and name not in target.sampling:
            changes[name] = None if name == "has_logprobs" else NOTHING
            if name != "n" or value != _ONE:
                report.dropped(_LABELS.get(name, name))
    for name, (low, high) in target.ranges.items():
        raw: Raw = NOTHING if name in changes else getattr(sampling, name)
        if raw and (clamped := _clamped(raw, low, high)) is not None:
            changes[name] = clamped
            report.clamped(_LABELS.get(name, name))
    if not sampling.max_tokens and target.needs_max_tokens:
        changes["max_tokens"] = Raw(b"%d" % recipient.default_max_tokens)
        report.filled("max_tokens")
    most = target.most_stops
    if most is not None and len(sampling.stop) > most:
        changes["stop"] = sampling.stop[:most]
        (report.truncated if most else report.dropped)("stop")
    return structs.replace(sampling, **changes) if changes else sampling


def _clamped(raw: Raw, low: float, high: float) -> Raw | None:
    """Return the limit that a number passes, None if it does not."""
    value = float(bytes(raw))
    limit = low if value < low else high if value > high else None
    if limit is None:
        return None
    return Raw(b"%d" % limit if limit == int(limit) else repr(limit).encode())
