"""The server under test: a service with its listener on a port of its own, inside the test's event loop.

A `Site` records what its responder saw, so that a test can say which requests were executed and which never were. When
a test leaves its site, nothing may be left behind: no connection, no exchange, no complaint to the loop.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from busbar_fast.wire.exchange import Exchange
from busbar_fast.wire.limits import Limits
from busbar_fast.wire.listener import Listener, bind
from busbar_fast.wire.parsers import choose_parser
from busbar_fast.wire.service import Responder, Service, new_wheel
from tests.system.rawclient import RawClient, turns

TEXT = b"Content-Type: text/plain\r\n"
GET = b"GET /first HTTP/1.1\r\nHost: h\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
_AT_ONCE = 64  # connections fed in step


def post(body: bytes, *lines: bytes, target: bytes = b"/first") -> bytes:
    """Return a request with a body of declared length and these further header lines."""
    more = b"".join(line + b"\r\n" for line in lines)
    return b"POST %b HTTP/1.1\r\nHost: h\r\n%bContent-Length: %d\r\n\r\n%b" % (target, more, len(body), body)


def chunked_head(*lines: bytes, target: bytes = b"/first") -> bytes:
    """Return the head of a request with a chunked body and these further header lines."""
    more = b"".join(line + b"\r\n" for line in lines)
    return b"POST %b HTTP/1.1\r\nHost: h\r\n%bTransfer-Encoding: chunked\r\n\r\n" % (target, more)


async def echo(exchange: Exchange) -> None:
    """Answer with the target, a line end, and the request's body."""
    body = await exchange.read_body()
    exchange.reply(200, TEXT, exchange.head.target + b"\n" + body)


class Gate:
    """Where a responder waits until the test opens, or until its client is gone."""

    def __init__(self) -> None:
        self._opened = asyncio.Event()
        self._futures: list[asyncio.Future[None]] = []
        self.waiting = 0

    async def wait(self) -> None:
        """Wait for the test; strands take plain futures."""
        future = asyncio.get_running_loop().create_future()
        self._futures.append(future)
        self.waiting += 1
        try:
            await future
        finally:
            self.waiting -= 1

    def open(self) -> None:
        """Let everyone go on who waits now."""
        futures, self._futures = self._futures, []
        for future in futures:
            if not future.done():
                future.set_result(None)


class Site:
    """What a test holds of the server it started."""

    def __init__(self, service: Service, listener: Listener, port: int) -> None:
        self.service = service
        self.listener = listener
        self.port = port
        self.targets: list[bytes] = []
        self.clients: list[RawClient] = []
        self.complaints: list[dict[str, Any]] = []

    def connect(self, *, receive_buffer_bytes: int = 0, source: str = "127.0.0.1") -> RawClient:
        """Open a connection; the kernel accepts it at once, the server on one of the loop's next turns."""
        client = RawClient(self.port, receive_buffer_bytes=receive_buffer_bytes, source=source)
        self.clients.append(client)
        return client

    async def connected(self, *, receive_buffer_bytes: int = 0) -> RawClient:
        """Open a connection and wait until the server reads from it."""
        before = set(self.service.connections)
        client = self.connect(receive_buffer_bytes=receive_buffer_bytes)
        await until(lambda: not self.service.connections <= before)
        await turns()
        return client

    async def ask(self, *pieces: bytes) -> bytes:
        """Send pieces on a connection of their own; return everything that came up to its end."""
        client = await self.connected()
        await client.send_pieces(*pieces)
        try:
            return await client.read_all()
        finally:
            client.close()

    async def ask_cut_everywhere(self, raw: bytes, behind: bytes = b"") -> list[bytes]:
        """Send a request and what is behind it: whole, byte by byte, and in two pieces cut at every place of it.

        Return what came on each of these connections.
        """
        every = raw + behind
        cuts = [(every,), tuple(every[at : at + 1] for at in range(len(every)))]
        cuts += [(every[:at], every[at:]) for at in range(1, len(raw) + bool(behind))]
        received = []
        for start in range(0, len(cuts), _AT_ONCE):
            received += await self._ask_in_step(cuts[start : start + _AT_ONCE])
        return received

    async def _ask_in_step(self, cuts: Sequence[Sequence[bytes]]) -> list[bytes]:
        before = len(self.service.connections)
        clients = [self.connect() for _ in cuts]
        await until(lambda: len(self.service.connections) == before + len(cuts))
        await turns()
        for step in range(max(map(len, cuts))):
            for client, pieces in zip(clients, cuts, strict=True):
                if step < len(pieces):
                    client.send(pieces[step])
            await turns()
        received = [await client.read_all() for client in clients]
        for client in clients:
            client.close()
        self.clients.clear()
        await until(lambda: len(self.service.connections) == before)
        return received

    async def is_idle(self) -> bool:
        """Wait until no exchange is under way and no connection is left; return whether it came to that."""
        await until(lambda: self.service.in_flight == 0 and not self.service.connections)
        return True


class Serve(Protocol):
    """Starts a site."""

    def __call__(self, respond: Responder = echo, limits: Limits | None = None) -> AbstractAsyncContextManager[Site]:
        """Return a site for a `with`."""


@asynccontextmanager
async def serving(parser: str, respond: Responder, limits: Limits) -> AsyncIterator[Site]:
    """Run a server; see that it leaves nothing behind."""
    loop = asyncio.get_running_loop()
    targets: list[bytes] = []

    async def record(exchange: Exchange) -> None:
        targets.append(exchange.head.target)
        await respond(exchange)

    wheel = new_wheel(loop.call_later)
    service = Service(record, limits, wheel, choose_parser(parser))
    listener = Listener(service, loop)
    listener.serve(bind("127.0.0.1", 0))
    site = Site(service, listener, listener.addresses[0][1])
    site.targets = targets
    loop.set_exception_handler(lambda _loop, context: site.complaints.append(context))
    try:
        yield site
        for client in site.clients:
            client.close()
        assert await site.is_idle()
    finally:
        listener.cut()
        for client in site.clients:
            client.close()
        await turns()
        wheel.close()
    assert site.complaints == []
    assert service.in_flight == 0


async def until(is_so: Callable[[], bool], within_s: float = 5.0) -> None:
    """Wait until something is so; fail if it does not come to that."""
    async with asyncio.timeout(within_s):
        while not is_so():  # noqa: ASYNC110  what is waited for happens in the server, which sets no events for tests
            await asyncio.sleep(0.001)


async def soon(is_so: Callable[[], bool], within_ms: int = 100) -> bool:
    """Say whether something comes to be so while the loop turns freely for that long.

    What is counted are turns of a millisecond at least, so that a machine which stops us, or a collection of garbage,
    is not taken for lateness of the server.
    """
    for _ in range(within_ms):
        if is_so():
            return True
        await asyncio.sleep(0.001)
    return is_so()


async def all_of(waits: Iterable[Any]) -> list[Any]:
    """Wait for several things at once; the first failure is everyone's."""
    return list(await asyncio.gather(*waits))
