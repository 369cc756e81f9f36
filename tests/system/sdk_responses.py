"""OpenAI's client as a caller of the Responses API, and what it is asked in these tests."""

from collections.abc import Sequence
from typing import Any

import httpx2
import openai
import orjson
import pytest
from openai.types.responses import Response

from busbar_fast.mock.router import answer
from busbar_fast.mock.script import Script
from tests.system.sdk import POOL, Caller

PATH = b"/v1/responses"
JSON = b"application/json"
EVENTS = b"text/event-stream"
QUESTION = "When is high water?"
SAID = f"You said: {QUESTION}"
TOOL: Any = {
    "type": "function",
    "name": "tides",
    "description": "Tide tables",
    "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
    "strict": False,
}
ARGS = '{"place":"Brest","hours":24}'
THOUGHT = "The user wants an answer, so I give one."
UPSTREAM_ID = "req_5eed5eed5eed5eed5eed5eed5eed5ee1"  # of every answer of the mock backend
BROKEN = (openai.APIError, httpx2.RemoteProtocolError)


async def create(caller: Caller, **more: Any) -> Response:
    """Ask for a whole answer."""
    asked = {"model": POOL, "input": QUESTION, **more}
    got = await caller.ask(lambda client: client.responses.create(**asked))
    assert isinstance(got, Response)
    return got


async def stream(caller: Caller, events: list[Any] | None = None, **more: Any) -> list[Any]:
    """Ask for a streamed answer; return its events."""
    asked = {"model": POOL, "input": QUESTION, "stream": True, **more}
    return await caller.pieces(lambda client: client.responses.create(**asked), events)


async def put_together(caller: Caller, **more: Any) -> Any:
    """Ask by the helper that puts the events of a stream together; return the response it makes of them."""
    asked = {"model": POOL, "input": QUESTION, **more}

    def read(client: openai.OpenAI) -> Any:
        with client.responses.stream(**asked) as events:
            return events.get_final_response()

    if caller.is_blocking:
        return await caller.ask(read)
    async with caller.client.responses.stream(**asked) as events:
        return await events.get_final_response()


async def text_of(caller: Caller, *, streamed: bool, **more: Any) -> str:
    """Return what is said in answer, however it comes."""
    return said_in(await stream(caller, **more)) if streamed else (await create(caller, **more)).output_text


def said_in(events: Sequence[Any]) -> str:
    """Return the text of a stream."""
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


async def refused(caller: Caller, kind: type[openai.APIStatusError], *, streamed: bool = False, **more: Any) -> Any:
    """Ask in vain; return the exception, which is of this very class."""
    with pytest.raises(openai.APIStatusError) as caught:
        await (stream if streamed else create)(caller, **more)
    assert type(caught.value) is kind
    return caught.value


def raw_fault(script: Script) -> bytes:
    """Return the error that a backend answers with this script."""
    return b"".join(answer(b"POST", PATH, {}, b"{}", script).frames)


def fault_of(script: Script) -> Any:
    """Return the same as the client shows it."""
    return orjson.loads(raw_fault(script))["error"]
