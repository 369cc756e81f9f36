"""The error envelope and headers that the two OpenAI dialects share."""

from typing import Any, Final

import orjson

from busbar_fast.mock.ask import Place
from busbar_fast.mock.content import mint
from busbar_fast.mock.reply import Fault

ANSWER_HEADERS: Final = f"x-request-id: {mint('req_', 36, filler='5eed')}\r\n".encode()

_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_CODES: Final = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
_FIRST_SERVER_STATUS = 500


def fault_document(fault: Fault) -> dict[str, Any]:
    """Return the error envelope; an exhausted quota is a type as well as a code."""
    fallback = "server_error" if fault.status >= _FIRST_SERVER_STATUS else "invalid_request_error"
    kind = "insufficient_quota" if fault.code == "insufficient_quota" else _TYPES.get(fault.status, fallback)
    code = fault.code or _CODES.get(fault.status)
    return {"error": {"message": fault.message, "type": kind, "param": fault.param, "code": code}}


def encode_fault(fault: Fault, _place: Place) -> bytes:
    """Return the body of an error answer."""
    return orjson.dumps(fault_document(fault))


def fault_headers(_fault: Fault) -> bytes:
    """Return the headers of an error answer."""
    return ANSWER_HEADERS
