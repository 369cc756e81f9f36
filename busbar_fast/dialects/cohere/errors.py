"""What an upstream of this dialect says when it refuses. Whose fault that is, is decided elsewhere.

There is little to tell errors apart by: a text, which counts as the code, and in older bodies a type.
"""

from typing import Final

from busbar_fast.dialects.upstream_errors import (
    CONTEXT_CODE,
    CONTEXT_STATUSES,
    UpstreamError,
    find_texts,
    find_value,
    lowered,
    read_retry_after,
    trimmed,
)
from busbar_fast.wire.heads import Fields

_MESSAGE: Final = b"message"
_TYPE: Final = b"error_type"
_DELTA: Final = b"delta"
_ERROR: Final = b"error"
_REASON: Final = b"finish_reason"

_PHRASES: Final = ("too many tokens", "token limit")
# Words that say it together with one of others.
_PAIRS: Final = (("too long", ("token", "context", "input")), ("exceeds", ("context",)), ("maximum", ("token",)))


def read_error(status: int, fields: Fields, body: bytes, epoch_s: float) -> UpstreamError:
    """Return what is wrong; a stream reports a failure in the `delta` of its last event."""
    document = trimmed(body)
    texts = find_texts(document, (_MESSAGE, _TYPE))
    message = texts.get(_MESSAGE)
    if status < 300:
        delta = find_texts(find_value(document, _DELTA), (_ERROR, _REASON))
        message = delta.get(_ERROR, message)
        status = 408 if delta.get(_REASON) == "TIMEOUT" else 500
    is_too_long = status in CONTEXT_STATUSES and _speaks_of_length(lowered(document))
    return UpstreamError(
        status=status,
        code=CONTEXT_CODE if is_too_long else message,
        type=texts.get(_TYPE),
        message=message,
        is_context_length=is_too_long,
        retry_after_s=read_retry_after(fields, epoch_s),
    )


def _speaks_of_length(text: str) -> bool:
    if any(phrase in text for phrase in _PHRASES):
        return True
    return any(first in text and any(word in text for word in others) for first, others in _PAIRS)
