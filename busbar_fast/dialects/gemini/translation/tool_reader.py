"""Tools and whether they are called, as clients say it."""

from typing import Final

from msgspec import Raw

from busbar_fast.dialects.gemini.translation.carrying import joined, packed
from busbar_fast.dialects.gemini.translation.fields import Fields, decoded
from busbar_fast.dialects.gemini.translation.hosted import read_hosted
from busbar_fast.dialects.members import write
from busbar_fast.ir.blocks import NOTHING, Ext
from busbar_fast.ir.requests import ChoiceMode, HostedTool, Tool, ToolChoice

_MODES: Final = {1: "AUTO", 2: "ANY", 3: "NONE", 4: "VALIDATED"}
_UNSAID: Final[tuple[str, ...]] = ("", "MODE_UNSPECIFIED")
_CHOICES: Final = {
    "AUTO": ChoiceMode.AUTO,
    "VALIDATED": ChoiceMode.AUTO,
    "ANY": ChoiceMode.REQUIRED,
    "NONE": ChoiceMode.NONE,
}
_STRICT: Final = "VALIDATED"


def read_tools(entries: list[Fields]) -> tuple[list[Tool], list[HostedTool]]:
    """Return the functions, and the tools that the vendor runs. Raise Misshapen."""
    tools: list[Tool] = []
    hosted: list[HostedTool] = []
    for entry in entries:
        tools += [_function(declared) for declared in entry.several("functionDeclarations")]
        hosted += [read_hosted(name, raw) for name, raw in (entry.rest() or {}).items()]
    return tools, hosted


def read_choice(config: Fields) -> tuple[ToolChoice | None, bool | None, Ext | None]:
    """Return whether tools are called, whether strictly by their schemas, and what else is said of them."""
    calling = config.inner("functionCallingConfig")
    left = packed(config.rest(), "toolConfig")
    if calling is None:
        return None, None, joined(left)
    word = calling.word("mode", _MODES)
    names = calling.texts("allowedFunctionNames")
    if word not in _CHOICES and word not in _UNSAID:
        left |= packed({"mode": Raw(write(word))}, "functionCallingConfig")
    left |= packed(calling.rest(), "functionCallingConfig")
    mode = _CHOICES.get(word)
    if mode is None:
        left |= packed({"allowedFunctionNames": Raw(write(names))} if names else None, "functionCallingConfig")
        return None, None, joined(left)
    is_strict = True if word == _STRICT else None
    if mode is ChoiceMode.REQUIRED and len(names) == 1:
        return ToolChoice(ChoiceMode.NAMED, names[0]), is_strict, joined(left)
    return ToolChoice(mode, allowed=names), is_strict, joined(left)


def _function(declared: Fields) -> Tool:
    schema, older = _schema(declared, "parametersJsonSchema"), _schema(declared, "parameters")
    return Tool(
        declared.text("name"),
        declared.text("description"),
        schema or older,
        is_openapi=bool(older) and not schema,
        ext=declared.rest(),
    )


def _schema(declared: Fields, name: str) -> Raw:
    """Take a schema; an empty one is as good as none. Raise Misshapen if it is no object."""
    raw = declared.raw(name)
    return raw if raw and decoded(raw, declared.place(name)) else NOTHING
