"""Why the gateway itself refuses a request, before any dialect words it. Texts name no part of a gateway."""

from enum import IntEnum
from typing import Final


class Kind(IntEnum):
    """What is wrong."""

    MALFORMED = 1  # no JSON, nested too deeply, a field that cannot be
    UNAUTHENTICATED = 2
    FORBIDDEN = 3
    UNKNOWN_MODEL = 4  # `name` is what was asked for
    UNKNOWN_PATH = 5
    WRONG_METHOD = 6
    TOO_LARGE = 7
    RATE_LIMITED = 8
    OVER_BUDGET = 9
    OVERLOADED = 10  # nobody can serve now
    TIMED_OUT = 11
    UNREADABLE = 12  # the provider's answer makes no sense or broke off
    INTERNAL = 13
    TOO_LONG = 14  # more tokens than the model takes


_KIND_OF_STATUS: Final = {
    401: Kind.UNAUTHENTICATED,
    402: Kind.OVER_BUDGET,
    403: Kind.FORBIDDEN,
    404: Kind.UNKNOWN_MODEL,
    408: Kind.TIMED_OUT,  # one vendor's word for it
    413: Kind.TOO_LARGE,
    424: Kind.INTERNAL,  # the model failed, says the same one
    429: Kind.RATE_LIMITED,
    503: Kind.OVERLOADED,
    504: Kind.TIMED_OUT,
    529: Kind.OVERLOADED,
}


def kind_of(status: int, *, is_context_length: bool = False) -> Kind:
    """Return as what an upstream's refusal is worded in another dialect; the status itself is the caller's affair."""
    if is_context_length:
        return Kind.TOO_LONG
    return _KIND_OF_STATUS.get(status) or (Kind.INTERNAL if status >= 500 else Kind.MALFORMED)


class Fault:
    """One refusal."""

    __slots__ = ("kind", "message", "name", "param", "retry_after_s")

    def __init__(
        self,
        kind: Kind,
        message: str = "",
        *,
        name: str = "",
        param: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        self.kind = kind
        self.message = message  # empty: the dialect's usual words
        self.name = name  # of the model or path in question, as the client wrote it
        self.param = param  # the member of the body that is wrong
        self.retry_after_s = retry_after_s
