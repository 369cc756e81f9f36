"""Whose fault a failed attempt was, and what follows from it: two tables and the order in which they are asked.

It knows no dialect and no connection. A dialect has read status, code and type out of an upstream's answer before;
`classify` makes a class of them, `disposition_of` says what a class means for the lane and for the request. `judge`
does both and knows the one case that comes before: a key that is the caller's own says nothing about the lane.
"""

import logging
from collections.abc import Mapping
from enum import IntEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple

_log = logging.getLogger("busbar_fast.reliability")

CONTEXT_CODE: Final = "context_length_exceeded"

_CONTEXT_STATUSES: Final = (400, 413)
_KEY_STATUSES: Final = (401, 403)


class ErrorClass(IntEnum):
    """What went wrong; the name in lower case is the word that `error_map` has for it."""

    RATE_LIMIT = 1
    OVERLOADED = 2
    SERVER_ERROR = 3
    TIMEOUT = 4
    NETWORK = 5
    AUTH = 6
    BILLING = 7
    CLIENT_ERROR = 8
    CONTEXT_LENGTH = 9

    @property
    def word(self) -> str:
        """Return the word for it in configuration, counters and logs."""
        return self.name.lower()


class Disposition(IntEnum):
    """What is done about it."""

    TRANSIENT = 1  # a failure on the cell; next member
    HARD_DOWN_BILLING = 2  # every cell of the lane opens; next member
    HARD_DOWN_AUTH = 3  # the same, and no other lane of this provider is tried
    CLIENT_FAULT = 4  # counted, nobody is blamed; relayed
    CONTEXT = 5  # nobody is blamed; next member that may hold more
    CALLERS_KEY = 6  # nothing at all; relayed


class Verdict(NamedTuple):
    """Both answers; no class if the caller's own key was refused."""

    error_class: ErrorClass | None
    disposition: Disposition


_CLASSES: Final = MappingProxyType({error_class.word: error_class for error_class in ErrorClass})

# What is not here: every other status of 500 and above is the server's, every other one the client's.
_CLASS_OF_STATUS: Final = MappingProxyType(
    {
        401: ErrorClass.AUTH,
        402: ErrorClass.BILLING,
        403: ErrorClass.AUTH,
        408: ErrorClass.TIMEOUT,
        429: ErrorClass.RATE_LIMIT,
        529: ErrorClass.OVERLOADED,
    }
)

_DISPOSITIONS: Final = MappingProxyType(
    {
        ErrorClass.RATE_LIMIT: Disposition.TRANSIENT,
        ErrorClass.OVERLOADED: Disposition.TRANSIENT,
        ErrorClass.SERVER_ERROR: Disposition.TRANSIENT,
        ErrorClass.TIMEOUT: Disposition.TRANSIENT,
        ErrorClass.NETWORK: Disposition.TRANSIENT,
        ErrorClass.BILLING: Disposition.HARD_DOWN_BILLING,
        ErrorClass.AUTH: Disposition.HARD_DOWN_AUTH,
        ErrorClass.CLIENT_ERROR: Disposition.CLIENT_FAULT,
        ErrorClass.CONTEXT_LENGTH: Disposition.CONTEXT,
    }
)


def classify(
    status: int,
    code: str | None,
    error_type: str | None,
    *,
    is_context_length: bool,
    error_map: Mapping[str, str],
) -> ErrorClass:
    """Return the class of an answer that is no success: the operator's words first, the status last.

    `is_context_length` says that the dialect has read a prompt's being too long out of the text; it counts as much as
    the code for it, so an operator who maps that code maps the text too.
    """
    if (mapped := _mapped(code, status, error_map)) is not None:
        return mapped
    if status in _CONTEXT_STATUSES and (is_context_length or code == CONTEXT_CODE):
        return _mapped(CONTEXT_CODE, status, error_map) or ErrorClass.CONTEXT_LENGTH
    if (mapped := _mapped(error_type, status, error_map)) is not None:
        return mapped
    return _CLASS_OF_STATUS.get(status) or (ErrorClass.SERVER_ERROR if status >= 500 else ErrorClass.CLIENT_ERROR)


def _mapped(signal: str | None, status: int, error_map: Mapping[str, str]) -> ErrorClass | None:
    """Return the class that an operator gave to a code or a type; a 5xx is never about the length of a prompt."""
    word = error_map.get(signal) if signal is not None else None
    if word is None:
        return None
    error_class = _CLASSES.get(word)
    if error_class is None:
        _warn_of(word)
    return None if error_class is ErrorClass.CONTEXT_LENGTH and status >= 500 else error_class


@lru_cache(maxsize=256)
def _warn_of(word: str) -> None:
    """Say once for each word that it means nothing; loading a configuration refuses it, so this is a last resort."""
    _log.warning("error_map: %r is no class and is ignored", word)


def disposition_of(error_class: ErrorClass) -> Disposition:
    """Return what is done about a class."""
    return _DISPOSITIONS[error_class]


def is_callers_key(status: int, *, passes_on: bool) -> bool:
    """Say whether a refused key is the caller's own, passed on: then nothing is held against the lane."""
    return passes_on and status in _KEY_STATUSES


def judge(
    status: int,
    code: str | None,
    error_type: str | None,
    *,
    is_context_length: bool,
    error_map: Mapping[str, str],
    passes_on: bool,
) -> Verdict:
    """Return class and disposition of an answer that is no success; `passes_on` says whose key was sent."""
    if is_callers_key(status, passes_on=passes_on):
        return Verdict(None, Disposition.CALLERS_KEY)
    error_class = classify(status, code, error_type, is_context_length=is_context_length, error_map=error_map)
    return Verdict(error_class, disposition_of(error_class))
