"""Message heads: records of those we read, bytes of those we write.

Names of fields are lower-case bytes, values stay opaque bytes. A field that occurs twice is joined with ", " (RFC
9110, 5.3), which makes a doubled `Host` invalid by itself; who must tell two lines from one asks `repeated`. This
module must not know how a head is parsed (`parsers`) or what makes one acceptable (`requests`, `framing`).
"""

from collections.abc import Iterable
from typing import Final

from busbar_fast.clock import DateLine

Fields = dict[bytes, bytes]

# Lengths of a body that no Content-Length gives.
CHUNKED: Final = -1
UNTIL_CLOSE: Final = -2

_REASONS: Final = {
    100: b"Continue", 101: b"Switching Protocols", 200: b"OK", 201: b"Created", 202: b"Accepted",
    203: b"Non-Authoritative Information", 204: b"No Content", 205: b"Reset Content", 206: b"Partial Content",
    300: b"Multiple Choices", 301: b"Moved Permanently", 302: b"Found", 303: b"See Other", 304: b"Not Modified",
    307: b"Temporary Redirect", 308: b"Permanent Redirect", 400: b"Bad Request", 401: b"Unauthorized",
    402: b"Payment Required", 403: b"Forbidden", 404: b"Not Found", 405: b"Method Not Allowed",
    406: b"Not Acceptable", 407: b"Proxy Authentication Required", 408: b"Request Timeout", 409: b"Conflict",
    410: b"Gone", 411: b"Length Required", 412: b"Precondition Failed", 413: b"Content Too Large",
    414: b"URI Too Long", 415: b"Unsupported Media Type", 416: b"Range Not Satisfiable",
    417: b"Expectation Failed", 421: b"Misdirected Request", 422: b"Unprocessable Content", 423: b"Locked",
    424: b"Failed Dependency", 425: b"Too Early", 426: b"Upgrade Required", 428: b"Precondition Required",
    429: b"Too Many Requests", 431: b"Request Header Fields Too Large", 451: b"Unavailable For Legal Reasons",
    500: b"Internal Server Error", 501: b"Not Implemented", 502: b"Bad Gateway", 503: b"Service Unavailable",
    504: b"Gateway Timeout", 505: b"HTTP Version Not Supported", 507: b"Insufficient Storage",
    508: b"Loop Detected", 511: b"Network Authentication Required", 529: b"Overloaded",
}  # fmt: skip

# Prepared once, so that an answer formats no status line.
STATUS_LINES: Final = {
    status: b"HTTP/1.1 %d %s\r\n" % (status, _REASONS.get(status, b"Status %d" % status)) for status in range(100, 600)
}
REASONS: Final = {status: reason.decode("ascii") for status, reason in _REASONS.items()}

HOP_BY_HOP: Final = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)

_UNSAFE_IN_VALUE: Final[tuple[bytes, ...]] = (b"\r", b"\n", b"\0")
_BODILESS: Final = frozenset((204, 304))


class RequestHead:
    """One request's head, checked: nothing in it needs doubting again."""

    __slots__ = ("expects_continue", "fields", "is_keep_alive", "length", "memo", "method", "minor", "target")

    def __init__(self, method: bytes, target: bytes, minor: int, fields: Fields) -> None:
        self.method = method
        self.target = target  # path and query, never a scheme or authority; "*" only with OPTIONS
        self.minor = minor  # of HTTP/1.x
        self.fields = fields
        self.length = 0  # of the body, or CHUNKED
        self.is_keep_alive = False
        self.expects_continue = False
        self.memo: object = None  # what a responder concluded from this head; repeats of the head inherit it

    def __repr__(self) -> str:
        return f"<{self.method!r} {self.target!r} HTTP/1.{self.minor} length={self.length}>"

    def with_length(self, length: int) -> "RequestHead":
        """Return this head for a body of another length; the fields are shared and must not be changed."""
        if length == self.length:
            return self
        head = RequestHead(self.method, self.target, self.minor, self.fields)
        head.length = length
        head.is_keep_alive = self.is_keep_alive
        head.memo = self.memo
        return head


class ResponseHead:
    """One answer's head as the upstream sent it."""

    __slots__ = ("fields", "is_keep_alive", "length", "memo", "minor", "status")

    def __init__(self, status: int, minor: int, fields: Fields) -> None:
        self.status = status
        self.minor = minor
        self.fields = fields
        self.length = 0  # of the body, or CHUNKED, or UNTIL_CLOSE
        self.is_keep_alive = False
        self.memo: object = None  # what a responder concluded from this head; repeats of the head inherit it

    def __repr__(self) -> str:
        return f"<{self.status} HTTP/1.{self.minor} length={self.length}>"


def is_keep_alive(minor: int, connection: bytes | None) -> bool:
    """Say whether the sender of a head keeps its connection open; `close` anywhere in the list wins.

    An HTTP/1.0 peer never does, whatever it says: too few agree on what its `keep-alive` means.
    """
    if minor == 0:
        return False
    return connection is None or b"close" not in [word.strip() for word in connection.lower().split(b",")]


def has_body(status: int) -> bool:
    """Say whether an answer of this status may carry a body at all."""
    return status >= 200 and status not in _BODILESS


def is_safe_value(value: bytes) -> bool:
    """Say whether a value can be written without ending its line."""
    return not any(unsafe in value for unsafe in _UNSAFE_IN_VALUE)


def encode_fields(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return header lines; a value that would break out of its line is left out, never sent."""
    return b"".join([b"%b: %b\r\n" % (name, value) for name, value in pairs if is_safe_value(value)])


def select_fields(fields: Fields, allowed: Iterable[bytes]) -> bytes:
    """Return the header lines of the allowed fields that a parsed head holds; its values are safe to write."""
    lines = b""
    for name in allowed:
        if name in fields:
            lines += b"%b: %b\r\n" % (name, fields[name])
    return lines


def end_to_end(fields: Fields) -> Fields:
    """Return the fields that may travel on: neither hop-by-hop nor named by `Connection`."""
    named = fields.get(b"connection")
    dropped = HOP_BY_HOP if named is None else HOP_BY_HOP.union(word.strip() for word in named.lower().split(b","))
    return {name: value for name, value in fields.items() if name not in dropped}


class HeadWriter:
    """Encodes the heads of our answers; one serves the process because the `Date` line is shared."""

    __slots__ = ("_date",)

    def __init__(self, date: DateLine) -> None:
        self._date = date

    def encode(self, status: int, fields: bytes, framing: bytes, *, close: bool, body: bytes = b"") -> bytes:
        """Return a complete head with the body behind it. `fields` and `framing` are whole header lines or empty."""
        end = b"Connection: close\r\n\r\n" if close else b"\r\n"
        return b"".join((STATUS_LINES[status], self._date.line(), fields, framing, end, body))
