"""The official clients over real sockets: each is open for a `with`, and none tries a request twice.

They block, so a test runs what it asks of them in a thread beside the loop that serves them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import httpx
from anthropic import Anthropic
from botocore.config import Config
from cohere import ClientV2
from google.genai import Client
from google.genai.types import HttpOptions, HttpRetryOptions
from openai import AsyncOpenAI, OpenAI

KEY = "test-key"
LIMIT_S = 10.0


def openai_client(port: int) -> OpenAI:
    """Return OpenAI's client."""
    return OpenAI(api_key=KEY, base_url=f"http://127.0.0.1:{port}/v1", max_retries=0, timeout=LIMIT_S)


def async_openai_client(port: int) -> AsyncOpenAI:
    """Return OpenAI's client for a loop."""
    return AsyncOpenAI(api_key=KEY, base_url=f"http://127.0.0.1:{port}/v1", max_retries=0, timeout=LIMIT_S)


def anthropic_client(port: int) -> Anthropic:
    """Return Anthropic's client."""
    return Anthropic(api_key=KEY, base_url=f"http://127.0.0.1:{port}", max_retries=0, timeout=LIMIT_S)


@contextmanager
def gemini_client(port: int) -> Iterator[Client]:
    """Return Google's client."""
    with httpx.Client(timeout=LIMIT_S) as http:
        options = HttpOptions(
            base_url=f"http://127.0.0.1:{port}", httpx_client=http, retry_options=HttpRetryOptions(attempts=1)
        )
        yield Client(api_key=KEY, http_options=options)


@contextmanager
def cohere_client(port: int) -> Iterator[ClientV2]:
    """Return Cohere's client."""
    with httpx.Client(timeout=LIMIT_S) as http:
        yield ClientV2(api_key=KEY, base_url=f"http://127.0.0.1:{port}", httpx_client=http)


@contextmanager
def bedrock_client(port: int) -> Iterator[Any]:
    """Return the Bedrock client of boto3."""
    client = boto3.client(
        "bedrock-runtime",
        region_name="eu-west-1",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id="AKIDHARBOUR000000001",
        aws_secret_access_key=KEY,
        config=Config(retries={"total_max_attempts": 1}, read_timeout=LIMIT_S, connect_timeout=LIMIT_S),
    )
    try:
        yield client
    finally:
        client.close()
