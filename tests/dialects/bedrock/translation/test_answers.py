"""Answers of the Converse dialect, whole and streamed, read and written."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.aws.eventstream import FrameReader, encode_error, encode_event, encode_exception
from busbar_fast.aws.eventstream import Kind as FrameKind
from busbar_fast.dialects.bedrock.translation import TRANSLATOR
from busbar_fast.dialects.bedrock.translation.usages import read_usage, usage_of
from busbar_fast.dialects.faults import Fault
from busbar_fast.dialects.faults import Kind as Wrong
from busbar_fast.dialects.members import read_object
from busbar_fast.errors import Misshapen, UpstreamGarbled
from busbar_fast.ir.answers import Reason, Stop, TokenLogprob, Usage
from busbar_fast.ir.blocks import (
    Citation,
    CitationKind,
    Json,
    Media,
    MediaKind,
    Plain,
    Seal,
    Span,
    Text,
    Thinking,
    Url,
)
from busbar_fast.ir.events import Kind, Sink
from tests.dialects.translating import Bench, Call, ask_of, raw

BENCH = Bench(TRANSLATOR)
WORDS = {
    "end_turn",
    "tool_use",
    "max_tokens",
    "stop_sequence",
    "content_filtered",
    "model_context_window_exceeded",
}
CITED = [
    {"title": "T", "sourceContent": [{"text": "w"}], "location": {"web": {"url": "https://u"}}},
    {
        "title": "T",
        "sourceContent": [{"text": "w"}],
        "location": {"documentChar": {"documentIndex": 1, "start": 2, "end": 3}},
    },
    {
        "title": "T",
        "sourceContent": [{"text": "w"}],
        "location": {"documentPage": {"documentIndex": 1, "start": 2, "end": 3}},
    },
    {
        "title": "T",
        "sourceContent": [{"text": "w"}],
        "location": {"documentChunk": {"documentIndex": 1, "start": 2, "end": 3}},
    },
    {"title": "T", "location": {"searchResultLocation": {"searchResultIndex": 1, "start": 2, "end": 3}}},
]
DOCUMENT: dict[str, Any] = {
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2ln"}}},
                {"reasoningContent": {"redactedContent": "ZGF0YQ=="}},
                {"citationsContent": {"content": [{"text": "hello"}], "citations": CITED}},
                {"toolUse": {"toolUseId": "tooluse_1", "name": "f", "input": {"a": 1}}},
                {"odd": {}},
            ],
        }
    },
    "stopReason": "guardrail_intervened",
    "usage": {
        "inputTokens": 1,
        "outputTokens": 7,
        "totalTokens": 15,
        "cacheReadInputTokens": 2,
        "cacheWriteInputTokens": 5,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 2}, {"ttl": "5m", "inputTokens": 3}],
    },
    "metrics": {"latencyMs": 318},
    "additionalModelResponseFields": {"stop_sequence": "END"},
    "trace": {},
}


def test_what_was_answered_is_answered_again() -> None:
    """IR §1, cases 9, 35: an answer comes back to its own dialect, its own word for the reason included."""
    assert BENCH.write_answer(BENCH.read_answer(DOCUMENT)) == DOCUMENT


def test_answer_is_read_into_neutral_words() -> None:
    """Bedrock §8: what each part becomes."""
    answer = BENCH.read_answer(DOCUMENT)
    assert answer.usage == Usage(1, 7, 2, 5, 2)
    assert answer.stop == Stop(Reason.SAFETY, "guardrail_intervened", "bedrock", "END")
    assert answer.blocks[1] == Thinking(sealed="ZGF0YQ==", seal=Seal("bedr", "ZGF0YQ=="))
    text = answer.blocks[2]
    assert isinstance(text, Text)
    assert text.text == "hello"
    kinds = [CitationKind.WEB, *[CitationKind.DOCUMENT] * 3, CitationKind.SEARCH_RESULT]
    assert [citation.kind for citation in text.citations] == kinds


def test_what_is_no_answer_is_none() -> None:
    """Bedrock §8: without a message there is no answer; without a usage nothing was counted."""
    for document in (b"{}", b'{"output":{}}'):
        with pytest.raises(Misshapen):
            BENCH.read_answer(document)
    answer = BENCH.read_answer({"output": {"message": {}}})
    assert (answer.usage, answer.stop.reason, answer.blocks) == (Usage(), Reason.NONE, [])


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_word(reason: Reason) -> None:
    """Bedrock §8, IR case 34: a word of the vendor, safety and refusal alike."""
    word = BENCH.write_answer(BENCH.answer_of(Text("x"), stop=Stop(reason, "odd", "other")))["stopReason"]
    assert word in WORDS
    assert (word == "content_filtered") is (reason in (Reason.SAFETY, Reason.REFUSAL))
    assert BENCH.read_answer(DOCUMENT | {"stopReason": "odd"}).stop.reason is Reason.OTHER


def test_empty_answer_has_a_text() -> None:
    """Bedrock §8: whoever looks at the first block finds one; what has no place is noted."""
    found = BENCH.write_answer(BENCH.answer_of(Json(raw({})), Text(" "), logprobs=[TokenLogprob("x", raw(-1))]))
    assert found["output"]["message"]["content"] == [{"text": ""}]
    assert found["metrics"] == {"latencyMs": 318}
    assert "additionalModelResponseFields" not in found
    assert BENCH.lost == {("dropped", "json"), ("dropped", "logprobs")}


@pytest.mark.parametrize("citation", CITED, ids=range(5))
def test_references_are_written_from_what_is_known(citation: dict[str, Any]) -> None:
    """Bedrock §5: each location, from neutral words."""
    block = BENCH.read_answer(
        {
            "output": {
                "message": {"content": [{"citationsContent": {"content": [{"text": "x"}], "citations": [citation]}}]}
            }
        }
    ).blocks[0]
    assert isinstance(block, Text)
    block.citations[0].owner = "other"
    found = BENCH.write_answer(BENCH.answer_of(block))["output"]["message"]["content"]
    assert found == [{"citationsContent": {"content": [{"text": "x"}], "citations": [citation]}}]


def test_references_without_a_place_go() -> None:
    """Bedrock §9: an empty location makes the client's library raise, so there is none."""
    bare = [Citation(CitationKind.TOOL, source=Span(0, 1, "x")), Citation(CitationKind.DOCUMENT, url="https://u")]
    content = BENCH.write_answer(BENCH.answer_of(Text("x", bare)))["output"]["message"]["content"]
    assert content == [
        {"citationsContent": {"content": [{"text": "x"}], "citations": [{"location": {"web": {"url": "https://u"}}}]}}
    ]
    assert BENCH.lost == {("dropped", "citations")}
    odd = {"source": "s", "location": {"odd": {}}, "sourceContent": [{"text": "w"}]}
    for citation, source in ((odd, Span(0, 1, "w")), ({}, None)):
        block = BENCH.read_answer(
            {"output": {"message": {"content": [{"citationsContent": {"citations": [citation, 5]}}]}}}
        ).blocks[0]
        assert isinstance(block, Text)
        assert (block.citations[0].kind, block.citations[0].source) == (CitationKind.OTHER, source)


def test_pictures_in_answers_are_kept() -> None:
    """Bedrock §5: a model may answer with a file; a place in the web is none."""
    answer = BENCH.answer_of(
        Media(MediaKind.DOCUMENT, Plain("w"), name="n"), Media(MediaKind.IMAGE, Url("https://i"), "image/tiff")
    )
    content = BENCH.write_answer(answer)["output"]["message"]["content"]
    assert content == [{"document": {"format": "txt", "name": "n", "source": {"text": "w"}}}]
    assert BENCH.lost == {("dropped", "image")}


COUNTS = st.integers(0, 10**9)


@given(COUNTS, COUNTS, st.none() | COUNTS, st.none() | COUNTS)
def test_counts_survive(went_in: int, came_out: int, read: int | None, wrote: int | None) -> None:
    """IR case 36: what is written is read again."""
    usage = Usage(went_in, came_out, read, wrote)
    assert read_usage(read_object(json.dumps(usage_of(usage)).encode())) == usage


def test_counts_of_all_models() -> None:
    """Bedrock §8, IR case 37: the other spelling, junk, more for long than there is."""
    other = {
        "cacheReadInputTokenCount": 1,
        "cacheWriteInputTokenCount": 2,
        "inputTokens": -1,
        "cacheDetails": [5, {"ttl": "1h"}],
    }
    assert read_usage(read_object(json.dumps(other).encode())) == Usage(None, None, 1, 2, 0)
    assert read_usage(None) is None
    details = usage_of(Usage(cache_write_1h=9))["cacheDetails"]
    assert details == [{"ttl": "1h", "inputTokens": 9}, {"ttl": "5m", "inputTokens": 0}]


# Streams


def frame(name: str, **payload: object) -> bytes:
    """Return one frame."""
    return encode_event(name, json.dumps(payload).encode())


def delta(index: int, **members: object) -> bytes:
    """Return a frame that adds to a block."""
    return frame("contentBlockDelta", contentBlockIndex=index, delta=members, p="abc")


STREAM = b"".join(
    (
        frame("messageStart", role="assistant", p="abc"),
        delta(0, reasoningContent={"text": "hm"}),
        delta(0, reasoningContent={"signature": "c2ln"}),
        frame("contentBlockStop", contentBlockIndex=0),
        delta(1, reasoningContent={"redactedContent": "eA=="}),
        frame("contentBlockStart", contentBlockIndex=2, start={}),
        delta(2, text="é"),
        delta(2, citation=CITED[0]),
        frame("contentBlockStart", contentBlockIndex=3, start={"toolUse": {"toolUseId": "t", "name": "f"}}),
        delta(3, toolUse={"input": '{"a":1}'}),
        frame("contentBlockStop", contentBlockIndex=3),
        frame("messageStop", stopReason="tool_use", additionalModelResponseFields={"stop_sequence": "E"}),
        frame("metadata", usage={"inputTokens": 3, "outputTokens": 4}, metrics={"latencyMs": 1}),
    )
)
HEARD: list[Call] = [
    ("start", "", None),
    ("thinking", 0, "hm"),
    ("seal", 0, Seal("bedr", "c2ln")),
    ("close", 0),
    ("whole", 1, Thinking(sealed="eA==", seal=Seal("bedr", "eA=="))),
    ("text", 2, "é"),
    ("open", 3, Kind.TOOL_USE, "t", "f"),
    ("args", 3, '{"a":1}'),
    ("close", 3),
    ("finish", Reason.TOOL_USE, "tool_use", None),
    ("usage", Usage(3, 4)),
    ("end", True),
]


@pytest.mark.parametrize("size", [0, 1, 7])
def test_stream_is_heard_however_it_is_cut(size: int) -> None:
    """Bedrock §9, IR case 60: cut anywhere; blocks begin with their first delta, padding says nothing."""
    heard = BENCH.hear(STREAM, size)
    (cited,) = [call for call in heard if call[0] == "citations"]
    assert [citation.url for citation in cited[2]] == ["https://u"]
    assert [call for call in heard if call[0] != "citations"] == HEARD


@pytest.mark.parametrize(
    ("piece", "calls"),
    [
        (frame("metadata", metrics={}), []),
        (frame("surprise"), []),
        (frame("contentBlockDelta", delta={"text": "x"}), [("text", 0, "x")]),
        (delta(5000, text="x"), [("text", 1023, "x")]),
        (delta(0, odd={}), []),
        (delta(0, reasoningContent={}), []),
        (frame("contentBlockStart", contentBlockIndex=0), []),
        (frame("contentBlockStart", start={"toolUse": {}}), [("open", 0, Kind.TOOL_USE, "", "")]),
        (encode_event("contentBlockDelta", b"}{"), []),
        (
            encode_exception("throttlingException", b'{"message":"x"}'),
            [("fail", "throttlingException", b'{"message":"x"}')],
        ),
        (encode_error("odd", "x"), [("fail", "odd", b"")]),
        (STREAM[:20], []),
    ],
)
def test_odd_frames_do_no_harm(piece: bytes, calls: list[Call]) -> None:
    """Bedrock §9: what is unknown or torn says nothing; failures are passed on under their names."""
    assert BENCH.hear(piece)[:-1] == calls


def test_nothing_is_heard_behind_a_failure() -> None:
    """Bedrock §9: a failure is the last word."""
    piece = encode_exception("internalServerException", b"{}") + delta(0, text="x")
    assert [call[0] for call in BENCH.hear(piece)] == ["fail", "end"]


def test_bytes_that_are_no_frames_are_an_error() -> None:
    """Bedrock §9, IR case 61: a prelude that does not match ends the reading."""
    with pytest.raises(UpstreamGarbled):
        BENCH.hear(b"x" * 40)


def frames(stream: bytes) -> list[tuple[str, Any]]:
    """Return the frames of a stream by name, without their padding."""
    reader = FrameReader()
    reader.feed(stream)
    found = []
    while (one := reader.maybe_next()) is not None:
        payload = json.loads(one.payload)
        if one.kind is FrameKind.EVENT:
            assert payload.pop("p") in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
        found.append((one.event_type or one.exception_name, payload))
    reader.finish()
    return found


def everything(sink: Sink) -> None:
    """Say everything there is to say."""
    sink.start("m2", Usage(10))
    sink.thinking(0, "hm")
    sink.seal(0, Seal("gemi", "si"))
    sink.seal(0, Seal("gemi", "g"))
    sink.whole(1, Thinking(sealed="eA==", seal=Seal("anth", "eA==")))
    sink.text(2, "é")
    sink.citations(2, [Citation(CitationKind.WEB, url="https://u"), Citation(CitationKind.TOOL)])
    sink.seal(2, Seal("gemi", "x"))
    sink.open(3, Kind.TOOL_USE, "call_1", "f")
    sink.args(3, '{"a":1}')
    sink.finish(Stop(Reason.STOP_SEQUENCE, matched="E"), Usage(output=5))


def test_client_gets_frames_that_its_library_reads() -> None:
    """Bedrock §9, IR case 66: no empty union, dense indices, one signature, the stop and then one metadata."""
    signature = {"reasoningContent": {"signature": "bbf1gemic2ln"}}
    assert frames(BENCH.tell(everything)) == [
        ("messageStart", {"role": "assistant"}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "hm"}}}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": signature}),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        (
            "contentBlockDelta",
            {"contentBlockIndex": 1, "delta": {"reasoningContent": {"redactedContent": "bbf1anthZUE9PQ=="}}},
        ),
        ("contentBlockStop", {"contentBlockIndex": 1}),
        ("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"text": "é"}}),
        (
            "contentBlockDelta",
            {"contentBlockIndex": 2, "delta": {"citation": {"location": {"web": {"url": "https://u"}}}}},
        ),
        ("contentBlockStop", {"contentBlockIndex": 2}),
        (
            "contentBlockStart",
            {"contentBlockIndex": 3, "start": {"toolUse": {"toolUseId": "tooluse_bbo1", "name": "f"}}},
        ),
        ("contentBlockDelta", {"contentBlockIndex": 3, "delta": {"toolUse": {"input": '{"a":1}'}}}),
        ("contentBlockStop", {"contentBlockIndex": 3}),
        ("messageStop", {"stopReason": "stop_sequence", "additionalModelResponseFields": {"stop_sequence": "E"}}),
        (
            "metadata",
            {"usage": {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}, "metrics": {"latencyMs": 318}},
        ),
    ]
    assert BENCH.lost == {("dropped", "citations"), ("dropped", "signature")}


@pytest.mark.parametrize(
    ("kind", "name"), [(Wrong.RATE_LIMITED, "throttlingException"), (Wrong.UNAUTHENTICATED, "internalServerException")]
)
def test_broken_stream_ends_with_an_exception(kind: Wrong, name: str) -> None:
    """Bedrock §9: by the name of the union's member, with a text."""
    told = frames(BENCH.tell(lambda sink: sink.text(0, "x"), fault=Fault(kind, "busy")))
    assert told[-2:] == [("contentBlockStop", {"contentBlockIndex": 0}), (name, {"message": "busy"})]


def test_stream_is_of_the_vendors_type() -> None:
    """IR case 66: binary frames say that they are."""
    assert TRANSLATOR.stream_type(ask_of(TRANSLATOR)) == b"application/vnd.amazon.eventstream"


def test_thought_that_nobody_sealed_is_told_from_those_of_the_vendor() -> None:
    """IR case 22: the vendor would refuse it without a seal, so the client gives back what tells whose it is."""

    def tell(sink: Sink) -> None:
        sink.open(0, Kind.THINKING)
        sink.thinking(0, "hm")
        sink.close(0)
        sink.finish(Stop(Reason.END_TURN), Usage())

    stream = BENCH.tell(tell)
    assert b'{"reasoningContent":{"signature":"bbf1none' in stream
