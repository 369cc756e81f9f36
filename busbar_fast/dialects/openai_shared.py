"""What the two dialects of OpenAI truly share: keys, errors, lists of models, and how usage reads.

It must not know the routes of either, nor which members of its answers count what; both tell it. `OpenAIDialect` is
the base of the two, `encode_refusal` words what we refuse, `read_usage` reads a usage value.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from busbar_fast.dialects.asks import Ask
from busbar_fast.dialects.dialect import JSON, Dialect, Refusal, Usage
from busbar_fast.dialects.faults import Fault, Kind
from busbar_fast.errors import NotJson, TooDeep
from busbar_fast.wire.json_scan import Span, find_members, is_object

MAX_COUNT: Final = 2**64 - 1
SYSTEM_ROLES: Final[tuple[str, ...]] = ("system", "developer")

_DIGITS: Final = 19  # any number of so many digits is below MAX_COUNT
_CREDENTIALS: Final = {
    "": b"Authorization: Bearer %b\r\n",
    "bearer": b"Authorization: Bearer %b\r\n",
    "api-key": b"api-key: %b\r\n",
    "x-api-key": b"x-api-key: %b\r\n",
}
_ACCEPT_JSON: Final = b"Accept: application/json\r\n"
_ACCEPT_STREAM: Final = b"Accept: text/event-stream\r\n"
_NO_RETRY: Final = b"x-should-retry: false\r\n"
BROKEN: Final = "The server had an error while processing your request. Sorry about that!"


class _Row(NamedTuple):
    """How one kind of refusal looks; no type means the one for failures of the server's own."""

    status: int
    kind: str
    code: str | None
    message: str


_ROWS: Final = {
    Kind.MALFORMED: _Row(400, "invalid_request_error", None, "We could not parse the JSON body of your request."),
    Kind.UNAUTHENTICATED: _Row(401, "authentication_error", "invalid_api_key", "Incorrect API key provided."),
    Kind.FORBIDDEN: _Row(403, "permission_error", None, "You do not have access to the requested model."),
    Kind.UNKNOWN_MODEL: _Row(404, "not_found_error", "model_not_found", "The requested model does not exist."),
    Kind.UNKNOWN_PATH: _Row(404, "not_found_error", None, "Invalid URL"),
    Kind.WRONG_METHOD: _Row(405, "invalid_request_error", None, "Method not allowed."),
    Kind.TOO_LARGE: _Row(413, "invalid_request_error", None, "The request body is too large."),
    Kind.RATE_LIMITED: _Row(429, "rate_limit_error", None, "Rate limit reached. Please try again later."),
    Kind.OVER_BUDGET: _Row(
        429,
        "insufficient_quota",
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    Kind.OVERLOADED: _Row(
        503, "server_error", None, "The server cannot take your request at the moment. Please try again later."
    ),
    Kind.TIMED_OUT: _Row(504, "server_error", None, "The request timed out. Please try again later."),
    Kind.UNREADABLE: _Row(502, "", None, BROKEN),
    Kind.INTERNAL: _Row(500, "", None, BROKEN),
    Kind.TOO_LONG: _Row(
        400,
        "invalid_request_error",
        "context_length_exceeded",
        "Your input exceeds the context window of this model. Please adjust your input and try again.",
    ),
}


class OpenAIDialect(Dialect):
    """What does not depend on the route. Nothing of a client's query or header fields travels on."""

    id_field = b"x-request-id"
    keepalive = b": keepalive\n\n"

    def upstream_path(self, path: str, ask: Ask, *, in_stream: bool) -> str:  # noqa: ARG002  the body says the rest
        return path

    def credential(self, style: str, key: str, *, is_callers: bool = False) -> bytes:
        """Return the header line of a key; a caller's own is passed on to the letter."""
        key = key if is_callers else key.strip()
        if not key or not key.isascii() or not key.isprintable():
            return b""
        return _CREDENTIALS[style] % key.encode()

    def upstream_fields(self, options: Mapping[str, str | bool], *, in_stream: bool) -> bytes:  # noqa: ARG002  none
        return _ACCEPT_STREAM if in_stream else _ACCEPT_JSON

    def encode_models(self, names: list[str], created_s: int) -> bytes:
        return encode_models(names, created_s)

    def encode_model(self, name: str, created_s: int) -> bytes:
        return encode_model(name, created_s)


def encode_models(names: Iterable[str], created_s: int) -> bytes:
    """Return the list envelope."""
    import orjson  # noqa: PLC0415  13 ms that no start has to wait for

    return orjson.dumps({"object": "list", "data": [_model(name, created_s) for name in names]})


def encode_model(name: str, created_s: int) -> bytes:
    """Return one entry of the list."""
    import orjson  # noqa: PLC0415  as above

    return orjson.dumps(_model(name, created_s))


def _model(name: str, created_s: int) -> dict[str, str | int]:
    return {"id": name, "object": "model", "created": created_s, "owned_by": "system"}


def encode_error(message: str, kind: str, param: str | None, code: str | None) -> bytes:
    """Return the error envelope; half a surrogate pair, which a client may spell, becomes a `?`."""
    import orjson  # noqa: PLC0415  as above

    param = None if param is None else _spelled(param)
    return orjson.dumps({"error": {"message": _spelled(message), "type": kind, "param": param, "code": code}})


def _spelled(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def encode_refusal(fault: Fault, ask: Ask | None, raw_id: bytes, failure_kind: str) -> Refusal:
    """Return a refusal; `failure_kind` is the dialect's word for what goes wrong on the server's side."""
    row = _ROWS[fault.kind]
    fields = JSON
    if raw_id:
        fields += b"x-request-id: %b\r\n" % raw_id
    if fault.kind is Kind.OVER_BUDGET:
        fields += _NO_RETRY
    elif fault.retry_after_s is not None:
        fields += b"Retry-After: %d\r\n" % fault.retry_after_s
    message = fault.message or _usual_message(fault, ask, row)
    return Refusal(row.status, fields, encode_error(message, row.kind or failure_kind, fault.param, row.code))


def _usual_message(fault: Fault, ask: Ask | None, row: _Row) -> str:
    """Return the vendor's words, with the name in question where the vendor repeats it."""
    if fault.name and fault.kind in (Kind.UNKNOWN_MODEL, Kind.MALFORMED):
        return f"The model `{fault.name}` does not exist or you do not have access to it."
    if fault.kind is Kind.UNKNOWN_PATH and fault.name:
        return f"Invalid URL ({fault.name})"
    if fault.kind is Kind.WRONG_METHOD and ask is not None:
        return f"Only {b' and '.join(ask.methods).decode()} requests are accepted."
    return row.message


class Words(NamedTuple):
    """Which members of a usage object count what."""

    input: bytes
    output: bytes
    details: bytes  # an object that says how much of the input a cache gave or took
    cached: tuple[bytes, ...] = ()  # where else a cache read may be counted, beside the input


_CACHED: Final = b"cached_tokens"
_CACHE_WRITE: Final = b"cache_write_tokens"


def read_usage(raw: bytes, words: Words) -> Usage | None:
    """Return what a `usage` value counts; None if it is no object or counts nothing.

    Cache reads and writes are part of the input; should they be more than all of it, they are what went in.
    """
    try:
        found = find_members(raw, words[:3] + words.cached)
        details_at = found.get(words.details, [(0, 0)])[-1]
        in_details = details_at[1] > 0 and is_object(raw, details_at)
        details = find_members(raw, (_CACHED, _CACHE_WRITE), *details_at) if in_details else {}
    except (NotJson, TooDeep):
        return None
    taken, given = _count(raw, found, words.input), _count(raw, found, words.output)
    if taken is None and given is None:
        return None
    reads = [_count(raw, details, _CACHED), *(_count(raw, found, name) for name in words.cached)]
    cached = next((read for read in reads if read is not None), 0)
    written = _count(raw, details, _CACHE_WRITE) or 0
    return Usage(min(max(taken or 0, cached + written), MAX_COUNT), given or 0)


def _count(raw: bytes, found: Mapping[bytes, list[Span]], name: bytes) -> int | None:
    """Return the number that counts under a name; a negative or broken one is none."""
    if name not in found:
        return None
    start, end = found[name][-1]
    digits = raw[start:end]
    if not digits.isdigit():
        return None
    return int(digits) if len(digits) <= _DIGITS else MAX_COUNT
