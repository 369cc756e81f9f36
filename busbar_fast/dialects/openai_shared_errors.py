"""How the two dialects of OpenAI word what goes wrong, as far as they do it alike.

It must not know which part of an answer is looked at for phrases; they differ there.
"""

from types import MappingProxyType
from typing import Final

from busbar_fast.dialects.upstream_errors import (
    CONTEXT_CODE,
    CONTEXT_STATUSES,
    Envelope,
    UpstreamError,
    counted_status,
    read_retry_after,
)
from busbar_fast.wire.heads import Fields

# Codes and types of failures inside a stream, which have no status of their own.
_STATUSES: Final = MappingProxyType(
    {
        CONTEXT_CODE: 400,
        "invalid_api_key": 401,
        "authentication_error": 401,
        "insufficient_quota": 402,
        "permission_error": 403,
        "rate_limit_exceeded": 429,
        "rate_limit_error": 429,
        "invalid_request_error": 400,
        "invalid_prompt": 400,
    }
)
_PHRASES: Final = ("maximum context length", "context length exceeded", "reduce the length")
_WITH_EXCEEDS: Final = ("context", "token limit")


def read_shared(status: int, fields: Fields, document: bytes, epoch_s: float) -> UpstreamError:
    """Return what is wrong, by members alone."""
    envelope = Envelope(document)
    status = counted_status(status, _STATUSES, envelope.code, envelope.type)
    return UpstreamError(
        status=status,
        code=envelope.code,
        type=envelope.type,
        message=envelope.message,
        is_context_length=envelope.code == CONTEXT_CODE and status in CONTEXT_STATUSES,
        retry_after_s=read_retry_after(fields, epoch_s),
    )


def speaks_of_length(error: UpstreamError, text: str) -> UpstreamError:
    """Return the error as one of a prompt's length if a text in lower case says so and the status allows it."""
    if error.is_context_length or error.status not in CONTEXT_STATUSES:
        return error
    has_phrase = any(phrase in text for phrase in _PHRASES)
    has_both = "exceeds" in text and any(word in text for word in _WITH_EXCEEDS)
    return error._replace(is_context_length=has_phrase or has_both)
