"""Answers of the Messages dialect, whole and streamed, read and written."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.dialects.anthropic.translation import TRANSLATOR
from busbar_fast.dialects.anthropic.translation.usages import counted, read_usage, usage_of
from busbar_fast.dialects.faults import Fault
from busbar_fast.dialects.faults import Kind as Wrong
from busbar_fast.dialects.members import Members, read_object
from busbar_fast.errors import FaultReported, Misshapen
from busbar_fast.ir.answers import Reason, Stop, TokenLogprob, Usage
from busbar_fast.ir.blocks import (
    Citation,
    CitationKind,
    Media,
    MediaKind,
    Opaque,
    Seal,
    Span,
    Text,
    Thinking,
    Url,
)
from busbar_fast.ir.events import Kind, Sink
from tests.dialects.translating import Bench, events, raw, sse

BENCH = Bench(TRANSLATOR)
WORDS = {
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "pause_turn",
    "refusal",
    "model_context_window_exceeded",
}
DOCUMENT: dict[str, Any] = {
    "id": "msg_01abc",
    "type": "message",
    "role": "assistant",
    "model": "kiln",
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "ZGF0YQ=="},
        {"type": "text", "text": "hello"},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
    ],
    "stop_reason": "stop_sequence",
    "stop_sequence": "END",
    "usage": {
        "input_tokens": 1,
        "cache_creation_input_tokens": 5,
        "cache_read_input_tokens": 2,
        "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 2},
        "output_tokens": 7,
        "output_tokens_details": {"thinking_tokens": 4},
    },
    "container": None,
}


def test_what_was_answered_is_answered_again() -> None:
    """IR §1, anthropic case 37: an answer comes back to its own dialect, the matched string included."""
    assert BENCH.write_answer(BENCH.read_answer(DOCUMENT)) == DOCUMENT


def test_answer_is_read_into_neutral_words() -> None:
    """Anthropic §9: what each part becomes."""
    answer = BENCH.read_answer(DOCUMENT)
    assert answer.usage == Usage(1, 7, 2, 5, 2, 4)
    assert answer.stop == Stop(Reason.STOP_SEQUENCE, "stop_sequence", "anthropic", "END")
    assert [type(block).__name__ for block in answer.blocks] == ["Thinking", "Thinking", "Text", "ToolUse", "Opaque"]
    assert answer.blocks[1] == Thinking(sealed="ZGF0YQ==", seal=Seal("anth", "ZGF0YQ=="))


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({"type": "error", "error": {"type": "api_error"}}, FaultReported),
        ({"type": "message", "role": "assistant"}, Misshapen),
        ({"content": [], "role": "user"}, Misshapen),
    ],
)
def test_what_is_no_answer_is_none(document: object, error: type[Exception]) -> None:
    """Anthropic §9: an error is one whatever its status, and without a content there is no answer."""
    with pytest.raises(error):
        BENCH.read_answer(document)


def test_poor_answer_is_an_answer() -> None:
    """Anthropic §9: without a usage nothing was counted, and a role may be missing."""
    answer = BENCH.read_answer({"content": []})
    assert (answer.usage, answer.stop.reason, answer.blocks) == (Usage(), Reason.NONE, [])


def test_written_answer_has_an_id_of_its_own() -> None:
    """Anthropic cases 35, 36: 28 characters of base58 behind the prefix, the model, an explicit null."""
    found = BENCH.write_answer(BENCH.answer_of(Text("x"), model="m2"))
    assert re.fullmatch(r"msg_01[1-9A-HJ-NP-Za-km-z]{22}", found["id"])
    assert (found["model"], found["stop_sequence"]) == ("m2", None)
    assert found["usage"] == {"input_tokens": 0, "output_tokens": 0}


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_word(reason: Reason) -> None:
    """Anthropic case 38, IR case 34: one of the seven, safety as refusal."""
    word = BENCH.write_answer(BENCH.answer_of(Text("x"), stop=Stop(reason)))["stop_reason"]
    assert word in WORDS
    assert (word == "refusal") is (reason in (Reason.SAFETY, Reason.REFUSAL))


def test_unknown_reason_is_other() -> None:
    """Anthropic §9: a word that nobody knows ends a turn."""
    answer = BENCH.read_answer(DOCUMENT | {"stop_reason": "tired"})
    assert (answer.stop.reason, answer.stop.native) == (Reason.OTHER, "tired")


def test_what_has_no_place_is_noted() -> None:
    """IR §8: pictures and likelihoods have no place in an answer."""
    token = TokenLogprob("x", raw(-1))
    answer = BENCH.answer_of(Media(MediaKind.IMAGE, Url("https://i")), Text("x"), Text(" "), logprobs=[token])
    assert BENCH.write_answer(answer)["content"] == [{"type": "text", "text": "x"}]
    assert BENCH.lost == {("dropped", "image"), ("dropped", "logprobs")}


COUNTS = st.none() | st.integers(0, 10**9)


@given(st.builds(Usage, COUNTS, COUNTS, COUNTS, COUNTS, st.none(), COUNTS))
def test_counts_survive(usage: Usage) -> None:
    """IR case 36: what is written is read again, nothing and zero apart."""
    assert read_usage(read_object(json.dumps(counted(usage)).encode())) == usage
    whole = usage_of(usage)
    assert (whole["input_tokens"], whole["output_tokens"]) == (usage.input or 0, usage.output or 0)


def test_nothing_counted_is_nothing() -> None:
    """Anthropic case 39, IR case 37: junk is absent; no cache, no fields of one; shares floor at 0."""
    assert read_usage(None) is None
    assert read_usage(Members({"input_tokens": raw(-1), "output_tokens": raw("7")})) == Usage(None, 7)
    assert counted(Usage()) == {}
    split = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 9}
    assert counted(Usage(cache_write_1h=9))["cache_creation"] == split


CITED = [
    {
        "type": "char_location",
        "cited_text": "w",
        "document_index": 0,
        "document_title": "T",
        "start_char_index": 1,
        "end_char_index": 2,
    },
    {
        "type": "page_location",
        "cited_text": "w",
        "document_index": 0,
        "document_title": "T",
        "start_page_number": 1,
        "end_page_number": 2,
    },
    {
        "type": "content_block_location",
        "cited_text": "w",
        "document_index": 0,
        "document_title": "T",
        "start_block_index": 1,
        "end_block_index": 2,
    },
    {
        "type": "search_result_location",
        "cited_text": "w",
        "source": "s",
        "title": "T",
        "search_result_index": 3,
        "start_block_index": 0,
        "end_block_index": 1,
    },
    {"type": "web_search_result_location", "cited_text": "w", "encrypted_index": "e", "title": "T", "url": "https://u"},
    {"type": "odd_location"},
]


@pytest.mark.parametrize("citation", CITED, ids=lambda citation: citation["type"])
def test_references_come_back_as_they_were(citation: dict[str, Any]) -> None:
    """Anthropic case 32: all kinds, byte for byte in their own dialect."""
    document = DOCUMENT | {"content": [{"type": "text", "text": "x", "citations": [citation]}]}
    answer = BENCH.read_answer(document)
    assert BENCH.write_answer(answer)["content"] == document["content"]
    (block,) = answer.blocks
    assert isinstance(block, Text)
    (read,) = block.citations
    if citation["type"] != "odd_location":
        read.owner = "other"
        rewritten = BENCH.write_answer(BENCH.answer_of(Text("x", [read])))["content"][0]["citations"]
        assert rewritten == [citation]


def test_references_of_others_are_whole_or_gone() -> None:
    """Anthropic case 32: a page is enough, with a mark where the vendor knows its way back; nothing at all is not."""
    web = Citation(CitationKind.WEB, answer=Span(0, 1), url="https://u")
    bare = Citation(CitationKind.TOOL, title="T")
    found = BENCH.write_answer(BENCH.answer_of(Text("x", [web, bare])))["content"][0]["citations"]
    assert found == [
        {
            "type": "web_search_result_location",
            "cited_text": "",
            "encrypted_index": "bbf1nonebm9uZQ==",
            "title": None,
            "url": "https://u",
        }
    ]
    assert BENCH.lost == {("dropped", "citations")}


# Streams

START = {"type": "message_start", "message": {"model": "kiln", "usage": {"input_tokens": 41, "output_tokens": 1}}}
STREAM = (
    START,
    {"type": "ping"},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2ln"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "é"}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "citations_delta", "citation": CITED[4]}},
    {"type": "content_block_stop", "index": 1},
    {
        "type": "content_block_start",
        "index": 2,
        "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}},
    },
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"a"'}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "input_json": ":1}"}},
    {"type": "content_block_stop", "index": 2},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 38}},
    {"type": "message_stop"},
)
HEARD = [
    ("start", "kiln", Usage(41, 1)),
    ("open", 0, Kind.THINKING, "", ""),
    ("thinking", 0, ""),
    ("thinking", 0, "hm"),
    ("seal", 0, Seal("anth", "c2ln")),
    ("close", 0),
    ("open", 1, Kind.TEXT, "", ""),
    ("text", 1, ""),
    ("text", 1, "é"),
    ("close", 1),
    ("open", 2, Kind.TOOL_USE, "t", "f"),
    ("args", 2, '{"a"'),
    ("args", 2, ":1}"),
    ("close", 2),
    ("finish", Reason.TOOL_USE, "tool_use", Usage(output=38)),
    ("end", True),
]


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("size", [0, 1, 7])
def test_stream_is_heard_however_it_is_cut(size: int, *, named: bool) -> None:
    """Anthropic cases 50, 51, IR case 60: cut anywhere, with names of events or without."""
    heard = BENCH.hear(sse(*STREAM, named=named), size)
    (cited,) = [call for call in heard if call[0] == "citations"]
    assert [citation.url for citation in cited[2]] == ["https://u"]
    assert [call for call in heard if call[0] != "citations"] == HEARD


@pytest.mark.parametrize(
    ("event", "calls"),
    [
        ({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "x"}}, []),
        (
            {"type": "content_block_delta", "index": 2**64 - 1, "delta": {"type": "text_delta", "text": "x"}},
            [("text", 1023, "x")],
        ),
        (
            {"type": "content_block_delta", "index": 5000, "delta": {"type": "text_delta", "text": "x"}},
            [("text", 1023, "x")],
        ),
        ({"type": "content_block_delta", "index": 0, "delta": {"type": "odd_delta"}}, []),
        ({"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": ""}}, []),
        ({"type": "content_block_delta", "index": 0, "delta": {"type": "citations_delta", "citation": 5}}, []),
        ({"type": "content_block_delta", "index": 0, "delta": {"type": "citations_delta"}}, []),
        ({"type": "content_block_start", "index": 0}, []),
        ({"type": "content_block_start", "content_block": {"type": "text"}}, []),
        ({"type": "content_block_stop"}, []),
        ({"type": "message_start"}, []),
        ({"type": "message_delta", "usage": {"output_tokens": 3}}, [("usage", Usage(output=3))]),
        ({"type": "message_delta"}, []),
        ({"type": "surprise"}, []),
        ({"type": "error", "error": {}}, [("fail", "error", b'{"type": "error", "error": {}}')]),
    ],
)
def test_odd_events_do_no_harm(event: object, calls: list[object]) -> None:
    """Anthropic cases 52, 54: indices are clamped or needed, what is unknown says nothing, an error is passed on."""
    assert BENCH.hear(sse(event))[:-1] == calls


@pytest.mark.parametrize(
    ("block", "calls"),
    [
        (
            {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
            [("open", 0, Kind.TOOL_USE, "t", "f"), ("args", 0, '{"a": 1}')],
        ),
        (
            {"type": "redacted_thinking", "data": "eA=="},
            [("whole", 0, Thinking(sealed="eA==", seal=Seal("anth", "eA==")))],
        ),
    ],
)
def test_block_may_come_whole(block: object, calls: list[object]) -> None:
    """Anthropic §10: a call whose arguments are there already, and what is redacted."""
    assert BENCH.hear(sse({"type": "content_block_start", "index": 0, "content_block": block}))[:-1] == calls


def test_opaque_block_keeps_its_index() -> None:
    """Anthropic §10: a block of an unknown kind is passed on as one."""
    (call, _) = BENCH.hear(sse({"type": "content_block_start", "index": 4, "content_block": {"type": "odd"}}))
    assert (call[0], call[1], type(call[2])) == ("whole", 4, Opaque)


def everything(sink: Sink) -> None:
    """Say everything there is to say."""
    sink.start("m2", Usage(10))
    sink.thinking(0, "hm")
    sink.seal(0, Seal("gemi", "si"))
    sink.seal(0, Seal("gemi", "g"))
    sink.whole(1, Thinking(sealed="eA==", seal=Seal("bedr", "eA==")))
    sink.whole(2, Opaque("other", raw({})))
    sink.text(3, "é")
    citations = [Citation(CitationKind.WEB, url="https://u"), Citation(CitationKind.WEB, url="https://v")]
    sink.citations(3, [*citations, Citation(CitationKind.TOOL)])
    sink.open(4, Kind.TOOL_USE, "call_1", "f")
    sink.args(4, '{"a":1}')
    sink.seal(4, Seal("gemi", "x"))
    sink.whole(5, Opaque("anthropic", raw({"type": "odd"})))
    sink.finish(Stop(Reason.END_TURN), Usage(output=5))
    sink.usage(Usage(11, cache_read=3))


def test_client_gets_a_stream_that_its_library_reads() -> None:
    """Anthropic cases 41 to 45, 49, IR case 48: seed fields, dense indices, one signature, one event a reference."""
    told = events(BENCH.tell(everything))
    assert [name for name, _ in told] == [payload["type"] for _, payload in told]
    assert told[0][1]["message"]["usage"] == {"input_tokens": 10, "output_tokens": 0}
    assert told[0][1]["message"]["model"] == "m2"
    starts = [payload["content_block"] for name, payload in told if name == "content_block_start"]
    assert starts == [
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "redacted_thinking", "data": "bbf1bedrZUE9PQ=="},
        {"type": "text", "text": ""},
        {"type": "tool_use", "id": "toolu_bbo1", "name": "f", "input": {}},
        {"type": "odd"},
    ]
    indices = [payload["index"] for name, payload in told if name == "content_block_start"]
    assert indices == [payload["index"] for name, payload in told if name == "content_block_stop"] == [0, 1, 2, 3, 4]
    deltas = [payload["delta"] for name, payload in told if name == "content_block_delta"]
    signatures = [delta["signature"] for delta in deltas if delta["type"] == "signature_delta"]
    assert signatures == ["bbf1gemic2ln"]
    assert [delta["citation"]["url"] for delta in deltas if delta["type"] == "citations_delta"] == [
        "https://u",
        "https://v",
    ]
    assert told[-2:] == [
        (
            "message_delta",
            {
                "type": "message_delta",
                "delta": {"stop_reason": "tool_use", "stop_sequence": None},
                "usage": {"output_tokens": 5, "input_tokens": 11, "cache_read_input_tokens": 3},
            },
        ),
        ("message_stop", {"type": "message_stop"}),
    ]
    assert BENCH.lost == {("dropped", "opaque_block"), ("dropped", "citations"), ("dropped", "signature")}


def test_broken_stream_ends_with_an_error() -> None:
    """Anthropic case 48, §10: open blocks are closed, then comes an event `error` without an id of any request."""
    told = events(BENCH.tell(lambda sink: sink.text(0, "x"), fault=Fault(Wrong.OVERLOADED, "busy")))
    assert told[-2:] == [
        ("content_block_stop", {"type": "content_block_stop", "index": 0}),
        ("error", {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}),
    ]


def test_stream_without_a_count_says_zero() -> None:
    """Anthropic §10: the library insists on what came out."""
    told = events(BENCH.tell(lambda sink: sink.text(0, "x")))
    assert told[-2][1]["usage"] == {"output_tokens": 0}


def test_thought_that_nobody_sealed_is_told_from_those_of_the_vendor() -> None:
    """IR case 22: the vendor would refuse it without a seal, so the client gives back what tells whose it is."""

    def tell(sink: Sink) -> None:
        sink.open(0, Kind.THINKING)
        sink.thinking(0, "hm")
        sink.close(0)
        sink.finish(Stop(Reason.END_TURN), Usage())

    stream = BENCH.tell(tell)
    assert b'"signature_delta","signature":"bbf1none' in stream
