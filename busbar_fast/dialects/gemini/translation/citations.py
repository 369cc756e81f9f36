"""What answers rest on. This vendor counts places in a text in bytes of UTF-8; neutral records count code points.

Sources come in two forms: plain ones, whose places are those of all texts joined, and what a search has found, whose
places are those of one part, or of all texts where the answer is streamed.
"""

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Raw

from busbar_fast.dialects.gemini.translation.fields import Fields, fields_in, items_of
from busbar_fast.dialects.members import integer_of
from busbar_fast.ir.blocks import Citation, CitationKind, Span
from busbar_fast.ir.report import Report

_SOURCES: Final[tuple[str, ...]] = ("citationSources", "citations")  # the latter in the vendor's cloud
# What a search can find: the member, what kind of a source it is, and where its address stands.
_KINDS: Final = {
    "web": (CitationKind.WEB, "uri"),
    "maps": (CitationKind.WEB, "uri"),
    "image": (CitationKind.WEB, "sourceUri"),
    "retrievedContext": (CitationKind.DOCUMENT, "uri"),
}

Member = dict[str, Any]
_Source = tuple[CitationKind, str, str]
Placed = tuple[int, Citation]  # with the number of the text it belongs to


def read_citations(sources: Raw, grounding: Raw, texts: list[str], *, by_part: bool) -> list[Placed]:
    """Return all references of an answer. `texts` are those of its blocks in order, empty for other blocks."""
    raw_texts = [text.encode() for text in texts]
    found = [*_plain(fields_in(sources), raw_texts), *_found(fields_in(grounding), raw_texts, by_part=by_part)]
    return [(at, citation) for at, citation in found if at < len(texts)]


def _plain(metadata: Fields, raw_texts: list[bytes]) -> Iterator[Placed]:
    for name in _SOURCES:
        for item in items_of(metadata.raw(name)) or ():
            source = fields_in(item)
            at, span = _placed(source, raw_texts)
            url, title = source.maybe_text("uri") or "", source.maybe_text("title") or ""
            yield at, Citation(CitationKind.WEB if url else CitationKind.OTHER, span, title=title, url=url)


def _found(metadata: Fields, raw_texts: list[bytes], *, by_part: bool) -> Iterator[Placed]:
    chunks = [fields_in(item) for item in items_of(metadata.raw("groundingChunks")) or ()]
    sources: dict[int | None, _Source | None] = {number: _source(chunk) for number, chunk in enumerate(chunks)}
    for item in items_of(metadata.raw("groundingSupports")) or ():
        support = fields_in(item)
        segment = fields_in(support.raw("segment"))
        part = segment.count("partIndex") or 0
        at, span = _placed(segment, raw_texts, part if by_part else None)
        for raw_number in items_of(support.raw("groundingChunkIndices")) or ():
            source = sources.get(integer_of(raw_number))
            if source is not None:
                kind, url, title = source
                yield at, Citation(kind, span, title=title, url=url)


def _source(chunk: Fields) -> _Source | None:
    """Return what was found: kind, address, title; None if nobody can tell what it is."""
    for name, (kind, address) in _KINDS.items():
        if name in chunk:
            source = fields_in(chunk.raw(name))
            return kind, source.maybe_text(address) or "", source.maybe_text("title") or ""
    return None


def _placed(place: Fields, raw_texts: list[bytes], part: int | None = None) -> tuple[int, Span | None]:
    """Return in which text a place lies, and where in it: in the given one, else in the one that holds its start."""
    start, end = place.count("startIndex") or 0, place.count("endIndex")
    at, before = (part, 0) if part is not None else _holder(raw_texts, start)
    if end is None or at >= len(raw_texts):
        return at, None
    raw = raw_texts[at]
    first = _code_points(raw, start - before)
    last = max(first, _code_points(raw, max(0, end - before)))
    return at, Span(first, last, raw.decode()[first:last])


def _holder(raw_texts: list[bytes], start: int) -> tuple[int, int]:
    """Return the number of the text that holds this byte of all of them, and how many bytes come before it."""
    found, before = len(raw_texts), 0
    passed = 0
    for number, raw in enumerate(raw_texts):
        if raw and (passed <= start or found == len(raw_texts)):
            found, before = number, passed
        passed += len(raw)
    return found, before


def _code_points(raw: bytes, size: int) -> int:
    """Return how many whole characters so many bytes hold."""
    return len(raw[:size].decode("utf-8", "ignore"))


class CitationSheet:
    """The references of an answer as its client gets them: all at once, behind the texts."""

    __slots__ = ("_chunks", "_report", "_sources", "_supports")

    def __init__(self, report: Report) -> None:
        self._report = report
        self._sources: list[Member] = []
        self._supports: list[Member] = []
        self._chunks: list[Member] = []

    def add(self, citations: list[Citation], text: str, bytes_before: int, part: int | None = None) -> None:
        """Add the references of one text; `part` is its number, where clients can count parts."""
        for citation in citations:
            named = {"uri": citation.url, "title": citation.title}
            source = {name: value for name, value in named.items() if value}
            span = citation.answer
            if not source:
                self._report.dropped("citations")
            elif span is None:
                self._sources.append(source)
            elif citation.kind is CitationKind.WEB:
                place = _place(span, text, bytes_before if part is None else 0)
                self._ground(source, _segment(place, text[span.start : span.end], part))
            else:
                self._sources.append(_place(span, text, bytes_before) | source)

    def members(self) -> dict[str, object]:
        """Return the members of the candidate, none if there are no references."""
        members: dict[str, object] = {}
        if self._sources:
            members["citationMetadata"] = {"citationSources": self._sources}
        if self._supports:
            members["groundingMetadata"] = {"groundingChunks": self._chunks, "groundingSupports": self._supports}
        return members

    def _ground(self, source: Member, segment: Member) -> None:
        """Note what a search has found, once, and which part of the answer rests on it."""
        chunk: Member = {"web": source}
        if chunk not in self._chunks:
            self._chunks.append(chunk)
        self._supports.append({"segment": segment, "groundingChunkIndices": [self._chunks.index(chunk)]})


def _place(span: Span, text: str, bytes_before: int) -> Member:
    """Return a place in code points as one in bytes."""
    start, end = (bytes_before + len(text[:at].encode()) for at in (span.start, span.end))
    return {"startIndex": start, "endIndex": end}


def _segment(place: Member, cited: str, part: int | None) -> Member:
    segment: Member = {"partIndex": part} if part else {}
    return segment | place | ({"text": cited} if cited else {})
