"""Content blocks as clients and upstreams write them; the two differ in who has seen the seals and ids before.

A block of a kind that nobody here knows keeps its place as it was written.
"""

from typing import TYPE_CHECKING

from msgspec import Raw

from busbar_fast.dialects.anthropic.translation.abilities import FAMILY, NAME, TOOL_PREFIX
from busbar_fast.dialects.anthropic.translation.citations import read_citation
from busbar_fast.dialects.members import Members, is_object, items_of, object_of, text_of
from busbar_fast.ir import seals, tool_ids
from busbar_fast.ir.blocks import (
    NO_ARGS,
    AnyBlock,
    Held,
    Inline,
    Mark,
    Media,
    MediaKind,
    Opaque,
    Plain,
    Seal,
    SearchResult,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Url,
)

if TYPE_CHECKING:
    from collections.abc import Callable


class BlockReader:
    """Reads blocks. `is_client` says that a client wrote them, who repeats what it was shown."""

    def __init__(self, *, is_client: bool) -> None:
        self._is_client = is_client
        self._read: dict[str, Callable[[Members], AnyBlock]] = {
            "text": self._text,
            "image": self._image,
            "document": self._document,
            "search_result": self._search_result,
            "tool_use": self._tool_use,
            "tool_result": self._tool_result,
            "thinking": self._thinking,
            "redacted_thinking": self._redacted,
        }

    def content(self, members: Members, name: str) -> list[AnyBlock]:
        """Read a content: one string, or a list of blocks. Raise Misshapen for anything else."""
        raw = members.raw(name)
        if not raw:
            return []
        text = text_of(raw)
        if text is not None:
            return [Text(text)] if text else []
        place = members.place(name)
        return [self.block(one, f"{place}[{at}]") for at, one in enumerate(items_of(raw, place))]

    def block(self, raw: Raw, place: str) -> AnyBlock:
        """Read one block. Raise Misshapen if it is no object, or cannot be what it says it is."""
        members = object_of(raw, place)
        kind = members.maybe_text("type") or ""
        read = self._read.get(kind)
        if read is None:
            return Opaque(NAME, raw, kind)
        block = read(members)
        block.mark = read_mark(members)
        block.ext = members.rest()
        return block

    def _text(self, members: Members) -> Text:
        citations = members.maybe_items("citations") or []
        return Text(members.text("text"), [read_citation(raw) for raw in citations if is_object(raw)])

    def _image(self, members: Members) -> Media:
        source, mime = _read_source(members)
        return Media(MediaKind.IMAGE, source, mime)

    def _document(self, members: Members) -> Media:
        source, mime = _read_source(members)
        title, context = members.text("title"), members.text("context")
        return Media(MediaKind.DOCUMENT, source, mime, title, context=context, is_cited=_is_enabled(members))

    def _search_result(self, members: Members) -> SearchResult:
        texts = [one for one in self.content(members, "content") if isinstance(one, Text)]
        return SearchResult(members.text("source"), members.text("title"), texts, _is_enabled(members))

    def _tool_use(self, members: Members) -> ToolUse:
        args = members.raw("input")
        tool_id = members.text("id")
        if self._is_client:
            tool_id = tool_ids.restored(tool_id, TOOL_PREFIX)
        if not args or is_object(args):
            return ToolUse(tool_id, members.text("name"), args or NO_ARGS)
        return ToolUse(tool_id, members.text("name"), Raw(), text_of(args) or bytes(args).decode())

    def _tool_result(self, members: Members) -> ToolResult:
        tool_id = tool_ids.restored(members.text("tool_use_id"), TOOL_PREFIX)
        return ToolResult(tool_id, self.content(members, "content"), members.flag("is_error") is True)

    def _thinking(self, members: Members) -> Thinking:
        signature = members.text("signature")
        return Thinking(members.text("thinking"), seal=self._seal(signature) if signature else None)

    def _redacted(self, members: Members) -> Thinking:
        seal = self._seal(members.text("data"))
        return Thinking(sealed=seal.value, seal=seal)

    def _seal(self, value: str) -> Seal:
        return seals.restored(value, FAMILY) if self._is_client else Seal(FAMILY, value)


def read_mark(members: Members) -> Mark | None:
    """Read where a prompt is worth keeping. Raise Misshapen for a kind that does not exist."""
    control = members.maybe_object("cache_control")
    if control is None:
        return None
    if control.maybe_text("type") != "ephemeral":
        raise control.wrong("type", "must be ephemeral")
    return Mark(control.maybe_text("ttl") or "")


def _is_enabled(members: Members) -> bool:
    """Say whether answers are to cite this."""
    citations = members.maybe_object("citations")
    return citations is not None and citations.flag("enabled") is True


def _read_source(members: Members) -> tuple[Inline | Url | Plain | Held, str]:
    """Read where a file is, and of what type it is. Raise Misshapen if there is none."""
    place, raw = members.place("source"), members.raw("source")
    source = object_of(raw, place)
    kind, mime = source.maybe_text("type"), source.maybe_text("media_type") or ""
    if kind == "base64":
        return Inline(source.text("data")), mime
    if kind == "url":
        return Url(source.text("url")), mime
    if kind == "text":
        return Plain(source.text("data")), mime
    return Held(NAME, raw), mime
