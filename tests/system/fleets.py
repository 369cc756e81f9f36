"""The gateway as a deployment file makes it, over mock backends that fail as they are told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import orjson

from busbar_fast.dialects.registry import DIALECTS
from busbar_fast.mock.script import Script
from busbar_fast.reliability.lanes import LaneState
from tests.dialects.vendors import CALLS, STREAM_PATHS
from tests.system.engines import Running, running
from tests.system.gateways import DOWN, Backend, Fate, Received, closed_port, script_of
from tests.system.rawclient import Answer, RawClient
from tests.system.serving import Gate, Serve


class Fleet:
    """A gateway over backends; lane `m0` leads to the first of them, `m1` to the second."""

    def __init__(self, site: Running, received: list[Received], dialect: str) -> None:
        self.site = site
        self.received = received
        self.dialect = dialect

    def state(self, model: str) -> LaneState:
        """Return the state of a lane."""
        return self.site.engine.lanes[model].state

    @property
    def asked(self) -> str:
        """The numbers of the backends that were asked, in order."""
        return "".join(str(one.backend) for one in self.received)

    def counts(self, model: str) -> tuple[int, int, int]:
        """Return what a lane counts: answered, failed, faults of clients."""
        state = self.state(model)
        return state.ok, state.err, state.client_fault

    def send(self, model: str = "pool", *, stream: bool = False, fields: bytes = b"") -> RawClient:
        """Send a request on a connection of its own."""
        client = self.site.connect()
        client.send(call_of(self.dialect, model, stream=stream, fields=fields))
        return client

    async def ask(self, model: str = "pool", *, stream: bool = False, fields: bytes = b"") -> Answer:
        """Return the answer to a request."""
        client = self.send(model, stream=stream, fields=fields)
        answer = await client.read_answer()
        client.close()
        return answer

    async def ask_often(self, count: int, model: str = "pool") -> list[int]:
        """Return the statuses of several requests, one after the other."""
        return [(await self.ask(model)).status for _ in range(count)]

    async def stats(self) -> dict[str, Any]:
        """Return what `/stats` says of each lane, by its name."""
        client = self.site.connect()
        client.send(b"GET /stats HTTP/1.1\r\nHost: h\r\n\r\n")
        lanes = orjson.loads((await client.read_answer()).body)["lanes"]
        client.close()
        return {lane["model"]: lane for lane in lanes}

    async def health(self) -> int:
        """Return the status of `/healthz`."""
        client = self.site.connect()
        client.send(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
        status = (await client.read_answer()).status
        client.close()
        return status


def call_of(dialect: str, model: str, *, stream: bool = False, fields: bytes = b"") -> bytes:
    """Return a raw request in a dialect."""
    path, document = CALLS["gemini" if dialect == "array" else dialect]
    if stream and dialect in STREAM_PATHS:
        path = STREAM_PATHS[dialect]
    elif stream:
        document = document | {"stream": True}
    if "{model}" not in path:
        document = {"model": model} | document
    body = orjson.dumps(document)
    target = path.replace("{model}", model).encode()
    return b"POST %b HTTP/1.1\r\nHost: h\r\n%bContent-Length: %d\r\n\r\n%b" % (target, fields, len(body), body)


def config_of(ports: list[int], dialect: str, **parts: str) -> str:
    """Return a deployment of one provider, model and member for each port; `parts` go where they are named.

    `pool` is appended to the pool, `member` and `model` to each of theirs, `provider` to each provider, `top` to all.
    """
    spoken = "gemini" if dialect == "array" else dialect
    lines = ["listen: 127.0.0.1:0", "auth: {mode: none}", "providers:"]
    for number, port in enumerate(ports):
        more = f", {parts['provider']}" if "provider" in parts else ""
        url = f"http://127.0.0.1:{port}"
        lines.append(f"  p{number}: {{protocol: {spoken}, base_url: '{url}', api_key_env: UP_KEY{more}}}")
    lines.append("models:")
    for number, _ in enumerate(ports):
        more = f", {parts['model']}" if "model" in parts else ""
        lines.append(f"  m{number}: {{provider: p{number}{more}}}")
    member = f", {parts['member']}" if "member" in parts else ""
    members = ", ".join(f"{{target: m{number}{member}}}" for number, _ in enumerate(ports))
    lines += ["pools:", "  pool:", f"    members: [{parts.get('members', members)}]"]
    lines += [f"    {line}" for line in parts.get("pool", "").splitlines()]
    return "\n".join([*lines, parts.get("pools", ""), parts.get("top", "")]) + "\n"


@asynccontextmanager
async def fleet(
    folder: Path, serve: Serve, *fates: Fate, dialect: str = "openai", hold: Gate | None = None, **parts: str
) -> AsyncIterator[Fleet]:
    """Run a gateway over one backend for each fate; see `config_of` for the rest."""
    assert DIALECTS
    async with AsyncExitStack() as stack:
        received: list[Received] = []
        ports = []
        for number, fate in enumerate(fates):
            if isinstance(fate, str):
                assert fate == DOWN
                ports.append(closed_port())
            else:
                backend = Backend(number, script_of(fate), received, hold)
                ports.append((await stack.enter_async_context(serve(backend.serve))).port)
        site = await stack.enter_async_context(running(folder, config_of(ports, dialect, **parts)))
        made = Fleet(site, received, dialect)
        yield made
        for lane in site.engine.lanes.values():
            assert lane.state.inflight == 0
            assert all(not cell.trial for cell in lane.state.cells.values())


async def settled(condition: Callable[[], bool]) -> None:
    """Return when a condition holds."""
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it does not come about")


def failing(status: int = 500, **more: Any) -> Script:
    """Return a backend that refuses."""
    return Script(status=status, **more)
