"""The floor: what any proxy on this loop costs at least. It passes bytes on, reads none of them, and is no gateway.

Two callbacks and one look at the last bytes of each piece; it knows no heads, no limits, no framing, and serves as long
as nothing goes wrong. usage: python -m perf.floor LISTEN_PORT UPSTREAM_PORT
"""

import asyncio
import sys
from typing import cast

from perf import http_reply

_JSON_START = b"HTTP/1.1 200 OK\r\nContent-Type: application/json"


class Upstream(asyncio.Protocol):
    """One connection to the upstream; idle ones wait in a list."""

    transport: asyncio.Transport
    client: asyncio.Transport

    def __init__(self, idle: list["Upstream"]) -> None:
        self._idle = idle

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def ask(self, client: asyncio.Transport, request: bytes) -> None:
        """Send a request whose answer goes to this client."""
        self.client = client
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Pass the piece on."""
        self.client.write(data)
        if data.endswith(http_reply.LAST_CHUNK) or data.startswith(_JSON_START):
            self._idle.append(self)


class Downstream(asyncio.Protocol):
    """One client connection, whose requests come in one piece each."""

    transport: asyncio.Transport

    def __init__(self, idle: list[Upstream], upstream_port: int) -> None:
        self._idle = idle
        self._port = upstream_port
        self._dialling: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Pass the request on."""
        if self._idle:
            self._idle.pop().ask(self.transport, data)
        else:
            dialling = asyncio.ensure_future(self._dial(data))
            self._dialling.add(dialling)
            dialling.add_done_callback(self._dialling.discard)

    async def _dial(self, request: bytes) -> None:
        loop = asyncio.get_running_loop()
        _, upstream = await loop.create_connection(lambda: Upstream(self._idle), "127.0.0.1", self._port)
        upstream.ask(self.transport, request)


async def serve(listen_port: int, upstream_port: int) -> None:
    """Serve until killed."""
    idle: list[Upstream] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Downstream(idle, upstream_port), "127.0.0.1", listen_port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2])))
