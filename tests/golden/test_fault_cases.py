"""Numbered cases of the dialects' chapters about refusals and streams that end badly, one look at each."""

import json
from typing import Any

import pytest

from busbar_fast.aws.eventstream import FrameReader
from busbar_fast.dialects.dialect import StreamFault
from busbar_fast.dialects.faults import Fault, Kind
from busbar_fast.dialects.guard import Guard
from busbar_fast.dialects.registry import speak, translator
from busbar_fast.dialects.replaying import replay
from busbar_fast.dialects.translator import Reply
from busbar_fast.errors import FaultReported
from busbar_fast.gateway.replies import fault_of
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import Request
from busbar_fast.reliability.dispositions import ErrorClass
from busbar_fast.wire.heads import Fields
from tests.dialects.refusals import class_of
from tests.dialects.translating import sse
from tests.golden.crossing import ask_of, shown

GOOGLE = {"error": {"code": 503, "message": "busy here", "status": "UNAVAILABLE"}}
AMAZON = {"__type": "ThrottlingException", "message": "slow down"}
NO_KEY = {"error": {"message": "no such key", "code": "invalid_api_key"}}
CLAUDE = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
LONG = "This model's maximum context length is 8192 tokens."


def judged(dialect: str, status: int, document: Any, error_map: dict[str, str] | None = None, **fields: bytes) -> Any:
    """Return what a refusal is held to be."""
    found = {name.replace("_", "-").encode(): value for name, value in fields.items()}
    return class_of(speak(dialect).read_error(status, found, json.dumps(document).encode(), 0.0), error_map)


@pytest.mark.parametrize(
    ("dialect", "document"),
    [
        ("openai", {"error": {"message": LONG, "type": "invalid_request_error", "code": None}}),
        ("responses", {"error": {"message": LONG, "type": "invalid_request_error", "code": None}}),
        (
            "anthropic",
            {"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 9"}},
        ),
        ("bedrock", {"__type": "ValidationException", "message": "Input is too long for requested model."}),
        ("cohere", {"message": "too many tokens: total number of tokens in the prompt cannot exceed 4081"}),
    ],
)
def test_prompt_that_is_too_long_is_known_at_400_only(dialect: str, document: Any) -> None:
    """Openai case 57, responses case 65, anthropic case 59, bedrock case 57, cohere case 64: not by 429 or 500."""
    assert judged(dialect, 400, document) is ErrorClass.CONTEXT_LENGTH
    assert judged(dialect, 429, document) is ErrorClass.RATE_LIMIT
    assert judged(dialect, 500, document) is ErrorClass.SERVER_ERROR
    if dialect != "bedrock":
        assert judged(dialect, 401, document) is ErrorClass.AUTH


def test_what_only_looks_like_a_long_prompt() -> None:
    """Cohere case 64: a URL is no prompt."""
    assert judged("cohere", 400, {"message": "request URL too long"}) is ErrorClass.CLIENT_ERROR


def test_operators_words_match_types_too() -> None:
    """Openai case 58: `error_map` looks at the type where the code is another."""
    document = {"error": {"message": "x", "type": "account_on_hold", "code": "c1"}}
    assert judged("openai", 400, document, {"account_on_hold": "billing"}) is ErrorClass.BILLING


def test_names_of_bedrock_are_read_in_both_places() -> None:
    """Bedrock case 56: with a place behind it in the header, with a namespace before it in the body."""
    header = b"ThrottlingException:http://internal.example/doc"
    slow = {"ThrottlingException": "rate_limit"}
    assert judged("bedrock", 400, {"message": "x"}, slow, x_amzn_errortype=header) is ErrorClass.RATE_LIMIT
    named = {"__type": "com.amazon.coral.service#ThrottlingException", "message": "x"}
    assert judged("bedrock", 400, named, slow) is ErrorClass.RATE_LIMIT
    assert judged("bedrock", 429, named) is ErrorClass.RATE_LIMIT


def test_model_that_fails_is_a_server_that_fails() -> None:
    """Bedrock case 57: 424 is held against the lane."""
    assert judged("bedrock", 424, {"__type": "ModelErrorException", "message": "x"}) is ErrorClass.SERVER_ERROR


@pytest.mark.parametrize(
    ("lane", "status", "document", "client", "wanted", "word"),
    [
        ("gemini", 503, GOOGLE, "anthropic", 503, "overloaded_error"),
        ("bedrock", 429, AMAZON, "anthropic", 429, "rate_limit_error"),
        ("openai", 401, NO_KEY, "cohere", 401, "message"),
        ("openai", 401, NO_KEY, "bedrock", 403, "message"),
        ("openai", 402, {"error": {"message": "pay first"}}, "bedrock", 400, "message"),
        ("anthropic", 529, CLAUDE, "bedrock", 503, "message"),
    ],
)
def test_refusals_are_worded_anew(lane: str, status: int, document: Any, client: str, wanted: int, word: str) -> None:
    """Anthropic case 60, bedrock case 62, cohere case 65: the client's status and shape, none of the lane's body."""
    error = speak(lane).read_error(status, Fields(), json.dumps(document).encode(), 0.0)
    reply = speak(client).encode_fault(fault_of(error), None, b"req_1")
    assert (reply.status, word in reply.body.decode()) == (wanted, True)
    assert b"UNAVAILABLE" not in reply.body
    assert (b"__type" in reply.body) is (client == "bedrock")


def test_failed_body_is_the_lanes_error() -> None:
    """Responses case 40: `failed` without output is no answer, and its code says what it was."""
    body = {"id": "r", "status": "failed", "output": [], "error": {"code": "rate_limit_exceeded", "message": "slow"}}
    with pytest.raises(FaultReported) as caught:
        shown("responses", "openai", body)
    error = speak("responses").read_fault(StreamFault("", caught.value.payload), 0.0)
    assert class_of(error) is ErrorClass.RATE_LIMIT


# Streams


def test_half_a_call_is_closed() -> None:
    """Cohere case 58: a half-told call is closed before the client hears that it broke off."""
    begin = {"type": "message-start", "id": "i", "delta": {"message": {"role": "assistant"}}}
    call = {"id": "t", "type": "function", "function": {"name": "f", "arguments": '{"a"'}}
    half = sse(begin, {"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": call}}})
    guard = Guard(translator(speak("gemini")).new_writer(_reply("gemini"), Report()))
    reader = translator(speak("cohere")).new_reader(guard, Report())
    reader.feed(half)
    reader.end()
    assert guard.has_broken_off
    guard.break_off(Fault(Kind.INTERNAL))
    told = guard.take()
    assert told.index(b"functionCall") < told.index(b'"error"')


def _reply(client: str) -> Any:
    return Reply(Request(client), ask_of(client, in_stream=True), "m", 1700000000, lambda: 1)


def test_faults_in_streams_of_bedrock_have_names_of_the_union() -> None:
    """Bedrock cases 52, 53: lower camel case, and never the time-out of a model, which the union does not have."""
    for kind in Kind:
        guard = Guard(translator(speak("bedrock")).new_writer(_reply("bedrock"), Report()))
        guard.start("m")
        guard.text(0, "x")
        guard.break_off(Fault(kind, "why"))
        reader = FrameReader()
        reader.feed(guard.take())
        names = [frame.exception_name for frame in iter(reader.maybe_next, None) if frame.exception_name]
        assert len(names) == 1
        assert names[0][:1].islower()
        assert names[0] != "modelTimeoutException"


def test_whole_answer_becomes_whole_frames() -> None:
    """Bedrock cases 32, 50: four keys in a document, all frames in a stream, indices without gaps."""
    use = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}}
    answer = {
        "type": "message", "role": "assistant", "model": "m", "stop_reason": "tool_use",
        "content": [{"type": "text", "text": "x"}, use], "usage": {"input_tokens": 1, "output_tokens": 2},
    }  # fmt: skip
    there = shown("anthropic", "bedrock", answer)
    assert set(there) == {"output", "stopReason", "usage", "metrics"}
    assert there["metrics"]["latencyMs"] > 0
    guard = Guard(translator(speak("bedrock")).new_writer(_reply("bedrock"), Report()))
    replay(translator(speak("anthropic")).read_answer(json.dumps(answer).encode(), Report()), guard)
    reader = FrameReader()
    reader.feed(guard.take())
    told = [(frame.event_type, json.loads(frame.payload)) for frame in iter(reader.maybe_next, None)]
    assert [name for name, _ in told if "Start" in name or "Stop" in name or name == "metadata"] == [
        "messageStart", "contentBlockStop", "contentBlockStart", "contentBlockStop", "messageStop", "metadata",
    ]  # fmt: skip
    assert sorted({said["contentBlockIndex"] for _, said in told if "contentBlockIndex" in said}) == [0, 1]
    assert next(said["stopReason"] for name, said in told if name == "messageStop") == "tool_use"
