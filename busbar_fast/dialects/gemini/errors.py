"""What an upstream of this dialect says when it refuses. Whose fault that is, is decided elsewhere.

The vendor calls a key that is not valid an invalid argument; such an answer counts as a 401.
"""

import re
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
    round_up,
    trimmed,
)
from busbar_fast.wire.heads import Fields

# Codes and names of failures inside a stream, which have no status of their own.
_NAMES: Final = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_STATUSES: Final = MappingProxyType(_NAMES | {str(status): status for status in _NAMES.values()})

_BAD_KEY: Final = "API_KEY_INVALID"
_KEY_STATUS: Final = 401
_KEY_NAME: Final = "UNAUTHENTICATED"
_KEY_NAMES: Final = frozenset(("INVALID_ARGUMENT", "PERMISSION_DENIED", _KEY_NAME))
_speaks_of_key = re.compile(
    r"api[ -]key[ -]not[ -]valid|invalid[ -]api[ -]key|api[ -]key[ -]is[ -]invalid|api[ -]key[ -](?:has[ -])?expired"
).search

_PHRASE: Final = "input is longer than the maximum number of tokens"
_ALL_OF: Final = (("token count", "exceed", "maximum"), ("maximum-tokens", "requested"))
_WITH_MAXIMUM: Final = ("token", "context")
_find_delay = re.compile(rb'"retryDelay"\s*:\s*"([0-9.]+)s"').search


def read_error(status: int, fields: Fields, body: bytes, epoch_s: float) -> UpstreamError:
    """Return what is wrong."""
    document = trimmed(body)
    envelope = Envelope(document)
    code, name = envelope.code or envelope.status, envelope.status
    status = counted_status(status, _STATUSES, name, code)
    if _is_key_bad(document, envelope):
        code, name, status = _BAD_KEY, _KEY_NAME, _KEY_STATUS
    is_too_long = status in CONTEXT_STATUSES and _speaks_of_length(lowered(document))
    return UpstreamError(
        status=status,
        code=CONTEXT_CODE if is_too_long else code,
        type=name,
        message=envelope.message,
        is_context_length=is_too_long,
        retry_after_s=_retry_after_s(fields, document, epoch_s),
    )


def _is_key_bad(document: bytes, envelope: Envelope) -> bool:
    """Say whether it is the key that is refused, by its reason or in so many words.

    The vendor repeats parts of a request in quotes, and no client may bring a lane down by what it writes: inside a
    document the reason has to be a whole value, and the words have to come before the first quote.
    """
    word = _BAD_KEY.encode()
    if (b'"%b"' % word if document.startswith(b"{") else word) in document:
        return True
    own = (envelope.message or "").lower().partition('"')[0]
    return envelope.status in _KEY_NAMES and _speaks_of_key(own) is not None


def _speaks_of_length(text: str) -> bool:
    if _PHRASE in text or any(all(word in text for word in words) for words in _ALL_OF):
        return True
    return "exceeds the maximum" in text and any(word in text for word in _WITH_MAXIMUM)


def _retry_after_s(fields: Fields, document: bytes, epoch_s: float) -> int | None:
    """Return how long to wait by the head, else by a `RetryInfo`."""
    wait_s = read_retry_after(fields, epoch_s)
    if wait_s is None and (found := _find_delay(document)) is not None:
        return round_up(found[1])
    return wait_s
