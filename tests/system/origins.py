"""Scripted upstream servers, and a small gateway to reach them through, all inside the test's event loop.

A `Server` says and does exactly what the test tells it to, on each of its connections. When a test leaves its
gateway, nothing may be left behind: no connection, no exchange, no timer, no descriptor, no complaint to the loop.
"""

import asyncio
import gc
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import trustme

from busbar_fast.errors import BusbarError
from busbar_fast.wire.dial import Dialer
from busbar_fast.wire.exchange import Exchange
from busbar_fast.wire.limits import Limits, UpstreamLimits
from busbar_fast.wire.listener import Listener, bind
from busbar_fast.wire.parsers import choose_parser
from busbar_fast.wire.pool import OriginKey, Pool
from busbar_fast.wire.relay import relay
from busbar_fast.wire.service import Service, new_wheel
from busbar_fast.wire.upstream import Upstream

LIMIT_S = 5.0
GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
WAIT_S = 10.0


async def until(condition: Callable[[], object], limit_s: float = LIMIT_S) -> None:
    """Return when a condition holds; fail if it does not in time."""
    end_s = asyncio.get_running_loop().time() + limit_s
    while not condition():
        assert asyncio.get_running_loop().time() < end_s, "it does not come about"
        await asyncio.sleep(0.001)


def descriptors() -> int:
    """Return how many descriptors this process holds."""
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


def linger_none(sock: Any) -> None:
    """Make the close of a socket a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Peer(asyncio.Protocol):
    """One connection, from the far side: what came, what ended it, and the means to say anything."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.received = bytearray()
        self.is_over = False
        self.error: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_over = True
        self.error = exc

    @property
    def requests(self) -> int:
        """How many requests without a body have come."""
        return self.received.count(b"\r\n\r\n")

    def say(self, raw: bytes) -> None:
        self.transport.write(raw)

    def take(self) -> bytes:
        """Return what was received and forget it."""
        taken = bytes(self.received)
        self.received.clear()
        return taken

    async def heard(self, text: bytes) -> None:
        """Wait until this has been received."""
        await until(lambda: text in self.received)

    async def over(self) -> None:
        """Wait until the other side has ended the connection."""
        await until(lambda: self.is_over)

    def reset(self) -> None:
        """End the connection with a reset."""
        linger_none(self.transport.get_extra_info("socket"))
        self.transport.abort()


class Server:
    """A listening upstream; its connections are in `peers`, oldest first."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.peers: list[Peer] = []
        self.script: Callable[[Peer], None] = lambda _peer: None

    def new_peer(self) -> Peer:
        """Make the protocol of one connection, which runs the script whenever something has come."""
        server = self

        class Scripted(Peer):
            def data_received(self, data: bytes) -> None:
                super().data_received(data)
                server.script(self)

        peer = Scripted()
        self.peers.append(peer)
        return peer

    async def peer(self, number: int = 0) -> Peer:
        """Wait for the connection of this number."""
        await until(lambda: len(self.peers) > number)
        return self.peers[number]


@asynccontextmanager
async def serving_upstream(tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Run an upstream server."""
    server = Server(0)
    running = await asyncio.get_running_loop().create_server(server.new_peer, "127.0.0.1", 0, ssl=tls)
    server.port = running.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        running.close()
        for peer in server.peers:
            if not peer.is_over and hasattr(peer, "transport"):
                peer.transport.abort()
        await running.wait_closed()


def answering(answer: bytes) -> Callable[[Peer], None]:
    """Return a script that gives this answer to each request."""

    def script(peer: Peer) -> None:
        for _ in range(peer.take().count(b"\r\n\r\n")):
            peer.say(answer)

    return script


class Gateway:
    """A gateway with one upstream, in the test's loop."""

    def __init__(self, parser_kind: str, key: OriginKey, timeout_s: float, ca_file: str) -> None:
        loop = asyncio.get_running_loop()
        self.wheel = new_wheel(loop.call_later)
        parser = choose_parser(parser_kind)
        dialer = Dialer(loop, timeout_s, ca_file=ca_file or None)
        self.pool = Pool(dialer.dial, self.wheel, parser, UpstreamLimits())
        self.origin = self.pool.origin(key)
        self.service = Service(self.respond, Limits(), self.wheel, parser)
        self.listener = Listener(self.service, loop)
        self.errors: list[BusbarError] = []
        self.leased: list[Upstream] = []

    async def respond(self, exchange: Exchange) -> None:
        """Pass a request on and its answer back; what fails is noted and answered with its status."""
        try:
            upstream = await self.origin.call(exchange, b"GET", GET, WAIT_S)
        except BusbarError as error:
            self.errors.append(error)
            exchange.reply(error.status, b"", b"")
            return
        self.leased.append(upstream)
        with upstream:
            assert upstream.head is not None
            await relay(upstream, exchange, upstream.head.status, b"")

    async def client(self) -> Peer:
        """Connect a client."""
        _, peer = await asyncio.get_running_loop().create_connection(Peer, *self.listener.addresses[0])
        return peer

    async def ask(self, client: Peer | None = None) -> bytes:
        """Send one request and return the status line; the connection stays open."""
        client = client or await self.client()
        client.take()
        client.say(GET)
        await client.heard(b"\r\n\r\n")
        return bytes(client.received).partition(b"\r\n")[0]

    @property
    def is_at_rest(self) -> bool:
        """Whether no client, request, or upstream connection is left."""
        return not (self.service.connections or self.service.in_flight or self.origin.open)


@asynccontextmanager
async def gateway(
    parser_kind: str,
    key: OriginKey | int,
    timeout_s: float = 5.0,
    ca_file: str = "",
) -> AsyncIterator[Gateway]:
    """Run a gateway to one upstream, given by its key or its port here; check that nothing of it is left."""
    loop = asyncio.get_running_loop()
    if isinstance(key, int):
        key = OriginKey(is_tls=False, host="127.0.0.1", port=key)
    complaints: list[str] = []
    loop.set_exception_handler(lambda _loop, context: complaints.append(f"{context}"))
    site = Gateway(parser_kind, key, timeout_s, ca_file)
    site.listener.serve(bind("127.0.0.1", 0))
    try:
        yield site
    finally:
        site.listener.cut()
        site.pool.close()
    await until(lambda: site.is_at_rest)
    await until(lambda: len(asyncio.all_tasks()) == 1)
    assert len(site.wheel) == 0
    site.wheel.close()
    gc.collect()
    await asyncio.sleep(0)
    # The stock loop tells about handshakes that our own test server lost.
    assert [said for said in complaints if "transport creation for incoming" not in said] == []


def new_authority(folder: Path) -> tuple[trustme.CA, str]:
    """Return a certificate authority and the file to trust it by."""
    authority = trustme.CA()
    path = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return authority, str(path)


def server_side(certificate: trustme.LeafCert) -> ssl.SSLContext:
    """Return the server's side of a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context
