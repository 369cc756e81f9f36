"""How a client of each dialect asks, and what it makes of an answer. Pure: bytes in, a verdict out.

Every request carries a nonce that a backend repeats, so an answer that belongs to somebody else shows.
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, NamedTuple

import orjson

from busbar_fast.aws.eventstream import FrameReader, Kind
from busbar_fast.errors import UpstreamGarbled
from busbar_fast.wire.relay import HELD_BYTES
from tests.chaos.deployments import TOKEN
from tests.system.doors import BY_NAME, Door
from tests.system.rawclient import Answer

NAMES = tuple(BY_NAME)
ARRAY = b":streamGenerateContent"
_NONCE = re.compile(rb"nonce[0-9]{9}")
_LENGTH = re.compile(rb"\r\nContent-Length: ([0-9]+)\r\n")
_OK = 200
_SPOKEN = ("text", "content", "delta")


class Violation(Exception):
    """An answer that no client should ever get."""


class Outcome(StrEnum):
    """What a client got."""

    WHOLE = "whole answers"
    ERROR_INSIDE = "errors inside streams"
    CUT = "answers cut short"
    REFUSED = "native errors"


class Call(NamedTuple):
    """One request: who asks whom for what, and how."""

    dialect: str
    model: str
    nonce: bytes
    in_stream: bool = False
    in_array: bool = False  # a stream in the other frame that one dialect has
    token: str = TOKEN
    session: int | None = None
    closes: bool = False
    filling: int = 0  # bytes that make the body longer

    @property
    def door(self) -> Door:
        """Where it is asked."""
        return BY_NAME[self.dialect]

    def encode(self) -> tuple[bytes, bytes]:
        """Return head and body."""
        body = orjson.dumps(self._document())
        lines = [b"POST %b HTTP/1.1" % self._target(), b"Host: gateway", self.door.key + self.token.encode()]
        lines += [b"Content-Type: application/json", b"Content-Length: %d" % len(body)]
        if self.session is not None:
            lines += [b"x-session-id: s%d" % self.session, b"x-chaos-session: s%d" % self.session]
        if self.closes:
            lines.append(b"Connection: close")
        return b"\r\n".join(lines) + b"\r\n\r\n", body

    def _target(self) -> bytes:
        target = self.door.stream if self.in_stream else self.door.target
        if self.in_array:
            target = target.partition(b"?")[0]
        return target.replace(self.door.model, self.model.encode())

    def _document(self) -> dict[str, Any]:
        text = self.nonce.decode()
        document: dict[str, Any] = _BODIES[self.dialect](text)
        if self.dialect not in ("gemini", "bedrock"):
            document |= {"model": self.model} | ({"stream": True} if self.in_stream else {})
        if self.filling:
            document["metadata"] = {"filling": "x" * self.filling}
        return document


def _turn(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


_BODIES: dict[str, Any] = {
    "openai": _turn,
    "responses": lambda text: {"input": text},
    "anthropic": lambda text: _turn(text) | {"max_tokens": 99},
    "cohere": _turn,
    "gemini": lambda text: {"contents": [{"role": "user", "parts": [{"text": text}]}]},
    "bedrock": lambda text: {"messages": [{"role": "user", "content": [{"text": text}]}]},
}


def judge(call: Call, answer: Answer) -> Outcome:
    """Return what a complete answer is; raise `Violation` if it is nothing that this client could understand."""
    check_owner(call, answer.body)
    if answer.status != _OK:
        _check_refusal(call, answer)
        return Outcome.REFUSED
    documents = list(_documents(call, answer))
    if call.in_stream:
        if any(_is_error(call, document) for document in documents):
            return Outcome.ERROR_INSIDE
        if not _has_ended(call, answer.body, documents):
            raise Violation(f"a stream ends without its end: {answer.body[-200:]!r}")
    if call.nonce not in "".join(_spoken(documents)).encode():
        raise Violation(f"does not answer what was asked: {answer.body[:300]!r}")
    return Outcome.WHOLE


def judge_cut(call: Call, status: int, received: bytes) -> Outcome:
    """Return what an answer is that broke off; only a stream that has begun may, and a document too large to keep."""
    check_owner(call, received)
    announced = _LENGTH.search(received)
    is_large = len(received) > HELD_BYTES or (announced is not None and int(announced[1]) > HELD_BYTES)
    if status == _OK and (call.in_stream or is_large):
        return Outcome.CUT
    raise Violation(f"broke off: {received[-300:]!r}")


def check_owner(call: Call, received: bytes) -> None:
    """Refuse whatever was meant for somebody else."""
    others = set(_NONCE.findall(received)) - {call.nonce}
    if others:
        raise Violation(f"an answer to {others} for {call.nonce!r}")


def _check_refusal(call: Call, answer: Answer) -> None:
    """Refuse what is no error of the client's dialect."""
    if not answer.fields.get(b"content-type", b"").startswith(b"application/json"):
        raise Violation(f"{answer.status} is no JSON: {answer.fields} {answer.body[:200]!r}")
    document = _load(answer.body)
    if isinstance(document, list) and call.in_array and len(document) == 1:
        (document,) = document
    if not isinstance(document, dict) or not _is_envelope(call, document, answer):
        raise Violation(f"{answer.status} is no error of the dialect: {answer.body[:200]!r}")


def _is_envelope(call: Call, document: dict[str, Any], answer: Answer) -> bool:
    if call.dialect in ("bedrock", "cohere"):
        return isinstance(document.get("message"), str) and (
            call.dialect == "cohere" or bool(answer.fields.get(b"x-amzn-errortype"))
        )
    error = document.get("error")
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return False
    if call.dialect == "gemini":
        return error.get("code") == answer.status and isinstance(error.get("status"), str)
    return isinstance(error.get("type"), str) and (call.dialect != "anthropic" or document.get("type") == "error")


def _documents(call: Call, answer: Answer) -> Iterator[Any]:
    """Yield the documents of a good answer."""
    kind = answer.fields.get(b"content-type", b"")
    wanted = b"application/json"
    if call.in_stream and not call.in_array:
        wanted = b"application/vnd.amazon.eventstream" if call.dialect == "bedrock" else b"text/event-stream"
    if not kind.startswith(wanted):
        raise Violation(f"{kind!r} instead of {wanted!r}")
    if wanted == b"application/json":
        document = _load(answer.body)
        yield from document if call.in_array else (document,)
    elif call.dialect == "bedrock":
        yield from _framed(answer.body)
    else:
        yield from _events(answer.body)


def _framed(body: bytes) -> Iterator[Any]:
    reader = FrameReader()
    reader.feed(body)
    try:
        while (frame := reader.maybe_next()) is not None:
            yield _load(frame.payload) | ({"event": frame.event_type} if frame.kind is Kind.EVENT else {"error": True})
        reader.finish()
    except UpstreamGarbled as error:
        raise Violation(f"no frames ({error}): {body[-200:]!r}") from error


def _events(body: bytes) -> Iterator[Any]:
    for event in re.split(rb"\r?\n\r?\n", body):
        payload = b"".join(line[5:].strip() for line in event.splitlines() if line.startswith(b"data:"))
        if payload and payload != b"[DONE]":
            yield _load(payload)


def _load(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Violation(f"no JSON ({error}): {raw[:200]!r}") from error


def _is_error(call: Call, document: dict[str, Any]) -> bool:
    """Say whether a document of a stream reports a failure as the dialect does."""
    if call.dialect == "responses":
        return document.get("type") in ("response.failed", "error")
    if call.dialect == "cohere":
        delta = document.get("delta")
        return isinstance(delta, dict) and delta.get("finish_reason") == "ERROR"
    return bool(document.get("error"))


def _has_ended(call: Call, body: bytes, documents: list[dict[str, Any]]) -> bool:
    """Say whether a stream has said that its answer is complete, or why it stops: behind that it may end (D21)."""
    kinds = {document.get("type") for document in documents}
    match call.dialect:
        case "openai":
            return body.endswith(b"data: [DONE]\n\n") or _has_reason(documents, "choices", "finish_reason")
        case "responses":
            return bool(kinds & {"response.completed", "response.incomplete"})
        case "anthropic":
            return "message_delta" in kinds
        case "cohere":
            return "message-end" in kinds
        case "gemini":
            return _has_reason(documents, "candidates", "finishReason")
        case _:
            return any(document.get("event") == "messageStop" for document in documents)


def _has_reason(documents: list[dict[str, Any]], choices: str, member: str) -> bool:
    return any(choice.get(member) for document in documents for choice in document.get(choices, ()))


def _spoken(document: Any, key: str = "") -> Iterator[str]:
    """Yield every piece of text that an answer says, in order."""
    if isinstance(document, dict):
        for name, value in document.items():
            yield from _spoken(value, name)
    elif isinstance(document, list):
        for value in document:
            yield from _spoken(value, key)
    elif isinstance(document, str) and key in _SPOKEN:
        yield document
