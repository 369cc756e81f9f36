"""Cohere v2 chat, as the vendor answers; text that comes before tool calls is the tool plan.

Who gives documents gets each of them cited for the whole text.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import orjson

from busbar_fast.mock.ask import Ask, BadAsk, Place, last_user_text, require_model, require_turns
from busbar_fast.mock.content import Answer, Call, logprob_of, mint
from busbar_fast.mock.replies.voice import DONE, Voice, encode_event
from busbar_fast.mock.reply import Fault
from busbar_fast.mock.script import Stop

_ID: Final = "5eed0000-5eed-4000-8000-00000000c04e"
_FINISH: Final = MappingProxyType(
    {
        Stop.END: "COMPLETE",
        Stop.LENGTH: "MAX_TOKENS",
        Stop.SEQUENCE: "STOP_SEQUENCE",
        Stop.TOOL: "TOOL_CALL",
        Stop.SAFETY: "ERROR",
        Stop.REFUSAL: "COMPLETE",
    }
)
_TIMEOUTS: Final = frozenset({408, 504})


def read(document: Mapping[str, Any], place: Place) -> Ask:
    """Return what the request asks for."""
    return Ask(
        model=require_model(document, place),
        prompt=last_user_text(require_turns(document, "messages")),
        stream=document.get("stream") is True,
        document=document,
    )


def encode_body(answer: Answer) -> bytes:
    """Return the whole answer as one JSON document."""
    message: dict[str, Any] = {"role": "assistant"}
    content: list[dict[str, Any]] = [{"type": "thinking", "thinking": answer.thought}] if answer.thoughts else []
    if answer.calls:
        if answer.pieces:
            message["tool_plan"] = answer.text
        message["tool_calls"] = [_call(call, call.args) for call in answer.calls]
    elif answer.pieces:
        content.append({"type": "text", "text": answer.text})
    if content or not answer.calls:
        message["content"] = content
    if citations := _citations(answer):
        message["citations"] = citations
    document: dict[str, Any] = {
        "id": _ID,
        "finish_reason": _finish(answer),
        "message": message,
        "usage": _usage(answer),
    }
    if _has_logprobs(answer):
        document["logprobs"] = [_logprobs(piece) for piece in answer.pieces]
    return orjson.dumps(document)


def encode_stream(answer: Answer) -> list[bytes]:
    """Return the events of the answer; content and calls are numbered apart, each from 0."""
    skeleton = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    frames = [_encode("message-start", id=_ID, delta={"message": skeleton})]
    index = 0
    if answer.thoughts:
        frames += _content(answer, index, "thinking", answer.thoughts)
        index += 1
    if answer.pieces and not answer.calls:
        frames += _content(answer, index, "text", answer.pieces)
    elif answer.pieces:
        frames += (_encode("tool-plan-delta", delta={"message": {"tool_plan": piece}}) for piece in answer.pieces)
    for call in answer.calls:
        frames += _call_events(call)
    frames.append(_encode("message-end", delta={"finish_reason": _finish(answer), "usage": _usage(answer)}))
    frames.append(DONE)
    return frames


def encode_fault(fault: Fault, _place: Place) -> bytes:
    """Return the body of an error answer: one member, the status says the rest."""
    return orjson.dumps({"id": _ID, "message": fault.message})


def encode_break(answer: Answer, fault: Fault, _sent: list[bytes]) -> list[bytes]:
    """Return an error in the middle of a stream: the stream ends with it as its reason."""
    reason = "TIMEOUT" if fault.status in _TIMEOUTS else "ERROR"
    delta = {"finish_reason": reason, "error": fault.message, "usage": _usage(answer)}
    return [_encode("message-end", delta=delta), DONE]


def fault_headers(_fault: Fault) -> bytes:
    """Return the headers of an error answer: this vendor has none of its own."""
    return b""


def _encode(kind: str, **members: object) -> bytes:
    return encode_event(kind, {"type": kind, **members})


def _content(answer: Answer, index: int, word: str, pieces: tuple[str, ...]) -> list[bytes]:
    """Return the events of one content block of text or thinking; what is cited is cited at its end."""
    is_text = word == "text"
    frames = [_encode("content-start", index=index, delta={"message": {"content": {"type": word, word: ""}}})]
    for piece in pieces:
        more = {"logprobs": _logprobs(piece)} if is_text and _has_logprobs(answer) else {}
        frames.append(_encode("content-delta", index=index, delta={"message": {"content": {word: piece}}}, **more))
    for number, citation in enumerate(_citations(answer) if is_text else []):
        frames.append(_encode("citation-start", index=number, delta={"message": {"citations": citation}}))
        frames.append(_encode("citation-end", index=number))
    return [*frames, _encode("content-end", index=index)]


def _citations(answer: Answer) -> list[dict[str, Any]]:
    """Return a citation of the whole text for each document that was given."""
    documents = answer.ask.document.get("documents")
    if not isinstance(documents, list) or not answer.pieces or answer.calls:
        return []
    span = {"start": 0, "end": len(answer.text), "text": answer.text}
    place = {"content_index": 1 if answer.thoughts else 0, "type": "TEXT_CONTENT"}
    return [{**span, "sources": [_source(number, given)], **place} for number, given in enumerate(documents)]


def _source(number: int, given: object) -> dict[str, Any]:
    """Return a document as a citation names it."""
    named = given if isinstance(given, dict) else {"data": {"text": given}}
    found = named.get("data")
    if not isinstance(found, dict):
        raise BadAsk("documents: each must be a text or have an object as its data", "documents")
    name = named.get("id", f"doc:{number}")
    return {"type": "document", "id": name, "document": {"id": name, **found}}


def _has_logprobs(answer: Answer) -> bool:
    return answer.ask.document.get("logprobs") is True


def _logprobs(piece: str) -> dict[str, Any]:
    """Return the log probability of a piece, as if it were one token."""
    return {"text": piece, "token_ids": [len(piece)], "logprobs": [logprob_of(piece)]}


def _call_events(call: Call) -> list[bytes]:
    fragments = ({"message": {"tool_calls": {"function": {"arguments": piece}}}} for piece in call.pieces)
    return [
        _encode("tool-call-start", index=call.number, delta={"message": {"tool_calls": _call(call, "")}}),
        *(_encode("tool-call-delta", index=call.number, delta=delta) for delta in fragments),
        _encode("tool-call-end", index=call.number),
    ]


def _call(call: Call, arguments: str) -> dict[str, Any]:
    return {
        "id": mint(f"{call.name}_", len(call.name) + 13, call.serial),
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    }


def _finish(answer: Answer) -> str:
    return answer.stop_raw or _FINISH[answer.stop]


def _usage(answer: Answer) -> dict[str, Any]:
    usage = answer.usage
    counts = {"input_tokens": usage.prompt, "output_tokens": usage.output}
    document: dict[str, Any] = {} if answer.lean else {"billed_units": counts}
    document["tokens"] = counts
    if usage.cached is not None:
        document["cached_tokens"] = usage.cached
    return document


VOICE: Final = Voice(
    read=read,
    encode_body=encode_body,
    encode_stream=encode_stream,
    encode_fault=encode_fault,
    encode_break=encode_break,
    fault_headers=fault_headers,
)
