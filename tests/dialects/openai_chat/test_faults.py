"""Refusals of the chat dialect, as its client sees them."""

import openai
import orjson
import pytest

from busbar_fast.dialects.asks import Operation
from busbar_fast.dialects.faults import Fault, Kind
from busbar_fast.dialects.openai_chat import DIALECT
from busbar_fast.dialects.openai_chat.faults import refuse
from tests.dialects.openai_chat.official import Wire, header_pairs

ASK = DIALECT.claim(b"/v1/chat/completions", b"", {})
RAW_ID = b"req_0123456789abcdef0123456789abcdef"

# Kind, status, what the client raises, type, code.
ROWS = [
    (Kind.MALFORMED, 400, openai.BadRequestError, "invalid_request_error", None),
    (Kind.UNAUTHENTICATED, 401, openai.AuthenticationError, "authentication_error", "invalid_api_key"),
    (Kind.FORBIDDEN, 403, openai.PermissionDeniedError, "permission_error", None),
    (Kind.UNKNOWN_MODEL, 404, openai.NotFoundError, "not_found_error", "model_not_found"),
    (Kind.UNKNOWN_PATH, 404, openai.NotFoundError, "not_found_error", None),
    (Kind.WRONG_METHOD, 405, openai.APIStatusError, "invalid_request_error", None),
    (Kind.TOO_LARGE, 413, openai.APIStatusError, "invalid_request_error", None),
    (Kind.RATE_LIMITED, 429, openai.RateLimitError, "rate_limit_error", None),
    (Kind.OVER_BUDGET, 429, openai.RateLimitError, "insufficient_quota", "insufficient_quota"),
    (Kind.OVERLOADED, 503, openai.InternalServerError, "server_error", None),
    (Kind.TIMED_OUT, 504, openai.InternalServerError, "server_error", None),
    (Kind.UNREADABLE, 502, openai.InternalServerError, "api_error", None),
    (Kind.INTERNAL, 500, openai.InternalServerError, "api_error", None),
    (Kind.TOO_LONG, 400, openai.BadRequestError, "invalid_request_error", "context_length_exceeded"),
]


def raised(fault: Fault, retries: int = 0) -> tuple[openai.APIStatusError, int]:
    """Return what the client raises for a refusal and how often it tried."""
    wire = Wire(refuse(fault, ASK, RAW_ID), retries=retries)
    with pytest.raises(openai.APIStatusError) as caught:
        wire.client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    return caught.value, len(wire.paths)


def test_every_kind_has_its_row() -> None:
    """Nothing the gateway may refuse for is missing in the table."""
    assert [row[0] for row in ROWS] == list(Kind)


@pytest.mark.parametrize(("kind", "status", "error_class", "error_type", "code"), ROWS)
def test_client_raises_its_own_class(
    kind: Kind, status: int, error_class: type[openai.APIStatusError], error_type: str, code: str | None
) -> None:
    """OpenAI cases 55 and 56, §10 and §11: status, class, type, code and request id are the vendor's."""
    error, _ = raised(Fault(kind, "no luck", param="model"))
    assert type(error) is error_class
    assert error.status_code == status
    assert error.body == {"message": "no luck", "type": error_type, "param": "model", "code": code}
    assert error.request_id == RAW_ID.decode()
    assert str(error) == f"Error code: {status} - no luck"


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.OVER_BUDGET])
def test_client_waits_as_long_as_it_is_told(kind: Kind) -> None:
    """OpenAI §10: a refusal that says when to come back has a Retry-After."""
    pairs = header_pairs(refuse(Fault(kind, retry_after_s=17), ASK, RAW_ID).fields)
    assert pairs == [(b"Content-Type", b"application/json"), (b"x-request-id", RAW_ID), (b"Retry-After", b"17")]


def test_client_does_not_retry_over_budget() -> None:
    """Governance case 30: a spent budget is no 402, names no time and tells the client not to come back."""
    error, tries = raised(Fault(Kind.OVER_BUDGET, retry_after_s=17), retries=2)
    assert (error.status_code, error.code, error.type, tries) == (429, "insufficient_quota", "insufficient_quota", 1)
    assert error.response.headers["x-should-retry"] == "false"
    assert "retry-after" not in error.response.headers


def test_client_retries_a_rate_limit() -> None:
    """A rate limit is one that the client tries again by itself."""
    assert raised(Fault(Kind.RATE_LIMITED, retry_after_s=0), retries=1)[1] == 2


def test_unknown_path_is_answered_without_an_ask() -> None:
    """OpenAI §1: this is also the envelope of paths that nobody claims."""
    refusal = refuse(Fault(Kind.UNKNOWN_PATH, name="GET /v1/harbour"), None, RAW_ID)
    assert refusal.status == 404
    assert refusal.body == (
        b'{"error":{"message":"Invalid URL (GET /v1/harbour)","type":"not_found_error","param":null,"code":null}}'
    )


def test_rejected_key_is_worded_as_everywhere() -> None:
    """Governance §1.4: the message of the vendor, to the letter."""
    assert ASK is not None
    assert ASK.operation is Operation.CONVERSE
    assert orjson.loads(refuse(Fault(Kind.UNAUTHENTICATED), ASK, RAW_ID).body) == {
        "error": {
            "message": "Incorrect API key provided.",
            "type": "authentication_error",
            "param": None,
            "code": "invalid_api_key",
        }
    }


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        (b"/v1/models/ft:gpt:org::abc", "POST", 404),
        (b"/v1/models/ft:gpt:org::abc", "DELETE", 405),
        (b"/v1/models/gpt", "POST", 405),
        (b"/v1/models/%ff", "POST", 405),
        (b"/v1/models", "POST", 405),
    ],
)
def test_action_that_no_model_has_is_not_found(path: bytes, method: str, status: int) -> None:
    """Gemini case 5: to post to a name with a colon asks for an action, and what is none is a path that is none."""
    refusal = refuse(Fault(Kind.WRONG_METHOD, name=method), DIALECT.claim(path, b"", {}), RAW_ID)
    assert refusal.status == status
    message = orjson.loads(refusal.body)["error"]["message"]
    assert (message == "Invalid URL (POST /v1/models/ft:gpt:org::abc)") == (status == 404)
    found = refuse(Fault(Kind.FORBIDDEN, name=method), DIALECT.claim(path, b"", {}), RAW_ID)
    assert found.status == 403
