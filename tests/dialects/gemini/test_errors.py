"""Refusals of the vendor."""

import json

import pytest

from busbar_fast.dialects.gemini.errors import read_error
from busbar_fast.dialects.gemini.requests import DIALECT
from busbar_fast.reliability.dispositions import Disposition, ErrorClass, disposition_of
from tests.dialects.refusals import NOW_S, Row, check, class_of

LENGTH = "context_length_exceeded"
TOO_LONG = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
BAD_KEY = "API key not valid. Please pass a valid API key."


def envelope(code: object, name: str, message: str, *details: object) -> bytes:
    """Return an error as the vendor packs it."""
    error = {"code": code, "message": message, "status": name}
    return json.dumps({"error": error | ({"details": list(details)} if details else {})}, indent=2).encode()


def reason(word: str) -> dict[str, str]:
    """Return a detail that names a reason."""
    return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": word, "domain": "googleapis.com"}


def row(code: int, name: str, message: str, error_class: ErrorClass) -> Row:
    """Return the row of an error that is read as it stands."""
    return Row(code, envelope(code, name, message), str(code), name, message, error_class)


ROWS = [
    row(400, "INVALID_ARGUMENT", "Invalid value at 'contents[0].role'", ErrorClass.CLIENT_ERROR),
    row(400, "FAILED_PRECONDITION", "User location is not supported for the API use.", ErrorClass.CLIENT_ERROR),
    row(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.", ErrorClass.AUTH),
    row(403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers", ErrorClass.AUTH),
    row(404, "NOT_FOUND", "models/m is not found for API version v1beta", ErrorClass.CLIENT_ERROR),
    row(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota", ErrorClass.RATE_LIMIT),
    row(499, "CANCELLED", "The operation was cancelled.", ErrorClass.CLIENT_ERROR),
    row(500, "INTERNAL", "An internal error has occurred.", ErrorClass.SERVER_ERROR),
    row(503, "UNAVAILABLE", "The model is overloaded. Please try again later.", ErrorClass.SERVER_ERROR),
    row(504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete.", ErrorClass.SERVER_ERROR),
    Row(
        400,
        envelope(400, "INVALID_ARGUMENT", TOO_LONG),
        LENGTH,
        "INVALID_ARGUMENT",
        TOO_LONG,
        ErrorClass.CONTEXT_LENGTH,
    ),
    Row(
        400,
        envelope(400, "INVALID_ARGUMENT", BAD_KEY, reason("API_KEY_INVALID")),
        "API_KEY_INVALID",
        "UNAUTHENTICATED",
        BAD_KEY,
        ErrorClass.AUTH,
    ),
    Row(
        400,
        b"[%b]" % envelope(400, "INVALID_ARGUMENT", "API key expired. Please renew the API key."),
        "API_KEY_INVALID",
        "UNAUTHENTICATED",
        "API key expired. Please renew the API key.",
        ErrorClass.AUTH,
    ),
    Row(
        429,
        b'{"error":{"message":"Slow","status":"RESOURCE_EXHAUSTED"}}',
        "RESOURCE_EXHAUSTED",
        "RESOURCE_EXHAUSTED",
        "Slow",
        ErrorClass.RATE_LIMIT,
    ),
    Row(502, b"<html><title>Error 502 (Server Error)!!1</title>", None, None, None, ErrorClass.SERVER_ERROR),
    Row(404, b"", None, None, None, ErrorClass.CLIENT_ERROR),
]


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_refusals_are_read(row: Row) -> None:
    """Reliability §4: code as text, name of the status as type, and the class they come to."""
    check(read_error, row)


@pytest.mark.parametrize(
    ("text", "is_context_length"),
    [
        ("the input token count exceeds the maximum", True),
        ("it EXCEEDS the maximum tokens", True),
        ("it exceeds the maximum context", True),
        ("Input is longer than the maximum number of tokens", True),
        ("the maximum-tokens you requested", True),
        ("exceeds the maximum size", False),
        ("token count", False),
        ("requested", False),
    ],
)
@pytest.mark.parametrize("status", [400, 413])
def test_a_prompt_that_is_too_long_is_known_by_the_text(status: int, text: str, is_context_length: bool) -> None:
    """Reliability case 47: the phrases take the place of the code."""
    error = read_error(status, {}, envelope(status, "INVALID_ARGUMENT", text), NOW_S)
    assert (error.is_context_length, error.code == LENGTH) == (is_context_length, is_context_length)


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_other_statuses_are_never_about_length(status: int) -> None:
    """Gemini case 66, Reliability case 47: the same text on another status keeps the class of the status."""
    error = read_error(status, {}, envelope(status, "X", TOO_LONG), NOW_S)
    assert (error.code, error.is_context_length) == (str(status), False)
    assert class_of(error) is not ErrorClass.CONTEXT_LENGTH


@pytest.mark.parametrize(
    ("name", "text", "is_refused"),
    [
        ("INVALID_ARGUMENT", "API key not valid", True),
        ("PERMISSION_DENIED", "invalid api-key", True),
        ("UNAUTHENTICATED", "your API-KEY is invalid", True),
        ("INVALID_ARGUMENT", "API key has expired", True),
        ("INVALID_ARGUMENT", "api key expired", True),
        ("FAILED_PRECONDITION", "API key not valid", False),
        ("INVALID_ARGUMENT", "an API key with an invalid field", False),
        ("INVALID_ARGUMENT", "no such field: API_KEY_INVALID", False),
        ("INVALID_ARGUMENT", 'Unknown name "API key not valid": Cannot find field.', False),
        ("INVALID_ARGUMENT", 'Unknown name "x\\"API_KEY_INVALID": Cannot find field.', False),
    ],
)
def test_a_key_is_refused_in_so_many_words(name: str, text: str, is_refused: bool) -> None:
    """Reliability case 49: a 400 about the key is hard-down, one about a field is not, whatever the client wrote."""
    error = read_error(400, {}, envelope(400, name, text), NOW_S)
    assert error.status == (401 if is_refused else 400)
    expected = Disposition.HARD_DOWN_AUTH if is_refused else Disposition.CLIENT_FAULT
    assert disposition_of(class_of(error)) is expected


def test_a_refused_key_is_no_invalid_argument() -> None:
    """Reliability case 49: what an operator says of invalid arguments is not said of keys."""
    error_map = {"400": "client_error", "INVALID_ARGUMENT": "client_error"}
    assert class_of(read_error(400, {}, ROWS[11].body, NOW_S), error_map) is ErrorClass.AUTH
    assert class_of(read_error(400, {}, b"error: API_KEY_INVALID", NOW_S)) is ErrorClass.AUTH


def test_code_and_name_can_be_mapped() -> None:
    """Gemini case 69: the code counts first, then the name of the status."""
    error = read_error(429, {}, ROWS[5].body, NOW_S)
    assert class_of(error, {"RESOURCE_EXHAUSTED": "billing"}) is ErrorClass.BILLING
    assert class_of(error, {"RESOURCE_EXHAUSTED": "billing", "429": "overloaded"}) is ErrorClass.OVERLOADED


@pytest.mark.parametrize(
    ("delay", "fields", "wait_s"),
    [
        ("34s", {}, 34),
        ("34.074824224s", {}, 35),
        ("0s", {}, 0),
        ("34s", {b"retry-after": b"7"}, 7),
        ("34s", {b"retry-after": b"soon"}, 34),
        ("soon", {}, None),
        ("1.2.3s", {}, None),
    ],
)
def test_the_body_may_say_when_to_come_back(delay: str, fields: dict[bytes, bytes], wait_s: int | None) -> None:
    """Reliability D9: a `RetryInfo` counts where the head says nothing, rounded up."""
    detail = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    body = envelope(429, "RESOURCE_EXHAUSTED", 'say \\"retryDelay\\": \\"9s\\"', detail)
    assert DIALECT.read_error(429, fields, body, NOW_S).retry_after_s == wait_s


@pytest.mark.parametrize(
    ("code", "name", "status"),
    [
        (429, "RESOURCE_EXHAUSTED", 429),
        ("429", "", 429),
        (503, "UNAVAILABLE", 503),
        (7, "PERMISSION_DENIED", 403),
        (7, "NEWS", 500),
    ],
)
def test_a_failure_inside_a_stream_has_a_status(code: object, name: str, status: int) -> None:
    """Gemini case 57, Reliability D22: by name, else by code, else the server's."""
    assert read_error(200, {}, envelope(code, name, "oh"), NOW_S).status == status
