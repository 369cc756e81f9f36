"""Refusals in the words of the v2 chat API, and what its SDK makes of them."""

import re

import cohere
import httpx
import orjson
import pytest
from cohere.core.api_error import ApiError

from busbar_fast.dialects.cohere.faults import encode_fault
from busbar_fast.dialects.dialect import JSON, Refusal
from busbar_fast.dialects.faults import Fault, Kind

ROWS = [
    (Kind.MALFORMED, 400, cohere.BadRequestError),
    (Kind.UNAUTHENTICATED, 401, cohere.UnauthorizedError),
    (Kind.FORBIDDEN, 403, cohere.ForbiddenError),
    (Kind.UNKNOWN_MODEL, 404, cohere.NotFoundError),
    (Kind.UNKNOWN_PATH, 404, cohere.NotFoundError),
    (Kind.WRONG_METHOD, 405, ApiError),
    (Kind.TOO_LARGE, 413, ApiError),
    (Kind.RATE_LIMITED, 429, cohere.TooManyRequestsError),
    (Kind.OVER_BUDGET, 429, cohere.TooManyRequestsError),
    (Kind.OVERLOADED, 503, cohere.ServiceUnavailableError),
    (Kind.TIMED_OUT, 504, cohere.GatewayTimeoutError),
    (Kind.UNREADABLE, 502, ApiError),
    (Kind.INTERNAL, 500, cohere.InternalServerError),
    (Kind.TOO_LONG, 400, cohere.BadRequestError),
]
TELLTALE = re.compile(r"pool|lane|upstream|proxy|gateway|busbar|virtual|governance|translat", re.IGNORECASE)


def raised_by_the_client(refusal: Refusal) -> ApiError:
    """Return what the SDK raises for a refusal."""
    headers = [(name, value) for name, _, value in (line.partition(b": ") for line in refusal.fields.splitlines())]

    def respond(_: httpx.Request) -> httpx.Response:
        return httpx.Response(refusal.status, headers=headers, content=refusal.body)

    with httpx.Client(transport=httpx.MockTransport(respond)) as http:
        client = cohere.ClientV2(api_key="k", base_url="http://x", httpx_client=http)
        with pytest.raises(ApiError) as caught:
            client.chat(model="m", messages=[], request_options={"max_retries": 0})
    return caught.value


def test_every_kind_has_its_row() -> None:
    """No kind of refusal is forgotten."""
    assert [kind for kind, *_ in ROWS] == list(Kind)


@pytest.mark.parametrize(("kind", "status", "raised"), ROWS)
def test_the_envelope_is_the_vendors(kind: Kind, status: int, raised: type[ApiError]) -> None:
    """Cohere cases 2 and 63: the body has one member, and the SDK raises the class that belongs to the status."""
    refusal = encode_fault(Fault(kind))
    assert (refusal.status, refusal.fields) == (status, JSON)
    document = orjson.loads(refusal.body)
    assert list(document) == ["message"]
    assert document["message"]
    assert not TELLTALE.search(document["message"])
    error = raised_by_the_client(refusal)
    assert type(error) is raised
    assert (error.status_code, error.body) == (status, document)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (Kind.RATE_LIMITED, JSON + b"Retry-After: 7\r\n"),
        (Kind.OVERLOADED, JSON + b"Retry-After: 7\r\n"),
        (Kind.OVER_BUDGET, JSON),
    ],
)
def test_the_time_to_wait_is_told_where_waiting_helps(kind: Kind, fields: bytes) -> None:
    """Cohere case 63: a limit of rate has a Retry-After, a budget has none."""
    assert encode_fault(Fault(kind, retry_after_s=7)).fields == fields


@pytest.mark.parametrize(
    ("fault", "shown"),
    [
        (Fault(Kind.UNAUTHENTICATED), "invalid api token"),
        (Fault(Kind.UNKNOWN_MODEL, name="kiln"), "model 'kiln' not found, make sure the correct model ID was used"),
        (Fault(Kind.UNKNOWN_MODEL), "model not found, make sure the correct model ID was used"),
        (Fault(Kind.MALFORMED, name="kiln"), "model 'kiln' not found, make sure the correct model ID was used"),
        (Fault(Kind.MALFORMED, param="model"), "invalid request: the value of 'model' is not valid"),
        (Fault(Kind.MALFORMED, "model is required", param="model"), "model is required"),
        (Fault(Kind.MALFORMED), "invalid request: the request body is not valid"),
        (Fault(Kind.UNKNOWN_PATH, name="/v2/embed"), "not found"),
        (Fault(Kind.FORBIDDEN, "No.", name="kiln"), "No."),
        (Fault(Kind.FORBIDDEN, 'a"b\\c\r\nd\x00'), 'a"b\\c\r\nd\x00'),
        (Fault(Kind.FORBIDDEN, "Gr\u00fc\u00dfe \U0001f642"), "Gr\u00fc\u00dfe \U0001f642"),
        (Fault(Kind.FORBIDDEN, "half \ud83d of a pair"), "half ? of a pair"),
    ],
)
def test_the_words_name_what_is_wrong(fault: Fault, shown: str) -> None:
    """Cohere case 1: the model asked for or the member in question is named, whatever a client wrote."""
    assert orjson.loads(encode_fault(fault).body) == {"message": shown}
