"""Every refusal that a gateway can word, as the clients of OpenAI and Cohere raise it.

The other tests provoke those that this gateway has reasons for today; here each is answered as such.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import cohere
import openai
import pytest
from cohere.core.api_error import ApiError

from busbar_fast.dialects.faults import Fault, Kind
from busbar_fast.dialects.registry import speak
from busbar_fast.gateway.replies import refuse
from busbar_fast.wire.exchange import Exchange
from tests.system import sdk_chat, sdk_cohere, sdk_responses
from tests.system.gateways import Front
from tests.system.sdk import Stand, check_openai_refusal, openai_caller
from tests.system.sdk_cohere import check_own, cohere_caller, fields_of
from tests.system.serving import Serve

KINDS = ("sync", "async")
BROKEN = "The server had an error while processing your request. Sorry about that!"
FULL = "The server cannot take your request at the moment. Please try again later."
UNKNOWN = "The model `gpt-none` does not exist or you do not have access to it."
QUOTA = "You exceeded your current quota, please check your plan and billing details."

in_both_ways = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])


class Row(NamedTuple):
    """One refusal, and how OpenAI's client raises it; no type means the one for failures of the server's own."""

    fault: Fault
    status: int
    kind: type[openai.APIStatusError]
    type: str | None
    code: str | None
    message: str


ROWS = [
    Row(
        Fault(Kind.MALFORMED, param="messages"),
        400,
        openai.BadRequestError,
        "invalid_request_error",
        None,
        "We could not parse the JSON body of your request.",
    ),
    Row(
        Fault(Kind.UNAUTHENTICATED),
        401,
        openai.AuthenticationError,
        "authentication_error",
        "invalid_api_key",
        "Incorrect API key provided.",
    ),
    Row(
        Fault(Kind.FORBIDDEN),
        403,
        openai.PermissionDeniedError,
        "permission_error",
        None,
        "You do not have access to the requested model.",
    ),
    Row(
        Fault(Kind.UNKNOWN_MODEL, name="gpt-none"),
        404,
        openai.NotFoundError,
        "not_found_error",
        "model_not_found",
        UNKNOWN,
    ),
    Row(
        Fault(Kind.UNKNOWN_PATH, name="POST /v1/x"),
        404,
        openai.NotFoundError,
        "not_found_error",
        None,
        "Invalid URL (POST /v1/x)",
    ),
    Row(
        Fault(Kind.WRONG_METHOD),
        405,
        openai.APIStatusError,
        "invalid_request_error",
        None,
        "Only POST requests are accepted.",
    ),
    Row(
        Fault(Kind.TOO_LARGE),
        413,
        openai.APIStatusError,
        "invalid_request_error",
        None,
        "The request body is too large.",
    ),
    Row(
        Fault(Kind.RATE_LIMITED, retry_after_s=7),
        429,
        openai.RateLimitError,
        "rate_limit_error",
        None,
        "Rate limit reached. Please try again later.",
    ),
    Row(
        Fault(Kind.OVER_BUDGET, retry_after_s=7),
        429,
        openai.RateLimitError,
        "insufficient_quota",
        "insufficient_quota",
        QUOTA,
    ),
    Row(Fault(Kind.OVERLOADED, retry_after_s=2), 503, openai.InternalServerError, "server_error", None, FULL),
    Row(
        Fault(Kind.TIMED_OUT),
        504,
        openai.InternalServerError,
        "server_error",
        None,
        "The request timed out. Please try again later.",
    ),
    Row(Fault(Kind.UNREADABLE), 502, openai.InternalServerError, None, None, BROKEN),
    Row(Fault(Kind.INTERNAL), 500, openai.InternalServerError, None, None, BROKEN),
    Row(
        Fault(Kind.TOO_LONG),
        400,
        openai.BadRequestError,
        "invalid_request_error",
        "context_length_exceeded",
        "Your input exceeds the context window of this model. Please adjust your input and try again.",
    ),
]

# The same for Cohere: status, class and words.
COHERE_ROWS: list[tuple[Fault, int, type[ApiError], str]] = [
    (
        Fault(Kind.MALFORMED, param="messages"),
        400,
        cohere.BadRequestError,
        "invalid request: the value of 'messages' is not valid",
    ),
    (Fault(Kind.UNAUTHENTICATED), 401, cohere.UnauthorizedError, "invalid api token"),
    (Fault(Kind.FORBIDDEN), 403, cohere.ForbiddenError, "your api key does not have access to this resource"),
    (Fault(Kind.UNKNOWN_MODEL, name="command-none"), 404, cohere.NotFoundError, sdk_cohere.UNKNOWN),
    (Fault(Kind.UNKNOWN_PATH, name="POST /v2/x"), 404, cohere.NotFoundError, "not found"),
    (Fault(Kind.WRONG_METHOD), 405, ApiError, "method not allowed"),
    (Fault(Kind.TOO_LARGE), 413, ApiError, "request entity too large"),
    (
        Fault(Kind.RATE_LIMITED, retry_after_s=7),
        429,
        cohere.TooManyRequestsError,
        "rate limit exceeded, please try again later",
    ),
    (
        Fault(Kind.OVER_BUDGET, retry_after_s=7),
        429,
        cohere.TooManyRequestsError,
        "you have reached the spending limit of your api key",
    ),
    (
        Fault(Kind.OVERLOADED, retry_after_s=2),
        503,
        cohere.ServiceUnavailableError,
        "the service is temporarily unavailable, please try again later",
    ),
    (Fault(Kind.TIMED_OUT), 504, cohere.GatewayTimeoutError, "request timed out"),
    (Fault(Kind.UNREADABLE), 502, ApiError, "internal server error"),
    (Fault(Kind.INTERNAL), 500, cohere.InternalServerError, "internal server error"),
    (
        Fault(Kind.TOO_LONG),
        400,
        cohere.BadRequestError,
        "too many tokens: the request is longer than the model's context",
    ),
]


@asynccontextmanager
async def refusing(serve: Serve, dialect: str, path: bytes, fault: Fault) -> AsyncIterator[Stand]:
    """Run a server that refuses everything, in the words of a dialect."""
    spoken = speak(dialect)

    async def respond(exchange: Exchange) -> None:
        await exchange.read_body()
        refuse(exchange, spoken, spoken.claim(path, b"", {}), fault)

    async with serve(respond) as site:
        yield Stand(Front(site, [], []))


def retry_after_of(fault: Fault) -> str | None:
    """Return when a client is told to come back: who is over budget is not."""
    is_told = fault.retry_after_s is not None and fault.kind is not Kind.OVER_BUDGET
    return str(fault.retry_after_s) if is_told else None


def test_every_kind_has_its_row() -> None:
    """No refusal is left out here."""
    assert [row.fault.kind for row in ROWS] == list(Kind)
    assert [fault.kind for fault, *_ in COHERE_ROWS] == list(Kind)


@in_both_ways
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("row", ROWS, ids=[row.fault.kind.name for row in ROWS])
async def test_refusal_of_chat(serve: Serve, kind: str, row: Row, *, streamed: bool) -> None:
    """OpenAI case 55: every row is the client's own exception, with status, type, code, member, words and a new id."""
    async with refusing(serve, "openai", sdk_chat.PATH, row.fault) as site, openai_caller(site, kind) as caller:
        error = await sdk_chat.refused(caller, row.kind, streamed=streamed)
        check_row(error, row, "api_error")


@in_both_ways
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("row", ROWS, ids=[row.fault.kind.name for row in ROWS])
async def test_refusal_of_a_response(serve: Serve, kind: str, row: Row, *, streamed: bool) -> None:
    """Responses case 64 and §12: every row is as in chat, and whatever fails at the server's side a `server_error`."""
    async with refusing(serve, "responses", sdk_responses.PATH, row.fault) as site, openai_caller(site, kind) as caller:
        error = await sdk_responses.refused(caller, row.kind, streamed=streamed)
        check_row(error, row, "server_error")


def check_row(error: Any, row: Row, failure: str) -> None:
    """The exception says what the row says."""
    check_openai_refusal(error, row.status, row.type or failure, row.code, row.fault.param)
    assert error.body["message"] == row.message
    assert error.response.headers.get("retry-after") == retry_after_of(row.fault)
    assert error.response.headers.get("x-should-retry") == ("false" if row.fault.kind is Kind.OVER_BUDGET else None)


@in_both_ways
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("fault", "status", "raised", "message"), COHERE_ROWS, ids=[row[0].kind.name for row in COHERE_ROWS]
)
async def test_refusal_of_cohere(
    serve: Serve, kind: str, fault: Fault, status: int, raised: type[ApiError], message: str, *, streamed: bool
) -> None:
    """Cohere case 63 and §9: every row is the client's own exception, with one member, and a Retry-After where due."""
    async with refusing(serve, "cohere", sdk_cohere.PATH, fault) as site, cohere_caller(site, kind) as caller:
        error = await sdk_cohere.refused(caller, raised, streamed=streamed)
        check_own(error, status, message)
        assert fields_of(error).get("retry-after") == retry_after_of(fault)


@in_both_ways
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dialect", ["openai", "responses"])
async def test_spent_budget_is_not_asked_about_again(serve: Serve, kind: str, dialect: str, *, streamed: bool) -> None:
    """OpenAI §10: a client that would repeat any other 429 takes the word for it that this one will not pass."""
    made: dict[str, Any] = {"openai": sdk_chat, "responses": sdk_responses}
    asking = made[dialect]
    for fault, sent in ((Fault(Kind.OVER_BUDGET), 1), (Fault(Kind.RATE_LIMITED), 2)):
        async with refusing(serve, dialect, asking.PATH, fault) as site, patient(site, kind) as caller:
            await asking.refused(caller, openai.RateLimitError, streamed=streamed)
            assert len(site.sent) == sent


def patient(site: Stand, kind: str) -> Any:
    """Open OpenAI's client such that it tries twice."""
    return openai_caller(site, kind, max_retries=1)
