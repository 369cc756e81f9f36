"""Heads read by httptools (llhttp): the default.

llhttp would go on into the body, so each head gets a parser object of its own; that costs about a microsecond and buys
that no state survives a message.
"""

import httptools

from busbar_fast.errors import Refused, UpstreamGarbled
from busbar_fast.wire.heads import Fields
from busbar_fast.wire.parsers.status import read_status_line
from busbar_fast.wire.repeated import join_values


class _Collector:
    """Receives llhttp's callbacks for one head."""

    __slots__ = ("fields", "is_complete")

    def __init__(self) -> None:
        self.fields: Fields = {}
        self.is_complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        value = value.rstrip(b" \t")  # llhttp trims blanks before a value only
        fields = self.fields
        if name in fields:
            fields[name] = join_values(fields[name], value)
        else:
            fields[name] = value

    def on_headers_complete(self) -> None:
        self.is_complete = True


class HttptoolsParser:
    """See `HeadParser`."""

    __slots__ = ()

    name = "httptools"

    def request_fields(self, raw: bytes) -> Fields:
        """Return the fields of a request head."""
        collector = _Collector()
        try:
            httptools.HttpRequestParser(collector).feed_data(raw)
        except httptools.HttpParserUpgrade:
            # Raised after the fields were read. We never upgrade, and the body is not this parser's business.
            return collector.fields
        except httptools.HttpParserError as error:
            raise Refused(400, "malformed head") from error
        if not collector.is_complete:
            raise Refused(400, "malformed head")
        return collector.fields

    def response_fields(self, raw: bytes) -> tuple[int, int, Fields]:
        """Return status, minor version and fields of an answer's head."""
        status, minor = read_status_line(raw)
        collector = _Collector()
        try:
            httptools.HttpResponseParser(collector).feed_data(raw)
        except httptools.HttpParserError as error:
            raise UpstreamGarbled("malformed head") from error
        if not collector.is_complete:
            raise UpstreamGarbled("malformed head")
        return status, minor, collector.fields


PARSER = HttptoolsParser()
