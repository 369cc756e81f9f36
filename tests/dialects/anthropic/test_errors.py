"""Refusals of the vendor, and of those who speak as it does."""

import pytest

from busbar_fast.dialects.anthropic.errors import read_error
from busbar_fast.dialects.anthropic.requests import DIALECT
from busbar_fast.reliability.dispositions import ErrorClass
from tests.dialects.refusals import NOW_S, Row, check, class_of


def envelope(kind: str, message: str) -> bytes:
    """Return an error as the vendor packs it."""
    return f'{{"type":"error","error":{{"type":"{kind}","message":"{message}"}},"request_id":"req_011C"}}'.encode()


def row(status: int, kind: str, message: str, error_class: ErrorClass) -> Row:
    """Return the row of such an error."""
    return Row(status, envelope(kind, message), None, kind, message, error_class)


ROWS = [
    row(400, "invalid_request_error", "messages.0.content: Input should be a valid list", ErrorClass.CLIENT_ERROR),
    row(
        400,
        "invalid_request_error",
        "prompt is too long: 208310 tokens > 200000 maximum",
        ErrorClass.CONTEXT_LENGTH,
    ),
    row(
        400,
        "invalid_request_error",
        "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000",
        ErrorClass.CONTEXT_LENGTH,
    ),
    row(400, "invalid_request_error", "Your credit balance is too low to access the API.", ErrorClass.CLIENT_ERROR),
    row(401, "authentication_error", "invalid x-api-key", ErrorClass.AUTH),
    row(402, "billing_error", "Your organization's billing is past due", ErrorClass.BILLING),
    row(403, "permission_error", "Your API key does not have permission", ErrorClass.AUTH),
    row(404, "not_found_error", "model: claude-x", ErrorClass.CLIENT_ERROR),
    row(413, "request_too_large", "Request exceeds the maximum size", ErrorClass.CLIENT_ERROR),
    row(429, "rate_limit_error", "This request would exceed your organization's rate limit", ErrorClass.RATE_LIMIT),
    row(500, "api_error", "Internal server error", ErrorClass.SERVER_ERROR),
    row(504, "timeout_error", "Request timed out.", ErrorClass.SERVER_ERROR),
    row(529, "overloaded_error", "Overloaded", ErrorClass.OVERLOADED),
    # z.ai
    Row(
        429,
        b'{"type":"error","error":{"type":"1302","code":1302,"message":"High concurrency"}}',
        "1302",
        "1302",
        "High concurrency",
        ErrorClass.RATE_LIMIT,
    ),
    Row(520, b"error code: 520", None, None, None, ErrorClass.SERVER_ERROR),
    Row(403, b"<!DOCTYPE html><title>Attention Required!</title>", None, None, None, ErrorClass.AUTH),
]


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_refusals_are_read(row: Row) -> None:
    """Reliability §4: type and text of real answers, and the class they come to without an operator's help."""
    check(read_error, row)


@pytest.mark.parametrize(
    ("text", "is_context_length"),
    [
        ("Prompt is TOO long", True),
        ("this exceeds the maximum number of tokens", True),
        ("this exceeds the maximum context", True),
        ("this exceeds the maximum size", False),
        ("the prompt is long", False),
    ],
)
@pytest.mark.parametrize("status", [400, 413])
def test_a_prompt_that_is_too_long_is_known_by_the_text(status: int, text: str, is_context_length: bool) -> None:
    """Reliability case 47: the phrases count wherever they stand in the body."""
    assert read_error(status, {}, text.encode(), NOW_S).is_context_length == is_context_length


def test_a_code_of_another_host_says_it_too() -> None:
    """Reliability §4: the one code that everybody knows."""
    body = b'{"type":"error","error":{"type":"x","code":"context_length_exceeded"}}'
    assert read_error(400, {}, body, NOW_S).is_context_length
    assert not read_error(500, {}, body, NOW_S).is_context_length


@pytest.mark.parametrize("status", [401, 403, 404, 422, 429, 500, 529])
def test_other_statuses_are_never_about_length(status: int) -> None:
    """Reliability case 47: the same text on another status keeps the class of the status."""
    error = read_error(status, {}, ROWS[1].body, NOW_S)
    assert class_of(error) is not ErrorClass.CONTEXT_LENGTH


@pytest.mark.parametrize(
    ("kind", "error_class"),
    [
        ("invalid_request_error", ErrorClass.CLIENT_ERROR),
        ("authentication_error", ErrorClass.AUTH),
        ("billing_error", ErrorClass.BILLING),
        ("permission_error", ErrorClass.AUTH),
        ("not_found_error", ErrorClass.CLIENT_ERROR),
        ("request_too_large", ErrorClass.CLIENT_ERROR),
        ("rate_limit_error", ErrorClass.RATE_LIMIT),
        ("api_error", ErrorClass.SERVER_ERROR),
        ("timeout_error", ErrorClass.TIMEOUT),
        ("overloaded_error", ErrorClass.OVERLOADED),
        ("unheard_of_error", ErrorClass.SERVER_ERROR),
    ],
)
def test_a_failure_inside_a_stream_has_a_class(kind: str, error_class: ErrorClass) -> None:
    """Anthropic case 54, Reliability D22: the type says what it is, and keeps its text."""
    error = read_error(200, {}, envelope(kind, "oh"), NOW_S)
    assert (class_of(error), error.message) == (error_class, "oh")


def test_a_type_can_be_mapped() -> None:
    """Anthropic case 69: the type counts where there is no code, and a code wins over it."""
    assert class_of(read_error(400, {}, ROWS[3].body, NOW_S), {"invalid_request_error": "billing"}) is (
        ErrorClass.BILLING
    )
    both = {"1302": "overloaded", "rate_limit_error": "billing"}
    assert class_of(read_error(429, {}, ROWS[13].body, NOW_S), both) is ErrorClass.OVERLOADED
    assert class_of(read_error(429, {}, ROWS[9].body, NOW_S), both) is ErrorClass.BILLING


def test_the_dialect_reads_it_with_the_time_to_wait() -> None:
    """Reliability D9: the head says when to come back, also as a date."""
    fields = {b"retry-after": b"Wed, 26 Nov 2025 02:40:30 GMT"}
    assert DIALECT.read_error(429, fields, ROWS[9].body, NOW_S).retry_after_s == 30
