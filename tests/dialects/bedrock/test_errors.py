"""Refusals of the service."""

import pytest

from busbar_fast.dialects.bedrock.errors import read_error
from busbar_fast.dialects.bedrock.requests import DIALECT
from busbar_fast.reliability.dispositions import ErrorClass
from tests.dialects.refusals import NOW_S, class_of

LENGTH = "context_length_exceeded"
# Status, exception as the head has it, text, class.
ROWS = [
    (
        400,
        "ValidationException",
        "Malformed input request: extraneous key [x] is not permitted",
        ErrorClass.CLIENT_ERROR,
    ),
    (400, "ValidationException", "Input is too long for requested model.", ErrorClass.CONTEXT_LENGTH),
    (
        400,
        "ValidationException",
        "The model returned the following errors: Input is longer than the maximum number of tokens 4096",
        ErrorClass.CONTEXT_LENGTH,
    ),
    (
        400,
        "ValidationException",
        "The maximum-tokens you requested exceeds the model limit of 4096.",
        ErrorClass.CONTEXT_LENGTH,
    ),
    (400, "ServiceQuotaExceededException", "Your request exceeds the service quota.", ErrorClass.BILLING),
    (403, "AccessDeniedException", "You don't have access to the model with the specified model ID.", ErrorClass.AUTH),
    (403, "UnrecognizedClientException", "The security token included in the request is invalid.", ErrorClass.AUTH),
    (403, "InvalidSignatureException", "Signature expired: 20251126T023000Z is now earlier", ErrorClass.AUTH),
    (403, "ExpiredTokenException", "The security token included in the request is expired", ErrorClass.AUTH),
    (404, "ResourceNotFoundException", "Could not resolve the foundation model", ErrorClass.CLIENT_ERROR),
    (408, "ModelTimeoutException", "Model has timed out in processing the request.", ErrorClass.TIMEOUT),
    (424, "ModelErrorException", "The system encountered an unexpected error", ErrorClass.SERVER_ERROR),
    (424, "SomethingElse", "Failed dependency", ErrorClass.CLIENT_ERROR),
    (429, "ThrottlingException", "Too many tokens, please wait before trying again.", ErrorClass.RATE_LIMIT),
    (429, "ModelNotReadyException", "Model is not ready for inference.", ErrorClass.OVERLOADED),
    (500, "InternalServerException", "The system encountered an unexpected error", ErrorClass.SERVER_ERROR),
    (503, "ServiceUnavailableException", "Bedrock is unable to process your request.", ErrorClass.SERVER_ERROR),
]


@pytest.mark.parametrize(("status", "name", "text", "error_class"), ROWS)
def test_refusals_are_read(status: int, name: str, text: str, error_class: ErrorClass) -> None:
    """Reliability case 50: real answers have the type in the head only, with an address behind it."""
    fields = {b"x-amzn-errortype": f"{name}:http://internal.amazon.com/coral/".encode()}
    error = read_error(status, fields, f'{{"message":"{text}"}}'.encode(), NOW_S)
    is_too_long = error_class is ErrorClass.CONTEXT_LENGTH
    assert (error.type, error.message) == (name, text)
    assert (error.code, error.is_context_length) == (LENGTH if is_too_long else text, is_too_long)
    assert class_of(error) is error_class
    if status not in (424, 429) and error_class is not ErrorClass.BILLING:
        assert error.status == status


@pytest.mark.parametrize(
    ("field", "body", "name"),
    [
        (b"", b'{"__type":"com.amazon.coral.service#ThrottlingException","Message":"m"}', "ThrottlingException"),
        (b"Other", b'{"__type":"a/b/ThrottlingException","message":"m"}', "ThrottlingException"),
        (b"", b'{"__type":"ThrottlingException#","message":"m"}', "ThrottlingException"),
        (b" ThrottlingException ", b'{"__type":"#/","message":"m"}', "ThrottlingException"),
        (b"aws#ThrottlingException:x", b'{"__type":7.5,"message":"m"}', "ThrottlingException"),
        (b":", b'{"message":"m"}', None),
        (b"\xdf", b'{"message":"m"}', "SS"),
    ],
)
def test_the_type_stands_in_the_body_or_in_the_head(field: bytes, body: bytes, name: str | None) -> None:
    """Reliability D8: the last part of a name counts, and the body comes before the head."""
    error = read_error(429, {b"x-amzn-errortype": field}, body, NOW_S)
    assert (error.type, error.message) == (name, "m")


def test_a_type_in_the_head_can_be_mapped() -> None:
    """Reliability case 50: `error_map` knows exceptions by their names."""
    error = read_error(429, {b"x-amzn-errortype": b"ThrottlingException"}, b"{}", NOW_S)
    assert class_of(error, {"ThrottlingException": "overloaded"}) is ErrorClass.OVERLOADED


@pytest.mark.parametrize(
    ("text", "is_context_length"),
    [
        ("exceeds the MAXIMUM tokens", True),
        ("exceeds the maximum context", True),
        ("exceeds the maximum size", False),
        ("maximum-tokens", False),
        ("requested", False),
    ],
)
def test_a_prompt_that_is_too_long_is_known_by_the_text(text: str, is_context_length: bool) -> None:
    """Reliability case 47: phrases count on a 400 and on nothing else."""
    body = f'{{"message":"{text}"}}'.encode()
    assert read_error(400, {}, body, NOW_S).is_context_length == is_context_length
    for status in (401, 403, 413, 424, 429, 500, 503):
        assert not read_error(status, {}, body, NOW_S).is_context_length


@pytest.mark.parametrize(
    ("name", "error_class"),
    [
        ("throttlingException", ErrorClass.RATE_LIMIT),
        ("serviceUnavailableException", ErrorClass.OVERLOADED),
        ("validationException", ErrorClass.CLIENT_ERROR),
        ("modelStreamErrorException", ErrorClass.SERVER_ERROR),
        ("internalServerException", ErrorClass.SERVER_ERROR),
        ("unheardOfException", ErrorClass.SERVER_ERROR),
        ("", ErrorClass.SERVER_ERROR),
    ],
)
def test_an_exception_inside_a_stream_has_a_class(name: str, error_class: ErrorClass) -> None:
    """Reliability D22: the name of the frame says what it is, spelt as clients spell members."""
    error = read_error(200, {b"x-amzn-errortype": name.encode()}, b'{"message":"oh"}', NOW_S)
    assert (class_of(error), error.message) == (error_class, "oh")
    assert class_of(error, {"ThrottlingException": "billing"}) is (
        ErrorClass.BILLING if name == "throttlingException" else error_class
    )


def test_a_prompt_may_prove_too_long_inside_a_stream() -> None:
    """Reliability D22: a validation counts as a 400, with all that may say."""
    error = read_error(200, {b"x-amzn-errortype": b"validationException"}, b'{"message":"Input is too long"}', NOW_S)
    assert class_of(error) is ErrorClass.CONTEXT_LENGTH


@pytest.mark.parametrize("body", [b"", b"<html>", b"null"])
def test_a_bare_status_is_enough(body: bytes) -> None:
    """Reliability case 50: a redirect is not followed and blames nobody, a 402 is about money."""
    assert class_of(read_error(302, {}, body, NOW_S)) is ErrorClass.CLIENT_ERROR
    error = read_error(402, {}, body, NOW_S)
    assert (error.type, error.code, error.message) == (None, None, None)
    assert class_of(error) is ErrorClass.BILLING


def test_the_dialect_reads_it_with_the_time_to_wait() -> None:
    """Reliability D9: the head says when to come back."""
    assert DIALECT.read_error(429, {b"retry-after": b"3"}, b"", NOW_S).retry_after_s == 3
