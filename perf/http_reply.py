"""Just enough of HTTP/1.1 to hold a proxy to its word: heads, lengths, chunks. Pure; the load generators own the I/O.

Deliberately not busbar_fast.wire: a checker that shared its parser with the thing it checks would share its mistakes.
"""

import re
from dataclasses import dataclass
from typing import Final

OK: Final = 200
LAST_CHUNK: Final = b"\r\n0\r\n\r\n"
_STATUS: Final = re.compile(rb"HTTP/1\.1 (\d{3})[ \r]")
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+) *\r\n", re.IGNORECASE)
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding: *chunked *\r\n", re.IGNORECASE)


class BadReplyError(Exception):
    """The bytes are not the answer that was due."""


@dataclass(frozen=True, slots=True)
class Head:
    """What the checkers need to know of a response head; `length` is None for a chunked body."""

    status: int
    body_at: int
    length: int | None


def maybe_head(received: bytes) -> Head | None:
    """Return the head, or None while it is incomplete."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    block = received[: end + 2]
    status = _STATUS.match(block)
    if status is None:
        raise BadReplyError(f"not an HTTP/1.1 answer: {received[:60]!r}")
    length = _LENGTH.search(block)
    if length is None and _CHUNKED.search(block) is None:
        raise BadReplyError(f"neither length nor chunks: {block!r}")
    return Head(int(status[1]), end + 4, int(length[1]) if length else None)


def dechunk(received: bytes, at: int) -> bytes:
    """Return the payload of a complete chunked body that starts at `at`; nothing may follow its end."""
    parts: list[bytes] = []
    while True:
        line_end = received.find(b"\r\n", at)
        if line_end < 0:
            raise BadReplyError("chunked body without end")
        try:
            size = int(received[at:line_end].partition(b";")[0], 16)
        except ValueError as wrong:
            raise BadReplyError(f"not a chunk size: {received[at : at + 20]!r}") from wrong
        at = line_end + 2
        if received[at + size : at + size + 2] != b"\r\n":
            raise BadReplyError("a chunk does not end where it said")
        if size == 0:
            break
        parts.append(received[at : at + size])
        at += size + 2
    if at + 2 != len(received):
        raise BadReplyError(f"{len(received) - at - 2} bytes after the end")
    return b"".join(parts)


def maybe_payload(received: bytes) -> tuple[int, bytes] | None:
    """Return (status, payload) of one whole answer, or None while more has to come."""
    head = maybe_head(received)
    if head is None:
        return None
    if head.length is None:
        ended = received.endswith(LAST_CHUNK) or received[head.body_at :] == LAST_CHUNK[2:]
        return (head.status, dechunk(received, head.body_at)) if ended else None
    missing = head.body_at + head.length - len(received)
    if missing < 0:
        raise BadReplyError(f"{-missing} bytes after the end")
    return (head.status, received[head.body_at :]) if missing == 0 else None


class PayloadCounter:
    """Counts the payload of a chunked answer that is too long to keep."""

    def __init__(self) -> None:
        self.payload_bytes = 0
        self.ended = False
        self._in_body = False
        self._pending = b""
        self._skip = 0

    def feed(self, received: bytes) -> None:
        """Take the next bytes."""
        self._pending += received
        if not self._in_body:
            head = maybe_head(self._pending)
            if head is None:
                return
            if head.status != OK or head.length is not None:
                raise BadReplyError(f"status {head.status}, length {head.length}")
            self._in_body = True
            self._pending = self._pending[head.body_at :]
        while self._pending and not self.ended and self._advance():
            pass

    def _advance(self) -> bool:
        """Pass one chunk or a part of it; False while its size line is incomplete."""
        if self._skip:
            passed = min(self._skip, len(self._pending))
            self._skip -= passed
            self._pending = self._pending[passed:]
            return True
        line_end = self._pending.find(b"\r\n")
        if line_end < 0:
            return False
        size = int(self._pending[:line_end].partition(b";")[0], 16)
        self.payload_bytes += size
        self.ended = size == 0
        self._skip = size + 2
        self._pending = self._pending[line_end + 2 :]
        return True
