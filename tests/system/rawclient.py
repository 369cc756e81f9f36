"""A client that sends exactly the bytes it is given, cut where the test says, and reads answers strictly.

It shares the event loop with the server under test: what `send` hands to the kernel lies in the server's socket when
`send` returns, so a few turns of the loop separate two pieces without any waiting. It must not know the product; how
an answer has to look is written down here once more, from the RFC.
"""

import asyncio
import re
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass

WAIT_S = 8.0
TURNS = 4  # of the loop: after so many, the server has read what was sent
_CHUNKED = b"chunked"

_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [\x20-\x7e]+\r\n")
_FIELD_LINE = re.compile(rb"([A-Za-z][A-Za-z0-9-]*): ([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)\r\n")
_CHUNK_SIZE = re.compile(rb"([0-9a-f]+)\r\n")
_DATE = re.compile(rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT")


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer as it was read; names of fields are lower case."""

    status: int
    fields: dict[bytes, bytes]
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether the server says that the connection ends with this answer."""
        return self.fields.get(b"connection") == b"close"

    @property
    def framing(self) -> tuple[bytes | None, bytes | None]:
        """What the head says about the body's end."""
        return self.fields.get(b"content-length"), self.fields.get(b"transfer-encoding")


class Truncated(AssertionError):
    """The connection ended in the middle of an answer."""


def split_answer(raw: bytes, method: bytes = b"GET", *, has_ended: bool) -> tuple[Answer, bytes] | None:
    """Return the first answer and what is behind it, or None while it is incomplete; anything unclean fails."""
    head_end = raw.find(b"\r\n\r\n") + 4
    if head_end < 4:
        if has_ended and raw:
            raise Truncated(f"in the head: {raw!r}")
        return None
    status, fields = _read_head(raw[: head_end - 2])
    found = _split_body(raw[head_end:], method, status, fields, has_ended=has_ended)
    if found is None:
        if has_ended:
            raise Truncated(f"in the body: {raw[-80:]!r}")
        return None
    body, rest = found
    return Answer(status, fields, body), rest


def split_answers(raw: bytes, *methods: bytes) -> list[Answer]:
    """Return every answer of a connection that has ended; the methods are those of the requests, GET by default."""
    answers = []
    asked = list(methods)
    while raw:
        found = split_answer(raw, asked[0] if asked else b"GET", has_ended=True)
        assert found is not None
        answer, raw = found
        answers.append(answer)
        if asked and answer.status >= 200:
            asked.pop(0)
    return answers


def _read_head(raw: bytes) -> tuple[int, dict[bytes, bytes]]:
    line = _STATUS_LINE.match(raw)
    assert line is not None, raw
    status = int(line[1])
    fields: dict[bytes, bytes] = {}
    at = line.end()
    while at < len(raw):
        field = _FIELD_LINE.match(raw, at)
        assert field is not None, raw[at:]
        name = field[1].lower()
        assert name not in fields, f"two fields {name!r}"
        fields[name] = field[2]
        at = field.end()
    if status >= 200:
        assert _DATE.fullmatch(fields.get(b"date", b"")), fields
    assert b"server" not in fields
    return status, fields


def _split_body(
    raw: bytes, method: bytes, status: int, fields: dict[bytes, bytes], *, has_ended: bool
) -> tuple[bytes, bytes] | None:
    length, coding = fields.get(b"content-length"), fields.get(b"transfer-encoding")
    assert length is None or coding is None, fields
    if status < 200 or status in {204, 304}:
        assert length is None, fields
        assert coding is None, fields
        return b"", raw
    if method == b"HEAD":
        return b"", raw
    if coding is not None:
        assert coding == _CHUNKED
        return _split_chunks(raw)
    if length is not None:
        size = int(length)
        return (raw[:size], raw[size:]) if len(raw) >= size else None
    assert fields.get(b"connection") == b"close", "a body without framing needs a close"
    return (raw, b"") if has_ended else None


def _split_chunks(raw: bytes) -> tuple[bytes, bytes] | None:
    parts: list[bytes] = []
    at = 0
    while True:
        size_line = _CHUNK_SIZE.match(raw, at)
        if size_line is None:
            assert len(raw) - at < 20, raw[at : at + 40]
            return None
        size = int(size_line[1], 16)
        end = size_line.end() + size
        if len(raw) < end + 2:
            return None
        assert raw[end : end + 2] == b"\r\n", raw[end : end + 2]
        if size == 0:
            return b"".join(parts), raw[end + 2 :]
        parts.append(raw[size_line.end() : end])
        at = end + 2


async def turns(count: int = TURNS) -> None:
    """Let the loop go round a few times."""
    for _ in range(count):
        await asyncio.sleep(0)


class RawClient:
    """One connection to the server under test."""

    def __init__(self, port: int, *, receive_buffer_bytes: int = 0, source: str = "127.0.0.1") -> None:
        self._sock = socket.socket()
        if receive_buffer_bytes:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock.bind((source, 0))
        self._sock.connect(("127.0.0.1", port))
        self._sock.setblocking(False)
        self._held = b""
        self.has_ended = False
        self.was_reset = False

    # Sending

    def send(self, piece: bytes) -> None:
        """Send a piece that the kernel takes at once; a server that has closed already is no failure of the test."""
        with suppress(ConnectionError):
            assert self._sock.send(piece) == len(piece)

    async def send_pieces(self, *pieces: bytes) -> None:
        """Send pieces so that the server reads each by itself."""
        for piece in pieces:
            self.send(piece)
            await turns()

    async def send_large(self, piece: bytes) -> int:
        """Send as much as the server takes; return how much that was."""
        loop = asyncio.get_running_loop()
        sent = 0
        with suppress(ConnectionError):
            while sent < len(piece):
                await loop.sock_sendall(self._sock, piece[sent : sent + 65536])
                sent += 65536
        return min(sent, len(piece))

    def finish_sending(self) -> None:
        """Send a FIN and go on reading."""
        self._sock.shutdown(socket.SHUT_WR)

    # Receiving

    async def read_answer(self, method: bytes = b"GET") -> Answer:
        """Return the next answer, interim ones as well."""
        async with asyncio.timeout(WAIT_S):
            while True:
                found = split_answer(self._held, method, has_ended=self.has_ended)
                if found is not None:
                    answer, self._held = found
                    return answer
                assert not self.has_ended, "closed without an answer"
                await self.receive()

    async def read_until(self, wanted: bytes) -> bytes:
        """Return what was received up to and including these bytes."""
        async with asyncio.timeout(WAIT_S):
            while wanted not in self._held:
                assert not self.has_ended, self._held
                await self.receive()
        end = self._held.index(wanted) + len(wanted)
        piece, self._held = self._held[:end], self._held[end:]
        return piece

    async def read_all(self) -> bytes:
        """Return everything up to the end of the connection."""
        async with asyncio.timeout(WAIT_S):
            while not self.has_ended:
                await self.receive()
        piece, self._held = self._held, b""
        return piece

    async def receive(self, most: int = 1 << 20) -> int:
        """Receive once; return how many bytes came."""
        piece = b""
        try:
            try:
                piece = self._sock.recv(most)
            except BlockingIOError:
                piece = await asyncio.get_running_loop().sock_recv(self._sock, most)
        except ConnectionError:
            self.was_reset = True
        self._held += piece
        self.has_ended = not piece
        return len(piece)

    @property
    def held(self) -> bytes:
        """What was received and not read."""
        return self._held

    def received_nothing(self) -> bool:
        """Return whether neither a byte nor an end has come that was not read."""
        if self._held or self.has_ended:
            return False
        try:
            self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        return False

    def drop_received(self) -> int:
        """Forget what was received and not read; return how much that was."""
        size = len(self._held)
        self._held = b""
        return size

    # Leaving

    def close(self) -> None:
        """Leave in good order: a FIN, or a reset if something was left unread."""
        self._sock.close()

    def reset(self) -> None:
        """Leave with a reset."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()
