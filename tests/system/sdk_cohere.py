"""Cohere's client as a caller, and what it is asked in these tests."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import cohere
import httpx
import orjson
import pytest
from cohere.core.api_error import ApiError
from cohere.v2 import V2ChatResponse

from busbar_fast.mock.router import answer
from busbar_fast.mock.script import Script
from tests.system.sdk import LIMIT_S, POOL, TOKEN, Caller, Stand, check_neutral

PATH = b"/v2/chat"
JSON = b"application/json"
EVENTS = b"text/event-stream"
QUESTION = "When is high water?"
TURNS: Any = [{"role": "user", "content": QUESTION}]
SAID = f"You said: {QUESTION}"
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "tides",
        "description": "Tide tables",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
    },
}
ARGS = '{"place":"Brest","hours":24}'
THOUGHT = "The user wants an answer, so I give one."
ANSWER_ID = "5eed0000-5eed-4000-8000-00000000c04e"  # of every answer of the mock backend
UNKNOWN = "model 'command-none' not found, make sure the correct model ID was used"


@asynccontextmanager
async def cohere_caller(site: Stand, kind: str, below: str = "", **options: Any) -> AsyncIterator[Caller]:
    """Open Cohere's client on a path of the gateway; it tries nothing twice unless told to."""
    chosen = {"api_key": TOKEN, "base_url": site.origin + below, "max_retries": 0, "timeout": LIMIT_S, **options}
    if kind == "sync":
        with httpx.Client(event_hooks={"request": [site.note]}) as http:
            yield Caller(cohere.ClientV2(httpx_client=http, **chosen), kind)
    else:
        async with httpx.AsyncClient(event_hooks={"request": [site.note_soon]}) as async_http:
            yield Caller(cohere.AsyncClientV2(httpx_client=async_http, **chosen), kind)


async def chat(caller: Caller, **more: Any) -> V2ChatResponse:
    """Ask for a whole answer."""
    asked = {"model": POOL, "messages": TURNS, **more}
    got = await caller.ask(lambda client: client.chat(**asked))
    assert isinstance(got, V2ChatResponse)
    return got


async def stream(caller: Caller, events: list[Any] | None = None, **more: Any) -> list[Any]:
    """Ask for a streamed answer; return its events."""
    asked = {"model": POOL, "messages": TURNS, **more}
    return await caller.pieces(lambda client: client.chat_stream(**asked), events)


async def request(caller: Caller, path: str, method: str = "POST", **more: Any) -> httpx.Response:
    """Ask for something that the client has no method for, in its own words; return the bare answer."""
    http = caller.client._client_wrapper.httpx_client
    got = await caller.ask(lambda _client: http.request(path, method=method, **more))
    assert isinstance(got, httpx.Response)
    return got


async def text_of(caller: Caller, *, streamed: bool, **more: Any) -> str:
    """Return what is said in answer, however it comes."""
    return streamed_text(await stream(caller, **more)) if streamed else whole_text(await chat(caller, **more))


def whole_text(got: V2ChatResponse) -> str:
    """Return the text of a whole answer."""
    return "".join(block.text for block in got.message.content or [] if block.type == "text")


def streamed_text(events: Sequence[Any], member: str = "text") -> str:
    """Return the text of a stream, or its thoughts."""
    contents = [event.delta.message.content for event in events if event.type == "content-delta"]
    return "".join(getattr(content, member, None) or "" for content in contents)


async def refused(caller: Caller, kind: type[ApiError], *, streamed: bool = False, **more: Any) -> ApiError:
    """Ask in vain; return the exception, which is of this very class."""
    with pytest.raises(ApiError) as caught:
        await (stream if streamed else chat)(caller, **more)
    assert type(caught.value) is kind
    return caught.value


def fields_of(error: ApiError) -> dict[str, str]:
    """Return the header fields of a refusal."""
    assert error.headers is not None
    return error.headers


def check_own(error: ApiError, status: int, message: str) -> None:
    """A refusal is the gateway's own: one member, which holds a neutral text, and no id beside it."""
    assert (error.status_code, error.body) == (status, {"message": message})
    assert fields_of(error)["content-type"] == "application/json"
    assert [name for name in fields_of(error) if "request-id" in name] == []
    check_neutral(message)


def raw_fault(script: Script) -> Any:
    """Return the error that a backend answers with this script."""
    return orjson.loads(b"".join(answer(b"POST", PATH, {}, b"{}", script).frames))
