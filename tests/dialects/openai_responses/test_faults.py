"""Refusals of the Responses dialect, as its client sees them."""

import openai
import pytest

from busbar_fast.dialects.faults import Fault, Kind
from busbar_fast.dialects.openai_responses import DIALECT
from busbar_fast.dialects.openai_responses.faults import refuse
from tests.dialects.openai_chat.official import Wire

ASK = DIALECT.claim(b"/v1/responses", b"", {})
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
    (Kind.UNREADABLE, 502, openai.InternalServerError, "server_error", None),
    (Kind.INTERNAL, 500, openai.InternalServerError, "server_error", None),
    (Kind.TOO_LONG, 400, openai.BadRequestError, "invalid_request_error", "context_length_exceeded"),
]


def test_every_kind_has_its_row() -> None:
    """Nothing the gateway may refuse for is missing in the table."""
    assert [row[0] for row in ROWS] == list(Kind)


@pytest.mark.parametrize(("kind", "status", "error_class", "error_type", "code"), ROWS)
def test_client_raises_its_own_class(
    kind: Kind, status: int, error_class: type[openai.APIStatusError], error_type: str, code: str | None
) -> None:
    """Responses case 64 and §12: as for chat, but every failure of the server's own is a server_error."""
    wire = Wire(refuse(Fault(kind, "no luck"), ASK, RAW_ID))
    with pytest.raises(openai.APIStatusError) as caught:
        wire.client.responses.create(model="m", input="hi")
    error = caught.value
    assert type(error) is error_class
    assert error.status_code == status
    assert error.body == {"message": "no luck", "type": error_type, "param": None, "code": code}
    assert error.request_id == RAW_ID.decode()


def test_rejected_key_is_worded_as_everywhere() -> None:
    """Governance §1.4: the same four members as for chat."""
    assert refuse(Fault(Kind.UNAUTHENTICATED), ASK, RAW_ID).body == (
        b'{"error":{"message":"Incorrect API key provided.","type":"authentication_error","param":null,'
        b'"code":"invalid_api_key"}}'
    )
