"""Refusals as the vendor words them: SDKs read the name of the exception in the head, the text in the body.

Name and status keep to the pairs of the vendor's own model where it has one; its SDKs decide by them whether to try
again. Knows nothing of why the gateway refuses.
"""

from typing import Final

import orjson

from busbar_fast.dialects.asks import Ask
from busbar_fast.dialects.dialect import JSON, Refusal
from busbar_fast.dialects.faults import Fault, Kind

INTERNAL_TEXT: Final = "The system encountered an unexpected error during processing. Try your request again."
# Status, exception, and the text if nobody has a better one.
_SHAPES: Final = {
    Kind.MALFORMED: (
        400,
        "ValidationException",
        "Malformed input request, please reformat your input and try again.",
    ),
    Kind.UNAUTHENTICATED: (
        403,
        "AccessDeniedException",
        "The security token included in the request is invalid.",
    ),
    Kind.FORBIDDEN: (
        403,
        "AccessDeniedException",
        "You don't have access to the model with the specified model ID.",
    ),
    Kind.UNKNOWN_MODEL: (404, "ResourceNotFoundException", ""),
    Kind.UNKNOWN_PATH: (
        404,
        "ResourceNotFoundException",
        "The requested operation is not recognized by the service.",
    ),
    Kind.WRONG_METHOD: (
        405,
        "ValidationException",
        "The HTTP method of the request is not allowed for this operation.",
    ),
    Kind.TOO_LARGE: (413, "ValidationException", "The payload of the request is too large."),
    Kind.RATE_LIMITED: (
        429,
        "ThrottlingException",
        "Too many requests, please wait before trying again.",
    ),
    Kind.OVER_BUDGET: (
        400,
        "ServiceQuotaExceededException",
        "Your request exceeds the service quota for your account.",
    ),
    Kind.OVERLOADED: (
        503,
        "ServiceUnavailableException",
        "The service is temporarily unable to handle the request. Try your request again.",
    ),
    Kind.TIMED_OUT: (
        408,
        "ModelTimeoutException",
        "The request took too long to process. Processing time exceeded the model timeout length.",
    ),
    Kind.UNREADABLE: (502, "InternalServerException", INTERNAL_TEXT),
    Kind.INTERNAL: (500, "InternalServerException", INTERNAL_TEXT),
    Kind.TOO_LONG: (400, "ValidationException", "Input is too long for requested model."),
}


def encode_fault(fault: Fault, ask: Ask | None, raw_id: bytes) -> Refusal:
    """Return the refusal of a whole request; a stream that never began is refused in the same form."""
    status, exception, usual = _SHAPES[fault.kind]
    text = fault.message or _special_text(fault, ask) or usual
    # Half a surrogate pair, which a client may spell, becomes a `?`.
    document = {"message": text.encode("utf-8", "replace").decode(), "__type": exception}
    fields = b"%bx-amzn-RequestId: %b\r\nx-amzn-errortype: %b\r\n" % (JSON, raw_id, exception.encode())
    if (retry_after_s := _retry_after_s(fault)) is not None:
        # The vendor's SDKs read their own header only, which counts milliseconds.
        fields += b"Retry-After: %d\r\nx-amz-retry-after: %d\r\n" % (retry_after_s, retry_after_s * 1000)
    return Refusal(status, fields, orjson.dumps(document))


def _retry_after_s(fault: Fault) -> int | None:
    """Return when to come back: the overloaded always say so, a limit if it is known, a spent budget never."""
    if fault.kind is Kind.OVERLOADED:
        return max(1, fault.retry_after_s or 1)
    return fault.retry_after_s if fault.kind is Kind.RATE_LIMITED else None


def _special_text(fault: Fault, ask: Ask | None) -> str:
    """Return a text that says which model or which member; nothing if there is none to name."""
    if fault.kind is Kind.UNKNOWN_MODEL or (fault.kind is Kind.MALFORMED and fault.name):
        name = fault.name or (ask.name if ask is not None else None) or ""
        return f"Could not resolve the foundation model from the model identifier: {name}"
    if fault.kind is Kind.MALFORMED and fault.param:
        return f"Malformed input request: #/{fault.param}, please reformat your input and try again."
    return ""
