"""What makes a request's head acceptable: the request line, the target, the host, the limits on counts.

`RequestReader` takes received bytes and yields checked heads, one at a time; everything behind a head stays bytes
until the connection asks for the next one. It must not know transports or time. Its verdicts come as `Refused` with
the status to answer; status 0 means that the peer does not speak HTTP at all and gets no answer.

Both parsers only ever see a complete head whose request line has passed here, so what is refused does not depend on
how the bytes were split.
"""

import re
from typing import Final

from busbar_fast.errors import Refused
from busbar_fast.wire.buffers import HeadBuffer
from busbar_fast.wire.framing import request_length
from busbar_fast.wire.heads import RequestHead, is_keep_alive
from busbar_fast.wire.limits import Limits
from busbar_fast.wire.parsers import HeadParser

NO_ANSWER: Final = 0

METHODS: Final = frozenset(
    b"GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK BIND "
    b"REBIND UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PURGE MKCALENDAR LINK "
    b"UNLINK SOURCE QUERY".split()
)

_TLS_HANDSHAKE: Final = b"\x16"
_LENGTH_NAME: Final = b"\r\ncontent-length: "
_ZERO: Final = 0x30
_NINE: Final = 0x39
_USUAL_DIGITS: Final = 12  # of a length; a longer one is read the long way
# More than a method, two spaces and a version; a request line that is longer by this holds too long a target.
_LINE_OVERHEAD_BYTES: Final = 32

_LINE: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (/[!\"$-\[\]-~]*) HTTP/1\.([01])\r\n")
_ODD_BYTE: Final = re.compile(rb"[^\x20-\x7e]")
_BARE_LINE_END: Final = re.compile(rb"(?<!\r)\n|\r(?=[^\n])")
_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET: Final = re.compile(rb"[!\"$-\[\]-~]+")
_BAD_ESCAPE: Final = re.compile(rb"%(?:00|(?![0-9A-Fa-f]{2}))")
_FOREIGN_VERSION: Final = re.compile(rb"(?:HTTP/(?:0\.9|[2-9](?:\.[0-9])?)|(?:RTSP|ICE)/[0-9]\.[0-9])")
_ABSOLUTE: Final = re.compile(rb"https?://([^/?]*)(.*)", re.IGNORECASE)
_HOST: Final = re.compile(rb"[A-Za-z0-9._~%!$&'()*+;=:\[\]-]*")


class RequestReader:
    """Turns the bytes of one connection into request heads.

    A keep-alive client repeats itself: its next head is mostly the last one with another length. So the last head is
    remembered as the bytes before and behind the digits of its Content-Length, and a repeated one is not read again.
    """

    __slots__ = (
        "_after",
        "_before",
        "_checked_bytes",
        "_has_length",
        "_has_line",
        "_last",
        "_limits",
        "_parser",
        "held",
    )

    def __init__(self, limits: Limits, parser: HeadParser) -> None:
        self._limits = limits
        self._parser = parser
        self._last: RequestHead | None = None
        self._before = b""
        self._after = b""
        self._has_length = False
        self._checked_bytes = 0  # of the head being collected
        self._has_line = False  # whether its request line is among them
        self.held = HeadBuffer()

    def maybe_repeat(self, piece: bytes) -> tuple[RequestHead, bytes] | None:
        """Return head and body if the piece is one whole request that repeats the last head; nothing may be held."""
        # HOT: a repeated head is compared and not parsed, which costs 6 us, perf/micro/bench_exchange.py, 3.11, 2026-11
        last = self._last
        before = self._before
        if last is None or not piece.startswith(before):
            return None
        if not self._has_length:
            return (last, b"") if len(piece) == len(before) else None
        at = len(before)
        size, most, length = len(piece), at + _USUAL_DIGITS, 0
        while at < size and at < most and _ZERO <= piece[at] <= _NINE:
            length = length * 10 + piece[at] - _ZERO
            at += 1
        body_at = at + len(self._after)
        if at == len(before) or length != size - body_at or piece[at:body_at] != self._after:
            return None
        return last.with_length(length), piece[body_at:]

    def next_head(self, piece: bytes) -> RequestHead | None:
        """Add bytes, which may be none; return the next head or None when starved. What is behind it stays held.

        Raise Refused as soon as no head can come of the bytes.
        """
        held = self.held
        raw = held.next_head(piece)
        if raw is None:
            if not held.is_empty:
                self._refuse_early(held.peek(), held.blank_bytes)
            return None
        if held.head_bytes > self._limits.max_header_bytes:
            self._refuse_early(raw, held.head_bytes - len(raw))
        if self._checked_bytes:
            self._checked_bytes = 0
            self._has_line = False
        return self._read(raw)

    def _read(self, raw: bytes) -> RequestHead:
        """Read a head and remember it."""
        head = read_request(raw, self._limits, self._parser)
        self._last = None
        if len(raw) + _USUAL_DIGITS > self._limits.max_header_bytes or b"expect" in head.fields:
            return head
        length_at = raw.lower().find(_LENGTH_NAME)
        self._has_length = length_at >= 0
        if self._has_length:
            length_at += len(_LENGTH_NAME)
            self._before = raw[:length_at]
            self._after = raw[raw.find(b"\r", length_at) :]
        elif head.length == 0:
            self._before = raw
        else:  # a chunked body, or a length in an unusual spelling: such a head alone is no whole request
            return head
        self._last = head
        return head

    def _refuse_early(self, start: bytes, blank_bytes: int) -> None:
        """Refuse what can no longer become a head, so that nobody waits for the rest of it.

        The verdict is that of the shortest start that earns one. So it is the same for every split of the bytes, and
        no byte needs to be searched twice.
        """
        limits = self._limits
        room = limits.max_header_bytes - blank_bytes
        start = start[: max(room + 1, 0)]
        if not self._has_line:
            self._has_line = b"\r\n" in start
            if self._has_line or start[:1] == _TLS_HANDSHAKE or len(start) > _longest_line(limits) + 1:
                _check_line(start, limits)
        _check_line_ends(start, max(self._checked_bytes - 1, 0), len(start))
        if len(start) > room:
            raise Refused(431, "request head too large")
        self._checked_bytes = len(start)


def read_request(raw: bytes, limits: Limits, parser: HeadParser) -> RequestHead:
    """Return the checked head of a complete raw one that is not too large."""
    method, target, minor = _check_line(raw, limits)
    if raw.count(b"\r\n") - 2 > limits.max_headers:
        _check_line_ends(raw, 0, len(raw))
        raise Refused(431, "too many header fields")
    fields = parser.request_fields(raw)
    head = RequestHead(method, target, minor, fields)
    head.length = request_length(minor, fields)
    # The length is the head's from here on; a remembered head must not show an old one.
    fields.pop(b"content-length", None)
    host = fields.get(b"host")
    if host is None:
        if minor == 1:
            raise Refused(400, "no host")
    elif _HOST.fullmatch(host) is None:
        raise Refused(400, "bad host")
    if target[0] != 0x2F:
        head.target = _resolve_target(method, target, host)
    head.is_keep_alive = is_keep_alive(minor, fields.get(b"connection"))
    if minor == 1 and b"expect" in fields:
        if fields[b"expect"].lower() != b"100-continue":
            raise Refused(417, "unknown expectation")
        head.expects_continue = head.length != 0
    return head


def _check_line(raw: bytes, limits: Limits) -> tuple[bytes, bytes, int]:
    """Return method, target and minor version of the request line that `raw` starts with."""
    # The usual form in one match; whatever does not fit is read part by part.
    match = _LINE.match(raw)
    if match is None or len(raw) > limits.max_request_line_bytes:
        method, target, minor = _read_odd_line(raw, limits)
    else:
        method, target = match.group(1, 2)
        minor = 1 if match.group(3) == b"1" else 0
    if method not in METHODS:
        raise Refused(501, "unknown method")
    if method == b"CONNECT":
        raise Refused(405, "no tunnels here")
    if b"%" in target and _BAD_ESCAPE.search(target):
        raise Refused(400, "bad percent escape in the target")
    return method, target, minor


def _longest_line(limits: Limits) -> int:
    return limits.max_request_line_bytes + _LINE_OVERHEAD_BYTES


def _check_line_ends(raw: bytes, at: int, end: int) -> None:
    if _BARE_LINE_END.search(raw, at, end):
        raise Refused(400, "bare line end")


def _read_odd_line(raw: bytes, limits: Limits) -> tuple[bytes, bytes, int]:
    """Read a request line that is long or not of the usual form, or say what is wrong with it."""
    if raw[:1] == _TLS_HANDSHAKE:
        raise Refused(NO_ANSWER, "a TLS handshake on a plain port")
    room = _longest_line(limits) + 2
    line_end = raw.find(b"\r\n", 0, room)
    if line_end < 0:
        _check_line_ends(raw, 0, room)
        raise Refused(414, "request line too long")
    line = raw[:line_end]
    if _ODD_BYTE.search(line):
        raise Refused(400, "bad byte in the request line")
    parts = line.split(b" ")
    if b"" in parts or len(parts) not in (2, 3):
        raise Refused(400, "malformed request line")
    method, target = parts[:2]
    if len(parts) == 2 or _FOREIGN_VERSION.fullmatch(parts[2]):
        raise Refused(505, "HTTP/1.0 or HTTP/1.1 only")
    if _TOKEN.fullmatch(method) is None or parts[2] not in (b"HTTP/1.0", b"HTTP/1.1"):
        raise Refused(400, "malformed request line")
    # CONNECT names an authority, not a target; it is refused by its method.
    if method != b"CONNECT" and (_TARGET.fullmatch(target) is None or not _is_other_form(target)):
        raise Refused(400, "malformed request target")
    if len(target) > limits.max_request_line_bytes:
        raise Refused(414, "request target too long")
    return method, target, 1 if parts[2] == b"HTTP/1.1" else 0


def _is_other_form(target: bytes) -> bool:
    return target[:1] == b"/" or target == b"*" or _ABSOLUTE.fullmatch(target) is not None


def _resolve_target(method: bytes, target: bytes, host: bytes | None) -> bytes:
    """Return the path and query of a target in asterisk or absolute form."""
    if target == b"*":
        if method != b"OPTIONS":
            raise Refused(400, "asterisk target")
        return target
    match = _ABSOLUTE.fullmatch(target)
    assert match is not None  # `_check_line` lets no other form pass
    authority, path = match.groups()
    if _HOST.fullmatch(authority) is None or not authority:
        raise Refused(400, "bad host")
    if host is not None and authority.lower() != host.lower():
        raise Refused(400, "target and host disagree")
    return path if path[:1] == b"/" else b"/" + path
