"""Official clients of three vendors as callers of a stand, and a stand over a real configuration.

A client is of the kind "sync", and then runs in a thread, or "async", in the test's loop; boto3 has only the former.
Each keeps on its stand what it sent, byte for byte.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import boto3
import botocore
import httpx
import httpx2
from anthropic import Anthropic, AsyncAnthropic
from botocore.config import Config
from google.genai import Client
from google.genai.types import HttpOptions, HttpRetryOptions

from busbar_fast.mock.script import Script
from tests.system.engines import running
from tests.system.gateways import Backend, Front, Received, script_of
from tests.system.sdk import LIMIT_S, OWN_KEY, TOKEN, Caller, Sent, Stand, in_thread
from tests.system.serving import Serve, Site

REGION = "eu-west-1"
KINDS = ("sync", "async")


def make_room(threads: int = 64) -> None:
    """Give the loop so many threads: blocking clients must not take those in which a stock loop resolves names."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(threads))


class Messages(Caller):
    """Anthropic's client."""

    async def stream(self, seen: list[Any] | None = None, **members: Any) -> tuple[list[Any], Any]:
        """Return the events of the client's stream helper, and the message it makes of them."""
        events: list[Any] = [] if seen is None else seen

        def read() -> Any:
            with self.client.messages.stream(**members) as stream:
                events.extend(stream)
                return stream.get_final_message(), stream.request_id

        if self.is_blocking:
            return events, await in_thread(read)
        async with self.client.messages.stream(**members) as stream:
            async for event in stream:
                events.append(event)  # noqa: PERF401  what came before a failure counts
            return events, (await stream.get_final_message(), stream.request_id)


@asynccontextmanager
async def messages_caller(
    site: Stand, kind: str, key: str | None = TOKEN, path: str = "", **options: Any
) -> AsyncIterator[Messages]:
    """Open Anthropic's client on a path of the gateway; it tries once and waits ten seconds unless told otherwise."""
    chosen = {"max_retries": 0, "timeout": LIMIT_S, "api_key": key, "base_url": site.origin + path, **options}
    if kind == "sync":
        http = httpx2.Client(event_hooks={"request": [site.note]})
        with Anthropic(http_client=http, **chosen) as client:  # closes its transport as well
            yield Messages(client, kind)
    else:
        async_http = httpx2.AsyncClient(event_hooks={"request": [site.note_soon]})
        async with AsyncAnthropic(http_client=async_http, **chosen) as async_client:
            yield Messages(async_client, kind)


@asynccontextmanager
async def contents_caller(site: Stand, kind: str, key: str = TOKEN, **options: Any) -> AsyncIterator[Caller]:
    """Open Google's client; it tries once unless told otherwise."""
    chosen: dict[str, Any] = {"base_url": site.origin, "retry_options": HttpRetryOptions(attempts=1), **options}
    with httpx.Client(timeout=LIMIT_S, event_hooks={"request": [site.note]}) as http:
        async with httpx.AsyncClient(timeout=LIMIT_S, event_hooks={"request": [site.note_soon]}) as async_http:
            made = HttpOptions(httpx_client=http, httpx_async_client=async_http, **chosen)
            client = Client(api_key=key, http_options=made)
            yield Caller(client if kind == "sync" else client.aio, kind)


@contextmanager
def converse_client(
    site: Stand,
    bearer: str | None = TOKEN,
    pair: tuple[str, str] = ("AKIDCALLER0000000001", "caller-secret"),
    **config: Any,
) -> Iterator[Any]:
    """Open boto3's client; with a bearer token it does not sign, as it would with one over TLS.

    The client itself refuses to send such a token without TLS, so it is put on just before the request leaves.
    """
    settings: dict[str, Any] = {
        "retries": {"total_max_attempts": 1},
        "read_timeout": LIMIT_S,
        "connect_timeout": LIMIT_S,
    }
    if bearer is not None:
        settings["signature_version"] = botocore.UNSIGNED
    client = boto3.client(
        "bedrock-runtime",
        region_name=REGION,
        endpoint_url=site.origin,
        aws_access_key_id=pair[0],
        aws_secret_access_key=pair[1],
        config=Config(**(settings | config)),
    )

    def note(request: Any, **_ignored: object) -> None:
        if bearer is not None:
            request.headers["Authorization"] = f"Bearer {bearer}"
        fields = {name.lower(): _text(value) for name, value in request.headers.items()}
        site.sent.append(Sent(request.method, request.url.removeprefix(site.origin), fields, request.body or b""))

    client.meta.events.register("before-send.bedrock-runtime.*", note)
    try:
        yield client
    finally:
        pools = client._endpoint.http_session._manager.pools  # which are not closed with the client
        for key in pools.keys():  # noqa: SIM118  no mapping
            pools[key].close()
        client.close()


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode()


@asynccontextmanager
async def deployed(
    serve: Serve, folder: Path, text: str, script: Script | None = None, **variables: str
) -> AsyncIterator[Stand]:
    """Run a gateway as configured, over one backend; `<port>` in the text is where that listens, `<token>` ours."""
    received: list[Received] = []
    async with serve(Backend(0, script_of(script), received).serve) as backend:
        text = text.replace("<port>", str(backend.port)).replace("<token>", TOKEN)
        async with running(folder, text, **({"UP_KEY": OWN_KEY} | variables)) as made:
            engine = made.engine
            door = Site(engine._service, engine._listener, made.port)
            yield Stand(Front(door, list(engine.lanes.values()), [backend], received))
