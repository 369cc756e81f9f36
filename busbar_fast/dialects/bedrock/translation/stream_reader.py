"""An upstream's stream: one frame an event, its name in the head. Hot.

Texts and thoughts begin without being announced. The reason for the end is told before the usage.
"""

from contextlib import suppress
from typing import Final

from msgspec import Raw
from msgspec.json import Decoder

from busbar_fast.aws.eventstream import Frame, FrameReader
from busbar_fast.aws.eventstream import Kind as FrameKind
from busbar_fast.dialects.bedrock.translation.abilities import FAMILY
from busbar_fast.dialects.bedrock.translation.answer_reader import matched_in
from busbar_fast.dialects.bedrock.translation.citations import read_citation
from busbar_fast.dialects.bedrock.translation.records import Delta
from busbar_fast.dialects.bedrock.translation.stops import stop_of
from busbar_fast.dialects.bedrock.translation.usages import read_usage
from busbar_fast.dialects.members import is_object, read_object, read_typed
from busbar_fast.errors import Misshapen, NotJson, TooDeep
from busbar_fast.ir.blocks import Seal, Thinking
from busbar_fast.ir.events import Kind, Sink
from busbar_fast.ir.report import Report

_MOST_BLOCKS: Final = 1023
_NULL: Final = Raw(b"null")


_DELTA: Final = Decoder(Delta)


class StreamReader:
    """See the module; it takes the place of a reader of events."""

    __slots__ = ("_frames", "_has_ended", "_report", "_sink")

    def __init__(self, sink: Sink, report: Report) -> None:
        self._sink = sink
        self._report = report
        self._frames = FrameReader()
        self._has_ended = False

    def feed(self, piece: bytes) -> None:
        """Read the next bytes, cut anywhere. Raise UpstreamGarbled if they are no frames."""
        self._frames.feed(piece)
        while (frame := self._frames.maybe_next()) is not None:
            if frame.kind is not FrameKind.EVENT:
                self._sink.fail(frame.exception_name or frame.text(":error-code"), frame.payload)
                return
            with suppress(NotJson, TooDeep, Misshapen):
                self._read(frame)

    def end(self) -> None:
        """End the sink; half a frame says nothing."""
        self._sink.end(is_natural=self._has_ended)

    def _read(self, frame: Frame) -> None:
        kind, payload = frame.event_type, frame.payload
        if kind == "contentBlockDelta":
            self._grow(payload)
        elif kind == "contentBlockStart":
            self._open(payload)
        elif kind == "contentBlockStop":
            self._sink.close(_clamped(read_object(payload).integer("contentBlockIndex")))
        elif kind == "messageStart":
            self._sink.start()
        elif kind == "messageStop":
            members = read_object(payload)
            self._has_ended = True
            self._sink.finish(stop_of(members.maybe_text("stopReason") or "", matched_in(members)))
        elif kind == "metadata":
            usage = read_usage(read_object(payload).maybe_object("usage"))
            if usage is not None:
                self._sink.usage(usage)

    def _grow(self, payload: bytes) -> None:
        """Add to a block."""
        event = read_typed(_DELTA, payload)
        index, delta, sink = _clamped(event.contentBlockIndex), event.delta, self._sink
        if delta.text is not None:
            sink.text(index, delta.text)
        elif delta.toolUse is not None:
            sink.args(index, delta.toolUse.input)
        elif delta.reasoningContent is not None:
            thought = delta.reasoningContent
            if thought.text:
                sink.thinking(index, thought.text)
            if thought.signature:
                sink.seal(index, Seal(FAMILY, thought.signature))
            if thought.redactedContent:
                seal = Seal(FAMILY, thought.redactedContent)
                sink.whole(index, Thinking(sealed=seal.value, seal=seal))
        elif is_object(delta.citation or _NULL):
            sink.citations(index, [read_citation(delta.citation)])

    def _open(self, payload: bytes) -> None:
        """Begin a block that is announced; of what is not a call everybody hears in time."""
        members = read_object(payload)
        start = members.maybe_object("start")
        call = None if start is None else start.maybe_object("toolUse")
        if call is not None:
            index = _clamped(members.integer("contentBlockIndex"))
            self._sink.open(index, Kind.TOOL_USE, call.maybe_text("toolUseId") or "", call.maybe_text("name") or "")


def _clamped(index: int | None) -> int:
    return max(0, min(index or 0, _MOST_BLOCKS))
