"""References as the vendor writes them: where in which source something stands."""

from typing import Final

from msgspec import Raw

from busbar_fast.dialects.bedrock.translation.abilities import NAME
from busbar_fast.dialects.members import Members, is_object, object_of, without_nothing
from busbar_fast.ir.blocks import Citation, CitationKind, Span

# By the member of a location: what is cited, the unit, and which source it is.
_LOCATIONS: Final = {
    "web": (CitationKind.WEB, "char", ""),
    "documentChar": (CitationKind.DOCUMENT, "char", "documentIndex"),
    "documentPage": (CitationKind.DOCUMENT, "page", "documentIndex"),
    "documentChunk": (CitationKind.DOCUMENT, "block", "documentIndex"),
    "searchResultLocation": (CitationKind.SEARCH_RESULT, "block", "searchResultIndex"),
}
_MEMBER_OF_UNIT: Final = {"char": "documentChar", "page": "documentPage", "block": "documentChunk"}


def read_citation(raw: Raw) -> Citation:
    """Read one reference of an answer."""
    members = object_of(raw, "citations")
    parts = [object_of(one, "sourceContent") for one in members.maybe_items("sourceContent") or [] if is_object(one)]
    text = "".join(part.maybe_text("text") or "" for part in parts)
    location = members.maybe_object("location") or Members({})
    title, url = members.maybe_text("title") or "", members.maybe_text("source") or ""
    for name, (kind, unit, index) in _LOCATIONS.items():
        place = location.maybe_object(name)
        if place is not None:
            start, end = place.integer("start"), place.integer("end")
            return Citation(
                kind,
                source=Span(start or 0, end or 0, text, unit),
                title=title,
                url=place.maybe_text("url") or url,
                doc_index=place.integer(index),
                raw=raw,
                owner=NAME,
            )
    source = Span(0, len(text), text) if text else None
    return Citation(CitationKind.OTHER, source=source, title=title, url=url, raw=raw, owner=NAME)


def citation_of(citation: Citation) -> object:
    """Return a reference as the client gets it; None if there is no place that it could name."""
    if citation.owner == NAME:
        return citation.raw
    location = _location_of(citation)
    if location is None:
        return None
    text = "" if citation.source is None else citation.source.text
    return without_nothing(
        {
            "title": citation.title or None,
            "sourceContent": [{"text": text}] if text else None,
            "location": location,
        }
    )


def _location_of(citation: Citation) -> dict[str, object] | None:
    source = citation.source
    if citation.kind is CitationKind.SEARCH_RESULT and source is not None:
        return {"searchResultLocation": _place("searchResultIndex", citation, source)}
    if citation.kind is CitationKind.DOCUMENT and source is not None:
        return {_MEMBER_OF_UNIT[source.unit]: _place("documentIndex", citation, source)}
    return {"web": {"url": citation.url}} if citation.url else None


def _place(name: str, citation: Citation, source: Span) -> dict[str, object]:
    return {name: citation.doc_index or 0, "start": source.start, "end": source.end}
