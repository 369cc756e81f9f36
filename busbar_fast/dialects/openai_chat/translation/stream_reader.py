"""An upstream's stream: chunks of one message, each adding to its text, its thoughts or its calls. Hot.

Hosts that are like the vendor differ most here, so little is taken for granted: calls may come without an index, whole,
or nameless at first; usage may stand anywhere; the end may be said twice, or not at all.
"""

from typing import Final

from msgspec import Raw
from msgspec.json import Decoder

from busbar_fast.dialects.members import Members, first_of, is_object, object_of, read_typed, text_of, write_text
from busbar_fast.dialects.openai_chat.translation.abilities import NAME
from busbar_fast.dialects.openai_chat.translation.message_reader import thought_in
from busbar_fast.dialects.openai_chat.translation.records import Choice, Chunk, Delta
from busbar_fast.dialects.openai_chat.translation.stops import stop_of
from busbar_fast.dialects.openai_chat.translation.usages import read_usage
from busbar_fast.dialects.openai_chat.watch import NO_ERRORS
from busbar_fast.dialects.openai_shared_annotations import read_annotations
from busbar_fast.dialects.openai_shared_logprobs import read_logprobs
from busbar_fast.dialects.stream_reading import SseReader
from busbar_fast.ir.events import Kind, Sink
from busbar_fast.ir.report import Report

_MOST_INDEX: Final = 127
_MOST_CALLS: Final = 128
_DONE: Final = b"[DONE]"
_NULL: Final = Raw(b"null")


_CHUNK: Final = Decoder(Chunk)


class _Call:
    """A call that grows; until its name has come, what is known of it waits."""

    __slots__ = ("index", "is_custom", "tool_id", "waiting")

    def __init__(self, tool_id: str) -> None:
        self.index = -1
        self.tool_id = tool_id
        self.is_custom = False
        self.waiting: list[str] = []

    def is_other(self, tool_id: str) -> bool:
        """Say whether an id is that of another call; some hosts give all calls the same index."""
        return bool(tool_id and self.tool_id) and tool_id != self.tool_id


class StreamReader(SseReader):
    """See the module."""

    __slots__ = ("_all", "_calls", "_has_refusal", "_last", "_model", "_next", "_refusal", "_text", "_thinking")

    def __init__(self, sink: Sink, report: Report) -> None:
        super().__init__(sink, report)
        self._next = 0
        self._text = self._thinking = self._refusal = -1  # the blocks that grow
        self._calls: dict[object, _Call] = {}  # by index or id, the last one each
        self._all: list[_Call] = []
        self._last: _Call | None = None
        self._model = ""
        self._has_refusal = False

    def read_event(self, name: bytes, payload: bytes) -> None:
        if payload == _DONE:
            self._end_calls()
            self.has_ended = True
            return
        chunk = read_typed(_CHUNK, payload)
        if chunk.error and bytes(chunk.error) not in NO_ERRORS:
            self.sink.fail(name.decode("latin-1"), payload)
            return
        if not self._model and chunk.model:
            self._model = chunk.model
            self.sink.start(chunk.model)
        for choice in chunk.choices or ():
            if choice.index:
                self.report.dropped("candidates")
            else:
                self._read_choice(choice)
        if is_object(chunk.usage or _NULL):
            self.sink.usage(read_usage(object_of(chunk.usage, "usage")))

    def _read_choice(self, choice: Choice) -> None:
        delta = choice.delta
        if delta is not None:
            self._read_delta(delta)
        if is_object(choice.logprobs or _NULL):
            tokens = read_logprobs(object_of(choice.logprobs, "logprobs").raw("content"))
            if tokens and self._has_text("logprobs"):
                self.sink.logprobs(self._text, tokens)
        if choice.finish_reason:
            self._end_calls()
            self.sink.finish(stop_of(choice.finish_reason, has_refusal=self._has_refusal))

    def _read_delta(self, delta: Delta) -> None:
        for raw in (delta.reasoning_content, delta.reasoning):
            thought = text_of(raw) if raw else None
            if thought:
                self._think(thought)
                break
        content = delta.content
        if content:
            self._say(content)
        if delta.refusal:
            self._has_refusal = True
            if self._refusal < 0:
                self._refusal = self._opened(Kind.REFUSAL)
            self.sink.text(self._refusal, delta.refusal)
        if first_of(delta.tool_calls) == b"[":
            for member in Members({"": delta.tool_calls}).objects(""):
                self._call(member)
        if is_object(delta.function_call or _NULL):
            self._call(Members({"function": delta.function_call, "index": Raw(b"0")}))
        if first_of(delta.annotations) == b"[":
            annotations = Members({"": delta.annotations}).maybe_items("") or []
            citations = read_annotations((raw for raw in annotations if is_object(raw)), NAME)
            if citations and self._has_text("citations"):
                self.sink.citations(self._text, citations)

    def _say(self, content: str | list[Raw]) -> None:
        """Add to the text; some hosts send parts, thoughts among them."""
        if isinstance(content, str):
            self.sink.text(self._at_text(), content)
            return
        for raw in content:
            thought, text = thought_in(raw), object_of(raw, "content").maybe_text("text")
            if thought:
                self._think(thought)
            elif text:
                self.sink.text(self._at_text(), text)

    def _at_text(self) -> int:
        """Return the text that grows; behind calls it is another one."""
        if self._text < 0:
            self._text = self._opened(Kind.TEXT)
        return self._text

    def _think(self, thought: str) -> None:
        """Add to the thoughts, which come first: what is late belongs nowhere."""
        if not self._next:
            self._thinking = self._opened(Kind.THINKING)
        if self._next == self._thinking + 1:
            self.sink.thinking(self._thinking, thought)
        else:
            self.report.dropped("thinking")

    def _has_text(self, what: str) -> bool:
        """Say whether a text grows that something can belong to; note it if there is none."""
        if self._text < 0:
            self.report.dropped(what)
        return self._text >= 0

    def _opened(self, kind: Kind, call: _Call | None = None, name: str = "") -> int:
        """Open the next block; no text grows beside another."""
        self._text = self._refusal = -1
        index = self._next
        self._next += 1
        self.sink.open(index, kind, "" if call is None else call.tool_id, name)
        return index

    def _call(self, members: Members) -> None:
        """Add to a call: the one of this index, else of this id, else the last one."""
        index, tool_id = members.integer("index"), members.maybe_text("id") or ""
        function, custom = members.maybe_object("function"), members.maybe_object("custom")
        what = function or custom or Members({})
        name = what.maybe_text("name") or ""
        call = self._found(index, tool_id, name)
        if call is None:
            return
        call.tool_id = call.tool_id or tool_id
        fragment = _fragment(what.raw("input" if custom is not None else "arguments"))
        if call.index < 0 and name:
            call.index = self._opened(Kind.TOOL_USE, call, name)
            if custom is not None:
                call.is_custom = True
                self.sink.args(call.index, '{"input":"')
        if custom is not None:
            fragment = write_text(fragment)[1:-1].decode()
        if call.index < 0:
            call.waiting.append(fragment)
        else:
            self.sink.args(call.index, "".join(call.waiting) + fragment)
            call.waiting = []

    def _found(self, index: int | None, tool_id: str, name: str) -> _Call | None:
        """Return the call that is meant, a new one if there is none; None if there are too many."""
        key: object = tool_id if index is None else max(0, min(index, _MOST_INDEX))
        if index is None and not tool_id and not name:
            return self._last
        call = self._calls.get(key)
        if call is None or (index is None and not tool_id) or (name and call.is_other(tool_id)):
            if len(self._all) >= _MOST_CALLS:
                self.report.dropped("tool_use")
                return None
            call = self._calls[key] = _Call(tool_id)
            self._all.append(call)
        self._last = call
        return call

    def _end_calls(self) -> None:
        """End what calls hold; one that nobody has named is none."""
        for call in self._all:
            if call.index < 0:
                self.report.dropped("tool_use")
            elif call.is_custom:
                self.sink.args(call.index, '"}')
        self._all = []


def _fragment(raw: Raw) -> str:
    """Return what is added to arguments; some hosts send an object."""
    if not raw:
        return ""
    text = text_of(raw)
    return bytes(raw).decode() if text is None else text
