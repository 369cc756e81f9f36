"""Tools and whether they are called, as lanes of this dialect take it."""

from typing import Final

from busbar_fast.dialects.gemini.translation.abilities import NAME
from busbar_fast.dialects.gemini.translation.carrying import unpacked
from busbar_fast.dialects.gemini.translation.config_writer import speaks_openapi
from busbar_fast.dialects.gemini.translation.hosted import hosted_tool
from busbar_fast.dialects.gemini.translation.schemas import to_openapi
from busbar_fast.dialects.translator import Recipient
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import ChoiceMode, Request, Tool, ToolChoice

_WORDS: Final = {
    ChoiceMode.AUTO: "AUTO",
    ChoiceMode.NONE: "NONE",
    ChoiceMode.REQUIRED: "ANY",
    ChoiceMode.NAMED: "ANY",
}
_STRICT: Final = "VALIDATED"


def tool_entries(request: Request, recipient: Recipient, report: Report) -> list[object]:
    """Return one entry with all functions, and one for each tool that the vendor runs."""
    tools = request.tools
    choice = request.tool_choice
    if request.source != NAME and choice is not None and choice.mode is ChoiceMode.AUTO and choice.allowed:
        report.mapped("allowed_tools")  # only calls that have to be made can be limited by name
        tools = [tool for tool in tools if tool.name in choice.allowed]
    declared = [_function(tool, recipient) for tool in tools]
    entries: list[object] = [{"functionDeclarations": declared}] if declared else []
    return entries + [hosted_tool(tool, recipient, report) for tool in request.hosted]


def tool_config(request: Request, report: Report) -> dict[str, object]:
    """Return whether tools are called; nothing if it is not said."""
    choice, is_own = request.tool_choice, request.source == NAME
    calling: dict[str, object] = {}
    if request.tools or is_own:
        if _is_strict(request, report) and (choice is None or choice.mode is ChoiceMode.AUTO):
            calling["mode"] = _STRICT
        elif choice is not None:
            calling["mode"] = _WORDS[choice.mode]
        names = [] if choice is None else _names(choice, is_own=is_own)
        if names:
            calling["allowedFunctionNames"] = names
    calling |= unpacked(request.ext, "functionCallingConfig")
    config: dict[str, object] = {"functionCallingConfig": calling} if calling else {}
    return config | unpacked(request.ext, "toolConfig")


def _names(choice: ToolChoice, *, is_own: bool) -> list[str]:
    """Return the functions that may be called, where calls can be limited to them."""
    if choice.mode is ChoiceMode.NAMED:
        return [choice.name]
    return choice.allowed if is_own or choice.mode is ChoiceMode.REQUIRED else []


def _is_strict(request: Request, report: Report) -> bool:
    """Say whether all calls must keep to their schemas; that only some must has no form."""
    if request.strict_tools:
        return True
    strict = [tool for tool in request.tools if tool.strict]
    if not strict:
        return False
    if len(strict) == len(request.tools):
        report.mapped("tool_strict")
        return True
    report.dropped("tool_strict")
    return False


def _function(tool: Tool, recipient: Recipient) -> dict[str, object]:
    declared: dict[str, object] = {"name": tool.name}
    if tool.description:
        declared["description"] = tool.description
    if not tool.schema:
        return declared | (tool.ext or {})
    if tool.is_openapi:
        declared["parameters"] = tool.schema
    elif speaks_openapi(recipient):
        declared["parameters"] = to_openapi(tool.schema)
    else:
        declared["parametersJsonSchema"] = tool.schema
    return declared | (tool.ext or {})
