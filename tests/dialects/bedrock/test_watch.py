"""What answers of this dialect count, and how its streams of binary frames end."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar_fast.aws.eventstream import FrameGarbled, FrameReader, Kind, encode_error, encode_event, encode_exception
from busbar_fast.dialects.bedrock.watch import FrameWatch, new_watch
from busbar_fast.dialects.dialect import StreamFault, Usage
from busbar_fast.dialects.watching import CAP_BYTES, DocumentWatch
from tests.dialects.watches import Said, fed
from tests.wire.twins import cut_at, every_cut

PROPERTY = settings(derandomize=True, deadline=None, max_examples=150)
FRAMES = b"application/vnd.amazon.eventstream"
DOCUMENT = b"application/json"
NAMES = (
    "inputTokens",
    "outputTokens",
    "cacheReadInputTokens",
    "cacheWriteInputTokens",
    "cacheReadInputTokenCount",
    "cacheWriteInputTokenCount",
)
FULL = {
    "inputTokens": 52,
    "outputTokens": 31,
    "totalTokens": 123,
    "cacheReadInputTokens": 30,
    "cacheWriteInputTokens": 10,
    "cacheDetails": [{"ttl": "1h", "inputTokens": 10}],
}
METADATA = json.dumps({"usage": FULL, "metrics": {"latencyMs": 902}, "p": "abc"}).encode()


def document(usage: object, text: str = 'M\u00e4rz \U0001f642 \\ "usage":{"inputTokens":9}') -> bytes:
    """Return an answer with this usage."""
    answer: dict[str, Any] = {
        "output": {"message": {"role": "assistant", "content": [{"text": text}], "usage": {"inputTokens": 1}}},
        "stopReason": "end_turn",
        "usage": usage,
        "metrics": {"latencyMs": 318},
    }
    return json.dumps(answer, ensure_ascii=False).encode()


def metadata(usage: object) -> bytes:
    """Return the frame that tells this usage."""
    return encode_event("metadata", json.dumps({"usage": usage, "metrics": {"latencyMs": 1}}).encode())


def delta(text: str) -> bytes:
    """Return a frame with text in it."""
    return encode_event("contentBlockDelta", json.dumps({"contentBlockIndex": 0, "delta": {"text": text}}).encode())


def usage_of(content_type: bytes, *pieces: bytes) -> Usage | None:
    """Return what a watch counts in these pieces."""
    return fed(new_watch(content_type), pieces).usage


def usage_by_the_book(found: object) -> Usage | None:
    """Return the usage of a decoded document, as the chapter reads it."""
    counts = found.get("usage") if isinstance(found, dict) else None
    if not isinstance(counts, dict):
        return None
    sane = {
        name: counts[name] for name in NAMES if type(counts.get(name)) is int and 0 <= counts.get(name, -1) < 10**18
    }
    if not sane:
        return None
    read = sane.get("cacheReadInputTokens", sane.get("cacheReadInputTokenCount", 0))
    write = sane.get("cacheWriteInputTokens", sane.get("cacheWriteInputTokenCount", 0))
    return Usage(sane.get("inputTokens", 0) + read + write, sane.get("outputTokens", 0))


def frames_by_the_book(stream: bytes) -> Said:
    """Return what the whole frames of a stream say, up to the first broken one."""
    reader = FrameReader()
    reader.feed(stream)
    said = Said()
    try:
        while (frame := reader.maybe_next()) is not None:
            if frame.kind is not Kind.EVENT:
                name = frame.exception_name or frame.text(":error-code")
                said = said._replace(fault=said.fault or StreamFault(name, frame.payload))
            elif frame.event_type == "metadata":
                usage = usage_by_the_book(json.loads(frame.payload)) or said.usage
                said = said._replace(usage=usage, has_ended=True)
            elif frame.event_type == "messageStop":
                said = said._replace(has_ended=True)
    except FrameGarbled:
        return said
    return said


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (FULL, Usage(92, 31)),
        ({"inputTokens": 52, "outputTokens": 9, "totalTokens": 61}, Usage(52, 9)),
        ({"inputTokens": 0, "outputTokens": 0, "cacheReadInputTokens": 900}, Usage(900, 0)),
        ({"inputTokens": 1, "cacheReadInputTokenCount": 5, "cacheWriteInputTokenCount": 7}, Usage(13, 0)),
        ({"cacheReadInputTokens": 5, "cacheReadInputTokenCount": 5}, Usage(5, 0)),
        ({"cacheReadInputTokens": None, "cacheReadInputTokenCount": 5}, Usage(5, 0)),
        ({"outputTokens": 4}, Usage(0, 4)),
        ({"totalTokens": 4}, None),
        ({}, None),
        (None, None),
        ([1], None),
        ("x", None),
        ({"inputTokens": -1, "outputTokens": 2}, Usage(0, 2)),
        ({"inputTokens": "5", "outputTokens": 2}, Usage(0, 2)),
        ({"inputTokens": 5.0, "outputTokens": 2}, Usage(0, 2)),
        ({"inputTokens": 10**18, "outputTokens": 2}, Usage(0, 2)),
    ],
)
def test_counts_are_read_as_the_chapter_says(usage: object, expected: Usage | None) -> None:
    """Bedrock cases 36, 37 and 46: what the cache read and took is input, in either spelling."""
    assert usage_of(DOCUMENT, document(usage)) == expected
    assert usage_of(FRAMES, metadata(usage)) == expected
    assert usage_by_the_book(json.loads(document(usage))) == expected


@pytest.mark.parametrize("content_type", [FRAMES, b" Application/Vnd.Amazon.EventStream; x=y"])
def test_streams_are_told_by_their_type(content_type: bytes) -> None:
    """A parameter or another case does not hide a stream."""
    assert isinstance(new_watch(content_type), FrameWatch)


@pytest.mark.parametrize("content_type", [DOCUMENT, b"application/json; charset=UTF-8", b"", b"text/event-stream"])
def test_everything_else_is_a_document(content_type: bytes) -> None:
    """What is no stream is read as one document."""
    assert isinstance(new_watch(content_type), DocumentWatch)


def test_a_document_may_be_cut_anywhere() -> None:
    """However the pieces fall, the counts are the same."""
    for pieces in every_cut(document(FULL)):
        assert usage_of(DOCUMENT, *pieces) == Usage(92, 31)


def test_a_stream_may_be_cut_anywhere() -> None:
    """Bedrock case 54: however the pieces fall, the usage is found."""
    stop = encode_event("messageStop", b'{"stopReason":"end_turn"}')
    stream = delta("\U0001f642") + stop + encode_event("metadata", METADATA)
    for pieces in every_cut(stream):
        assert fed(new_watch(FRAMES), pieces) == (Usage(92, 31), True, None)


def test_only_the_metadata_event_tells_the_usage() -> None:
    """What looks like usage in other events, in exceptions or in errors is none."""
    noise = (
        encode_event("contentBlockDelta", METADATA)
        + encode_exception("metadata", METADATA)
        + encode_error("metadata", "x")
        + encode_event("future", b"not json")
    )
    assert usage_of(FRAMES, noise) is None
    assert usage_of(FRAMES, noise + metadata(FULL) + noise) == Usage(92, 31)


@pytest.mark.parametrize(
    ("frame", "has_ended", "fault"),
    [
        (encode_event("messageStart", b"{}"), False, None),
        (encode_event("contentBlockStop", b'{"p":"messageStop"}'), False, None),
        (delta(":event-type messageStop throttlingException"), False, None),
        (encode_event("messageStop", b'{"stopReason":"end_turn"}'), True, None),
        (encode_event("metadata", b"{}"), True, None),
        (
            encode_exception("throttlingException", b'{"message":"slow"}'),
            False,
            ("throttlingException", b'{"message":"slow"}'),
        ),
        (encode_exception("contentBlockDelta", b"x"), False, ("contentBlockDelta", b"x")),
        (encode_error("InternalError", "gone"), False, ("InternalError", b"")),
    ],
)
def test_ends_and_errors_are_seen(frame: bytes, has_ended: bool, fault: tuple[str, bytes] | None) -> None:
    """Bedrock case 51 and reliability §9: a stop ends a stream, exceptions and errors spoil it, texts do neither."""
    for stream in (frame, delta("tide") + frame + delta("tide"), frame + encode_exception("later", b"")):
        wanted = fault or (("later", b"") if stream.endswith(encode_exception("later", b"")) else None)
        for pieces in every_cut(stream):
            assert fed(new_watch(FRAMES), pieces) == (None, has_ended, wanted)


def test_frames_that_only_carry_text_are_passed_over() -> None:
    """Most of a stream is text, and is not even checked; what stands between is read wherever the pieces end."""
    stream = delta("high") + metadata({"inputTokens": 2}) + delta("water")
    watch = new_watch(FRAMES)
    last = delta("tide")
    for piece, is_between in ((b"", True), (stream, True), (last[:-1], False), (last[-1:] + b"\x00", False)):
        watch.feed(piece)
        assert watch.is_between is is_between
    assert watch.maybe_usage() == Usage(2, 0)


def test_frames_are_told_by_their_heads() -> None:
    """Whoever passes frames on knows a whole one by its length, and one that counts tokens by its sign."""
    frame = metadata(FULL)
    watch = new_watch(FRAMES)
    assert frame.startswith(watch.unit_head(len(frame)))
    assert watch.sign in frame
    assert watch.sign not in delta("tide")
    assert watch.ends == (b"",)


def test_broken_text_does_not_end_the_reading() -> None:
    """A frame of text with a bad checksum is the client's to judge."""
    broken = bytearray(delta("tide"))
    broken[-1] ^= 1
    assert usage_of(FRAMES, bytes(broken) + metadata(FULL)) == Usage(92, 31)


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b"nonsense", b'{"usage":', b'{"usage":{"inputTokens" 1}}'])
def test_a_frame_without_usage_changes_nothing(payload: bytes) -> None:
    """Bedrock case 48: metadata without usage, or with a payload that is no document, is passed over."""
    broken = encode_event("metadata", payload)
    assert usage_of(FRAMES, broken) is None
    assert usage_of(FRAMES, metadata(FULL) + broken) == Usage(92, 31)
    assert usage_of(FRAMES, broken + metadata(FULL)) == Usage(92, 31)


def test_the_last_frame_stands() -> None:
    """Bedrock case 47: a doubled end is not counted twice."""
    assert usage_of(FRAMES, metadata(FULL) + metadata({"inputTokens": 3})) == Usage(3, 0)


@pytest.mark.parametrize("spoiled_at", [0, 2, 5, 9, 20, -1])
def test_nothing_behind_a_broken_frame_is_read(spoiled_at: int) -> None:
    """Bedrock case 55: a length or a checksum that is wrong ends the reading, what was found stays."""
    broken = bytearray(metadata({"inputTokens": 3}))
    broken[spoiled_at] ^= 0x40
    stream = metadata(FULL) + bytes(broken) + metadata({"inputTokens": 4})
    for pieces in every_cut(stream):
        assert usage_of(FRAMES, *pieces) == Usage(92, 31)


@pytest.mark.parametrize("length", [0, 3, 15])
def test_a_frame_shorter_than_a_frame_ends_the_reading(length: int) -> None:
    """No length makes the watch stand still."""
    assert usage_of(FRAMES, length.to_bytes(4, "big"), metadata(FULL)) is None


def test_the_smallest_frame_is_passed_over() -> None:
    """An empty frame is a frame."""
    assert usage_of(FRAMES, bytes.fromhex("000000100000000005c248eb7d98c8ff") + metadata(FULL)) == Usage(92, 31)


@pytest.mark.parametrize("piece_bytes", [1, 1000, CAP_BYTES, 5 * CAP_BYTES])
def test_a_frame_of_great_size_is_ignored_and_the_rest_is_read(piece_bytes: int) -> None:
    """A large frame is passed over without being kept, and the frames around it are read."""
    size = 4 * CAP_BYTES if piece_bytes > 1 else CAP_BYTES
    stream = metadata({"inputTokens": 2}) + delta("x" * size) + metadata({"outputTokens": 3})
    pieces = [stream[at : at + piece_bytes] for at in range(0, len(stream), piece_bytes)]
    assert usage_of(FRAMES, *pieces) == Usage(0, 3)
    assert usage_of(FRAMES, stream[:-100]) == Usage(2, 0)


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"nonsense", b'{"usage":', b'{"usage":{"inputTokens":1', b"[" * 200, b"\xff"]
)
def test_a_document_that_is_none_has_no_usage(raw: bytes) -> None:
    """Garbage and half documents count nothing and raise nothing."""
    for pieces in every_cut(raw):
        assert usage_of(DOCUMENT, *pieces, b"more") is None


def test_what_comes_after_garbage_does_not_count() -> None:
    """Once a document has turned out to be none, nothing in it is believed."""
    assert usage_of(DOCUMENT, b"{]", document(FULL)) is None


def test_odd_counts_are_not_read() -> None:
    """An object nested beyond reason, or one that breaks the grammar, is passed over."""
    deep = b'{"usage":{"x":' + b"[" * 127 + b"]" * 127 + b',"inputTokens":1}}'
    for raw in (deep, b'{"usage":{"inputTokens" 1}}'):
        assert usage_of(DOCUMENT, raw) is None
        assert usage_of(FRAMES, encode_event("metadata", raw)) is None


def test_the_last_of_several_members_stands() -> None:
    """A doubled member is read as any parser would."""
    raw = b'{"usage":{"inputTokens":1},"usage":{"outputTokens":2}}'
    for pieces in every_cut(raw):
        assert usage_of(DOCUMENT, *pieces) == Usage(0, 2)
    assert usage_of(FRAMES, encode_event("metadata", raw)) == Usage(0, 2)


def test_a_large_document_is_read() -> None:
    """Bedrock case 64: an answer of any size is metered, whatever the size of the pieces."""
    raw = document(FULL, "x" * 2**20)
    for piece_bytes in (1000, CAP_BYTES, len(raw) - 100, len(raw)):
        pieces = [raw[at : at + piece_bytes] for at in range(0, len(raw), piece_bytes)]
        assert usage_of(DOCUMENT, *pieces) == Usage(92, 31)


COUNTS = st.dictionaries(
    st.sampled_from((*NAMES, "totalTokens", "other")),
    st.one_of(
        st.integers(-5, 10**19), st.none(), st.booleans(), st.text(max_size=3), st.floats(allow_nan=False), st.just([1])
    ),
    max_size=6,
)
DOCUMENTS = st.builds(
    lambda counts, text, indent: json.dumps(
        {"text": text, "usage": counts, "rest": [counts]}, ensure_ascii=False, indent=indent
    ).encode("utf-8", "replace"),
    st.one_of(COUNTS, COUNTS, st.none(), st.integers()),
    st.text(max_size=12),
    st.sampled_from([None, None, 1]),
)
CUTS = st.lists(st.integers(0, 900), max_size=6)


@given(DOCUMENTS, CUTS)
@PROPERTY
def test_documents_agree_with_the_book(raw: bytes, cuts: list[int]) -> None:
    """A watch finds what a parser finds, however the document is cut."""
    assert usage_of(DOCUMENT, *cut_at(raw, cuts)) == usage_by_the_book(json.loads(raw))


@given(
    st.lists(
        st.one_of(
            DOCUMENTS.map(lambda raw: encode_event("metadata", raw)),
            DOCUMENTS.map(lambda raw: encode_event("messageStop", raw)),
            st.text(max_size=9).map(delta),
            st.sampled_from([b"", b'{"message":"x"}']).map(lambda raw: encode_exception("throttlingException", raw)),
            st.just(encode_error("InternalError", "x")),
            st.binary(max_size=20),
        ),
        max_size=5,
    ).map(b"".join),
    CUTS,
)
@PROPERTY
def test_streams_agree_with_the_book(stream: bytes, cuts: list[int]) -> None:
    """A watch finds in a stream what a reader finds in its frames, however the stream is cut."""
    assert fed(new_watch(FRAMES), cut_at(stream, cuts)) == frames_by_the_book(stream)


@given(st.lists(st.binary(max_size=40), max_size=6), st.sampled_from([DOCUMENT, FRAMES]))
@PROPERTY
def test_no_bytes_raise(pieces: list[bytes], content_type: bytes) -> None:
    """Whatever an upstream sends, a watch only looks."""
    assert usage_of(content_type, b"\x00\x00\x00", *pieces) is None
