"""From one dialect to another, as the gateway does it and without sockets: requests there, answers and streams back."""

import json
from typing import Any, NamedTuple

from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.guard import Guard
from busbar_fast.dialects.preparing import prepare_answer, prepare_request
from busbar_fast.dialects.registry import speak, translator
from busbar_fast.dialects.spelling import Spelling, renamed
from busbar_fast.dialects.translator import Recipient, Reply
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import Request
from tests.dialects.translating import lost

MINIMAL: dict[str, dict[str, Any]] = {
    "openai": {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    "cohere": {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    "responses": {"model": "m", "input": "hi"},
    "anthropic": {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
    "bedrock": {"messages": [{"role": "user", "content": [{"text": "hi"}]}]},
}


class Sent(NamedTuple):
    """A request as the lane gets it, and what was lost on the way."""

    body: dict[str, Any]
    lost: set[tuple[str, str]]


def ask_of(dialect: str, *, in_stream: bool = False) -> Ask:
    """Return what a client wants, its model in the path."""
    return Ask(speak(dialect), Operation.CONVERSE, name="m", in_stream=in_stream)


def read(client: str, **members: Any) -> Request:
    """Return a small request of a client with these members, as it is understood."""
    body = json.dumps({**MINIMAL[client], **members}).encode()
    return translator(speak(client)).read_request(body, ask_of(client), Report())


def sent(client: str, lane: str, to: Recipient | None = None, **members: Any) -> Sent:
    """Return what a lane gets of a client's small request with these members."""
    report = Report()
    reading, writing = translator(speak(client)), translator(speak(lane))
    recipient = to or Recipient("m")
    request = reading.read_request(json.dumps({**MINIMAL[client], **members}).encode(), ask_of(client), report)
    body = writing.write_request(prepare_request(request, writing.abilities, recipient, report), recipient, report)
    return Sent(json.loads(body), lost(report))


def _reply(client: str, *, in_stream: bool, has_usage: bool) -> Reply:
    request = Request(client, include_usage=has_usage or None)
    return Reply(request, ask_of(client, in_stream=in_stream), "m", 1700000000, lambda: 318)


def shown(lane: str, client: str, answer: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return what a client gets of a lane's whole answer, whose tools have these names."""
    reading, writing = translator(speak(lane)), translator(speak(client))
    spelling = Spelling(writing.abilities, "salt", renamed(names, reading.abilities))
    report = Report()
    said = reading.read_answer(json.dumps(answer).encode(), report)
    prepared = prepare_answer(said, writing.abilities, spelling, "m", report)
    found = writing.write_answer(prepared, _reply(client, in_stream=False, has_usage=True), report)
    return dict(json.loads(found))


def streamed(lane: str, client: str, stream: bytes, *names: str, has_usage: bool = True, size: int = 0) -> bytes:
    """Return the stream that a client gets of a lane's, as far as it goes."""
    report = Report()
    writing = translator(speak(client))
    writer = writing.new_writer(_reply(client, in_stream=True, has_usage=has_usage), report)
    writer.spelling = Spelling(writing.abilities, "salt", renamed(names, translator(speak(lane)).abilities))
    guard = Guard(writer)
    reader = translator(speak(lane)).new_reader(guard, report)
    for at in range(0, len(stream), size or len(stream)):
        reader.feed(stream[at : at + (size or len(stream))])
    reader.end()
    return guard.take()
