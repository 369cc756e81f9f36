"""Files inside URLs, and URLs that lead to files."""

import pytest

from busbar_fast.dialects.file_urls import data_url, read_url
from busbar_fast.ir.blocks import Inline, Url


@pytest.mark.parametrize(
    ("url", "source", "mime"),
    [
        ("data:image/png;base64,AAA", Inline("AAA"), "image/png"),
        ("DATA:Image/PNG;charset=x;BASE64,AAA", Inline("AAA"), "image/png"),
        ("data:;base64,AAA", Inline("AAA"), ""),
        ("data:text/plain,hello", Url("data:text/plain,hello"), ""),
        ("https://i/x.png", Url("https://i/x.png"), ""),
    ],
)
def test_url_is_taken_apart(url: str, source: Inline | Url, mime: str) -> None:
    """IR case 50, openai case 10: what is inside a URL is bytes and a type, everything else stays a URL."""
    assert read_url(url) == (source, mime)


def test_url_is_put_together() -> None:
    """IR case 50: the way back."""
    assert read_url(data_url("image/png", "AAA")) == (Inline("AAA"), "image/png")
