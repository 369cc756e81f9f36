"""OpenAI Responses, as the vendor answers: typed items, and a numbered event for each step of each item."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import orjson

from busbar_fast.mock.ask import Ask, BadAsk, Place, last_user_text, require_model
from busbar_fast.mock.content import CREATED_S, Answer, Call, mint
from busbar_fast.mock.replies.openai_fault import ANSWER_HEADERS, encode_fault, fault_document, fault_headers
from busbar_fast.mock.replies.openai_logprobs import encode_logprobs
from busbar_fast.mock.replies.voice import Voice, encode_event
from busbar_fast.mock.reply import Fault
from busbar_fast.mock.script import Stop

_HEX: Final = "5eed"
_ID: Final = mint("resp_", 53, filler=_HEX)
_MESSAGE_ID: Final = mint("msg_", 52, filler=_HEX)
_REASONING_ID: Final = mint("rs_", 51, filler=_HEX)
_INCOMPLETE: Final = MappingProxyType({Stop.LENGTH: "max_output_tokens", Stop.SAFETY: "content_filter"})
_STREAM_CODES: Final = {400: "invalid_prompt", 429: "rate_limit_exceeded"}
# What the vendor repeats from the request, and what it says when the request is silent.
_ECHOES: Final[Mapping[str, object]] = MappingProxyType(
    {
        "instructions": None,
        "max_output_tokens": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "user": None,
    }
)
_LOGPROBS: Final = "message.output_text.logprobs"
_REQUIRED_ECHOES: Final = ("parallel_tool_calls", "tool_choice", "tools")

Item = dict[str, Any]


def read(document: Mapping[str, Any], place: Place) -> Ask:
    """Return what the request asks for; the input is a text or a list of items."""
    model = require_model(document, place)
    turns = document.get("input", [])
    if isinstance(turns, str):
        turns = [{"content": turns}]
    if not isinstance(turns, list) or not (turns or document.get("instructions")):
        raise BadAsk("One of 'input' or 'instructions' must be provided.", "input")
    return Ask(model=model, prompt=last_user_text(turns), stream=document.get("stream") is True, document=document)


def encode_body(answer: Answer) -> bytes:
    """Return the whole answer as one JSON document."""
    return orjson.dumps(_finished(answer))


def encode_stream(answer: Answer) -> list[bytes]:
    """Return the events of the answer, from `response.created` to the terminal one; there is no terminator."""
    events = _Events()
    events.add("response.created", response=_response(answer, "in_progress", []))
    events.add("response.in_progress", response=_response(answer, "in_progress", []))
    if answer.thoughts:
        _stream_part(events, answer, _reasoning(answer), "reasoning_text", answer.thoughts)
    if answer.pieces:
        word = "refusal" if answer.stop is Stop.REFUSAL else "output_text"
        _stream_part(events, answer, _message(answer), word, answer.pieces)
    for call in answer.calls:
        _stream_call(events, answer, call)
    final = _finished(answer)
    events.add(f"response.{final['status']}", response=final)
    return events.frames


def encode_break(answer: Answer, fault: Fault, sent: list[bytes]) -> list[bytes]:
    """Return an error in the middle of a stream: the response has failed."""
    code = fault.code or _STREAM_CODES.get(fault.status, "server_error")
    response = _response(answer, "failed", []) | {"error": {"code": code, "message": fault.message}}
    if not sent:  # nothing has begun that could fail
        plain = fault_document(fault)["error"] | {"type": "error", "sequence_number": 0, "code": code}
        return [encode_event("error", plain)]
    events = _Events(len(sent))
    events.add("response.failed", response=response)
    return events.frames


class _Events:
    """The frames of one stream; each event carries the next sequence number and each item the next index."""

    __slots__ = ("frames", "index", "number")

    def __init__(self, number: int = 0) -> None:
        self.frames: list[bytes] = []
        self.number = number
        self.index = -1

    def add(self, kind: str, **members: object) -> None:
        """Append one event."""
        document = {"type": kind, "sequence_number": self.number, **members}
        self.frames.append(encode_event(kind, document))
        self.number += 1

    def open(self, item: Item, seed: Item) -> None:
        """Append the event that adds an item, as it looks before its content comes."""
        self.index += 1
        self.add("response.output_item.added", output_index=self.index, item={**item, **seed})

    def close(self, item: Item) -> None:
        """Append the event that ends an item."""
        self.add("response.output_item.done", output_index=self.index, item=item)


def _stream_part(events: _Events, answer: Answer, item: Item, word: str, pieces: tuple[str, ...]) -> None:
    """Append the events of an item with one content part: a message or a reasoning item."""
    is_reasoning = word == "reasoning_text"
    events.open(item, {"content": []} if is_reasoning else {"content": [], "status": "in_progress"})
    where = {"item_id": item["id"], "output_index": events.index, "content_index": 0}
    part = item["content"][0]
    key = "refusal" if word == "refusal" else "text"
    has_logprobs = word == "output_text"
    events.add(
        "response.content_part.added", **where, part={**part, key: "", **({"logprobs": []} if has_logprobs else {})}
    )
    for piece in pieces:
        extra: Item = {"logprobs": _logprobs(answer, (piece,))} if has_logprobs else {}
        events.add(f"response.{word}.delta", **where, delta=piece, **extra)
    extra = {"logprobs": part["logprobs"]} if has_logprobs else {}
    events.add(f"response.{word}.done", **where, **{key: part[key]}, **extra)
    events.add("response.content_part.done", **where, part=part)
    events.close(item)


def _stream_call(events: _Events, answer: Answer, call: Call) -> None:
    item = _call(answer, call)
    is_custom = item["type"] == "custom_tool_call"
    events.open(item, {"input" if is_custom else "arguments": "", "status": "in_progress"})
    where = {"item_id": item["id"], "output_index": events.index}
    if is_custom:
        events.add("response.custom_tool_call_input.delta", **where, delta=call.free_text)
        events.add("response.custom_tool_call_input.done", **where, input=call.free_text)
    else:
        for piece in call.pieces:
            events.add("response.function_call_arguments.delta", **where, delta=piece)
        events.add("response.function_call_arguments.done", **where, arguments=call.args, name=call.name)
    events.close(item)


def _reasoning(answer: Answer) -> Item:
    return {
        "type": "reasoning",
        "id": _REASONING_ID,
        "summary": [],
        "content": [{"type": "reasoning_text", "text": answer.thought}],
        "encrypted_content": answer.signature,
    }


def _message(answer: Answer) -> Item:
    if answer.stop is Stop.REFUSAL:
        part: Item = {"type": "refusal", "refusal": answer.text}
    else:
        part = {
            "type": "output_text",
            "text": answer.text,
            "annotations": [],
            "logprobs": _logprobs(answer, answer.pieces),
        }
    status = "incomplete" if answer.stop in _INCOMPLETE else "completed"
    return {"type": "message", "id": _MESSAGE_ID, "role": "assistant", "status": status, "content": [part]}


def _logprobs(answer: Answer, pieces: tuple[str, ...]) -> list[Item]:
    """Return the log probabilities of what was said, none unless they were asked for."""
    asked = answer.ask.document
    wanted = asked.get("include")
    is_wanted = isinstance(wanted, list) and _LOGPROBS in wanted
    return encode_logprobs(pieces, asked.get("top_logprobs")) if is_wanted else []


def _call(answer: Answer, call: Call) -> Item:
    head = {"call_id": mint("call_", 29, call.serial), "name": call.name, "status": "completed"}
    if _is_custom(answer, call):
        item_id = mint("ctc_", 52, call.serial, filler=_HEX)
        return {"type": "custom_tool_call", "id": item_id, **head, "input": call.free_text}
    return {"type": "function_call", "id": mint("fc_", 51, call.serial, filler=_HEX), **head, "arguments": call.args}


def _is_custom(answer: Answer, call: Call) -> bool:
    """Return whether a tool takes free text."""
    tools = answer.ask.document.get("tools")
    found = (tool for tool in tools if isinstance(tool, dict)) if isinstance(tools, list) else ()
    return any(tool.get("type") == "custom" and tool.get("name") == call.name for tool in found)


def _finished(answer: Answer) -> dict[str, Any]:
    """Return the response object at its end: completed, or incomplete with the reason."""
    output = [_reasoning(answer)] if answer.thoughts else []
    if answer.pieces:
        output.append(_message(answer))
    output += (_call(answer, call) for call in answer.calls)
    reason = answer.stop_raw or _INCOMPLETE.get(answer.stop)
    document = _response(answer, "incomplete" if reason else "completed", output)
    if reason:
        document["incomplete_details"] = {"reason": reason}
    document["usage"] = _usage(answer)
    return document


def _response(answer: Answer, status: str, output: list[Item]) -> dict[str, Any]:
    """Return the response object in some status, with what the vendor repeats from the request."""
    asked = answer.ask.document
    echoes = _REQUIRED_ECHOES if answer.lean else tuple(_ECHOES)
    return {
        "id": _ID,
        "object": "response",
        "created_at": CREATED_S,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": answer.ask.model,
        "output": output,
        **{key: asked.get(key, _ECHOES[key]) for key in echoes},
        "usage": None,
    }


def _usage(answer: Answer) -> dict[str, Any]:
    usage = answer.usage
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": usage.cached or 0, "cache_write_tokens": usage.cache_write or 0},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total,
    }


VOICE: Final = Voice(
    read=read,
    encode_body=encode_body,
    encode_stream=encode_stream,
    encode_fault=encode_fault,
    encode_break=encode_break,
    fault_headers=fault_headers,
    answer_headers=ANSWER_HEADERS,
)
