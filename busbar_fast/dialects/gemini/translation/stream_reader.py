"""A stream of this vendor as calls. Hot.

Each event is a piece of one candidate. Blocks are what neighbouring parts of one kind make; a call comes whole, save
from the vendor's cloud, which may send its arguments value by value. Counts are cumulative and each may come in another
event. There is no terminator: a stream is complete once it has said why.
"""

from typing import Final

from msgspec import DecodeError, Raw
from msgspec.json import Decoder

from busbar_fast.dialects.gemini.translation.abilities import SEAL
from busbar_fast.dialects.gemini.translation.answer_reader import read_block_of_vendor, read_feedback, stop_of
from busbar_fast.dialects.gemini.translation.citations import read_citations
from busbar_fast.dialects.gemini.translation.fields import fields_in, items_of
from busbar_fast.dialects.gemini.translation.logprobs import read_logprobs
from busbar_fast.dialects.gemini.translation.partial_args import PartialArgs
from busbar_fast.dialects.gemini.translation.records import Candidate, Chunk, TextPart
from busbar_fast.dialects.gemini.translation.usages import Counts, read_counts, usage_of
from busbar_fast.dialects.members import is_object, read_typed, text_of
from busbar_fast.dialects.stream_reading import SseReader
from busbar_fast.ir.blocks import AnyBlock, Citation, Seal, Text, Thinking, ToolUse
from busbar_fast.ir.events import Kind, Sink
from busbar_fast.ir.report import Report

_NONE: Final = -1
_PIECES: Final = "functionCall.partialArgs"
_GOES_ON: Final = "functionCall.willContinue"
_TRUE: Final = Raw(b"true")


_CHUNK: Final = Decoder(Chunk)


_decode_text_part: Final = Decoder(TextPart).decode


class Reader(SseReader):
    """See the module."""

    __slots__ = ("_calls", "_counts", "_has_started", "_kind", "_next", "_open", "_partial", "_texts")

    def __init__(self, sink: Sink, report: Report) -> None:
        super().__init__(sink, report)
        self._has_started = False
        self._next = 0  # number of the next block
        self._open = _NONE  # number of the block that grows
        self._kind = Kind.TEXT  # of that block
        self._partial: PartialArgs | None = None  # of the call that grows
        self._calls = 0
        self._texts: dict[int, list[str]] = {}  # of the blocks that are texts, for references come last
        self._counts: Counts = {}

    def read_event(self, name: bytes, payload: bytes) -> None:  # noqa: ARG002  events have no names here
        """Take what an event says."""
        chunk = read_typed(_CHUNK, payload)
        if is_object(chunk.error):
            self._close()
            self.sink.fail("", payload)
            return
        if not self._has_started:
            self._has_started = True
            self.sink.start((text_of(chunk.model_version) or "") if chunk.model_version else "")
        if chunk.usage_metadata:
            self._counts |= read_counts(chunk.usage_metadata)
            self.sink.usage(usage_of(self._counts))
        if chunk.candidates:
            if len(chunk.candidates) > 1:
                self.report.dropped("candidates")
            self._read_candidate(chunk.candidates[0])
        elif (stop := read_feedback(chunk.prompt_feedback)) is not None:
            self._close()
            self.sink.finish(stop)

    def end(self) -> None:
        """Read what is held, complete a call that was cut off, and end the sink."""
        self.feed(b"\n\n")
        self._close()
        super().end()

    def _read_candidate(self, candidate: Candidate) -> None:
        if candidate.content is not None:
            for part in candidate.content.parts or ():
                self._read_part(part)
        if candidate.logprobs_result and self._texts:
            self.sink.logprobs(max(self._texts), read_logprobs(candidate.logprobs_result))
        if candidate.citation_metadata or candidate.grounding_metadata:
            self._cite(candidate.citation_metadata, candidate.grounding_metadata)
        word = text_of(candidate.finish_reason) if candidate.finish_reason else None
        if word:
            self._close()
            detail = text_of(candidate.finish_message) if candidate.finish_message else None
            self.sink.finish(stop_of(word, detail or "", has_call=self._calls > 0))

    def _read_part(self, raw: Raw) -> None:
        try:
            part = _decode_text_part(raw)
        except DecodeError:
            self._read_block(read_block_of_vendor(raw))
        else:
            self._grow(part.text, part.thought_signature or "", is_thought=part.thought is True)

    def _read_block(self, block: AnyBlock) -> None:
        if isinstance(block, Text | Thinking):
            self._grow(
                block.text, "" if block.seal is None else block.seal.value, is_thought=isinstance(block, Thinking)
            )
        elif isinstance(block, ToolUse):
            self._call(block)
        else:
            self._close()
            self.sink.whole(self._new_index(), block)

    def _grow(self, text: str, sealed: str, *, is_thought: bool) -> None:
        """Add a piece of a text or a thought to the block that grows, if it is one of that kind."""
        if text:
            if is_thought:
                self.sink.thinking(self._index_of(Kind.THINKING), text)
            else:
                index = self._index_of(Kind.TEXT)
                self._texts[index].append(text)
                self.sink.text(index, text)
        if sealed and is_thought:
            self.sink.seal(self._index_of(Kind.THINKING), Seal(SEAL, sealed))
        elif sealed:
            self.report.dropped("signature")  # nobody else seals what is not a thought

    def _index_of(self, kind: Kind) -> int:
        """Return the number of the block of a kind that grows; a new one where another kind does, or none."""
        if self._open == _NONE or self._kind is not kind:
            self._close()
            self._open = self._new_index()
            self._kind = kind
            if kind is Kind.TEXT:
                self._texts[self._open] = []
            self.sink.open(self._open, kind)
        return self._open

    def _call(self, block: ToolUse) -> None:
        """Take a call, whole or a piece of one: only its first piece names it, only its last one does not go on."""
        if block.seal is not None:
            self.report.dropped("signature")
        ext = block.ext or {}
        pieces = items_of(ext.get(_PIECES, Raw())) or []
        goes_on = ext.get(_GOES_ON) == _TRUE
        if self._partial is None or block.name:
            self._close()
            self._calls += 1
            self._open, self._kind = self._new_index(), Kind.TOOL_USE
            self.sink.open(self._open, Kind.TOOL_USE, block.id, block.name)
            if not pieces and not goes_on:
                self.sink.args(self._open, bytes(block.args).decode() if block.args_text is None else block.args_text)
                self._close()
                return
            self._partial = PartialArgs()
        for piece in pieces:
            self._partial.add(fields_in(piece))
        if not goes_on:
            self._close()

    def _close(self) -> None:
        """End the block that grows, if one does."""
        if self._partial is not None:
            self.sink.args(self._open, self._partial.encoded())
            self._partial = None
        if self._open != _NONE:
            self.sink.close(self._open)
            self._open = _NONE

    def _new_index(self) -> int:
        self._next += 1
        return self._next - 1

    def _cite(self, sources: Raw, grounding: Raw) -> None:
        """Give each text its references."""
        numbers = list(self._texts)
        texts = ["".join(self._texts[index]) for index in numbers]
        found: dict[int, list[Citation]] = {}
        for at, citation in read_citations(sources, grounding, texts, by_part=False):
            found.setdefault(numbers[at], []).append(citation)
        for index, citations in found.items():
            self.sink.citations(index, citations)
