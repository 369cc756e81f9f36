"""Faults that are larger than what is relayed of one: each vendor's client still raises its own kind of error."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import anthropic
import boto3
import cohere
import httpx
import openai
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from cohere.core.api_error import ApiError
from google import genai
from google.genai import errors

from tests.system.doors import House, six_doors
from tests.system.sdk import in_thread

STATUSES = (400, 404, 422, 429, 503)
ASK: Any = [{"role": "user", "content": "hi"}]
TURNS: Any = [{"role": "user", "content": [{"text": "hi"}]}]


class Asking(NamedTuple):
    """How one client asks for a whole answer and for a stream, and what it raises."""

    open: Callable[[str, httpx.Client], Any]
    whole: Callable[[Any], Any]
    stream: Callable[[Any], Any]
    kind: type[Exception]
    status: Callable[[Any], int]


def open_boto(origin: str, _: httpx.Client) -> Any:
    """Open Amazon's client."""
    return boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=origin,
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(retries={"total_max_attempts": 1}),
    )


ASKING = {
    "openai": Asking(
        lambda origin, _: openai.OpenAI(api_key="k", base_url=f"{origin}/v1", max_retries=0),
        lambda client: client.chat.completions.create(model="openai-p", messages=ASK),
        lambda client: client.chat.completions.create(model="openai-p", messages=ASK, stream=True),
        openai.APIStatusError,
        lambda error: int(error.status_code),
    ),
    "responses": Asking(
        lambda origin, _: openai.OpenAI(api_key="k", base_url=f"{origin}/v1", max_retries=0),
        lambda client: client.responses.create(model="responses-p", input="hi"),
        lambda client: client.responses.create(model="responses-p", input="hi", stream=True),
        openai.APIStatusError,
        lambda error: int(error.status_code),
    ),
    "anthropic": Asking(
        lambda origin, _: anthropic.Anthropic(api_key="k", base_url=origin, max_retries=0),
        lambda client: client.messages.create(model="anthropic-p", max_tokens=9, messages=ASK),
        lambda client: client.messages.create(model="anthropic-p", max_tokens=9, messages=ASK, stream=True),
        anthropic.APIStatusError,
        lambda error: int(error.status_code),
    ),
    "cohere": Asking(
        lambda origin, http: cohere.ClientV2(api_key="k", base_url=origin, max_retries=0, httpx_client=http),
        lambda client: client.chat(model="cohere-p", messages=ASK),
        lambda client: list(client.chat_stream(model="cohere-p", messages=ASK)),
        ApiError,
        lambda error: int(error.status_code),
    ),
    "gemini": Asking(
        lambda origin, _: genai.Client(api_key="k", http_options={"base_url": origin}),
        lambda client: client.models.generate_content(model="gemini-p", contents="hi"),
        lambda client: list(client.models.generate_content_stream(model="gemini-p", contents="hi")),
        errors.APIError,
        lambda error: int(error.code),
    ),
    "bedrock": Asking(
        open_boto,
        lambda client: client.converse(modelId="bedrock-p", messages=TURNS),
        lambda client: client.converse_stream(modelId="bedrock-p", messages=TURNS),
        ClientError,
        lambda error: int(error.response["ResponseMetadata"]["HTTPStatusCode"]),
    ),
}


async def check_raised(house: House, asking: Asking, client: Any, status: int) -> None:
    """The client raises its own error, with this status, whether it asks for a whole answer or for a stream."""
    said = b'{"error":{"message":"' + b"x" * 5000
    fields = b"Content-Type: application/json\r\nx-amzn-errortype: ValidationException"
    house.keeper.pieces = (
        b"HTTP/1.1 %d Bad\r\n%b\r\nContent-Length: %d\r\n\r\n%b" % (status, fields, len(said), said),
    )
    for ask in (asking.whole, asking.stream):
        with pytest.raises(asking.kind) as caught:
            await in_thread(lambda ask=ask: ask(client))  # type: ignore[misc]
        assert asking.status(caught.value) == status


@pytest.mark.parametrize("name", sorted(ASKING))
async def test_client_raises_its_own_error_for_a_fault_that_is_cut(tmp_path: Path, name: str) -> None:
    """Reliability §8: beyond the cap the body ends early and the answer does not, so the status is what counts."""
    more = "limits: {upstream_error_body_max_bytes: 1000}\n"
    async with six_doors(tmp_path, more=more, on_exhausted="least_bad") as house:
        with httpx.Client() as http:
            client = ASKING[name].open(f"http://127.0.0.1:{house.site.port}", http)
            for status in STATUSES:
                await check_raised(house, ASKING[name], client, status)
            if name != "cohere":  # whose client is closed with the one it was given
                client.close()
        # Three faults of the client, twice each; then four of the lane, which is asked again until its breaker trips.
        assert len(house.keeper.heads) == 6 + 2 + 2 + 2 + 1
