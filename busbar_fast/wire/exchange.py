"""One request and its answer, as the responder sees them.

An exchange is a strand whose coroutine is the responder. It reads the request's body, writes the answer, and is closed
by its connection when the client leaves, wherever the responder waits. It knows neither routes nor upstreams. The head
of an answer waits for the first body bytes so that both leave in one write.

Hot: perf/micro/bench_exchange.py.
"""

import asyncio
from typing import Final, Protocol

from busbar_fast.errors import BodyTooLarge, LengthBroken
from busbar_fast.wire.framing import LAST_CHUNK, MORE, Body, encode_chunk, request_body_of
from busbar_fast.wire.heads import CHUNKED, UNTIL_CLOSE, HeadWriter, RequestHead, has_body
from busbar_fast.wire.kernel import reset_on_close
from busbar_fast.wire.states import CUT, FINISH, FIRST_PART, REPLY, START, AnswerPhase
from busbar_fast.wire.strand import Strand
from busbar_fast.wire.wheel import Wheel

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
# A body nobody asked for on these is read and dropped, and the connection lives on.
_BODY_IS_NOISE: Final = frozenset((b"GET", b"HEAD", b"DELETE"))

_PENDING: Final[AnswerPhase] = AnswerPhase.PENDING
_HELD: Final[AnswerPhase] = AnswerPhase.HELD
_STREAMING: Final[AnswerPhase] = AnswerPhase.STREAMING
_DONE: Final[AnswerPhase] = AnswerPhase.DONE
_CUT: Final[AnswerPhase] = AnswerPhase.CUT


class Client(Protocol):
    """What an exchange needs of the connection it came by."""

    transport: asyncio.Transport
    is_congested: bool
    peer: str

    def must_close(self) -> bool:
        """Say whether this answer is to be the last on the connection."""

    def on_body_wanted(self) -> None:
        """The responder waits for body bytes."""

    def on_body_taken(self) -> None:
        """The responder took what was buffered."""

    def on_exchange_over(self, exchange: "Exchange", error: BaseException | None) -> None:
        """The responder returned or failed."""


class Exchange(Strand):
    """See the module. Fields: for the connection, then the request, then the answer."""

    __slots__ = (
        "_body",
        "_held",
        "_heads",
        "_is_mute",
        "_parts",
        "_taken_bytes",
        "body_bytes",
        "buffered_bytes",
        "cap_bytes",
        "client",
        "closes",
        "has_body_ended",
        "has_continued",
        "head",
        "owed",
        "phase",
        "status",
    )

    def __init__(
        self, client: Client, wheel: Wheel, heads: HeadWriter, head: RequestHead, cap_bytes: int, whole: bytes | None
    ) -> None:
        Strand.__init__(self, wheel)
        self.client = client
        self._heads = heads
        self.cap_bytes = cap_bytes

        self.head = head
        self.has_body_ended = whole is not None
        self.body_bytes = head.length if self.has_body_ended else 0
        self.has_continued = False
        self._body: Body | None = None
        self._parts = [whole] if whole else []
        self.buffered_bytes = 0  # of the body, waiting for the responder
        self._taken_bytes = 0

        self.phase = _PENDING
        self.status = 0  # of the answer, once there is one
        self.closes = False
        self._held = b""
        self.owed = 0  # payload bytes, once the answer has been started, or CHUNKED, or UNTIL_CLOSE
        self._is_mute = False

    def __repr__(self) -> str:
        return f"<Exchange {self.head!r} {self.phase.name} body={self.body_bytes}>"

    # The connection's side

    def feed_body(self, piece: bytes) -> int:
        """Add received bytes; return the offset just past the body's end, or MORE. Raise Refused on bad framing."""
        if self._body is None:
            self._body = request_body_of(self.head.length)
        is_kept = self.phase is not _DONE  # what comes after the answer is noise
        end = self._body.feed(piece, self._parts if is_kept else None)
        taken = len(piece) if end == MORE else end
        self.body_bytes += taken
        self.buffered_bytes += taken
        self.has_body_ended = end != MORE
        return end

    @property
    def is_body_too_large(self) -> bool:
        """Whether the body has passed its cap."""
        return self.body_bytes > self.cap_bytes

    def on_end(self, error: BaseException | None) -> None:
        """Tell the connection that the responder is through."""
        self.client.on_exchange_over(self, error)

    # The request's body, for the responder

    async def next_part(self) -> bytes | None:
        """Return the next bytes of the body, None at its end. Raise BodyTooLarge beyond the cap."""
        if self.head.length > self.cap_bytes:
            raise BodyTooLarge("declared length above the cap")
        while not self._parts:
            if self.has_body_ended:
                return None
            self.client.on_body_wanted()
            await self.wait_for(self)
        parts = self._parts
        part = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self._taken_bytes += len(part)  # of payload: a chunked body may be as large as any other
        if self._taken_bytes > self.cap_bytes:
            raise BodyTooLarge("body above the cap")
        self.buffered_bytes = 0
        if not self.has_body_ended:
            self.client.on_body_taken()
        return part

    def maybe_body(self) -> bytes | None:
        """Return the whole body if it is there in one piece and within the cap."""
        if self.has_body_ended and self.body_bytes <= self.cap_bytes and len(self._parts) == 1:
            return self._parts.pop()
        return None

    async def read_body(self) -> bytes:
        """Return the whole body. Raise BodyTooLarge beyond the cap."""
        whole = self.maybe_body()
        if whole is not None:
            return whole
        parts = []
        while (part := await self.next_part()) is not None:
            parts.append(part)
        return b"".join(parts)

    # The answer, for the responder

    @property
    def is_congested(self) -> bool:
        """Whether more is waiting for the client than it should; `drained` waits for better times."""
        return self.client.is_congested

    @property
    def has_begun(self) -> bool:
        """Whether bytes of the answer are out, or all of them."""
        return self.phase is not _PENDING and self.phase is not _HELD

    @property
    def ends_by_close(self) -> bool:
        """Whether the client knows the end of the answer by the end of the connection."""
        return self.owed == UNTIL_CLOSE

    @property
    def takes_chunks(self) -> bool:
        """Whether an answer of unknown length travels in chunks, which HTTP/1.0 does not know."""
        return self.head.minor == 1

    def reply(self, status: int, fields: bytes, body: bytes) -> None:
        """Answer as a whole, in one write."""
        self.phase = REPLY[self.phase]
        self.status = status
        closes = self.closes = self._must_close()
        if has_body(status):
            framing = b"Content-Length: %d\r\n" % len(body)
            if self.head.method == b"HEAD":
                body = b""
        else:
            framing = body = b""
        self.client.transport.write(self._heads.encode(status, fields, framing, close=closes, body=body))

    def start(self, status: int, fields: bytes, length: int | None = None, *, close: bool = False) -> None:
        """Begin an answer; without a length it is chunked, or lasts until the connection closes on HTTP/1.0."""
        self.phase = START[self.phase]
        self.status = status
        framing = b""
        if not has_body(status):
            self._is_mute = True
        elif length is not None:
            self.owed = length
            framing = b"Content-Length: %d\r\n" % length
        elif self.head.minor == 1:
            self.owed = CHUNKED
            framing = b"Transfer-Encoding: chunked\r\n"
        else:
            self.owed = UNTIL_CLOSE
            close = True
        if self.head.method == b"HEAD":
            self._is_mute = True
        self.closes = close or self._must_close()
        self._held = self._heads.encode(status, fields, framing, close=self.closes)

    def write(self, payload: bytes) -> None:
        """Write payload, framing it as announced."""
        if self._is_mute or not payload:
            return
        if self.owed == CHUNKED:
            payload = encode_chunk(payload)
        elif self.owed != UNTIL_CLOSE:
            if len(payload) > self.owed:
                self.cut()
                raise LengthBroken("more body than announced")
            self.owed -= len(payload)
        self._write(payload)

    def write_framed(self, piece: bytes) -> None:
        """Write bytes that are framed as announced already: chunks with their sizes, or payload of a known length."""
        if not self._is_mute:
            self._write(piece)

    def maybe_receiver(self) -> Client | None:
        """Return the connection for framed pieces to be written to directly, once the head is out."""
        return self.client if self.phase is _STREAMING and not self._is_mute else None

    def finish(self, *, is_framed: bool = False) -> None:
        """End the answer. `is_framed` says that the body came framed, whole, from somebody who kept count."""
        if self._is_mute or is_framed:
            self.owed = 0
        if self.owed > 0:
            self.cut()
            raise LengthBroken("less body than announced")
        last = LAST_CHUNK if self.owed == CHUNKED else b""
        if self.phase is _HELD:
            last = self._held + last
            self._held = b""
        self.phase = FINISH[self.phase]
        if last:
            self.client.transport.write(last)

    def flush(self) -> None:
        """Send a head that waits for its first body bytes."""
        if self.phase is _HELD:
            self._write(b"")

    def cut(self, *, abort: bool = False) -> None:
        """Give the answer up so that the client sees it is incomplete; what was written still leaves unless aborted."""
        self.flush()
        # To a client that waits for the end of the connection an orderly close would look complete.
        abort = abort or self.owed == UNTIL_CLOSE
        self.phase = CUT[self.phase]
        self.closes = True
        if abort:
            sock = self.client.transport.get_extra_info("socket")
            if sock is not None:
                reset_on_close(sock)
            self.client.transport.abort()
        else:
            self.client.transport.close()

    def write_foreign(self, raw: bytes) -> None:
        """Put bytes on the connection that are no HTTP answer; only `cut` may follow."""
        self.client.transport.write(raw)

    async def drained(self) -> None:
        """Wait until the client has taken enough of what was written."""
        while self.client.is_congested:
            await self.wait_for(self.client)

    def _write(self, piece: bytes) -> None:
        if self.phase is _HELD:
            piece = self._held + piece
            self._held = b""
            self.phase = FIRST_PART[_HELD]
        self.client.transport.write(piece)

    def _must_close(self) -> bool:
        if not self.head.is_keep_alive or self.client.must_close():
            return True
        if self.has_body_ended:
            return False
        is_waiting = self.head.expects_continue and not self.has_continued
        return is_waiting or self.head.method not in _BODY_IS_NOISE
