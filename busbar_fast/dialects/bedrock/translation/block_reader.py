"""Content blocks as clients and upstreams write them: objects with one member, which says what it is.

A marker for the cache closes the block before it. A block of a kind that nobody here knows keeps its place.
"""

from typing import TYPE_CHECKING, Final

from msgspec import Raw

from busbar_fast.dialects.bedrock.translation.abilities import FAMILY, NAME, TOOL_PREFIX
from busbar_fast.dialects.bedrock.translation.citations import read_citation
from busbar_fast.dialects.bedrock.translation.formats import MEMBERS, mime_of
from busbar_fast.dialects.members import Members, is_object, items_of, object_of, text_of
from busbar_fast.ir import seals, tool_ids
from busbar_fast.ir.blocks import (
    NO_ARGS,
    NOTHING,
    AnyBlock,
    Held,
    Inline,
    Json,
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
)

if TYPE_CHECKING:
    from collections.abc import Callable

_KINDS: Final = {name: kind for kind, name in MEMBERS.items()}
_FAILED: Final = "error"
GUARDED: Final = "guardContent"


class BlockReader:
    """Reads blocks. `is_client` says that a client wrote them, who repeats what it was shown."""

    def __init__(self, *, is_client: bool) -> None:
        self._is_client = is_client
        self._read: dict[str, Callable[[Members], AnyBlock]] = {
            "toolUse": self._tool_use,
            "toolResult": self._tool_result,
            "reasoningContent": self._reasoning,
            "citationsContent": _cited,
            "searchResult": _search_result,
        }

    def blocks(self, members: Members, name: str) -> list[AnyBlock]:
        """Read a list of blocks. Raise Misshapen for anything else."""
        place = members.place(name)
        raw_list = members.raw(name)
        found: list[AnyBlock] = []
        for at, raw in enumerate(items_of(raw_list, place) if raw_list else []):
            block = object_of(raw, f"{place}[{at}]")
            point = block.maybe_object("cachePoint")
            if point is None:
                found.append(self.block(block, raw))
            elif found:
                found[-1].mark = Mark(point.maybe_text("ttl") or "")
        return found

    def block(self, members: Members, raw: Raw) -> AnyBlock:
        """Read one block. Raise Misshapen if it cannot be what it says it is."""
        if "text" in members:
            return Text(members.text("text"))
        if "json" in members:
            return Json(members.raw("json"))
        for name, read in self._read.items():
            inner = members.maybe_object(name)
            if inner is not None:
                block = read(inner)
                block.ext = inner.rest()
                return block
        for name, kind in _KINDS.items():
            inner = members.maybe_object(name)
            if inner is not None:
                return _media(kind, inner)
        return Opaque(NAME, raw, "guardrails" if GUARDED in members else "")

    def _tool_use(self, members: Members) -> ToolUse:
        args = members.raw("input")
        tool_id = self._restored(members.text("toolUseId"))
        if not args or is_object(args):
            return ToolUse(tool_id, members.text("name"), args or NO_ARGS)
        return ToolUse(tool_id, members.text("name"), NOTHING, text_of(args) or bytes(args).decode())

    def _tool_result(self, members: Members) -> ToolResult:
        tool_id = self._restored(members.text("toolUseId"))
        return ToolResult(tool_id, self.blocks(members, "content"), members.maybe_text("status") == _FAILED)

    def _reasoning(self, members: Members) -> Thinking:
        text = members.maybe_object("reasoningText")
        if text is None:
            seal = self._seal(members.text("redactedContent"))
            return Thinking(sealed=seal.value, seal=seal)
        signature = text.text("signature")
        return Thinking(text.text("text"), seal=self._seal(signature) if signature else None)

    def _restored(self, tool_id: str) -> str:
        return tool_ids.restored(tool_id, TOOL_PREFIX) if self._is_client else tool_id

    def _seal(self, value: str) -> Seal:
        return seals.restored(value, FAMILY) if self._is_client else Seal(FAMILY, value)


def _cited(members: Members) -> Text:
    text = "".join(part.maybe_text("text") or "" for part in members.objects("content"))
    return Text(text, [read_citation(raw) for raw in members.maybe_items("citations") or [] if is_object(raw)])


def _search_result(members: Members) -> SearchResult:
    texts = [Text(part.maybe_text("text") or "") for part in members.objects("content")]
    return SearchResult(members.text("source"), members.text("title"), texts, _is_cited(members))


def _is_cited(members: Members) -> bool:
    citations = members.maybe_object("citations")
    return citations is not None and citations.flag("enabled") is True


def _media(kind: MediaKind, members: Members) -> Media:
    """Read a file. Raise Misshapen if there is none."""
    raw = members.raw("source")
    source = object_of(raw, members.place("source"))
    mime = mime_of(kind, members.text("format"))
    name, context = members.maybe_text("name") or "", members.maybe_text("context") or ""
    is_cited = _is_cited(members)
    return Media(kind, _read_source(source, raw), mime, name, context=context, is_cited=is_cited, ext=members.rest())


def _read_source(source: Members, raw: Raw) -> Inline | Plain | Held:
    content = source.maybe_text("bytes")
    if content is not None:
        return Inline(content)
    text = source.maybe_text("text")
    return Held(NAME, raw) if text is None else Plain(text)
