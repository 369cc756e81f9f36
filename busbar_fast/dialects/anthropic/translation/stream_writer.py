"""A client's stream: every event has a name, blocks are numbered without a gap, and one is open at a time. Hot."""

from typing import ClassVar, Final

from busbar_fast.dialects.anthropic.faults import encode_fault
from busbar_fast.dialects.anthropic.translation.abilities import NAME
from busbar_fast.dialects.anthropic.translation.answer_writer import new_id
from busbar_fast.dialects.anthropic.translation.citations import UNFOUND, citation_of
from busbar_fast.dialects.anthropic.translation.stops import word_of
from busbar_fast.dialects.anthropic.translation.usages import counted, usage_of
from busbar_fast.dialects.faults import Fault
from busbar_fast.dialects.members import read_object, write, write_text
from busbar_fast.dialects.spelling import Spelling
from busbar_fast.dialects.stream_writer import StreamBlock, StreamWriter
from busbar_fast.dialects.translator import Reply
from busbar_fast.ir.answers import Stop, Usage
from busbar_fast.ir.blocks import Citation, Opaque, Seal, Thinking
from busbar_fast.ir.events import Kind
from busbar_fast.ir.report import Report
from busbar_fast.wire.sse import encode_event

_START: Final = b'event: content_block_start\ndata: {"type":"content_block_start","index":%d,"content_block":%b}\n\n'
_DELTA: Final = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%%d,"delta":{"type":"%b","%b":%%b}}\n\n'
)
_TEXT: Final = _DELTA % (b"text_delta", b"text")
_THINKING: Final = _DELTA % (b"thinking_delta", b"thinking")
_ARGS: Final = _DELTA % (b"input_json_delta", b"partial_json")
_SIGNATURE: Final = _DELTA % (b"signature_delta", b"signature")
_CITATION: Final = _DELTA % (b"citations_delta", b"citation")
_STOP: Final = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'
_PING: Final = b'event: ping\ndata: {"type":"ping"}\n\n'
_END: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_EMPTY: Final = {
    Kind.TEXT: b'{"type":"text","text":""}',
    Kind.THINKING: b'{"type":"thinking","thinking":"","signature":""}',
}


class Writer(StreamWriter):
    """See the module."""

    __slots__ = ("_next", "_start_usage")

    wholes: ClassVar[frozenset[type]] = frozenset((Thinking, Opaque))

    def __init__(self, reply: Reply, report: Report, spelling: Spelling) -> None:
        super().__init__(reply, report, spelling)
        self._next = 0
        self._start_usage = Usage()

    def write_start(self, model: str, usage: Usage | None) -> None:
        self._start_usage = usage or Usage()
        message: dict[str, object] = {
            "id": new_id(),
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_of(self._start_usage),
        }
        self.out.append(encode_event(write({"type": "message_start", "message": message}), b"message_start"))
        self.out.append(_PING)

    def write_open(self, block: StreamBlock) -> None:
        block.slot = self._next
        self._next += 1
        shown = _EMPTY.get(block.kind)
        if shown is None:
            shown = write({"type": "tool_use", "id": block.tool_id, "name": block.name, "input": {}})
        self.out.append(_START % (block.slot, shown))

    def write_text(self, block: StreamBlock, text: str) -> None:
        self.out.append(_TEXT % (block.slot, write_text(text)))

    def write_thinking(self, block: StreamBlock, text: str) -> None:
        self.out.append(_THINKING % (block.slot, write_text(text)))

    def write_args(self, block: StreamBlock, fragment: str) -> None:
        self.out.append(_ARGS % (block.slot, write_text(fragment)))

    def write_seal(self, block: StreamBlock, seal: Seal) -> None:
        """Keep a piece: a client takes a second signature for another one."""
        block.parts.append(seal.family)
        block.parts.append(seal.value)

    def write_citations(self, block: StreamBlock, citations: list[Citation]) -> None:
        for citation in citations:
            shown = citation_of(citation, UNFOUND)
            if shown is None:
                self.report.dropped("citations")
            else:
                self.out.append(_CITATION % (block.slot, write(shown)))

    def write_close(self, block: StreamBlock) -> None:
        if block.kind is Kind.THINKING:
            shown = self.spelling.shown_pieces(block.parts)
            self.out.append(_SIGNATURE % (block.slot, write_text(shown)))
        elif block.parts:
            self.report.dropped("signature")
        self.out.append(_STOP % block.slot)

    def write_whole(self, block: StreamBlock) -> None:
        whole = block.whole
        if isinstance(whole, Thinking):
            assert whole.seal is not None  # what is redacted is sealed
            shown: object = {"type": "redacted_thinking", "data": self.spelling.shown_seal(whole.seal)}
        else:
            assert isinstance(whole, Opaque)  # there are no others
            if whole.owner != NAME:
                self.report.dropped("opaque_block")
                return
            shown = whole.raw
        self.out.append(_START % (self._next, write(shown)) + _STOP % self._next)
        self._next += 1

    def write_end(self, stop: Stop, usage: Usage) -> None:
        delta = {"stop_reason": word_of(stop), "stop_sequence": stop.matched}
        known = {"output_tokens": 0} | counted(self._start_usage.merged(usage))
        event = {"type": "message_delta", "delta": delta, "usage": known}
        self.out.append(encode_event(write(event), b"message_delta") + _END)

    def write_failure(self, fault: Fault, usage: Usage) -> None:  # noqa: ARG002  the vendor tells it elsewhere
        members = read_object(encode_fault(fault, b"").body)
        members.raw("request_id")
        self.out.append(encode_event(write(members.rest()), b"error"))
