"""A stream as clients of this dialect read it, as events or as the elements of one array. Hot.

Every chunk is a whole answer in small: it names the model and the answer. A call comes in one piece, once all of its
arguments are there; references come once all texts are. The SDK takes no event that is not a chunk, so there is no sign
of life and no terminator, and an error is a chunk that begins with it.
"""

from typing import TYPE_CHECKING, ClassVar, Final, cast

from busbar_fast.dialects.faults import Fault
from busbar_fast.dialects.gemini.faults import encode_error
from busbar_fast.dialects.gemini.translation.answer_writer import (
    ending_of,
    feedback_of,
    is_blocked,
    new_response_id,
)
from busbar_fast.dialects.gemini.translation.citations import CitationSheet
from busbar_fast.dialects.gemini.translation.logprobs import logprobs_result
from busbar_fast.dialects.gemini.translation.part_writer import maybe_json, object_of, write_part
from busbar_fast.dialects.gemini.translation.usages import usage_metadata
from busbar_fast.dialects.members import write, write_text
from busbar_fast.dialects.spelling import Spelling
from busbar_fast.dialects.stream_writer import StreamBlock, StreamWriter
from busbar_fast.dialects.translator import Reply
from busbar_fast.ir.answers import Stop, TokenLogprob, Usage
from busbar_fast.ir.blocks import NO_ARGS, AnyBlock, Citation, Code, CodeResult, Media, Seal
from busbar_fast.ir.events import Kind
from busbar_fast.ir.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable

_TEXT: Final = b'{"candidates":[{"content":{"role":"model","parts":[{"text":'
_AFTER_TEXT: Final = b'}]},"index":0}],'
_AFTER_THOUGHT: Final = b',"thought":true' + _AFTER_TEXT


class EventWriter(StreamWriter):
    """Writes events."""

    __slots__ = ("_cited", "_has_content", "_identity", "_seals", "_send", "_sheet", "_size", "_text", "_thought")

    wholes: ClassVar[frozenset[type]] = frozenset((Code, CodeResult, Media))
    before: ClassVar[bytes] = b"data: "  # what stands around a chunk
    after: ClassVar[bytes] = b"\r\n\r\n"

    def __init__(self, reply: Reply, report: Report, spelling: Spelling) -> None:
        super().__init__(reply, report, spelling)
        self._send: Callable[[bytes], None] = self.out.append
        self._identity = b""  # the end of every chunk
        self._text = self._thought = b""  # chunks with a place for a text
        self._has_content = False
        self._seals: dict[int, Seal] = {}  # by the index of the block
        self._cited: list[Citation] = []  # by the text that grows
        self._sheet = CitationSheet(report)
        self._size = 0  # bytes of all texts that are whole

    def write_start(self, model: str, usage: Usage | None) -> None:  # noqa: ARG002  told in the end
        """Note what every chunk says; nothing is sent without contents."""
        self._identity = write({"modelVersion": model, "responseId": new_response_id()})[1:]
        end = self._identity.replace(b"%", b"%%") + self.after
        self._text = b"%b%b%%b%b%b" % (self.before, _TEXT, _AFTER_TEXT, end)
        self._thought = b"%b%b%%b%b%b" % (self.before, _TEXT, _AFTER_THOUGHT, end)

    def write_open(self, block: StreamBlock) -> None:
        """Nothing announces a block."""

    def write_text(self, block: StreamBlock, text: str) -> None:
        """Write a piece of a text."""
        block.parts.append(text)
        self._has_content = True
        self._send(self._text % write_text(text))

    def write_thinking(self, block: StreamBlock, text: str) -> None:  # noqa: ARG002  chunks name no block
        """Write a piece of a thought."""
        self._has_content = True
        self._send(self._thought % write_text(text))

    def write_args(self, block: StreamBlock, fragment: str) -> None:
        """Keep a piece of arguments."""
        block.parts.append(fragment)

    def write_seal(self, block: StreamBlock, seal: Seal) -> None:
        """Keep a piece of a seal."""
        before = self._seals.get(block.index)
        self._seals[block.index] = seal if before is None else Seal(seal.family, before.value + seal.value)

    def write_citations(self, block: StreamBlock, citations: list[Citation]) -> None:  # noqa: ARG002  as above
        """Keep references of the text that grows."""
        self._cited += citations

    def write_logprobs(self, block: StreamBlock, logprobs: list[TokenLogprob]) -> None:  # noqa: ARG002  as above
        """Write how likely tokens were."""
        self._write_candidate({"index": 0, "logprobsResult": logprobs_result(logprobs)})

    def write_whole(self, block: StreamBlock) -> None:
        """Write a file, or code."""
        part = write_part(cast("AnyBlock", block.whole), self.report)
        if part is not None:
            self._write_part(part)

    def write_close(self, block: StreamBlock) -> None:
        """Write a call, or the seal of a text or thought."""
        seal = self._seals.pop(block.index, None)
        sealed = {} if seal is None else {"thoughtSignature": self.spelling.shown_seal(seal)}
        if block.kind is Kind.TOOL_USE:
            call = {"id": block.tool_id, "name": block.name, "args": self._args("".join(block.parts))}
            self._write_part({"functionCall": call} | sealed)
            return
        if block.kind is Kind.TEXT:
            text = "".join(block.parts)
            self._sheet.add(self._cited, text, self._size)
            self._cited = []
            self._size += len(text.encode())
        if sealed:
            self._write_part({"text": "", "thought": block.kind is Kind.THINKING} | sealed)

    def write_stop(self, stop: Stop) -> None:  # noqa: ARG002  it is said with the usage
        """Write the references: all texts are whole."""
        members = self._sheet.members()
        if members:
            self._write_candidate({"index": 0} | members)

    def write_end(self, stop: Stop, usage: Usage) -> None:
        """Write the last chunk."""
        metadata = usage_metadata(usage)
        if is_blocked(stop, usage, has_content=self._has_content):
            self._write({"promptFeedback": feedback_of(stop), "usageMetadata": metadata})
        else:
            candidate: dict[str, object] = {"content": {"role": "model", "parts": []}} | ending_of(stop)
            self._write({"candidates": [candidate | {"index": 0}], "usageMetadata": metadata})
        self._finish()

    def write_failure(self, fault: Fault, usage: Usage) -> None:  # noqa: ARG002  an error tells no usage
        """Write the error as the last chunk."""
        self._send(self.before + encode_error(fault) + self.after)
        self._finish()

    def _args(self, text: str) -> object:
        """Return arguments as the object they have to be."""
        if not text.strip():
            return NO_ARGS
        value = maybe_json(text)
        if value is None:
            self.report.dropped("tool_args")
            return NO_ARGS
        return object_of(value)

    def _write_part(self, part: object) -> None:
        self._has_content = True
        self._write_candidate({"content": {"role": "model", "parts": [part]}, "index": 0})

    def _write_candidate(self, candidate: dict[str, object]) -> None:
        self._write({"candidates": [candidate]})

    def _write(self, chunk: dict[str, object]) -> None:
        self._send(b"%b%b,%b%b" % (self.before, write(chunk)[:-1], self._identity, self.after))

    def _finish(self) -> None:
        """Send what stands behind the last chunk."""


class ArrayWriter(EventWriter):
    """Writes the elements of one array: its first byte opens it, its last one closes it."""

    __slots__ = ("_has_sent",)

    before: ClassVar[bytes] = b",\r\n"
    after: ClassVar[bytes] = b""

    def __init__(self, reply: Reply, report: Report, spelling: Spelling) -> None:
        super().__init__(reply, report, spelling)
        self._has_sent = False
        self._send = self._send_element

    def _send_element(self, framed: bytes) -> None:
        if self._has_sent:
            self.out.append(framed)
        else:
            self._has_sent = True
            self.out.append(b"[" + framed.removeprefix(self.before))

    def _finish(self) -> None:
        self.out.append(b"]")
