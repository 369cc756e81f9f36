"""What the official SDKs say of a document: whether it is one of theirs, by their own types.

One validator for each dialect and kind of document. They raise what the SDK's library raises.
"""

import json
from collections.abc import Callable
from functools import cache
from typing import Any

from anthropic.types import Message, RawMessageStreamEvent
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape
from botocore.parsers import RestJSONParser
from botocore.validate import ParamValidator
from cohere.types import ChatMessageV2, ToolV2
from cohere.v2.types import V2ChatResponse, V2ChatStreamResponse
from google.genai import types as genai
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from pydantic import BaseModel, TypeAdapter

from busbar_fast.aws.eventstream import FrameReader
from busbar_fast.wire.sse import SseSplitter, parse_event

Validate = Callable[[Any], None]


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _by(kind: Any) -> Validate:
    def validate(document: Any) -> None:
        _adapter(kind).validate_python(document)

    return validate


def _strictly(model: type[BaseModel]) -> Validate:
    """Return what takes an answer that has every member which the SDK's users may rely on."""

    def validate(document: Any) -> None:
        model.model_validate(document)

    return validate


# Gemini: the SDK sends what it makes of these.


def _gemini_request(document: Any) -> None:
    for content in (*document["contents"], document.get("systemInstruction", {"parts": [{"text": "x"}]})):
        genai.Content.model_validate(content)
    for tool in document.get("tools", []):
        genai.Tool.model_validate(tool)
    genai.GenerationConfig.model_validate(document.get("generationConfig", {}))
    genai.ToolConfig.model_validate(document.get("toolConfig", {}))


# Bedrock: botocore knows the shapes of its service.


@cache
def _shapes() -> Any:
    return ServiceModel(Loader().load_service_model("bedrock-runtime", "service-2"))


def _shape(operation: str, *, is_input: bool) -> Shape:
    model = _shapes().operation_model(operation)
    return model.input_shape if is_input else model.output_shape


def _bedrock_request(document: Any) -> None:
    report = ParamValidator().validate(_raw_bytes(document | {"modelId": "m"}), _shape("Converse", is_input=True))
    assert not report.has_errors(), report.generate_report()


def _raw_bytes(value: Any) -> Any:
    """Return a document as a caller of boto3 would give it: bytes where base64 stands on the wire."""
    if isinstance(value, dict):
        return {name: (b"x" if name == "bytes" else _raw_bytes(inner)) for name, inner in value.items()}
    return [_raw_bytes(inner) for inner in value] if isinstance(value, list) else value


def _bedrock_answer(document: Any) -> None:
    shape = _shape("Converse", is_input=False)
    response = {"body": json.dumps(document).encode(), "headers": {}, "status_code": 200}
    parsed = RestJSONParser().parse(response, shape)
    assert parsed["output"]["message"]["role"] == "assistant"
    assert set(shape.required_members) <= set(parsed)


def _cohere_request(document: Any) -> None:
    for message in document["messages"]:
        _adapter(ChatMessageV2).validate_python(message)
    for tool in document.get("tools", []):
        ToolV2.model_validate(tool)
    assert isinstance(document["model"], str)


def _responses_request(document: Any) -> None:
    # What a model said before is typed as the vendor answers it. Its API takes it without these, as its own agent sends
    # it, and there is no id that we could give.
    _by(ResponseCreateParamsNonStreaming)(document | {"input": [_as_answered(item) for item in document["input"]]})


def _as_answered(item: dict[str, Any]) -> dict[str, Any]:
    if item.get("role") == "assistant":
        rest = {"id": "msg_1", "type": "message", "status": "completed"}
        return item | rest | {"content": [part | {"annotations": []} for part in item["content"]]}
    return {"id": "rs_1"} | item if item.get("type") == "reasoning" else item


REQUESTS: dict[str, Validate] = {
    "openai": _by(CompletionCreateParamsNonStreaming),
    "responses": _responses_request,
    "anthropic": _by(MessageCreateParamsNonStreaming),
    "gemini": _gemini_request,
    "bedrock": _bedrock_request,
    "cohere": _cohere_request,
}
ANSWERS: dict[str, Validate] = {
    "openai": _strictly(ChatCompletion),
    "responses": _strictly(Response),
    "anthropic": _strictly(Message),
    "gemini": _strictly(genai.GenerateContentResponse),
    "bedrock": _bedrock_answer,
    "cohere": _strictly(V2ChatResponse),
}
_EVENTS: dict[str, Validate] = {
    "openai": _strictly(ChatCompletionChunk),
    "responses": _by(ResponseStreamEvent),
    "anthropic": _by(RawMessageStreamEvent),
    "gemini": _strictly(genai.GenerateContentResponse),
    "cohere": _by(V2ChatStreamResponse),
}


def check_stream(dialect: str, stream: bytes) -> int:
    """See that every event of a stream is one of the SDK's; return how many there are."""
    if dialect == "bedrock":
        return _check_frames(stream)
    splitter = SseSplitter()
    count = 0
    for event in splitter.feed(stream):
        payload = parse_event(event).payload
        if payload is None or payload == b"[DONE]":
            continue
        document = json.loads(payload)
        if document.get("type") != "ping":
            _EVENTS[dialect](document)
        count += 1
    assert splitter.take_rest() == b""
    return count


def _check_frames(stream: bytes) -> int:
    reader = FrameReader()
    reader.feed(stream)
    members = _shape("ConverseStream", is_input=False).members["stream"].members
    count = 0
    while (frame := reader.maybe_next()) is not None:
        name = str(frame.headers[":event-type"])
        assert set(json.loads(frame.payload)) - {"p"} <= set(members[name].members), name
        count += 1
    return count
