"""Answers of the Chat Completions dialect, whole and streamed, read and written."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.dialects.faults import Fault
from busbar_fast.dialects.faults import Kind as Wrong
from busbar_fast.dialects.members import read_object
from busbar_fast.dialects.openai_chat.translation import TRANSLATOR
from busbar_fast.dialects.openai_chat.translation.usages import read_usage, usage_of
from busbar_fast.errors import FaultReported, Misshapen
from busbar_fast.ir.answers import Reason, Stop, TokenLogprob, Usage
from busbar_fast.ir.blocks import (
    Citation,
    CitationKind,
    Media,
    MediaKind,
    Span,
    Text,
    Thinking,
    ToolUse,
    Url,
)
from busbar_fast.ir.events import Kind, Sink
from busbar_fast.ir.requests import Request, Tool
from tests.dialects.translating import Bench, Call, events, raw, sse

BENCH = Bench(TRANSLATOR)
WORDS = {"stop", "length", "tool_calls", "content_filter"}
CUSTOM = Request("openai", tools=[Tool("c", is_custom=True)])
LOGPROB = {
    "token": "x",
    "logprob": -0.5,
    "bytes": [120],
    "top_logprobs": [{"token": "y", "logprob": -1, "bytes": [121]}],
}
DOCUMENT: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1760001000,
    "model": "kiln",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "hello",
                "refusal": None,
                "reasoning_content": "hm",
                "tool_calls": [
                    {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
                    {"id": "call_2", "type": "custom", "custom": {"name": "c", "input": "free"}},
                ],
                "annotations": [
                    {
                        "type": "url_citation",
                        "url_citation": {"url": "https://u", "title": "T", "start_index": 0, "end_index": 5},
                    }
                ],
            },
            "logprobs": {"content": [LOGPROB], "refusal": None},
            "finish_reason": "tool_calls",
        }
    ],
    "usage": {
        "prompt_tokens": 100,
        "completion_tokens": 15,
        "total_tokens": 115,
        "prompt_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 10},
        "completion_tokens_details": {"reasoning_tokens": 4},
    },
    "system_fingerprint": "fp",
}


def answered(**message: object) -> Any:
    """Return the blocks of an answer with this message."""
    return BENCH.read_answer({"choices": [{"message": message}]}).blocks


def test_what_was_answered_is_answered_again() -> None:
    """IR §1: an answer comes back to its own dialect."""
    assert BENCH.write_answer(BENCH.read_answer(DOCUMENT), CUSTOM) == DOCUMENT


def test_answer_is_read_into_neutral_words() -> None:
    """Openai §6, §8, cases 24, 49: thoughts first, cached tokens apart."""
    answer = BENCH.read_answer(DOCUMENT)
    assert answer.usage == Usage(50, 15, 40, 10, None, 4)
    assert (answer.id, answer.created_s, answer.model) == ("chatcmpl-1", 1760001000, "kiln")
    assert answer.blocks[0] == Thinking("hm")
    assert answer.logprobs == [TokenLogprob("x", raw(-0.5), raw([120]), [TokenLogprob("y", raw(-1), raw([121]))])]


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({"error": {"message": "no"}}, FaultReported),
        ({}, Misshapen),
        ({"choices": []}, Misshapen),
        ({"choices": [{}]}, Misshapen),
    ],
)
def test_what_is_no_answer_is_none(document: object, error: type[Exception]) -> None:
    """Openai case 61, §6: an error is one whatever its status; without a choice there is no answer."""
    with pytest.raises(error):
        BENCH.read_answer(document)


def test_one_choice_is_the_answer() -> None:
    """Openai §6: the choice with index 0, the others are noted."""
    choices = [{"index": 1, "message": {"content": "b"}}, {"index": 0, "message": {"content": "a"}}]
    assert BENCH.read_answer({"choices": choices}).blocks == [Text("a")]
    assert BENCH.lost == {("dropped", "candidates")}


@pytest.mark.parametrize(
    ("message", "blocks"),
    [
        ({"content": None, "reasoning_content": None, "reasoning": "x"}, [Thinking("x")]),
        ({"content": [{"type": "text", "text": "a"}, {"type": "odd"}]}, [Text("a")]),
        ({"refusal": "no"}, [Text("no", is_refusal=True)]),
        ({"tool_calls": [{"id": "a", "function": {"name": "f"}}]}, [ToolUse("a", "f")]),
        ({"tool_calls": [{"id": "a"}]}, [ToolUse("a", "")]),
        ({"function_call": {"name": "f", "arguments": "{}"}}, [ToolUse("", "f")]),
        ({"function_call": 5}, []),
        ({"content": "a", "annotations": [{"url": "https://u"}, {"url_citation": {}}, 5]}, None),
    ],
)
def test_messages_of_all_hosts(message: dict[str, object], blocks: list[object] | None) -> None:
    """Openai §12, cases 28, 30: what hosts that are like the vendor write."""
    found = answered(**message)
    if blocks is None:
        assert [citation.url for citation in found[0].citations] == ["https://u"]
    else:
        assert found == blocks


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", Reason.REFUSAL),
        ("length", Reason.MAX_TOKENS),
        ("odd", Reason.OTHER),
        ("", Reason.NONE),
    ],
)
def test_refusal_promotes_only_an_end(word: str, reason: Reason) -> None:
    """Openai case 30: who refuses and stops refuses; who was cut off was cut off."""
    choice = {"message": {"refusal": "no"}, "finish_reason": word}
    assert BENCH.read_answer({"choices": [choice]}).stop.reason is reason


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_word(reason: Reason) -> None:
    """Openai cases 31, 32, IR case 34: always a word of the vendor, never null."""
    word = BENCH.write_answer(BENCH.answer_of(Text("x"), stop=Stop(reason)))["choices"][0]["finish_reason"]
    assert word in WORDS
    bare = BENCH.write_answer(BENCH.answer_of(stop=Stop(reason)))["choices"][0]["finish_reason"]
    assert (bare == "content_filter") is (reason in (Reason.SAFETY, Reason.REFUSAL))


def test_written_answer_has_what_the_library_needs() -> None:
    """Openai cases 53, 54, 29: an id, the time, the model; content is null without text."""
    found = BENCH.write_answer(BENCH.answer_of(Thinking("hm"), stop=Stop(Reason.STOP_SEQUENCE, matched="X")))
    assert re.fullmatch(r"chatcmpl-[0-9A-Za-z]{24}", found["id"])
    assert (found["created"], found["model"], found["object"]) == (1700000000, "lane-model", "chat.completion")
    message = {"role": "assistant", "content": None, "refusal": None, "reasoning_content": "hm"}
    assert found["choices"] == [{"index": 0, "message": message, "finish_reason": "stop"}]
    assert BENCH.lost == {("dropped", "stop_sequence")}


def test_annotations_count_characters_of_the_message() -> None:
    """Openai case 63: nested, shifted by the text before, the whole text where nobody said which part."""
    spanned = Citation(CitationKind.WEB, answer=Span(1, 2), url="https://u")
    whole = Citation(CitationKind.DOCUMENT, title="T", url="https://v")
    nowhere = Citation(CitationKind.DOCUMENT, title="T")
    picture = Media(MediaKind.IMAGE, Url("https://i"))
    refusal = Text("no", is_refusal=True)
    answer = BENCH.answer_of(Text("éé"), Text("abc", [spanned, whole, nowhere]), picture, refusal)
    message = BENCH.write_answer(answer)["choices"][0]["message"]
    shown = [
        (one["url_citation"]["title"], one["url_citation"]["start_index"], one["url_citation"]["end_index"])
        for one in message["annotations"]
    ]
    assert shown == [("https://u", 3, 4), ("T", 2, 5)]
    assert (message["content"], message["refusal"]) == ("ééabc", "no")
    assert BENCH.lost == {("dropped", "citations"), ("dropped", "image")}


COUNTS = st.integers(0, 10**9)


@given(COUNTS, COUNTS, st.none() | COUNTS, st.none() | COUNTS, st.none() | COUNTS)
def test_counts_survive(went_in: int, came_out: int, read: int | None, wrote: int | None, thought: int | None) -> None:
    """IR case 36, openai case 50: what is written is read again."""
    usage = Usage(went_in, came_out, read, wrote, None, thought)
    assert read_usage(read_object(json.dumps(usage_of(usage)).encode())) == usage


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 40}}, Usage(0, None, 40)),
        ({"prompt_tokens": 10, "prompt_cache_hit_tokens": 4}, Usage(6, None, 4)),
        ({"prompt_tokens": 10, "cached_tokens": 3}, Usage(7, None, 3)),
        ({"prompt_tokens": -1, "completion_tokens": "7"}, Usage(None, 7)),
    ],
)
def test_counts_of_all_hosts(counts: object, usage: Usage) -> None:
    """Openai case 49, §8: cached tokens wherever they stand, never below zero, junk is absent."""
    assert read_usage(read_object(json.dumps(counts).encode())) == usage


# Streams


def chunk(delta: object = None, finish: str | None = None, **more: object) -> dict[str, object]:
    """Return one chunk."""
    return {"model": "kiln", "choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}], **more}


def call(
    index: int | None = None, tool_id: str | None = None, name: str | None = None, args: object = None
) -> dict[str, object]:
    """Return a delta about one call."""
    function = {key: value for key, value in (("name", name), ("arguments", args)) if value is not None}
    members = {"index": index, "id": tool_id, "function": function}
    return {"tool_calls": [{key: value for key, value in members.items() if value is not None}]}


def heard(*chunks: object, size: int = 0) -> list[Call]:
    """Return the calls of a stream, without its beginning and its end."""
    return [one for one in BENCH.hear(sse(*chunks), size) if one[0] not in ("start", "end")]


STREAM = (
    {"id": "", "model": "", "choices": [], "prompt_filter_results": []},
    chunk({"role": "assistant", "content": ""}),
    chunk({"reasoning_content": None, "reasoning": "hm"}),
    chunk({"content": "é"}, usage=None),
    chunk({"reasoning_content": "late"}),
    chunk(call(1, "a", "f", "")),
    chunk(call(2, "b", "g", '{"b"')),
    chunk(call(1, None, None, '{"a":1}')),
    chunk(call(2, None, None, ":2}")),
    chunk(None, "tool_calls"),
    {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}},
    "[DONE]",
)
HEARD = [
    ("start", "kiln", None),
    ("open", 0, Kind.THINKING, "", ""),
    ("thinking", 0, "hm"),
    ("open", 1, Kind.TEXT, "", ""),
    ("text", 1, "é"),
    ("open", 2, Kind.TOOL_USE, "a", "f"),
    ("args", 2, ""),
    ("open", 3, Kind.TOOL_USE, "b", "g"),
    ("args", 3, '{"b"'),
    ("args", 2, '{"a":1}'),
    ("args", 3, ":2}"),
    ("finish", Reason.TOOL_USE, "tool_calls", None),
    ("usage", Usage(3, 4)),
    ("end", True),
]


@pytest.mark.parametrize("size", [0, 1, 7])
def test_stream_is_heard_however_it_is_cut(size: int) -> None:
    """Openai cases 25 to 28, 33, 41, 47, IR cases 20, 41: thoughts first, late ones nowhere, null usage no event."""
    assert BENCH.hear(sse(*STREAM), size) == HEARD


@pytest.mark.parametrize(
    ("chunks", "calls"),
    [
        ([chunk(call(None, "a", "f", "{}")), chunk(call(None, "b", "g", "{}"))], ["a", "b"]),
        ([chunk(call(None, None, "f", "{}")), chunk(call(None, None, "f", "{}"))], ["", ""]),
        ([chunk(call(None, "a", "f", "")), chunk(call(None, None, None, "{}"))], ["a"]),
        ([chunk(call(None, None, None, "{}"))], []),
        ([chunk(call(2**64 - 1, "a", "f", "{}")), chunk(call(-3, "b", "g", "{}"))], ["a", "b"]),
        ([chunk({"function_call": {"name": "f", "arguments": "{}"}})], [""]),
        ([chunk({"tool_calls": 5})], []),
    ],
)
def test_calls_are_told_apart(chunks: list[object], calls: list[str]) -> None:
    """Openai cases 42, 43: without an index an id or a name begins a call; indices are clamped."""
    found = heard(*chunks)
    assert [one[3] for one in found if one[0] == "open"] == calls


def test_arguments_wait_for_a_name() -> None:
    """Openai §9.3: what comes before the name of a call is kept for it; an object is taken as it is."""
    assert heard(chunk(call(0, "a", None, '{"a"')), chunk(call(0, None, "f", ":1}"))) == [
        ("open", 0, Kind.TOOL_USE, "a", "f"),
        ("args", 0, '{"a":1}'),
    ]
    assert heard(chunk(call(0, "a", "f", {"a": 1})))[-1] == ("args", 0, '{"a": 1}')
    assert heard(chunk(call(0, "a", "f", None)))[-1] == ("args", 0, "")


def test_too_many_calls_are_dropped() -> None:
    """Openai case 42: 128 and no more, and that is noted."""
    found = heard(*(chunk(call(None, f"c{number}", "f", "{}")) for number in range(130)))
    assert sum(one[0] == "open" for one in found) == 128
    assert BENCH.lost == {("dropped", "tool_use")}


def test_custom_tool_is_heard_as_an_object() -> None:
    """Openai §4: free text becomes the one member that stands for it."""
    begin = {"tool_calls": [{"index": 0, "id": "a", "custom": {"name": "c", "input": 'x"'}}]}
    more = {"tool_calls": [{"index": 0, "custom": {"input": "y"}}]}
    found = heard(chunk(begin), chunk(more), chunk(None, "tool_calls"))
    assert json.loads("".join(one[2] for one in found if one[0] == "args")) == {"input": 'x"y'}


@pytest.mark.parametrize(
    ("chunks", "calls"),
    [
        (
            [
                chunk(
                    {
                        "content": [
                            {"type": "thinking", "thinking": [{"text": "hm"}]},
                            {"type": "text", "text": "x"},
                            {"type": "odd"},
                        ]
                    }
                )
            ],
            [
                ("open", 0, Kind.THINKING, "", ""),
                ("thinking", 0, "hm"),
                ("open", 1, Kind.TEXT, "", ""),
                ("text", 1, "x"),
            ],
        ),
        (
            [chunk({"content": "x"}), chunk(call(0, "a", "f", "")), chunk({"content": "y"})],
            [
                ("open", 0, Kind.TEXT, "", ""),
                ("text", 0, "x"),
                ("open", 1, Kind.TOOL_USE, "a", "f"),
                ("args", 1, ""),
                ("open", 2, Kind.TEXT, "", ""),
                ("text", 2, "y"),
            ],
        ),
        (
            [chunk({"refusal": "n"}), chunk({"refusal": "o"}, "stop")],
            [
                ("open", 0, Kind.REFUSAL, "", ""),
                ("text", 0, "n"),
                ("text", 0, "o"),
                ("finish", Reason.REFUSAL, "stop", None),
            ],
        ),
        ([{"choices": [{"index": 1, "delta": {"content": "x"}}]}, {"choices": None}, {"usage": 5}], []),
        ([chunk(None, "")], []),
        ([chunk({"content": "x"}), chunk({"reasoning": "late"})], [("open", 0, Kind.TEXT, "", ""), ("text", 0, "x")]),
        ([{"choices": [{"index": 0, "finish_reason": "eos"}]}], [("finish", Reason.END_TURN, "eos", None)]),
        ([{"choices": 5}], []),
        ([{"error": {"message": "no"}}], [("fail", "", b'{"error": {"message": "no"}}')]),
        ([{"error": None, "choices": []}], []),
    ],
)
def test_streams_of_all_hosts(chunks: list[object], calls: list[Call]) -> None:
    """Openai §12, cases 44, 45: thoughts among parts, text behind calls, refusals, other choices, errors."""
    assert heard(*chunks) == calls


def test_likelihoods_and_annotations_are_heard() -> None:
    """Openai case 64: both belong to the text."""
    found = heard(
        {"choices": [{"index": 0, "delta": {"content": "x"}, "logprobs": {"content": [LOGPROB]}}]},
        chunk({"annotations": [{"type": "url_citation", "url_citation": {"url": "https://u"}}, 5]}),
    )
    assert [(one[0], one[1]) for one in found] == [("open", 0), ("text", 0), ("logprobs", 0), ("citations", 0)]
    assert [token.token for token in found[2][2]] == ["x"]
    assert [citation.url for citation in found[3][2]] == ["https://u"]


def everything(sink: Sink) -> None:
    """Say everything there is to say."""
    sink.start("m2", Usage(10))
    sink.thinking(0, "hm")
    sink.text(1, "é")
    sink.citations(1, [Citation(CitationKind.WEB, url="https://u")])
    sink.logprobs(1, [TokenLogprob("é", raw(-1))])
    sink.open(2, Kind.TOOL_USE, "toolu_1", "f")
    sink.open(3, Kind.TOOL_USE, "", "c")
    sink.args(2, '{"a"')
    sink.args(3, '{"input":"fr')
    sink.args(2, ":1}")
    sink.args(3, 'ee"}')
    sink.open(4, Kind.REFUSAL)
    sink.text(4, "no")
    sink.finish(Stop(Reason.END_TURN), Usage(output=5))


def test_client_gets_a_stream_that_its_library_reads() -> None:
    """Openai cases 29, 40, 41, §9.1: the same head on each chunk, one role, calls counted from 0, one end."""
    told = [payload for _, payload in events(BENCH.tell(everything, CUSTOM))]
    assert told[-1] == "[DONE]"
    assert {(one["id"], one["object"], one["created"], one["model"]) for one in told[:-1]} == {
        (told[0]["id"], "chat.completion.chunk", 1700000000, "m2")
    }
    choices = [one["choices"][0] for one in told[:-1]]
    assert [choice["finish_reason"] for choice in choices] == [None] * (len(choices) - 1) + ["tool_calls"]
    custom = choices[5]["delta"]["tool_calls"][0]
    assert custom.pop("id").startswith("call_")
    url = {"url": "https://u", "title": "https://u", "start_index": 0, "end_index": 1}
    logprob = {"token": "é", "logprob": -1, "bytes": [195, 169], "top_logprobs": []}
    assert choices[3]["logprobs"] == {"content": [logprob], "refusal": None}
    assert [choice["delta"] for choice in choices] == [
        {"role": "assistant"},
        {"reasoning_content": "hm"},
        {"content": "é"},
        {},
        {
            "tool_calls": [
                {"index": 0, "id": "call_bba1", "type": "function", "function": {"name": "f", "arguments": ""}}
            ]
        },
        {"tool_calls": [{"index": 1, "type": "custom", "custom": {"name": "c", "input": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
        {"refusal": "no"},
        {"tool_calls": [{"index": 1, "custom": {"input": "free"}}]},
        {"annotations": [{"type": "url_citation", "url_citation": url}]},
    ]


def test_usage_is_told_to_who_asked() -> None:
    """Openai cases 36, 37: one chunk without choices in front of the end, and only for those who want it."""
    asked = Request("openai", include_usage=True)
    told = [
        payload
        for _, payload in events(BENCH.tell(lambda sink: sink.finish(Stop(Reason.MAX_TOKENS), Usage(3, 4)), asked))
    ]
    assert [one["choices"] for one in told[:-1]][-1] == []
    assert told[-2]["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    told = [
        payload for _, payload in events(BENCH.tell(lambda sink: sink.finish(Stop(Reason.MAX_TOKENS), Usage(3, 4))))
    ]
    assert not any("usage" in one for one in told[:-1])


def test_custom_call_that_is_no_object_is_shown_as_it_is() -> None:
    """Openai §4: text that stands for nothing is better than none."""

    def tell(sink: Sink) -> None:
        sink.open(0, Kind.TOOL_USE, "call_1", "c")
        sink.args(0, "odd")

    told = [payload for _, payload in events(BENCH.tell(tell, CUSTOM))]
    assert told[2]["choices"][0]["delta"] == {"tool_calls": [{"index": 0, "custom": {"input": "odd"}}]}


def test_broken_stream_ends_with_an_error() -> None:
    """Openai case 44, §10: an error with all its members, then the end."""
    told = events(BENCH.tell(lambda sink: sink.text(0, "x"), fault=Fault(Wrong.OVERLOADED, "busy")))
    assert told[-1] == ("", "[DONE]")
    assert told[-2][1]["error"] == {"message": "busy", "type": "server_error", "param": None, "code": None}
