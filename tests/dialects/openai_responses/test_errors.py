"""Refusals of the vendor, whole and inside a stream."""

import pytest

from busbar_fast.dialects.openai_responses.errors import read_error
from busbar_fast.dialects.openai_responses.requests import DIALECT
from busbar_fast.reliability.dispositions import ErrorClass
from tests.dialects.refusals import NOW_S, Row, check

LENGTH = "Your input exceeds the context window of this model. Please adjust your input and try again."
ROWS = [
    Row(
        400,
        b'{"error":{"message":"%b","type":"invalid_request_error","param":"input","code":"context_length_exceeded"}}'
        % LENGTH.encode(),
        "context_length_exceeded",
        "invalid_request_error",
        LENGTH,
        ErrorClass.CONTEXT_LENGTH,
    ),
    Row(
        400,
        b'{"error":{"message":"Unsupported parameter: \'n\'.","type":"invalid_request_error","param":"n",'
        b'"code":"unsupported_parameter"}}',
        "unsupported_parameter",
        "invalid_request_error",
        "Unsupported parameter: 'n'.",
        ErrorClass.CLIENT_ERROR,
    ),
    Row(
        400,
        b'{"error":{"message":"Previous response with id \'resp_x\' not found.","type":"invalid_request_error",'
        b'"param":"previous_response_id","code":"previous_response_not_found"}}',
        "previous_response_not_found",
        "invalid_request_error",
        "Previous response with id 'resp_x' not found.",
        ErrorClass.CLIENT_ERROR,
    ),
    Row(
        401,
        b'{"error":{"message":"Incorrect API key provided.","type":"invalid_request_error","param":null,'
        b'"code":"invalid_api_key"}}',
        "invalid_api_key",
        "invalid_request_error",
        "Incorrect API key provided.",
        ErrorClass.AUTH,
    ),
    Row(
        403,
        b'{"error":{"message":"Your organization is not verified","type":"permission_error","param":null,"code":null}}',
        None,
        "permission_error",
        "Your organization is not verified",
        ErrorClass.AUTH,
    ),
    Row(
        404,
        b'{"error":{"message":"No such model","type":"invalid_request_error","param":"m","code":"model_not_found"}}',
        "model_not_found",
        "invalid_request_error",
        "No such model",
        ErrorClass.CLIENT_ERROR,
    ),
    Row(
        429,
        b'{"error":{"message":"Rate limit reached","type":"requests","param":null,"code":"rate_limit_exceeded"}}',
        "rate_limit_exceeded",
        "requests",
        "Rate limit reached",
        ErrorClass.RATE_LIMIT,
    ),
    Row(
        429,
        b'{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","param":null,'
        b'"code":"insufficient_quota"}}',
        "insufficient_quota",
        "insufficient_quota",
        "You exceeded your current quota",
        ErrorClass.RATE_LIMIT,
    ),
    Row(
        500,
        b'{"error":{"message":"An error occurred","type":"server_error","param":null,"code":"server_error"}}',
        "server_error",
        "server_error",
        "An error occurred",
        ErrorClass.SERVER_ERROR,
    ),
    Row(
        503,
        b'{"error":{"message":"Our servers are currently overloaded","type":"service_unavailable_error",'
        b'"param":null,"code":"server_is_overloaded"}}',
        "server_is_overloaded",
        "service_unavailable_error",
        "Our servers are currently overloaded",
        ErrorClass.SERVER_ERROR,
    ),
    Row(408, b'{"error":{"message":"Request timed out"}}', None, None, "Request timed out", ErrorClass.TIMEOUT),
    Row(504, b"upstream request timeout", None, None, None, ErrorClass.SERVER_ERROR),
]


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_refusals_are_read(row: Row) -> None:
    """Reliability §4: code, type and text of real answers, and the class they come to without an operator's help."""
    check(read_error, row)


@pytest.mark.parametrize(
    ("status", "body", "is_context_length"),
    [
        (400, b'{"error":{"code":"x","message":"no"},"hint":"Please REDUCE the length"}', True),
        (413, b"the input exceeds the token limit", True),
        (400, b'{"error":{"message":"exceeds the quota"}}', False),
        (401, b"please reduce the length", False),
        (429, b"please reduce the length", False),
        (500, b"please reduce the length", False),
    ],
)
def test_the_whole_body_is_looked_at_for_length(status: int, body: bytes, is_context_length: bool) -> None:
    """Reliability case 47: the phrases count wherever they stand, on two statuses only."""
    assert read_error(status, {}, body, NOW_S).is_context_length == is_context_length


@pytest.mark.parametrize(
    ("payload", "status", "code", "message"),
    [
        (
            (
                b'{"type":"response.failed","sequence_number":9,"response":{"id":"resp_1","status":"failed",'
                b'"error":{"code":"rate_limit_exceeded","message":"slow"}}}'
            ),
            429,
            "rate_limit_exceeded",
            "slow",
        ),
        (b'{"type":"response.failed","response":{"error":{"code":"server_error"}}}', 500, "server_error", None),
        (b'{"type":"response.failed"}', 500, None, None),
        (
            b'{"type":"error","sequence_number":3,"code":"invalid_prompt","message":"no","param":null}',
            400,
            "invalid_prompt",
            "no",
        ),
        (
            b'{"type":"response.failed","response":{"error":{"code":"context_length_exceeded","message":"x"}}}',
            400,
            "context_length_exceeded",
            "x",
        ),
    ],
)
def test_a_failure_inside_a_stream_has_a_status(
    payload: bytes, status: int, code: str | None, message: str | None
) -> None:
    """Responses cases 42 and 43, Reliability D22: both forms are read, and without a body it is the server's."""
    error = read_error(200, {}, payload, NOW_S)
    assert (error.status, error.code, error.message) == (status, code, message)
    assert error.is_context_length == (code == "context_length_exceeded")


def test_the_dialect_reads_it_with_the_time_to_wait() -> None:
    """Reliability D9: the head says when to come back."""
    assert DIALECT.read_error(429, {b"retry-after-ms": b"1500"}, ROWS[6].body, NOW_S).retry_after_s == 2
