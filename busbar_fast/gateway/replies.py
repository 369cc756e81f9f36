"""Answers of our own: errors in the caller's dialect, health, lists."""

import os

from busbar_fast.wire.exchange import Exchange

JSON = b"Content-Type: application/json\r\n"
TEXT = b"Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n"


def request_id_line() -> bytes:
    """Return a header line with a fresh request id."""
    return b"x-request-id: req_%b\r\n" % os.urandom(16).hex().encode()


def refuse(
    exchange: Exchange,
    status: int,
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
    fields: bytes = b"",
) -> None:
    """Answer with an error of our own."""
    from busbar_fast.dialects import openai_chat  # noqa: PLC0415  5 ms of import that no start has to wait for

    body = openai_chat.encode_fault(status, message, param=param, code=code)
    exchange.reply(status, JSON + request_id_line() + fields, body)
