"""What chat answers count, and how their streams end."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar_fast.dialects.dialect import StreamFault, Usage
from busbar_fast.dialects.openai_chat.requests import DIALECT
from busbar_fast.dialects.openai_chat.watch import StreamWatch, new_watch
from busbar_fast.dialects.plain_usage import plain_usage
from busbar_fast.dialects.watching import CAP_BYTES, DocumentWatch
from tests.dialects.watches import DOCUMENT, EVENTS, Said, counted, documents_of, event, fed
from tests.wire.twins import cut_at, every_cut

PROPERTY = settings(derandomize=True, deadline=None, max_examples=150)

# As the vendor spells them, with the numbers of a harbour master.
BODY = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1760001000,"model":"m","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"\\"usage\\":{\\"prompt_tokens\\":7} \xc3\xa9","usage":{"prompt_tokens":8}},'
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":31,"completion_tokens":18,"total_tokens":49,'
    b'"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":4}},"x":1}\n'
)
CHUNK = b'{"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"\xf0\x9f\x8c\x8a"}}],"usage":%b}'
STREAM = b"".join(
    b"data: %b\r\n\r\n" % payload
    for payload in (
        b'{"id":"","choices":[],"prompt_filter_results":[]}',
        CHUNK % b"null",
        CHUNK % b'{"prompt_tokens":31,"completion_tokens":1}',
        CHUNK % b"null",
        b'{"id":"chatcmpl-1","choices":[],"usage":{"prompt_tokens":31,"completion_tokens":18,"total_tokens":49}}',
        b"[DONE]",
    )
)


DONE = b"data: [DONE]\n\n"
UNTRUE: tuple[Any, ...] = (None, False, 0, "", {}, [])


def twin(stream: bytes) -> Said:
    """Return what a stream says by way of its documents."""
    said = Said()
    for fields, document in documents_of(stream):
        if fields.payload == b"[DONE]":
            said = said._replace(has_ended=True)
        if not isinstance(document, dict):
            continue
        if document.get("error") and said.fault is None:
            said = said._replace(fault=StreamFault("", fields.payload or b""))
        choices = document.get("choices")
        reasons = [one.get("finish_reason") for one in choices or [] if isinstance(one, dict)]
        usage = document.get("usage")
        if isinstance(usage, dict) and usage.keys() & {"prompt_tokens", "completion_tokens"}:
            said = said._replace(usage=Usage(usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)))
        is_end = any(isinstance(reason, str) and reason for reason in reasons)
        said = said._replace(has_ended=said.has_ended or is_end)
    return said


def chunk(reason: object = None, content: str = "tide", **more: object) -> dict[str, object]:
    """Return a chunk as the vendor spells it."""
    choices: list[Any] = [{"index": 0, "delta": {"content": content}, "logprobs": None, "finish_reason": reason}]
    return {"id": "chatcmpl-1", "choices": choices, **more}


def test_type_chooses_the_watch() -> None:
    """An event stream is told by its type, everything else is read as one document."""
    assert type(new_watch(EVENTS)) is StreamWatch
    assert type(new_watch(DOCUMENT)) is DocumentWatch


def test_body_cut_anywhere_counts_the_same() -> None:
    """OpenAI §8 and case 52: the usage of the root counts, however the bytes come."""
    for pieces in every_cut(BODY):
        assert counted(new_watch(DOCUMENT), pieces) == Usage(31, 18)


@pytest.mark.parametrize("stream", [STREAM, STREAM.replace(b"\r\n", b"\n")])
def test_stream_cut_anywhere_says_the_same(stream: bytes) -> None:
    """OpenAI §8 and case 47: the last usage object counts, also beside a choice, however the bytes come."""
    assert twin(stream) == (Usage(31, 18), True, None)
    for pieces in every_cut(stream):
        assert fed(new_watch(EVENTS), pieces) == (Usage(31, 18), True, None)


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        (b'{"prompt_tokens":100,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":40}}', Usage(100, 5)),
        (b'{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":40}}', Usage(40, 5)),
        (b'{"prompt_tokens":10,"completion_tokens":5,"prompt_cache_hit_tokens":40}', Usage(40, 5)),
        (b'{"prompt_tokens":10,"completion_tokens":5,"cached_tokens":40}', Usage(40, 5)),
        (b'{"input_tokens":10,"output_tokens":5}', Usage(10, 5)),  # of pictures
        (b'{"tokens":10}', None),
    ],
)
def test_cached_input_is_part_of_the_input(usage: bytes, counted: Usage | None) -> None:
    """OpenAI case 49: reads of a cache are counted once, wherever a back end reports them."""
    watch = new_watch(DOCUMENT)
    watch.feed(b'{"usage":%b}' % usage)
    assert watch.maybe_usage() == counted


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (" ,\t", " : ")])
@pytest.mark.parametrize(
    ("document", "has_ended", "is_fault"),
    [
        (chunk(), False, False),
        (chunk(""), False, False),
        (chunk("stop"), True, False),
        (chunk("eos", "", usage=None), True, False),
        (chunk(None, '"finish_reason":"stop" "error":1 [DONE]'), False, False),
        ({"choices": [chunk()["choices"], {"index": 1, "finish_reason": "length"}]}, True, False),
        ({"choices": []}, False, False),
        ({"choices": None, "finish_reason": "stop"}, False, False),
        ({"error": {"message": "x", "type": "server_error"}}, False, True),
        ({"error": "x"}, False, True),
        (chunk("error", error={"code": 502}), True, True),
        *[(chunk(error=untrue), False, False) for untrue in UNTRUE],
    ],
)
def test_ends_and_errors_are_seen(
    document: dict[str, Any], has_ended: bool, is_fault: bool, separators: tuple[str, str]
) -> None:
    """OpenAI case 45 and reliability case 60: a finish reason is an end, an error chunk a fault, texts are neither."""
    raw = json.dumps(document, separators=separators).encode()
    stream = event(chunk()) + b"data: %b\n\n" % raw
    fault = ("", raw) if is_fault else None
    for pieces in every_cut(stream):
        assert fed(new_watch(EVENTS), pieces) == (None, has_ended, fault)
    assert fed(new_watch(EVENTS), [stream, DONE]) == (None, True, fault)


def test_large_event_is_counted() -> None:
    """An event of any size has its usage read without being kept."""
    stream = event(chunk(None, "x" * 5 * CAP_BYTES, usage={"prompt_tokens": 3, "completion_tokens": 4})) + DONE
    for step in (1000, CAP_BYTES, 10**7):
        pieces = cut_at(stream, list(range(0, len(stream), step)))
        assert fed(new_watch(EVENTS), pieces) == (Usage(3, 4), True, None)


CHUNKS = st.builds(
    chunk,
    st.sampled_from([None, None, "", "stop"]),
    st.text('é"\\usage{}[],:🙂\n', max_size=8),
    usage=st.one_of(
        st.none(),
        st.dictionaries(st.sampled_from(["prompt_tokens", "completion_tokens", "total"]), st.integers(0, 99)),
    ),
    error=st.sampled_from([None, None, {}, {"message": "x"}]),
)


@PROPERTY
@given(
    chunks=st.lists(st.one_of(CHUNKS.map(event), st.sampled_from([DONE, b": ping\n\n", b"data: {\n\n"])), max_size=6),
    places=st.lists(st.integers(0, 600), max_size=6),
    line_end=st.sampled_from([b"\n", b"\r\n"]),
)
def test_stream_agrees_with_the_twin(chunks: list[bytes], places: list[int], line_end: bytes) -> None:
    """Whatever the chunks hold, the watch finds what a parser would."""
    stream = b"".join(chunks).replace(b"\n", line_end)
    assert fed(new_watch(EVENTS), cut_at(stream, places)) == twin(stream)


@pytest.mark.parametrize("cached", [b"", b',"prompt_tokens_details":{"cached_tokens":%d}'])
@pytest.mark.parametrize("details", [b"", b', "completion_tokens_details": {"reasoning_tokens":1}'])
@pytest.mark.parametrize("total", [b"", b', "total_tokens": 9'])
def test_what_is_usual_reads_like_the_rest(cached: bytes, details: bytes, total: bytes) -> None:
    """OpenAI case 49: the short way for what nearly all servers write counts as the long way does."""
    for number in (0, 3, 700):
        shown = cached % number if cached else b""
        usual = b'{"prompt_tokens": 31,"completion_tokens":18%b%b%b}' % (total, shown, details)
        found = []
        for raw in (usual, usual.replace(b"{", b"{ ", 1)):
            watch = new_watch(DOCUMENT)
            watch.feed_whole(b'{"usage":%b}' % raw)
            found.append(watch.maybe_usage())
        assert found[0] == found[1] == Usage(max(31, number if cached else 0), 18)


def test_plain_counts_are_those_of_the_watch() -> None:
    """OpenAI §5, usage: the short way finds what the long one finds."""
    document = b'{"id":"x","usage":{"prompt_tokens":9,"completion_tokens":8,"total_tokens":17}}'
    watch = new_watch(b"application/json")
    watch.feed_whole(document)
    assert plain_usage(document, DIALECT.plain_counts) == watch.maybe_usage() == Usage(9, 8)
