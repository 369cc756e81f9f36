"""Tools and whether they are called, where the target cannot say all of it: the nearest that it can."""

from typing import Final

from msgspec import Raw, structs

from busbar_fast.dialects.preparing.blocks import taken_name
from busbar_fast.dialects.preparing.hosted import fitting_hosted
from busbar_fast.dialects.preparing.losses import report_members
from busbar_fast.dialects.preparing.openapi import to_json_schema
from busbar_fast.dialects.translator import Abilities, Recipient
from busbar_fast.ir.blocks import ToolResult, ToolUse
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import ChoiceMode, Request, Tool, ToolChoice

_UNSAID: Final = (None, None, None)
_INPUT: Final = Raw(b'{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}')


def with_fitting_tools(request: Request, target: Abilities, recipient: Recipient, report: Report) -> Request:
    """Return a request whose tools, and what is said of them, the target understands."""
    said = (request.tool_choice, request.parallel_tools, request.strict_tools)
    if not (request.tools or request.hosted) and said == _UNSAID:
        return request
    hosted = fitting_hosted(request, target, recipient, report)
    tools = [_tool(tool, target, report) for tool in request.tools]
    tools, choice = _chosen(request, tools, target, report)
    has_tools = bool(tools or hosted)
    return structs.replace(
        request,
        tools=tools,
        hosted=hosted,
        tool_choice=choice,
        parallel_tools=_parallel(request.parallel_tools, target, report) if has_tools else None,
        strict_tools=_strict(request.strict_tools, target, report),
    )


def _tool(tool: Tool, target: Abilities, report: Report) -> Tool:
    report_members(tool.ext, report)
    changes: dict[str, object] = {
        "name": taken_name(tool.name, target, report),
        "strict": _strict(tool.strict, target, report),
        "ext": None,
    }
    if tool.is_custom and not target.takes_custom_tools:
        report.mapped("custom_tool")
        changes |= {"is_custom": False, "schema": _INPUT}
    if tool.is_openapi:
        changes |= {"is_openapi": False, "schema": to_json_schema(tool.schema)}
    return structs.replace(tool, **changes)


def _strict(strict: bool | None, target: Abilities, report: Report) -> bool | None:
    if strict and not target.takes_strict:
        report.dropped("tool_strict")
    return strict if target.takes_strict else None


def _parallel(parallel: bool | None, target: Abilities, report: Report) -> bool | None:
    if parallel is False and not target.takes_parallel:
        report.dropped("parallel_tool_calls")
    return parallel if target.takes_parallel else None


# Whether one is called


def _chosen(
    request: Request, tools: list[Tool], target: Abilities, report: Report
) -> tuple[list[Tool], ToolChoice | None]:
    """Return the tools that may be called, and whether one is."""
    choice = request.tool_choice
    if choice is None:
        return tools, None
    choice = ToolChoice(
        choice.mode,
        taken_name(choice.name, target, report),
        [taken_name(name, target, report) for name in choice.allowed],
    )
    if choice.mode is ChoiceMode.NONE:
        return _none(request, tools, target, report)
    if not tools and choice.mode is ChoiceMode.REQUIRED:
        report.dropped("tool_choice")
    names = [tool.name for tool in tools]
    if choice.mode is ChoiceMode.NAMED and choice.name not in names:
        report.dropped("tool_choice")  # the provider would have run it
        choice = ToolChoice(ChoiceMode.AUTO, allowed=choice.allowed)
    if choice.allowed:
        tools, choice = _allowed(choice, tools, target, report)
    if choice.mode is ChoiceMode.NAMED and "named" not in target.choices:
        report.mapped("tool_choice")
        tools = [tool for tool in tools if tool.name == choice.name]
        choice = ToolChoice(ChoiceMode.REQUIRED)
    return tools, choice if tools else None


def _none(
    request: Request, tools: list[Tool], target: Abilities, report: Report
) -> tuple[list[Tool], ToolChoice | None]:
    """Return what says that nothing is called; where no word does, no tools do, unless earlier calls need them."""
    if not tools:
        return [], None
    if "none" in target.choices:
        return tools, ToolChoice(ChoiceMode.NONE)
    if _has_calls(request):
        report.dropped("tool_choice")
        return tools, None
    report.mapped("tool_choice")
    return [], None


def _allowed(choice: ToolChoice, tools: list[Tool], target: Abilities, report: Report) -> tuple[list[Tool], ToolChoice]:
    """Return the tools narrowed to those that may be called, where the target cannot narrow them itself."""
    narrowed = [tool for tool in tools if tool.name in choice.allowed]
    if narrowed and "allowed" in target.choices:
        return tools, ToolChoice(choice.mode, choice.name, [tool.name for tool in narrowed])
    report.mapped("allowed_tools")
    return narrowed, ToolChoice(choice.mode, choice.name)


def _has_calls(request: Request) -> bool:
    return any(isinstance(block, ToolUse | ToolResult) for message in request.messages for block in message.blocks)
