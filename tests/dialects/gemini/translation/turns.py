"""What tests of the translation share: requests read and written, and a sink that notes what it is told."""

import json
from typing import Any

from msgspec import Raw

from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.gemini import DIALECT
from busbar_fast.dialects.gemini.translation import TRANSLATOR
from busbar_fast.dialects.guard import Guard
from busbar_fast.dialects.translator import Recipient, Reply
from busbar_fast.ir.answers import Stop, TokenLogprob, Usage
from busbar_fast.ir.blocks import AnyBlock, Citation, Seal, Text
from busbar_fast.ir.events import Kind
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import Message, Request, Role

LANE = Recipient("flash-x", "generativelanguage.googleapis.com", has_reasoning=True)
CLOUD = Recipient("flash-x", "europe-west1-aiplatform.googleapis.com")
EVENTS = Ask(DIALECT, Operation.CONVERSE, name="flash-x", in_stream=True)
ARRAY = Ask(DIALECT, Operation.CONVERSE, name="flash-x", in_stream=True, in_array=True)


def encoded(document: object) -> bytes:
    """Return JSON."""
    return json.dumps(document, ensure_ascii=False).encode()


def raw(document: object) -> Raw:
    """Return raw JSON."""
    return Raw(encoded(document))


def read(document: object, report: Report | None = None) -> Request:
    """Return a client's request as it is understood."""
    return TRANSLATOR.read_request(encoded(document), EVENTS, report or Report())


def asked(parts: object = None, **members: object) -> dict[str, object]:
    """Return the document of a request with one turn."""
    said = [{"text": "hi"}] if parts is None else parts
    return {"contents": [{"role": "user", "parts": said}], **members}


def foreign(*messages: Message, **members: Any) -> Request:
    """Return a request of another dialect, with one turn if none is given."""
    return Request("other", messages=list(messages) or [Message(Role.USER, [Text("hi")])], **members)


def written(request: Request, recipient: Recipient = LANE, report: Report | None = None) -> Any:
    """Return the document that a lane gets."""
    return json.loads(TRANSLATOR.write_request(request, recipient, report or Report()))


def reply_to(ask: Ask = EVENTS, model: str = "flash-x") -> Reply:
    """Return what an answer depends on."""
    return Reply(foreign(), ask, model, 1_700_000_000, lambda: 5)


def lost(report: Report) -> list[tuple[str, str]]:
    """Return what a report says, by action and field."""
    return [(entry.action.name.lower(), entry.field) for entry in report.entries]


def guarded(ask: Ask = EVENTS, report: Report | None = None) -> Guard:
    """Return a guard in front of a client of this dialect."""
    return Guard(TRANSLATOR.new_writer(reply_to(ask), report or Report()))


class Recorder:
    """Notes every call; pieces of one block are joined in `blocks`."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def start(self, model: str = "", usage: Usage | None = None) -> None:
        self.calls.append(("start", model, usage))

    def open(self, index: int, kind: Kind, tool_id: str = "", name: str = "") -> None:
        self.calls.append(("open", index, kind, tool_id, name))

    def whole(self, index: int, block: AnyBlock) -> None:
        self.calls.append(("whole", index, block))

    def text(self, index: int, text: str) -> None:
        self.calls.append(("text", index, text))

    def thinking(self, index: int, text: str) -> None:
        self.calls.append(("thinking", index, text))

    def args(self, index: int, fragment: str) -> None:
        self.calls.append(("args", index, fragment))

    def seal(self, index: int, seal: Seal) -> None:
        self.calls.append(("seal", index, seal))

    def citations(self, index: int, citations: list[Citation]) -> None:
        self.calls.append(("citations", index, citations))

    def logprobs(self, index: int, logprobs: list[TokenLogprob]) -> None:
        self.calls.append(("logprobs", index, logprobs))

    def close(self, index: int) -> None:
        self.calls.append(("close", index))

    def finish(self, stop: Stop, usage: Usage | None = None) -> None:
        self.calls.append(("finish", stop, usage))

    def usage(self, usage: Usage) -> None:
        self.calls.append(("usage", usage))

    def fail(self, name: str, payload: bytes) -> None:
        self.calls.append(("fail", name, payload))

    def end(self, *, is_natural: bool = False) -> None:
        self.calls.append(("end", is_natural))
