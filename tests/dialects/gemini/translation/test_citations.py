"""References: bytes there, code points here."""

from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.dialects.gemini.translation.citations import CitationSheet, read_citations
from busbar_fast.ir.blocks import NOTHING, Citation, CitationKind, Span
from busbar_fast.ir.report import Report
from tests.dialects.gemini.translation.turns import lost, raw

WEB = CitationKind.WEB
A = "https://a.test"


def plain(*sources: object, texts: list[str]) -> list[tuple[int, Citation]]:
    """Return plain references."""
    return read_citations(raw({"citationSources": sources}), NOTHING, texts, by_part=True)


def found(chunks: list[object], supports: list[object], texts: list[str], *, by_part: bool) -> list[object]:
    """Return references to what a search has found."""
    grounding = raw({"groundingChunks": chunks, "groundingSupports": supports})
    return list(read_citations(NOTHING, grounding, texts, by_part=by_part))


def test_plain_places_count_over_all_texts() -> None:
    """A place belongs to the text that holds its start; odd ones are brought into it (gemini.md section 10)."""
    texts = ["\u00e4b", "", "cd"]
    places = [
        (plain({"endIndex": 2, "uri": A}, texts=texts), 0, Span(0, 1, "\u00e4")),
        (plain({"startIndex": 3, "endIndex": 4, "uri": A}, texts=texts), 2, Span(0, 1, "c")),
        (plain({"startIndex": 1, "endIndex": 3, "uri": A}, texts=texts), 0, Span(0, 2, "\u00e4b")),
        (plain({"startIndex": 2, "endIndex": 99, "uri": A}, texts=texts), 0, Span(1, 2, "b")),
        (plain({"startIndex": 99, "endIndex": 1, "uri": A}, texts=texts), 2, Span(2, 2, "")),
        (plain({"uri": A}, texts=texts), 0, None),
    ]
    for citations, at, span in places:
        assert citations == [(at, Citation(WEB, span, url=A))]


def test_plain_references_have_two_names() -> None:
    """The vendor's cloud has another one; what has no address is of some other kind."""
    metadata = raw({"citations": [{"endIndex": 1, "title": "T"}, 1]})
    assert read_citations(metadata, NOTHING, ["a"], by_part=True) == [
        (0, Citation(CitationKind.OTHER, Span(0, 1, "a"), title="T")),
        (0, Citation(CitationKind.OTHER)),
    ]


def test_references_without_texts_are_none() -> None:
    """There is nothing they could stand for."""
    assert plain({"endIndex": 1, "uri": A}, texts=[]) == []
    assert plain({"endIndex": 1, "uri": A}, texts=["", ""]) == []


def test_what_was_found_counts_in_its_part() -> None:
    """One reference for each pair of a place and a source (gemini.md case 61)."""
    chunks: list[object] = [
        {"web": {"uri": A, "title": "A"}},
        {"retrievedContext": {"title": "doc"}},
        {"maps": {"uri": A}},
        {"soon": {}},
        1,
    ]
    supports: list[object] = [
        {"segment": {"partIndex": 1, "startIndex": 1, "endIndex": 2}, "groundingChunkIndices": [0, 1, 2, 3, 4, 5, "x"]},
        {"segment": {"partIndex": 7, "endIndex": 2}, "groundingChunkIndices": [0]},
        {"groundingChunkIndices": [0]},
        1,
    ]
    span = Span(1, 2, "b")
    assert found(chunks, supports, ["x", "ab"], by_part=True) == [
        (1, Citation(WEB, span, title="A", url=A)),
        (1, Citation(CitationKind.DOCUMENT, span, title="doc")),
        (1, Citation(WEB, span, url=A)),
        (0, Citation(WEB, title="A", url=A)),
    ]


def test_in_a_stream_it_counts_over_all_texts() -> None:
    """Parts of a stream cannot be counted."""
    supports: list[object] = [{"segment": {"startIndex": 1, "endIndex": 2}, "groundingChunkIndices": [0]}]
    assert found([{"web": {"uri": A}}], supports, ["x", "ab"], by_part=False) == [
        (1, Citation(WEB, Span(0, 1, "a"), url=A))
    ]


def test_references_without_a_place_are_plain() -> None:
    """Those that name nothing are noted."""
    report = Report()
    sheet = CitationSheet(report)
    sheet.add([Citation(WEB, url=A), Citation(CitationKind.DOCUMENT, Span(0, 1))], "ab", 0)
    assert sheet.members() == {"citationMetadata": {"citationSources": [{"uri": A}]}}
    assert lost(report) == [("dropped", "citations")]
    assert CitationSheet(report).members() == {}


def test_a_source_is_named_once() -> None:
    """Each place that rests on it points at it."""
    sheet = CitationSheet(Report())
    sheet.add([Citation(WEB, Span(0, 1), url=A), Citation(WEB, Span(1, 1), url=A)], "ab", 0, 1)
    assert sheet.members() == {
        "groundingMetadata": {
            "groundingChunks": [{"web": {"uri": A}}],
            "groundingSupports": [
                {
                    "segment": {"partIndex": 1, "startIndex": 0, "endIndex": 1, "text": "a"},
                    "groundingChunkIndices": [0],
                },
                {"segment": {"partIndex": 1, "startIndex": 1, "endIndex": 1}, "groundingChunkIndices": [0]},
            ],
        }
    }


@given(st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=4), st.integers(0, 3))
def test_places_come_back(texts: list[str], which: int) -> None:
    """What is written is read again, plain or found, over several texts (gemini.md case 60)."""
    at = which % len(texts)
    before = sum(len(text.encode()) for text in texts[:at])
    span = Span(0, len(texts[at]), texts[at])
    citations = [Citation(WEB, span, url=A), Citation(CitationKind.OTHER, span, title="T")]
    for part in (None, at):
        sheet = CitationSheet(Report())
        sheet.add(citations, texts[at], before, part)
        written = sheet.members()
        sources, grounding = raw(written["citationMetadata"]), raw(written["groundingMetadata"])
        read_back = read_citations(sources, grounding, texts, by_part=part is not None)
        assert sorted(citation.kind for _, citation in read_back) == [WEB, CitationKind.OTHER]
        assert [(number, citation.answer) for number, citation in read_back] == [(at, span)] * 2
