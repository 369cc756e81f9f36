"""The server side of one client connection.

Theory of operation. Received bytes go to a `RequestReader`; each complete head becomes an `Exchange`, whose responder
runs at once, before any body byte is waited for. One exchange runs at a time; bytes of later requests stay bytes until
their turn, so a flood of pipelined requests costs a buffer and nothing else. Where the connection stands is a `phase`
with one table per step (`states`). Reading has one timer whose meaning follows from the phase, writing has one for
stalls.

Nothing here knows routes. What the HTTP layer refuses gets a short plain answer, then the connection lingers: our side
is shut and input is thrown away for a moment, because closing over unread input resets the connection and can destroy
the answer on its way (RFC 9112, 9.6).

Hot: perf/micro/bench_exchange.py.
"""

import asyncio
import logging
from typing import Final, cast

from busbar_fast.errors import BusbarError, ProcessEnds, Refused
from busbar_fast.wire import kernel
from busbar_fast.wire.backpressure import BUFFERED, PIPELINED, UNTAKEN, Reader
from busbar_fast.wire.exchange import CONTINUE, Exchange
from busbar_fast.wire.framing import MORE
from busbar_fast.wire.heads import REASONS, RequestHead
from busbar_fast.wire.limits import (
    BODY_FLOOR_BYTES_PER_S,
    BODY_GRACE_S,
    HIGH_WATER_BYTES,
    LINGER_BYTES,
    LINGER_S,
    LOW_WATER_BYTES,
)
from busbar_fast.wire.requests import NO_ANSWER, RequestReader
from busbar_fast.wire.service import Service
from busbar_fast.wire.states import (
    ANSWERED,
    BODY_DISCARDED,
    BODY_OWED,
    BYTES_IN,
    CLIENT_GONE,
    CLOSE,
    HEAD_IN,
    LINGER,
    AnswerPhase,
    DownstreamPhase,
)
from busbar_fast.wire.wheel import TICK_S

_log: Final = logging.getLogger("busbar_fast.wire")

_IDLE: Final[DownstreamPhase] = DownstreamPhase.IDLE
_HEAD: Final[DownstreamPhase] = DownstreamPhase.HEAD
_EXCHANGE: Final[DownstreamPhase] = DownstreamPhase.EXCHANGE
_DISCARDING: Final[DownstreamPhase] = DownstreamPhase.DISCARDING
_LINGERING: Final[DownstreamPhase] = DownstreamPhase.LINGERING
_CLOSING: Final[DownstreamPhase] = DownstreamPhase.CLOSING
_CLOSED: Final[DownstreamPhase] = DownstreamPhase.CLOSED
_DONE: Final[AnswerPhase] = AnswerPhase.DONE
_CUT: Final[AnswerPhase] = AnswerPhase.CUT
_NEXT_TURN_S: Final = -TICK_S  # the wheel's coarse time is a tick ahead
_PLAIN_TEXT: Final = b"Content-Type: text/plain; charset=utf-8\r\n"


def _spread(service: Service) -> float:
    """Return a factor of ten per cent either way, so that connections opened together do not close together."""
    return 0.9 + 0.2 * service.jitter()


class Downstream:
    """One client connection. Fields: for the process, then the connection, then the exchange."""

    __slots__ = (
        "_body_clock",
        "_closes_at",
        "_discarded_bytes",
        "_exchange",
        "_heads_waiting",
        "_input",
        "_is_pumping",
        "_peer_timer",
        "_pending_bytes",
        "_reader",
        "_received",
        "_serves_at_most",
        "_service",
        "_stall_timer",
        "_timer",
        "is_congested",
        "peer",
        "phase",
        "served",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(self, service: Service, peer: str = "", received: bytes = b"") -> None:
        self._service = service

        self.phase = _IDLE
        self.peer = peer  # the address, for logs and per-address limits
        self._received = received  # what somebody read before us
        self.served = 0
        self.is_congested = False
        self._input = RequestReader(service.limits, service.parser)
        self._heads_waiting = 0
        self._is_pumping = False
        self._closes_at = 0.0
        self._serves_at_most = 0
        self._discarded_bytes = 0
        self._pending_bytes = 0
        self._timer = service.wheel.timer(self._on_reading_overdue)
        self._stall_timer = service.wheel.timer(self._on_writing_stalled)
        self._peer_timer = service.wheel.timer(self._check_peer)

        self._exchange: Exchange | None = None
        self._body_clock = 0.0

    def __repr__(self) -> str:
        return f"<Downstream {self.peer} {self.phase.name} served={self.served}>"

    # Called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport and wait for a head."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(HIGH_WATER_BYTES, LOW_WATER_BYTES)
        self._reader = Reader(self.transport)
        service = self._service
        service.connections.add(self)
        limits = service.limits
        if limits.max_connection_age_s:
            self._closes_at = service.wheel.now() + limits.max_connection_age_s * _spread(service)
        if limits.max_requests_per_connection:
            self._serves_at_most = max(1, round(limits.max_requests_per_connection * _spread(service)))
        self._timer.arm(limits.header_read_timeout_s)
        if self._received:
            self.data_received(self._received)
            self._received = b""

    def data_received(self, data: bytes) -> None:
        """Take received bytes; what they mean follows from the phase."""
        phase = self.phase
        if phase is _IDLE:
            again = self._input.maybe_repeat(data)
            if again is None:
                self._pump(data)
            else:
                self._begin(*again)
                if self.phase is _IDLE:
                    self._timer.arm(self._service.limits.keepalive_idle_timeout_s)
        elif phase is _HEAD:
            self._pump(data)
        elif phase is _EXCHANGE or phase is _DISCARDING:
            exchange = self._exchange
            if exchange is None or exchange.has_body_ended:
                self._keep_for_later(data)
            else:
                self._feed_body(exchange, data)
        elif phase is _LINGERING:
            self._discarded_bytes += len(data)
            if self._discarded_bytes > LINGER_BYTES:
                self._close()

    def eof_received(self) -> bool:
        """Half-closed clients are not served: only so can an abandoned call be cancelled before its first byte."""
        if self.phase is _EXCHANGE:
            self._leave()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Give everything back."""
        del exc
        self._leave()

    def pause_writing(self) -> None:
        """The transport holds more than it should."""
        self.is_congested = True
        self._watch_writing()

    def resume_writing(self) -> None:
        """The transport has room again."""
        self.is_congested = False
        if self.phase is _CLOSING or self.phase is _LINGERING:  # what is left may stall as well
            self._watch_writing()
            return
        self._stall_timer.disarm()
        # Not from in here: the stock loop of CPython 3.11 ends a connection twice that is closed inside this call.
        asyncio.get_running_loop().call_soon(self._on_room)

    def _on_room(self) -> None:
        """Go on writing."""
        if self.is_congested or self.phase is _CLOSED:
            return
        if self._exchange is not None:
            self._exchange.wake(self)
        elif self.phase is _IDLE:
            self._reader.release(UNTAKEN)
            self._pump(b"")

    # Called by the exchange

    def must_close(self) -> bool:
        """Say whether the answer now beginning is to be the last."""
        service = self._service
        if service.is_leaving:
            return True
        if 0 < self._serves_at_most <= self.served:
            return True
        return self._closes_at != 0 and service.wheel.now() >= self._closes_at

    def on_body_wanted(self) -> None:
        """Invite the body of a client that waits for a word."""
        exchange = self._exchange
        assert exchange is not None
        if exchange.head.expects_continue and not exchange.has_continued and not exchange.has_begun:
            exchange.has_continued = True
            if exchange.body_bytes == 0:
                self.transport.write(CONTINUE)
            self._restart_body_clock(exchange)

    def on_body_taken(self) -> None:
        """Read on, if reading was held because nobody took the body."""
        if self._reader.is_held and self._exchange is not None:
            self._reader.release(BUFFERED)
            self._restart_body_clock(self._exchange)

    def on_exchange_over(self, exchange: Exchange, error: BaseException | None) -> None:
        """Go on to the next request, or end the connection."""
        self._service.in_flight -= 1
        if self.phase is _CLOSED:
            return
        if error is not None or (exchange.phase is not _DONE and exchange.phase is not _CUT):
            self._mend(exchange, error)
        if exchange.phase is _CUT:
            self._exchange = None
            self._close()
        elif exchange.closes:
            self._exchange = None
            # Who learns of an end by the end alone must not wait for it where one side cannot be shut by itself (TLS).
            self._end(lingers=self.transport.can_write_eof() or not exchange.ends_by_close)
        elif exchange.has_body_ended:
            self._exchange = None
            self.phase = ANSWERED[self.phase]
            if self._is_pumping:
                return
            if self._input.held.is_empty and not self.is_congested:
                self._timer.arm(self._service.limits.keepalive_idle_timeout_s)
            else:
                self._pump(b"")
        else:
            self.phase = BODY_OWED[self.phase]
            self._reader.release(BUFFERED)
            self._restart_body_clock(exchange)

    # Requests

    def _pump(self, piece: bytes) -> None:
        """Start exchanges from the bytes held and a piece more, until one of them waits or the bytes run out."""
        if self._is_pumping:
            return
        self._is_pumping = True
        try:
            while self.phase is _IDLE or self.phase is _HEAD:
                if self.is_congested:  # who does not take the answers asks no further
                    self._input.held.feed(piece)
                    self._hold(UNTAKEN)
                    return
                head = self._input.next_head(piece)
                if head is None:
                    self._await_head()
                    return
                self._begin(head, b"" if head.length == 0 else None)
                piece = b""
            if self.phase is _EXCHANGE:
                self._heads_waiting = 0
                self._weigh_held(len(self._input.held))
        except Refused as refusal:
            self._refuse(refusal)
        finally:
            self._is_pumping = False

    def _await_head(self) -> None:
        """Set the timer for a head that has begun, or for the quiet between requests."""
        limits = self._service.limits
        self._heads_waiting = 0
        self._reader.release(PIPELINED)
        if not self._input.held.is_empty:
            if self.phase is _IDLE:
                self.phase = BYTES_IN[self.phase]
                if self.served:  # the first head is timed from the accept
                    self._timer.arm(limits.header_read_timeout_s)
        elif self.served:
            self._timer.arm(limits.keepalive_idle_timeout_s)

    def _begin(self, head: RequestHead, whole: bytes | None) -> None:
        """Start the exchange of a head; `whole` is its body, if all of it is known."""
        service = self._service
        self.phase = HEAD_IN[self.phase]
        self.served += 1
        service.requests += 1
        self._timer.disarm()
        exchange = self._exchange = Exchange(
            self, service.wheel, service.heads, head, service.limits.request_body_max_bytes, whole
        )
        if whole is None and not self._has_begun_body(exchange):
            return
        service.in_flight += 1
        exchange.run(service.respond(exchange))

    def _has_begun_body(self, exchange: Exchange) -> bool:
        """Feed what came with the head, and time what is still to come; return False if that ended the exchange."""
        held = self._input.held
        length = exchange.head.length
        if not held.is_empty:
            self._feed_body(exchange, held.take(length if length > 0 else len(held)))
        elif not exchange.head.expects_continue:
            self._time_body(exchange)
        if not exchange.has_body_ended:
            self._heads_waiting = 0
            self._reader.release(PIPELINED)
        return self._exchange is exchange

    def _keep_for_later(self, piece: bytes) -> None:
        """Hold bytes of later requests."""
        self._input.held.feed(piece)
        self._weigh_held(len(piece))

    def _weigh_held(self, new_bytes: int) -> None:
        """Count the requests that end in the newest bytes held; read on unless enough of them wait."""
        held = self._input.held
        if new_bytes:
            self._heads_waiting += held.count_new_heads(new_bytes)
        if self._heads_waiting > self._service.limits.max_pipelined_requests or len(held) > HIGH_WATER_BYTES:
            self._hold(PIPELINED)
        else:
            self._reader.release(PIPELINED)

    def _feed_body(self, exchange: Exchange, piece: bytes) -> None:
        is_first = exchange.body_bytes == 0
        try:
            end = exchange.feed_body(piece)
        except Refused as refusal:
            self._give_up(refusal)
            return
        if is_first and end == MORE:
            self._restart_body_clock(exchange)
        if end != MORE:
            self._timer.disarm()
            if end < len(piece):
                self._keep_for_later(piece[end:])
            if self.phase is _DISCARDING:
                self._exchange = None
                self.phase = BODY_DISCARDED[self.phase]
                self._pump(b"")
                return
        elif self.phase is _DISCARDING:
            if exchange.is_body_too_large:
                self._end(lingers=True)
            else:
                self._time_body(exchange)
            return
        elif exchange.buffered_bytes > HIGH_WATER_BYTES:
            self._timer.disarm()
            self._hold(BUFFERED)
        else:
            self._time_body(exchange)
        exchange.wake(exchange)

    # Time

    def _restart_body_clock(self, exchange: Exchange) -> None:
        """Start the grace and the floor afresh: time in which we did not read is not the client's."""
        self._body_clock = self._service.wheel.now() - exchange.body_bytes / BODY_FLOOR_BYTES_PER_S
        self._time_body(exchange)

    def _time_body(self, exchange: Exchange) -> None:
        """Arm for the next body byte: the gap, or the moment the throughput falls below the floor."""
        left_s = self._service.limits.request_body_read_timeout_s
        if exchange.body_bytes:
            floor_at = self._body_clock + BODY_GRACE_S + exchange.body_bytes / BODY_FLOOR_BYTES_PER_S
            left_s = min(left_s, floor_at - self._service.wheel.now())
        self._timer.arm(left_s)

    def _on_reading_overdue(self) -> None:
        phase = self.phase
        if phase is _HEAD and self.served and not self._input.held:
            self._close()  # nothing but an empty line, which some clients send behind a body
        elif phase is _HEAD or (phase is _IDLE and not self.served):
            self._refuse(Refused(408, "no complete head in time"))
        elif phase is _EXCHANGE:
            self._give_up(Refused(408, "no complete body in time"))
        elif phase is _LINGERING or phase is _IDLE or phase is _DISCARDING:
            self._close()

    def _watch_writing(self) -> None:
        self._pending_bytes = self._count_pending()
        self._stall_timer.arm(self._service.limits.write_stall_timeout_s)

    def _on_writing_stalled(self) -> None:
        """Abort a client that has taken nothing since the timer was armed; wait on for one that took anything."""
        pending = self._count_pending()
        if 0 < self._pending_bytes <= pending:
            _log.debug("write stall, %d bytes pending for %s", pending, self.peer)
            self._leave()
        elif pending:
            self._watch_writing()

    def _count_pending(self) -> int:
        sock = self.transport.get_extra_info("socket")
        unacknowledged = 0 if sock is None else kernel.count_unacknowledged(sock)
        return self.transport.get_write_buffer_size() + unacknowledged

    def _hold(self, reason: int) -> None:
        """Stop reading, but keep an eye on the peer: an abandoned request must still be noticed."""
        self._reader.hold(reason)
        self._peer_timer.arm(_NEXT_TURN_S)

    def _check_peer(self) -> None:
        if self._reader.is_held and self.phase is not _CLOSED:
            sock = self.transport.get_extra_info("socket")
            if sock is None or not kernel.has_peer_closed(sock):
                self._peer_timer.arm(_NEXT_TURN_S)
            elif self.phase is _EXCHANGE:
                self._leave()
            elif self.phase is _IDLE:
                self._close()

    # Ends

    def _mend(self, exchange: Exchange, error: BaseException | None) -> None:
        """Answer for a responder that failed or forgot to, as far as an answer is still possible."""
        if isinstance(error, BusbarError):
            _log.debug("exchange failed: %s", error)
            status = error.status
        else:
            _log.error("responder failed", exc_info=error or RuntimeError("no answer was given"))
            status = 500
        if exchange.phase is AnswerPhase.PENDING:
            exchange.reply(status, _PLAIN_TEXT, REASONS.get(status, "Error").encode())
        elif exchange.phase is not _DONE and exchange.phase is not _CUT:
            exchange.cut()

    def _give_up(self, refusal: Refused) -> None:
        """Refuse a request whose body is bad or late; what was begun for it is undone first."""
        exchange, self._exchange = self._exchange, None
        assert exchange is not None
        if not exchange.is_over:
            self._service.in_flight -= 1
            exchange.close()
        if exchange.phase is AnswerPhase.PENDING:
            self._refuse(refusal)
        elif self.phase is _DISCARDING:
            self._close()
        else:
            self._leave()

    def _refuse(self, refusal: Refused) -> None:
        """Answer what is not trustworthy enough for anything but a short plain text, and end the connection."""
        service = self._service
        status = refusal.status
        service.count_refusal(status)
        _log.debug("refused %s: %s", self.peer, refusal)
        if status == NO_ANSWER:
            self._close()
            return
        text = f"{refusal}\n".encode()
        allow = b"Allow: GET, HEAD, POST\r\n" if status == 405 else b""  # RFC 9110, 15.5.6
        framing = b"Content-Length: %d\r\n" % len(text)
        self.transport.write(service.heads.encode(status, _PLAIN_TEXT + allow, framing, close=True) + text)
        self._end(lingers=True)

    def _end(self, *, lingers: bool) -> None:
        """End the connection after what was written; linger while the client may still be sending."""
        if not lingers:
            self._close()
            return
        self.phase = LINGER[self.phase]
        self._exchange = None
        self._input.held.take(len(self._input.held))
        self._reader.release(BUFFERED | PIPELINED)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._timer.arm(LINGER_S)
        if self.transport.get_write_buffer_size():
            self._watch_writing()

    def _close(self) -> None:
        """Close once everything written has left; a client that does not take it is cut off."""
        self.phase = CLOSE[self.phase]
        self._timer.disarm()
        self.transport.close()
        if self.transport.get_write_buffer_size():
            self._watch_writing()

    def _leave(self) -> None:
        """The connection is gone or given up: undo the exchange now, abort the transport, free the timers."""
        if self.phase is _CLOSED:
            return
        self.phase = CLIENT_GONE[self.phase]
        self._timer.close()
        self._stall_timer.close()
        self._peer_timer.close()
        self.transport.abort()
        self._service.connections.discard(self)
        self._service.on_connection_closed(self)
        exchange, self._exchange = self._exchange, None
        if exchange is not None and not exchange.is_over:
            self._service.in_flight -= 1
            exchange.close()

    def close_if_idle(self) -> None:
        """Close at once when no request is under way or has arrived unread; called when the process drains."""
        if self.phase is _IDLE and not kernel.has_unread(self.transport.get_extra_info("socket")):
            self._close()

    def cut_short(self) -> None:
        """End what is under way, an exchange with a last word of its own; called when the time for draining is over."""
        exchange = self._exchange
        if self.phase is _EXCHANGE and exchange is not None:
            exchange.closes = True
            exchange.interrupt(ProcessEnds("the time for draining is over"))
        elif self.phase is not _LINGERING and self.phase is not _CLOSING:
            self._close()

    def cut(self) -> None:
        """Cut whatever is under way now, whatever is lost by it."""
        self._leave()
