"""Items of a conversation, whoever wrote them: messages, calls, what became of calls, thoughts.

Items of one side that follow each other are one turn. An item of a kind that nobody here knows keeps its place.
"""

from collections.abc import Callable
from typing import Final

from msgspec import Raw

from busbar_fast.dialects.call_arguments import args_of
from busbar_fast.dialects.file_urls import read_url
from busbar_fast.dialects.members import Members, is_object, items_of, object_of, text_of, write
from busbar_fast.dialects.openai_responses.translation.abilities import FAMILY, NAME, TOOL_PREFIX
from busbar_fast.dialects.openai_shared_annotations import read_annotations
from busbar_fast.errors import Misshapen
from busbar_fast.ir import seals, tool_ids
from busbar_fast.ir.blocks import (
    AnyBlock,
    Held,
    Inline,
    Mark,
    Media,
    MediaKind,
    Opaque,
    Seal,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from busbar_fast.ir.requests import Message, Role

REFERENCE: Final = "item_reference"

_ROLES: Final = {
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
}
_PDF: Final = "application/pdf"


class ItemReader:
    """Reads items. `is_client` says that a client wrote them, who repeats what it was shown."""

    def __init__(self, *, is_client: bool) -> None:
        self._is_client = is_client
        self._read: dict[str, tuple[Role, Callable[[Members], AnyBlock | None]]] = {
            "function_call": (Role.ASSISTANT, self._call),
            "custom_tool_call": (Role.ASSISTANT, self._custom_call),
            "function_call_output": (Role.TOOL, self._output),
            "custom_tool_call_output": (Role.TOOL, self._output),
            "reasoning": (Role.ASSISTANT, self._reasoning),
        }

    def turns(self, raws: list[Raw], place: str) -> list[Message]:
        """Read a list of items. Raise Misshapen."""
        found: list[Message] = []
        for at, raw in enumerate(raws):
            role, blocks = self.item(raw, f"{place}[{at}]")
            if found and found[-1].role is role and role in (Role.ASSISTANT, Role.TOOL):
                found[-1].blocks.extend(blocks)
            elif blocks:
                found.append(Message(role, blocks))
        return found

    def item(self, raw: Raw, place: str) -> tuple[Role, list[AnyBlock]]:
        """Read one item: whose it is, and what it holds."""
        members = object_of(raw, place)
        kind = members.maybe_text("type") or ("message" if "role" in members else "")
        if kind == "message":
            return self._message(members)
        known = self._read.get(kind)
        if known is not None:
            role, read = known
            block = read(members)
            if block is None:
                return role, []
            block.ext = members.rest()
            return role, [block]
        if kind in _PARTS:
            return (Role.ASSISTANT if kind.startswith("output_") else Role.USER), [read_part(raw, place)]
        return Role.ASSISTANT, [Opaque(NAME, raw, kind)]

    def _message(self, members: Members) -> tuple[Role, list[AnyBlock]]:
        word = members.text("role") or "assistant"
        if word not in _ROLES:
            raise members.wrong("role", f"must be one of {', '.join(_ROLES)}")
        return _ROLES[word], read_parts(members, "content")

    def _call(self, members: Members) -> ToolUse:
        members.raw("id")
        args, text = args_of(members.raw("arguments"))
        return ToolUse(self._id(members), members.text("name"), args, text)

    def _custom_call(self, members: Members) -> ToolUse:
        members.raw("id")
        given = Raw(write({"input": members.maybe_text("input") or ""}))
        return ToolUse(self._id(members), members.text("name"), given)

    def _output(self, members: Members) -> ToolResult:
        members.raw("id")
        return ToolResult(self._id(members), read_parts(members, "output"))

    def _id(self, members: Members) -> str:
        tool_id = members.text("call_id")
        if not tool_id and self._is_client:
            raise members.wrong("call_id", "must name a call")
        return tool_ids.restored(tool_id, TOOL_PREFIX) if self._is_client else tool_id

    def _reasoning(self, members: Members) -> Thinking | None:
        """Read a thought: its text, else its summary, and what the vendor has sealed of it."""
        members.raw("id")
        parts = [*members.objects("content"), *members.objects("summary")]
        text = "".join(part.maybe_text("text") or "" for part in parts)
        sealed = members.maybe_text("encrypted_content")
        if not text and not sealed:
            return None
        if not sealed:
            return Thinking(text)
        seal = seals.restored(sealed, FAMILY) if self._is_client else Seal(FAMILY, sealed)
        return Thinking(text, seal=seal)


def read_parts(members: Members, name: str) -> list[AnyBlock]:
    """Read a content: one string or a list of parts. Raise Misshapen for anything else."""
    raw = members.raw(name)
    if not raw:
        return []
    text = text_of(raw)
    if text is not None:
        return [Text(text)] if text else []
    place = members.place(name)
    parts = (read_part(one, f"{place}[{at}]") for at, one in enumerate(items_of(raw, place)))
    return [part for part in parts if not (isinstance(part, Text) and not part.text)]


def read_part(raw: Raw, place: str) -> AnyBlock:
    """Read one part of a message."""
    members = object_of(raw, place)
    kind = members.maybe_text("type") or ""
    read = _PARTS.get(kind)
    if read is None:
        return Opaque(NAME, raw, kind)
    block = read(members, raw)
    if members.raw("prompt_cache_breakpoint"):
        block.mark = Mark()
    if not (isinstance(block, Media) and isinstance(block.source, Held)):
        block.ext = members.rest()
    return block


def _text(members: Members, _raw: Raw) -> AnyBlock:
    annotations = members.maybe_items("annotations") or []
    members.raw("logprobs")
    return Text(members.text("text"), read_annotations((one for one in annotations if is_object(one)), NAME))


def _refusal(members: Members, _raw: Raw) -> AnyBlock:
    return Text(members.text("refusal"), is_refusal=True)


def _image(members: Members, raw: Raw) -> AnyBlock:
    url, detail = members.maybe_text("image_url"), members.maybe_text("detail") or ""
    if url:
        source, mime = read_url(url)
        return Media(MediaKind.IMAGE, source, mime, detail=detail)
    if not members.maybe_text("file_id"):
        raise Misshapen(members.place("image_url"), "must be there, or file_id")
    return Media(MediaKind.IMAGE, Held(NAME, raw))


def _file(members: Members, raw: Raw) -> AnyBlock:
    name = members.maybe_text("filename") or ""
    content, url = members.maybe_text("file_data"), members.maybe_text("file_url")
    if content:
        source, mime = read_url(content)
        if not isinstance(source, Inline):
            source, mime = Inline(content), _PDF
        return Media(MediaKind.DOCUMENT, source, mime, name)
    if url:
        return Media(MediaKind.DOCUMENT, read_url(url)[0], "", name)
    if not members.maybe_text("file_id"):
        raise Misshapen(members.place("file_data"), "must be there, or file_url, or file_id")
    return Media(MediaKind.DOCUMENT, Held(NAME, raw))


_PARTS: Final[dict[str, Callable[[Members, Raw], AnyBlock]]] = {
    "input_text": _text,
    "output_text": _text,
    "text": _text,
    "refusal": _refusal,
    "input_image": _image,
    "input_file": _file,
}
