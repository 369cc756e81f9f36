"""The paced upstream behind every side: as little HTTP as will do, so that it is never the bottleneck.

It is not measured and not correct in general: it reads requests with Content-Length only, one at a time per
connection, and believes its peers. It answers
- a POST with the 235-byte JSON reply, or with `perf-reply=N` in the body (the `user` member) with N bytes of text;
- a POST whose body holds `"stream":true` with a chunked stream: the head in one write, then 67 frames, one write per
  turn of the loop (the last one together with the terminator). uvloop sends at the end of each turn and sets
  TCP_NODELAY, so each frame is a segment of its own; a reader that is slower than the loop may still find two at once;
- the same with `perf-pace-ms=N` likewise: N milliseconds between frames;
- `perf-gap-ms=N` likewise: one pause of N milliseconds, after the first frame;
- `perf-bytes=N` in the body, or `GET /big?bytes=N`: N bytes of stream, written only while the peer keeps reading;
- any other GET with 200 and `ok`.

usage: python -m perf.upstream PORT
"""

import asyncio
import re
import sys
from typing import Final, cast

import uvloop

from perf import shapes

_JSON_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
JSON_ANSWER: Final = _JSON_HEAD % len(shapes.REPLY) + shapes.REPLY
_OK_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
_LENGTH_NEEDED: Final = b"HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
_LAST_CHUNK: Final = b"0\r\n\r\n"
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_PACE: Final = re.compile(shapes.PACE_MARK + rb"(\d+)")
_GAP: Final = re.compile(shapes.GAP_MARK + rb"(\d+)")
_BYTES: Final = re.compile(shapes.BYTES_MARK + rb"(\d+)")
_REPLY: Final = re.compile(shapes.REPLY_MARK + rb"(\d+)")
_BIG: Final = re.compile(rb"GET /big\?bytes=(\d+) ")
_PIECE_BYTES: Final = 16_384
_DONE: Final = b"data: [DONE]\n\n"
_WISHES_BYTES: Final = 200  # wishes stand at the end of a body, of whatever length
_NOTHING: Final = -1  # bytes left when no long answer is under way


def _chunked(payload: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(payload), payload)


def _paced_writes() -> tuple[bytes, ...]:
    chunks = [_chunked(frame) for frame in shapes.stream_frames()]
    chunks[-1] += _LAST_CHUNK
    return tuple(chunks)


def _piece(size: int) -> bytes:
    """Return one SSE frame of exactly `size` bytes, or plain filling where a frame does not fit."""
    if size < len(b"data: \n\n"):
        return b"\n" * size
    return b"data: " + b"x" * (size - len(b"data: \n\n")) + b"\n\n"


def _last_piece(size: int) -> bytes:
    """Return the end of a long stream: a gateway adds an error of its own to one that does not say that it is over."""
    return _piece(size - len(_DONE)) + _DONE if size >= len(_DONE) else _piece(size)


WRITES: Final = _paced_writes()
_BIG_CHUNK: Final = _chunked(_piece(_PIECE_BYTES))


class Upstream(asyncio.Protocol):
    """One connection."""

    __slots__ = ("_at", "_gap_s", "_left", "_pace_s", "_paused", "_received", "_timer", "loop", "transport")

    transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._received = b""
        self._at = 0
        self._pace_s = 0.0
        self._gap_s = 0.0
        self._left = _NOTHING
        self._paused = False
        self._timer: asyncio.Handle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's class derives from no asyncio one

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Stop whatever was being sent."""
        self._left = _NOTHING
        if self._timer is not None:
            self._timer.cancel()

    def pause_writing(self) -> None:
        """The peer reads slowly."""
        self._paused = True

    def resume_writing(self) -> None:
        """The peer caught up: go on with the long answer, if one is under way."""
        self._paused = False
        if self._left != _NOTHING:
            self._write_pieces()

    def data_received(self, data: bytes) -> None:
        """Collect until a whole request is there, then answer it."""
        received = self._received + data if self._received else data
        head_end = received.find(b"\r\n\r\n")
        if head_end < 0:
            self._received = received
            return
        declared = _LENGTH.search(received, 0, head_end)
        body_at = head_end + 4
        if len(received) - body_at < (int(declared[1]) if declared else 0):
            self._received = received
            return
        self._received = b""
        if declared is None and not received.startswith(b"GET "):
            self.transport.write(_LENGTH_NEEDED)
            self.transport.close()
        elif received.startswith(b"GET "):
            self._answer_get(received)
        elif received.find(shapes.STREAM_MARK, -_WISHES_BYTES) >= 0:
            self._start_stream(received, body_at)
        else:
            self._answer_whole(received)

    def _answer_whole(self, received: bytes) -> None:
        wanted = _REPLY.search(received, max(0, len(received) - _WISHES_BYTES))
        if wanted is None:
            self.transport.write(JSON_ANSWER)
        else:
            reply = shapes.long_reply(int(wanted[1]))
            self.transport.write(_JSON_HEAD % len(reply) + reply)

    def _answer_get(self, received: bytes) -> None:
        big = _BIG.match(received)
        if big is None:
            self.transport.write(_OK_ANSWER)
        else:
            self._start_big(int(big[1]))

    def _start_stream(self, received: bytes, body_at: int) -> None:
        big = _BYTES.search(received, body_at)
        if big is not None:
            self._start_big(int(big[1]))
            return
        pace, gap = _PACE.search(received, body_at), _GAP.search(received, body_at)
        self._pace_s = int(pace[1]) / 1000 if pace else 0.0
        self._gap_s = int(gap[1]) / 1000 if gap else 0.0
        self._at = 0
        self.transport.write(STREAM_HEAD)
        self._timer = self.loop.call_soon(self._write_frame)

    def _write_frame(self) -> None:
        at = self._at
        self._at = at + 1
        self.transport.write(WRITES[at])
        pause_s = self._pace_s if at else self._pace_s or self._gap_s
        if self._at == shapes.FRAME_COUNT:
            self._timer = None
        elif pause_s:
            self._timer = self.loop.call_later(pause_s, self._write_frame)
        else:
            self._timer = self.loop.call_soon(self._write_frame)

    def _start_big(self, total_bytes: int) -> None:
        self._left = total_bytes
        self.transport.write(STREAM_HEAD)
        self._write_pieces()

    def _write_pieces(self) -> None:
        while self._left > _PIECE_BYTES and not self._paused:
            self._left -= _PIECE_BYTES
            self.transport.write(_BIG_CHUNK)
        if self._paused:
            return
        rest, self._left = self._left, _NOTHING
        self.transport.write((_chunked(_last_piece(rest)) if rest else b"") + _LAST_CHUNK)


async def serve(port: int) -> None:
    """Listen on loopback until ended by a signal."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Upstream(loop), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
