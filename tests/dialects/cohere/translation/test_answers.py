"""Answers of the Chat dialect, whole and streamed, read and written."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.dialects.cohere.translation import TRANSLATOR
from busbar_fast.dialects.cohere.translation.usages import read_usage, usage_of
from busbar_fast.dialects.faults import Fault
from busbar_fast.dialects.faults import Kind as Wrong
from busbar_fast.dialects.members import read_object
from busbar_fast.errors import FaultReported, Misshapen
from busbar_fast.ir.answers import Reason, Stop, TokenLogprob, Usage
from busbar_fast.ir.blocks import Citation, CitationKind, Media, MediaKind, Span, Text, Thinking, ToolUse, Url
from busbar_fast.ir.events import Kind, Sink
from tests.dialects.translating import Bench, Call, events, raw, sse

BENCH = Bench(TRANSLATOR)
WORDS = {"COMPLETE", "STOP_SEQUENCE", "MAX_TOKENS", "TOOL_CALL", "ERROR", "TIMEOUT"}
SOURCE = {"type": "document", "id": "d", "document": {"id": "d", "title": "T", "url": "https://u"}}
CITED = {"start": 0, "end": 2, "text": "he", "sources": [SOURCE], "type": "TEXT_CONTENT", "content_index": 1}
DOCUMENT: dict[str, Any] = {
    "id": "5f1c0b9e-7a44-4d0e-9c1b-2f6a1d8e3b70",
    "finish_reason": "TOOL_CALL",
    "message": {
        "role": "assistant",
        "tool_plan": "I will look",
        "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "hello"}],
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}],
        "citations": [CITED],
    },
    "usage": {
        "billed_units": {"input_tokens": 31, "output_tokens": 15},
        "tokens": {"input_tokens": 31, "output_tokens": 15},
        "cached_tokens": 8,
    },
    "model": "kiln",
    "extra": 1,
}


def cited(**citation: object) -> Any:
    """Return the text of an answer with one reference."""
    message = {"content": [{"type": "text", "text": "hello"}], "citations": [citation]}
    return BENCH.read_answer({"message": message}).blocks[0]


def test_what_was_answered_is_answered_again() -> None:
    """IR §1, cohere case 15: an answer comes back to its own dialect."""
    assert BENCH.write_answer(BENCH.read_answer(DOCUMENT)) == DOCUMENT


def test_answer_is_read_into_neutral_words() -> None:
    """Cohere §5, §7: a plan first, cached tokens apart."""
    answer = BENCH.read_answer(DOCUMENT)
    assert answer.usage == Usage(23, 15, 8)
    assert answer.stop == Stop(Reason.TOOL_USE, "TOOL_CALL", "cohere")
    plan, thought, text, use = answer.blocks
    assert (plan, thought) == (Text("I will look", is_plan=True), Thinking("hm"))
    assert isinstance(text, Text)
    assert (text.citations[0].answer, text.citations[0].url) == (Span(0, 2, "he"), "https://u")
    assert isinstance(use, ToolUse)
    assert bytes(use.args) == b'{"a": 1}'


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({}, Misshapen),
        ({"message": "no such model"}, Misshapen),
        ({"finish_reason": "ERROR"}, FaultReported),
        ({"finish_reason": "TIMEOUT", "message": {"content": []}}, FaultReported),
    ],
)
def test_what_is_no_answer_is_none(document: object, error: type[Exception]) -> None:
    """Cohere §5, case 44: without a message there is no answer; a failure without a word is a failure."""
    with pytest.raises(error):
        BENCH.read_answer(document)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("ERROR", Reason.ERROR),
        ("TIMEOUT", Reason.TIMEOUT),
        ("ERROR_TOXIC", Reason.SAFETY),
        ("ERROR_LIMIT", Reason.CONTEXT_WINDOW),
        ("USER_CANCEL", Reason.OTHER),
        ("", Reason.NONE),
    ],
)
def test_words_are_reasons(word: str, reason: Reason) -> None:
    """Cohere §6: also those of the older version; a failure with something said is an answer."""
    assert BENCH.read_answer({"finish_reason": word, "message": {"content": "x"}}).stop.reason is reason


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_word(reason: Reason) -> None:
    """Cohere §6, IR case 34: always a word of the vendor."""
    assert BENCH.write_answer(BENCH.answer_of(Text("x"), stop=Stop(reason)))["finish_reason"] in WORDS


def test_written_answer_has_an_id_of_its_own() -> None:
    """Cohere §5, IR case 57: a random UUID; what has no place is noted; a plan without calls is just text."""
    answer = BENCH.answer_of(
        Text("p", is_plan=True),
        Media(MediaKind.IMAGE, Url("https://i")),
        stop=Stop(Reason.STOP_SEQUENCE, matched="E"),
        logprobs=[TokenLogprob("x", raw(-1))],
    )
    found = BENCH.write_answer(answer)
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", found["id"])
    assert found["message"] == {"role": "assistant", "content": [{"type": "text", "text": "p"}]}
    assert "model" not in found
    assert BENCH.lost == {("dropped", "image"), ("dropped", "logprobs"), ("dropped", "stop_sequence")}


def test_likelihoods_are_read_token_by_token() -> None:
    """Cohere §5: a piece of several tokens says too little about each."""
    document = {"message": {"content": "x"}, "logprobs": [{"text": "x", "logprobs": [-1]}]}
    assert BENCH.read_answer(document).logprobs == [TokenLogprob("x", raw(-1))]
    assert BENCH.read_answer(document | {"logprobs": [{"text": "x", "logprobs": [-1, -2]}]}).logprobs == []
    assert BENCH.lost == {("dropped", "logprobs")}


@pytest.mark.parametrize(
    ("citation", "answer", "source"),
    [
        ({"start": 0, "end": 2, "text": "he"}, Span(0, 2, "he"), None),
        ({"start": 0, "end": 2, "text": "no"}, None, Span(0, 2, "no")),
        ({"start": 0, "end": 2}, Span(0, 2), None),
        ({"sources": [5]}, None, None),
        ({"content_index": 9, "start": 0, "end": 2, "text": "he"}, Span(0, 2, "he"), None),
    ],
)
def test_references_are_about_the_answer_or_its_source(
    citation: dict[str, object], answer: Span | None, source: Span | None
) -> None:
    """Cohere §5: where the text fits it is a part of the answer, else of the source; the last text by default."""
    (found,) = cited(**citation).citations
    assert (found.answer, found.source) == (answer, source)


def test_reference_without_a_text_is_nobodys() -> None:
    """Cohere §5: there is nothing that could rest on it."""
    answer = BENCH.read_answer({"message": {"content": [{"type": "thinking", "thinking": "x"}], "citations": [CITED]}})
    assert answer.blocks == [Thinking("x")]


@pytest.mark.parametrize(
    ("citation", "text", "place"),
    [
        (Citation(CitationKind.WEB, Span(1, 2), url="https://u"), "hello", (1, 2, "e", "https://u")),
        (Citation(CitationKind.WEB, source=Span(0, 9, "ll"), doc_id="d"), "hello", (2, 4, "ll", "d")),
        (Citation(CitationKind.WEB, source=Span(0, 9, "l"), doc_index=3), "hello", (0, 5, "hello", "3")),
        (Citation(CitationKind.WEB), "hello", (0, 5, "hello", "0")),
        (Citation(CitationKind.WEB), "", None),
    ],
)
def test_references_are_placed(citation: Citation, text: str, place: tuple[int, int, str, str] | None) -> None:
    """Cohere §5: by the span, by the quoted text, else for the whole block; without text there is no place."""
    message = BENCH.write_answer(BENCH.answer_of(Text(text, [citation])))["message"]
    found = [(one["start"], one["end"], one["text"], one["sources"][0]["id"]) for one in message.get("citations", [])]
    assert found == ([] if place is None else [place])
    assert BENCH.lost == (set() if place else {("dropped", "citations")})


COUNTS = st.integers(0, 10**9)


@given(COUNTS, COUNTS, st.none() | COUNTS)
def test_counts_survive(went_in: int, came_out: int, read: int | None) -> None:
    """IR case 36: what is written is read again."""
    usage = Usage(went_in, came_out, read)
    assert read_usage(read_object(json.dumps(usage_of(usage)).encode())) == usage


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ({"billed_units": {"input_tokens": 31.0, "output_tokens": "7"}}, Usage(31, 7)),
        ({"billed_units": {"input_tokens": 3}, "cached_tokens": 9}, Usage(0, None, 9)),
        ({"tokens": {"input_tokens": 3}, "billed_units": {}}, Usage(3, None)),
        ({}, Usage()),
    ],
)
def test_counts_of_all_forms(counts: object, usage: Usage) -> None:
    """Cohere §7, IR case 37: what is billed where nothing else is told, floats and texts."""
    assert read_usage(read_object(json.dumps(counts).encode())) == usage
    assert read_usage(None) is None


# Streams


def event(name: str, index: int | None = None, **message: object) -> dict[str, object]:
    """Return one event about a message."""
    place = {} if index is None else {"index": index}
    return {"type": name, **place, "delta": {"message": message}}


def heard(*told: object, size: int = 0, named: bool = True) -> list[Call]:
    """Return the calls of a stream, without its end."""
    return BENCH.hear(sse(*told, named=named), size)[:-1]


def call(tool_id: str, name: str, arguments: object) -> dict[str, object]:
    """Return a call as an event holds it."""
    return {"id": tool_id, "type": "function", "function": {"name": name, "arguments": arguments}}


STREAM = (
    {"type": "message-start", "id": "x", "model": "kiln", "delta": {"message": {"role": "assistant"}}},
    event("content-start", 0, content={"type": "thinking", "thinking": ""}),
    event("content-delta", 0, content={"thinking": "hm"}),
    event("content-end", 0),
    event("content-start", 1, content={"type": "text", "text": ""}),
    event("content-delta", 1, content={"text": "é"}) | {"logprobs": {"text": "é", "logprobs": [-1]}},
    event("citation-start", 0, citations={"start": 0, "end": 1, "text": "é", "sources": [SOURCE], "content_index": 1}),
    event("citation-end", 0),
    event("content-end", 1),
    event("tool-plan-delta", tool_plan="I will"),
    event("tool-plan-delta", tool_plan=" look"),
    event("tool-call-start", 0, tool_calls=call("a", "f", "")),
    event("tool-call-delta", 0, tool_calls={"function": {"arguments": '{"a"'}}),
    event("tool-call-delta", 0, tool_calls={"function": {"arguments": ":1}"}}),
    event("tool-call-end", 0),
    {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL", "usage": {"tokens": {"input_tokens": 3}}}},
    "[DONE]",
)
HEARD: list[Call] = [
    ("start", "kiln", None),
    ("open", 0, Kind.THINKING, "", ""),
    ("thinking", 0, "hm"),
    ("close", 0),
    ("open", 1, Kind.TEXT, "", ""),
    ("text", 1, "é"),
    ("logprobs", 1, [TokenLogprob("é", raw(-1))]),
    ("close", 1),
    ("open", 2, Kind.TEXT, "", ""),
    ("text", 2, "I will"),
    ("text", 2, " look"),
    ("close", 2),
    ("open", 3, Kind.TOOL_USE, "a", "f"),
    ("args", 3, '{"a"'),
    ("args", 3, ":1}"),
    ("close", 3),
    ("finish", Reason.TOOL_USE, "TOOL_CALL", Usage(3)),
    ("end", True),
]


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("size", [0, 1, 7])
def test_stream_is_heard_however_it_is_cut(size: int, *, named: bool) -> None:
    """Cohere §8, IR case 60: cut anywhere, with names of events or without."""
    found = BENCH.hear(sse(*STREAM, named=named), size)
    (citations,) = [one for one in found if one[0] == "citations"]
    assert (citations[1], [citation.url for citation in citations[2]]) == (1, ["https://u"])
    assert [one for one in found if one[0] != "citations"] == HEARD


@pytest.mark.parametrize(
    ("told", "calls"),
    [
        ([event("content-delta", 0, content="x")], [("open", 0, Kind.TEXT, "", ""), ("text", 0, "x")]),
        (
            [event("content-delta", 0, content=[{"type": "text", "text": "x"}, {"thinking": "y"}, 5])],
            [
                ("open", 0, Kind.TEXT, "", ""),
                ("text", 0, "x"),
                ("close", 0),
                ("open", 1, Kind.THINKING, "", ""),
                ("thinking", 1, "y"),
            ],
        ),
        ([event("content-delta", 0)], []),
        ([event("content-delta", 0, content=5)], []),
        ([event("content-end", 0)], []),
        ([event("content-delta", 0) | {"logprobs": {"logprobs": [-1]}}], []),
        ([event("content-delta", 0) | {"logprobs": 5}], []),
        (
            [event("tool-call-start", 0, tool_calls=[call("a", "f", '{"a":1}')])],
            [("open", 0, Kind.TOOL_USE, "a", "f"), ("args", 0, '{"a":1}')],
        ),
        ([event("tool-call-start", 0, tool_calls=[])], [("open", 0, Kind.TOOL_USE, "", "")]),
        ([event("tool-call-start", 0), event("tool-call-start", 0)], [("open", 0, Kind.TOOL_USE, "", "")]),
        ([event("tool-call-delta", 5, tool_calls={"function": {"arguments": "x"}})], []),
        ([event("tool-call-start", 0), event("tool-call-delta", 0)], [("open", 0, Kind.TOOL_USE, "", "")]),
        ([event("tool-call-end", 5)], []),
        ([event("citation-start", 0, citations=CITED)], []),
        ([event("citation-start", 0, citations=5)], []),
        ([event("citation-start", 0)], []),
        ([{"type": "debug"}], []),
        ([{"type": "message-start"}], [("start", "", None)]),
        ([{"type": "message-end"}], [("finish", Reason.NONE, "", None)]),
        ([{"type": "message-end", "delta": {"finish_reason": "ERROR"}}], [("finish", Reason.ERROR, "ERROR", None)]),
    ],
)
def test_odd_events_do_no_harm(told: list[object], calls: list[Call]) -> None:
    """Cohere §8: other forms are understood, what is unknown says nothing, a call is begun once."""
    assert heard(*told) == calls


def test_references_find_their_text() -> None:
    """Cohere §8: by the index of the content, else the last one; failures with a text are failures."""
    told = event("content-delta", 3, content="hello")
    found = heard(told, event("citation-start", 0, citations={"start": 0, "end": 1}))
    assert [(one[0], one[1]) for one in found][-1] == ("citations", 0)
    failed = {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "busy"}}
    assert heard(failed) == [("fail", "message-end", json.dumps(failed).encode())]


def everything(sink: Sink) -> None:
    """Say everything there is to say."""
    sink.start("m2", Usage(10))
    sink.thinking(0, "hm")
    sink.text(1, "é")
    sink.citations(1, [Citation(CitationKind.WEB, url="https://u", title="T")])
    sink.open(2, Kind.TOOL_USE, "toolu_1", "f")
    sink.args(2, '{"a":1}')
    sink.finish(Stop(Reason.END_TURN), Usage(output=5))


def test_client_gets_a_stream_that_its_library_reads() -> None:
    """Cohere §8: one object a frame, three counters, a terminal frame with usage, and the end."""
    told = events(BENCH.tell(everything))
    assert told[-1] == ("", "[DONE]")
    assert [name for name, _ in told[:-1]] == [payload["type"] for _, payload in told[:-1]]
    shown = [
        (name, payload.get("index"), payload["delta"]["message"] if "delta" in payload else None)
        for name, payload in told[1:-2]
    ]
    citation = {
        "start": 0,
        "end": 1,
        "text": "é",
        "sources": [
            {"type": "document", "id": "https://u", "document": {"id": "https://u", "title": "T", "url": "https://u"}}
        ],
        "type": "TEXT_CONTENT",
        "content_index": 1,
    }
    assert shown == [
        ("content-start", 0, {"content": {"type": "thinking", "thinking": ""}}),
        ("content-delta", 0, {"content": {"thinking": "hm"}}),
        ("content-end", 0, None),
        ("content-start", 1, {"content": {"type": "text", "text": ""}}),
        ("content-delta", 1, {"content": {"text": "é"}}),
        ("citation-start", 0, {"citations": citation}),
        ("citation-end", 0, None),
        ("content-end", 1, None),
        ("tool-call-start", 0, {"tool_calls": call("toolu_1", "f", "")}),
        ("tool-call-delta", 0, {"tool_calls": {"function": {"arguments": '{"a":1}'}}}),
        ("tool-call-end", 0, None),
    ]
    counted = {"input_tokens": 10, "output_tokens": 5}
    end = {"finish_reason": "TOOL_CALL", "usage": {"billed_units": counted, "tokens": counted}}
    assert told[-2][1]["delta"] == end
    assert (told[0][1]["model"], told[0][1]["delta"]["message"]["content"]) == ("m2", [])


def test_reference_in_front_of_its_text_waits_for_it() -> None:
    """Cohere §8: Anthropic tells what a text rests on before the text; here both its places are those of the text."""

    def tell(sink: Sink) -> None:
        sink.open(0, Kind.TEXT)
        sink.citations(0, [Citation(CitationKind.WEB, url="https://u")])
        sink.text(0, "é")
        sink.text(0, "!")
        sink.close(0)
        sink.text(1, "x")

    told = [payload for name, payload in events(BENCH.tell(tell)) if name.startswith(("content-e", "citation-s"))]
    assert [payload["type"] for payload in told] == ["citation-start", "content-end", "content-end"]
    shown = told[0]["delta"]["message"]["citations"]
    assert (shown["start"], shown["end"], shown["text"], shown["content_index"]) == (0, 2, "é!", 0)
    assert BENCH.lost == set()


def test_reference_without_a_place_is_dropped() -> None:
    """Cohere §8: there is no text yet that it could be about."""
    BENCH.tell(lambda sink: sink.citations(0, [Citation(CitationKind.TOOL)]))
    assert BENCH.lost == {("dropped", "citations")}


@pytest.mark.parametrize(("kind", "word"), [(Wrong.TIMED_OUT, "TIMEOUT"), (Wrong.OVERLOADED, "ERROR")])
def test_broken_stream_ends_with_a_reason(kind: Wrong, word: str) -> None:
    """Cohere §8: a terminal frame with a text and what was counted, then the end."""
    told = events(BENCH.tell(lambda sink: sink.text(0, "x"), fault=Fault(kind, "busy")))
    assert told[-1] == ("", "[DONE]")
    delta = told[-2][1]["delta"]
    assert (delta["finish_reason"], delta["error"]) == (word, "busy")
    assert told[-3][0] == "content-end"
