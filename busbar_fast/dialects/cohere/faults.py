"""Refusals as the vendor words them: one member that holds the text, the status says the rest.

It must not know who refuses or why.
"""

from typing import Final

import orjson

from busbar_fast.dialects.dialect import JSON, Refusal
from busbar_fast.dialects.faults import Fault, Kind

# Status and usual words.
_ROWS: Final = {
    Kind.MALFORMED: (400, "invalid request: the request body is not valid"),
    Kind.UNAUTHENTICATED: (401, "invalid api token"),
    Kind.FORBIDDEN: (403, "your api key does not have access to this resource"),
    Kind.UNKNOWN_MODEL: (404, "model not found, make sure the correct model ID was used"),
    Kind.UNKNOWN_PATH: (404, "not found"),
    Kind.WRONG_METHOD: (405, "method not allowed"),
    Kind.TOO_LARGE: (413, "request entity too large"),
    Kind.RATE_LIMITED: (429, "rate limit exceeded, please try again later"),
    Kind.OVER_BUDGET: (429, "you have reached the spending limit of your api key"),
    Kind.OVERLOADED: (503, "the service is temporarily unavailable, please try again later"),
    Kind.TIMED_OUT: (504, "request timed out"),
    Kind.UNREADABLE: (502, "internal server error"),
    Kind.INTERNAL: (500, "internal server error"),
    Kind.TOO_LONG: (400, "too many tokens: the request is longer than the model's context"),
}


def encode_fault(fault: Fault) -> Refusal:
    """Return the whole refusal; who is over budget is not told to come back."""
    status, usual = _ROWS[fault.kind]
    fields = JSON
    if fault.retry_after_s is not None and fault.kind is not Kind.OVER_BUDGET:
        fields += b"Retry-After: %d\r\n" % fault.retry_after_s
    text = fault.message or _words(fault) or usual
    # Half a surrogate pair, which a client may write and UTF-8 cannot, becomes a `?`.
    return Refusal(status, fields, orjson.dumps({"message": text.encode("utf-8", "replace").decode()}))


def _words(fault: Fault) -> str:
    """Return words for the model or member in question; a model that is elsewhere reads like one that is nowhere."""
    if fault.name and fault.kind in (Kind.UNKNOWN_MODEL, Kind.MALFORMED):
        return f"model '{fault.name}' not found, make sure the correct model ID was used"
    if fault.param and fault.kind is Kind.MALFORMED:
        return f"invalid request: the value of '{fault.param}' is not valid"
    return ""
