"""References as the vendor writes them: a part of the answer, and the sources that it rests on."""

from typing import Final

from msgspec import Raw

from busbar_fast.dialects.cohere.translation.abilities import NAME
from busbar_fast.dialects.members import Members, is_object, object_of, without_nothing
from busbar_fast.ir.blocks import Citation, CitationKind, Span

_KINDS: Final = {"document": CitationKind.DOCUMENT, "tool": CitationKind.TOOL}


def read_citation(raw: Raw) -> tuple[int | None, Citation]:
    """Read a reference, and which block of the content it is about, if it says."""
    members = object_of(raw, "citations")
    start, end = members.integer("start"), members.integer("end")
    span = None if start is None or end is None else Span(start, end, members.maybe_text("text") or "")
    sources = [one for one in members.maybe_items("sources") or [] if is_object(one)]
    source = object_of(sources[0], "sources") if sources else Members({})
    document = source.maybe_object("document") or Members({})
    citation = Citation(
        _KINDS.get(source.maybe_text("type") or "", CitationKind.OTHER),
        answer=span,
        title=document.maybe_text("title") or "",
        url=document.maybe_text("url") or "",
        doc_id=source.maybe_text("id") or document.maybe_text("id") or "",
        raw=raw,
        owner=NAME,
    )
    return members.integer("content_index"), citation


def citation_of(citation: Citation, at: int, text: str) -> dict[str, object] | None:
    """Return a reference about the block at this place; None if nobody can tell which part of it is meant."""
    span = citation.answer
    if span is None:
        quoted = "" if citation.source is None else citation.source.text
        start = text.find(quoted) if quoted and text.count(quoted) == 1 else -1
        span = Span(start, start + len(quoted), quoted) if start >= 0 else Span(0, len(text), text) if text else None
    if span is None:
        return None
    name = citation.doc_id or citation.url or str(citation.doc_index or 0)
    document = without_nothing({"id": name, "title": citation.title or None, "url": citation.url or None})
    return {
        "start": span.start,
        "end": span.end,
        "text": span.text or text[span.start : span.end],
        "sources": [{"type": "document", "id": name, "document": document}],
        "type": "TEXT_CONTENT",
        "content_index": at,
    }
