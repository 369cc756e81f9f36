"""What an upstream of this dialect says when it refuses. Whose fault that is, is decided elsewhere."""

from types import MappingProxyType
from typing import Final

from busbar_fast.dialects.upstream_errors import (
    CONTEXT_CODE,
    CONTEXT_STATUSES,
    Envelope,
    UpstreamError,
    counted_status,
    lowered,
    read_retry_after,
    trimmed,
)
from busbar_fast.wire.heads import Fields

# Types of failures inside a stream, which have no status of their own.
_STATUSES: Final = MappingProxyType(
    {
        "invalid_request_error": 400,
        "authentication_error": 401,
        "billing_error": 402,
        "permission_error": 403,
        "not_found_error": 404,
        "request_too_large": 413,
        "rate_limit_error": 429,
        "api_error": 500,
        "timeout_error": 408,
        "overloaded_error": 529,
    }
)
_PHRASES: Final = ("prompt is too long", "exceed context limit")
_WITH_MAXIMUM: Final = ("token", "context")


def read_error(status: int, fields: Fields, body: bytes, epoch_s: float) -> UpstreamError:
    """Return what is wrong; that a prompt is too long stands in the text alone, a code comes from other hosts."""
    document = trimmed(body)
    envelope = Envelope(document)
    status = counted_status(status, _STATUSES, envelope.type)
    return UpstreamError(
        status=status,
        code=envelope.code,
        type=envelope.type,
        message=envelope.message,
        is_context_length=status in CONTEXT_STATUSES and (envelope.code == CONTEXT_CODE or _speaks_of_length(document)),
        retry_after_s=read_retry_after(fields, epoch_s),
    )


def _speaks_of_length(document: bytes) -> bool:
    text = lowered(document)
    if any(phrase in text for phrase in _PHRASES):
        return True
    return "exceeds the maximum" in text and any(word in text for word in _WITH_MAXIMUM)
