"""Contents and calls of messages, whoever wrote them."""

from collections.abc import Callable
from typing import Final

from msgspec import Raw

from busbar_fast.dialects.call_arguments import args_of
from busbar_fast.dialects.cohere.translation.abilities import NAME
from busbar_fast.dialects.file_urls import read_url
from busbar_fast.dialects.members import Members, is_object, items_of, object_of, text_of
from busbar_fast.ir.blocks import AnyBlock, Json, Media, MediaKind, Opaque, Text, Thinking, ToolUse


def read_content(members: Members) -> list[AnyBlock]:
    """Read a content: one string or a list of blocks. Raise Misshapen for anything else."""
    raw = members.raw("content")
    if not raw:
        return []
    text = text_of(raw)
    if text is not None:
        return [Text(text)] if text else []
    place = members.place("content")
    return [_block(one, f"{place}[{at}]") for at, one in enumerate(items_of(raw, place))]


def read_call(members: Members) -> ToolUse:
    """Read one call."""
    function = members.maybe_object("function") or Members({})
    args, text = args_of(function.raw("arguments"))
    return ToolUse(members.maybe_text("id") or "", function.maybe_text("name") or "", args, text)


def _block(raw: Raw, place: str) -> AnyBlock:
    members = object_of(raw, place)
    read = _BLOCKS.get(members.maybe_text("type") or "")
    if read is None:
        return Opaque(NAME, raw)
    block = read(members)
    block.ext = members.rest()
    return block


def _text(members: Members) -> AnyBlock:
    return Text(members.text("text"))


def _thinking(members: Members) -> AnyBlock:
    return Thinking(members.text("thinking"))


def _image(members: Members) -> AnyBlock:
    image = members.maybe_object("image_url")
    if image is None:
        raise members.wrong("image_url", "must be an object")
    source, mime = read_url(image.text("url"))
    return Media(MediaKind.IMAGE, source, mime, detail=image.maybe_text("detail") or "")


def _document(members: Members) -> AnyBlock:
    document = members.maybe_object("document")
    if document is None:
        raise members.wrong("document", "must be an object")
    content, name = document.raw("data"), document.maybe_text("id") or ""
    return Json(content, id=name) if is_object(content) else Text(text_of(content) or "" if content else "")


_BLOCKS: Final[dict[str, Callable[[Members], AnyBlock]]] = {
    "text": _text,
    "thinking": _thinking,
    "image_url": _image,
    "document": _document,
}
