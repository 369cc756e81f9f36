"""What answers of this dialect count, and how its streams end."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar_fast.dialects.dialect import StreamFault, Usage
from busbar_fast.dialects.gemini.watch import StreamWatch, new_watch
from busbar_fast.dialects.watching import CAP_BYTES, DocumentWatch
from tests.dialects.watches import DOCUMENT, EVENTS, Said, counted, documents_of, fed
from tests.wire.twins import cut_at, every_cut

PROPERTY = settings(derandomize=True, deadline=None, max_examples=150)
NAMES = (
    "promptTokenCount",
    "cachedContentTokenCount",
    "toolUsePromptTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
)


def document(counts: object, text: str = 'M\u00e4rz \U0001f642 \\ "usageMetadata":{"promptTokenCount":9}') -> bytes:
    """Return an answer with these counts."""
    answer: dict[str, Any] = {
        "candidates": [{"content": {"role": "model", "parts": [{"text": text, "usageMetadata": {"x": 1}}]}}],
        "usageMetadata": counts,
        "modelVersion": "m",
    }
    return json.dumps(answer, ensure_ascii=False).encode()


def events(*documents: bytes, line_end: bytes = b"\r\n") -> bytes:
    """Return documents as a stream."""
    return b"".join(b"data: %b%b%b" % (raw, line_end, line_end) for raw in documents)


def usage_by_the_book(documents: list[Any]) -> Usage | None:
    """Return the usage of decoded documents, as section 12 of the chapter reads it."""
    last: dict[str, int] = {}
    for found in documents:
        counts = found.get("usageMetadata") if isinstance(found, dict) else None
        for name in NAMES:
            value = counts.get(name) if isinstance(counts, dict) else None
            if type(value) is int and 0 <= value < 10**18:
                last[name] = value
    if not last:
        return None
    prompt, cached, tools, answer, thoughts = (last.get(name, 0) for name in NAMES)
    fresh = max(0, prompt - cached + tools)
    return Usage(fresh + cached, answer + thoughts)


def stream_twin(stream: bytes) -> Said:
    """Return what a stream says by way of its documents."""
    found = [document for _, document in documents_of(stream)]
    said = Said(usage_by_the_book(found))
    for fields, document in documents_of(stream):
        if not isinstance(document, dict):
            continue
        if isinstance(document.get("error"), dict) and said.fault is None:
            said = said._replace(fault=StreamFault("", fields.payload or b""))
        candidates, feedback = document.get("candidates"), document.get("promptFeedback")
        reasons = [one.get("finishReason") for one in candidates or [] if isinstance(one, dict)]
        reasons.append(feedback.get("blockReason") if isinstance(feedback, dict) else None)
        is_end = any(isinstance(reason, str) and reason for reason in reasons)
        said = said._replace(has_ended=said.has_ended or is_end)
    return said


FULL = {
    "promptTokenCount": 21,
    "cachedContentTokenCount": 5,
    "toolUsePromptTokenCount": 3,
    "candidatesTokenCount": 17,
    "thoughtsTokenCount": 6,
    "totalTokenCount": 47,
    "trafficType": "ON_DEMAND",
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 21}],
}


def finishing(reason: object, text: str = "tide") -> dict[str, object]:
    """Return an event with such a finish reason."""
    return {"candidates": [{"content": {"parts": [{"text": text}]}, "index": 0}, {"finishReason": reason, "index": 1}]}


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        (FULL, Usage(24, 23)),
        ({"promptTokenCount": 9, "candidatesTokenCount": 4}, Usage(9, 4)),
        ({"promptTokenCount": 9}, Usage(9, 0)),
        ({"thoughtsTokenCount": 9}, Usage(0, 9)),
        ({"promptTokenCount": 3, "cachedContentTokenCount": 8}, Usage(8, 0)),
        ({"promptTokenCount": 0}, Usage(0, 0)),
        ({"trafficType": "ON_DEMAND"}, None),
        ({}, None),
        (None, None),
        ([1], None),
        ("x", None),
        (7, None),
        ({"promptTokenCount": -1, "candidatesTokenCount": 2}, Usage(0, 2)),
        ({"promptTokenCount": "5", "candidatesTokenCount": 2}, Usage(0, 2)),
        ({"promptTokenCount": 5.0, "candidatesTokenCount": 2}, Usage(0, 2)),
        ({"promptTokenCount": None, "candidatesTokenCount": 2}, Usage(0, 2)),
        ({"promptTokenCount": [5], "candidatesTokenCount": 2}, Usage(0, 2)),
        ({"promptTokenCount": 10**18, "candidatesTokenCount": 2}, Usage(0, 2)),
    ],
)
def test_counts_are_read_as_the_chapter_says(counts: object, usage: Usage | None) -> None:
    """Gemini cases 51 and 52: thoughts are output, cached and tool tokens are input, odd values are passed over."""
    raw = document(counts)
    assert counted(new_watch(DOCUMENT), [raw]) == usage
    assert fed(new_watch(EVENTS), [events(raw)]).usage == usage
    assert usage_by_the_book([json.loads(raw)]) == usage


def test_type_chooses_the_watch() -> None:
    """An event stream is told by its type, everything else is read as one document."""
    assert type(new_watch(EVENTS)) is StreamWatch
    assert type(new_watch(DOCUMENT)) is DocumentWatch


def test_document_cut_anywhere_counts_the_same() -> None:
    """However the pieces fall, the counts are the same."""
    for pieces in every_cut(document(FULL)):
        assert counted(new_watch(DOCUMENT), pieces) == Usage(24, 23)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_stream_cut_anywhere_says_the_same(line_end: bytes) -> None:
    """However the pieces fall and the lines end, the counts are the same and the end is seen."""
    counts = ({"promptTokenCount": 9}, FULL, {"trafficType": "X"})
    parts = [document(each, "\U0001f642") for each in counts]
    parts.append(json.dumps(finishing("STOP")).encode())
    stream = events(*parts, line_end=line_end)
    assert stream_twin(stream) == (Usage(24, 23), True, None)
    for pieces in every_cut(stream):
        assert fed(new_watch(EVENTS), pieces) == (Usage(24, 23), True, None)


def test_last_value_of_each_count_stands() -> None:
    """Gemini case 53: an event with part of the counts leaves the others as they were."""
    first = document({"promptTokenCount": 9, "candidatesTokenCount": 1})
    second = document({"candidatesTokenCount": 4, "promptTokenCount": None})
    stream = events(first, second, document({"trafficType": "X"}))
    assert fed(new_watch(EVENTS), [stream]).usage == Usage(9, 4)


@pytest.mark.parametrize(
    ("found", "has_ended", "is_fault"),
    [
        (finishing("STOP"), True, False),
        (finishing("SOMETHING_NEW"), True, False),
        (finishing(None), False, False),
        (finishing(""), False, False),
        (finishing(1), False, False),
        (finishing(None, '{"finishReason":"STOP"}'), False, False),
        ({"promptFeedback": {"blockReason": "SAFETY"}}, True, False),
        ({"promptFeedback": {"safetyRatings": []}}, False, False),
        ({"promptFeedback": None, "candidates": None}, False, False),
        ({"finishReason": "STOP"}, False, False),
        ({"error": {"code": 503, "message": "x", "status": "UNAVAILABLE"}}, False, True),
        ({"error": "x"}, False, False),
        ({"candidates": [{"error": {}}]}, False, False),
    ],
)
def test_ends_and_errors_are_seen(found: object, has_ended: bool, is_fault: bool) -> None:
    """Gemini case 57 and reliability §9: a reason ends a stream, an error in it spoils it, and texts do neither."""
    raw = json.dumps(found, separators=(",", ":")).encode()
    for stream in (
        events(document({}), raw),
        events(raw, b"[DONE]", line_end=b"\n"),
        events(json.dumps(found).encode()),
    ):
        said = stream_twin(stream)
        assert (said.has_ended, said.fault is not None) == (has_ended, is_fault)
        for pieces in every_cut(stream):
            assert fed(new_watch(EVENTS), pieces) == said


def test_large_event_is_counted() -> None:
    """An event with a picture in it is not kept, its counts are read, and it may have been the last."""
    picture = document(FULL, "x" * (4 * CAP_BYTES))
    before, behind = document({"promptTokenCount": 2}), document({"candidatesTokenCount": 3})
    for step in (1000, CAP_BYTES, 10**7):
        stream = events(before, picture, behind)
        said = fed(new_watch(EVENTS), cut_at(stream, list(range(0, len(stream), step))))
        assert said == (Usage(24, 9), True, None)


@pytest.mark.parametrize(
    "odd", [b'{"usageMetadata":{"x":' + b"[" * 127 + b"]" * 127 + b"}}", b'{"usageMetadata":{"promptTokenCount" 1}}']
)
def test_odd_counts_are_not_read(odd: bytes) -> None:
    """An object nested beyond reason, or one that breaks the grammar, is passed over."""
    assert counted(new_watch(DOCUMENT), [odd]) is None
    assert fed(new_watch(EVENTS), [events(odd)]) == Said()


COUNTS = st.dictionaries(
    st.sampled_from((*NAMES, "totalTokenCount", "trafficType", "other")),
    st.one_of(
        st.integers(-5, 10**19), st.none(), st.booleans(), st.text(max_size=3), st.floats(allow_nan=False), st.just([1])
    ),
    max_size=6,
)
DOCUMENTS = st.builds(
    lambda counts, text, indent: json.dumps(
        {"text": text, "usageMetadata": counts, "rest": [counts]}, ensure_ascii=False, indent=indent
    ).encode("utf-8", "replace"),
    st.one_of(COUNTS, COUNTS, st.none(), st.integers()),
    st.text(max_size=12),
    st.sampled_from([None, None, 1]),
)
CUTS = st.lists(st.integers(0, 600), max_size=6)


EXTRAS = st.sampled_from(
    [{}, finishing("STOP"), finishing(None), {"error": {"code": 1}}, {"promptFeedback": {"blockReason": "OTHER"}}]
)


@given(DOCUMENTS, CUTS)
@PROPERTY
def test_documents_agree_with_the_book(raw: bytes, cuts: list[int]) -> None:
    """A watch counts what a parser finds, however the document is cut."""
    assert counted(new_watch(DOCUMENT), cut_at(raw, cuts)) == usage_by_the_book([json.loads(raw)])


@given(
    st.lists(
        st.one_of(DOCUMENTS, EXTRAS.map(lambda found: json.dumps(found).encode()), st.binary(max_size=8)), max_size=5
    ),
    CUTS,
    st.sampled_from([b"\n", b"\r\n"]),
)
@PROPERTY
def test_streams_agree_with_the_book(documents: list[bytes], cuts: list[int], line_end: bytes) -> None:
    """A watch finds in a stream what a parser finds in its events, however the stream is cut."""
    stream = events(*(raw.replace(b"\n", b"\ndata: ") for raw in documents), line_end=line_end)
    assert fed(new_watch(EVENTS), cut_at(stream, cuts)) == stream_twin(stream)


@given(st.lists(st.binary(max_size=40), max_size=6), st.sampled_from([DOCUMENT, EVENTS]))
@PROPERTY
def test_no_bytes_raise(pieces: list[bytes], content_type: bytes) -> None:
    """Whatever an upstream sends, a watch only looks."""
    assert fed(new_watch(content_type), [b'data: {"usageMetadata":', *pieces]).usage is None or pieces
