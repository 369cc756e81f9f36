"""The client of boto3, its requests answered by a function of the test instead of a socket."""

from collections.abc import Callable, Iterator
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse
from botocore.config import Config

from busbar_fast.dialects.dialect import Refusal

URL = "http://bedrock.test"
# What a request came to: its target and its fields.
Respond = Callable[[bytes, dict[bytes, bytes]], Refusal]


class _Raw:
    """The body of an answer as botocore reads it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body

    def read(self) -> bytes:
        return self._body

    def close(self) -> None:
        """Close nothing."""


def header_pairs(lines: bytes) -> dict[str, str]:
    """Return whole header lines by name; none may be there twice."""
    assert lines.endswith(b"\r\n")
    pairs = [line.decode().partition(": ") for line in lines.split(b"\r\n")[:-1]]
    headers = {name: value for name, separator, value in pairs if name and separator and value}
    assert len(headers) == len(pairs)
    return headers


def client(respond: Respond, max_attempts: int = 1) -> Any:
    """Return the client."""
    made = boto3.client(
        "bedrock-runtime",
        region_name="eu-west-1",
        endpoint_url=URL,
        aws_access_key_id="AKIDHARBOUR000000001",
        aws_secret_access_key="harbour",
        config=Config(retries={"total_max_attempts": max_attempts}),
    )

    def answer(request: Any, **_ignored: object) -> AWSResponse:
        fields = {name.lower().encode(): str(value).encode() for name, value in request.headers.items()}
        refusal = respond(request.url.removeprefix(URL).encode(), fields)
        return AWSResponse(request.url, refusal.status, header_pairs(refusal.fields), _Raw(refusal.body))

    made.meta.events.register("before-send.bedrock-runtime.*", answer)
    return made
