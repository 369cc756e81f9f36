"""A good answer of a lane on its way to the client: under which head, in which frame, and how it ends.

An `Answer` is the umpire of its relay. It lets the answer begin once the first event of a stream shows that it is one;
the lane has succeeded at that moment, whatever becomes of the rest. It hears of the end before the client does: a
stream that stops without saying that it is complete, or breaks off, gets an end in the client's dialect. What streams
hold is looked at in two ways. Mostly the last of it is kept and read when it is over. Where tokens are counted, or
events can only be told apart from the beginning on, a watch sees them as they pass.
"""

import re
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple, Protocol

from busbar_fast.dialects.dialect import Dialect, Ending, Reframer, StreamFault, Usage, Watch
from busbar_fast.dialects.faults import Fault, Kind
from busbar_fast.errors import BusbarError, ProcessEnds, Side, UpstreamGarbled
from busbar_fast.gateway.replies import JSON, id_line
from busbar_fast.gateway.requests import Request
from busbar_fast.wire.coding import coding_of
from busbar_fast.wire.decoded import Decoded
from busbar_fast.wire.heads import ResponseHead, encode_fields, end_to_end, select_fields
from busbar_fast.wire.relay import HELD_BYTES, end_broken, relay, relay_parts, relay_whole
from busbar_fast.wire.repeated import sole_value
from busbar_fast.wire.states import AnswerPhase
from busbar_fast.wire.trail import Trail
from busbar_fast.wire.upstream import Upstream
from busbar_fast.wire.viewing import Editor, Onlooker, View

if TYPE_CHECKING:
    from busbar_fast.dialects.estimating import Estimator

_OK: Final = 200
_EVENT_STREAM: Final = b"text/event-stream"
_JSON_WORD: Final = b"json"
_FRAMED: Final = (b"",)  # the ends of events whose heads say how long they are
_EVENT_ENDS: Final[tuple[bytes, ...]] = (b"\n\n", b"\r\n\r\n")
# An error, or a word of one; that there is none says nothing.
_find_fault_sign: Final = re.compile(rb'rror(?!" ?: ?null)').search
_EVENT_LINES: Final[tuple[bytes, ...]] = (b"data", b"event")  # how the first line of an event begins
_find_event_line: Final = re.compile(rb"^(?:\xef\xbb\xbf)?(?:data|event)", re.MULTILINE).search
_find_block: Final = re.compile(rb"\r?\n\r?\n|^\r?\n").search  # the end of the next, or an empty line in front
_SILENT_BYTES: Final = HELD_BYTES // 4  # a stream may go on after so much that tells nothing: it is not held back
_LAST_WORDS: Final[tuple[bytes, ...]] = (b"}", b"[DONE]")  # with which the last line of a whole event ends
# When it makes sense in most dialects to say when to come back, and the header fields that say so.
_PASSING: Final = frozenset((429, 503, 529))
_WHEN_AGAIN: Final = frozenset((b"retry-after", b"retry-after-ms"))
MOST_BYTES: Final = 32 * 1024 * 1024  # of a document that is put into another frame

_BROKEN: Final = Fault(Kind.INTERNAL)

Source = Upstream | Decoded


class _Relayed(NamedTuple):
    """What of one head is passed on in one dialect; lanes of several may share an origin and its heads."""

    dialect: Dialect
    lines: bytes
    has_id: bool
    coding: bytes


def relayed_fields(answer: ResponseHead, dialect: Dialect) -> tuple[bytes, bytes]:
    """Return the header lines of an upstream's answer that the client gets, and how its body is coded, if it is.

    An answer without an id, or with several, gets one of ours.
    Raise UpstreamGarbled if the body is coded in a way that nobody can undo, so that no client could read it.
    """
    memo = answer.memo
    if not isinstance(memo, _Relayed) or memo.dialect is not dialect:
        coding = coding_of(answer.fields)
        fields = end_to_end(answer.fields)
        says_when = dialect.says_when_at_any_status or answer.status in _PASSING
        relayed = [name for name in dialect.relayed if says_when or name not in _WHEN_AGAIN]
        raw_id = sole_value(fields, dialect.id_field)
        lines = select_fields(fields, relayed) + encode_fields([(dialect.id_field, raw_id)] if raw_id else ())
        memo = answer.memo = _Relayed(dialect, lines, bool(raw_id), coding)
    return memo.lines if memo.has_id else memo.lines + id_line(dialect), memo.coding


def unpacked(upstream: Upstream, coding: bytes, *, in_stream: bool) -> Source:
    """Return where the body of an answer is to be read that may be packed."""
    return Decoded(upstream, coding, 0 if in_stream else MOST_BYTES) if coding else upstream


class StreamFailed(BusbarError):
    """The first event of a stream is an error: nothing is out yet, so another lane may do better."""

    def __init__(self, fault: StreamFault, fields: bytes, begun: bytes) -> None:
        super().__init__("a stream began with an error")
        self.side = Side.UPSTREAM
        self.status = 502
        self.fault = fault
        self.fields = fields
        self.begun = begun  # what there is of the stream, as the client would get it


class Answer:
    """See the module. `begin_well` is called when the lane has succeeded; `fault` and `has_stopped` say how it ended.

    `refuses` says of an error in the first event whether another lane should be asked; then `StreamFailed` is raised.
    `count` takes what the answer used, if that is wanted.
    """

    stopped_by: ClassVar[str] = "upstream"
    __slots__ = (
        "_begin_well",
        "_content_type",
        "_estimator",
        "_count",
        "_ending",
        "_fields",
        "_is_events",
        "_first",
        "_first_bytes",
        "_head",
        "_reframer",
        "_refuses",
        "_request",
        "_source",
        "_trail",
        "_view",
        "_watch",
        "fault",
        "has_stopped",
    )

    def __init__(
        self,
        request: Request,
        source: Source,
        head: ResponseHead,
        fields: bytes,
        *,
        begin_well: Callable[[], None],
        refuses: Callable[[StreamFault], bool],
        count: Callable[[Usage], None],
    ) -> None:
        self._count = count
        self._request = request
        self._source = source
        self._head = head
        self._fields = fields
        self._begin_well = begin_well
        self._refuses = refuses
        self._content_type = head.fields.get(b"content-type", b"")
        self._is_events = self._content_type.lower().startswith(_EVENT_STREAM)
        self._first = b""
        self._first_bytes = 0  # with all that stood in front of it
        self._reframer: Reframer | None = None
        self._trail: Trail | None = None
        self._watch: Watch | None = None
        self._ending: Ending | None = None
        self._estimator: Estimator | None = None
        self._view: View | None = None
        self.fault: StreamFault | None = None  # that the stream reported
        self.has_stopped = False  # without saying that it is complete

    keepalive_s = 0.0  # a stream passes as it came, unless somebody wants it otherwise

    @property
    def is_between(self) -> bool:
        """Whether what the client has of an event stream ends with a whole event."""
        if not self._is_events or self._reframer is not None:
            return False
        if self._trail is not None:
            return self._trail.payload().endswith(_EVENT_ENDS)
        return self._view is not None and self._view.is_between

    async def give(self) -> None:
        """Give the client the answer. Raise what the upstream did wrong if nothing but a cut connection can tell it."""
        request = self._request
        is_stream = request.in_stream and self._head.status == _OK
        reframer = request.dialect.new_reframer(request.ask) if is_stream else None
        with self:
            if reframer is not None:
                await self._give_reframed(reframer)
                return
            self._look(request.dialect, is_stream=is_stream)
            try:
                await self._relay()
            except BusbarError as error:
                is_out = request.exchange.phase is AnswerPhase.STREAMING
                is_ended = is_out and breaks_off(error) and self._has_ended_broken()
                if not is_ended or (self.has_stopped and error.side is Side.OURS):
                    raise

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        """Count what was used, also if a client or the process leaves; nobody pays for what broke off."""
        is_left = kind is GeneratorExit or kind is ProcessEnds
        if not (self._request.is_metered and self._request.exchange.has_begun) or (error is not None and not is_left):
            return
        usage, watch = self._maybe_usage(), self._watch
        if is_left and usage is None and self._estimator is not None:
            self._count(Usage(0, self._estimator.tokens))
        if usage is not None and watch is not None and watch.fault is None and (is_left or watch.has_ended):
            self._count(usage)

    # What the relay asks

    def has_enough(self, payload: bytes) -> bool:
        """Wait for the end of the first event of a stream; comments are none."""
        if not self._is_stream():
            return True
        first = self._first + payload
        self._first_bytes += len(payload)
        if self._ends() == _FRAMED:
            self._first = first
            return len(first) >= 4 and len(first) >= int.from_bytes(first[:4], "big")
        first = self._first = first if first.startswith(_EVENT_LINES) else _without_comments(first)
        return any(first.find(end) >= 0 for end in _EVENT_ENDS)

    def begin(self) -> None:
        """Begin, unless the first event is an error that another lane may spare the client."""
        first = self._first
        if not first and self._first_bytes < _SILENT_BYTES and (self._is_stream() or self._reframer is not None):
            raise UpstreamGarbled("a stream without an event")
        if _find_fault_sign(first) or self._ends() == _FRAMED:
            watch = self._request.dialect.new_watch(self._content_type)
            watch.feed(first)
            if watch.fault is not None and self._refuses(watch.fault):
                begun = first if self._reframer is None else self._reframer.whole(watch.fault.payload)
                raise StreamFailed(watch.fault, self._fields, begun)
        self._begin_well()

    def last_words(self) -> bytes | None:
        """Return the end of a stream that stopped without one. Raise if none can be made that is worth the name."""
        if not self._is_stream() or self._is_complete(is_broken=False):
            return None
        self.has_stopped = True
        words = self._encode_break()
        if words is None:
            raise UpstreamGarbled("a stream stopped inside an event whose beginning is gone")
        return words

    # Within

    async def _relay(self) -> None:
        exchange, source, status = self._request.exchange, self._source, self._head.status
        is_json = _JSON_WORD in self._content_type or not self._request.ask.action  # many forget to say so
        if not self._request.in_stream and not self._is_events and is_json:
            await relay_whole(source, exchange, status, self._fields, self)
        elif isinstance(source, Upstream):
            await relay(source, exchange, status, self._fields, self)
        else:
            await relay_parts(source, exchange, status, self._fields, self)

    def _maybe_usage(self) -> Usage | None:
        """Return what the answer used, as far as it was looked at and told."""
        if self._view is not None:
            self._view.settle()
        return None if self._watch is None else self._watch.maybe_usage()

    def _is_stream(self) -> bool:
        return self._trail is not None or self._ending is not None

    def _ends(self) -> tuple[bytes, ...]:
        return () if self._watch is None else self._watch.ends

    def _look(self, dialect: Dialect, *, is_stream: bool) -> None:
        """Have looked at what passes, as far as anybody wants to know."""
        request, source = self._request, self._source
        if is_stream and not request.is_metered and self._is_events:
            self._trail = source.trail = Trail(*_EVENT_ENDS)
            return
        if not is_stream and not (request.is_metered and self._head.status == _OK):
            return
        if request.ask.action and self._is_events:
            return  # of a kind that nobody here can read
        watch = self._watch = dialect.new_watch(self._content_type)
        if not watch.ends and not request.is_metered:
            return  # a document, where a stream was asked for
        ending = self._ending = dialect.new_ending(request.ask) if watch.ends else None
        stripper = dialect.new_stripper() if request.usage_edits is not None and self._is_events else None
        self._estimator = _new_estimator(dialect) if request.is_estimated and ending is not None else None
        seen = watch if self._estimator is None else _Both(watch, self._estimator)
        if ending is None:
            view = View(seen, stripper)
        elif stripper is None:
            view = View(_Both(seen, ending))
        else:
            view = View(seen, _Noted(stripper, ending))
        if self._estimator is not None:
            view.sign = b""  # what counts stands everywhere
        self._view = source.view = view

    def _is_complete(self, *, is_broken: bool) -> bool:
        """Whether the stream has said that it is complete, or why it is not; keep its fault.

        Behind that a stream may end anywhere, but not break off in the middle of an event. An event that is half there
        says nothing; but many leave out the empty line behind the last one.
        """
        watch = self._watch
        if self._trail is not None:
            tail = self._trail.payload()
            if not is_broken and _find_fault_sign(tail) is None and self._ends_well(tail):
                return True
            watch = self._watch = self._request.dialect.new_watch(self._content_type)
            at = _event_end(tail, len(tail))
            watch.feed(tail[:at])
            if is_broken or (not _says_end(watch) and tail.rstrip().endswith(_LAST_WORDS)):
                watch.feed(tail[at:])
        elif self._view is not None:
            self._view.settle()
        assert watch is not None  # it is a stream
        if is_broken and not watch.is_between:
            return False
        self.fault = watch.fault
        return _says_end(watch)

    def _ends_well(self, tail: bytes) -> bool:
        """Whether the last event, if it is whole, says that the stream is complete; then no other has to be read."""
        # HOT: 0.7 ms in place of 2.5 for a stream that counts tokens in each event, perf/pairs.py, 3.11, 2026-11
        dialect = self._request.dialect
        if dialect.last_event and tail.endswith(dialect.last_event):
            return True
        end = _event_end(tail, len(tail))
        if end != len(tail):
            return False
        watch = dialect.new_watch(self._content_type)
        watch.feed(tail[_event_end(tail, end - 1) :])
        return watch.has_ended

    def _encode_break(self) -> bytes | None:
        if self._trail is not None:
            tail = self._trail.payload()
            if self._trail.is_full and not any(tail.find(end) >= 0 for end in _EVENT_ENDS):
                return None  # where the event began that broke off is not known any more
            ending = self._ending = self._request.dialect.new_ending(self._request.ask)
            if self._trail.is_full:
                ending.feed(self._first)  # where a stream says its name
            ending.feed(tail)
        assert self._ending is not None  # it is a stream
        return self._ending.encode_break(self._maybe_usage())

    def _has_ended_broken(self) -> bool:
        """End a stream natively that broke off; return False if only a cut connection can tell its client."""
        if not self._is_stream():
            return False
        self.has_stopped = not self._is_complete(is_broken=True)
        last = self._encode_break() if self.has_stopped else b""
        filler = b"" if self._ends() == _FRAMED else b"\n"
        return last is not None and end_broken(self._source, self._request.exchange, last, filler)

    async def _give_reframed(self, reframer: Reframer) -> None:
        """Give the client the upstream's stream in the frame that was asked for."""
        request, source, exchange = self._request, self._source, self._request.exchange
        self._reframer = reframer
        fields = self._fields = JSON + id_line(request.dialect) + request.own_lines
        watch = self._watch = request.dialect.new_watch(self._content_type)
        if not self._is_events:
            document, is_whole = await source.read_body(MOST_BYTES)
            if not is_whole or not document:
                raise UpstreamGarbled("a document larger than any request may be" if document else "an empty document")
            watch.feed(document)
            self._begin_well()
            exchange.reply(self._head.status, fields, reframer.whole(document))
            return
        try:
            while (part := await source.next_part()) is not None:
                watch.feed(part)
                if not (shown := reframer.feed(part)):
                    continue
                if exchange.phase is AnswerPhase.PENDING:  # there is something: until now another lane could answer
                    self._first = part
                    self.begin()
                    exchange.start(self._head.status, fields)
                exchange.write(shown)
                if exchange.is_congested:
                    await exchange.drained()
        except BusbarError as error:
            if not (breaks_off(error) and exchange.has_begun):
                raise
            self.has_stopped = True
            exchange.write(reframer.fail(_BROKEN))
            exchange.finish()
            if error.side is Side.OURS:
                raise
            return
        if exchange.phase is AnswerPhase.PENDING:
            self.begin()
            exchange.start(self._head.status, fields)
        self.fault = watch.fault
        self.has_stopped = self.fault is None and not watch.has_ended
        exchange.write(reframer.fail(_BROKEN) if self.has_stopped else reframer.finish())
        exchange.finish()


def _without_comments(first: bytes) -> bytes:
    """Return the beginning of a stream without the blocks in front of its first event, which tell nothing."""
    at = 0
    while (end := _find_block(first, at)) is not None and not _find_event_line(first, at, end.end()):
        at = end.end()
    return first[at:]


def breaks_off(error: BusbarError) -> bool:
    """Say whether a stream that has begun is to be ended natively for it; one of the two is nobody's fault but ours."""
    return error.side is Side.UPSTREAM or isinstance(error, ProcessEnds)


def _event_end(tail: bytes, before: int) -> int:
    """Return where the last event ends that ends before this place, 0 if none does."""
    return max(tail.rfind(end, 0, before) + len(end) if tail.find(end, 0, before) >= 0 else 0 for end in _EVENT_ENDS)


def _says_end(watch: Watch) -> bool:
    return watch.fault is not None or watch.has_ended


def _new_estimator(dialect: Dialect) -> "Estimator":
    """Return what guesses how much a stream has said."""
    from busbar_fast.dialects.estimating import Estimator  # noqa: PLC0415  brings the neutral model

    return Estimator(dialect)


class _Feeder(Protocol):
    """Looks at payload as well."""

    def feed(self, piece: bytes) -> None:
        """Look at the next payload."""


class _Both:
    """Two that look at the same stream; the first says how it is cut."""

    __slots__ = ("_other", "_watch", "ends", "sign", "unit_head")

    def __init__(self, watch: Onlooker, other: _Feeder) -> None:
        self._watch = watch
        self._other = other
        self.sign = watch.sign
        self.ends = watch.ends
        self.unit_head = watch.unit_head

    @property
    def is_between(self) -> bool:
        """Whether the next byte begins an event."""
        return self._watch.is_between

    def feed(self, piece: bytes) -> None:
        """Show both the next payload."""
        self._watch.feed(piece)
        self._other.feed(piece)


class _Noted:
    """An editor whose client is sent a stream that can be ended: only what comes out is the beginning of its end.

    What passes without being shown are whole events, behind which a stream stands where it stood before.
    """

    __slots__ = ("_editor", "_ending", "maybe_edit", "signs")

    def __init__(self, editor: Editor, ending: Ending) -> None:
        self._editor = editor
        self._ending = ending
        self.signs = editor.signs
        self.maybe_edit = editor.maybe_edit

    @property
    def is_between(self) -> bool:
        """Whether nothing is held back."""
        return self._editor.is_between

    def feed(self, piece: bytes) -> bytes:
        """Return what goes out of the next payload."""
        shown = self._editor.feed(piece)
        self._ending.feed(shown)
        return shown

    def finish(self) -> bytes:
        """Return what was held back."""
        shown = self._editor.finish()
        self._ending.feed(shown)
        return shown
