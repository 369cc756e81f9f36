"""What became of a call, as the object that this dialect wants: the tool's own, or its words under one name."""

from typing import Final

from msgspec import Raw

from busbar_fast.dialects.gemini.translation.carrying import unpacked
from busbar_fast.dialects.gemini.translation.fields import NULL, decoded
from busbar_fast.dialects.gemini.translation.part_writer import Part, maybe_json, write_part
from busbar_fast.dialects.guard import field_of
from busbar_fast.dialects.members import is_object
from busbar_fast.ir.blocks import NO_ARGS, AnyBlock, Json, Media, Text, ToolResult
from busbar_fast.ir.report import Report

_SPACE: Final = " \t\r\n"  # that may stand around a value of JSON; any other is text
_OUTPUT: Final = "output"
_ERROR: Final = "error"


def write_result(block: ToolResult, tool_id: str, name: str, report: Report, *, is_own: bool) -> Part:
    """Return a result as a part; `is_own` says that the client's dialect was this one, so that texts stay texts."""
    result: Part = {"id": tool_id} if tool_id else {}
    result |= {"name": name, "response": _response(block, report, is_own=is_own)}
    files = [write_part(part, report, with_file_name=is_own) for part in block.blocks if isinstance(part, Media)]
    if files:
        result["parts"] = files
    part: Part = {"functionResponse": result | unpacked(block.ext, "functionResponse")}
    return part | unpacked(block.ext)


def _response(block: ToolResult, report: Report, *, is_own: bool) -> Raw | Part:
    value = _value(block.blocks, report, is_own=is_own)
    if isinstance(value, Raw) and _is_whole(value, is_error=block.is_error):
        return value
    if value == NULL:
        return {_ERROR: "null"} if block.is_error else NO_ARGS
    return {_ERROR if block.is_error else _OUTPUT: value}


def _is_whole(value: Raw, *, is_error: bool) -> bool:
    """Say whether a value needs nothing around it: an object, which says itself that something failed if it did."""
    return is_object(value) and (not is_error or _ERROR in decoded(value))


def _value(blocks: list[AnyBlock], report: Report, *, is_own: bool) -> Raw | str:
    """Return what a tool said: JSON if it is, else all its texts."""
    said: list[str] = []
    for block in blocks:
        if isinstance(block, Json):
            said.append(bytes(block.value).decode())
        elif isinstance(block, Text):
            said.append(block.text)
        elif not isinstance(block, Media):
            report.dropped(field_of(block))
    is_json = len(said) == 1 and any(isinstance(block, Json) for block in blocks)
    text = "".join(said)
    if is_own and not is_json:
        return text
    value = maybe_json(text.strip(_SPACE))
    return text if value is None else value
