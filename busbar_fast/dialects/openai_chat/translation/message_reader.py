"""A client's messages."""

from collections.abc import Callable
from typing import Final

from msgspec import Raw

from busbar_fast.dialects.call_arguments import args_of
from busbar_fast.dialects.file_urls import read_url
from busbar_fast.dialects.members import Members, is_object, items_of, object_of, objects_of, text_of
from busbar_fast.dialects.openai_chat.translation.abilities import NAME, TOOL_PREFIX
from busbar_fast.dialects.openai_chat.translation.calls import read_call
from busbar_fast.errors import Misshapen
from busbar_fast.ir import tool_ids
from busbar_fast.ir.blocks import (
    AnyBlock,
    Held,
    Inline,
    Mark,
    Media,
    MediaKind,
    Opaque,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Url,
)
from busbar_fast.ir.requests import Message, Role

_ROLES: Final = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "tool": Role.TOOL,
    "function": Role.TOOL,
}
_TOOL: Final[Role] = Role.TOOL
_SYSTEM: Final[Role] = Role.SYSTEM
_ASSISTANT: Final[Role] = Role.ASSISTANT
_MIMES: Final = {"mp3": "audio/mpeg"}
_WEB: Final[tuple[str, ...]] = ("https://", "http://")


def read_messages(messages: list[Members]) -> tuple[list[AnyBlock], list[Message]]:
    """Return the system prompt that stands in front, and the turns. Raise Misshapen.

    A prompt that says more of itself, a name say, is a turn, because only a turn has a place for that.
    """
    system: list[AnyBlock] = []
    found: list[Message] = []
    for members in messages:
        message = _message(members, found)
        if message.role is _SYSTEM and not found and not message.ext:
            system += message.blocks
        else:
            found.append(message)
    return system, found


def _message(members: Members, before: list[Message]) -> Message:
    word = members.text("role")
    role = _ROLES.get(word)
    if role is None:
        raise members.wrong("role", f"must be one of {', '.join(_ROLES)}")
    if role is _TOOL:
        blocks = [_result(members, before, is_legacy=word == "function")]
    elif role is _ASSISTANT:
        blocks = _assistant(members)
    else:
        blocks = read_content(members)
    return Message(role, blocks, members.rest())


def _result(members: Members, before: list[Message], *, is_legacy: bool) -> AnyBlock:
    """Read what became of a call; an older form names the tool and means its last call."""
    name = members.maybe_text("name") if is_legacy else None
    if is_legacy:
        uses = [use for message in before for use in message.blocks if isinstance(use, ToolUse) and use.name == name]
        tool_id = uses[-1].id if uses else ""
    else:
        tool_id = tool_ids.restored(members.text("tool_call_id"), TOOL_PREFIX)
    if not tool_id:
        raise members.wrong("name" if is_legacy else "tool_call_id", "must name a call")
    return ToolResult(tool_id, read_content(members), name=name or "")


def _assistant(members: Members) -> list[AnyBlock]:
    """Read a turn of a model: thoughts, text, a refusal, calls."""
    thought = members.maybe_text("reasoning_content") or members.maybe_text("reasoning")
    blocks: list[AnyBlock] = [Thinking(thought)] if thought else []
    blocks += read_content(members)
    refusal = members.maybe_text("refusal")
    if refusal:
        blocks.append(Text(refusal, is_refusal=True))
    for at, call in enumerate(members.objects("tool_calls")):
        use = read_call(call)
        place = f"{members.path}.tool_calls[{at}]"
        use.id = tool_ids.restored(use.id, TOOL_PREFIX) or tool_ids.invented(place, use.name)
        blocks.append(use)
    legacy = members.maybe_object("function_call")
    if legacy is not None:
        name = legacy.text("name")
        args, text = args_of(legacy.raw("arguments"))
        blocks.append(ToolUse(tool_ids.invented(legacy.path, name), name, args, text))
    return blocks


# Contents


def read_content(members: Members) -> list[AnyBlock]:
    """Read a content: one string or a list of parts; empty texts say nothing. Raise Misshapen for anything else."""
    raw = members.raw("content")
    if not raw:
        return []
    text = text_of(raw)
    if text is not None:
        return [Text(text)] if text else []
    place = members.place("content")
    parts = (_part(one, f"{place}[{at}]") for at, one in enumerate(items_of(raw, place)))
    return [part for part in parts if not (isinstance(part, Text) and not part.text)]


def thought_in(raw: Raw) -> str:
    """Return what a part holds of a model's thoughts, which some hosts write among the text; empty if it is another."""
    part = object_of(raw, "content")
    if part.maybe_text("type") != "thinking":
        return ""
    thought = part.raw("thinking")
    whole = text_of(thought) if thought else ""
    if whole is not None:
        return whole
    return "".join(inner.maybe_text("text") or "" for inner in objects_of(thought, "thinking"))


def _part(raw: Raw, place: str) -> AnyBlock:
    members = object_of(raw, place)
    kind = members.maybe_text("type") or ""
    read = _PARTS.get(kind)
    if read is None:
        return Opaque(NAME, raw, kind)
    block = read(members)
    point = members.raw("prompt_cache_breakpoint")
    block.ext = members.rest()
    if point:
        block.mark = Mark()
        if is_object(point) and "ttl" in object_of(point, place):  # a time that no other vendor knows
            block.ext = {**(block.ext or {}), "prompt_cache_breakpoint": point}
    return block


def _text(members: Members) -> AnyBlock:
    return Text(members.text("text"))


def _refusal(members: Members) -> AnyBlock:
    return Text(members.text("refusal"), is_refusal=True)


def _inner(members: Members, name: str) -> Members:
    inner = members.maybe_object(name)
    if inner is None:
        raise members.wrong(name, "must be an object")
    return inner


def _image(members: Members) -> AnyBlock:
    image = _inner(members, "image_url")
    source, mime = read_url(image.text("url"))
    return Media(MediaKind.IMAGE, source, mime, detail=image.maybe_text("detail") or "")


def _audio(members: Members) -> AnyBlock:
    audio = _inner(members, "input_audio")
    word = audio.text("format")
    return Media(MediaKind.AUDIO, Inline(audio.text("data")), _MIMES.get(word, f"audio/{word}"))


def _file(members: Members) -> AnyBlock:
    raw = members.raw("file")
    file = object_of(raw, members.place("file"))
    name, content = file.maybe_text("filename") or "", file.maybe_text("file_data")
    if content is None:
        if not file.maybe_text("file_id"):
            raise Misshapen(members.place("file"), "must hold file_data or file_id")
        return Media(MediaKind.DOCUMENT, Held(NAME, raw), name=name)
    source, mime = read_url(content)
    if isinstance(source, Url) and not source.url.startswith(_WEB):
        source, mime = Inline(content), "application/pdf"
    return Media(MediaKind.DOCUMENT, source, mime, name)


_PARTS: Final[dict[str, Callable[[Members], AnyBlock]]] = {
    "text": _text,
    "refusal": _refusal,
    "image_url": _image,
    "input_audio": _audio,
    "file": _file,
}
