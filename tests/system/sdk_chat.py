"""OpenAI's client as a caller of chat, and what it is asked in these tests."""

from collections.abc import Sequence
from typing import Any

import httpx2
import openai
import orjson
import pytest
from openai.types.chat import ChatCompletion

from busbar_fast.mock.router import answer
from busbar_fast.mock.script import Script
from tests.system.sdk import POOL, Caller

PATH = b"/v1/chat/completions"
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
        "strict": False,
    },
}
ARGS = '{"place":"Brest","hours":24}'
THOUGHT = "The user wants an answer, so I give one."
UPSTREAM_ID = "req_5eed5eed5eed5eed5eed5eed5eed5ee1"  # of every answer of the mock backend
BROKEN = (openai.APIError, httpx2.RemoteProtocolError)


async def create(caller: Caller, **more: Any) -> ChatCompletion:
    """Ask for a whole answer."""
    asked = {"model": POOL, "messages": TURNS, **more}
    got = await caller.ask(lambda client: client.chat.completions.create(**asked))
    assert isinstance(got, ChatCompletion)
    return got


async def stream(caller: Caller, chunks: list[Any] | None = None, **more: Any) -> list[Any]:
    """Ask for a streamed answer; return its chunks."""
    asked = {"model": POOL, "messages": TURNS, "stream": True, **more}
    return await caller.pieces(lambda client: client.chat.completions.create(**asked), chunks)


async def put_together(caller: Caller, **more: Any) -> Any:
    """Ask by the helper that puts the chunks of a stream together; return the completion it makes of them."""
    asked = {"model": POOL, "messages": TURNS, **more}

    def read(client: openai.OpenAI) -> Any:
        with client.chat.completions.stream(**asked) as events:
            return events.get_final_completion()

    if caller.is_blocking:
        return await caller.ask(read)
    async with caller.client.chat.completions.stream(**asked) as events:
        return await events.get_final_completion()


async def text_of(caller: Caller, *, streamed: bool, **more: Any) -> str | None:
    """Return what is said in answer, however it comes."""
    if not streamed:
        return (await create(caller, **more)).choices[0].message.content
    return said_in(await stream(caller, **more))


def said_in(chunks: Sequence[Any]) -> str:
    """Return the text of a stream."""
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


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
