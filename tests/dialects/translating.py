"""Speaks to one translator as its neighbours do: documents in, documents out, streams as the calls they make."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Raw

from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.faults import Fault
from busbar_fast.dialects.guard import Guard
from busbar_fast.dialects.registry import speak
from busbar_fast.dialects.translator import Recipient, Reply, Translator
from busbar_fast.ir.answers import Answer, Reason, Stop, TokenLogprob, Usage
from busbar_fast.ir.blocks import AnyBlock, Citation, Seal
from busbar_fast.ir.events import Kind, Sink
from busbar_fast.ir.report import Entry, Report
from busbar_fast.ir.requests import Message, Request, Role

Call = tuple[Any, ...]
Tell = Callable[[Sink], None]


def raw(value: object) -> Raw:
    """Return a value as raw JSON."""
    return Raw(json.dumps(value, separators=(",", ":")).encode())


def lost(report: Report) -> set[tuple[str, str]]:
    """Return what a report says: actions and fields."""
    return {(entry.action.name.lower(), entry.field) for entry in report.entries}


def ask_of(translator: Translator, *, in_stream: bool | None = None, in_array: bool = False) -> Ask:
    """Return what a path of the dialect asks for."""
    dialect = speak(translator.abilities.name)
    return Ask(dialect, Operation.CONVERSE, in_stream=in_stream, in_array=in_array)


class Bench:
    """One translator, and the report of what it did last."""

    def __init__(self, translator: Translator) -> None:
        self.translator = translator
        self.report = Report()

    @property
    def lost(self) -> set[tuple[str, str]]:
        """What was lost by the last call."""
        return lost(self.report)

    @property
    def entries(self) -> list[Entry]:
        """What was noted by the last call."""
        return self.report.entries

    def read(self, document: object, *, in_stream: bool | None = None) -> Request:
        """Read a client's request, given as a document or as bytes."""
        self.report = Report()
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return self.translator.read_request(body, ask_of(self.translator, in_stream=in_stream), self.report)

    def write(self, request: Request, model: str = "m", **changes: Any) -> Any:
        """Write a request for an upstream; the changes are those of the recipient."""
        self.report = Report()
        return json.loads(self.translator.write_request(request, Recipient(model, **changes), self.report))

    def rewrite(self, document: object, **changes: Any) -> Any:
        """Write what was read again for an upstream of the same dialect."""
        return self.write(self.read(document), **changes)

    def asked(self, *blocks: AnyBlock, role: Role = Role.USER, **members: Any) -> Request:
        """Return a request of another dialect with one turn."""
        return Request("other", messages=[Message(role, list(blocks))], **members)

    def read_answer(self, document: object) -> Answer:
        """Read an upstream's answer."""
        self.report = Report()
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return self.translator.read_answer(body, self.report)

    def reply(self, request: Request | None = None, **changes: Any) -> Reply:
        """Return what the form of an answer depends on."""
        ask = ask_of(self.translator, **changes)
        return Reply(request or Request(self.translator.abilities.name), ask, "lane-model", 1700000000, lambda: 318)

    def write_answer(self, answer: Answer, request: Request | None = None) -> Any:
        """Write an answer for a client."""
        self.report = Report()
        return json.loads(self.translator.write_answer(answer, self.reply(request), self.report))

    def answer_of(self, *blocks: AnyBlock, **members: Any) -> Answer:
        """Return an answer of another dialect."""
        return Answer("other", blocks=list(blocks), **{"stop": Stop(Reason.END_TURN), **members})

    def hear(self, stream: bytes, size: int = 0) -> list[Call]:
        """Return the calls that a stream makes, fed in pieces of a size; all of it at once by default."""
        self.report = Report()
        recorder = Recorder()
        reader = self.translator.new_reader(recorder, self.report)
        for at in range(0, len(stream), size or len(stream) or 1):
            reader.feed(stream[at : at + (size or len(stream))])
        reader.end()
        return recorder.calls

    def tell(self, tell: Tell, request: Request | None = None, fault: Fault | None = None, **changes: Any) -> bytes:
        """Return the stream that a client gets of these calls; with a fault it breaks off at their end."""
        self.report = Report()
        guard = Guard(self.translator.new_writer(self.reply(request, **changes), self.report))
        tell(guard)
        if fault is None:
            guard.end(is_natural=True)
        else:
            guard.break_off(fault)
        return guard.take()


class Recorder:
    """A sink that keeps its calls."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

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
        self.calls.append(("finish", stop.reason, stop.native, usage))

    def usage(self, usage: Usage) -> None:
        self.calls.append(("usage", usage))

    def fail(self, name: str, payload: bytes) -> None:
        self.calls.append(("fail", name, payload))

    def end(self, *, is_natural: bool = False) -> None:
        self.calls.append(("end", is_natural))


def events(stream: bytes) -> list[tuple[str, Any]]:
    """Return the events of a stream, their payloads decoded where they are JSON."""
    found = []
    for chunk in stream.decode().split("\n\n"):
        if chunk:
            lines = dict(line.split(": ", 1) for line in chunk.split("\n"))
            payload = lines["data"]
            found.append((lines.get("event", ""), json.loads(payload) if payload[:1] == "{" else payload))
    return found


def sse(*payloads: object, named: bool = False) -> bytes:
    """Return a stream of these payloads; each has its `type` as its name if it should be named."""
    found = b""
    for payload in payloads:
        name = b"event: %b\n" % str(payload["type"]).encode() if named and isinstance(payload, Mapping) else b""
        body = payload if isinstance(payload, str) else json.dumps(payload)
        found += b"%bdata: %b\n\n" % (name, body.encode())
    return found
