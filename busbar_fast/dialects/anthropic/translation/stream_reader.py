"""An upstream's stream: events with names, each saying in `type` what it is. Hot.

Deltas are decoded into records of just what is needed of them; everything else takes the long way.
"""

from typing import Final

from msgspec.json import Decoder

from busbar_fast.dialects.anthropic.translation.abilities import FAMILY
from busbar_fast.dialects.anthropic.translation.block_reader import BlockReader
from busbar_fast.dialects.anthropic.translation.citations import read_citation
from busbar_fast.dialects.anthropic.translation.records import Delta
from busbar_fast.dialects.anthropic.translation.stops import stop_of
from busbar_fast.dialects.anthropic.translation.usages import read_usage
from busbar_fast.dialects.members import Members, is_object, read_object, read_typed
from busbar_fast.dialects.stream_reading import SseReader
from busbar_fast.ir.blocks import Seal, Text, Thinking, ToolUse
from busbar_fast.ir.events import Kind

_MOST_BLOCKS: Final = 1023
_BLOCKS: Final = BlockReader(is_client=False)


_DELTA: Final = Decoder(Delta)


class StreamReader(SseReader):
    """See the module."""

    __slots__ = ()

    def read_event(self, name: bytes, payload: bytes) -> None:
        if name == b"content_block_delta" and b"citation" not in payload:
            self._grow(payload)
            return
        members = read_object(payload)
        kind = members.maybe_text("type") or name.decode("latin-1")
        if kind == "content_block_delta":
            self._grow(payload)
            self._cite(members)
        elif kind == "content_block_start":
            self._open(members)
        elif kind == "content_block_stop":
            index = _index(members)
            if index is not None:
                self.sink.close(index)
        elif kind == "message_start":
            self._start(members)
        elif kind == "message_delta":
            self._finish(members)
        elif kind == "message_stop":
            self.has_ended = True
        elif kind == "error":
            self.sink.fail("error", payload)

    def _grow(self, payload: bytes) -> None:
        """Add to a block."""
        event = read_typed(_DELTA, payload)
        index, delta = event.index, event.delta
        if index < 0:
            return
        if index > _MOST_BLOCKS:  # noqa: PLR1730  `min` looks at any kind of number
            index = _MOST_BLOCKS
        kind = delta.type
        if kind == "text_delta":
            self.sink.text(index, delta.text)
        elif kind == "thinking_delta":
            self.sink.thinking(index, delta.thinking)
        elif kind == "input_json_delta":
            self.sink.args(index, delta.partial_json or delta.input_json)
        elif kind == "signature_delta" and delta.signature:
            self.sink.seal(index, Seal(FAMILY, delta.signature))

    def _cite(self, members: Members) -> None:
        index, delta = _index(members), members.maybe_object("delta")
        citation = None if delta is None else delta.raw("citation")
        if index is not None and citation and is_object(citation):
            self.sink.citations(index, [read_citation(citation)])

    def _open(self, members: Members) -> None:
        """Begin a block; what it holds already comes at once."""
        index, raw = _index(members), members.raw("content_block")
        if index is None or not raw:
            return
        block = _BLOCKS.block(raw, "content_block")
        sink = self.sink
        if isinstance(block, ToolUse):
            sink.open(index, Kind.TOOL_USE, block.id, block.name)
            if len(block.args) > 2:  # more than an empty object: the call is whole
                sink.args(index, bytes(block.args).decode())
        elif isinstance(block, Text):
            sink.open(index, Kind.TEXT)
            sink.text(index, block.text)
        elif isinstance(block, Thinking) and not block.is_redacted:
            sink.open(index, Kind.THINKING)
            sink.thinking(index, block.text)
        else:
            sink.whole(index, block)

    def _start(self, members: Members) -> None:
        message = members.maybe_object("message")
        if message is not None:
            self.sink.start(message.maybe_text("model") or "", read_usage(message.maybe_object("usage")))

    def _finish(self, members: Members) -> None:
        usage, delta = read_usage(members.maybe_object("usage")), members.maybe_object("delta")
        word = None if delta is None else delta.maybe_text("stop_reason")
        if delta is not None and word:
            self.sink.finish(stop_of(word, delta.maybe_text("stop_sequence")), usage)
        elif usage is not None:
            self.sink.usage(usage)


def _index(members: Members) -> int | None:
    """Return which block an event is about; None if nobody can tell."""
    index = members.integer("index")
    return None if index is None or index < 0 else min(index, _MOST_BLOCKS)
