"""Posts to sinks: their heads; what becomes of them stands in tests/system/test_sinks.py."""

import pytest

from busbar_fast.gateway.courier import head_of
from busbar_fast.gateway.targets import Target


@pytest.mark.parametrize(
    ("userinfo", "field"),
    [
        ("", b""),
        ("user:pass", b"Authorization: Basic dXNlcjpwYXNz\r\n"),
        ("us%40er:p%3Aw", b"Authorization: Basic dXNAZXI6cDp3\r\n"),
        ("user", b"Authorization: Basic dXNlcjo=\r\n"),
    ],
)
def test_user_of_a_url_is_shown_as_a_header(userinfo: str, field: bytes) -> None:
    """Reliability §11 "Webhook": what stands before the @ of a URL becomes Basic credentials, decoded."""
    head = head_of(Target(True, "h", 8443, b"h:8443", b"/rank?x=1"), userinfo, b"application/json")
    assert head.startswith(b"POST /rank?x=1 HTTP/1.1\r\nHost: h:8443\r\nContent-Type: application/json\r\n")
    assert head.endswith(b"\r\n%bContent-Length: " % field)
    assert head.count(b"Authorization") == (1 if field else 0)
