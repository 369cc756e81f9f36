"""Calls of tools as messages hold them: functions take an object, written as a text; custom tools take any text."""

import re
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Final

from msgspec import Raw

from busbar_fast.dialects.call_arguments import args_of, args_text, free_text
from busbar_fast.dialects.members import Members, write
from busbar_fast.ir import tool_ids
from busbar_fast.ir.blocks import AnyBlock, ToolUse

_SHORT: Final = "mistral9"
_is_short: Final = re.compile(r"[A-Za-z0-9]{9}").fullmatch


def read_call(members: Members) -> ToolUse:
    """Read one call. Its id is as it was written."""
    function, custom = members.maybe_object("function"), members.maybe_object("custom")
    tool_id = members.maybe_text("id") or ""
    if custom is not None:
        given = {"input": custom.maybe_text("input") or ""}
        return ToolUse(tool_id, custom.maybe_text("name") or "", Raw(write(given)))
    if function is None:
        return ToolUse(tool_id, "")
    args, text = args_of(function.raw("arguments"))
    return ToolUse(tool_id, function.maybe_text("name") or "", args, text)


def calls_of(blocks: Iterable[AnyBlock], custom: AbstractSet[str], style: object = "") -> list[dict[str, object]]:
    """Return the calls among blocks as they are written; tools in `custom` take free text."""
    found: list[dict[str, object]] = []
    for block in blocks:
        if isinstance(block, ToolUse):
            kind, what = "function", {"name": block.name, "arguments": args_text(block)}
            if block.name in custom:
                text = free_text(block.args) if block.args_text is None else block.args_text
                kind, what = "custom", {"name": block.name, "input": text}
            found.append({"id": styled(block.id, style), "type": kind, kind: what})
    return found


def styled(tool_id: str, style: object) -> str:
    """Return an id as a host takes it that has ideas of its own about them."""
    if style != _SHORT or _is_short(tool_id):
        return tool_id
    return tool_ids.hashed(tool_id, "")[-9:]
