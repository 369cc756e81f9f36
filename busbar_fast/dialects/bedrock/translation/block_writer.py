"""Content blocks as the vendor writes them, for its upstreams and for its clients."""

import base64
import binascii
from collections.abc import Callable, Iterable
from typing import Any, Final

from busbar_fast.dialects.bedrock.translation.citations import citation_of
from busbar_fast.dialects.bedrock.translation.formats import MEMBERS, Names, format_of
from busbar_fast.dialects.guard import field_of
from busbar_fast.dialects.members import is_object, without_nothing
from busbar_fast.ir.blocks import (
    AnyBlock,
    Block,
    Held,
    Inline,
    Json,
    Mark,
    Media,
    MediaKind,
    Opaque,
    Plain,
    SearchResult,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from busbar_fast.ir.report import Report
from busbar_fast.ir.seals import TAG

_TO_STANDARD: Final = str.maketrans("-_", "+/")
_SEALED_TEXT: Final = "anth"  # the family whose sealed text need not be base64


class BlockWriter:
    """Writes blocks; what cannot be written is noted and left out."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._names = Names()
        self._write: dict[type[Block], Callable[[Any], dict[str, object] | None]] = {
            Text: self._text,
            Thinking: self._thinking,
            ToolUse: self._tool_use,
            ToolResult: self._tool_result,
            Json: self._json,
            Media: self._media,
            SearchResult: self._search_result,
        }

    def blocks(self, blocks: Iterable[AnyBlock]) -> list[object]:
        """Return blocks as they are written, each followed by its marker if it has one."""
        found: list[object] = []
        for block in blocks:
            written: object = block.raw if isinstance(block, Opaque) else self._one(block)
            if written is not None:
                found.append(written)
                if block.mark is not None:
                    found.append({"cachePoint": mark_of(block.mark)})
        return found

    def _one(self, block: AnyBlock) -> dict[str, object] | None:
        write = self._write.get(type(block))
        written = None if write is None else write(block)
        if written and block.ext:
            ((name, inner),) = written.items()
            assert isinstance(inner, dict)  # only such blocks may have more
            written = {name: inner | block.ext}
        return written

    def _text(self, block: Text) -> dict[str, object] | None:
        if not block.text.strip():
            return None
        citations = [citation_of(citation) for citation in block.citations]
        cited = [citation for citation in citations if citation is not None]
        if len(cited) < len(citations):
            self._report.dropped("citations")
        if cited:
            return {"citationsContent": {"content": [{"text": block.text}], "citations": cited}}
        return {"text": block.text}

    def _thinking(self, block: Thinking) -> dict[str, object]:
        if block.is_redacted:
            return {"reasoningContent": {"redactedContent": blob(block.sealed)}}
        text = {"text": block.text} | ({} if block.seal is None else {"signature": block.seal.value})
        return {"reasoningContent": {"reasoningText": text}}

    def _tool_use(self, block: ToolUse) -> dict[str, object]:
        args: object = block.args if block.args_text is None else {"_raw": block.args_text}
        return {"toolUse": {"toolUseId": block.id, "name": block.name, "input": args}}

    def _tool_result(self, block: ToolResult) -> dict[str, object]:
        result: dict[str, object] = {"toolUseId": block.tool_id, "content": self.blocks(block.blocks)}
        return {"toolResult": result | ({"status": "error"} if block.is_error else {})}

    def _json(self, block: Json) -> dict[str, object]:
        if is_object(block.value):
            return {"json": block.value}
        self._report.mapped("json")  # the vendor takes objects only
        return {"text": bytes(block.value).decode()}

    def _media(self, block: Media) -> dict[str, object] | None:
        source = block.source
        word = "txt" if isinstance(source, Plain) else format_of(block.kind, block.mime)
        if word is None and not isinstance(source, Held):
            self._report.dropped(field_of(block))
            return None
        is_document = block.kind is MediaKind.DOCUMENT
        members = {
            "format": word,
            "name": self._names.next(block.name) if is_document else None,
            "source": _source_of(block),
            "context": block.context or None,
            "citations": {"enabled": True} if block.is_cited and is_document else None,
        }
        return {MEMBERS[block.kind]: without_nothing(members)}

    def _search_result(self, block: SearchResult) -> dict[str, object]:
        members = {
            "source": block.source,
            "title": block.title,
            "content": [{"text": text.text} for text in block.blocks],
            "citations": {"enabled": block.is_cited},
        }
        return {"searchResult": members}


def mark_of(mark: Mark) -> dict[str, str]:
    """Return where a prompt is worth keeping."""
    return {"type": "default", "ttl": mark.ttl} if mark.ttl else {"type": "default"}


def blob(sealed: str) -> str:
    """Return what is sealed as the base64 that clients insist on; what is none travels wrapped."""
    if sealed.startswith(TAG):
        return sealed.translate(_TO_STANDARD)
    try:
        base64.b64decode(sealed, validate=True)
    except (binascii.Error, ValueError):
        wrapped = base64.b64encode(sealed.encode()).decode()
        return f"{TAG}{_SEALED_TEXT}{wrapped}"
    return sealed


def _source_of(block: Media) -> object:
    source = block.source
    if isinstance(source, Inline):
        return {"bytes": source.base64}
    if isinstance(source, Plain):
        return {"text": source.text}
    assert isinstance(source, Held)  # its owner is this vendor
    return source.raw
