"""Anthropic Messages, as the vendor answers."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import orjson

from busbar_fast.mock.ask import Ask, BadAsk, Place, last_user_text, require_model, require_turns
from busbar_fast.mock.content import Answer, mint
from busbar_fast.mock.replies.voice import Voice, encode_event
from busbar_fast.mock.reply import Fault
from busbar_fast.mock.script import Stop

_ID: Final = mint("msg_01", 28)
_REQUEST_ID: Final = mint("req_01", 28)
_ANSWER_HEADERS: Final = f"request-id: {_REQUEST_ID}\r\n".encode()
_STOPS: Final = MappingProxyType({Stop.SAFETY: "refusal"})  # every other reason has our name for it
_TYPES: Final = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_FIRST_SERVER_STATUS = 500

Block = dict[str, Any]


def read(document: Mapping[str, Any], place: Place) -> Ask:
    """Return what the request asks for."""
    ask = Ask(
        model=require_model(document, place),
        prompt=last_user_text(require_turns(document, "messages")),
        stream=document.get("stream") is True,
        document=document,
    )
    if place.action != "count_tokens" and not isinstance(document.get("max_tokens"), int):
        raise BadAsk("max_tokens: Field required", "max_tokens")
    return ask


def encode_body(answer: Answer) -> bytes:
    """Return the whole answer as one JSON document."""
    return orjson.dumps(_message(answer, [whole for _, _, whole in _blocks(answer)], answer.usage.output))


def encode_stream(answer: Answer) -> list[bytes]:
    """Return the events of the answer, with the ping that the vendor sends once the first block is open."""
    start = _message(answer, [], 1) | {"stop_reason": None, "stop_sequence": None}
    frames = [encode_event("message_start", {"type": "message_start", "message": start})]
    for index, (seed, deltas, _) in enumerate(_blocks(answer)):
        opening = {"type": "content_block_start", "index": index, "content_block": seed}
        frames.append(encode_event("content_block_start", opening))
        if index == 0:
            frames.append(encode_event("ping", {"type": "ping"}))
        frames += (
            encode_event("content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta})
            for delta in deltas
        )
        frames.append(encode_event("content_block_stop", {"type": "content_block_stop", "index": index}))
    end = {"stop_reason": _stop(answer), "stop_sequence": _stop_sequence(answer)}
    closing = {"type": "message_delta", "delta": end, "usage": _usage(answer, answer.usage.output)}
    frames.append(encode_event("message_delta", closing))
    frames.append(encode_event("message_stop", {"type": "message_stop"}))
    return frames


def encode_fault(fault: Fault, _place: Place) -> bytes:
    """Return the body of an error answer."""
    return orjson.dumps({**_fault_document(fault), "request_id": _REQUEST_ID})


def encode_break(_answer: Answer, fault: Fault, _sent: list[bytes]) -> list[bytes]:
    """Return an error in the middle of a stream."""
    return [encode_event("error", _fault_document(fault))]


def encode_count(tokens: int) -> bytes:
    """Return the answer of the token counter."""
    return orjson.dumps({"input_tokens": tokens})


def fault_headers(fault: Fault) -> bytes:
    """Return the headers of an error answer."""
    if fault.should_retry is None:
        return _ANSWER_HEADERS
    return _ANSWER_HEADERS + b"x-should-retry: %b\r\n" % (b"true" if fault.should_retry else b"false")


def _blocks(answer: Answer) -> list[tuple[Block, list[Block], Block]]:
    """Return each content block as its seed, its deltas and its whole."""
    blocks: list[tuple[Block, list[Block], Block]] = []
    if answer.thoughts:
        deltas: list[Block] = [{"type": "thinking_delta", "thinking": piece} for piece in answer.thoughts]
        deltas.append({"type": "signature_delta", "signature": answer.signature})
        whole = {"type": "thinking", "thinking": answer.thought, "signature": answer.signature}
        blocks.append(({"type": "thinking", "thinking": "", "signature": ""}, deltas, whole))
    for secret in answer.secrets:  # which come whole, with no delta
        block: Block = {"type": "redacted_thinking", "data": secret}
        blocks.append((block, [], block))
    if answer.pieces:
        deltas = [{"type": "text_delta", "text": piece} for piece in answer.pieces]
        blocks.append(({"type": "text", "text": ""}, deltas, {"type": "text", "text": answer.text}))
    for call in answer.calls:
        seed: Block = {"type": "tool_use", "id": mint("toolu_01", 30, call.serial), "name": call.name}
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", *call.pieces)]
        blocks.append(({**seed, "input": {}}, deltas, {**seed, "input": call.raw_args}))
    return blocks


def _message(answer: Answer, content: list[Block], output: int) -> dict[str, Any]:
    return {
        "id": _ID,
        "type": "message",
        "role": "assistant",
        "model": answer.ask.model,
        "content": content,
        "stop_reason": _stop(answer),
        "stop_sequence": _stop_sequence(answer),
        "usage": _usage(answer, output),
    }


def _stop(answer: Answer) -> str:
    return answer.stop_raw or _STOPS.get(answer.stop, answer.stop.value)


def _stop_sequence(answer: Answer) -> str | None:
    """Return the sequence that ended the answer: the first one that the request named."""
    if answer.stop is not Stop.SEQUENCE:
        return None
    named = answer.ask.document.get("stop_sequences")
    return named[0] if isinstance(named, list) and named else "END"


def _usage(answer: Answer, output: int) -> dict[str, Any]:
    usage = answer.usage
    document: dict[str, Any] = {"input_tokens": usage.uncached}
    if not answer.lean:
        written = usage.cache_write or 0
        document["cache_creation_input_tokens"] = written
        document["cache_read_input_tokens"] = usage.cached or 0
        document["cache_creation"] = {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0}
    document["output_tokens"] = output
    if usage.reasoning and output == usage.output:
        document["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    if not answer.lean:
        document["service_tier"] = "standard"
    return document


def _fault_document(fault: Fault) -> dict[str, Any]:
    fallback = "api_error" if fault.status >= _FIRST_SERVER_STATUS else "invalid_request_error"
    kind = fault.code or _TYPES.get(fault.status, fallback)
    return {"type": "error", "error": {"type": kind, "message": fault.message}}


VOICE: Final = Voice(
    read=read,
    encode_body=encode_body,
    encode_stream=encode_stream,
    encode_fault=encode_fault,
    encode_break=encode_break,
    encode_count=encode_count,
    fault_headers=fault_headers,
    answer_headers=_ANSWER_HEADERS,
)
