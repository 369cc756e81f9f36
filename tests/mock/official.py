"""The official clients, wired to the mock backend in this process: their requests go straight into `answer`."""

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import httpx
import httpx2
from anthropic import Anthropic
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from cohere import ClientV2
from google.genai import Client
from google.genai.types import HttpOptions, HttpRetryOptions
from openai import OpenAI

from busbar_fast.mock import Reply, Script, answer

KEY = "test-key"


def header_pairs(reply: Reply) -> list[tuple[bytes, bytes]]:
    """Return the prepared header block as pairs."""
    assert reply.headers.endswith(b"\r\n")
    pairs = [line.partition(b": ") for line in reply.headers.split(b"\r\n")[:-1]]
    assert all(separator for _, separator, _ in pairs)
    return [(name, value) for name, _, value in pairs]


def ask(target: bytes, body: bytes, script: Script | None = None, **headers: bytes) -> Reply:
    """Return the reply to a POST."""
    lower = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return answer(b"POST", target, lower, body, script)


def _answer_httpx(script: Script) -> Callable[[httpx.Request], httpx.Response]:
    def respond(request: httpx.Request) -> httpx.Response:
        headers = {name.lower(): value for name, value in request.headers.raw}
        reply = answer(request.method.encode(), request.url.raw_path, headers, request.read(), script)
        return httpx.Response(reply.status, headers=header_pairs(reply), content=iter(reply.frames))

    return respond


def _answer_httpx2(script: Script) -> Callable[[httpx2.Request], httpx2.Response]:
    def respond(request: httpx2.Request) -> httpx2.Response:
        headers = {name.lower(): value for name, value in request.headers.raw}
        reply = answer(request.method.encode(), request.url.raw_path, headers, request.read(), script)
        return httpx2.Response(reply.status, headers=header_pairs(reply), content=iter(reply.frames))

    return respond


def openai_client(script: Script) -> OpenAI:
    """Return OpenAI's client."""
    http = httpx2.Client(transport=httpx2.MockTransport(_answer_httpx2(script)))
    return OpenAI(api_key=KEY, base_url="http://mock/v1", http_client=http, max_retries=0)


def anthropic_client(script: Script) -> Anthropic:
    """Return Anthropic's client."""
    http = httpx2.Client(transport=httpx2.MockTransport(_answer_httpx2(script)))
    return Anthropic(api_key=KEY, base_url="http://mock", http_client=http, max_retries=0)


def gemini_client(script: Script) -> Client:
    """Return Google's client."""
    http = httpx.Client(transport=httpx.MockTransport(_answer_httpx(script)))
    options = HttpOptions(base_url="http://mock", httpx_client=http, retry_options=HttpRetryOptions(attempts=1))
    return Client(api_key=KEY, http_options=options)


def cohere_client(script: Script) -> ClientV2:
    """Return Cohere's client."""
    http = httpx.Client(transport=httpx.MockTransport(_answer_httpx(script)))
    return ClientV2(api_key=KEY, base_url="http://mock", httpx_client=http)


class _Raw:
    """The body of an answer as botocore reads it: whole, or in pieces as they arrive."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def stream(self) -> Iterator[bytes]:
        yield from self._pieces

    def read(self) -> bytes:
        return b"".join(self._pieces)

    def close(self) -> None:
        """Close nothing."""


def bedrock_client(script: Script) -> Any:
    """Return the Bedrock client of boto3."""
    client = boto3.client(
        "bedrock-runtime",
        region_name="eu-west-1",
        endpoint_url="http://mock",
        aws_access_key_id="AKIDHARBOUR000000001",
        aws_secret_access_key=KEY,
        config=Config(retries={"total_max_attempts": 1}),
    )

    def respond(request: Any, **_ignored: object) -> AWSResponse:
        target = request.url.removeprefix("http://mock").encode()
        headers = {name.lower().encode(): str(value).encode() for name, value in request.headers.items()}
        reply = answer(request.method.encode(), target, headers, request.body, script)
        pairs = {name.decode(): value.decode() for name, value in header_pairs(reply)}
        return AWSResponse(request.url, reply.status, pairs, _Raw(reply.frames))

    client.meta.events.register("before-send.bedrock-runtime.*", respond)
    return client
