"""An upstream's stream: events about items and their parts, each with a number of its item. Hot.

A delta is decoded into just what is needed of it; everything else takes the long way.
"""

from typing import Final

from msgspec import Raw
from msgspec.json import Decoder

from busbar_fast.dialects.call_arguments import args_text
from busbar_fast.dialects.members import Members, first_of, is_object, read_object, read_typed, write_text
from busbar_fast.dialects.openai_responses.translation.abilities import NAME
from busbar_fast.dialects.openai_responses.translation.answer_reader import read_item, stop_in
from busbar_fast.dialects.openai_responses.translation.records import Delta
from busbar_fast.dialects.openai_responses.translation.usages import read_usage
from busbar_fast.dialects.openai_shared_annotations import read_annotations
from busbar_fast.dialects.openai_shared_logprobs import read_logprobs
from busbar_fast.dialects.stream_reading import SseReader
from busbar_fast.ir.blocks import Opaque, Text, Thinking, ToolUse
from busbar_fast.ir.events import Kind, Sink
from busbar_fast.ir.report import Report

_MOST_ITEMS: Final = 127
_DELTAS: Final = frozenset(
    (
        b"response.output_text.delta",
        b"response.refusal.delta",
        b"response.reasoning_text.delta",
        b"response.reasoning_summary_text.delta",
        b"response.function_call_arguments.delta",
        b"response.custom_tool_call_input.delta",
    )
)
_TERMINAL: Final[tuple[str, ...]] = ("response.completed", "response.incomplete")
_FAILED: Final[tuple[str, ...]] = ("response.failed", "error")
_NULL: Final = Raw(b"null")


_DELTA: Final = Decoder(Delta)


class _Item:
    """What is known of one item: its block, and whether it grew by deltas."""

    __slots__ = ("has_grown", "index", "kind")

    def __init__(self, index: int, kind: Kind) -> None:
        self.index = index
        self.kind = kind
        self.has_grown = False


class StreamReader(SseReader):
    """See the module. Items are known by their number and that of a part, since a message may hold several."""

    __slots__ = ("_has_refusal", "_items", "_next")

    def __init__(self, sink: Sink, report: Report) -> None:
        super().__init__(sink, report)
        self._next = 0
        self._items: dict[tuple[int, int], _Item] = {}
        self._has_refusal = False

    def read_event(self, name: bytes, payload: bytes) -> None:
        if name in _DELTAS:
            self._grow(name, payload)
            return
        members = read_object(payload)
        kind = members.maybe_text("type") or name.decode("latin-1")
        raw_kind = kind.encode()
        if raw_kind in _DELTAS:
            self._grow(raw_kind, payload)
        elif kind in ("response.created", "response.in_progress", "response.queued"):
            response = members.maybe_object("response")
            self.sink.start("" if response is None else response.maybe_text("model") or "")
        elif kind == "response.output_item.added":
            self._open(members)
        elif kind == "response.output_item.done":
            self._close(members)
        elif kind == "response.function_call_arguments.done":
            self._complete(members)
        elif kind == "response.output_text.annotation.added":
            annotation = members.raw("annotation")
            if is_object(annotation or _NULL):
                item = self._item(_at(members), Kind.TEXT)
                self.sink.citations(item.index, read_annotations([annotation], NAME))
        elif kind in _TERMINAL:
            self._finish(kind, members)
        elif kind in _FAILED:
            self.sink.fail(kind, payload)

    def _grow(self, name: bytes, payload: bytes) -> None:
        """Add to an item."""
        event = read_typed(_DELTA, payload)
        if not event.delta:
            return
        at, sink = _clamped(event.output_index), self.sink
        if name == b"response.output_text.delta":
            item = self._item((at, event.content_index), Kind.TEXT)
            sink.text(item.index, event.delta)
            if first_of(event.logprobs) == b"[":
                sink.logprobs(item.index, read_logprobs(event.logprobs))
        elif name == b"response.refusal.delta":
            self._has_refusal = True
            item = self._item((at, event.content_index), Kind.REFUSAL)
            sink.text(item.index, event.delta)
        elif name in (b"response.reasoning_text.delta", b"response.reasoning_summary_text.delta"):
            item = self._item((at, 0), Kind.THINKING)
            sink.thinking(item.index, event.delta)
        else:
            found = self._items.get((at, 0))
            if found is None or found.kind is not Kind.TOOL_USE:
                return
            item = found
            is_custom = name == b"response.custom_tool_call_input.delta"
            begin = '{"input":"' if is_custom and not item.has_grown else ""
            sink.args(item.index, begin + write_text(event.delta)[1:-1].decode() if is_custom else event.delta)
        item.has_grown = True

    def _item(self, key: tuple[int, int], kind: Kind) -> _Item:
        """Return an item, begun if it was not yet."""
        item = self._items.get(key)
        if item is None:
            item = self._items[key] = _Item(self._next, kind)
            self._next += 1
            self.sink.open(item.index, kind)
        return item

    def _open(self, members: Members) -> None:
        """Begin an item that is announced; a message begins with its text."""
        at = _clamped(members.integer("output_index"))
        added = members.maybe_object("item") or Members({})
        kind = added.maybe_text("type")
        if (at, 0) in self._items:
            return
        if kind == "reasoning":
            self._item((at, 0), Kind.THINKING)
        elif kind in ("function_call", "custom_tool_call"):
            item = self._items[at, 0] = _Item(self._next, Kind.TOOL_USE)
            self._next += 1
            tool_id, name = added.maybe_text("call_id") or "", added.maybe_text("name") or ""
            self.sink.open(item.index, Kind.TOOL_USE, tool_id, name)

    def _complete(self, members: Members) -> None:
        """Tell the arguments of a call as a whole, where they did not come in pieces."""
        item, text = self._items.get((_clamped(members.integer("output_index")), 0)), members.maybe_text("arguments")
        if item is not None and item.kind is Kind.TOOL_USE and not item.has_grown and text:
            self.sink.args(item.index, text)
            item.has_grown = True

    def _close(self, members: Members) -> None:
        """End an item, and tell what of it was not told in deltas."""
        at, raw = _clamped(members.integer("output_index")), members.raw("item")
        blocks = read_item(raw) if is_object(raw or _NULL) else []
        for number, block in enumerate(blocks):
            if isinstance(block, Text):
                item = self._item((at, number), Kind.REFUSAL if block.is_refusal else Kind.TEXT)
                self._has_refusal = self._has_refusal or block.is_refusal
                if not item.has_grown:
                    self.sink.text(item.index, block.text)
                    self.sink.citations(item.index, block.citations)
            elif isinstance(block, Thinking):
                item = self._item((at, 0), Kind.THINKING)
                if not item.has_grown:
                    self.sink.thinking(item.index, block.text)
                if block.seal is not None:
                    self.sink.seal(item.index, block.seal)
            elif isinstance(block, ToolUse):
                self._close_call(at, block, raw)
            elif isinstance(block, Opaque):
                self.sink.whole(self._next, block)
                self._next += 1
        for (number, _), item in self._items.items():
            if number == at:
                self.sink.close(item.index)

    def _close_call(self, at: int, block: ToolUse, raw: Raw) -> None:
        """Tell a call as a whole if nobody told it in pieces."""
        item = self._items.get((at, 0))
        if item is None:
            item = self._items[at, 0] = _Item(self._next, Kind.TOOL_USE)
            self._next += 1
            self.sink.open(item.index, Kind.TOOL_USE, block.id, block.name)
        if not item.has_grown:
            self.sink.args(item.index, args_text(block))
        elif read_object(raw).maybe_text("type") == "custom_tool_call":
            self.sink.args(item.index, '"}')

    def _finish(self, kind: str, members: Members) -> None:
        response = members.maybe_object("response") or Members({})
        status = response.maybe_text("status") or ("completed" if kind == _TERMINAL[0] else "incomplete")
        found = [ToolUse("", "") for item in self._items.values() if item.kind is Kind.TOOL_USE]
        refused = [Text("", is_refusal=True)] if self._has_refusal else []
        self.has_ended = True
        self.sink.finish(stop_in(response, status, [*found, *refused]), read_usage(response.maybe_object("usage")))


def _clamped(index: int | None) -> int:
    return max(0, min(index or 0, _MOST_ITEMS))


def _at(members: Members) -> tuple[int, int]:
    return _clamped(members.integer("output_index")), members.integer("content_index") or 0
