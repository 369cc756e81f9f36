"""What an upstream of this dialect says when it refuses. Whose fault that is, is decided elsewhere.

The name of the exception is the type; real answers have it in the head only. The text counts as the code.
"""

from types import MappingProxyType
from typing import Final

from busbar_fast.dialects.upstream_errors import (
    CONTEXT_CODE,
    UpstreamError,
    counted_status,
    find_texts,
    lowered,
    read_retry_after,
    trimmed,
)
from busbar_fast.wire.heads import Fields

_MESSAGE, _MESSAGE_TOO, _NAME = b"message", b"Message", b"__type"
_NAME_FIELD: Final = b"x-amzn-errortype"

# Exceptions inside a stream, which have no status of their own.
_STATUSES: Final = MappingProxyType(
    {
        "ValidationException": 400,
        "ThrottlingException": 429,
        "ModelStreamErrorException": 500,
        "InternalServerException": 500,
        "ServiceUnavailableException": 529,
    }
)
# Exceptions that the vendor gives a status by which the client would be blamed, or the wrong limit.
_MEANT: Final = MappingProxyType(
    {
        ("ModelErrorException", 424): 500,
        ("ModelNotReadyException", 429): 529,
        ("ServiceQuotaExceededException", 400): 402,
    }
)
_PHRASES: Final = ("input is longer than the maximum number of tokens", "input is too long")
_WITH_MAXIMUM: Final = ("token", "context")


def read_error(status: int, fields: Fields, body: bytes, epoch_s: float) -> UpstreamError:
    """Return what is wrong; for an exception in a stream its name stands in `fields` as it would in a head."""
    document = trimmed(body)
    texts = find_texts(document, (_MESSAGE, _MESSAGE_TOO, _NAME))
    message = texts.get(_MESSAGE) or texts.get(_MESSAGE_TOO)
    name = _bare(texts.get(_NAME, "")) or _bare(fields.get(_NAME_FIELD, b"").decode("latin-1").partition(":")[0])
    status = counted_status(_MEANT.get((name, status), status), _STATUSES, name)
    is_too_long = status == 400 and _speaks_of_length(lowered(document))
    return UpstreamError(
        status=status,
        code=CONTEXT_CODE if is_too_long else message,
        type=name or None,
        message=message,
        is_context_length=is_too_long,
        retry_after_s=read_retry_after(fields, epoch_s),
    )


def _bare(name: str) -> str:
    """Return the last part of a name with a namespace, its first letter raised: streams spell it as a member."""
    parts = [part for part in name.strip().replace("#", "/").split("/") if part]
    return parts[-1][0].upper() + parts[-1][1:] if parts else ""


def _speaks_of_length(text: str) -> bool:
    if any(phrase in text for phrase in _PHRASES) or ("maximum-tokens" in text and "requested" in text):
        return True
    return "exceeds the maximum" in text and any(word in text for word in _WITH_MAXIMUM)
