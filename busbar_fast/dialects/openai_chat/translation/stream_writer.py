"""A client's stream: chunks that all say the same of themselves, each with one thing that is new. Hot."""

from typing import ClassVar, Final

from msgspec import Raw

from busbar_fast.dialects.call_arguments import free_text
from busbar_fast.dialects.faults import Fault
from busbar_fast.dialects.members import write, write_text
from busbar_fast.dialects.openai_chat.translation.answer_writer import custom_names, nested, new_id
from busbar_fast.dialects.openai_chat.translation.stops import word_of
from busbar_fast.dialects.openai_chat.translation.usages import usage_of
from busbar_fast.dialects.openai_shared import encode_refusal
from busbar_fast.dialects.openai_shared_annotations import annotations_of
from busbar_fast.dialects.openai_shared_logprobs import logprobs_of
from busbar_fast.dialects.spelling import Spelling
from busbar_fast.dialects.stream_writer import StreamBlock, StreamWriter
from busbar_fast.dialects.translator import Reply
from busbar_fast.errors import Misshapen, NotJson, TooDeep
from busbar_fast.ir.answers import Stop, TokenLogprob, Usage
from busbar_fast.ir.blocks import Citation
from busbar_fast.ir.events import Kind
from busbar_fast.ir.report import Report

_UNENDED: Final = b',"finish_reason":null}]}\n\n'
_TEXT_END: Final = b"}" + _UNENDED
_DONE: Final = b"data: [DONE]\n\n"
_ARGS: Final = b'{"tool_calls":[{"index":%d,"function":{"arguments":%b}}]}'


class Writer(StreamWriter):
    """See the module."""

    __slots__ = ("_annotations", "_calls", "_cited", "_custom", "_has_text", "_head", "_length", "_text_head")

    kinds: ClassVar[frozenset[Kind]] = frozenset((Kind.TEXT, Kind.REFUSAL, Kind.THINKING, Kind.TOOL_USE))
    has_overlap: ClassVar[bool] = True

    def __init__(self, reply: Reply, report: Report, spelling: Spelling) -> None:
        super().__init__(reply, report, spelling)
        self._head = self._text_head = b""
        self._calls = 0
        self._custom = custom_names(reply)
        self._has_text = False
        self._length = 0  # of all text so far, in characters
        self._annotations: list[object] = []
        self._cited: list[Citation] = []  # by the text that grows

    def write_start(self, model: str, usage: Usage | None) -> None:  # noqa: ARG002  it is told in the end
        described = write(
            {"id": new_id(), "object": "chat.completion.chunk", "created": self.reply.created_s, "model": model}
        )
        self._head = b"data: " + described[:-1] + b',"choices":['
        self._text_head = self._head + b'{"index":0,"delta":{"content":'
        self._add(b'{"role":"assistant"}')

    def write_open(self, block: StreamBlock) -> None:
        if block.kind is Kind.TOOL_USE:
            block.slot = self._calls
            self._calls += 1
            kind, what = "function", {"name": block.name, "arguments": ""}
            if block.name in self._custom:
                kind, what = "custom", {"name": block.name, "input": ""}
            call = {"index": block.slot, "id": block.tool_id, "type": kind, kind: what}
            self._add(write({"tool_calls": [call]}))
        else:
            block.slot = self._length

    def write_text(self, block: StreamBlock, text: str) -> None:
        self._has_text = True
        if block.kind is Kind.REFUSAL:
            self._add(b'{"refusal":%b}' % write_text(text))
            return
        self._length += len(text)
        self.out.append(self._text_head + write_text(text) + _TEXT_END)

    def write_thinking(self, block: StreamBlock, text: str) -> None:  # noqa: ARG002  there is one
        self._add(b'{"reasoning_content":%b}' % write_text(text))

    def write_args(self, block: StreamBlock, fragment: str) -> None:
        if block.name in self._custom:
            block.parts.append(fragment)
        else:
            self._add(_ARGS % (block.slot, write_text(fragment)))

    def write_close(self, block: StreamBlock) -> None:
        if self._cited and block.kind is Kind.TEXT:
            length = self._length - block.slot
            self._annotations += nested(annotations_of(self._cited, block.slot, length, self.report))
            self._cited = []
        if block.parts:
            text = _free("".join(block.parts))
            self._add(write({"tool_calls": [{"index": block.slot, "custom": {"input": text}}]}))

    def write_citations(self, block: StreamBlock, citations: list[Citation]) -> None:  # noqa: ARG002  one text grows
        self._cited += citations

    def write_logprobs(self, block: StreamBlock, logprobs: list[TokenLogprob]) -> None:  # noqa: ARG002  as above
        shown = write({"content": logprobs_of(logprobs), "refusal": None})
        self.out.append(b'%b{"index":0,"delta":{},"logprobs":%b%b' % (self._head, shown, _UNENDED))

    def write_stop(self, stop: Stop) -> None:
        delta = write({"annotations": self._annotations}) if self._annotations else b"{}"
        word = word_of(stop, has_text=self._has_text).encode()
        self.out.append(b'%b{"index":0,"delta":%b,"finish_reason":"%b"}]}\n\n' % (self._head, delta, word))

    def write_end(self, stop: Stop, usage: Usage) -> None:  # noqa: ARG002  it was told
        if self.reply.request.include_usage:
            self.out.append(b'%b],"usage":%b}\n\n' % (self._head, write(usage_of(usage))))
        self.out.append(_DONE)

    def write_failure(self, fault: Fault, usage: Usage) -> None:  # noqa: ARG002  the vendor tells it elsewhere
        self.out.append(b"data: %b\n\n%b" % (encode_refusal(fault, self.reply.ask, b"", "server_error").body, _DONE))

    def _add(self, delta: bytes) -> None:
        self.out.append(b'%b{"index":0,"delta":%b%b' % (self._head, delta, _UNENDED))


def _free(args: str) -> str:
    """Return the text that arguments stand for; themselves if they stand for none."""
    try:
        return free_text(Raw(args.encode()))
    except (NotJson, TooDeep, Misshapen):
        return args
