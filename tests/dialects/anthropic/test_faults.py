"""Refusals in the words of the Messages API, and what its SDK makes of them."""

import re

import anthropic
import httpx2
import orjson
import pytest

from busbar_fast.dialects.anthropic.faults import encode_fault
from busbar_fast.dialects.dialect import Refusal
from busbar_fast.dialects.faults import Fault, Kind

ID = b"req_01Rk7TqW2nVhYc5uDzLpXb8G"

ROWS = [
    (Kind.MALFORMED, 400, "invalid_request_error", anthropic.BadRequestError),
    (Kind.UNAUTHENTICATED, 401, "authentication_error", anthropic.AuthenticationError),
    (Kind.FORBIDDEN, 403, "permission_error", anthropic.PermissionDeniedError),
    (Kind.UNKNOWN_MODEL, 404, "not_found_error", anthropic.NotFoundError),
    (Kind.UNKNOWN_PATH, 404, "not_found_error", anthropic.NotFoundError),
    (Kind.WRONG_METHOD, 405, "invalid_request_error", anthropic.APIStatusError),
    (Kind.TOO_LARGE, 413, "request_too_large", anthropic.APIStatusError),
    (Kind.RATE_LIMITED, 429, "rate_limit_error", anthropic.RateLimitError),
    (Kind.OVER_BUDGET, 429, "rate_limit_error", anthropic.RateLimitError),
    (Kind.OVERLOADED, 503, "overloaded_error", anthropic.InternalServerError),
    (Kind.TIMED_OUT, 504, "timeout_error", anthropic.InternalServerError),
    (Kind.UNREADABLE, 502, "api_error", anthropic.InternalServerError),
    (Kind.INTERNAL, 500, "api_error", anthropic.InternalServerError),
    (Kind.TOO_LONG, 400, "invalid_request_error", anthropic.BadRequestError),
]
TELLTALE = re.compile(r"pool|lane|upstream|proxy|gateway|busbar|virtual|governance|translat", re.IGNORECASE)


def raised_by_the_client(refusal: Refusal, max_retries: int = 0) -> tuple[anthropic.APIStatusError, int]:
    """Return what the SDK raises for a refusal, and how many times it asked."""
    headers = [(name, value) for name, _, value in (line.partition(b": ") for line in refusal.fields.splitlines())]
    asked = []

    def respond(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(refusal.status, headers=headers, content=refusal.body)

    http = httpx2.Client(transport=httpx2.MockTransport(respond))
    client = anthropic.Anthropic(api_key="k", base_url="http://x", http_client=http, max_retries=max_retries)
    with pytest.raises(anthropic.APIStatusError) as caught:
        client.messages.create(model="m", max_tokens=1, messages=[])
    return caught.value, len(asked)


def test_every_kind_has_its_row() -> None:
    """No kind of refusal is forgotten."""
    assert [kind for kind, *_ in ROWS] == list(Kind)


@pytest.mark.parametrize(("kind", "status", "word", "raised"), ROWS)
def test_the_envelope_is_the_vendors(
    kind: Kind, status: int, word: str, raised: type[anthropic.APIStatusError]
) -> None:
    """Anthropic cases 56, 58 and 63: status, type, id in head and body, and the class, words and id the SDK shows."""
    refusal = encode_fault(Fault(kind), ID)
    assert refusal.status == status
    assert refusal.fields.startswith(b"Content-Type: application/json\r\nrequest-id: " + ID + b"\r\n")
    document = orjson.loads(refusal.body)
    assert list(document) == ["type", "error", "request_id"]
    assert (document["type"], document["request_id"]) == ("error", ID.decode())
    assert document["error"]["type"] == word
    assert not TELLTALE.search(refusal.body.decode())
    error, _ = raised_by_the_client(refusal)
    assert isinstance(error, raised)
    assert (error.status_code, error.request_id, error.type) == (status, ID.decode(), word)
    assert error.api_message == document["error"]["message"] != ""


def test_the_wording_of_a_refused_key_is_the_vendors() -> None:
    """Anthropic case 56: the body is the same whatever was wrong with the credential."""
    status, fields, body = encode_fault(Fault(Kind.UNAUTHENTICATED), b"req_01x")
    assert (status, fields) == (401, b"Content-Type: application/json\r\nrequest-id: req_01x\r\n")
    error = b'{"type":"authentication_error","message":"invalid x-api-key"}'
    assert body == b'{"type":"error","error":%b,"request_id":"req_01x"}' % error


def test_over_budget_is_told_from_a_rate_limit() -> None:
    """Anthropic case 57: the SDK raises the class for a spend limit and does not ask again, whatever the time."""
    refusal = encode_fault(Fault(Kind.OVER_BUDGET, retry_after_s=9), ID)
    assert orjson.loads(refusal.body)["error"]["details"] == {"error_code": "enforced_spend_limit_reached"}
    assert refusal.fields.endswith(b"x-should-retry: false\r\n")
    assert b"Retry-After" not in refusal.fields
    error, asked = raised_by_the_client(refusal, max_retries=2)
    assert (asked, error.error_code) == (1, "enforced_spend_limit_reached")


@pytest.mark.parametrize("kind", [Kind.RATE_LIMITED, Kind.OVERLOADED])
def test_the_time_to_wait_is_told(kind: Kind) -> None:
    """Anthropic case 57: a limit of rate says in whole seconds when to come back, and nothing about budgets."""
    refusal = encode_fault(Fault(kind, retry_after_s=7), ID)
    assert refusal.fields.endswith(b"\r\nRetry-After: 7\r\n")
    assert b"x-should-retry" not in refusal.fields
    assert "details" not in orjson.loads(refusal.body)["error"]
    assert b"Retry-After" not in encode_fault(Fault(kind), ID).fields


@pytest.mark.parametrize(
    ("fault", "shown"),
    [
        (Fault(Kind.UNKNOWN_MODEL, name="kiln"), "model: kiln"),
        (Fault(Kind.UNKNOWN_MODEL), "The requested model could not be found."),
        (Fault(Kind.MALFORMED, name="kiln"), "model: kiln"),
        (Fault(Kind.MALFORMED, param="max_tokens"), "max_tokens: Input is not valid"),
        (Fault(Kind.MALFORMED, "max_tokens: Field required", param="max_tokens"), "max_tokens: Field required"),
        (Fault(Kind.MALFORMED), "The request body is not valid."),
        (Fault(Kind.UNKNOWN_PATH, name="/fast/v1/messages/x"), "Not Found"),
        (Fault(Kind.FORBIDDEN, "No.", name="kiln"), "No."),
        (Fault(Kind.UNKNOWN_MODEL, name='a"b\\c\r\nd\x00'), 'model: a"b\\c\r\nd\x00'),
        (Fault(Kind.UNKNOWN_MODEL, name="Gr\u00fc\u00dfe \U0001f642"), "model: Gr\u00fc\u00dfe \U0001f642"),
        (Fault(Kind.UNKNOWN_MODEL, name="half \ud83d of a pair"), "model: half ? of a pair"),
        (Fault(Kind.MALFORMED, "\udc00\ud800"), "??"),
    ],
)
def test_the_words_name_what_is_wrong(fault: Fault, shown: str) -> None:
    """Anthropic case 2: the model asked for is named as the vendor does it, whatever a client wrote."""
    assert orjson.loads(encode_fault(fault, ID).body)["error"]["message"] == shown
