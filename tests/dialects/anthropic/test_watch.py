"""What the Messages dialect counts and how its streams end, whole and cut anywhere, against a slow obvious twin."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.dialects.anthropic.watch import StreamWatch, new_watch
from busbar_fast.dialects.dialect import StreamFault, Usage
from busbar_fast.dialects.watching import CAP_BYTES, DocumentWatch
from tests.dialects.watches import DOCUMENT, EVENTS, Said, counted, documents_of, event, fed
from tests.wire.twins import cut_at, every_cut

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


def stream_twin(raw: bytes) -> Said:
    """Return what a stream says by way of its documents."""
    usages: list[object] = []
    said = Said()
    for fields, document in documents_of(raw):
        if not isinstance(document, dict):
            continue
        parts = {name: document.get(name) for name in ("message", "delta")}
        inner = {name: part if isinstance(part, dict) else {} for name, part in parts.items()}
        usages += [inner["message"].get("usage"), document.get("usage")]
        kind = (fields.name or b"").decode() or document.get("type")
        is_end = kind == "message_stop" or bool(
            isinstance(inner["delta"].get("stop_reason"), str) and inner["delta"]["stop_reason"]
        )
        if kind == "error" and said.fault is None:
            said = said._replace(fault=StreamFault("error", fields.payload or b""))
        said = said._replace(has_ended=said.has_ended or is_end)
    return said._replace(usage=twin(usages))


def test_type_chooses_the_watch() -> None:
    """An event stream is told by its type, everything else is read as one document."""
    assert type(new_watch(EVENTS)) is StreamWatch
    assert type(new_watch(DOCUMENT)) is DocumentWatch


def test_body_cut_anywhere_counts_the_same() -> None:
    """Anthropic case 66: cut in two anywhere, or into bytes, the usage of the top level is found, parts of it added."""
    expected = Usage(146, 38)
    assert body_twin(BODY) == expected
    for pieces in every_cut(BODY):
        assert counted(new_watch(DOCUMENT), pieces) == expected


def test_large_body_is_counted() -> None:
    """Anthropic case 66: the usage behind a mebibyte of text is found."""
    raw = b'{"content":[{"text":"%b"}],"usage":{"input_tokens":1,"output_tokens":2}}' % (b"a\\n" * 400_000)
    assert counted(new_watch(DOCUMENT), cut_at(raw, list(range(0, len(raw), 65_536)))) == Usage(1, 2)


def test_stream_cut_anywhere_says_the_same() -> None:
    """Anthropic case 51: with either line end, cut in two anywhere or into bytes, start and end are put together."""
    for stream in (STREAM, STREAM.replace(b"\n", b"\r\n")):
        assert stream_twin(stream) == (FOUND, True, None)
        for pieces in every_cut(stream):
            assert fed(new_watch(EVENTS), pieces) == (FOUND, True, None)


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
        (b'{"usage":{"input_tokens":1}} trailing', None),
        (b'{"usage":{"input_tokens":1', None),
        (b'{"a":' + b"[" * 200, None),
    ],
)
def test_what_a_body_says_is_taken_at_its_word(raw: bytes, found: Usage | None) -> None:
    """Anthropic case 39: counts that are absent or are none are not invented, and bad bytes find nothing."""
    assert counted(new_watch(DOCUMENT), [raw]) == found
    assert counted(new_watch(DOCUMENT), [bytes((byte,)) for byte in raw]) == found


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
        (START[:-9], None),
        (b'data: {"usage":' + b"[" * 200 + b"\n\n" + START, Usage(53, 1)),
        (b'data: {"usage":{"input_tokens":1,\ndata: "output_tokens":2}}\n\n', Usage(1, 2)),
        (b"\xef\xbb\xbf" + START, Usage(53, 1)),
        (START[:-1], Usage(53, 1)),
    ],
)
def test_what_a_stream_says_is_taken_at_its_word(frames: bytes, found: Usage | None) -> None:
    """Anthropic case 50: names of events are not needed, later counts replace earlier ones, bad events are nothing."""
    assert fed(new_watch(EVENTS), [frames]).usage == found
    assert fed(new_watch(EVENTS), [bytes((byte,)) for byte in frames]).usage == found


ERROR = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'


@pytest.mark.parametrize(
    ("frames", "has_ended", "fault"),
    [
        (START + TEXT, False, None),
        (START + TEXT + PING, False, None),
        (event({"type": "message_stop"}, b"message_stop"), True, None),
        (event({"type": "message_stop"}), True, None),
        (event({"x": 1}, b"message_stop"), True, None),
        (event({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {}}), True, None),
        (event({"type": "message_delta", "delta": {"stop_reason": None}}), False, None),
        (event({"type": "message_delta", "delta": "stop_reason"}), False, None),
        (
            event({"type": "content_block_delta", "delta": {"text": '"stop_reason":"x" message_stop error'}}),
            False,
            None,
        ),
        (b"event: error\ndata: %b\n\n" % ERROR, False, ERROR),
        (START + TEXT + b"data: %b\n\n" % ERROR, False, ERROR),
        (b"event: error\ndata: %b\n\n" % ERROR + event({"type": "error", "error": 2}, b"error"), False, ERROR),
        (b"event: error\ndata: %b\n\n" % ERROR + END, True, ERROR),
        (b"event: error\n\n", False, None),
        (b"event: message_stop\ndata: {]\n\n", False, None),
    ],
)
def test_ends_and_errors_are_seen(frames: bytes, has_ended: bool, fault: bytes | None) -> None:
    """Anthropic case 54 and reliability §9: a stop reason or the last event ends a stream, an error event spoils it."""
    for stream in (frames, frames.replace(b"\n", b"\r\n")):
        for pieces in every_cut(stream):
            said = fed(new_watch(EVENTS), pieces)
            assert said.has_ended is has_ended
            assert said.fault == (None if fault is None else ("error", fault))


def test_large_event_says_nothing() -> None:
    """Anthropic case 52: a huge event says nothing, keeps nothing and hides nothing."""
    large = b'data: {"usage":{"input_tokens":7},"a":"%b"}\n\n' % (b"x" * 5 * CAP_BYTES)
    for step in (10_007, CAP_BYTES, 10**7):
        stream = START + large + END
        assert fed(new_watch(EVENTS), cut_at(stream, list(range(0, len(stream), step)))) == (FOUND, True, None)


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
    """Whatever else an answer holds and however it is cut, the watch counts what a parser finds."""
    raw = json.dumps({**document, "usage": usage, "z": 1}, ensure_ascii=is_plain).encode()
    assert counted(new_watch(DOCUMENT), cut_at(raw, places)) == body_twin(raw)


@given(
    events=st.lists(
        st.builds(
            event,
            st.one_of(
                PARTS,
                USAGES.map(lambda usage: {"type": "message_delta", "usage": usage}),
                USAGES.map(lambda usage: {"type": "message_start", "message": {"usage": usage, "content": []}}),
                st.sampled_from([None, "", "end_turn", 5]).map(lambda reason: {"delta": {"stop_reason": reason}}),
                st.sampled_from([{"type": "message_stop"}, {"type": "error", "error": {"message": "x"}}]),
            ),
            st.sampled_from([b"", b"", b"error", b"ping"]),
        ),
        max_size=5,
    ),
    line_end=st.sampled_from([b"\n", b"\r\n"]),
    places=PLACES,
)
def test_any_stream_agrees_with_the_twin(events: list[bytes], line_end: bytes, places: list[int]) -> None:
    """Whatever events come and however they are cut, the watch finds what a parser finds."""
    raw = b"".join(events).replace(b"\n", line_end)
    assert fed(new_watch(EVENTS), cut_at(raw, places)) == stream_twin(raw)


@given(noise=st.lists(st.binary(max_size=30), max_size=5), spoilt=st.integers(0, len(STREAM) - 1))
def test_no_bytes_make_a_watch_fail(noise: list[bytes], spoilt: int) -> None:
    """Noise, and a good answer with one byte put wrong, never raise."""
    for good, content_type in ((BODY, DOCUMENT), (STREAM, EVENTS)):
        raw = good[: spoilt % len(good)] + b"\xff" + good[spoilt % len(good) + 1 :]
        for pieces in (noise, [raw], [*noise, raw]):
            usage = fed(new_watch(content_type), pieces).usage
            assert usage is None or isinstance(usage, Usage)
