"""Answers of the Responses dialect, whole and streamed, read and written."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.dialects.faults import Fault
from busbar_fast.dialects.faults import Kind as Wrong
from busbar_fast.dialects.members import read_object
from busbar_fast.dialects.openai_responses.translation import TRANSLATOR
from busbar_fast.dialects.openai_responses.translation.usages import read_usage, usage_of
from busbar_fast.errors import FaultReported, Misshapen
from busbar_fast.ir.answers import Reason, Stop, TokenLogprob, Usage
from busbar_fast.ir.blocks import (
    Citation,
    CitationKind,
    Media,
    MediaKind,
    Opaque,
    Seal,
    Text,
    Thinking,
    ToolUse,
    Url,
)
from busbar_fast.ir.events import Kind, Sink
from busbar_fast.ir.requests import Request, Tool
from tests.dialects.translating import Bench, Call, events, raw, sse

BENCH = Bench(TRANSLATOR)
CUSTOM = Request("responses", tools=[Tool("c", is_custom=True)])
LOGPROB = {"token": "x", "logprob": -0.5, "bytes": [120], "top_logprobs": []}
ANNOTATION = {"type": "url_citation", "url": "https://u", "title": "T", "start_index": 0, "end_index": 5}
MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "hello", "annotations": [ANNOTATION], "logprobs": [LOGPROB]}],
}
USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 10},
    "output_tokens": 15,
    "output_tokens_details": {"reasoning_tokens": 4},
    "total_tokens": 115,
}
OUTPUT: list[dict[str, Any]] = [
    {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "hm"}],
        "encrypted_content": "c2ln",
    },
    MESSAGE,
    {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1",
        "name": "f",
        "status": "completed",
        "arguments": '{"a": 1}',
    },
    {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_2", "name": "c", "input": "free"},
    {"type": "web_search_call", "id": "ws_1"},
]
DOCUMENT: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1760001000,
    "status": "completed",
    "model": "kiln",
    "output": OUTPUT,
    "usage": USAGE,
    "error": None,
}


def test_answer_is_read_into_neutral_words() -> None:
    """Responses §8, §9, §10: items become blocks, calls are the reason, cached tokens are apart."""
    answer = BENCH.read_answer(DOCUMENT)
    assert (answer.id, answer.created_s, answer.model) == ("resp_1", 1760001000, "kiln")
    assert answer.usage == Usage(50, 15, 40, 10, None, 4)
    assert answer.stop.reason is Reason.TOOL_USE
    thought, text, use, custom, odd = answer.blocks
    assert thought == Thinking("hm", seal=Seal("resp", "c2ln"))
    assert isinstance(text, Text)
    assert [citation.url for citation in text.citations] == ["https://u"]
    assert isinstance(use, ToolUse)
    assert isinstance(custom, ToolUse)
    assert (use.id, bytes(use.args), bytes(custom.args)) == ("call_1", b'{"a": 1}', b'{"input":"free"}')
    assert isinstance(odd, Opaque)
    assert [token.token for token in answer.logprobs] == ["x"]


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({"error": {"code": "server_error"}}, FaultReported),
        ({"status": "failed", "output": []}, FaultReported),
        ({"status": "cancelled", "output": []}, FaultReported),
        ({"status": "completed"}, Misshapen),
    ],
)
def test_what_is_no_answer_is_none(document: object, error: type[Exception]) -> None:
    """Responses §8, §9: what failed is an error whatever its status; without an output there is no answer."""
    with pytest.raises(error):
        BENCH.read_answer(document)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"status": "completed"}, Reason.END_TURN),
        (
            {
                "status": "completed",
                "output": [{"role": "assistant", "content": [{"type": "refusal", "refusal": "n"}]}],
            },
            Reason.REFUSAL,
        ),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, Reason.MAX_TOKENS),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, Reason.SAFETY),
        ({"status": "incomplete", "incomplete_details": {"reason": "refusal"}}, Reason.REFUSAL),
        ({"status": "incomplete", "incomplete_details": {"reason": "steered"}}, Reason.OTHER),
        ({"status": "incomplete"}, Reason.NONE),
        ({"status": "odd"}, Reason.NONE),
    ],
)
def test_status_is_a_reason(members: dict[str, object], reason: Reason) -> None:
    """Responses §9: a truncation is never an end."""
    assert BENCH.read_answer({"output": [5], **members}).stop.reason is reason


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_status(reason: Reason) -> None:
    """Responses §9, IR case 34: two words for what is incomplete, and a failure only where nothing came."""
    found = BENCH.write_answer(BENCH.answer_of(Text("x"), stop=Stop(reason)))
    cut = {
        Reason.MAX_TOKENS: "max_output_tokens",
        Reason.CONTEXT_WINDOW: "max_output_tokens",
        Reason.SAFETY: "content_filter",
    }
    detail = cut.get(reason)
    assert found["status"] == ("incomplete" if detail else "completed")
    assert found["incomplete_details"] == ({"reason": detail} if detail else None)
    empty = BENCH.write_answer(BENCH.answer_of(stop=Stop(reason)))
    assert (empty["status"] == "failed") is (reason in (Reason.ERROR, Reason.TIMEOUT))
    assert (empty["error"] is not None) is (empty["status"] == "failed")


def test_written_answer_has_what_the_library_needs() -> None:
    """Responses §8: ids of their own, items in their order, the request again, a whole count."""
    answer = BENCH.answer_of(
        Thinking("hm", seal=Seal("resp", "s")),
        Thinking(""),
        Text("hello", [Citation(CitationKind.WEB, url="https://u"), Citation(CitationKind.TOOL)]),
        Text("no", is_refusal=True),
        ToolUse("call_1", "f", raw({"a": 1})),
        ToolUse("call_2", "c", raw({"input": "free"})),
        Opaque("responses", raw({"type": "odd"})),
        Media(MediaKind.IMAGE, Url("https://i")),
        stop=Stop(Reason.STOP_SEQUENCE, matched="E"),
        logprobs=[TokenLogprob("x", raw(-1))],
        usage=Usage(1, 2),
    )
    asked = Request(
        "responses",
        tools=CUSTOM.tools,
        echo={"instructions": raw("be kind"), "tools": raw([{"type": "custom", "name": "c"}])},
    )
    found = BENCH.write_answer(answer, asked)
    assert re.fullmatch(r"resp_[0-9a-f]{48}", found["id"])
    assert (found["created_at"], found["model"], found["instructions"]) == (1700000000, "lane-model", "be kind")
    assert (found["parallel_tool_calls"], found["tool_choice"], found["tools"]) == (
        True,
        "auto",
        [{"type": "custom", "name": "c"}],
    )
    assert found["usage"]["total_tokens"] == 3
    ids = [item.pop("id", "") for item in found["output"]]
    assert [one.partition("_")[0] for one in ids] == ["rs", "rs", "msg", "msg", "fc", "ctc", ""]
    cited = {"type": "url_citation", "url": "https://u", "title": "https://u", "start_index": 0, "end_index": 5}
    token = {"token": "x", "logprob": -1, "bytes": [120], "top_logprobs": []}
    text = {"type": "output_text", "text": "hello", "annotations": [cited], "logprobs": [token]}
    whole = {"status": "completed", "role": "assistant"}
    assert found["output"] == [
        {
            "type": "reasoning",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "hm"}],
            "encrypted_content": "s",
        },
        {"type": "reasoning", "summary": [], "content": []},
        {"type": "message", **whole, "content": [text]},
        {"type": "message", **whole, "content": [{"type": "refusal", "refusal": "no"}]},
        {"type": "function_call", "call_id": "call_1", "name": "f", "status": "completed", "arguments": '{"a":1}'},
        {"type": "custom_tool_call", "call_id": "call_2", "name": "c", "status": "completed", "input": "free"},
        {"type": "odd"},
    ]
    assert BENCH.lost == {("dropped", "citations"), ("dropped", "image"), ("dropped", "stop_sequence")}


COUNTS = st.integers(0, 10**9)


@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
def test_counts_survive(went_in: int, came_out: int, read: int, wrote: int, thought: int) -> None:
    """IR case 36, responses §10: what is written is read again."""
    usage = Usage(went_in, came_out, read, wrote, None, thought)
    assert read_usage(read_object(json.dumps(usage_of(usage)).encode())) == usage


def test_counts_may_be_missing() -> None:
    """IR case 37: absent stays absent, more cached than there was floors at 0, and every member is written."""
    assert read_usage(None) is None
    assert read_usage(read_object(b'{"output_tokens":3}')) == Usage(None, 3)
    assert read_usage(read_object(b'{"input_tokens":3,"input_tokens_details":{"cached_tokens":9}}')) == Usage(
        0, None, 9
    )
    assert usage_of(Usage())["input_tokens_details"] == {"cached_tokens": 0, "cache_write_tokens": 0}


# Streams


def event(name: str, **members: object) -> dict[str, object]:
    """Return one event."""
    return {"type": f"response.{name}", **members}


def heard(*told: object, size: int = 0, named: bool = True) -> list[Call]:
    """Return the calls of a stream, without its end."""
    return BENCH.hear(sse(*told, named=named), size)[:-1]


STREAM = (
    event("created", response={"model": "kiln"}),
    event("output_item.added", output_index=0, item={"type": "reasoning", "id": "rs_1"}),
    event("reasoning_text.delta", output_index=0, delta="h"),
    event("reasoning_summary_text.delta", output_index=0, delta="m"),
    event("output_item.done", output_index=0, item=OUTPUT[0]),
    event("output_item.added", output_index=1, item={"type": "message"}),
    event("output_text.delta", output_index=1, content_index=0, delta="é", logprobs=[LOGPROB]),
    event("output_text.delta", output_index=1, content_index=0, delta=""),
    event("output_text.annotation.added", output_index=1, content_index=0, annotation=ANNOTATION),
    event("output_item.done", output_index=1, item=MESSAGE),
    event("output_item.added", output_index=2, item={"type": "function_call", "call_id": "a", "name": "f"}),
    event("output_item.added", output_index=2, item={"type": "function_call", "call_id": "a", "name": "f"}),
    event("function_call_arguments.delta", output_index=2, delta='{"a":1}'),
    event("output_item.done", output_index=2, item=OUTPUT[2]),
    event("completed", response={"status": "completed", "usage": USAGE}),
)
HEARD: list[Call] = [
    ("start", "kiln", None),
    ("open", 0, Kind.THINKING, "", ""),
    ("thinking", 0, "h"),
    ("thinking", 0, "m"),
    ("seal", 0, Seal("resp", "c2ln")),
    ("close", 0),
    ("open", 1, Kind.TEXT, "", ""),
    ("text", 1, "é"),
    ("close", 1),
    ("open", 2, Kind.TOOL_USE, "a", "f"),
    ("args", 2, '{"a":1}'),
    ("close", 2),
    ("finish", Reason.TOOL_USE, "completed", Usage(50, 15, 40, 10, None, 4)),
]


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("size", [0, 1, 7])
def test_stream_is_heard_however_it_is_cut(size: int, *, named: bool) -> None:
    """Responses §11.3, IR case 60: cut anywhere, with names of events or without; nothing twice."""
    found = heard(*STREAM, size=size, named=named)
    assert [call[0] for call in found if call[0] in ("logprobs", "citations")] == ["logprobs", "citations"]
    assert [call for call in found if call[0] not in ("logprobs", "citations")] == HEARD


@pytest.mark.parametrize(
    ("told", "calls"),
    [
        ([event("function_call_arguments.delta", output_index=0, delta="x")], []),
        ([event("output_text.annotation.added", annotation=5)], []),
        ([event("output_text.annotation.added")], []),
        ([event("in_progress")], [("start", "", None)]),
        ([event("surprise")], []),
        ([event("output_item.done", output_index=0)], []),
        ([event("output_item.added", output_index=0)], []),
        ([event("failed", response={})], [("fail", "response.failed", b'{"type": "response.failed", "response": {}}')]),
        ([{"type": "error", "code": "x"}], [("fail", "error", b'{"type": "error", "code": "x"}')]),
        ([event("completed")], [("finish", Reason.END_TURN, "completed", None)]),
        ([event("incomplete")], [("finish", Reason.NONE, "incomplete", None)]),
        (
            [event("refusal.delta", delta="no"), event("completed", response={"status": "completed"})],
            [("open", 0, Kind.REFUSAL, "", ""), ("text", 0, "no"), ("finish", Reason.REFUSAL, "completed", None)],
        ),
        (
            [event("output_text.delta", output_index=5000, delta="x")],
            [("open", 0, Kind.TEXT, "", ""), ("text", 0, "x")],
        ),
    ],
)
def test_odd_events_do_no_harm(told: list[object], calls: list[Call]) -> None:
    """Responses §11.3: what is unknown says nothing, failures are passed on, a refusal is a reason."""
    assert heard(*told) == calls


def test_what_came_only_in_the_end_is_told() -> None:
    """Responses §11.3: whole items without deltas are not lost, and a custom call becomes an object."""
    refusal = {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}
    found = heard(
        *(event("output_item.done", output_index=at, item=item) for at, item in enumerate([*OUTPUT, refusal])),
        event("completed"),
    )
    assert [call[2] for call in found if call[0] == "text"] == ["hello", "no"]
    assert [call[2] for call in found if call[0] == "thinking"] == ["hm"]
    assert [call[2] for call in found if call[0] == "args"] == ['{"a": 1}', '{"input":"free"}']
    assert [type(call[2]) for call in found if call[0] == "whole"] == [Opaque]
    custom = OUTPUT[3]
    grown = heard(
        event("output_item.added", output_index=0, item=custom | {"input": ""}),
        event("custom_tool_call_input.delta", output_index=0, delta='x"'),
        event("custom_tool_call_input.delta", output_index=0, delta="y"),
        event("output_item.done", output_index=0, item=custom),
    )
    assert json.loads("".join(call[2] for call in grown if call[0] == "args")) == {"input": 'x"y'}
    silent = heard(event("output_item.done", output_index=0, item={"type": "reasoning", "content": [{"text": "t"}]}))
    assert [call[0] for call in silent] == ["open", "thinking", "close"]
    result = {"type": "function_call_output", "call_id": "a", "output": "x"}
    assert heard(event("output_item.done", output_index=0, item=result)) == []


def everything(sink: Sink) -> None:
    """Say everything there is to say."""
    sink.start("m2", Usage(10))
    sink.thinking(0, "hm")
    sink.seal(0, Seal("gemi", "si"))
    sink.seal(0, Seal("gemi", "g"))
    sink.text(1, "é")
    sink.citations(1, [Citation(CitationKind.WEB, url="https://u")])
    sink.logprobs(1, [TokenLogprob("é", raw(-1))])
    sink.open(2, Kind.REFUSAL)
    sink.text(2, "no")
    sink.open(3, Kind.TOOL_USE, "toolu_1", "f")
    sink.args(3, '{"a":1}')
    sink.open(4, Kind.TOOL_USE, "call_2", "c")
    sink.args(4, '{"input":"fr')
    sink.args(4, 'ee"}')
    sink.close(3)
    sink.close(4)
    sink.whole(5, Opaque("responses", raw({"type": "odd"})))
    sink.whole(6, Opaque("other", raw({})))
    sink.finish(Stop(Reason.MAX_TOKENS), Usage(output=5))


def test_client_gets_a_stream_that_its_library_reads() -> None:
    """Responses §11.1: numbered without a gap, every item announced, grown, shown whole, and again in the end."""
    told = events(BENCH.tell(everything, CUSTOM))
    assert [name for name, _ in told] == [payload["type"] for _, payload in told]
    assert [payload["sequence_number"] for _, payload in told] == list(range(len(told)))
    assert [name.removeprefix("response.") for name, _ in told] == [
        "created",
        "in_progress",
        *(
            "output_item.added",
            "content_part.added",
            "reasoning_text.delta",
            "reasoning_text.done",
            "content_part.done",
        ),
        "output_item.done",
        *("output_item.added", "content_part.added", "output_text.delta", "output_text.annotation.added"),
        *("output_text.done", "content_part.done", "output_item.done"),
        *("output_item.added", "content_part.added", "refusal.delta", "refusal.done", "content_part.done"),
        "output_item.done",
        *("output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done"),
        *("output_item.added", "custom_tool_call_input.delta", "custom_tool_call_input.done", "output_item.done"),
        *("output_item.added", "output_item.done"),
        "incomplete",
    ]
    added = [payload["item"] for name, payload in told if name == "response.output_item.added"]
    done = [payload["item"] for name, payload in told if name == "response.output_item.done"]
    assert [(item["type"], item.get("id")) for item in added] == [(item["type"], item.get("id")) for item in done]
    last = told[-1][1]["response"]
    assert last["output"] == done
    assert (last["status"], last["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert last["usage"]["total_tokens"] == 15
    assert {payload["response"]["id"] for _, payload in told if "response" in payload} == {last["id"]}
    assert done[0]["encrypted_content"] == "bbf1gemic2ln"
    assert done[1]["content"][0]["logprobs"][0]["token"] == "é"
    assert (done[3]["call_id"], done[3]["arguments"], done[4]["input"]) == ("call_bba1", '{"a":1}', "free")
    assert BENCH.lost == {("dropped", "opaque_block")}


def test_call_without_arguments_has_empty_ones() -> None:
    """IR case 30, responses §11.1: never null, and text that is no object stays as it is."""

    def tell(sink: Sink) -> None:
        sink.open(0, Kind.TOOL_USE, "call_1", "f")
        sink.close(0)
        sink.open(1, Kind.TOOL_USE, "call_2", "c")
        sink.args(1, "odd")

    done = [
        payload for name, payload in events(BENCH.tell(tell, CUSTOM)) if name.endswith(("arguments.done", "item.done"))
    ]
    assert [payload["arguments"] for payload in done if "arguments" in payload] == ["{}", "odd"]
    assert [payload["item"]["type"] for payload in done if "item" in payload] == ["function_call", "function_call"]


def test_answer_that_failed_without_a_word_says_so() -> None:
    """Responses §9: nothing came, so it failed."""
    name, payload = events(BENCH.tell(lambda sink: sink.finish(Stop(Reason.ERROR))))[-1]
    assert (name, payload["response"]["error"]["code"]) == ("response.failed", "server_error")


@pytest.mark.parametrize(
    ("kind", "code"), [(Wrong.RATE_LIMITED, "rate_limit_exceeded"), (Wrong.UNAUTHENTICATED, "server_error")]
)
def test_broken_stream_ends_with_a_failure(kind: Wrong, code: str) -> None:
    """Responses §12: the same response, failed, with what was whole by then and a code of the library's list."""
    told = events(BENCH.tell(lambda sink: sink.text(0, "x"), fault=Fault(kind, "busy")))
    name, payload = told[-1]
    response = payload["response"]
    assert (name, response["status"], response["error"]) == (
        "response.failed",
        "failed",
        {"code": code, "message": "busy"},
    )
    assert response["id"] == told[0][1]["response"]["id"]
    assert [item["type"] for item in response["output"]] == ["message"]


@pytest.mark.parametrize(
    ("told", "args"),
    [
        ([event("function_call_arguments.done", output_index=0, arguments='{"a":1}')], ['{"a":1}']),
        ([event("function_call_arguments.done", output_index=7, arguments="{}")], []),
        ([event("function_call_arguments.done", output_index=0)], []),
        (
            [
                event("function_call_arguments.delta", output_index=0, delta="{}"),
                event("function_call_arguments.done", output_index=0, arguments="{}"),
            ],
            ["{}"],
        ),
    ],
)
def test_arguments_as_a_whole(told: list[dict[str, object]], args: list[str]) -> None:
    """Responses case 56: where no piece came before; of a call that nobody began nothing is told."""
    item = {"type": "function_call", "call_id": "c", "name": "f", "arguments": ""}
    begun = event("output_item.added", output_index=0, item=item)
    assert [call[2] for call in heard(begun, *told) if call[0] == "args"] == args


def test_thought_that_nobody_sealed_is_told_from_those_of_the_vendor() -> None:
    """IR case 22: the vendor would refuse it without a seal, so the client gives back what tells whose it is."""

    def tell(sink: Sink) -> None:
        sink.open(0, Kind.THINKING)
        sink.thinking(0, "hm")
        sink.close(0)
        sink.finish(Stop(Reason.END_TURN), Usage())

    stream = BENCH.tell(tell)
    assert stream.count(b'"encrypted_content":"bbf1none') == 2  # where the item ends, and in the whole answer
