"""The taps of the v2 chat dialect, fed whole and cut anywhere, against a slow obvious twin."""

import json
import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.dialects.cohere.usage import CAP_BYTES, BodyTap, StreamTap, new_tap
from busbar_fast.dialects.dialect import Usage, UsageTap

BODY = (
    b'{"id":"5f1c0b9e-7a44-4d0e-9c1b-2f6a1d8e3b70","finish_reason":"COMPLETE","message":{"role":"assistant","content":'
    b'[{"type":"text","text":"\xc3\xa9 \\"usage\\": {\\"tokens\\":9} \xf0\x9f\x99\x82"}],"usage":{"cached_tokens":8}},'
    b'"usage":{ "billed_units":{"input_tokens":31,"output_tokens":18,"search_units":2},'
    b'"tokens":{"input_tokens":540,"output_tokens":22} ,"cached_tokens":128}}'
)
START = (
    b'event: message-start\ndata: {"id":"5f1c0b9e","type":"message-start","delta":{"message":{"role":"assistant",'
    b'"content":[],"tool_plan":"","tool_calls":[],"citations":[]}}}\n\n'
)
TEXT = (
    b'event: content-delta\ndata: {"type":"content-delta","index":0,"delta":{"message":{"content":{"text":'
    b'"\xc3\xa9 usage\\" {\\"usage\\":{\\"cached_tokens\\":9}} \xf0\x9f\x99\x82"}}}}\n\n'
)
END = (
    b'event: message-end\ndata: {"type":"message-end","delta":{"finish_reason":"COMPLETE","usage":{"billed_units":'
    b'{"input_tokens":31,"output_tokens":18},"tokens":{"input_tokens":540,"output_tokens":22}}}}\n\n'
)
DONE = b"data: [DONE]\n\n"
PING = b": ping\n\n"
STREAM = START + PING + TEXT + END + DONE
FOUND = Usage(540, 22)


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


def count(value: object) -> int | None:
    """Return the whole number that a decoded value is."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 10**18:
        return None
    return int(value) if value == int(value) else None


def twin(usage: object) -> Usage | None:
    """Return what a decoded `usage` comes to."""
    if not isinstance(usage, dict):
        return None
    parts = [usage.get(name) for name in ("tokens", "billed_units")]
    sums: list[int | None] = []
    for name in ("input_tokens", "output_tokens"):
        counts = [count(part.get(name)) for part in parts if isinstance(part, dict)]
        sums.append(next((one for one in counts if one is not None), None))
    cached = count(usage.get("cached_tokens"))
    if sums == [None, None] and cached is None:
        return None
    return Usage(max(sums[0] or 0, cached or 0), sums[1] or 0)


def body_twin(raw: bytes) -> Usage | None:
    """Return the usage of a whole answer by way of the document."""
    return twin(json.loads(raw).get("usage"))


def stream_twin(raw: bytes) -> Usage | None:
    """Return the usage of a stream by way of its documents."""
    found: Usage | None = None
    for block in raw.decode().replace("\r\n", "\n").split("\n\n"):
        lines = [line.removeprefix("data: ") for line in block.split("\n") if line.startswith("data: ")]
        try:
            document = json.loads("\n".join(lines))
        except ValueError:
            continue
        delta = document.get("delta") if isinstance(document, dict) else None
        if isinstance(delta, dict):
            found = twin(delta.get("usage")) or found
    return found


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
    """Cohere cases 43 and 70: cut in two anywhere, or into bytes, the usage of the top level is found."""
    assert body_twin(BODY) == FOUND
    for place in range(len(BODY) + 1):
        assert fed(BodyTap(), cut(BODY, [place])) == FOUND
    assert fed(BodyTap(), cut(BODY, range(len(BODY)))) == FOUND


def test_a_large_body_is_read_in_full() -> None:
    """Cohere case 70: the usage behind a mebibyte of text is found."""
    raw = b'{"content":[{"text":"%b"}],"usage":{"tokens":{"input_tokens":1,"output_tokens":2}}}' % (b"a\\n" * 400_000)
    assert fed(BodyTap(), cut(raw, range(0, len(raw), 65_536))) == Usage(1, 2)


def test_every_split_of_a_stream_gives_the_same() -> None:
    """Cohere case 59: with either line end, cut in two anywhere or into bytes, the usage of the last event is found."""
    for stream in (STREAM, STREAM.replace(b"\n", b"\r\n")):
        assert stream_twin(stream) == FOUND
        for place in range(len(stream) + 1):
            assert fed(StreamTap(), cut(stream, [place])) == FOUND
        assert fed(StreamTap(), cut(stream, range(len(stream)))) == FOUND


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b'{"usage":{"tokens":{"input_tokens":3}}}', Usage(3, 0)),
        (b'{"usage":{"tokens":{"input_tokens":31.0,"output_tokens":2.50e1}}}', Usage(31, 25)),
        (b'{"usage":{"tokens":{"input_tokens":"31","output_tokens":"4.0"}}}', Usage(31, 4)),
        (b'{"usage":{"tokens":{"input_tokens":1.5,"output_tokens":-1},"cached_tokens":"x"}}', None),
        (b'{"usage":{"tokens":{"input_tokens":"1e400","output_tokens":1e400}}}', None),
        (b'{"usage":{"tokens":{"input_tokens":1000000000000000000,"output_tokens":1e18}}}', None),
        (b'{"usage":{"tokens":{"input_tokens":%b,"output_tokens":7}}}' % (b"9" * 5000), Usage(0, 7)),
        (b'{"usage":{"tokens":{"input_tokens":"nan","output_tokens":"1_0"}}}', None),
        (b'{"usage":{"tokens":{"input_tokens":"","output_tokens":"5}}}', None),
        (b'{"usage":{"tokens":{"input_tokens":true,"output_tokens":null},"cached_tokens":{}}}', None),
        (b'{"usage":{"billed_units":{"input_tokens":31,"output_tokens":18}}}', Usage(31, 18)),
        (
            b'{"usage":{"billed_units":{"input_tokens":31,"output_tokens":18},"tokens":{"input_tokens":0}}}',
            Usage(0, 18),
        ),
        (b'{"usage":{"billed_units":{"input_tokens":31},"tokens":null}}', Usage(31, 0)),
        (b'{"usage":{"billed_units":{"input_tokens":31},"cached_tokens":128}}', Usage(128, 0)),
        (b'{"usage":{"tokens":{"input_tokens":540},"cached_tokens":128}}', Usage(540, 0)),
        (b'{"usage":{"cached_tokens":0}}', Usage(0, 0)),
        (b'{"usage":{}}', None),
        (b'{"usage":null}', None),
        (b'{"usage":[{"tokens":{"input_tokens":1}}]}', None),
        (b'{"us\\u0061ge":{"cached_tokens":3}}', Usage(3, 0)),
        (b'{"usage":{"cached_tokens":1},"usage":{"cached_tokens":2}}', Usage(2, 0)),
        (b"{}", None),
        (b"[]", None),
        (b'"usage"', None),
        (b"", None),
        (b"<html>", None),
        (b'{"usage":{"tokens":{"input_tokens" 1}}}', None),
        (b'{"usage":{"cached_tokens":1}} trailing', Usage(1, 0)),
        (b'{"usage":{"cached_tokens":1', None),
        (b'{"a":' + b"[" * 200, None),
    ],
)
def test_what_a_body_says_is_taken_at_its_word(raw: bytes, found: Usage | None) -> None:
    """Cohere cases 42 and 43: any form of a whole number counts, tokens go before billed units, the rest is nothing."""
    assert fed(BodyTap(), [raw]) == found
    assert fed(BodyTap(), cut(raw, range(len(raw)))) == found


@pytest.mark.parametrize(
    ("frames", "found"),
    [
        (b"", None),
        (START + PING + TEXT + DONE, None),
        (END, FOUND),
        (END.replace(b"event: message-end\n", b""), FOUND),
        (END + event({"delta": {"usage": {"cached_tokens": 600}}}), Usage(600, 0)),
        (END + event({"delta": {"usage": {}}}), FOUND),
        (event({"usage": {"cached_tokens": 1}}), None),
        (event({"delta": {"usage": None}}), None),
        (event({"delta": {"x": 'usage"'}}), None),
        (event({"delta": ["usage"]}), None),
        (b': a comment, "usage"\n\n', None),
        (b'data: {"usage":\n\n', None),
        (b'data: {"delta":{"usage":{"tokens" 1}}}\n\n' + END, FOUND),
        (b'data: {"usage":' + b"[" * 200 + b"\n\n" + END, FOUND),
        (b'data: {"delta":{"usage":\ndata: {"cached_tokens":1}}}\n\n', Usage(1, 0)),
        (b"\xef\xbb\xbf" + END, FOUND),
        (END[:-1], None),
    ],
)
def test_what_a_stream_says_is_taken_at_its_word(frames: bytes, found: Usage | None) -> None:
    """Cohere case 59: names of events are not needed, the last usage counts, bad events are nothing."""
    assert fed(StreamTap(), [frames]) == found
    assert fed(StreamTap(), cut(frames, range(len(frames)))) == found


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize(("first", "last"), [(END, DONE), (START, END)])
@pytest.mark.parametrize("size", [CAP_BYTES, 2 * CAP_BYTES, 5 * CAP_BYTES + 17])
def test_an_event_that_is_too_large_is_ignored(first: bytes, size: int, last: bytes, line_end: bytes) -> None:
    """Cohere case 62: a huge event says nothing, keeps nothing and hides nothing, wherever its end is cut."""
    large = b'data: {"delta":{"usage":{"cached_tokens":700},"a":"%b"}}\n\n' % (b"x" * size)
    stream = (first + large + last).replace(b"\n", line_end)
    end = stream.index(b'"}}' + line_end + line_end)
    for place in range(end, end + 9):
        assert fed(StreamTap(), [stream[:place], stream[place:]]) == FOUND
        assert fed(StreamTap(), cut(stream, [*range(1000, place, 30_011), place])) == FOUND
    for step in (CAP_BYTES - 1, CAP_BYTES, CAP_BYTES + 1):
        assert fed(StreamTap(), cut(stream, range(0, len(stream), step))) == FOUND


def test_the_last_line_of_a_large_event_is_no_event() -> None:
    """What is left of an event once it is too large is skipped, even if it looks like one of its own."""
    stream = END + b'data: ["%b",\ndata: {"delta":{"usage":{"cached_tokens":700}}}\n\n' % (b"x" * 2 * CAP_BYTES) + PING
    assert fed(StreamTap(), cut(stream, range(0, len(stream), 10_007))) == FOUND
    assert fed(StreamTap(), [stream]) == FOUND


def test_a_stream_without_any_end_is_not_kept() -> None:
    """Cohere case 62: what never ends is forgotten as it comes."""
    tap = StreamTap()
    assert fed(tap, [b"data: " + b"x" * 50_000] * 100) is None
    assert len(tap._splitter.take_rest()) <= CAP_BYTES


def test_a_usage_that_is_too_large_is_ignored() -> None:
    """Of a usage that grows without end no more is kept than could be one."""
    raw = b'{"usage":{"cached_tokens":7,"a":"%b"},"usage":{"tokens":{"output_tokens":2}}}' % (b"x" * 3 * CAP_BYTES)
    for pieces in ([raw], cut(raw, range(0, len(raw), 10_007)), cut(raw, [12]), cut(raw, [12, 90_000, 150_000])):
        tap = BodyTap()
        kept = 0
        for piece in pieces:
            tap.feed(piece)
            kept = max(kept, sum(map(len, tap._kept)))
        assert tap.maybe_usage() == Usage(0, 2)
        assert kept <= 2 * (CAP_BYTES + 1)


COUNTS = st.one_of(
    st.integers(-1, 5),
    st.just(10**18),
    st.none(),
    st.just("3"),
    st.just("4.0"),
    st.just(1.5),
    st.just(2.0),
    st.just({}),
)
PAIRS = st.one_of(
    st.none(), st.dictionaries(st.sampled_from(["input_tokens", "output_tokens", "search_units"]), COUNTS)
)
USAGES = st.one_of(
    st.none(),
    st.lists(st.just(1), max_size=2),
    st.fixed_dictionaries({}, optional={"tokens": PAIRS, "billed_units": PAIRS, "cached_tokens": COUNTS}),
)
PARTS: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.integers(), st.text('é"\\usage{}[],:🙂', max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["usage", "delta", "a"]), inner, max_size=3)
    ),
    max_leaves=6,
)
PLACES = st.lists(st.integers(0, 300), max_size=6)


@given(
    document=st.dictionaries(st.sampled_from(["content", "delta", "é"]), PARTS),
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
            USAGES.map(lambda usage: {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": usage}}),
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
