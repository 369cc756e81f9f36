"""What is easily lost in the Chat Completions dialect: either it is kept, or the report says that it is not."""

from typing import Any

import pytest
from msgspec import Raw

from busbar_fast.dialects.faults import Fault
from busbar_fast.dialects.faults import Kind as Wrong
from busbar_fast.dialects.openai_chat.translation import TRANSLATOR
from busbar_fast.ir.answers import Reason, Stop
from busbar_fast.ir.blocks import (
    AnyBlock,
    Citation,
    CitationKind,
    Inline,
    Mark,
    Media,
    MediaKind,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Url,
)
from busbar_fast.ir.events import Kind, Sink
from busbar_fast.ir.requests import ChoiceMode, Request, Role, Tool, ToolChoice
from tests.dialects.translating import Bench, Call, events, raw, sse

BENCH = Bench(TRANSLATOR)
HI: Any = [{"role": "user", "content": "hi"}]
CUSTOM: Any = {"type": "custom", "custom": {"name": "c"}}
FREE = Request("openai", tools=[Tool("c", is_custom=True)])
POINT = {"prompt_cache_breakpoint": {"mode": "explicit"}}
TOKENS = {"content": [{"token": "x", "logprob": -1, "bytes": [120], "top_logprobs": []}]}


# Requests


@pytest.mark.parametrize(
    ("messages", "members"),
    [
        (HI, {"tools": [CUSTOM], "tool_choice": CUSTOM}),
        (
            HI,
            {
                "tools": [CUSTOM],
                "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [CUSTOM]}},
            },
        ),
        ([*HI, {"role": "assistant", "content": "x", "reasoning_content": "hm"}, *HI], {}),
        ([{"role": "system", "content": "x", "name": "n"}, *HI], {}),
        (
            [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "x"} | {"prompt_cache_breakpoint": {"ttl": "12h"}}],
                }
            ],
            {},
        ),
        ([{"role": "tool", "tool_call_id": "c", "content": [{"type": "odd"}]}], {}),
        ([{"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "x"} | POINT]}], {}),
        ([{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "x", "format": "flac"}}]}], {}),
        ([{"role": "user", "content": [{"type": "file", "file": {"filename": "a", "file_data": "https://f"}}]}], {}),
        (HI, {"safety_identifier": "s"}),
        (HI, {"max_tokens": 5}),
        (HI, {"max_completion_tokens": 5}),
    ],
)
def test_own_requests_come_back_whole(messages: Any, members: dict[str, object]) -> None:
    """IR cases 8, 9, openai §2 to §4: what a client of the dialect said is said again, in its own spelling."""
    document = {"model": "m", "messages": messages, **members}
    assert BENCH.rewrite(document, host="api.openai.com", options={"token_limit_field": "max_tokens"}) == document


def test_time_of_a_breakpoint_is_the_vendor_s_own() -> None:
    """Openai §2: a mark crosses over, a time that others do not know stays behind."""
    part = {"type": "text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}}
    (block,) = BENCH.read({"messages": [{"role": "user", "content": [part]}]}).messages[0].blocks
    assert block.mark == Mark()
    assert set(block.ext or {}) == {"prompt_cache_breakpoint"}


def test_nameless_tools_are_not_allowed() -> None:
    """Openai §4: a subset names tools; what names none is not in it."""
    subset = {"mode": "required", "tools": [{"type": "mcp"}, {"type": "function", "function": {"name": "f"}}]}
    choice = {"type": "allowed_tools", "allowed_tools": subset}
    request = BENCH.read({"messages": HI, "tool_choice": choice})
    assert request.tool_choice == ToolChoice(ChoiceMode.REQUIRED, allowed=["f"])


@pytest.mark.parametrize(
    ("role", "blocks", "members", "losses"),
    [
        (Role.ASSISTANT, [Text("a"), Media(MediaKind.IMAGE, Url("https://i"))], {}, {("dropped", "image")}),
        (Role.ASSISTANT, [ToolUse("a", "f", mark=Mark())], {}, {("dropped", "cache_control")}),
        (Role.USER, [ToolResult("a", mark=Mark())], {}, {("dropped", "cache_control")}),
        (Role.USER, [Text("a"), Text("", mark=Mark())], {}, {("dropped", "cache_control")}),
        (Role.USER, [Text("a"), Media(MediaKind.AUDIO, Inline("x"), "audio/ogg")], {}, {("dropped", "audio")}),
        (Role.USER, [Text("a")], {"tools": [Tool("f", mark=Mark())]}, {("dropped", "cache_control")}),
    ],
)
def test_what_has_no_place_is_noted(
    role: Role, blocks: list[AnyBlock], members: dict[str, Any], losses: set[tuple[str, str]]
) -> None:
    """IR §1: nothing falls away in silence."""
    BENCH.write(BENCH.asked(*blocks, role=role, **members))
    assert BENCH.lost == losses


def test_mark_of_a_result_stands_on_its_last_text() -> None:
    """Openai §2: a part may be marked, a message may not."""
    result = ToolResult("a", [Text("1"), Text("2")], mark=Mark())
    (message,) = BENCH.write(BENCH.asked(result))["messages"]
    assert message["content"] == [{"type": "text", "text": "1"}, {"type": "text", "text": "2"} | POINT]


def test_only_a_model_calls() -> None:
    """Openai §3: a call is the model's, whoever is said to have made it."""
    call, said = BENCH.write(BENCH.asked(Text("x"), ToolUse("a", "f")))["messages"]
    assert (call["role"], call["content"], call["tool_calls"][0]["id"]) == ("assistant", None, "a")
    assert said == {"role": "user", "content": "x"}


@pytest.mark.parametrize(
    ("mime", "name"),
    [("text/plain", "document.txt"), ("text/markdown", "document.md"), ("application/pdf", "document.pdf")],
)
def test_files_without_a_name_get_one(mime: str, name: str) -> None:
    """Openai §3: the vendor tells the type of a file by its name."""
    (message,) = BENCH.write(BENCH.asked(Media(MediaKind.DOCUMENT, Inline("aGk="), mime)))["messages"]
    assert message["content"][0]["file"]["filename"] == name


# Answers


@pytest.mark.parametrize(
    ("parts", "blocks", "losses"),
    [
        ([{"type": "thinking", "thinking": [{"text": "h"}, {"text": "m"}]}], [Thinking("hm")], set()),
        ([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "x"}], [Thinking("hm"), Text("x")], set()),
        ([{"type": "thinking"}, {"type": "text", "text": "x"}], [Text("x")], {("dropped", "thinking")}),
        ([{"type": "odd"}], [], {("dropped", "other")}),
    ],
)
def test_thoughts_among_parts(parts: object, blocks: list[AnyBlock], losses: set[tuple[str, str]]) -> None:
    """Openai §12: some hosts write thoughts as parts of the content; unknown parts are noted."""
    assert BENCH.read_answer({"choices": [{"message": {"content": parts}}]}).blocks == blocks
    assert BENCH.lost == losses


def test_annotations_of_nothing_make_no_text() -> None:
    """Openai §3: a text that is empty is never sent."""
    message = {"content": None, "annotations": [{"url": "https://u"}]}
    assert BENCH.read_answer({"choices": [{"message": message}]}).blocks == []


@pytest.mark.parametrize("error", [None, False, 0, "", {}, []])
def test_error_that_says_nothing_is_none(error: object) -> None:
    """Openai case 61, §10: what the vendor's client takes for no error is none here, whole or streamed."""
    assert BENCH.read_answer({"error": error, "choices": [{"message": {"content": "x"}}]}).blocks == [Text("x")]
    assert BENCH.hear(sse({"error": error, "choices": []})) == [("end", False)]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (ToolUse("call_1", "c", Raw(), "free"), "free"),
        (ToolUse("call_1", "c", raw({"input": "free"})), "free"),
        (ToolUse("call_1", "c", raw({"other": 1})), '{"other":1}'),
    ],
)
def test_custom_call_stays_one(call: ToolUse, text: str) -> None:
    """Openai §4: a tool that takes free text is given text, whatever a model wrote."""
    (shown,) = BENCH.write_answer(BENCH.answer_of(call), FREE)["choices"][0]["message"]["tool_calls"]
    assert shown == {"id": "call_1", "type": "custom", "custom": {"name": "c", "input": text}}


def test_refusal_ends_alike_whole_and_streamed() -> None:
    """Openai case 30, IR §7: who is told the refusal is told that the answer stopped."""

    def tell(sink: Sink) -> None:
        sink.open(0, Kind.REFUSAL)
        sink.text(0, "no")
        sink.finish(Stop(Reason.REFUSAL))

    whole = BENCH.write_answer(BENCH.answer_of(Text("no", is_refusal=True), stop=Stop(Reason.REFUSAL)))
    assert whole["choices"][0]["finish_reason"] == "stop"
    assert events(BENCH.tell(tell))[-2][1]["choices"][0]["finish_reason"] == "stop"


# Streams


def chunk(delta: object, **more: object) -> dict[str, object]:
    """Return one chunk."""
    return {"choices": [{"index": 0, "delta": delta, **more}]}


def call(index: int | None, tool_id: str, **what: object) -> dict[str, object]:
    """Return a chunk about one call."""
    return chunk({"tool_calls": [{"index": index, "id": tool_id, **what}]})


def heard(*payloads: object) -> list[Call]:
    """Return the calls of a stream without its end."""
    return BENCH.hear(sse(*payloads))[:-1]


def test_likelihoods_of_thoughts_end_no_thought() -> None:
    """Openai §9.3, cases 25, 27: only a text has likelihoods; an empty list of them opens nothing."""
    found = heard(
        chunk({"role": "assistant"}, logprobs={"content": []}),
        chunk({"reasoning": "a"}, logprobs=TOKENS),
        chunk({"reasoning": "b"}, logprobs=TOKENS),
        chunk({"content": "c"}, logprobs=TOKENS),
    )
    assert [one[:2] for one in found] == [
        ("open", 0),
        ("thinking", 0),
        ("thinking", 0),
        ("open", 1),
        ("text", 1),
        ("logprobs", 1),
    ]
    assert BENCH.lost == {("dropped", "logprobs")}


def test_late_thoughts_and_annotations_are_noted() -> None:
    """Openai case 26, IR §1: what comes too late shifts nothing and is not lost in silence."""
    annotated = {"annotations": [{"url": "https://u"}]}
    found = heard(chunk({"content": "x"}), call(0, "a", function={"name": "f"}), chunk({"reasoning": "b"} | annotated))
    assert [one[:2] for one in found] == [("open", 0), ("text", 0), ("open", 1), ("args", 1)]
    assert BENCH.lost == {("dropped", "thinking"), ("dropped", "citations")}


def test_text_goes_on_behind_a_refusal() -> None:
    """Openai §9.3: a text that was closed is never added to."""
    said = [{"content": "a"}, {"refusal": "n"}, {"content": "b"}, {"content": "c"}]
    found = heard(*map(chunk, said))
    assert [one[1] for one in found if one[0] == "open"] == [0, 1, 2]
    assert found[-2:] == [("text", 2, "b"), ("text", 2, "c")]


def test_calls_may_share_an_index() -> None:
    """Openai §12, case 43: a new id with a name is a new call, even where a host counts none of them."""
    found = heard(
        call(0, "a", function={"name": "f", "arguments": "{}"}),
        call(0, "b", function={"name": "g", "arguments": '{"b"'}),
        call(0, "b", function={"name": "g", "arguments": ":1}"}),
    )
    assert [one[1:] for one in found if one[0] == "args"] == [(0, "{}"), (1, '{"b"'), (1, ":1}")]


@pytest.mark.parametrize("end", [chunk({}, finish_reason="tool_calls"), "[DONE]"])
def test_custom_call_is_ended_once(end: object) -> None:
    """Openai §4: its object is closed where the stream ends, though nobody says why; text before its name counts."""
    found = heard(
        call(0, "a", custom={"input": 'q"'}),
        call(0, "", custom={"name": "c", "input": "x"}),
        chunk({}),
        end,
        "[DONE]",
    )
    assert "".join(one[2] for one in found if one[0] == "args") == '{"input":"q\\"x"}'


def test_call_that_nobody_names_is_noted() -> None:
    """Openai §9.3: arguments without a call belong to nothing."""
    assert heard(call(0, "a", function={"arguments": "{}"}), "[DONE]") == []
    assert BENCH.lost == {("dropped", "tool_use")}


def test_references_may_come_before_their_text() -> None:
    """Openai case 63, §9.1: the part that rests on them is known when the text ends."""

    def tell(sink: Sink) -> None:
        sink.text(0, "é")
        sink.close(0)
        sink.citations(1, [Citation(CitationKind.WEB, url="https://u")])
        sink.text(1, "abc")
        sink.finish(Stop(Reason.END_TURN))

    (note,) = events(BENCH.tell(tell))[-2][1]["choices"][0]["delta"]["annotations"]
    assert (note["url_citation"]["start_index"], note["url_citation"]["end_index"]) == (1, 4)


@pytest.mark.parametrize(
    ("wrong", "kind", "code"),
    [
        (Wrong.UNREADABLE, "server_error", None),
        (Wrong.INTERNAL, "server_error", None),
        (Wrong.RATE_LIMITED, "rate_limit_error", None),
        (Wrong.UNAUTHENTICATED, "authentication_error", "invalid_api_key"),
        (Wrong.OVER_BUDGET, "insufficient_quota", "insufficient_quota"),
        (Wrong.TOO_LONG, "invalid_request_error", "context_length_exceeded"),
    ],
)
def test_errors_in_a_stream_have_its_types(wrong: Wrong, kind: str, code: str | None) -> None:
    """Openai §10: inside a stream all that is the server's affair has one type."""
    error = events(BENCH.tell(lambda sink: sink.text(0, "x"), fault=Fault(wrong)))[-2][1]["error"]
    assert (error["type"], error["code"]) == (kind, code)
