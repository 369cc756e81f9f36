"""What is written for the Chat Completions dialect, judged by the vendor's own types and client."""

import json
from collections.abc import Mapping
from typing import Any, Final

import pytest
from openai import APIError, OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk, completion_create_params
from pydantic import TypeAdapter, ValidationError

from busbar_fast.dialects.dialect import Refusal
from busbar_fast.dialects.faults import Fault
from busbar_fast.dialects.faults import Kind as Wrong
from busbar_fast.dialects.openai_chat.translation import TRANSLATOR
from busbar_fast.ir.answers import Answer, Reason, Stop, TokenLogprob, Usage
from busbar_fast.ir.blocks import (
    AnyBlock,
    Citation,
    CitationKind,
    Inline,
    Mark,
    Media,
    MediaKind,
    Span,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Url,
)
from busbar_fast.ir.events import Kind, Sink
from busbar_fast.ir.requests import (
    ChoiceMode,
    Message,
    OutputFormat,
    Reasoning,
    ReasoningMode,
    Request,
    Role,
    Sampling,
    Tool,
    ToolChoice,
)
from tests.dialects.openai_chat.official import Wire
from tests.dialects.translating import Bench, events, raw

BENCH = Bench(TRANSLATOR)
WHOLE: Final = TypeAdapter(completion_create_params.CompletionCreateParamsNonStreaming)
STREAMED: Final = TypeAdapter(completion_create_params.CompletionCreateParamsStreaming)
TOOLS: Final = [Tool("f", "d", raw({"type": "object"}), strict=True), Tool("c", "d", is_custom=True)]
ASKED: Final = Request("openai", include_usage=True, tools=TOOLS)
EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def unrolled(value: Any) -> Any:
    """Return a validated value whole: the lists in it are validated as they are read."""
    if isinstance(value, Mapping):
        return {name: unrolled(one) for name, one in value.items()}
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        return value
    return [unrolled(one) for one in value]


def is_typed(document: Any) -> bool:
    """Say whether the vendor's types have a place for all of a request; raise ValidationError if they refuse it."""
    adapter = STREAMED if document.get("stream") else WHOLE
    return bool(unrolled(adapter.validate_python(document)) == document)


def wire(body: bytes, *, in_stream: bool = False) -> OpenAI:
    """Return the vendor's client, to which this is the answer."""
    kind = b"text/event-stream" if in_stream else b"application/json"
    return Wire(Refusal(200, b"Content-Type: %b\r\n" % kind, body)).client


def conversation(*blocks: AnyBlock, **members: Any) -> Request:
    """Return a request of another dialect in which much has been said already."""
    turns = [
        Message(Role.USER, [Text("look", mark=Mark("1h")), *blocks]),
        Message(Role.ASSISTANT, [Text("hm"), ToolUse("call_1", "f", raw({"a": 1})), ToolUse("call_2", "c")]),
        Message(Role.TOOL, [ToolResult("call_1", [Text("1"), Text("2", mark=Mark())]), ToolResult("call_2")]),
        Message(Role.ASSISTANT, [Text("no", is_refusal=True)]),
        Message(Role.SYSTEM, [Text("be brief")]),
        Message(Role.USER, [Text("and?")]),
    ]
    return Request("other", system=[Text("be kind")], messages=turns, tools=TOOLS, **members)


FILES: Final = (
    Media(MediaKind.IMAGE, Inline("aGk="), "image/webp", detail="high"),
    Media(MediaKind.IMAGE, Url("https://i"), detail="original"),
    Media(MediaKind.AUDIO, Inline("aGk="), "audio/x-wav"),
    Media(MediaKind.AUDIO, Inline("aGk="), "audio/mpeg"),
    Media(MediaKind.AUDIO, Inline("aGk="), "audio/ogg"),
    Media(MediaKind.DOCUMENT, Inline("aGk="), "text/plain", mark=Mark()),
)


@pytest.mark.parametrize("in_stream", [False, True])
def test_requests_fit_the_types_of_the_vendor(in_stream: bool) -> None:
    """Openai §2 to §4, IR §1: every member and part that is written has a place in the vendor's types."""
    sampling = Sampling(
        raw(9),
        raw(0.5),
        raw(1),
        seed=raw(3),
        n=raw(1),
        frequency_penalty=raw(0),
        presence_penalty=raw(0),
        stop=["X"],
        has_logprobs=True,
        top_logprobs=raw(2),
    )
    form = OutputFormat(raw({"type": "object"}), description="d", strict=True)
    members = {"sampling": sampling, "format": form, "user": "u", "parallel_tools": False, "in_stream": in_stream}
    assert is_typed(BENCH.write(conversation(*FILES, **members)))
    assert BENCH.lost == {("dropped", "audio")}


@pytest.mark.parametrize(
    "choice",
    [
        *(ToolChoice(mode) for mode in (ChoiceMode.AUTO, ChoiceMode.NONE, ChoiceMode.REQUIRED)),
        *(ToolChoice(ChoiceMode.NAMED, name) for name in ("f", "c")),
        *(ToolChoice(mode, allowed=["f", "c"]) for mode in (ChoiceMode.AUTO, ChoiceMode.REQUIRED)),
    ],
)
def test_choices_fit_the_types_of_the_vendor(choice: ToolChoice) -> None:
    """Openai case 18: each way to choose, for tools of either kind."""
    assert is_typed(BENCH.write(conversation(tool_choice=choice)))


@pytest.mark.parametrize("effort", EFFORTS)
def test_efforts_fit_the_types_of_the_vendor(effort: str) -> None:
    """Openai §5: all the words that the vendor has, and none besides."""
    asked = Reasoning(ReasoningMode.OFF) if effort == "none" else Reasoning(ReasoningMode.ON, effort)
    assert is_typed(BENCH.write(conversation(reasoning=asked)))


def test_judge_has_an_eye_for_what_is_wrong() -> None:
    """IR §1: what the types have no place for is noticed, however deep it lies."""
    found = BENCH.write(conversation())
    found["messages"][2]["tool_calls"][0]["function"]["arguments"] = {}
    with pytest.raises(ValidationError):
        is_typed(found)


# Answers


def said(**members: Any) -> Answer:
    """Return an answer that says everything there is to say."""
    web = Citation(CitationKind.WEB, Span(0, 1), url="https://u")
    blocks: list[AnyBlock] = [
        Thinking("hm"),
        Text("é", [web]),
        ToolUse("call_1", "f", raw({"a": 1})),
        ToolUse("call_2", "c", raw({"input": "free"})),
    ]
    stop, usage = Stop(Reason.TOOL_USE), Usage(5, 6, 1, 2, None, 3)
    told = {"stop": stop, "usage": usage, "logprobs": [TokenLogprob("é", raw(-1))]} | members
    return BENCH.answer_of(*blocks, **told)


def test_answer_fits_the_types_of_the_vendor() -> None:
    """Openai cases 32, 63, §6: the client finds everything where its types say that it is."""
    document = BENCH.write_answer(said(), ASKED)
    ChatCompletion.model_validate(document)
    client = wire(json.dumps(document).encode())
    found = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    assert found.usage is not None
    assert (found.usage.prompt_tokens, found.usage.completion_tokens, found.usage.total_tokens) == (8, 6, 14)
    message = found.choices[0].message
    assert (message.content, message.model_dump()["reasoning_content"]) == ("é", "hm")
    assert [call.type for call in message.tool_calls or []] == ["function", "custom"]
    assert message.annotations is not None
    assert message.annotations[0].url_citation.end_index == 1


@pytest.mark.parametrize("reason", Reason)
def test_reasons_fit_the_types_of_the_vendor(reason: Reason) -> None:
    """Openai case 31, IR case 34: each reason, in answers and in streams."""
    stop = Stop(reason, "odd", "other")
    whole = ChatCompletion.model_validate(BENCH.write_answer(said(stop=stop), ASKED))
    told = events(BENCH.tell(lambda sink: sink.finish(stop), ASKED))
    chunks = [ChatCompletionChunk.model_validate(payload) for _, payload in told[:-1]]
    assert whole.choices[0].finish_reason != "function_call"
    assert chunks[-2].choices[0].finish_reason is not None


# Streams


def tell(sink: Sink) -> None:
    """Say a thought, a text and two calls that grow in turns."""
    sink.start("kiln", Usage(8))
    sink.thinking(0, "hm")
    sink.text(1, "é")
    sink.logprobs(1, [TokenLogprob("é", raw(-1))])
    sink.citations(1, [Citation(CitationKind.WEB, url="https://u")])
    sink.open(5, Kind.TOOL_USE, "toolu_1", "f")
    sink.open(7, Kind.TOOL_USE, "toolu_2", "f")
    sink.args(7, '{"b":')
    sink.args(5, '{"a":1}')
    sink.args(7, "2}")
    sink.finish(Stop(Reason.END_TURN), Usage(output=6))


def test_stream_fits_the_types_of_the_vendor() -> None:
    """Openai cases 37, 40, 41, §9.1: each chunk is valid, and the client puts the answer together from them."""
    stream = BENCH.tell(tell, ASKED)
    for _, payload in events(stream)[:-1]:
        ChatCompletionChunk.model_validate(payload)
    client = wire(stream, in_stream=True)
    with client.chat.completions.stream(model="m", messages=[{"role": "user", "content": "hi"}]) as whole:
        found = whole.get_final_completion()
    message = found.choices[0].message
    assert (message.role, message.content, message.model_dump()["reasoning_content"]) == ("assistant", "é", "hm")
    calls = [call.function.arguments for call in message.tool_calls or []]
    assert calls == ['{"a":1}', '{"b":2}']
    assert found.choices[0].finish_reason == "tool_calls"
    assert found.usage is not None
    assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (8, 6)


def test_broken_stream_is_an_error_for_the_client() -> None:
    """Openai case 44, §10: the client raises, whatever broke is the server's affair."""
    stream = BENCH.tell(lambda sink: sink.text(0, "x"), fault=Fault(Wrong.UNREADABLE))
    client = wire(stream, in_stream=True)
    chunks = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}], stream=True)
    with pytest.raises(APIError) as caught:
        list(chunks)
    assert caught.value.type == "server_error"


def test_what_a_client_gets_is_heard_again() -> None:
    """IR cases 2, 60: a stream that was written makes the same calls again, cut at every byte."""
    stream = BENCH.tell(tell, ASKED)
    calls = BENCH.hear(stream)
    assert BENCH.hear(stream, 1) == calls
    assert [one for one in calls if one[0] == "args"] == [
        ("args", 2, ""),
        ("args", 3, ""),
        ("args", 3, '{"b":'),
        ("args", 2, '{"a":1}'),
        ("args", 3, "2}"),
    ]
