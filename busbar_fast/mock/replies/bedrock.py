"""Bedrock Converse and ConverseStream, as the vendor answers: JSON, and binary event-stream frames."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import orjson

from busbar_fast.aws.eventstream import encode_message
from busbar_fast.mock.ask import Ask, Place, last_user_text, require_turns
from busbar_fast.mock.content import Answer, mint
from busbar_fast.mock.replies.voice import Voice
from busbar_fast.mock.reply import Fault
from busbar_fast.mock.script import Stop

_ANSWER_HEADERS: Final = b"x-amzn-requestid: 5eed0000-5eed-4000-8000-00000000b00c\r\n"
_STREAM_TYPE: Final = b"Content-Type: application/vnd.amazon.eventstream\r\n"
_LATENCY_MS: Final = 318
_PADDING: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_PADDING_STRIDE: Final = 7  # the vendor pads at random; this walks through all lengths
_STOPS: Final = MappingProxyType({Stop.SAFETY: "content_filtered", Stop.REFUSAL: "content_filtered"})
_EXCEPTIONS: Final = {
    400: "ValidationException",
    402: "ServiceQuotaExceededException",
    401: "AccessDeniedException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    413: "ValidationException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
}
_STREAM_EXCEPTIONS: Final = {
    408: "modelStreamErrorException",
    424: "modelStreamErrorException",
    429: "throttlingException",
    503: "serviceUnavailableException",
    504: "modelStreamErrorException",
}
_FIRST_SERVER_STATUS = 500
_COUNT_ACTION = "count-tokens"
_REPEATED: Final = ("performanceConfig", "serviceTier")  # in the answer as in the request
_WORD: Final = {"match": "storm", "action": "BLOCKED", "detected": True}
_ASSESSMENT: Final = {"wordPolicy": {"customWords": [_WORD], "managedWordLists": []}}

Event = tuple[str, dict[str, Any]]


def read(document: Mapping[str, Any], place: Place) -> Ask:
    """Return what the request asks for: model and streaming are in the path; a count wraps what it counts."""
    request = _counted(document) if place.action == _COUNT_ACTION else document
    return Ask(
        model=place.model or "",
        prompt=last_user_text(require_turns(request, "messages")),
        stream=place.action == "converse-stream",
        document=document,
    )


def _counted(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the conversation that is to be counted, empty if there is none."""
    wrapped = document.get("input")
    inner = wrapped.get("converse") if isinstance(wrapped, dict) else None
    return inner if isinstance(inner, dict) else {}


def encode_body(answer: Answer) -> bytes:
    """Return the whole answer as one JSON document."""
    content: list[dict[str, Any]] = []
    if answer.thoughts:
        thinking = {"reasoningText": {"text": answer.thought, "signature": answer.signature}}
        content.append({"reasoningContent": thinking})
    content += ({"reasoningContent": {"redactedContent": secret}} for secret in answer.secrets)
    if answer.pieces:
        content.append({"text": answer.text})
    content += ({"toolUse": {**_tool(call.serial, call.name), "input": call.raw_args}} for call in answer.calls)
    return orjson.dumps(
        {
            "output": {"message": {"role": "assistant", "content": content or [{"text": ""}]}},
            **_ending(answer),
            **_accounts(answer),
        }
    )


def encode_stream(answer: Answer) -> list[bytes]:
    """Return the binary frames of the answer; only tool blocks have a start event."""
    events: list[Event] = [("messageStart", {"role": "assistant"})]
    index = 0
    if answer.thoughts:
        deltas: list[dict[str, Any]] = [{"reasoningContent": {"text": piece}} for piece in answer.thoughts]
        events += _block(index, [*deltas, {"reasoningContent": {"signature": answer.signature}}])
        index += 1
    for secret in answer.secrets:
        events += _block(index, [{"reasoningContent": {"redactedContent": secret}}])
        index += 1
    if answer.pieces:
        events += _block(index, [{"text": piece} for piece in answer.pieces])
        index += 1
    for call in answer.calls:
        start = {"contentBlockIndex": index, "start": {"toolUse": _tool(call.serial, call.name)}}
        events.append(("contentBlockStart", start))
        events += _block(index, [{"toolUse": {"input": piece}} for piece in call.pieces])
        index += 1
    events.append(("messageStop", _ending(answer)))
    events.append(("metadata", _accounts(answer)))
    return [_encode_event(number, name, payload) for number, (name, payload) in enumerate(events)]


def encode_fault(fault: Fault, _place: Place) -> bytes:
    """Return the body of an error answer; its name is in a header."""
    return orjson.dumps({"message": fault.message})


def encode_break(_answer: Answer, fault: Fault, _sent: list[bytes]) -> list[bytes]:
    """Return an error in the middle of a stream: an exception frame named by a member of the union."""
    fallback = "internalServerException" if fault.status >= _FIRST_SERVER_STATUS else "validationException"
    name = fault.code or _STREAM_EXCEPTIONS.get(fault.status, fallback)
    headers = ((":exception-type", name), (":content-type", "application/json"), (":message-type", "exception"))
    return [encode_message(headers, orjson.dumps({"message": fault.message}))]


def encode_count(tokens: int) -> bytes:
    """Return the answer of the token counter."""
    return orjson.dumps({"inputTokens": tokens})


def fault_headers(fault: Fault) -> bytes:
    """Return the headers of an error answer: its name, and where the vendor documents it."""
    fallback = "InternalServerException" if fault.status >= _FIRST_SERVER_STATUS else "ValidationException"
    name = fault.code or _EXCEPTIONS.get(fault.status, fallback)
    where = "http://internal.amazon.com/coral/com.amazon.bedrock/"
    headers = _ANSWER_HEADERS + f"x-amzn-errortype: {name}:{where}\r\n".encode()
    if fault.retry_after_s is not None:  # in milliseconds, beside the header that everybody has
        headers += b"x-amz-retry-after: %d\r\n" % (fault.retry_after_s * 1000)
    return headers


def _block(index: int, deltas: list[dict[str, Any]]) -> list[Event]:
    """Return the delta events of one block and its stop event."""
    events: list[Event] = [("contentBlockDelta", {"contentBlockIndex": index, "delta": delta}) for delta in deltas]
    events.append(("contentBlockStop", {"contentBlockIndex": index}))
    return events


def _encode_event(number: int, name: str, payload: dict[str, Any]) -> bytes:
    headers = ((":event-type", name), (":content-type", "application/json"), (":message-type", "event"))
    padding = _PADDING[: 1 + number * _PADDING_STRIDE % len(_PADDING)]
    return encode_message(headers, orjson.dumps({**payload, "p": padding}))


def _tool(number: int, name: str) -> dict[str, str]:
    return {"toolUseId": mint("tooluse_", 30, number), "name": name}


def _ending(answer: Answer) -> dict[str, Any]:
    """Return the stop reason and, if the request asked for it by path, the sequence that matched."""
    document: dict[str, Any] = {"stopReason": answer.stop_raw or _STOPS.get(answer.stop, answer.stop.value)}
    wanted = answer.ask.document.get("additionalModelResponseFieldPaths")
    if answer.stop is Stop.SEQUENCE and isinstance(wanted, list) and "/stop_sequence" in wanted:
        config = answer.ask.document.get("inferenceConfig")
        named = config.get("stopSequences") if isinstance(config, dict) else None
        matched = named[0] if isinstance(named, list) and named else "END"
        document["additionalModelResponseFields"] = {"stop_sequence": matched}
    return document


def _accounts(answer: Answer) -> dict[str, Any]:
    """Return what an answer costs, and what else a request may ask to be told: the tier, the latency, the guards."""
    document = {"usage": _usage(answer), "metrics": {"latencyMs": _LATENCY_MS}}
    asked = answer.ask.document
    document |= {name: asked[name] for name in _REPEATED if name in asked}
    guard = asked.get("guardrailConfig")
    if isinstance(guard, dict) and guard.get("trace") == "enabled":
        document["trace"] = {"guardrail": {"inputAssessment": {guard.get("guardrailIdentifier", ""): _ASSESSMENT}}}
    return document


def _usage(answer: Answer) -> dict[str, Any]:
    usage = answer.usage
    document = {"inputTokens": usage.uncached, "outputTokens": usage.output, "totalTokens": usage.total}
    if usage.cached is not None:
        document["cacheReadInputTokens"] = usage.cached
    if usage.cache_write is not None:
        document["cacheWriteInputTokens"] = usage.cache_write
    return document


VOICE: Final = Voice(
    read=read,
    encode_body=encode_body,
    encode_stream=encode_stream,
    encode_fault=encode_fault,
    encode_break=encode_break,
    encode_count=encode_count,
    fault_headers=fault_headers,
    answer_headers=_ANSWER_HEADERS,
    stream_type=_STREAM_TYPE,
)
