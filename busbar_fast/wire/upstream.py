"""The client side of one connection to an upstream.

A strand leases a connection for one request: `begin`, `write`, `read_head`, then `next_raw` or `next_part` until None.
Pieces are kept as they were received and framed only when the strand pulls them, so a body that travels on unchanged is
never copied, and a strand that does not pull stops the reading once 64 KiB wait. Leaving the `with` block gives the
connection back to its origin if the answer was read to its end, and aborts it otherwise: an exchange that is dropped
takes its upstream request with it.

It knows neither pools of models nor blame; it raises what happened (`UpstreamGone`, `UpstreamTimeout`,
`UpstreamGarbled`). Hot: perf/micro/bench_exchange.py.
"""

import asyncio
import types
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol, Self, cast

from busbar_fast.errors import BusbarError, UpstreamGarbled, UpstreamGone, UpstreamTimeout
from busbar_fast.wire.backpressure import BUFFERED, Reader, Receiver, Sink
from busbar_fast.wire.buffers import HeadBuffer
from busbar_fast.wire.framing import (
    MORE,
    Body,
    ChunkedBody,
    LengthBody,
    is_between_chunks,
    response_body_of,
    response_length,
)
from busbar_fast.wire.heads import UNTIL_CLOSE, ResponseHead, is_keep_alive
from busbar_fast.wire.limits import HIGH_WATER_BYTES, LOW_WATER_BYTES, UpstreamLimits
from busbar_fast.wire.parsers import HeadParser
from busbar_fast.wire.parsers.status import check_head_start
from busbar_fast.wire.passage import pass_framed, pass_payload
from busbar_fast.wire.passers import Passer, new_passer
from busbar_fast.wire.states import ANSWER_ENDED, ANSWER_IN, BEGIN, RELEASE, UPSTREAM_GONE, UpstreamPhase
from busbar_fast.wire.strand import PAUSE, Strand
from busbar_fast.wire.wheel import Wheel

if TYPE_CHECKING:
    from busbar_fast.wire.trail import Trail
    from busbar_fast.wire.viewing import View

_IDLE: Final[UpstreamPhase] = UpstreamPhase.IDLE
_AWAITING_HEAD: Final[UpstreamPhase] = UpstreamPhase.AWAITING_HEAD
_BODY: Final[UpstreamPhase] = UpstreamPhase.BODY
_COMPLETE: Final[UpstreamPhase] = UpstreamPhase.COMPLETE
_CLOSED: Final[UpstreamPhase] = UpstreamPhase.CLOSED


class Owner(Protocol):
    """Where a connection belongs when no strand leases it."""

    parser: HeadParser
    limits: UpstreamLimits
    wheel: Wheel
    # The last answer's head as it came, the method it answered, and what was read from it.
    last_raw_head: bytes
    last_method: bytes
    last_head: ResponseHead

    def on_free(self, upstream: "Upstream") -> None:
        """Take a connection that can serve again."""

    def on_closed(self, upstream: "Upstream") -> None:
        """Forget a connection."""


class Upstream:
    """One connection to an upstream. Fields: for the process, then the connection, then the request under way."""

    __slots__ = (
        "_body",
        "_buffered_bytes",
        "_failure",
        "_has_ended",
        "_has_interim",
        "_has_sent_all",
        "_input",
        "_is_at_chunk",
        "_is_awaited",
        "_is_spoilt",
        "_method",
        "_owner",
        "_passer",
        "_pieces",
        "_reader",
        "_strand",
        "_timer",
        "_wheel",
        "_whole",
        "chunks",
        "head",
        "heard_at",
        "is_congested",
        "is_reused",
        "is_whole",
        "phase",
        "trail",
        "transport",
        "view",
        "wait_s",
    )

    transport: asyncio.Transport

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._wheel = owner.wheel

        self.phase = _IDLE
        self.is_congested = False
        self._input = HeadBuffer()
        self._timer = owner.wheel.timer(self._on_overdue)
        self.is_reused = False

        self._strand: Strand | None = None
        self._method = b""
        self.wait_s = 0.0
        self.heard_at = 0.0  # when the current wait began or a piece last came, in the wheel's time
        # While pieces run through: what takes them, and whether the next one may be taken by its look alone.
        self._passer: Passer | None = None
        self._is_at_chunk = False
        self._is_awaited = False
        self._failure: BusbarError | None = None
        self._has_ended = False  # the peer closed in good order
        self._has_sent_all = False  # until then an answer is an early one, and the rest of the request is still owed
        self._has_interim = False
        self._is_spoilt = False  # whatever the head says, this connection must not serve again
        self.head: ResponseHead | None = None
        # Set by whoever wants the body looked at, or the last of it kept, before any of it is taken.
        self.view: View | None = None
        self.trail: Trail | None = None
        self.chunks: ChunkedBody | None = None  # where a body stands that has been passed on in the chunks it came in
        self._body: Body | None = None
        self._whole: bytes | None = None
        self.is_whole = False  # the answer has been read to its end, whatever became of the connection since
        self._pieces: deque[bytes] = deque()
        self._buffered_bytes = 0

    def __repr__(self) -> str:
        return f"<Upstream {self.phase.name} reused={self.is_reused} buffered={self._buffered_bytes}>"

    # Called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(HIGH_WATER_BYTES, LOW_WATER_BYTES)
        self._reader = Reader(self.transport)

    def data_received(self, data: bytes) -> None:
        """Take received bytes."""
        passer = self._passer
        if passer is not None:
            if not (self._is_at_chunk and passer.passes(data)):
                self._pass_any(passer.receiver, data)
                return
            self.heard_at = self._wheel.coarse
            if passer.receiver.is_congested:
                self._tell()
        elif self.phase is _BODY:
            self._add(data)
            self._tell()
        elif self.phase is _AWAITING_HEAD:
            if not self._is_repeat(data):
                self._read_head(data)
            # Less than a head is no news: a head that trickles in must not stretch the wait for it.
            if self.phase is not _AWAITING_HEAD or self._failure is not None:
                self._tell()
        else:  # nobody asked: whatever this is, it must not become the answer to the next request
            self.abort()

    def eof_received(self) -> bool:
        """The peer closed in good order; what that means depends on the framing."""
        self._has_ended = True
        self._on_gone(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over."""
        if not self._has_ended:
            self._on_gone(exc)
        self._close()

    def pause_writing(self) -> None:
        """The transport holds more than it should."""
        self.is_congested = True

    def resume_writing(self) -> None:
        """The transport has room again."""
        self.is_congested = False
        # Not from in here: the stock loop of CPython 3.11 ends a connection twice that is closed inside this call.
        self._owner.wheel.soon(self._on_room)

    def _on_room(self) -> None:
        """Let a strand go on that waits for room."""
        if not self.is_congested and self.phase is not _CLOSED:
            self._tell()

    # Called by the strand that leases the connection

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.release()

    @property
    def is_closed(self) -> bool:
        """Whether the connection is of no more use."""
        return self.phase is _CLOSED

    def begin(self, strand: Strand, method: bytes, wait_s: float) -> None:
        """Lease the connection for one request; each wait for the upstream lasts `wait_s` at most."""
        self.phase = BEGIN[self.phase]
        self._strand = strand
        self._method = method
        self.wait_s = wait_s
        self.head = self.view = self.trail = self.chunks = self._body = self._whole = None
        self._has_interim = self._has_sent_all = self.is_whole = self._is_spoilt = False
        self._timer.arm(wait_s)

    def write(self, piece: bytes, *, is_last: bool = False) -> None:
        """Send bytes of the request; on a connection that is closed by now they go nowhere.

        A connection on which no piece was the last one never serves another request.
        """
        self._has_sent_all = is_last
        if self.phase is not _CLOSED:
            self.transport.write(piece)

    async def drained(self) -> None:
        """Wait until the upstream has taken enough of what was written, or answers without waiting for the rest."""
        while self.is_congested and self.head is None:
            self._await_news()
            await PAUSE

    async def read_head(self) -> ResponseHead:
        """Wait for the head of the answer; interim answers are skipped."""
        while self.head is None:
            self._await_news()
            await PAUSE
        return self.head

    def maybe_whole(self) -> bytes | None:
        """Return the whole body, unframed, if it came together with the head; it is not given again."""
        whole, self._whole = self._whole, None
        if whole is not None and self.view is not None:
            whole = self.view.show(whole) + self.view.finish()
        return self._noted(whole)

    async def next_raw(self) -> bytes | None:
        """Return the next piece in the framing it came in, but never the last chunk or a trailer; None at the end."""
        while True:
            while self._pieces:
                piece = self._trim(self._take())
                if piece:
                    return piece
            if self._is_at_end():
                return self.maybe_whole()
            self._await_news()
            await PAUSE

    async def pour(self, sink: Sink) -> bytes:
        """Pass the body on as it comes, framing included, until its end; wait whenever the sink is congested.

        Return what is left to be passed on: of a body of known length the last piece, which says that it is whole.
        """
        while True:
            receiver = sink.maybe_receiver()
            if receiver is not None and not (self._pieces or receiver.is_congested or self._is_at_end()):
                await self._run_through(receiver)
            if sink.is_congested:
                await sink.drained()
            piece = await self.next_raw()
            if piece is None:
                return b""
            if self.is_whole and self.head is not None and self.head.length > 0:
                return piece
            sink.write_framed(piece)

    async def _run_through(self, receiver: Receiver) -> None:
        """Let pieces go straight from one transport to the other until the strand is needed again."""
        self._framing()
        self._passer = new_passer(receiver, self.view, self.trail)
        self._find_place()
        try:
            self._await_news()
            await PAUSE
        finally:
            self._passer = None

    def _pass_any(self, receiver: Receiver, piece: bytes) -> None:
        """Take the next piece, wherever it begins."""
        body = self._body
        if isinstance(body, LengthBody) and body.ends_within(len(piece)):
            self._add(piece)  # the strand decides what becomes of the last of it
            self._tell()
            return
        try:
            piece = self._trim(piece)
        except UpstreamGarbled as failure:
            self._fail(failure)
            return
        if piece:
            receiver.transport.write(piece)
        self.heard_at = self._wheel.coarse
        self._find_place()
        if self.is_whole or receiver.is_congested:
            self._tell()

    def _find_place(self) -> None:
        """Note whether the next piece may be taken as a chunk, by its look alone."""
        view = self.view
        self._is_at_chunk = is_between_chunks(self._body) and (view is None or view.is_between)

    async def next_part(self) -> bytes | None:
        """Return the next bytes of the body without their framing; None at the end."""
        while True:
            while self._pieces:
                piece = self._take()
                part, end = pass_payload(self._body or self._framing(), piece, self.view, self.trail)
                if end != MORE:
                    self._end_at(end, piece)
                if part:
                    return part
            if self._is_at_end():
                whole = self.maybe_whole()
                return whole if self.view is None else whole or self._noted(self.view.finish()) or None
            self._await_news()
            await PAUSE

    async def read_body(self, max_bytes: int) -> tuple[bytes, bool]:
        """Return the body and whether it is whole; reading stops beyond `max_bytes`."""
        parts: list[bytes] = []
        size = 0
        while (part := await self.next_part()) is not None:
            parts.append(part)
            size += len(part)
            if size > max_bytes:
                return b"".join(parts)[:max_bytes], False
        return b"".join(parts), True

    def release(self) -> None:
        """End the lease: back to the origin after a whole answer, else abort. Harmless when done already."""
        if self._strand is None:
            return
        self._strand = None
        if self.phase is _COMPLETE and self._is_reusable():
            self.phase = RELEASE[_COMPLETE]
            self.is_reused = True
            self._owner.on_free(self)
        else:
            self.abort()

    @property
    def has_answered(self) -> bool:
        """Whether any byte of an answer to this request has come."""
        return self.head is not None or not self._input.is_empty or self._has_interim

    def retire_after(self, idle_s: float) -> None:
        """Close the connection unless it is leased again in time."""
        self._timer.arm(idle_s)

    def abort(self) -> None:
        """Drop the connection and the request on it now."""
        self._close()
        self.transport.abort()

    # Within

    def _is_reusable(self) -> bool:
        """Whether another request may follow; not while a part of one that was answered early is owed or on its way."""
        head = self.head
        if head is None or not head.is_keep_alive or head.length == UNTIL_CLOSE:
            return False
        if self._is_spoilt or not self._has_sent_all:
            return False
        return not self.transport.is_closing() and self.transport.get_write_buffer_size() == 0

    def _is_repeat(self, piece: bytes) -> bool:
        """Take a piece that begins with the very head this origin sent last; say whether it does."""
        # HOT: a busy upstream sends the same head many times a second, perf/micro/bench_exchange.py, 3.11, 2026-11
        owner = self._owner
        raw = owner.last_raw_head
        if self._method != owner.last_method or not piece.startswith(raw) or not self._input.is_empty:
            return False
        head = owner.last_head
        if head.length > 0 and len(piece) == len(raw) + head.length:
            self.head = head
            self._whole = piece[len(raw) :]
            self.is_whole = True
            self.phase = ANSWER_ENDED[ANSWER_IN[self.phase]]
        else:
            self._take_head(head)
            self._take_rest(piece[len(raw) :])
        return True

    def _take_rest(self, rest: bytes) -> None:
        """Take what came together with the head; a whole body needs no framing machine."""
        if self.is_whole:
            self._is_spoilt = rest != b""
        elif self.head is not None and len(rest) == self.head.length:
            self._whole = rest
            self._complete()
        elif rest:
            self._add(rest)

    def _read_head(self, piece: bytes) -> None:
        """Parse the head once it is complete, skipping interim ones."""
        held = self._input
        try:
            while self.phase is _AWAITING_HEAD:
                raw = held.next_head(piece)
                if raw is None:
                    if len(held) + held.blank_bytes > self._owner.limits.max_header_bytes:
                        raise UpstreamGarbled("head too large")
                    check_head_start(held.peek())
                    return
                head = self._parse_head(raw)
                if head.status < 200:
                    self._has_interim = True
                else:
                    self._remember(raw, head)
                    self._take_head(head)
                piece = b""
        except UpstreamGarbled as failure:
            self._failure = failure
            return
        if not held.is_empty:
            self._take_rest(held.take(len(held)))

    def _remember(self, raw: bytes, head: ResponseHead) -> None:
        owner = self._owner
        owner.last_raw_head = raw
        owner.last_method = self._method
        owner.last_head = head

    def _take_head(self, head: ResponseHead) -> None:
        self.head = head
        self.phase = ANSWER_IN[self.phase]
        if head.length == 0:
            self._complete()

    def _parse_head(self, raw: bytes) -> ResponseHead:
        limits = self._owner.limits
        if len(raw) > limits.max_header_bytes or raw.count(b"\r\n") - 2 > limits.max_headers:
            raise UpstreamGarbled("head too large")
        status, minor, fields = self._owner.parser.response_fields(raw)
        head = ResponseHead(status, minor, fields)
        head.length = response_length(self._method, status, fields)
        head.is_keep_alive = is_keep_alive(minor, fields.get(b"connection"))
        return head

    def _add(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._buffered_bytes += len(piece)
        if self._buffered_bytes > HIGH_WATER_BYTES:
            self._reader.hold(BUFFERED)

    def _trim(self, piece: bytes) -> bytes:
        """Run a piece through the framing and return what of it may travel on: not the end, and nothing behind it."""
        body, view = self._body or self._framing(), self.view
        if isinstance(body, ChunkedBody) and (view is None or not view.is_edited):
            self.chunks = body
        passed, end = pass_framed(body, piece, view, self.trail)
        if end != MORE:
            self._end_at(end, piece)
        return passed

    def _noted(self, payload: bytes | None) -> bytes | None:
        if self.trail is not None and payload is not None:
            self.trail.note(payload)
        return payload

    def _take(self) -> bytes:
        piece = self._pieces.popleft()
        self._buffered_bytes -= len(piece)
        if self._buffered_bytes < LOW_WATER_BYTES:
            self._reader.release(BUFFERED)
        return piece

    def _framing(self) -> Body:
        if self._body is None:
            assert self.head is not None
            self._body = response_body_of(self.head.length)
        return self._body

    def _end_at(self, end: int, piece: bytes) -> None:
        """Take notice of where in a piece the body ended."""
        if end < len(piece) or self._pieces:
            self._is_spoilt = True
            self._pieces.clear()
        self._complete()

    def _is_at_end(self) -> bool:
        """Whether no more of the body can come, all pieces being taken; raise what went wrong instead of an end."""
        if self.is_whole or (self._has_ended and self._ends_at_eof()):
            return True
        if self._failure is not None:
            raise self._failure
        return False

    def _await_news(self) -> None:
        """Name ourselves as what the strand waits for; the caller awaits PAUSE next. Raise what went wrong already."""
        if self._failure is not None:
            raise self._failure
        strand = self._strand
        assert strand is not None
        self.heard_at = self._wheel.coarse
        self._is_awaited = True
        strand.source = self

    def _tell(self) -> None:
        """Let the strand go on, if it waits for us."""
        strand = self._strand
        if self._is_awaited and strand is not None:
            self._is_awaited = False
            strand.wake(self)

    def _complete(self) -> None:
        self.is_whole = True
        self.phase = ANSWER_ENDED[self.phase]

    def _fail(self, failure: BusbarError) -> None:
        """Let the strand learn what happened, after the pieces that came before."""
        if self._failure is None:
            self._failure = failure
        self._tell()

    def _on_gone(self, exc: Exception | None) -> None:
        """The peer closed or reset."""
        if self.phase is _IDLE:
            self._close()
        elif self.phase is _AWAITING_HEAD or (self.phase is _BODY and not (self._has_ended and self._ends_at_eof())):
            failure = UpstreamGone("closed in the middle of an exchange")
            failure.__cause__ = exc
            self._fail(failure)
        else:
            self._is_spoilt = True
            self._tell()

    def _ends_at_eof(self) -> bool:
        return self.head is not None and self.head.length == UNTIL_CLOSE

    def _on_overdue(self) -> None:
        if self.phase is _IDLE:
            self.abort()
            return
        # One timer serves all waits of a request: it runs on while nobody waits or something was heard meanwhile.
        left_s = self.heard_at + self.wait_s - self._wheel.coarse if self._is_awaited else self.wait_s
        if left_s > 0:
            self._timer.arm(left_s)
        else:
            self._fail(UpstreamTimeout("nothing from the upstream in time"))

    def _close(self) -> None:
        """Leave every list that knows this connection."""
        if self.phase is not _CLOSED:
            self.phase = UPSTREAM_GONE[self.phase]
            self._timer.close()
            self._owner.on_closed(self)
