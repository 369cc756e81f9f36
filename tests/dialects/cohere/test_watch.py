"""What the v2 chat dialect counts and how its streams end, whole and cut anywhere, against a slow obvious twin."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.dialects.cohere.watch import StreamWatch, new_watch
from busbar_fast.dialects.dialect import StreamFault, Usage
from busbar_fast.dialects.watching import CAP_BYTES, DocumentWatch
from tests.dialects.watches import DOCUMENT, EVENTS, Said, counted, documents_of, event, fed
from tests.wire.twins import cut_at, every_cut

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


def stream_twin(raw: bytes) -> Said:
    """Return what a stream says by way of its documents."""
    said = Said()
    for fields, document in documents_of(raw):
        kind = (fields.name or b"").decode() or (document.get("type") if isinstance(document, dict) else None)
        is_end = fields.payload == b"[DONE]" or (kind == "message-end" and isinstance(document, dict))
        delta = document.get("delta") if isinstance(document, dict) else None
        delta = delta if isinstance(delta, dict) else {}
        error = delta.get("error")
        is_failure = delta.get("finish_reason") in ("ERROR", "TIMEOUT") or (isinstance(error, str) and error != "")
        if kind == "message-end" and is_failure and said.fault is None:
            said = said._replace(fault=StreamFault("message-end", fields.payload or b""))
        said = said._replace(usage=twin(delta.get("usage")) or said.usage, has_ended=said.has_ended or is_end)
    return said


def test_type_chooses_the_watch() -> None:
    """An event stream is told by its type, everything else is read as one document."""
    assert type(new_watch(EVENTS)) is StreamWatch
    assert isinstance(new_watch(DOCUMENT), DocumentWatch)


def test_body_cut_anywhere_counts_the_same() -> None:
    """Cohere cases 43 and 70: cut in two anywhere, or into bytes, the usage of the top level is found."""
    assert body_twin(BODY) == FOUND
    for pieces in every_cut(BODY):
        assert counted(new_watch(DOCUMENT), pieces) == FOUND


def test_large_body_is_counted() -> None:
    """Cohere case 70: the usage behind a mebibyte of text is found."""
    raw = b'{"content":[{"text":"%b"}],"usage":{"tokens":{"input_tokens":1,"output_tokens":2}}}' % (b"a\\n" * 400_000)
    assert counted(new_watch(DOCUMENT), cut_at(raw, list(range(0, len(raw), 65_536)))) == Usage(1, 2)


def test_stream_cut_anywhere_says_the_same() -> None:
    """Cohere case 59: with either line end, cut in two anywhere or into bytes, the usage of the last event is found."""
    for stream in (STREAM, STREAM.replace(b"\n", b"\r\n")):
        assert stream_twin(stream) == (FOUND, True, None)
        for pieces in every_cut(stream):
            assert fed(new_watch(EVENTS), pieces) == (FOUND, True, None)


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
        (b'{"usage":{"cached_tokens":1}} trailing', None),
        (b'{"usage":{"cached_tokens":1', None),
        (b'{"a":' + b"[" * 200, None),
    ],
)
def test_what_a_body_says_is_taken_at_its_word(raw: bytes, found: Usage | None) -> None:
    """Cohere cases 42 and 43: any form of a whole number counts, tokens go before billed units, the rest is nothing."""
    assert counted(new_watch(DOCUMENT), [raw]) == found
    assert counted(new_watch(DOCUMENT), [bytes((byte,)) for byte in raw]) == found


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
        (END[:-1], FOUND),
        (END[:-9], None),
    ],
)
def test_what_a_stream_says_is_taken_at_its_word(frames: bytes, found: Usage | None) -> None:
    """Cohere case 59: names of events are not needed, the last usage counts, bad events are nothing."""
    assert fed(new_watch(EVENTS), [frames]).usage == found
    assert fed(new_watch(EVENTS), [bytes((byte,)) for byte in frames]).usage == found


def end_of(**delta: object) -> dict[str, object]:
    """Return the event that ends a message."""
    return {"type": "message-end", "delta": delta}


@pytest.mark.parametrize(
    ("document", "name", "has_ended", "is_fault"),
    [
        (end_of(finish_reason="COMPLETE"), b"message-end", True, False),
        (end_of(finish_reason="COMPLETE"), b"", True, False),
        (end_of(finish_reason="ERROR_TOXIC", error=""), b"", True, False),
        (end_of(finish_reason="COMPLETE", error=None), b"", True, False),
        (end_of(finish_reason="ERROR"), b"message-end", True, True),
        (end_of(finish_reason="TIMEOUT", usage={"tokens": {"input_tokens": 1}}), b"", True, True),
        (end_of(finish_reason="COMPLETE", error="x"), b"", True, True),
        ({"type": "message-end"}, b"", True, False),
        ({"type": "message-end", "delta": 1}, b"message-end", True, False),
        ({"type": "content-delta", "delta": {"finish_reason": "ERROR", "error": "x"}}, b"", False, False),
        ({"delta": {"text": '"type":"message-end"'}}, b"", False, False),
        (["message-end"], b"message-end", False, False),
    ],
)
def test_ends_and_errors_are_seen(document: object, name: bytes, has_ended: bool, is_fault: bool) -> None:
    """Cohere case 61 and reliability §9: the last event ends a stream, and says itself that it failed."""
    fault = ("message-end", json.dumps(document).encode()) if is_fault else None
    for last in (b"", DONE):
        stream = START + TEXT + event(document, name) + last
        for pieces in every_cut(stream):
            said = fed(new_watch(EVENTS), pieces)
            assert (said.has_ended, said.fault) == (has_ended or last != b"", fault)


def test_large_event_is_counted() -> None:
    """Cohere case 62: of a huge event nothing is kept but its usage, and it hides nothing."""
    large = b'data: {"delta":{"a":"%b","usage":{"cached_tokens":700}}}\n\n' % (b"x" * 5 * CAP_BYTES)
    for step in (10_007, CAP_BYTES, 10**7):
        for stream, usage in ((START + large + DONE, Usage(700, 0)), (START + large + END, FOUND)):
            pieces = cut_at(stream, list(range(0, len(stream), step)))
            assert fed(new_watch(EVENTS), pieces) == (usage, True, None)


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
    """Whatever else an answer holds and however it is cut, the watch counts what a parser finds."""
    raw = json.dumps({**document, "usage": usage, "z": 1}, ensure_ascii=is_plain).encode()
    assert counted(new_watch(DOCUMENT), cut_at(raw, places)) == body_twin(raw)


@given(
    events=st.lists(
        st.builds(
            event,
            st.one_of(
                PARTS,
                st.builds(
                    end_of,
                    finish_reason=st.sampled_from(["COMPLETE", "ERROR", "TIMEOUT", None]),
                    error=st.sampled_from([None, "", "x"]),
                    usage=USAGES,
                ),
            ),
            st.sampled_from([b"", b"", b"message-end", b"debug"]),
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


@pytest.mark.parametrize("size", [0, 1, 7, 1000])
def test_vectors_count_in_another_place(size: int) -> None:
    """Cohere §1: what was embedded is billed in `meta`; an answer's own usage comes first."""
    document = b'{"id":"x","embeddings":{"float":[[1]]},"meta":{"api_version":{},"billed_units":{"input_tokens":7}}}'
    both = b'{"usage":{"tokens":{"input_tokens":3,"output_tokens":4}},"meta":{"billed_units":{"input_tokens":7}}}'
    for raw, used in (
        (document, Usage(7, 0)),
        (both, Usage(3, 4)),
        (b'{"meta":{"billed_units":{"search_units":1}}}', None),
    ):
        watch = new_watch(b"application/json")
        if size:
            for at in range(0, len(raw), size):
                watch.feed(raw[at : at + size])
        else:
            watch.feed_whole(raw)
        assert watch.maybe_usage() == used
