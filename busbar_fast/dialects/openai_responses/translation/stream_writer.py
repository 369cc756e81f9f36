"""A client's stream: every event is numbered, every item announced, grown and shown again when it is whole. Hot."""

from typing import ClassVar, Final

from msgspec import Raw

from busbar_fast.dialects.call_arguments import args_of, free_text
from busbar_fast.dialects.faults import Fault
from busbar_fast.dialects.faults import Kind as Wrong
from busbar_fast.dialects.members import read_object, write, write_text
from busbar_fast.dialects.openai_responses.faults import refuse
from busbar_fast.dialects.openai_responses.translation.abilities import NAME
from busbar_fast.dialects.openai_responses.translation.responses import (
    Members,
    call_item,
    custom_names,
    flat,
    message_item,
    new_id,
    reasoning_item,
    refusal_part,
    skeleton,
    text_part,
)
from busbar_fast.dialects.openai_responses.translation.stops import status_of
from busbar_fast.dialects.openai_responses.translation.usages import usage_of
from busbar_fast.dialects.openai_shared_logprobs import logprobs_of
from busbar_fast.dialects.spelling import Spelling
from busbar_fast.dialects.stream_writer import StreamBlock, StreamWriter
from busbar_fast.dialects.translator import Reply
from busbar_fast.ir.answers import Stop, TokenLogprob, Usage
from busbar_fast.ir.blocks import NO_ARGS, Citation, Opaque, Seal, ToolUse
from busbar_fast.ir.events import Kind
from busbar_fast.ir.report import Report

_DELTA: Final = (
    b'event: %%b\ndata: {"type":"%%b","sequence_number":%%d,"item_id":"%%b","output_index":%%d,"content_index":0,'
    b'"delta":%%b%b}\n\n'
)
_TEXT: Final = _DELTA % b',"logprobs":[]'
_PLAIN: Final = _DELTA % b""
_GROWTH: Final = {
    Kind.TEXT: b"response.output_text.delta",
    Kind.REFUSAL: b"response.refusal.delta",
    Kind.THINKING: b"response.reasoning_text.delta",
}
_ARGS: Final = "response.function_call_arguments"
_INPUT: Final = "response.custom_tool_call_input"
_CODES: Final = {
    Wrong.RATE_LIMITED: "rate_limit_exceeded",
    Wrong.OVER_BUDGET: "rate_limit_exceeded",
    Wrong.MALFORMED: "invalid_prompt",
    Wrong.TOO_LARGE: "invalid_prompt",
    Wrong.TOO_LONG: "invalid_prompt",
}


class _Item:
    """One item that is being written."""

    __slots__ = ("citations", "item_id", "logprobs", "raw_id", "seal")

    def __init__(self, prefix: str) -> None:
        self.item_id = new_id(prefix)
        self.raw_id = self.item_id.encode()
        self.citations: list[Citation] = []
        self.logprobs: list[TokenLogprob] = []
        self.seal: list[str] = []


class Writer(StreamWriter):
    """See the module. A block's number is that of its item."""

    __slots__ = ("_custom", "_items", "_number", "_output", "_response")

    kinds: ClassVar[frozenset[Kind]] = frozenset((Kind.TEXT, Kind.REFUSAL, Kind.THINKING, Kind.TOOL_USE))
    wholes: ClassVar[frozenset[type]] = frozenset((Opaque,))

    def __init__(self, reply: Reply, report: Report, spelling: Spelling) -> None:
        super().__init__(reply, report, spelling)
        self._custom = custom_names(reply)
        self._number = 0
        self._items: list[_Item] = []
        self._output: list[object] = []  # the items that are whole
        self._response: Members = {}

    def write_start(self, model: str, usage: Usage | None) -> None:  # noqa: ARG002  it is told in the end
        self._response = skeleton(self.reply, new_id("resp"), self.reply.created_s, model)
        self._event("response.created", {"response": self._response})
        self._event("response.in_progress", {"response": self._response})

    def write_open(self, block: StreamBlock) -> None:
        prefix, item = "msg", self._added(block)
        if block.kind is Kind.THINKING:
            prefix = "rs"
        elif block.kind is Kind.TOOL_USE:
            prefix = "ctc" if block.name in self._custom else "fc"
        growing = _Item(prefix)
        block.slot = len(self._items)
        self._items.append(growing)
        item["id"] = growing.item_id
        self._event("response.output_item.added", {"output_index": block.slot, "item": item})
        part = _EMPTY.get(block.kind)
        if part is not None:
            self._event("response.content_part.added", self._place(block) | {"part": part})

    def write_text(self, block: StreamBlock, text: str) -> None:
        self._grow(block, text, _TEXT if block.kind is Kind.TEXT else _PLAIN)

    def write_thinking(self, block: StreamBlock, text: str) -> None:
        self._grow(block, text, _PLAIN)

    def write_args(self, block: StreamBlock, fragment: str) -> None:
        block.parts.append(fragment)
        if block.name not in self._custom:
            place = {"item_id": self._items[block.slot].item_id, "output_index": block.slot}
            self._event(f"{_ARGS}.delta", place | {"delta": fragment})

    def write_seal(self, block: StreamBlock, seal: Seal) -> None:
        self._items[block.slot].seal += (seal.family, seal.value)

    def write_citations(self, block: StreamBlock, citations: list[Citation]) -> None:
        self._items[block.slot].citations += citations

    def write_logprobs(self, block: StreamBlock, logprobs: list[TokenLogprob]) -> None:
        self._items[block.slot].logprobs += logprobs

    def write_close(self, block: StreamBlock) -> None:
        text = "".join(block.parts)
        if block.kind is Kind.TOOL_USE:
            item = self._closed_call(block, text)
        elif block.kind is Kind.THINKING:
            item = self._closed_thought(block, text)
        else:
            item = self._closed_text(block, text)
        self._output.append(item)
        self._event("response.output_item.done", {"output_index": block.slot, "item": item})

    def write_whole(self, block: StreamBlock) -> None:
        whole = block.whole
        assert isinstance(whole, Opaque)  # there are no others
        if whole.owner != NAME:
            self.report.dropped("opaque_block")
            return
        slot = len(self._items)
        self._items.append(_Item("item"))
        self._output.append(whole.raw)
        for name in ("response.output_item.added", "response.output_item.done"):
            self._event(name, {"output_index": slot, "item": whole.raw})

    def write_end(self, stop: Stop, usage: Usage) -> None:
        status, detail = status_of(stop, is_empty=not self._output)
        response = self._response | {"status": status, "output": self._output, "usage": usage_of(usage)}
        if detail is not None:
            response["incomplete_details"] = {"reason": detail}
        if status == "failed":
            response["error"] = {"code": "server_error", "message": "The model failed to answer."}
        self._event(f"response.{status}", {"response": response})

    def write_failure(self, fault: Fault, usage: Usage) -> None:  # noqa: ARG002  what did not succeed has none
        error = read_object(refuse(fault, self.reply.ask, b"").body).maybe_object("error")
        assert error is not None  # every refusal has one
        shown = {"code": _CODES.get(fault.kind, "server_error"), "message": error.raw("message")}
        response = self._response | {"status": "failed", "output": self._output, "error": shown}
        self._event("response.failed", {"response": response})

    # Within

    def _added(self, block: StreamBlock) -> Members:
        """Return an item that has just begun."""
        if block.kind is Kind.TOOL_USE:
            return call_item("", ToolUse(block.tool_id, block.name, args_text=""), frozenset(), "in_progress") | (
                {"type": "custom_tool_call", "input": ""} if block.name in self._custom else {}
            )
        if block.kind is Kind.THINKING:
            return {"type": "reasoning", "id": "", "summary": []}
        return message_item("", [], "in_progress")

    def _closed_call(self, block: StreamBlock, text: str) -> Members:
        """Say what a call is in the end, and return it."""
        item = self._items[block.slot]
        args, odd = args_of(Raw(write_text(text)))
        use = ToolUse(block.tool_id, block.name, args or NO_ARGS, odd)
        place = {"item_id": item.item_id, "output_index": block.slot}
        if block.name in self._custom and odd is None:
            said = free_text(use.args)
            self._event(f"{_INPUT}.delta", place | {"delta": said})
            self._event(f"{_INPUT}.done", place | {"input": said})
        else:
            whole = {"name": block.name, "arguments": text or "{}"}
            self._event(f"{_ARGS}.done", place | whole)
        return call_item(item.item_id, use, self._custom)

    def _closed_thought(self, block: StreamBlock, text: str) -> Members:
        item = self._items[block.slot]
        self._event("response.reasoning_text.done", self._place(block) | {"text": text})
        part = {"type": "reasoning_text", "text": text}
        self._event("response.content_part.done", self._place(block) | {"part": part})
        return reasoning_item(item.item_id, text, self.spelling.shown_pieces(item.seal))

    def _closed_text(self, block: StreamBlock, text: str) -> Members:
        item, place = self._items[block.slot], self._place(block)
        if block.kind is Kind.REFUSAL:
            part = refusal_part(text)
            self._event("response.refusal.done", place | {"refusal": text})
        else:
            logprobs = logprobs_of(item.logprobs)
            annotations = flat(item.citations, len(text), self.report)
            for at, annotation in enumerate(annotations):
                numbered = place | {"annotation_index": at, "annotation": annotation}
                self._event("response.output_text.annotation.added", numbered)
            self._event("response.output_text.done", place | {"text": text, "logprobs": logprobs})
            part = text_part(text, annotations, logprobs)
        self._event("response.content_part.done", place | {"part": part})
        return message_item(item.item_id, [part])

    def _grow(self, block: StreamBlock, text: str, form: bytes) -> None:
        block.parts.append(text)
        name, item = _GROWTH[block.kind], self._items[block.slot]
        self.out.append(form % (name, name, self._number, item.raw_id, block.slot, write_text(text)))
        self._number += 1

    def _place(self, block: StreamBlock) -> Members:
        return {"item_id": self._items[block.slot].item_id, "output_index": block.slot, "content_index": 0}

    def _event(self, name: str, members: Members) -> None:
        event = write({"type": name, "sequence_number": self._number, **members})
        self.out.append(b"event: %b\ndata: %b\n\n" % (name.encode(), event))
        self._number += 1


_EMPTY: Final[dict[Kind, Members]] = {
    Kind.TEXT: text_part("", [], []),
    Kind.REFUSAL: refusal_part(""),
    Kind.THINKING: {"type": "reasoning_text", "text": ""},
}
