"""Gemini generateContent and streamGenerateContent, as the vendor answers: server-sent events or one JSON array."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import orjson

from busbar_fast.mock.ask import Ask, BadAsk, Place, last_user_text
from busbar_fast.mock.content import Answer, Call, mint
from busbar_fast.mock.replies.voice import Voice
from busbar_fast.mock.reply import Fault
from busbar_fast.mock.script import Stop

_ID: Final = mint("", 16)
_FINISH: Final = MappingProxyType(
    {
        Stop.END: "STOP",
        Stop.LENGTH: "MAX_TOKENS",
        Stop.SEQUENCE: "STOP",
        Stop.TOOL: "STOP",
        Stop.SAFETY: "SAFETY",
        Stop.REFUSAL: "PROHIBITED_CONTENT",
    }
)
_NAMES: Final = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_STREAM_ACTION = "streamGenerateContent"
_BAD_KEY_CODE = "API_KEY_INVALID"
_FIRST_SERVER_STATUS = 500
_BAD_KEY: Final = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "reason": _BAD_KEY_CODE,
    "domain": "googleapis.com",
    "metadata": {"service": "generativelanguage.googleapis.com"},
}

Part = dict[str, Any]


def read(document: Mapping[str, Any], place: Place) -> Ask:
    """Return what the request asks for; a single object counts as a list of one, as in proto-JSON."""
    inner = document.get("generateContentRequest", document)
    contents = inner.get("contents") if isinstance(inner, dict) else None
    turns = [contents] if isinstance(contents, dict) else contents
    if not isinstance(turns, list) or not turns:
        raise BadAsk("* GenerateContentRequest.contents: contents is not specified", "contents")
    return Ask(
        model=place.model or "",
        prompt=last_user_text(turns, "parts"),
        stream=place.action == _STREAM_ACTION,
        as_array=_is_array(place),
        document=document,
    )


def encode_body(answer: Answer) -> bytes:
    """Return the whole answer as one JSON document."""
    parts: list[Part] = [{"text": answer.thought, "thought": True}] if answer.thoughts else []
    if answer.pieces:
        parts.append({"text": answer.text} | _signature(answer))
    parts += (_call(answer, call) for call in answer.calls)
    return orjson.dumps(_chunk(answer, parts, is_last=True))


def encode_stream(answer: Answer) -> list[bytes]:
    """Return one chunk per piece and per call, and a last one with the finish reason."""
    parts: list[Part] = [{"text": piece, "thought": True} for piece in answer.thoughts]
    parts += ({"text": piece} for piece in answer.pieces)
    parts += (_call(answer, call) for call in answer.calls)
    chunks = [orjson.dumps(_chunk(answer, [part], is_last=False)) for part in parts]
    last = [] if _is_withheld(answer) else [{"text": ""} | _signature(answer)]
    chunks.append(orjson.dumps(_chunk(answer, last, is_last=True)))
    if not answer.ask.as_array:
        return [_encode_event(chunk) for chunk in chunks]
    return [*((b",\r\n" if number else b"[") + chunk for number, chunk in enumerate(chunks)), b"]"]


def encode_fault(fault: Fault, place: Place) -> bytes:
    """Return the body of an error answer; who asked for an array gets one."""
    document = _fault_document(fault)
    return orjson.dumps([document] if _is_array(place) else document)


def encode_break(answer: Answer, fault: Fault, sent: list[bytes]) -> list[bytes]:
    """Return an error in the middle of a stream: a frame of its own, or the last element of the array."""
    document = orjson.dumps(_fault_document(fault))
    if not answer.ask.as_array:
        return [_encode_event(document)]
    return [(b",\r\n" if sent else b"[") + document, b"]"]


def encode_count(tokens: int) -> bytes:
    """Return the answer of the token counter."""
    details = [{"modality": "TEXT", "tokenCount": tokens}]
    return orjson.dumps({"totalTokens": tokens, "promptTokensDetails": details})


def fault_headers(_fault: Fault) -> bytes:
    """Return the headers of an error answer: this vendor has none of its own."""
    return b""


def _is_array(place: Place) -> bool:
    return place.action == _STREAM_ACTION and place.query.get("alt") != "sse"


def _encode_event(document: bytes) -> bytes:
    return b"data: %b\r\n\r\n" % document


def _call(answer: Answer, call: Call) -> Part:
    """Return the part of a whole call; arguments are never streamed in pieces on this wire."""
    part: Part = {"functionCall": {"id": mint("", 8, call.serial), "name": call.name, "args": call.raw_args}}
    if answer.thoughts:
        part["thoughtSignature"] = answer.signature
    return part


def _signature(answer: Answer) -> Part:
    """Return what seals the thinking behind an answer without calls: it stands on its last part."""
    return {"thoughtSignature": answer.signature} if answer.thoughts and not answer.calls else {}


def _is_withheld(answer: Answer) -> bool:
    """Return whether the vendor lets nothing of an answer out."""
    is_unsafe = answer.stop in (Stop.SAFETY, Stop.REFUSAL)
    return is_unsafe and not (answer.pieces or answer.thoughts or answer.calls)


def _chunk(answer: Answer, parts: list[Part], *, is_last: bool) -> dict[str, Any]:
    candidate: dict[str, Any] = {}
    if parts or not _is_withheld(answer):
        candidate["content"] = {"parts": parts, "role": "model"}
    if is_last:
        candidate["finishReason"] = answer.stop_raw or _FINISH[answer.stop]
    candidate["index"] = 0
    is_blocked = answer.stop is Stop.REFUSAL and _is_withheld(answer)  # the request itself, so there is no candidate
    said = {"promptFeedback": {"blockReason": _FINISH[answer.stop]}} if is_blocked else {"candidates": [candidate]}
    return {
        **said,
        "usageMetadata": _usage(answer, is_last=is_last),
        "modelVersion": answer.ask.model,
        "responseId": _ID,
    }


def _usage(answer: Answer, *, is_last: bool) -> dict[str, Any]:
    """Return the counts so far: only the last chunk knows the answer's own."""
    usage = answer.usage
    document: dict[str, Any] = {"promptTokenCount": usage.prompt}
    if is_last:
        document["candidatesTokenCount"] = usage.output - usage.reasoning
    document["totalTokenCount"] = usage.total if is_last else usage.prompt
    if usage.cached is not None:
        document["cachedContentTokenCount"] = usage.cached
    if not answer.lean:
        document["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": usage.prompt}]
    if is_last and usage.reasoning:
        document["thoughtsTokenCount"] = usage.reasoning
    return document


def _fault_document(fault: Fault) -> dict[str, Any]:
    fallback = "INTERNAL" if fault.status >= _FIRST_SERVER_STATUS else "INVALID_ARGUMENT"
    error: dict[str, Any] = {
        "code": fault.status,
        "message": fault.message,
        "status": fault.code or _NAMES.get(fault.status, fallback),
    }
    if fault.code == _BAD_KEY_CODE:
        error |= {"status": "INVALID_ARGUMENT", "details": [_BAD_KEY]}  # a code of the details, not a status
    elif fault.retry_after_s is not None:
        delay = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{fault.retry_after_s}s"}
        error["details"] = [delay]
    return {"error": error}


VOICE: Final = Voice(
    read=read,
    encode_body=encode_body,
    encode_stream=encode_stream,
    encode_fault=encode_fault,
    encode_break=encode_break,
    encode_count=encode_count,
    fault_headers=fault_headers,
)
