"""References as both dialects of the vendor write them."""

from busbar_fast.dialects.openai_shared_annotations import annotations_of, read_annotations
from busbar_fast.ir.blocks import Citation, CitationKind, Span
from busbar_fast.ir.report import Report
from tests.dialects.translating import lost, raw


def test_annotations_are_read_nested_or_flat() -> None:
    """Openai case 63, responses §8: with the inner object or without, and never without a URL."""
    flat = {"type": "url_citation", "url": "https://u", "title": "T", "start_index": 1, "end_index": 2}
    nested = {"type": "url_citation", "url_citation": {"url": "https://v"}}
    one, two = read_annotations([raw(flat), raw(nested), raw({"type": "file_citation"})], "v")
    assert one == Citation(CitationKind.WEB, Span(1, 2), title="T", url="https://u", raw=raw(flat), owner="v")
    assert (two.url, two.answer) == ("https://v", None)


def test_annotations_are_placed_in_their_message() -> None:
    """Openai case 63: shifted by what stands before, the whole text where nobody said which part."""
    report = Report()
    spanned = Citation(CitationKind.WEB, Span(1, 2), url="https://u")
    found = annotations_of(
        [spanned, Citation(CitationKind.WEB, url="https://v", title="T"), Citation(CitationKind.TOOL)], 10, 5, report
    )
    assert found == [
        {"url": "https://u", "title": "https://u", "start_index": 11, "end_index": 12},
        {"url": "https://v", "title": "T", "start_index": 10, "end_index": 15},
    ]
    assert lost(report) == {("dropped", "citations")}
