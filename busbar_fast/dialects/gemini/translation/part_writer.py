"""Blocks as parts of a content, for a vendor's lane or for a client. What has no place is noted and left out."""

from collections.abc import Callable
from typing import Any, Final

from msgspec import DecodeError, Raw

from busbar_fast.dialects.gemini.translation.abilities import NAME
from busbar_fast.dialects.gemini.translation.carrying import unpacked
from busbar_fast.dialects.gemini.translation.media import media_member
from busbar_fast.dialects.gemini.translation.part_reader import OUTCOME_WORDS
from busbar_fast.dialects.guard import field_of
from busbar_fast.dialects.members import is_object, value_of
from busbar_fast.ir.blocks import (
    NO_ARGS,
    AnyBlock,
    Block,
    Code,
    CodeResult,
    Held,
    Media,
    Opaque,
    Text,
    Thinking,
    ToolUse,
)
from busbar_fast.ir.report import Report

Part = dict[str, object]

OUTCOMES: Final = {word: name for name, word in OUTCOME_WORDS.items()}


def write_part(block: AnyBlock, report: Report, *, with_file_name: bool = False) -> Part | Raw | None:
    """Return a block as a part; None if it has no place."""
    if isinstance(block, Opaque):
        return block.raw
    if isinstance(block, Media):
        if isinstance(block.source, Held) and block.source.owner != NAME:
            report.dropped("vendor_file")
            return None
        member, said = media_member(block, with_name=with_file_name)
        part: Part = {member: said}
    else:
        write = _WRITERS.get(type(block))
        if write is None:
            report.dropped(field_of(block))
            return None
        part = write(block)
    if block.seal is not None:
        part["thoughtSignature"] = block.seal.value
    return part | unpacked(block.ext)


def maybe_json(text: str) -> Raw | None:
    """Return a text that is JSON as raw JSON, None if it is none."""
    raw = Raw(text.encode())
    try:
        value_of(raw)
    except (DecodeError, RecursionError):
        return None
    return raw


def object_of(value: Raw) -> Raw | Part:
    """Return arguments as the object they have to be; what is none is wrapped into one."""
    return value if is_object(value) else {"args": value}


def args_of(block: ToolUse) -> Raw | Part:
    """Return the arguments of a call; text that is no JSON is wrapped too."""
    if block.args_text is None:
        return object_of(block.args or NO_ARGS)
    value = maybe_json(block.args_text)
    return {"args": block.args_text} if value is None else object_of(value)


def _text(block: Text) -> Part:
    return {"text": block.text}


def _thinking(block: Thinking) -> Part:
    return {"text": block.text, "thought": True}


def _call(block: ToolUse) -> Part:
    call: Part = {"id": block.id} if block.id else {}
    return {"functionCall": call | {"name": block.name, "args": args_of(block)} | unpacked(block.ext, "functionCall")}


def _code(block: Code) -> Part:
    code: Part = {"id": block.id} if block.id else {}
    code |= {"language": block.language.upper() or "LANGUAGE_UNSPECIFIED", "code": block.code}
    return {"executableCode": code | unpacked(block.ext, "executableCode")}


def _code_result(block: CodeResult) -> Part:
    result: Part = {"id": block.id} if block.id else {}
    result |= {"outcome": OUTCOMES.get(block.outcome, "OUTCOME_UNSPECIFIED"), "output": block.output}
    return {"codeExecutionResult": result | unpacked(block.ext, "codeExecutionResult")}


_WRITERS: Final[dict[type[Block], Callable[[Any], Part]]] = {
    Text: _text,
    Thinking: _thinking,
    ToolUse: _call,
    Code: _code,
    CodeResult: _code_result,
}
