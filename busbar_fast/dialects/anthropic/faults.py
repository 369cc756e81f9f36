"""Refusals as the vendor words them, so that its SDK raises its own classes.

It must not know who refuses or why. The id in the body is the one in the header, as the vendor has it.
"""

from typing import Any, Final

import orjson

from busbar_fast.dialects.dialect import JSON, Refusal
from busbar_fast.dialects.faults import Fault, Kind

# Status, type and usual words.
_ROWS: Final = {
    Kind.MALFORMED: (400, "invalid_request_error", "The request body is not valid."),
    Kind.UNAUTHENTICATED: (401, "authentication_error", "invalid x-api-key"),
    Kind.FORBIDDEN: (
        403,
        "permission_error",
        "Your API key does not have permission to use the specified resource.",
    ),
    Kind.UNKNOWN_MODEL: (404, "not_found_error", "The requested model could not be found."),
    Kind.UNKNOWN_PATH: (404, "not_found_error", "Not Found"),
    Kind.WRONG_METHOD: (405, "invalid_request_error", "Method Not Allowed"),
    Kind.TOO_LARGE: (413, "request_too_large", "Request exceeds the maximum size"),
    Kind.RATE_LIMITED: (
        429,
        "rate_limit_error",
        "This request would exceed your rate limit. Please try again later.",
    ),
    Kind.OVER_BUDGET: (429, "rate_limit_error", "You have reached your specified API usage limits."),
    Kind.OVERLOADED: (503, "overloaded_error", "Overloaded"),
    Kind.TIMED_OUT: (504, "timeout_error", "Request timed out."),
    Kind.UNREADABLE: (502, "api_error", "Internal server error"),
    Kind.INTERNAL: (500, "api_error", "Internal server error"),
    Kind.TOO_LONG: (400, "invalid_request_error", "prompt is too long"),
}


def encode_fault(fault: Fault, raw_id: bytes) -> Refusal:
    """Return the whole refusal; the id is plain ASCII."""
    status, kind, usual = _ROWS[fault.kind]
    error: dict[str, Any] = {"type": kind, "message": _spellable(fault.message or _words(fault) or usual)}
    fields = b"%brequest-id: %b\r\n" % (JSON, raw_id)
    if fault.kind is Kind.OVER_BUDGET:
        # Without these words the SDK would ask twice more, and its users could not tell it from a limit of rate.
        error["details"] = {"error_code": "enforced_spend_limit_reached"}
        fields += b"x-should-retry: false\r\n"
    elif fault.retry_after_s is not None:
        fields += b"Retry-After: %d\r\n" % fault.retry_after_s
    body = orjson.dumps({"type": "error", "error": error, "request_id": raw_id.decode("ascii")})
    return Refusal(status, fields, body)


def _words(fault: Fault) -> str:
    """Return words for the model or member in question; a model that is elsewhere reads like one that is nowhere."""
    if fault.name and fault.kind in (Kind.UNKNOWN_MODEL, Kind.MALFORMED):
        return f"model: {fault.name}"
    if fault.param and fault.kind is Kind.MALFORMED:
        return f"{fault.param}: Input is not valid"
    return ""


def _spellable(text: str) -> str:
    """Return the text with a `?` for each half of a surrogate pair, which a client may write and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()
