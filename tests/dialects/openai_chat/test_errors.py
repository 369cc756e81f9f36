"""Refusals of the vendor, and of those who speak as it does."""

import pytest

from busbar_fast.dialects.openai_chat.errors import read_error
from busbar_fast.dialects.openai_chat.requests import DIALECT
from busbar_fast.reliability.dispositions import ErrorClass
from tests.dialects.refusals import NOW_S, Row, check, class_of

CONTEXT = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens."
ROWS = [
    Row(
        400,
        b'{"error":{"message":"%b","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}'
        % CONTEXT.encode(),
        "context_length_exceeded",
        "invalid_request_error",
        CONTEXT,
        ErrorClass.CONTEXT_LENGTH,
    ),
    Row(
        401,
        b'{"error":{"message":"Incorrect API key provided: sk-x.","type":"invalid_request_error","param":null,'
        b'"code":"invalid_api_key"}}',
        "invalid_api_key",
        "invalid_request_error",
        "Incorrect API key provided: sk-x.",
        ErrorClass.AUTH,
    ),
    Row(
        403,
        b'{"error":{"message":"Country, region, or territory not supported","type":"request_forbidden","param":null,'
        b'"code":"unsupported_country_region_territory"}}',
        "unsupported_country_region_territory",
        "request_forbidden",
        "Country, region, or territory not supported",
        ErrorClass.AUTH,
    ),
    Row(
        404,
        b'{\n  "error": {\n    "message": "The model `m` does not exist or you do not have access to it.",\n'
        b'    "type": "invalid_request_error",\n    "param": null,\n    "code": "model_not_found"\n  }\n}\n',
        "model_not_found",
        "invalid_request_error",
        "The model `m` does not exist or you do not have access to it.",
        ErrorClass.CLIENT_ERROR,
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
        429,
        b'{"error":{"message":"Rate limit reached: Limit 30000, Used 29000","type":"tokens","param":null,'
        b'"code":"rate_limit_exceeded"}}',
        "rate_limit_exceeded",
        "tokens",
        "Rate limit reached: Limit 30000, Used 29000",
        ErrorClass.RATE_LIMIT,
    ),
    Row(
        500,
        b'{"error":{"message":"The server had an error","type":"server_error","param":null,"code":null}}',
        None,
        "server_error",
        "The server had an error",
        ErrorClass.SERVER_ERROR,
    ),
    Row(
        503,
        b'{"error":{"message":"That model is currently overloaded","type":"server_error"}}',
        None,
        "server_error",
        "That model is currently overloaded",
        ErrorClass.SERVER_ERROR,
    ),
    # vLLM
    Row(
        400,
        b'{"object":"error","message":"%b","type":"BadRequestError","param":null,"code":400}' % CONTEXT.encode(),
        "400",
        None,
        CONTEXT,
        ErrorClass.CONTEXT_LENGTH,
    ),
    # Azure
    Row(
        401,
        b'{"error":{"code":"401","message":"Access denied due to invalid subscription key"}}',
        "401",
        None,
        "Access denied due to invalid subscription key",
        ErrorClass.AUTH,
    ),
    # OpenRouter
    Row(
        402,
        b'{"error":{"message":"Insufficient credits","code":402},"user_id":"user_x"}',
        "402",
        None,
        "Insufficient credits",
        ErrorClass.BILLING,
    ),
    # z.ai
    Row(
        429,
        '{"error":{"code":"1113","message":"Insufficient balance \u4f59"}}'.encode(),
        "1113",
        None,
        "Insufficient balance \u4f59",
        ErrorClass.RATE_LIMIT,
    ),
    # Ollama
    Row(404, b'{"error":"model not found"}', None, None, "model not found", ErrorClass.CLIENT_ERROR),
    # the compatibility mode of another vendor
    Row(
        400,
        b'[{"error":{"code":400,"message":"Invalid value","status":"INVALID_ARGUMENT"}}]',
        "400",
        None,
        "Invalid value",
        ErrorClass.CLIENT_ERROR,
    ),
    Row(502, b"<html><h1>502 Bad Gateway</h1></html>", None, None, None, ErrorClass.SERVER_ERROR),
    Row(529, b"", None, None, None, ErrorClass.OVERLOADED),
]


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_refusals_are_read(row: Row) -> None:
    """Reliability §4: code, type and text of real answers, and the class they come to without an operator's help."""
    check(read_error, row)


@pytest.mark.parametrize("status", [400, 413])
@pytest.mark.parametrize(
    ("text", "is_context_length"),
    [
        ("This model's Maximum Context Length is 8192 tokens", True),
        ("context length exceeded", True),
        ("Please reduce the length of the messages", True),
        ("Your input exceeds the context window of this model", True),
        ("Request exceeds the token limit", True),
        ("Your request exceeds the daily allowance of tokens", False),
        ("max_tokens is too large", False),
    ],
)
@pytest.mark.parametrize("code", ["null", '"string_above_max_length"'])
def test_a_prompt_that_is_too_long_is_known_by_the_message(
    status: int, text: str, is_context_length: bool, code: str
) -> None:
    """Reliability case 47: the phrases count whatever the code is."""
    body = f'{{"error":{{"message":"{text}","code":{code}}},"note":"reduce the length"}}'.encode()
    assert read_error(status, {}, body, NOW_S).is_context_length == is_context_length


@pytest.mark.parametrize("status", [401, 403, 404, 422, 429, 500, 503])
def test_other_statuses_are_never_about_length(status: int) -> None:
    """Reliability case 47: the same text and code on another status keep the class of the status."""
    error = read_error(status, {}, ROWS[0].body, NOW_S)
    assert not error.is_context_length
    assert class_of(error) is not ErrorClass.CONTEXT_LENGTH


@pytest.mark.parametrize(
    ("payload", "status"),
    [
        (b'{"error":{"message":"slow","type":"rate_limit_error","code":"rate_limit_exceeded"}}', 429),
        (b'{"error":{"message":"pay","type":"insufficient_quota","code":"insufficient_quota"}}', 402),
        (b'{"error":{"message":"who","type":"invalid_request_error","code":"invalid_api_key"}}', 401),
        (b'{"error":{"message":"what","type":"invalid_request_error","code":null}}', 400),
        (b'{"error":{"message":"long","type":"x","code":"context_length_exceeded"}}', 400),
        (b'{"error":{"message":"oh","type":"server_error","code":null}}', 500),
        (b'{"error":{"message":"oh"}}', 500),
    ],
)
def test_a_failure_inside_a_stream_has_a_status(payload: bytes, status: int) -> None:
    """Reliability D22: an event that reports a failure is read like an answer, and is the server's if nobody knows."""
    assert read_error(200, {}, payload, NOW_S).status == status


def test_the_dialect_reads_it_with_the_time_to_wait() -> None:
    """Reliability D9: the head says when to come back."""
    error = DIALECT.read_error(429, {b"retry-after": b"20"}, ROWS[5].body, NOW_S)
    assert error == read_error(429, {b"retry-after": b"20"}, ROWS[5].body, NOW_S)
    assert error.retry_after_s == 20
