"""Counts found in answers that go by."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar_fast.dialects.dialect import Usage
from busbar_fast.dialects.gemini.usage import CAP_BYTES, DocumentTap, EventsTap, new_tap
from tests.wire.twins import cut_at, events_by_the_book, every_cut

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


def usage_of(content_type: bytes, *pieces: bytes) -> Usage | None:
    """Return what a tap finds in these pieces."""
    tap = new_tap(content_type)
    for piece in pieces:
        tap.feed(piece)
    return tap.maybe_usage()


def usage_by_the_book(documents: list[Any]) -> Usage | None:
    """Return the usage of decoded documents, as section 12 of the chapter reads it."""
    last: dict[str, int] = {}
    for found in documents:
        counts = found.get("usageMetadata") if isinstance(found, dict) else None
        for name in NAMES:
            value = counts.get(name) if isinstance(counts, dict) else None
            if type(value) is int and 0 <= value < 10**15:
                last[name] = value
    if not last:
        return None
    prompt, cached, tools, answer, thoughts = (last.get(name, 0) for name in NAMES)
    fresh = max(0, prompt - cached + tools)
    return Usage(fresh + cached, answer + thoughts)


def decoded(raw: bytes) -> Any:
    """Return a document, None if it is none."""
    try:
        return json.loads(raw)
    except ValueError:
        return None


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
        ({"promptTokenCount": 10**15, "candidatesTokenCount": 2}, Usage(0, 2)),
    ],
)
def test_counts_are_read_as_the_chapter_says(counts: object, usage: Usage | None) -> None:
    """Gemini cases 51 and 52: thoughts are output, cached and tool tokens are input, odd values are passed over."""
    raw = document(counts)
    assert usage_of(b"application/json", raw) == usage
    assert usage_of(b"text/event-stream", events(raw)) == usage
    assert usage_by_the_book([json.loads(raw)]) == usage


@pytest.mark.parametrize("content_type", [b"text/event-stream", b"Text/Event-Stream; charset=utf-8"])
def test_streams_are_told_by_their_type(content_type: bytes) -> None:
    """A parameter or another case does not hide a stream."""
    assert isinstance(new_tap(content_type), EventsTap)


@pytest.mark.parametrize("content_type", [b"application/json", b"application/json; charset=UTF-8", b"", b"text/plain"])
def test_everything_else_is_a_document(content_type: bytes) -> None:
    """What is no stream is read as one document."""
    assert isinstance(new_tap(content_type), DocumentTap)


def test_a_document_may_be_cut_anywhere() -> None:
    """However the pieces fall, the counts are the same."""
    for pieces in every_cut(document(FULL)):
        assert usage_of(b"application/json", *pieces) == Usage(24, 23)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_a_stream_may_be_cut_anywhere(line_end: bytes) -> None:
    """However the pieces fall and the lines end, the counts are the same."""
    counts = ({"promptTokenCount": 9}, FULL, {"trafficType": "X"})
    stream = events(*(document(each, "\U0001f642") for each in counts), line_end=line_end)
    for pieces in every_cut(stream):
        assert usage_of(b"text/event-stream", *pieces) == Usage(24, 23)


def test_the_last_value_of_each_count_stands() -> None:
    """Gemini case 53: an event with part of the counts leaves the others as they were."""
    first = document({"promptTokenCount": 9, "candidatesTokenCount": 1})
    second = document({"candidatesTokenCount": 4, "promptTokenCount": None})
    assert usage_of(b"text/event-stream", events(first, second, document({"trafficType": "X"}))) == Usage(9, 4)


def test_an_event_without_its_empty_line_counts() -> None:
    """A stream that ends early by a line is read to its end, and asking twice changes nothing."""
    tap = EventsTap()
    tap.feed(events(document({"promptTokenCount": 1})) + b"data: " + document(FULL))
    assert tap.maybe_usage() == tap.maybe_usage() == Usage(24, 23)
    tap.feed(b"\r\n\r\n" + events(document({"candidatesTokenCount": 1})))
    assert tap.maybe_usage() == Usage(24, 7)


def test_half_an_event_does_not_count() -> None:
    """What is not whole is not read."""
    assert usage_of(b"text/event-stream", events(document(FULL))[:-8]) is None


@pytest.mark.parametrize(
    "noise",
    [b"data: [DONE]\n\n", b": ping\n\n", b"event: x\n\n", b"data: [1]\n\n", b'data: {"a\n\n', b"\xff\xfe\n\n", b"\n\n"],
)
def test_noise_between_events_is_passed_over(noise: bytes) -> None:
    """What is no document does not disturb those around it."""
    stream = noise + events(document(FULL)) + noise
    for pieces in ([stream], [stream[at : at + 1] for at in range(len(stream))]):
        assert usage_of(b"text/event-stream", *pieces) == Usage(24, 23)


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"nonsense", b'{"usageMetadata":', b'{"usageMetadata":{"promptTokenCount":1', b"[" * 200, b"\xff"],
)
def test_a_document_that_is_none_has_no_usage(raw: bytes) -> None:
    """Garbage and half documents count nothing and raise nothing."""
    for pieces in every_cut(raw):
        assert usage_of(b"application/json", *pieces, b"more") is None


def test_what_comes_after_garbage_does_not_count() -> None:
    """Once a document has turned out to be none, nothing in it is believed."""
    assert usage_of(b"application/json", b"{]", document(FULL)) is None


def test_deep_counts_are_not_read() -> None:
    """An object nested beyond reason is passed over."""
    deep = b'{"usageMetadata":{"x":' + b"[" * 127 + b"]" * 127 + b',"promptTokenCount":1}}'
    assert usage_of(b"application/json", deep) is None
    assert usage_of(b"text/event-stream", events(deep)) is None


def test_broken_counts_are_not_read() -> None:
    """An object whose members break the grammar is passed over, though the document around it seems whole."""
    broken = b'{"usageMetadata":{"promptTokenCount" 1}}'
    assert usage_of(b"application/json", broken) is None
    assert usage_of(b"text/event-stream", events(broken)) is None


def test_the_last_of_several_members_stands() -> None:
    """A doubled member is read as any parser would."""
    raw = b'{"usageMetadata":{"promptTokenCount":1},"usageMetadata":{"candidatesTokenCount":2}}'
    for pieces in every_cut(raw):
        assert usage_of(b"application/json", *pieces) == Usage(0, 2)
    assert usage_of(b"text/event-stream", events(raw)) == Usage(0, 2)


@pytest.mark.parametrize("piece_bytes", [1000, CAP_BYTES, 3 * CAP_BYTES + 1])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_an_event_of_great_size_is_ignored_and_the_rest_is_read(piece_bytes: int, line_end: bytes) -> None:
    """Neither what comes before nor what comes behind a large event is lost, wherever the pieces are cut."""
    huge = document({"promptTokenCount": 10**6}, "x" * (4 * CAP_BYTES))
    before, behind = document({"promptTokenCount": 2}), document({"candidatesTokenCount": 3})
    stream = events(before, huge, behind, line_end=line_end)
    pieces = [stream[at : at + piece_bytes] for at in range(0, len(stream), piece_bytes)]
    assert usage_of(b"text/event-stream", *pieces) == Usage(2, 3)


def test_a_large_event_may_end_at_any_cut() -> None:
    """The pair of line ends behind a large event is found also when the pieces part it."""
    for line_end in (b"\n", b"\r\n"):
        start = b"data: " + b"x" * (CAP_BYTES + 1)
        rest = line_end + line_end + events(document(FULL), line_end=line_end)
        for at in range(8):
            assert usage_of(b"text/event-stream", start + rest[:at], rest[at:]) == Usage(24, 23)


def test_a_large_event_without_an_end_is_not_read() -> None:
    """Asked in the middle of a large event, a tap says what it found before."""
    tap = EventsTap()
    tap.feed(events(document(FULL)) + b"x" * (2 * CAP_BYTES))
    tap.feed(b"\ndata: " + document({"promptTokenCount": 10**6}))
    assert tap.maybe_usage() == Usage(24, 23)


def test_a_large_document_is_read() -> None:
    """The size of what stands around the counts does not matter, nor the size of a piece."""
    raw = document(FULL, "x" * (4 * CAP_BYTES))
    for piece_bytes in (1000, CAP_BYTES, len(raw) - 30, len(raw)):
        pieces = [raw[at : at + piece_bytes] for at in range(0, len(raw), piece_bytes)]
        assert usage_of(b"application/json", *pieces) == Usage(24, 23)


def test_counts_of_great_size_are_ignored() -> None:
    """An object that is too large to be kept counts nothing, and one behind it is read."""
    raw = b'{"usageMetadata":{"x":"' + b"y" * (3 * CAP_BYTES) + b'","promptTokenCount":1},"a":1'
    pieces = [raw[at : at + 1000] for at in range(0, len(raw), 1000)]
    assert usage_of(b"application/json", *pieces, b"}") is None
    assert usage_of(b"application/json", *pieces, b',"usageMetadata":{"promptTokenCount":4}}') == Usage(4, 0)


COUNTS = st.dictionaries(
    st.sampled_from((*NAMES, "totalTokenCount", "trafficType", "other")),
    st.one_of(
        st.integers(-5, 10**16), st.none(), st.booleans(), st.text(max_size=3), st.floats(allow_nan=False), st.just([1])
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


@given(DOCUMENTS, CUTS)
@PROPERTY
def test_documents_agree_with_the_book(raw: bytes, cuts: list[int]) -> None:
    """A tap finds what a parser finds, however the document is cut."""
    assert usage_of(b"application/json", *cut_at(raw, cuts)) == usage_by_the_book([json.loads(raw)])


@given(st.lists(st.one_of(DOCUMENTS, st.binary(max_size=8)), max_size=5), CUTS, st.sampled_from([b"\n", b"\r\n"]))
@PROPERTY
def test_streams_agree_with_the_book(documents: list[bytes], cuts: list[int], line_end: bytes) -> None:
    """A tap finds in a stream what a parser finds in its events, however the stream is cut."""
    stream = events(*(raw.replace(b"\n", b"\ndata: ") for raw in documents), line_end=line_end)
    whole, rest = events_by_the_book(stream)
    found = [decoded(event.payload or b"") for event in (*whole, rest)]
    assert usage_of(b"text/event-stream", *cut_at(stream, cuts)) == usage_by_the_book(found)


@given(st.lists(st.binary(max_size=40), max_size=6), st.sampled_from([b"application/json", b"text/event-stream"]))
@PROPERTY
def test_no_bytes_raise(pieces: list[bytes], content_type: bytes) -> None:
    """Whatever an upstream sends, a tap only looks."""
    assert usage_of(content_type, b'data: {"usageMetadata":', *pieces) is None or pieces
