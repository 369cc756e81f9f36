"""Heads read by h11 (pure Python): where httptools is missing, and as its judge in tests.

h11 is generous where RFC 9112 lets a server be: it unfolds continued lines, takes bare line feeds, and collapses equal
Content-Length fields. We are not, so the grammar of the field lines and the framing fields are tested here before h11
reads them.
"""

import re
from collections.abc import Iterable

import h11

from busbar_fast.errors import Refused, UpstreamGarbled
from busbar_fast.wire.framing import request_length
from busbar_fast.wire.heads import Fields
from busbar_fast.wire.parsers.status import read_status_line
from busbar_fast.wire.repeated import join_values

_FIELD_LINES = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n")
_LENGTHS = re.compile(rb"\ncontent-length:[ \t]*([^\r]*)", re.IGNORECASE)
_CODINGS = re.compile(rb"\ntransfer-encoding:[ \t]*([^\r]*)", re.IGNORECASE)
_MAX_HEAD_BYTES = 2**31  # the limits are checked before a parser sees a head


def _check_field_lines(raw: bytes, line_end: int, minor: int) -> Fields:
    """Return the framing fields as they were sent; raise Refused."""
    if _FIELD_LINES.fullmatch(raw, line_end + 2) is None:
        raise Refused(400, "malformed head")
    framing: Fields = {}
    if lengths := _LENGTHS.findall(raw):
        framing[b"content-length"] = b", ".join(length.rstrip(b" \t") for length in lengths)
    if codings := _CODINGS.findall(raw):
        framing[b"transfer-encoding"] = b", ".join(coding.rstrip(b" ") for coding in codings)
    request_length(minor, framing)
    return framing


def _joined(headers: Iterable[tuple[bytes, bytes]]) -> Fields:
    fields: Fields = {}
    for name, value in headers:
        fields[name] = join_values(fields[name], value) if name in fields else value
    return fields


class H11Parser:
    """See `HeadParser`."""

    __slots__ = ()

    name = "h11"

    def request_fields(self, raw: bytes) -> Fields:
        """Return the fields of a request head."""
        line_end = raw.find(b"\r\n")
        framing = _check_field_lines(raw, line_end, 0 if raw[line_end - 1 : line_end] == b"0" else 1)
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD_BYTES)
        try:
            connection.receive_data(raw)
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            raise Refused(400, "malformed head") from error
        assert isinstance(event, h11.Request)  # the head is complete
        return _joined(event.headers) | framing

    def response_fields(self, raw: bytes) -> tuple[int, int, Fields]:
        """Return status, minor version and fields of an answer's head."""
        status, minor = read_status_line(raw)
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD_BYTES)
        connection.send(h11.Request(method="GET", target="/", headers=[("Host", "upstream")]))
        connection.send(h11.EndOfMessage())
        try:
            framing = _check_field_lines(raw, raw.find(b"\r\n"), 1)
            connection.receive_data(raw)
            event = connection.next_event()
        except (Refused, h11.RemoteProtocolError) as error:
            raise UpstreamGarbled("malformed head") from error
        assert isinstance(event, h11.Response | h11.InformationalResponse)  # the head is complete
        return status, minor, _joined(event.headers) | framing


PARSER = H11Parser()
