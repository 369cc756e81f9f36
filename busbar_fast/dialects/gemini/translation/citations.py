"""What answers rest on. This vendor counts places in a text in bytes of UTF-8; neutral records count code points.

Sources come in two forms: plain ones, whose places are those of all texts joined, and what a search has found, whose
places are those of one part, or of all texts where the answer is streamed.
"""

from typing import Any, Final

from msgspec import Raw

from busbar_fast.dialects.gemini.translation.fields import Fields, items_of, maybe_fields
from busbar_fast.dialects.members import integer_of
from busbar_fast.ir.blocks import Citation, CitationKind, Span
from busbar_fast.ir.report import Report

_SOURCES: Final = ("citationSources", "citations")  # the latter in the vendor's cloud
# What a search can find: the member, what kind of a source it is, and where its address stands.
_FOUND: Final = {
    "web": (CitationKind.WEB, "uri"),
    "maps": (CitationKind.WEB, "uri"),
    "image": (CitationKind.WEB, "sourceUri"),
    "retrievedContext": (CitationKind.DOCUMENT, "uri"),
}

Placed = tuple[int, Citation]  # with the number of the text it belongs to


def read_citations(sources: Raw, grounding: Raw, texts: list[str], *, by_part: bool) -> list[Placed]:
    """Return all references of an answer. `texts` are those of its blocks in order, empty for other blocks."""
    raw_texts = [text.encode() for text in texts]
    found: list[Placed] = []
    metadata = maybe_fields(sources) or Fields({})
    for name in _SOURCES:
        for item in items_of(metadata.raw(name)) or ():
            source = maybe_fields(item) or Fields({})
            at, span = _placed(source, raw_texts)
            url, title = source.maybe_text("uri") or "", source.maybe_text("title") or ""
            kind = CitationKind.WEB if url else CitationKind.OTHER
            found.append((at, Citation(kind, span, title=title, url=url)))
    grounds = maybe_fields(grounding) or Fields({})
    chunks = [_chunk(item) for item in items_of(grounds.raw("groundingChunks")) or ()]
    for item in items_of(grounds.raw("groundingSupports")) or ():
        support = maybe_fields(item) or Fields({})
        segment = maybe_fields(support.raw("segment")) or Fields({})
        part = segment.count("partIndex") or 0
        at, span = _placed(segment, raw_texts, part if by_part else None)
        for raw_number in items_of(support.raw("groundingChunkIndices")) or ():
            number = integer_of(raw_number)
            chunk = chunks[number] if number is not None and 0 <= number < len(chunks) else None
            if chunk is not None:
                kind, url, title = chunk
                found.append((at, Citation(kind, span, title=title, url=url)))
    return [(at, citation) for at, citation in found if at < len(texts)]


def _chunk(raw: Raw) -> tuple[CitationKind, str, str] | None:
    """Return what was found: kind, address, title; None if nobody can tell what it is."""
    chunk = maybe_fields(raw) or Fields({})
    for name, (kind, address) in _FOUND.items():
        source = maybe_fields(chunk.raw(name))
        if source is not None:
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
    last = max(first, _code_points(raw, end - before))
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

    __slots__ = ("_chunks", "_numbers", "_report", "_sources", "_supports")

    def __init__(self, report: Report) -> None:
        self._report = report
        self._sources: list[dict[str, Any]] = []
        self._supports: list[dict[str, Any]] = []
        self._chunks: list[dict[str, Any]] = []
        self._numbers: dict[tuple[str, str], int] = {}

    def add(self, citations: list[Citation], text: str, bytes_before: int, part: int | None = None) -> None:
        """Add the references of one text; `part` is its number, where the client can count parts."""
        for citation in citations:
            named = {"uri": citation.url, "title": citation.title}
            named = {name: value for name, value in named.items() if value}
            if not named:
                self._report.dropped("citations")
            elif citation.answer is None:
                self._sources.append(named)
            elif citation.kind is CitationKind.WEB:
                self._ground(citation, citation.answer, text, 0 if part else bytes_before, part)
            else:
                start, end = _bytes_of(citation.answer, text)
                self._sources.append({"startIndex": start + bytes_before, "endIndex": end + bytes_before, **named})

    def members(self) -> dict[str, object]:
        """Return the members of the candidate, none if there are no references."""
        members: dict[str, object] = {}
        if self._sources:
            members["citationMetadata"] = {"citationSources": self._sources}
        if self._supports:
            members["groundingMetadata"] = {"groundingChunks": self._chunks, "groundingSupports": self._supports}
        return members

    def _ground(self, citation: Citation, span: Span, text: str, bytes_before: int, part: int | None) -> None:
        key = (citation.url, citation.title)
        if key not in self._numbers:
            self._numbers[key] = len(self._chunks)
            self._chunks.append({"web": {"uri": citation.url, "title": citation.title}})
        start, end = _bytes_of(span, text)
        segment: dict[str, Any] = {"partIndex": part} if part else {}
        segment |= {"startIndex": start + bytes_before, "endIndex": end + bytes_before}
        cited = text[span.start : span.end]
        if cited:
            segment["text"] = cited
        self._supports.append({"segment": segment, "groundingChunkIndices": [self._numbers[key]]})


def _bytes_of(span: Span, text: str) -> tuple[int, int]:
    """Return a place in code points as one in bytes."""
    return len(text[: span.start].encode()), len(text[: span.end].encode())
