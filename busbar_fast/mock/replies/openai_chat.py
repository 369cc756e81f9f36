"""OpenAI Chat Completions, as the vendor answers; thinking takes the `reasoning_content` of compatible servers.

Of several choices, which `n` asks for, all say the same, one after the other.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import orjson

from busbar_fast.mock.ask import Ask, BadAsk, Place, last_user_text, require_model, require_turns
from busbar_fast.mock.content import CREATED_S, Answer, Call, Usage, mint
from busbar_fast.mock.replies.openai_fault import ANSWER_HEADERS, encode_fault, fault_document, fault_headers
from busbar_fast.mock.replies.openai_logprobs import encode_logprobs
from busbar_fast.mock.replies.voice import DONE, Voice, encode_line
from busbar_fast.mock.reply import Fault
from busbar_fast.mock.script import Stop

_ID: Final = mint("chatcmpl-", 38)
_LEAN_ID: Final = "mock"  # a lean answer with a short model name fits into the 235 bytes that perf/ asks for
_FINGERPRINT: Final = "fp_mock000001"
_MAX_CHOICES: Final = 128
_FINISH: Final = MappingProxyType(
    {
        Stop.END: "stop",
        Stop.LENGTH: "length",
        Stop.SEQUENCE: "stop",
        Stop.TOOL: "tool_calls",
        Stop.SAFETY: "content_filter",
        Stop.REFUSAL: "stop",
    }
)


def read(document: Mapping[str, Any], place: Place) -> Ask:
    """Return what the request asks for."""
    options = document.get("stream_options")
    return Ask(
        model=require_model(document, place),
        prompt=last_user_text(require_turns(document, "messages")),
        stream=document.get("stream") is True,
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        document=document,
    )


def encode_body(answer: Answer) -> bytes:
    """Return the whole answer as one JSON document."""
    choice: dict[str, Any] = {"message": _message(answer)}
    if not answer.lean:
        choice["logprobs"] = _logprobs(answer, answer.pieces)
    choice["finish_reason"] = _finish(answer)
    document: dict[str, Any] = {
        "id": _LEAN_ID if answer.lean else _ID,
        "object": "chat.completion",
        "created": 0 if answer.lean else CREATED_S,
        "model": answer.ask.model,
        "choices": [{"index": index, **choice} for index in _indices(answer)],
        "usage": _usage(answer.usage, lean=answer.lean),
    }
    if not answer.lean:
        document |= {"service_tier": "default", "system_fingerprint": _FINGERPRINT}
    return orjson.dumps(document)


def encode_stream(answer: Answer) -> list[bytes]:
    """Return the frames of the answer: role, thoughts, text, calls, finish, usage if asked for, terminator."""
    frames = [frame for index in _indices(answer) for frame in _stream_choice(answer, index)]
    if answer.ask.include_usage:
        frames.append(encode_line({**_envelope(answer), "choices": [], "usage": _usage(answer.usage, lean=False)}))
    frames.append(DONE)
    return frames


def _stream_choice(answer: Answer, index: int) -> list[bytes]:
    """Return the frames of one choice."""
    word = "refusal" if answer.stop is Stop.REFUSAL else "content"
    opening = {"role": "assistant", "content": None if answer.calls else "", "refusal": None}
    frames = [_chunk(answer, index, opening)]
    frames += (_chunk(answer, index, {"reasoning_content": piece}) for piece in answer.thoughts)
    frames += (_chunk(answer, index, {word: piece}, _logprobs(answer, (piece,))) for piece in answer.pieces)
    for call in answer.calls:
        parts = _call_parts(answer, call)
        frames += (_chunk(answer, index, {"tool_calls": [{"index": call.number, **part}]}) for part in parts)
    frames.append(_chunk(answer, index, {}, finish=_finish(answer)))
    return frames


def encode_break(_answer: Answer, fault: Fault, _sent: list[bytes]) -> list[bytes]:
    """Return an error in the middle of a stream."""
    return [encode_line(fault_document(fault)), DONE]


def _message(answer: Answer) -> dict[str, Any]:
    text = answer.text or None
    is_refusal = answer.stop is Stop.REFUSAL
    message: dict[str, Any] = {"role": "assistant", "content": None if is_refusal else text}
    if answer.thoughts:
        message["reasoning_content"] = answer.thought
    if answer.calls:
        message["tool_calls"] = [_call(answer, call) for call in answer.calls]
    if is_refusal or not answer.lean:
        message["refusal"] = text if is_refusal else None
    if not answer.lean:
        message["annotations"] = []
    return message


def _call(answer: Answer, call: Call) -> dict[str, Any]:
    kind, member, given = ("function", "arguments", call.args)
    if _is_custom(answer, call):
        kind, member, given = ("custom", "input", call.free_text)
    return {"id": mint("call_", 29, call.serial), "type": kind, kind: {"name": call.name, member: given}}


def _call_parts(answer: Answer, call: Call) -> list[dict[str, Any]]:
    """Return the pieces in which a call is streamed: who is called, then with what."""
    whole = _call(answer, call)
    kind = whole["type"]
    member, pieces = ("arguments", call.pieces) if kind == "function" else ("input", (call.free_text,))
    return [whole | {kind: {"name": call.name, member: ""}}, *({kind: {member: piece}} for piece in pieces)]


def _is_custom(answer: Answer, call: Call) -> bool:
    """Return whether a tool takes free text."""
    tools = answer.ask.document.get("tools")
    found = (tool for tool in tools if isinstance(tool, dict)) if isinstance(tools, list) else ()
    custom = (tool.get("custom") for tool in found if tool.get("type") == "custom")
    return any(isinstance(one, dict) and one.get("name") == call.name for one in custom)


def _envelope(answer: Answer) -> dict[str, Any]:
    return {
        "id": _ID,
        "object": "chat.completion.chunk",
        "created": CREATED_S,
        "model": answer.ask.model,
        "service_tier": "default",
        "system_fingerprint": _FINGERPRINT,
    }


def _chunk(
    answer: Answer,
    index: int,
    delta: dict[str, Any],
    logprobs: dict[str, Any] | None = None,
    finish: str | None = None,
) -> bytes:
    choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
    document = {**_envelope(answer), "choices": [choice]}
    if answer.ask.include_usage:
        document["usage"] = None  # the vendor writes it on every chunk once usage was asked for
    return encode_line(document)


def _indices(answer: Answer) -> range:
    """Return the numbers of the choices that were asked for."""
    count = answer.ask.document.get("n", 1)
    if not isinstance(count, int) or not 1 <= count <= _MAX_CHOICES:
        raise BadAsk(f"n: must lie within 1 and {_MAX_CHOICES}", "n")
    return range(count)


def _logprobs(answer: Answer, pieces: tuple[str, ...]) -> dict[str, Any] | None:
    """Return the log probabilities of what was said, if they were asked for."""
    asked = answer.ask.document
    if asked.get("logprobs") is not True:
        return None
    word = "refusal" if answer.stop is Stop.REFUSAL else "content"
    return {"content": None, "refusal": None, word: encode_logprobs(pieces, asked.get("top_logprobs"))}


def _finish(answer: Answer) -> str:
    return answer.stop_raw or _FINISH[answer.stop]


def _usage(usage: Usage, *, lean: bool) -> dict[str, Any]:
    document: dict[str, Any] = {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
    }
    if lean:
        return document
    document["prompt_tokens_details"] = {"cached_tokens": usage.cached or 0, "audio_tokens": 0}
    if usage.cache_write is not None:
        document["prompt_tokens_details"]["cache_write_tokens"] = usage.cache_write
    document["completion_tokens_details"] = {
        "reasoning_tokens": usage.reasoning,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    }
    return document


VOICE: Final = Voice(
    read=read,
    encode_body=encode_body,
    encode_stream=encode_stream,
    encode_fault=encode_fault,
    encode_break=encode_break,
    fault_headers=fault_headers,
    answer_headers=ANSWER_HEADERS,
)
