"""Makes a whole answer of a stream: for clients that asked for a document and lanes that stream anyway."""

from busbar_fast.dialects.call_arguments import args_in
from busbar_fast.dialects.dialect import StreamFault
from busbar_fast.ir.answers import Answer, Reason, Stop, TokenLogprob, Usage
from busbar_fast.ir.blocks import AnyBlock, Citation, Seal, Text, Thinking, ToolUse
from busbar_fast.ir.events import Kind


class _Growing:
    """One block while it grows."""

    __slots__ = ("citations", "kind", "name", "parts", "seal", "tool_id", "whole")

    def __init__(self, kind: Kind, tool_id: str = "", name: str = "", whole: AnyBlock | None = None) -> None:
        self.kind = kind
        self.tool_id = tool_id
        self.name = name
        self.whole = whole
        self.parts: list[str] = []
        self.citations: list[Citation] = []
        self.seal: Seal | None = None

    def grown(self) -> AnyBlock:
        """Return what it has become."""
        if self.whole is not None:
            return self.whole
        text = "".join(self.parts)
        if self.kind is Kind.THINKING:
            return Thinking(text, seal=self.seal)
        if self.kind is Kind.TOOL_USE:
            args, args_text = args_in(text)
            return ToolUse(self.tool_id, self.name, args, args_text, seal=self.seal)
        return Text(text, self.citations, is_refusal=self.kind is Kind.REFUSAL, seal=self.seal)


class Collector:
    """See the module; `fault` is what the stream reported. It takes the calls of a `Sink`."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._model = ""
        self._usage = Usage()
        self._stop = Stop(Reason.NONE)
        self._logprobs: list[TokenLogprob] = []
        self._growing: dict[int, _Growing] = {}
        self.fault: StreamFault | None = None
        self.is_complete = False

    def answer(self) -> Answer:
        """Return what was said."""
        blocks = [self._growing[index].grown() for index in sorted(self._growing)]
        return Answer(
            self._source, model=self._model, blocks=blocks, stop=self._stop, usage=self._usage, logprobs=self._logprobs
        )

    def start(self, model: str = "", usage: Usage | None = None) -> None:
        """The answer begins."""
        self._model = self._model or model
        if usage is not None:
            self.usage(usage)

    def open(self, index: int, kind: Kind, tool_id: str = "", name: str = "") -> None:
        """A block begins."""
        self._growing.setdefault(index, _Growing(kind, tool_id, name))

    def whole(self, index: int, block: AnyBlock) -> None:
        """A block comes at once."""
        self._growing.setdefault(index, _Growing(Kind.TEXT, whole=block))

    def text(self, index: int, text: str) -> None:
        """More of a text or a refusal."""
        self._at(index, Kind.TEXT).parts.append(text)

    def thinking(self, index: int, text: str) -> None:
        """More of a thought."""
        self._at(index, Kind.THINKING).parts.append(text)

    def args(self, index: int, fragment: str) -> None:
        """More of the arguments of a call."""
        self._at(index, Kind.TOOL_USE).parts.append(fragment)

    def seal(self, index: int, seal: Seal) -> None:
        """A piece of a block's seal."""
        block = self._at(index, Kind.THINKING)
        block.seal = seal if block.seal is None else Seal(seal.family, block.seal.value + seal.value)

    def citations(self, index: int, citations: list[Citation]) -> None:
        """References of a text."""
        self._at(index, Kind.TEXT).citations.extend(citations)

    def logprobs(self, index: int, logprobs: list[TokenLogprob]) -> None:  # noqa: ARG002  an answer has one list
        """How likely the tokens of a text were."""
        self._logprobs.extend(logprobs)

    def close(self, index: int) -> None:
        """A block has ended, which a document does not tell."""

    def finish(self, stop: Stop, usage: Usage | None = None) -> None:
        """The answer has ended; the first reason counts."""
        if not self.is_complete:
            self.is_complete = True
            self._stop = stop
        if usage is not None:
            self.usage(usage)

    def usage(self, usage: Usage) -> None:
        """What was counted so far."""
        self._usage = self._usage.merged(usage)

    def fail(self, name: str, payload: bytes) -> None:
        """The upstream reports an error."""
        if self.fault is None:
            self.fault = StreamFault(name, payload)

    def end(self, *, is_natural: bool = False) -> None:
        """The stream is over."""
        self.is_complete = self.is_complete or is_natural

    def _at(self, index: int, kind: Kind) -> _Growing:
        return self._growing.setdefault(index, _Growing(kind))
