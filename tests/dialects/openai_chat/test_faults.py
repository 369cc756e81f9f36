"""Errors in OpenAI's shape."""

import orjson
import pytest

from busbar_fast.dialects.openai_chat.faults import encode_fault


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "invalid_request_error"),
        (413, "invalid_request_error"),
        (429, "rate_limit_error"),
        (499, "invalid_request_error"),
        (500, "server_error"),
        (503, "server_error"),
        (529, "server_error"),
    ],
)
def test_kind_follows_from_the_status(status: int, kind: str) -> None:
    """Statuses with a word of their own have it, the others are the client's or the server's fault."""
    assert orjson.loads(encode_fault(status, "no"))["error"]["type"] == kind


def test_envelope_has_all_four_members() -> None:
    """Clients read param and code, so both are there even when they say nothing."""
    assert encode_fault(400, "no") == (
        b'{"error":{"message":"no","type":"invalid_request_error","param":null,"code":null}}'
    )
    assert orjson.loads(encode_fault(404, "no", param="model", code="model_not_found"))["error"] == {
        "message": "no",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ('a"b\\c\r\nd\x00', 'a"b\\c\r\nd\x00'),
        ("Grüße 🙂", "Grüße 🙂"),
        ("half \ud83d of a pair", "half ? of a pair"),
        ("\udc00\ud800", "??"),
    ],
)
def test_message_may_quote_anything(message: str, shown: str) -> None:
    """Text that a client chose is escaped, and what UTF-8 cannot spell is replaced."""
    assert orjson.loads(encode_fault(404, message))["error"]["message"] == shown
