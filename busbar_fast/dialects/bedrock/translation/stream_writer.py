"""A client's stream: one frame an event, calls announced, texts and thoughts not, usage last of all. Hot.

Each payload is padded, as the vendor does it, so that the size of a frame does not tell the size of a word.
"""

from random import getrandbits  # it hides sizes, it keeps no secret
from typing import ClassVar, Final

from busbar_fast.aws.eventstream import encode_event, encode_exception
from busbar_fast.dialects.bedrock.faults import encode_fault
from busbar_fast.dialects.bedrock.translation.answer_writer import matched_of
from busbar_fast.dialects.bedrock.translation.block_writer import blob
from busbar_fast.dialects.bedrock.translation.citations import citation_of
from busbar_fast.dialects.bedrock.translation.stops import word_of
from busbar_fast.dialects.bedrock.translation.usages import usage_of
from busbar_fast.dialects.faults import Fault
from busbar_fast.dialects.faults import Kind as Wrong
from busbar_fast.dialects.members import read_object, write, write_text
from busbar_fast.dialects.spelling import Spelling
from busbar_fast.dialects.stream_writer import StreamBlock, StreamWriter
from busbar_fast.dialects.translator import Reply
from busbar_fast.ir.answers import Stop, Usage
from busbar_fast.ir.blocks import Citation, Seal, Thinking
from busbar_fast.ir.events import Kind
from busbar_fast.ir.report import Report

_PADDING: Final = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_NAMES: Final = {
    Wrong.RATE_LIMITED: "throttlingException",
    Wrong.OVERLOADED: "serviceUnavailableException",
    Wrong.MALFORMED: "validationException",
    Wrong.TOO_LONG: "validationException",
    Wrong.TOO_LARGE: "validationException",
    Wrong.TIMED_OUT: "modelStreamErrorException",
}


class Writer(StreamWriter):
    """See the module."""

    __slots__ = ("_next",)

    wholes: ClassVar[frozenset[type]] = frozenset((Thinking,))

    def __init__(self, reply: Reply, report: Report, spelling: Spelling) -> None:
        super().__init__(reply, report, spelling)
        self._next = 0

    def write_start(self, model: str, usage: Usage | None) -> None:  # noqa: ARG002  there is no place for them here
        self._event("messageStart", b'"role":"assistant"')

    def write_open(self, block: StreamBlock) -> None:
        block.slot = self._next
        self._next += 1
        if block.kind is Kind.TOOL_USE:
            start = write({"toolUse": {"toolUseId": block.tool_id, "name": block.name}})
            self._event("contentBlockStart", b'"contentBlockIndex":%d,"start":%b' % (block.slot, start))

    def write_text(self, block: StreamBlock, text: str) -> None:
        self._delta(block, b'{"text":%b}' % write_text(text))

    def write_thinking(self, block: StreamBlock, text: str) -> None:
        self._delta(block, b'{"reasoningContent":{"text":%b}}' % write_text(text))

    def write_args(self, block: StreamBlock, fragment: str) -> None:
        self._delta(block, b'{"toolUse":{"input":%b}}' % write_text(fragment))

    def write_seal(self, block: StreamBlock, seal: Seal) -> None:
        """Keep a piece: one that was made by another vendor can only be shown as a whole."""
        block.parts += (seal.family, seal.value)

    def write_citations(self, block: StreamBlock, citations: list[Citation]) -> None:
        for citation in citations:
            shown = citation_of(citation)
            if shown is None:
                self.report.dropped("citations")
            else:
                self._delta(block, b'{"citation":%b}' % write(shown))

    def write_close(self, block: StreamBlock) -> None:
        if block.kind is Kind.THINKING:
            shown = self.spelling.shown_pieces(block.parts)
            self._delta(block, b'{"reasoningContent":{"signature":%b}}' % write_text(shown))
        elif block.parts:
            self.report.dropped("signature")
        self._event("contentBlockStop", b'"contentBlockIndex":%d' % block.slot)

    def write_whole(self, block: StreamBlock) -> None:
        whole = block.whole
        assert isinstance(whole, Thinking)  # there are no others
        assert whole.seal is not None  # what is redacted is sealed
        block.slot = self._next
        self._next += 1
        shown = write_text(blob(self.spelling.shown_seal(whole.seal)))
        self._delta(block, b'{"reasoningContent":{"redactedContent":%b}}' % shown)
        self._event("contentBlockStop", b'"contentBlockIndex":%d' % block.slot)

    def write_end(self, stop: Stop, usage: Usage) -> None:
        self._event("messageStop", write({"stopReason": word_of(stop), **matched_of(stop)})[1:-1])
        counted = {"usage": usage_of(usage), "metrics": {"latencyMs": self.reply.elapsed_ms()}}
        self._event("metadata", write(counted)[1:-1])

    def write_failure(self, fault: Fault, usage: Usage) -> None:  # noqa: ARG002  the vendor tells it elsewhere
        said = read_object(encode_fault(fault, self.reply.ask, b"").body).raw("message")
        name = _NAMES.get(fault.kind, "internalServerException")
        self.out.append(encode_exception(name, write({"message": said})))

    def _delta(self, block: StreamBlock, delta: bytes) -> None:
        self._event("contentBlockDelta", b'"contentBlockIndex":%d,"delta":%b' % (block.slot, delta))

    def _event(self, name: str, members: bytes) -> None:
        padding = _PADDING[: getrandbits(5)]
        self.out.append(encode_event(name, b'{%b,"p":"%b"}' % (members, padding)))
