"""References as the vendor's two dialects write them: annotations of a text, each a URL and what of it rests on it."""

from collections.abc import Iterable

from msgspec import Raw

from busbar_fast.dialects.members import Members, object_of
from busbar_fast.ir.blocks import Citation, CitationKind, Span
from busbar_fast.ir.report import Report


def read_annotations(raws: Iterable[Raw], owner: str) -> list[Citation]:
    """Read annotations; some hosts write them without the inner object."""
    found = []
    for raw in raws:
        outer = object_of(raw, "annotations")
        members = outer.maybe_object("url_citation") or outer
        url = members.maybe_text("url") or ""
        if url:
            title = members.maybe_text("title") or ""
            found.append(Citation(CitationKind.WEB, _span(members), title=title, url=url, raw=raw, owner=owner))
    return found


def annotations_of(citations: Iterable[Citation], offset: int, length: int, report: Report) -> list[dict[str, object]]:
    """Return annotations, without their type, of a text of this length behind so many characters of its message.

    A reference that does not say which part rests on it goes for the whole text.
    """
    found: list[dict[str, object]] = []
    for citation in citations:
        if not citation.url:
            report.dropped("citations")
            continue
        start, end = (0, length) if citation.answer is None else (citation.answer.start, citation.answer.end)
        found.append(
            {
                "url": citation.url,
                "title": citation.title or citation.url,
                "start_index": offset + start,
                "end_index": offset + end,
            }
        )
    return found


def _span(members: Members) -> Span | None:
    start, end = members.integer("start_index"), members.integer("end_index")
    return None if start is None or end is None else Span(start, end)
