"""An upstream's stream: events that count contents and calls apart."""

from typing import Final

from msgspec import Raw

from busbar_fast.dialects.call_arguments import args_text
from busbar_fast.dialects.cohere.translation.citations import read_citation
from busbar_fast.dialects.cohere.translation.content_reader import read_call
from busbar_fast.dialects.cohere.translation.stops import FAILURES, stop_of
from busbar_fast.dialects.cohere.translation.usages import read_usage
from busbar_fast.dialects.members import Members, first_of, is_object, object_of, read_object, text_of
from busbar_fast.dialects.stream_reading import SseReader
from busbar_fast.ir.answers import TokenLogprob
from busbar_fast.ir.events import Kind, Sink
from busbar_fast.ir.report import Report

_DONE: Final = b"[DONE]"
_MOST: Final = 4096


class StreamReader(SseReader):
    """See the module. `_open` is the content that grows, with its kind; `_calls` are the blocks of calls by index."""

    __slots__ = ("_calls", "_contents", "_kind", "_next", "_open")

    def __init__(self, sink: Sink, report: Report) -> None:
        super().__init__(sink, report)
        self._next = 0
        self._open = -1
        self._kind = Kind.TEXT
        self._contents: dict[int, int] = {}  # blocks by the index of their content
        self._calls: dict[int, int] = {}

    def read_event(self, name: bytes, payload: bytes) -> None:
        if payload == _DONE:
            return
        members = read_object(payload)
        kind = members.maybe_text("type") or name.decode("latin-1")
        delta = members.maybe_object("delta") or Members({})
        message = delta.maybe_object("message") or Members({})
        index = members.integer("index")
        at = max(0, min(index or 0, _MOST))
        if kind in ("content-delta", "content-start"):
            self._content(kind, at, message)
            self._logprobs(members.raw("logprobs"), at)
        elif kind == "content-end":
            self._end_content()
        elif kind == "tool-plan-delta":
            self._say(Kind.TEXT, message.maybe_text("tool_plan") or "", at=None)
        elif kind == "tool-call-start":
            self._start_call(at, message)
        elif kind == "tool-call-delta":
            self._grow_call(at, message)
        elif kind == "tool-call-end":
            if at in self._calls:
                self.sink.close(self._calls[at])
        elif kind == "citation-start":
            self._cite(message)
        elif kind == "message-start":
            self.sink.start(message.maybe_text("model") or members.maybe_text("model") or "")
        elif kind == "message-end":
            self._finish(payload, delta)

    def _content(self, kind: str, at: int, message: Members) -> None:
        """Begin a content or add to it; what it is made of comes in several forms."""
        raw = message.raw("content")
        if kind == "content-start":
            self._end_content()
        pieces = [raw] if first_of(raw) != b"[" else Members({"": raw}).maybe_items("") or []
        for piece in pieces:
            if not piece:
                continue
            text = text_of(piece)
            if text is not None:
                self._say(Kind.TEXT, text, at)
            elif is_object(piece):
                part = object_of(piece, "content")
                thought = part.maybe_text("thinking")
                if thought is not None:
                    self._say(Kind.THINKING, thought, at)
                else:
                    self._say(Kind.TEXT, part.maybe_text("text") or "", at)

    def _say(self, kind: Kind, text: str, at: int | None) -> None:
        """Add to the content that grows, or begin the one that does from now on."""
        if self._open < 0 or kind is not self._kind:
            self._end_content()
            self._open, self._kind = self._next, kind
            self._next += 1
            self.sink.open(self._open, kind)
        if at is not None:
            self._contents[at] = self._open
        if not text:
            return
        if kind is Kind.TEXT:
            self.sink.text(self._open, text)
        else:
            self.sink.thinking(self._open, text)

    def _end_content(self) -> None:
        if self._open >= 0:
            self.sink.close(self._open)
            self._open = -1

    def _logprobs(self, raw: Raw, at: int) -> None:
        if not is_object(raw):
            return
        piece = object_of(raw, "logprobs")
        likely = piece.maybe_items("logprobs") or []
        if len(likely) == 1 and at in self._contents:
            self.sink.logprobs(self._contents[at], [TokenLogprob(piece.maybe_text("text") or "", likely[0])])

    def _call_in(self, message: Members) -> Members:
        """Return the one call that an event is about, which some write as a list."""
        raw = message.raw("tool_calls")
        if first_of(raw) == b"[":
            items = Members({"": raw}).maybe_items("") or []
            raw = items[0] if items else Raw()
        return object_of(raw, "tool_calls") if is_object(raw) else Members({})

    def _start_call(self, at: int, message: Members) -> None:
        self._end_content()
        if at in self._calls:
            return
        call = read_call(self._call_in(message))
        index = self._calls[at] = self._next
        self._next += 1
        self.sink.open(index, Kind.TOOL_USE, call.id, call.name)
        arguments = args_text(call)
        if arguments != "{}":
            self.sink.args(index, arguments)

    def _grow_call(self, at: int, message: Members) -> None:
        function = self._call_in(message).maybe_object("function")
        if at in self._calls and function is not None:
            self.sink.args(self._calls[at], function.maybe_text("arguments") or "")

    def _cite(self, message: Members) -> None:
        raw = message.raw("citations")
        if is_object(raw):
            at, citation = read_citation(raw)
            index = self._contents.get(0 if at is None else at, max(self._contents.values(), default=-1))
            if index >= 0:
                self.sink.citations(index, [citation])

    def _finish(self, payload: bytes, delta: Members) -> None:
        word = delta.maybe_text("finish_reason") or ""
        self.has_ended = True
        if word in FAILURES and delta.maybe_text("error"):
            self.sink.fail("message-end", payload)
        else:
            self.sink.finish(stop_of(word), read_usage(delta.maybe_object("usage")))
