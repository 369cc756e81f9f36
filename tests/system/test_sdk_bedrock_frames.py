"""Binary streams through the gateway, cut anywhere: the very frames of the backend, as boto3 reads them."""

import asyncio
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from busbar_fast.aws.eventstream import encode_event, encode_exception
from busbar_fast.wire.exchange import Exchange
from tests.aws.peers import events_of
from tests.system.engines import running
from tests.system.sdk import TOKEN
from tests.system.serving import Serve

CONFIG = """
listen: 127.0.0.1:0
auth: {mode: token, client_tokens: [<token>]}
providers:
  vendor: {protocol: bedrock, base_url: "http://127.0.0.1:<port>", region: eu-west-1, api_key_env: UP_KEY}
models:
  m: {provider: vendor, upstream_model: "kiln:0"}
"""
HEAD = b"Content-Type: application/vnd.amazon.eventstream\r\nx-amzn-requestid: 5eed0000-5eed-4000-8000-00000000b00c\r\n"
# What a JSON encoder of our own would write in another way.
TEXTS = ["mar\\u00e9e", "Mar\u00e9e \U0001f30a", "\\ud83c\\udf0a\\/", "a\\u0000b", "x" * 5000]
MEANT = ["mar\u00e9e", "Mar\u00e9e \U0001f30a", "\U0001f30a/", "a\0b", "x" * 5000]


def delta(text: str) -> bytes:
    """Return the frame of a delta whose text is JSON already."""
    return encode_event("contentBlockDelta", f'{{ "contentBlockIndex":0 ,"delta":{{"text":"{text}"}}}}'.encode())


FRAMES = [
    encode_event("messageStart", b'{"role":"assistant"}'),
    *map(delta, TEXTS),
    encode_event("novelty", b"\xff no JSON"),
    encode_event("contentBlockStop", b'{"contentBlockIndex":0}'),
    encode_event("messageStop", b'{"stopReason":"end_turn"}'),
    encode_event("metadata", b'{"usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3.0e0}}'),
]


def cut_at_random(raw: bytes, seed: int) -> list[bytes]:
    """Return pieces of a size between one byte and a few frames, small ones most often."""
    random = Random(seed)
    pieces = []
    while raw:
        size = random.choice((1, 2, 11, 12, 13, random.randrange(1, 300), random.randrange(1, 6000)))
        pieces.append(raw[:size])
        raw = raw[size:]
    return pieces


class Backend:
    """Answers each request with these pieces, with a turn of the loop after some of them."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces
        self.bodies: list[bytes] = []

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request."""
        self.bodies.append(await exchange.read_body())
        exchange.start(200, HEAD)
        loop = asyncio.get_running_loop()
        for number, piece in enumerate(self._pieces):
            exchange.write(piece)
            if number % 3 == 0:
                exchange.flush()
                turn = loop.create_future()
                loop.call_later(0 if number else 0.05, turn.set_result, None)  # the first is read by itself
                await turn
        exchange.finish()


async def streamed(serve: Serve, folder: Path, pieces: list[bytes], body: bytes = b'{"messages":[]}') -> httpx.Response:
    """Return what a client gets of a stream; its body must have arrived as it was."""
    backend = Backend(pieces)
    async with serve(backend.serve) as site:
        text = CONFIG.replace("<port>", str(site.port)).replace("<token>", TOKEN)
        async with running(folder, text) as made, httpx.AsyncClient() as client:
            url = f"http://127.0.0.1:{made.port}/model/m/converse-stream"
            got = await client.post(url, content=body, headers={"authorization": f"Bearer {TOKEN}"})
    assert backend.bodies == [body]
    return got


@pytest.mark.parametrize("seed", range(8))
async def test_stream_is_the_same_for_any_pieces(serve: Serve, tmp_path: Path, seed: int) -> None:
    """aws-wire cases 36 and 37: frames cut at random arrive byte for byte, and boto3 reads the texts as they were."""
    body = '{"messages":[{"role":"user","content":[{"text":"mar\\u00e9e \\/ \U0001f30a"}]}], "x":1.50E+02}'.encode()
    got = await streamed(serve, tmp_path, cut_at_random(b"".join(FRAMES), seed), body)
    assert got.content == b"".join(FRAMES)
    assert got.headers["content-type"] == "application/vnd.amazon.eventstream"
    events: list[Any] = events_of(cut_at_random(got.content, seed), [])
    texts = [event["contentBlockDelta"]["delta"]["text"] for event in events if "contentBlockDelta" in event]
    assert texts == MEANT


async def test_exception_of_the_backend_arrives_as_it_was(serve: Serve, tmp_path: Path) -> None:
    """aws-wire case 36: an exception frame behind whole ones is relayed like any, once a stream has begun."""
    rest = b"".join(FRAMES[1:3]) + encode_exception("throttlingException", b'{"message":"slow down"}')
    got = await streamed(serve, tmp_path, [FRAMES[0], *cut_at_random(rest, 3)])
    assert got.content == FRAMES[0] + rest
