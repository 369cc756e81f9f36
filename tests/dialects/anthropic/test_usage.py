"""The taps of the Messages dialect, fed whole and cut anywhere, against a slow obvious twin."""

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.dialects.anthropic.usage import CAP_BYTES, BodyTap, StreamTap, new_tap
from busbar_fast.dialects.dialect import Usage, UsageTap

BODY = (
    b'{"id":"msg_01Rk7TqW2nVhYc5uDzLpXb8G","type":"message","role":"assistant","model":"kiln-large","content":'
    b'[{"type":"text","text":"\xc3\xa9 \\"usage\\": {\\"input_tokens\\":9} \xf0\x9f\x99\x82",'
    b'"usage":{"input_tokens":8}}],"stop_reason":"end_turn","stop_sequence":null,'
    b'"usage": { "input_tokens":41,"cache_creation_input_tokens":5,'
    b'"cache_read_input_tokens":100,"cache_creation":{"ephemeral_5m_input_tokens":5},"output_tokens":38,'
    b'"output_tokens_details":{"thinking_tokens":30}, "service_tier":"standard"}}'
)
START = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_01","content":[],"usage":'
    b'{"input_tokens":41,"cache_creation_input_tokens":2,"cache_read_input_tokens":10,"output_tokens":1}}}\n\n'
)
TEXT = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta",'
    b'"text":"\xc3\xa9 usage\\" {\\"usage\\":{\\"input_tokens\\":9}} \xf0\x9f\x99\x82"}}\n\n'
)
END = (
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
    b'"usage":{"output_tokens":38}}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n'
)
PING = b'event: ping\ndata: {"type":"ping"}\n\n'
STREAM = START + PING + TEXT + END
FOUND = Usage(53, 38)


def fed(tap: UsageTap, pieces: Iterable[bytes]) -> Usage | None:
    """Return what a tap has found once the pieces went by."""
    for piece in pieces:
        tap.feed(piece)
    return tap.maybe_usage()


def cut(raw: bytes, places: Iterable[int]) -> list[bytes]:
    """Return the pieces between these places."""
    edges = [0, *sorted(min(place, len(raw)) for place in places), len(raw)]
    return [raw[start:end] for start, end in pairwise(edges)]


def event(document: object, name: bytes = b"") -> bytes:
    """Return an event that holds a document."""
    head = b"event: %b\n" % name if name else b""
    return head + b"data: " + json.dumps(document).encode() + b"\n\n"


def twin(usages: Iterable[object]) -> Usage | None:
    """Return what a decoded series of `usage` values comes to."""
    counts: dict[str, int] = {}
    for usage in usages:
        if isinstance(usage, dict):
            counts |= {name: count for name, count in usage.items() if type(count) is int and 0 <= count < 10**18}
    names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
    *inputs, output = (counts.get(name) for name in names)
    if all(count is None for count in (*inputs, output)):
        return None
    return Usage(sum(count or 0 for count in inputs), output or 0)


def body_twin(raw: bytes) -> Usage | None:
    """Return the usage of a whole answer by way of the document."""
    return twin([json.loads(raw).get("usage")])


def stream_twin(raw: bytes) -> Usage | None:
    """Return the usage of a stream by way of its documents."""
    usages: list[object] = []
    for block in raw.decode().replace("\r\n", "\n").split("\n\n"):
        lines = [line.removeprefix("data: ") for line in block.split("\n") if line.startswith("data: ")]
        try:
            document = json.loads("\n".join(lines))
        except ValueError:
            continue
        if isinstance(document, dict):
            message = document.get("message")
            usages += [message.get("usage") if isinstance(message, dict) else None, document.get("usage")]
    return twin(usages)


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        (b"text/event-stream", StreamTap),
        (b"Text/Event-Stream; charset=utf-8", StreamTap),
        (b" text/event-stream", StreamTap),
        (b"application/json", BodyTap),
        (b"", BodyTap),
    ],
)
def test_type_chooses_the_tap(content_type: bytes, kind: type[UsageTap]) -> None:
    """An event stream is told by its type, everything else is read as one document."""
    assert type(new_tap(content_type)) is kind


def test_every_split_of_a_body_gives_the_same() -> None:
    """Anthropic case 66: cut in two anywhere, or into bytes, the usage of the top level is found, parts of it added."""
    expected = Usage(146, 38)
    assert body_twin(BODY) == expected
    for place in range(len(BODY) + 1):
        assert fed(BodyTap(), cut(BODY, [place])) == expected
    assert fed(BodyTap(), cut(BODY, range(len(BODY)))) == expected


def test_a_large_body_is_read_in_full() -> None:
    """Anthropic case 66: the usage behind a mebibyte of text is found."""
    raw = b'{"content":[{"text":"%b"}],"usage":{"input_tokens":1,"output_tokens":2}}' % (b"a\\n" * 400_000)
    assert fed(BodyTap(), cut(raw, range(0, len(raw), 65_536))) == Usage(1, 2)


def test_every_split_of_a_stream_gives_the_same() -> None:
    """Anthropic case 51: with either line end, cut in two anywhere or into bytes, start and end are put together."""
    for stream in (STREAM, STREAM.replace(b"\n", b"\r\n")):
        assert stream_twin(stream) == FOUND
        for place in range(len(stream) + 1):
            assert fed(StreamTap(), cut(stream, [place])) == FOUND
        assert fed(StreamTap(), cut(stream, range(len(stream)))) == FOUND


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b'{"usage":{"input_tokens":3}}', Usage(3, 0)),
        (b'{"usage":{"output_tokens":0}}', Usage(0, 0)),
        (b'{"usage":{"cache_read_input_tokens":7,"input_tokens":null}}', Usage(7, 0)),
        (b'{"usage":{"input_tokens":999999999999999999,"output_tokens":1000000000000000000}}', Usage(10**18 - 1, 0)),
        (b'{"usage":{"input_tokens":%b}}' % (b"9" * 5000), None),
        (b'{"usage":{"input_tokens":-1,"output_tokens":1.5}}', None),
        (b'{"usage":{"input_tokens":"1","output_tokens":true}}', None),
        (b'{"usage":{}}', None),
        (b'{"usage":null}', None),
        (b'{"usage":[{"input_tokens":1}]}', None),
        (b'{"us\\u0061ge":{"input_tokens":3}}', Usage(3, 0)),
        (b'{"usage":{"input_tokens":1,"input_tokens":2}}', Usage(2, 0)),
        (b'{"input_tokens":12}', None),
        (b"{}", None),
        (b"[]", None),
        (b'"usage"', None),
        (b"", None),
        (b"<html>", None),
        (b'{"usage":{"input_tokens" 1}}', None),
        (b'{"usage":{"input_tokens":1}} trailing', Usage(1, 0)),
        (b'{"usage":{"input_tokens":1', None),
        (b'{"a":' + b"[" * 200, None),
    ],
)
def test_what_a_body_says_is_taken_at_its_word(raw: bytes, found: Usage | None) -> None:
    """Anthropic case 39: counts that are absent or are none are not invented, and bad bytes find nothing."""
    assert fed(BodyTap(), [raw]) == found
    assert fed(BodyTap(), cut(raw, range(len(raw)))) == found


@pytest.mark.parametrize(
    ("frames", "found"),
    [
        (b"", None),
        (PING + TEXT, None),
        (START, Usage(53, 1)),
        (START + event({"type": "message_delta", "usage": {"input_tokens": 0, "output_tokens": 4}}), Usage(12, 4)),
        (START + event({"usage": {"cache_read_input_tokens": None, "output_tokens": 4}}), Usage(53, 4)),
        (START.replace(b"event: message_start\n", b"") + END, FOUND),
        (END, Usage(0, 38)),
        (STREAM + event({"type": "message_delta", "usage": {"output_tokens": 40}}), Usage(53, 40)),
        (event({"type": "message_start", "message": {"content": [], "x": 'usage"'}}), None),
        (event({"type": "message_start", "message": {"usage": None}}), None),
        (event({"type": "message_start", "message": "usage"}), None),
        (event({"usage": 5}), None),
        (b': a comment, "usage"\n\n', None),
        (b'data: {"usage":\n\n', None),
        (b'data: {"usage":{"input_tokens" 1}}\n\n' + START, Usage(53, 1)),
        (b'data: {"usage":' + b"[" * 200 + b"\n\n" + START, Usage(53, 1)),
        (b'data: {"usage":{"input_tokens":1,\ndata: "output_tokens":2}}\n\n', Usage(1, 2)),
        (b"\xef\xbb\xbf" + START, Usage(53, 1)),
        (START[:-1], None),
    ],
)
def test_what_a_stream_says_is_taken_at_its_word(frames: bytes, found: Usage | None) -> None:
    """Anthropic case 50: names of events are not needed, later counts replace earlier ones, bad events are nothing."""
    assert fed(StreamTap(), [frames]) == found
    assert fed(StreamTap(), cut(frames, range(len(frames)))) == found


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("size", [CAP_BYTES, 2 * CAP_BYTES, 5 * CAP_BYTES + 17])
def test_an_event_that_is_too_large_is_ignored(size: int, line_end: bytes) -> None:
    """Anthropic case 52: a huge event says nothing, keeps nothing and hides nothing, wherever its end is cut."""
    large = b'data: {"usage":{"input_tokens":7},"a":"%b"}\n\n' % (b"x" * size)
    stream = (START + large + END).replace(b"\n", line_end)
    end = stream.index(b'"}' + line_end + line_end)
    for place in range(end, end + 8):
        assert fed(StreamTap(), [stream[:place], stream[place:]]) == FOUND
        assert fed(StreamTap(), cut(stream, [*range(1000, place, 30_011), place])) == FOUND
    for step in (CAP_BYTES - 1, CAP_BYTES, CAP_BYTES + 1):
        assert fed(StreamTap(), cut(stream, range(0, len(stream), step))) == FOUND


def test_the_last_line_of_a_large_event_is_no_event() -> None:
    """What is left of an event once it is too large is skipped, even if it looks like one of its own."""
    stream = START + END + b'data: ["%b",\ndata: {"usage":{"input_tokens":7}}\n\n' % (b"x" * 2 * CAP_BYTES) + PING
    assert fed(StreamTap(), cut(stream, range(0, len(stream), 10_007))) == FOUND
    assert fed(StreamTap(), [stream]) == FOUND


def test_a_stream_without_any_end_is_not_kept() -> None:
    """Anthropic case 53: what never ends is forgotten as it comes."""
    tap = StreamTap()
    assert fed(tap, [b"data: " + b"x" * 50_000] * 100) is None
    assert len(tap._splitter.take_rest()) <= CAP_BYTES


def test_a_usage_that_is_too_large_is_ignored() -> None:
    """Of a usage that grows without end no more is kept than could be one."""
    raw = b'{"usage":{"input_tokens":7,"a":"%b"},"usage":{"output_tokens":2}}' % (b"x" * 3 * CAP_BYTES)
    for pieces in ([raw], cut(raw, range(0, len(raw), 10_007)), cut(raw, [12]), cut(raw, [12, 90_000, 150_000])):
        tap = BodyTap()
        kept = 0
        for piece in pieces:
            tap.feed(piece)
            kept = max(kept, sum(map(len, tap._kept)))
        assert tap.maybe_usage() == Usage(0, 2)
        assert kept <= 2 * (CAP_BYTES + 1)


COUNTS = st.one_of(st.integers(-1, 5), st.just(10**18), st.none(), st.just("3"), st.just(1.5), st.just({}))
USAGES = st.one_of(
    st.none(),
    st.lists(st.just(1), max_size=2),
    st.dictionaries(
        st.sampled_from(
            ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens", "other"]
        ),
        COUNTS,
    ),
)
PARTS: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.integers(), st.text('é"\\usage{}[],:🙂', max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["usage", "message", "a"]), inner, max_size=3)
    ),
    max_leaves=6,
)
PLACES = st.lists(st.integers(0, 300), max_size=6)


@given(
    document=st.dictionaries(st.sampled_from(["content", "message", "é"]), PARTS),
    usage=USAGES,
    is_plain=st.booleans(),
    places=PLACES,
)
def test_any_body_agrees_with_the_twin(
    document: dict[str, Any], usage: object, is_plain: bool, places: list[int]
) -> None:
    """Whatever else an answer holds and however it is cut, the tap finds what a parser finds."""
    raw = json.dumps({**document, "usage": usage, "z": 1}, ensure_ascii=is_plain).encode()
    assert fed(BodyTap(), cut(raw, places)) == body_twin(raw)


@given(
    documents=st.lists(
        st.one_of(
            PARTS,
            USAGES.map(lambda usage: {"type": "message_delta", "usage": usage}),
            USAGES.map(lambda usage: {"type": "message_start", "message": {"usage": usage, "content": []}}),
        ),
        max_size=5,
    ),
    line_end=st.sampled_from([b"\n", b"\r\n"]),
    places=PLACES,
)
def test_any_stream_agrees_with_the_twin(documents: list[Any], line_end: bytes, places: list[int]) -> None:
    """Whatever events come and however they are cut, the tap finds what a parser finds."""
    raw = b"".join(event(document) for document in documents).replace(b"\n", line_end)
    assert fed(StreamTap(), cut(raw, places)) == stream_twin(raw)


@given(noise=st.lists(st.binary(max_size=30), max_size=5), spoilt=st.integers(0, len(STREAM) - 1))
def test_no_bytes_make_a_tap_fail(noise: list[bytes], spoilt: int) -> None:
    """Noise, and a good answer with one byte put wrong, never raise."""
    for good, tap in ((BODY, BodyTap()), (STREAM, StreamTap())):
        raw = good[: spoilt % len(good)] + b"\xff" + good[spoilt % len(good) + 1 :]
        for pieces in (noise, [raw], [*noise, raw]):
            found = fed(tap, pieces)
            assert found is None or isinstance(found, Usage)
