"""References as the vendor writes them: five kinds, by what is cited."""

from typing import Final

from msgspec import Raw

from busbar_fast.dialects.anthropic.translation.abilities import NAME
from busbar_fast.dialects.members import Members, read_object
from busbar_fast.ir.blocks import Citation, CitationKind, Span

# By type: what is cited, where its first and its last part stand, and the unit of those.
_KINDS: Final = {
    "char_location": (CitationKind.DOCUMENT, "start_char_index", "end_char_index", "char"),
    "page_location": (CitationKind.DOCUMENT, "start_page_number", "end_page_number", "page"),
    "content_block_location": (CitationKind.DOCUMENT, "start_block_index", "end_block_index", "block"),
    "search_result_location": (CitationKind.SEARCH_RESULT, "start_block_index", "end_block_index", "block"),
    "web_search_result_location": (CitationKind.WEB, "", "", "char"),
}
_TYPE_OF_UNIT: Final = {
    "char": "char_location",
    "page": "page_location",
    "block": "content_block_location",
}


def read_citation(raw: Raw) -> Citation:
    """Read one reference of an answer."""
    members = read_object(raw)
    kind, first, last, unit = _KINDS.get(members.maybe_text("type") or "", (CitationKind.OTHER, "", "", "char"))
    text = members.maybe_text("cited_text") or ""
    start, end = members.integer(first), members.integer(last)
    source = Span(start or 0, end or 0, text, unit) if text or end is not None else None
    return Citation(
        kind,
        source=source,
        title=_either(members, "document_title", "title"),
        url=_either(members, "url", "source"),
        doc_index=members.integer("search_result_index" if kind is CitationKind.SEARCH_RESULT else "document_index"),
        cursor=members.maybe_text("encrypted_index") or "",
        raw=raw,
        owner=NAME,
    )


def citation_of(citation: Citation) -> object:
    """Return a reference as the client gets it; None if there is no form for what is known of it."""
    if citation.owner == NAME:
        return citation.raw
    source = citation.source
    cited = source.text if source is not None else ""
    if citation.kind is CitationKind.SEARCH_RESULT and source is not None:
        return {
            "type": "search_result_location",
            "cited_text": cited,
            "source": citation.url,
            "title": citation.title or None,
            "search_result_index": citation.doc_index or 0,
            "start_block_index": source.start,
            "end_block_index": source.end,
        }
    if citation.kind is CitationKind.DOCUMENT and source is not None and source.unit in _TYPE_OF_UNIT:
        name = _TYPE_OF_UNIT[source.unit]
        _, first, last, _ = _KINDS[name]
        return {
            "type": name,
            "cited_text": cited,
            "document_index": citation.doc_index or 0,
            "document_title": citation.title or None,
            first: source.start,
            last: source.end,
        }
    if citation.url:
        return {
            "type": "web_search_result_location",
            "cited_text": cited,
            "encrypted_index": citation.cursor,
            "title": citation.title or None,
            "url": citation.url,
        }
    return None


def _either(members: Members, first: str, second: str) -> str:
    return members.maybe_text(first) or members.maybe_text(second) or ""
