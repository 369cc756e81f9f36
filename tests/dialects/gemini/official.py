"""Google's client, its requests answered by a function of the test instead of a socket."""

from collections.abc import Callable

import httpx
from google.genai import Client
from google.genai.types import HttpOptions, HttpRetryOptions

from busbar_fast.dialects.dialect import Refusal

Respond = Callable[[httpx.Request], httpx.Response]


def header_pairs(lines: bytes) -> list[tuple[bytes, bytes]]:
    """Return whole header lines as pairs."""
    assert lines.endswith(b"\r\n")
    pairs = [line.partition(b": ") for line in lines.split(b"\r\n")[:-1]]
    assert all(name and separator and value for name, separator, value in pairs)
    return [(name, value) for name, _, value in pairs]


def refused(refusal: Refusal) -> httpx.Response:
    """Return a refusal as the client receives it."""
    return httpx.Response(refusal.status, headers=header_pairs(refusal.fields), content=refusal.body)


def client(respond: Respond, version: str | None = None) -> Client:
    """Return the client; without a version it takes its own default."""
    options = HttpOptions(
        base_url="http://gemini.test",
        httpx_client=httpx.Client(transport=httpx.MockTransport(respond)),
        retry_options=HttpRetryOptions(attempts=1),
    )
    if version is not None:
        options.api_version = version
    return Client(api_key="test-key", http_options=options)
