"""Answers of our own: refusals in the caller's dialect, and the few plain texts that are nobody's dialect."""

from typing import Final

from busbar_fast.dialects.asks import Ask
from busbar_fast.dialects.dialect import Dialect
from busbar_fast.dialects.faults import Fault, Kind, kind_of
from busbar_fast.dialects.upstream_errors import UpstreamError
from busbar_fast.wire.exchange import Exchange

JSON: Final = b"Content-Type: application/json\r\n"
_WRONG_METHOD: Final = 405
_ABOUT_THE_REQUEST: Final = frozenset((Kind.MALFORMED, Kind.TOO_LARGE, Kind.TOO_LONG))
TEXT: Final = b"Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n"


def refuse(exchange: Exchange, dialect: Dialect, ask: Ask | None, fault: Fault, allow: bytes = b"") -> None:
    """Answer with a refusal; `allow` is the header line that goes with a 405, should it be one."""
    refusal = dialect.encode_fault(fault, ask, dialect.new_id())
    exchange.reply(refusal.status, refusal.fields + allow * (refusal.status == _WRONG_METHOD), refusal.body)


def id_line(dialect: Dialect) -> bytes:
    """Return the header line with a fresh id for an answer; nothing where the vendor has none."""
    return b"%b: %b\r\n" % (dialect.id_field, dialect.new_id()) if dialect.id_field else b""


def fault_of(error: UpstreamError) -> Fault:
    """Return an upstream's refusal for a client of another dialect: words only where they are about the request."""
    kind = kind_of(error.status, is_context_length=error.is_context_length)
    message = error.message or "" if kind in _ABOUT_THE_REQUEST else ""
    return Fault(kind, message, retry_after_s=error.retry_after_s)
