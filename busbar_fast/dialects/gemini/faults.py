"""Refusals as the vendor words them, so that its SDKs raise their own classes with its own names.

Code and name of an error always agree, and the code is the status. Knows nothing of why the gateway refuses.
"""

from typing import Any, Final

import orjson

from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.dialect import JSON, Refusal
from busbar_fast.dialects.faults import Fault, Kind

_INTERNAL_TEXT: Final = "Internal error encountered."
# Status, name, and the text if nobody has a better one.
_SHAPES: Final = {
    Kind.MALFORMED: (400, "INVALID_ARGUMENT", "Invalid JSON payload received."),
    Kind.UNAUTHENTICATED: (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
    Kind.FORBIDDEN: (403, "PERMISSION_DENIED", "The caller does not have permission"),
    Kind.UNKNOWN_MODEL: (404, "NOT_FOUND", ""),
    Kind.UNKNOWN_PATH: (404, "NOT_FOUND", ""),
    Kind.WRONG_METHOD: (405, "INVALID_ARGUMENT", "The request method is inappropriate for the requested URL."),
    Kind.TOO_LARGE: (413, "INVALID_ARGUMENT", "Request payload size exceeds the limit."),
    Kind.RATE_LIMITED: (429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
    Kind.OVER_BUDGET: (
        429,
        "RESOURCE_EXHAUSTED",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    Kind.OVERLOADED: (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    Kind.TIMED_OUT: (504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
    Kind.UNREADABLE: (502, "INTERNAL", _INTERNAL_TEXT),
    Kind.INTERNAL: (500, "INTERNAL", _INTERNAL_TEXT),
    Kind.TOO_LONG: (
        400,
        "INVALID_ARGUMENT",
        "The input token count exceeds the maximum number of tokens allowed.",
    ),
}
_BAD_KEY: Final = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "reason": "API_KEY_INVALID",
    "domain": "googleapis.com",
    "metadata": {"service": "generativelanguage.googleapis.com"},
}
_RETRY: Final = "type.googleapis.com/google.rpc.RetryInfo"
_DEFAULT_VERSION: Final = "v1beta"
_LISTS: Final = "Call ListModels to see the list of available models and their supported methods."


def encode_fault(fault: Fault, ask: Ask | None) -> Refusal:
    """Return the refusal of a whole request, as a one-element array for who asked for an array."""
    fault = _judge(fault, ask)
    document = encode_error(fault, ask)
    retry_after_s = _retry_after_s(fault)
    fields = JSON if retry_after_s is None else JSON + b"Retry-After: %d\r\n" % retry_after_s
    body = b"[%b]" % document if ask is not None and ask.in_array else document
    return Refusal(_SHAPES[fault.kind][0], fields, body)


def encode_error(fault: Fault, ask: Ask | None = None) -> bytes:
    """Return the error document alone; in a stream it is a frame, or the last element of the array."""
    code, status, usual = _SHAPES[fault.kind]
    text = fault.message or _missing_text(fault, ask) or _malformed_text(fault) or usual
    # Half a surrogate pair, which a client may spell, becomes a `?`.
    error: dict[str, Any] = {"code": code, "message": text.encode("utf-8", "replace").decode(), "status": status}
    if fault.kind is Kind.UNAUTHENTICATED:
        error["details"] = [_BAD_KEY]
    elif fault.kind is Kind.RATE_LIMITED and (retry_after_s := _retry_after_s(fault)) is not None:
        error["details"] = [{"@type": _RETRY, "retryDelay": f"{retry_after_s}s"}]
    return orjson.dumps({"error": error})


def _judge(fault: Fault, ask: Ask | None) -> Fault:
    """Return the fault as the vendor sees it: a model without an action is not found by any method but GET."""
    if fault.kind is Kind.WRONG_METHOD and ask is not None and ask.operation is Operation.SHOW_MODEL:
        return Fault(Kind.UNKNOWN_MODEL, name=ask.name or "")
    return fault


def _retry_after_s(fault: Fault) -> int | None:
    """Return when to come back: the overloaded always say so, a limit if it is known, a spent budget never."""
    if fault.kind is Kind.OVERLOADED:
        return max(1, fault.retry_after_s or 1)
    return fault.retry_after_s if fault.kind is Kind.RATE_LIMITED else None


def _missing_text(fault: Fault, ask: Ask | None) -> str:
    """Return what is said of a model or a path that does not exist; nothing if that is not the matter."""
    is_model = fault.kind is Kind.UNKNOWN_MODEL or (fault.kind is Kind.MALFORMED and fault.name != "")
    if not is_model and fault.kind is not Kind.UNKNOWN_PATH:
        return ""
    name = None if ask is None else ask.name
    version, _, action = ("" if ask is None else ask.word).partition(" ")
    if is_model:
        name = fault.name or name
    elif name is None and not action:
        url = fault.name.rpartition(" ")[2].partition("?")[0]  # a method may stand in front, a key in the query
        return f"The requested URL {url} was not found on this server." if url else "Requested entity was not found."
    otherwise = f", or is not supported for {action}" if action else ""
    return f"models/{name or ''} is not found for API version {version or _DEFAULT_VERSION}{otherwise}. {_LISTS}"


def _malformed_text(fault: Fault) -> str:
    return f"Invalid value at '{fault.param}'." if fault.kind is Kind.MALFORMED and fault.param else ""
