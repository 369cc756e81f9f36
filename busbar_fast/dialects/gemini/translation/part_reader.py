"""Parts of a content as blocks, whether a client wrote them or a model.

A part is known by the one member that says what it is; members beside it are carried. Which id a call goes by that has
none, and what a seal means, is for the caller to know.
"""

from collections.abc import Callable
from typing import Final

from msgspec import Raw

from busbar_fast.dialects.gemini.translation.abilities import NAME, SEAL
from busbar_fast.dialects.gemini.translation.carrying import joined, packed
from busbar_fast.dialects.gemini.translation.fields import NULL, Fields, decoded, fields_of
from busbar_fast.dialects.gemini.translation.media import read_file, read_inline
from busbar_fast.dialects.members import is_object, text_of
from busbar_fast.ir import seals
from busbar_fast.ir.blocks import (
    NO_ARGS,
    NOTHING,
    AnyBlock,
    Code,
    CodeResult,
    Json,
    Opaque,
    Seal,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)

Unseal = Callable[[str], Seal]

LANGUAGES: Final = {1: "PYTHON"}
OUTCOMES: Final = {1: "OUTCOME_OK", 2: "OUTCOME_FAILED", 3: "OUTCOME_DEADLINE_EXCEEDED"}
_UNSAID: Final[tuple[str, ...]] = ("LANGUAGE_UNSPECIFIED", "OUTCOME_UNSPECIFIED")
OUTCOME_WORDS: Final = {
    "OUTCOME_OK": "ok",
    "OUTCOME_FAILED": "failed",
    "OUTCOME_DEADLINE_EXCEEDED": "deadline",
}

# Members of a result that hold all of it, if they stand alone.
_ERROR: Final = "error"
_WRAPPERS: Final[tuple[str, ...]] = ("output", "result", _ERROR)


def seal_of_client(text: str) -> Seal:
    """Return what a client was shown as this text."""
    return seals.restored(text, SEAL)


def seal_of_vendor(text: str) -> Seal:
    """Return a seal that comes from the vendor itself."""
    return Seal(SEAL, text)


def read_part(raw: Raw, place: str, unseal: Unseal) -> AnyBlock:
    """Return a part as a block. Raise Misshapen where a member has the wrong type."""
    part = fields_of(raw, place)
    is_thought = part.flag("thought") is True
    sealed = part.text("thoughtSignature")
    for member, read in _READERS.items():
        if member in part:
            block = read(part)
            break
    else:
        return Opaque(NAME, raw)
    if is_thought and isinstance(block, Text):
        block = Thinking(block.text)
    block.seal = unseal(sealed) if sealed else None
    block.ext = joined(block.ext, part.rest())
    return block


def _text(part: Fields) -> AnyBlock:
    return Text(part.text("text"))


def _inline(part: Fields) -> AnyBlock:
    return read_inline(_inner(part, "inlineData"))


def _file(part: Fields) -> AnyBlock:
    raw = part.raw("fileData")
    return read_file(raw, fields_of(raw, part.place("fileData")))


def _call(part: Fields) -> AnyBlock:
    call = _inner(part, "functionCall")
    block = ToolUse(call.text("id"), call.text("name"))
    args = call.raw("args")
    if is_object(args):
        block.args = args
    elif args:
        block.args, block.args_text = NOTHING, bytes(args).decode()
    block.ext = packed(call.rest(), "functionCall")
    return block


def _result(part: Fields) -> AnyBlock:
    result = _inner(part, "functionResponse")
    tool_id, name = result.text("id"), result.text("name")
    is_error, said = read_response(result.raw("response"), result.place("response"))
    place = result.place("parts")
    files = [read_part(item, f"{place}[{at}]", seal_of_vendor) for at, item in enumerate(result.items("parts"))]
    return ToolResult(tool_id, [said, *files], is_error, name, ext=packed(result.rest(), "functionResponse"))


def read_response(raw: Raw, place: str) -> tuple[bool, AnyBlock]:
    """Return whether a tool failed, and what it said. Raise Misshapen if that is no object."""
    members = decoded(raw or NO_ARGS, place)
    is_error = members.get(_ERROR, NULL) != NULL
    alone = next(iter(members)) if len(members) == 1 else ""
    if alone not in _WRAPPERS:
        return is_error, Json(raw or NO_ARGS)
    text = text_of(members[alone])
    return is_error, Json(members[alone]) if text is None else Text(text)


def _code(part: Fields) -> AnyBlock:
    code = _inner(part, "executableCode")
    language = code.word("language", LANGUAGES)
    return Code(
        code.text("code"),
        "" if language in _UNSAID else language.lower(),
        code.text("id"),
        ext=packed(code.rest(), "executableCode"),
    )


def _code_result(part: Fields) -> AnyBlock:
    result = _inner(part, "codeExecutionResult")
    outcome = result.word("outcome", OUTCOMES)
    return CodeResult(
        result.text("output"),
        OUTCOME_WORDS.get(outcome, ""),
        result.text("id"),
        ext=packed(result.rest(), "codeExecutionResult"),
    )


def _inner(part: Fields, name: str) -> Fields:
    return part.inner(name) or Fields({}, part.place(name))


_READERS: Final[dict[str, Callable[[Fields], AnyBlock]]] = {
    "text": _text,
    "functionCall": _call,
    "functionResponse": _result,
    "inlineData": _inline,
    "fileData": _file,
    "executableCode": _code,
    "codeExecutionResult": _code_result,
}
