"""A client's stream: every event has a name, contents and calls are counted apart, each from 0. Hot."""

from typing import Final

from busbar_fast.dialects.cohere.faults import encode_fault
from busbar_fast.dialects.cohere.translation.answer_writer import call_of
from busbar_fast.dialects.cohere.translation.citations import citation_of
from busbar_fast.dialects.cohere.translation.stops import word_of
from busbar_fast.dialects.cohere.translation.usages import usage_of
from busbar_fast.dialects.faults import Fault
from busbar_fast.dialects.faults import Kind as Wrong
from busbar_fast.dialects.members import read_object, write, write_text
from busbar_fast.dialects.minting import uuid4
from busbar_fast.dialects.spelling import Spelling
from busbar_fast.dialects.stream_writer import StreamBlock, StreamWriter
from busbar_fast.dialects.translator import Reply
from busbar_fast.ir.answers import Stop, Usage
from busbar_fast.ir.blocks import Citation
from busbar_fast.ir.events import Kind
from busbar_fast.ir.report import Report
from busbar_fast.wire.sse import encode_event

_CONTENT: Final = (
    b'event: content-delta\ndata: {"type":"content-delta","index":%%d,"delta":{"message":{"content":{"%b":%%b}}}}\n\n'
)
_TEXT: Final = _CONTENT % b"text"
_THINKING: Final = _CONTENT % b"thinking"
_ARGS: Final = (
    b'event: tool-call-delta\ndata: {"type":"tool-call-delta","index":%d,"delta":{"message":{"tool_calls":'
    b'{"function":{"arguments":%b}}}}}\n\n'
)
_DONE: Final = b"data: [DONE]\n\n"


class Writer(StreamWriter):
    """See the module. The text of a block is kept for references that quote it."""

    __slots__ = ("_calls", "_citations", "_cited", "_contents")

    def __init__(self, reply: Reply, report: Report, spelling: Spelling) -> None:
        super().__init__(reply, report, spelling)
        self._contents = self._calls = self._citations = 0
        self._cited: list[Citation] = []  # by a text that is still to come

    def write_start(self, model: str, usage: Usage | None) -> None:  # noqa: ARG002  it is told in the end
        empty: dict[str, object] = {"content": [], "tool_plan": "", "tool_calls": [], "citations": []}
        message: dict[str, object] = {"role": "assistant", **empty}
        self._event("message-start", {"id": uuid4(), "model": model, "delta": {"message": message}})

    def write_open(self, block: StreamBlock) -> None:
        if block.kind is Kind.TOOL_USE:
            block.slot = self._calls
            self._calls += 1
            call = {"tool_calls": call_of(block.tool_id, block.name, "")}
            self._event("tool-call-start", {"index": block.slot, "delta": {"message": call}})
            return
        block.slot = self._contents
        self._contents += 1
        name = "thinking" if block.kind is Kind.THINKING else "text"
        content = {"content": {"type": name, name: ""}}
        self._event("content-start", {"index": block.slot, "delta": {"message": content}})

    def write_text(self, block: StreamBlock, text: str) -> None:
        block.parts.append(text)
        self.out.append(_TEXT % (block.slot, write_text(text)))

    def write_thinking(self, block: StreamBlock, text: str) -> None:
        self.out.append(_THINKING % (block.slot, write_text(text)))

    def write_args(self, block: StreamBlock, fragment: str) -> None:
        self.out.append(_ARGS % (block.slot, write_text(fragment)))

    def write_citations(self, block: StreamBlock, citations: list[Citation]) -> None:
        if block.parts:
            self._cite(block, citations)
        else:
            self._cited += citations

    def write_close(self, block: StreamBlock) -> None:
        if self._cited:
            self._cite(block, self._cited)
            self._cited = []
        name = "tool-call-end" if block.kind is Kind.TOOL_USE else "content-end"
        self._event(name, {"index": block.slot})

    def write_end(self, stop: Stop, usage: Usage) -> None:
        self._end({"finish_reason": word_of(stop)}, usage)

    def write_failure(self, fault: Fault, usage: Usage) -> None:
        word = "TIMEOUT" if fault.kind is Wrong.TIMED_OUT else "ERROR"
        said = read_object(encode_fault(fault).body).text("message")
        self._end({"finish_reason": word, "error": said}, usage)

    def _cite(self, block: StreamBlock, citations: list[Citation]) -> None:
        text = "".join(block.parts)
        for citation in citations:
            shown = citation_of(citation, block.slot, text)
            if shown is None:
                self.report.dropped("citations")
                continue
            self._event("citation-start", {"index": self._citations, "delta": {"message": {"citations": shown}}})
            self._event("citation-end", {"index": self._citations})
            self._citations += 1

    def _end(self, delta: dict[str, object], usage: Usage) -> None:
        self._event("message-end", {"delta": {**delta, "usage": usage_of(usage)}})
        self.out.append(_DONE)

    def _event(self, name: str, members: dict[str, object]) -> None:
        self.out.append(encode_event(write({"type": name, **members}), name.encode()))
