"""Streams of Google's API as one JSON array, for clients that ask for no events; read as google-api-core does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest

from busbar_fast.mock.router import answer
from busbar_fast.mock.script import Script
from tests.system.gateways import DOWN
from tests.system.sdk import LEAST_BAD, LIMIT_S, MODEL, OWN_KEY, POOL, TOKEN, Stand, stand
from tests.system.serving import Serve, until

BODY = b'{ "contents" : [{"parts":[{"text":"hi"}]}] }'
UPSTREAM = f"/v1beta/models/{MODEL}:streamGenerateContent?alt=sse".encode()
# What a client writes, and what of it goes on.
QUERIES = [
    ("", b""),
    ("?alt=json", b""),
    ("?$alt=json;enum-encoding=int", b""),
    ("?xalt=sse", b"&xalt=sse"),
    ("?foo=alt%3Dsse", b"&foo=alt%3Dsse"),
    (f"?key={TOKEN}", b""),
]


@asynccontextmanager
async def opened(made: Stand, query: str = "", key: str = TOKEN) -> AsyncIterator[httpx.Response]:
    """Ask for a stream; the answer's head is there, its body is not read yet."""
    url = f"{made.origin}/v1beta/models/{POOL}:streamGenerateContent{query}"
    headers = {"x-goog-api-key": key, "content-type": "application/json"}
    async with (
        httpx.AsyncClient(timeout=LIMIT_S) as client,
        client.stream("POST", url, content=BODY, headers=headers) as response,
    ):
        yield response


async def elements(response: httpx.Response) -> list[Any]:
    """Return the elements of an array, as strictly as the vendor's own reader: `[` first, nothing behind `]`."""
    pieces = [piece async for piece in response.aiter_raw() if piece]
    assert pieces[0][:1] == b"["
    assert pieces[-1][-1:] == b"]"
    found = orjson.loads(b"".join(pieces))
    assert isinstance(found, list)
    assert all(isinstance(element, dict) for element in found)
    return found


def text_of(found: list[Any]) -> str:
    return "".join(element["candidates"][0]["content"]["parts"][0]["text"] for element in found)


@pytest.mark.parametrize("split", [None, 1, 7])
@pytest.mark.parametrize(("query", "travelling"), QUERIES)
async def test_stream_is_one_array(
    serve: Serve, parser_kind: str, query: str, travelling: bytes, split: int | None
) -> None:
    """Gemini cases 12, 15, 16 and 71: the array holds the documents of the backend's events, however these are cut."""
    script = Script(text='Marée haute 🌊 ["{\\\\', delta_chars=3, split=split, usage_in=9, usage_out=6)
    async with stand(serve, parser_kind, script) as made, opened(made, query) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/json"
        found = await elements(response)
        assert text_of(found) == script.text
        assert found[-1]["candidates"][0]["finishReason"] == "STOP"
        assert found[-1]["usageMetadata"]["totalTokenCount"] == 15
        assert (made.last.target, made.last.body) == (UPSTREAM + travelling, BODY)
        assert made.last.fields[b"accept"] == b"text/event-stream"
        assert made.last.fields[b"x-goog-api-key"] == OWN_KEY.encode()


async def test_array_has_the_backends_bytes(serve: Serve, parser_kind: str) -> None:
    """Gemini case 64: each element is what stood in an event, byte for byte, and the separators are the vendor's."""
    script = Script(thinking=True, tools=("tide_at",), text="é")
    async with stand(serve, parser_kind, script) as made, opened(made) as response:
        raw = b"".join([piece async for piece in response.aiter_raw()])
        frames = answer(b"POST", UPSTREAM, {}, BODY, script).frames
        documents = [frame.removeprefix(b"data: ").removesuffix(b"\r\n\r\n") for frame in frames]
        assert raw == b"[" + b",\r\n".join(documents) + b"]"


@pytest.mark.parametrize("query", ["?alt=sse", "?alt=sse&x=1", f"?key={TOKEN}&alt=sse"])
async def test_events_are_given_to_who_asks_for_them(serve: Serve, parser_kind: str, query: str) -> None:
    """Gemini cases 16 and 17: with `alt=sse` every frame is a data line and an empty one, and nothing else is there."""
    async with stand(serve, parser_kind) as made, opened(made, query) as response:
        raw = b"".join([piece async for piece in response.aiter_raw()])
        frames = raw.split(b"\r\n\r\n")
        assert frames.pop() == b""
        assert [frame[:7] for frame in frames] == [b"data: {"] * len(frames)
        assert response.headers["content-type"].startswith("text/event-stream")


async def test_each_element_leaves_at_once(serve: Serve, parser_kind: str) -> None:
    """Gemini §13: an element is with the client while the backend still thinks about the next."""
    script = Script(delta_chars=2, stall_at=600)
    async with stand(serve, parser_kind, script) as made:
        async with opened(made) as response:
            first = await anext(response.aiter_raw())
            assert first.startswith(b'[{"candidates":')
        await until(lambda: not any(made.front.in_flight))


@pytest.mark.parametrize("script", [Script(cut_at=700, delta_chars=1), Script(reset_at=700, delta_chars=1)])
async def test_array_that_broke_off_says_so_once(serve: Serve, parser_kind: str, script: Script) -> None:
    """Gemini case 14: a backend that leaves in the middle makes one last element, the error, and a closed array."""
    async with stand(serve, parser_kind, script) as made, opened(made) as response:
        *found, last = await elements(response)
        assert text_of(found) == "You said: hi"[: len(found)]
        assert len(found) > 0
        assert last == {"error": {"code": 500, "message": "Internal error encountered.", "status": "INTERNAL"}}
        assert (made.visits, made.counts("gemini")) == ((1, 0), [(1, 1), (0, 0)])


async def test_error_of_the_backend_is_the_last_element(serve: Serve, parser_kind: str) -> None:
    """Gemini §13: an error event of the backend becomes the last element, untouched and only once."""
    script = Script(status=503, error="Overloaded.", fail_after=2, delta_chars=3, delay_frame_ms=20)
    async with stand(serve, parser_kind, script) as made, opened(made) as response:
        *found, last = await elements(response)
        assert text_of(found) == "You sa"
        assert last == {"error": {"code": 503, "message": "Overloaded.", "status": "UNAVAILABLE"}}


async def test_refusals_are_arrays_too(serve: Serve, parser_kind: str) -> None:
    """Gemini §14: who asked for an array gets its refusal in one, before any byte of a stream."""
    async with stand(serve, parser_kind, DOWN) as made:
        async with opened(made, key="wrong") as response:
            (found,) = await elements(response)
            assert (response.status_code, found["error"]["details"][0]["reason"]) == (400, "API_KEY_INVALID")
        async with opened(made) as response:
            (found,) = await elements(response)
            assert (response.status_code, int(response.headers["retry-after"]) in range(27, 34)) == (503, True)
            assert (found["error"]["code"], found["error"]["status"]) == (503, "UNAVAILABLE")


@pytest.mark.parametrize(("status", "told"), [(400, None), (429, "7")])
async def test_backend_error_is_relayed_as_it_is(serve: Serve, parser_kind: str, status: int, told: str | None) -> None:
    """Gemini §14: a refusal by the backend keeps its own bytes, which no array is put around."""
    script = Script(status=status, error="Slow down.", retry_after_s=7)
    async with stand(serve, parser_kind, script, settings=LEAST_BAD) as made, opened(made) as response:
        raw = b"".join([piece async for piece in response.aiter_raw()])
        assert raw == b"".join(answer(b"POST", UPSTREAM, {}, BODY, script).frames)
        assert (response.status_code, response.headers.get("retry-after")) == (status, told)
