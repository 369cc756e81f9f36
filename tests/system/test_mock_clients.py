"""The official clients straight against the mock backend over real sockets: six dialects, whole and streamed."""

import asyncio
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest
from botocore.exceptions import ClientError
from cohere.errors import TooManyRequestsError
from google.genai.errors import ClientError as GeminiError

from busbar_fast.mock.script import Script
from busbar_fast.mock.server import MockBackend
from tests.system.clients import anthropic_client, bedrock_client, cohere_client, gemini_client, openai_client
from tests.system.serving import Serve

TURNS: Any = [{"role": "user", "content": "hi"}]
BEDROCK_TURNS = [{"role": "user", "content": [{"text": "hi"}]}]
SAID = "You said: hi"
Ask = Callable[[int], str]


def ask_chat(port: int) -> str:
    with openai_client(port) as client:
        answer = client.chat.completions.create(model="m", messages=TURNS)
        return answer.choices[0].message.content or ""


def stream_chat(port: int) -> str:
    with (
        openai_client(port) as client,
        client.chat.completions.create(model="m", messages=TURNS, stream=True) as chunks,
    ):
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def ask_responses(port: int) -> str:
    with openai_client(port) as client:
        return client.responses.create(model="m", input="hi").output_text


def stream_responses(port: int) -> str:
    with openai_client(port) as client, client.responses.stream(model="m", input="hi") as events:
        return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def ask_anthropic(port: int) -> str:
    with anthropic_client(port) as client:
        (block,) = client.messages.create(model="m", max_tokens=64, messages=TURNS).content
        return block.text if block.type == "text" else ""


def stream_anthropic(port: int) -> str:
    with (
        anthropic_client(port) as client,
        client.messages.stream(model="m", max_tokens=64, messages=TURNS) as events,
    ):
        return "".join(events.text_stream)


def ask_gemini(port: int) -> str:
    with gemini_client(port) as client:
        return client.models.generate_content(model="m", contents="hi").text or ""


def stream_gemini(port: int) -> str:
    with gemini_client(port) as client:
        return "".join(answer.text or "" for answer in client.models.generate_content_stream(model="m", contents="hi"))


def ask_cohere(port: int) -> str:
    with cohere_client(port) as client:
        (block,) = client.chat(model="m", messages=TURNS).message.content or []
        return block.text if block.type == "text" else ""


def stream_cohere(port: int) -> str:
    with cohere_client(port) as client:
        events: list[Any] = list(client.chat_stream(model="m", messages=TURNS))
        return "".join(event.delta.message.content.text for event in events if event.type == "content-delta")


def ask_bedrock(port: int) -> str:
    with bedrock_client(port) as client:
        answer = client.converse(modelId="m", messages=BEDROCK_TURNS)
        return str(answer["output"]["message"]["content"][0]["text"])


def stream_bedrock(port: int) -> str:
    with bedrock_client(port) as client:
        events = list(client.converse_stream(modelId="m", messages=BEDROCK_TURNS)["stream"])
        deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
        return "".join(delta["text"] for delta in deltas)


WHOLE = [ask_chat, ask_responses, ask_anthropic, ask_gemini, ask_cohere, ask_bedrock]
STREAMED = [stream_chat, stream_responses, stream_anthropic, stream_gemini, stream_cohere, stream_bedrock]
REFUSALS: list[tuple[Ask, type[Exception]]] = [
    (ask_chat, openai.RateLimitError),
    (stream_responses, openai.RateLimitError),
    (stream_anthropic, anthropic.RateLimitError),
    (ask_gemini, GeminiError),
    (ask_cohere, TooManyRequestsError),
    (stream_bedrock, ClientError),
]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the clients from any proxy that the environment names."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.mark.parametrize("ask", [*WHOLE, *STREAMED])
@pytest.mark.parametrize(
    "script",
    [None, Script(split=7), Script(late_length=True, keepalive=False), Script(delay_frame_ms=2, delay_first_ms=2)],
    ids=["plain", "split", "late length and close", "slow"],
)
async def test_client_reads_what_was_said(serve: Serve, ask: Ask, script: Script | None) -> None:
    """Each client reads its dialect, however the bytes come."""
    backend = MockBackend(lambda _number: script)
    async with serve(backend.serve) as site:
        assert await asyncio.to_thread(ask, site.port) == SAID
        assert backend.served == 1


@pytest.mark.parametrize(("ask", "error"), REFUSALS)
async def test_client_raises_its_own_error(serve: Serve, ask: Ask, error: type[Exception]) -> None:
    """A scripted refusal arrives as the class that the client has for it, with our text."""
    backend = MockBackend(lambda _number: Script(status=429, error="Slow down.", retry_after_s=1))
    async with serve(backend.serve) as site:
        with pytest.raises(error, match=r"Slow down\."):
            await asyncio.to_thread(ask, site.port)


@pytest.mark.parametrize("ask", [*WHOLE, *STREAMED])
@pytest.mark.parametrize("script", [Script(cut_at=70), Script(reset_at=70), Script(refuse=True), Script(garbage=True)])
async def test_client_notices_a_broken_answer(serve: Serve, ask: Ask, script: Script) -> None:
    """No client takes a cut, a reset, a closed door or garbage for an answer."""
    async with serve(MockBackend(lambda _number: script).serve) as site:
        with pytest.raises(Exception, match=r".") as raised:
            await asyncio.to_thread(ask, site.port)
        assert not isinstance(raised.value, AssertionError)
