"""Errors as the vendor words them, so that its SDKs raise their own classes."""

import orjson

_KINDS = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
}


def encode_fault(status: int, message: str, *, param: str | None = None, code: str | None = None) -> bytes:
    """Return the error envelope for a status; half a surrogate pair, which a client may spell, becomes a `?`."""
    message = message.encode("utf-8", "replace").decode()
    kind = _KINDS.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return orjson.dumps({"error": {"message": message, "type": kind, "param": param, "code": code}})
