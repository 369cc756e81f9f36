"""References as the vendor writes them: five kinds, by what is cited."""

from typing import Final

from msgspec import Raw

from busbar_fast.dialects.anthropic.translation.abilities import FAMILY, NAME
from busbar_fast.dialects.members import Members, read_object
from busbar_fast.ir import seals
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
# Stands, for a client, where the vendor would say how to find a page again that somebody else's search has found.
UNFOUND: Final = seals.shown(seals.UNSEALED, FAMILY)


def read_citation(raw: Raw) -> Citation:
    """Read one reference of an answer."""
    members = read_object(raw)
    kind, first, last, unit = _KINDS.get(members.maybe_text("type") or "", (CitationKind.OTHER, "", "", "char"))
    text = members.maybe_text("cited_text") or ""
    start, end = members.integer(first), members.integer(last)
    source = Span(start or 0, end or 0, text, unit) if text or end is not None else None
    cursor = members.maybe_text("encrypted_index") or ""
    return Citation(
        kind,
        source=source,
        title=_either(members, "document_title", "title"),
        url=_either(members, "url", "source"),
        doc_index=members.integer("search_result_index" if kind is CitationKind.SEARCH_RESULT else "document_index"),
        cursor="" if cursor == UNFOUND else cursor,
        raw=raw,
        owner=NAME,
    )


def citation_of(citation: Citation, unfound: str) -> object:
    """Return a reference as it is written; None if there is no form for what is known of it.

    A page that the vendor did not find itself has this text for a way back to it; without one it cannot be cited.
    """
    if citation.owner == NAME and (citation.cursor or citation.kind is not CitationKind.WEB):
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
    cursor = citation.cursor or unfound
    if citation.url and cursor:
        return {
            "type": "web_search_result_location",
            "cited_text": cited,
            "encrypted_index": cursor,
            "title": citation.title or None,
            "url": citation.url,
        }
    return None


def _either(members: Members, first: str, second: str) -> str:
    return members.maybe_text(first) or members.maybe_text(second) or ""
