"""Refusals of the vendor."""

import pytest

from busbar_fast.dialects.cohere.errors import read_error
from busbar_fast.dialects.cohere.requests import DIALECT
from busbar_fast.reliability.dispositions import ErrorClass
from tests.dialects.refusals import NOW_S, Row, check, class_of

LENGTH = "context_length_exceeded"
TOO_LONG = "too many tokens: total number of tokens in the prompt cannot exceed 128000 - received 130001."


def row(status: int, message: str, error_class: ErrorClass) -> Row:
    """Return the row of an error as the vendor packs it."""
    body = f'{{"id":"8a6f","message":"{message}"}}'.encode()
    code = LENGTH if error_class is ErrorClass.CONTEXT_LENGTH else message
    return Row(status, body, code, None, message, error_class)


ROWS = [
    row(400, "invalid request: list of tools must not be empty", ErrorClass.CLIENT_ERROR),
    row(400, TOO_LONG, ErrorClass.CONTEXT_LENGTH),
    row(401, "invalid api token", ErrorClass.AUTH),
    row(402, "Please add or update your payment method at https://dashboard.cohere.com", ErrorClass.BILLING),
    row(403, "you do not have access to this model", ErrorClass.AUTH),
    row(404, "model 'command-x' not found, make sure the correct model ID was used", ErrorClass.CLIENT_ERROR),
    row(422, "unprocessable entity", ErrorClass.CLIENT_ERROR),
    row(
        429,
        "You are using a Trial key, which is limited to 40 API calls / minute.",
        ErrorClass.RATE_LIMIT,
    ),
    row(498, "invalid token: blocked output", ErrorClass.CLIENT_ERROR),
    row(499, "request cancelled", ErrorClass.CLIENT_ERROR),
    row(500, "internal server error, this has been reported to our developers", ErrorClass.SERVER_ERROR),
    row(503, "service unavailable", ErrorClass.SERVER_ERROR),
    row(504, "gateway timeout", ErrorClass.SERVER_ERROR),
    # the first version of the API
    Row(
        400,
        b'{"message":"invalid request","error_type":"invalid_request_error","meta":{"api_version":{"version":"1"}}}',
        "invalid request",
        "invalid_request_error",
        "invalid request",
        ErrorClass.CLIENT_ERROR,
    ),
    Row(501, b"not implemented", None, None, None, ErrorClass.SERVER_ERROR),
]


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_refusals_are_read(row: Row) -> None:
    """Reliability §4: the text counts as the code, the status says the rest."""
    check(read_error, row)


@pytest.mark.parametrize(
    ("text", "is_context_length"),
    [
        ("Too many tokens", True),
        ("the prompt is too long for the context", True),
        ("input is too long", True),
        ("too long: 9 tokens", True),
        ("over the token limit", True),
        ("this exceeds the context", True),
        ("the maximum number of tokens is 4", True),
        ("URL too long", False),
        ("this exceeds the quota", False),
        ("maximum size reached", False),
    ],
)
@pytest.mark.parametrize("status", [400, 413])
def test_a_prompt_that_is_too_long_is_known_by_the_text(status: int, text: str, is_context_length: bool) -> None:
    """Reliability case 47: tokens, context or input make it one of length, and an URL that is too long does not."""
    error = read_error(status, {}, f'{{"message":"{text}"}}'.encode(), NOW_S)
    assert (error.is_context_length, error.code == LENGTH) == (is_context_length, is_context_length)
    assert error.message == text


@pytest.mark.parametrize("status", [401, 403, 429, 498, 500, 503])
def test_other_statuses_are_never_about_length(status: int) -> None:
    """Reliability case 47: the same words on another status keep the class of the status."""
    error = read_error(status, {}, ROWS[1].body, NOW_S)
    assert (error.code, error.is_context_length) == (TOO_LONG, False)
    assert class_of(error) is not ErrorClass.CONTEXT_LENGTH


def test_text_and_old_type_can_be_mapped() -> None:
    """Reliability case 46: either is a key of `error_map`."""
    assert class_of(read_error(429, {}, ROWS[7].body, NOW_S), {ROWS[7].message or "": "billing"}) is ErrorClass.BILLING
    assert class_of(read_error(400, {}, ROWS[13].body, NOW_S), {"invalid_request_error": "overloaded"}) is (
        ErrorClass.OVERLOADED
    )


@pytest.mark.parametrize(
    ("payload", "status", "message"),
    [
        (b'{"type":"message-end","delta":{"finish_reason":"ERROR","error":"too long"}}', 500, "too long"),
        (b'{"type":"message-end","delta":{"finish_reason":"TIMEOUT"}}', 408, None),
        (b'{"message":"oh"}', 500, "oh"),
        (b"", 500, None),
    ],
)
def test_a_failure_inside_a_stream_has_a_status(payload: bytes, status: int, message: str | None) -> None:
    """Cohere case 61, Reliability D22: the last event says why, and it is the server's fault or a timeout."""
    error = read_error(200, {}, payload, NOW_S)
    assert (error.status, error.message, error.code, error.is_context_length) == (status, message, message, False)


def test_the_dialect_reads_it_with_the_time_to_wait() -> None:
    """Reliability D9: the head says when to come back."""
    assert DIALECT.read_error(429, {b"retry-after": b"3"}, ROWS[7].body, NOW_S).retry_after_s == 3
