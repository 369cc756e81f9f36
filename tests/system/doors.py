"""Six front doors: how a client of each dialect asks, and an upstream that keeps every byte that reached it.

Nothing here reads with the product's own code, so that a fault of its parsers cannot hide behind itself.
"""

import asyncio
import io
import re
import socket
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import NamedTuple, cast

from tests.system.engines import Running, running
from tests.system.origins import Peer, Server, serving_upstream
from tests.system.rawclient import RawClient, turns
from tests.system.serving import post

LANE_KEY = "lane-key"
MODEL = b"vendor-m"  # as the upstreams call it
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
# Words that would tell a client that it does not talk to the vendor.
TELLING = re.compile(rb"(?i)gateway|proxy|upstream|pool|\blanes?\b|busbar|backend|127\.0\.0\.1|vendor-m|httptools|h11")
_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)(?:\r\n|$)")


class Door(NamedTuple):
    """One dialect, from both sides."""

    name: str
    target: bytes  # by which a client asks for a whole answer
    stream: bytes  # and for a stream
    upstream: bytes  # by which the upstream is asked for a whole answer
    upstream_stream: bytes
    key: bytes  # what stands before a key in its header line
    id_field: str  # of the header with the id of an answer, if there is one
    body: bytes = b'{"model":"%b"}'

    @property
    def model(self) -> bytes:
        """The model as clients call it."""
        return f"{self.name}-m".encode()

    @property
    def minimal(self) -> bytes:
        """The smallest body that asks for it."""
        return self.body % self.model if b"%b" in self.body else self.body


_BEARER = b"Authorization: Bearer "
_PATHS = (b"/v1/chat/completions", b"/v1/responses", b"/v1/messages", b"/v2/chat")
_FROM, _TO = b"/v1beta/models/gemini-m", b"/v1beta/models/vendor-m"
_BELOW, _ABOVE = b"/model/bedrock-m/converse", b"/model/vendor-m/converse"
_EVENTS = b":streamGenerateContent?alt=sse"
DOORS = (
    Door("openai", *_PATHS[:1] * 4, _BEARER, "x-request-id"),
    Door("responses", *_PATHS[1:2] * 4, _BEARER, "x-request-id"),
    Door("anthropic", *_PATHS[2:3] * 4, b"x-api-key: ", "request-id"),
    Door("cohere", *_PATHS[3:] * 4, _BEARER, ""),
    Door(
        "gemini",
        _FROM + b":generateContent",
        _FROM + _EVENTS,
        _TO + b":generateContent",
        _TO + _EVENTS,
        b"x-goog-api-key: ",
        "",
        b"{}",
    ),
    Door("bedrock", _BELOW, _BELOW + b"-stream", _ABOVE, _ABOVE + b"-stream", _BEARER, "x-amzn-requestid", b"{}"),
)
BY_NAME = {door.name: door for door in DOORS}


def config(port: int, auth: str = "{mode: none}", more: str = "", on_exhausted: str = "reject") -> str:
    """Return a deployment with one lane and one pool of it for each dialect, all of them at one port."""
    base = f'base_url: "http://127.0.0.1:{port}", api_key_env: UP_KEY'
    names = [door.name for door in DOORS]
    providers = [f"  {name}: {{protocol: {name}, {base}}}\n" for name in names]
    models = [f"  {name}-m: {{provider: {name}, upstream_model: {MODEL.decode()}}}\n" for name in names]
    pools = [f"  {name}-p: {{members: [{{target: {name}-m}}], on_exhausted: {on_exhausted}}}\n" for name in names]
    head = f"listen: 127.0.0.1:0\nauth: {auth}\n{more}"
    return f"{head}providers:\n{''.join(providers)}models:\n{''.join(models)}pools:\n{''.join(pools)}"


class Keeper:
    """What an upstream does: it keeps each whole request and answers it in pieces, each read by itself."""

    def __init__(self, *pieces: bytes, closes: bool = False) -> None:
        self.pieces: Sequence[bytes] = pieces or (OK,)
        self.closes = closes  # the connection, behind the answer
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self._saying: list[asyncio.Future[None]] = []

    def __call__(self, peer: Peer) -> None:
        """Hear what has come."""
        head, mark, body = bytes(peer.received).partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not mark or length is None or len(body) < int(length[1]):
            return
        peer.take()
        self.heads.append(head + mark)
        self.bodies.append(body)
        self._saying.append(asyncio.ensure_future(self._say(peer, self.pieces)))

    async def _say(self, peer: Peer, pieces: Sequence[bytes]) -> None:
        for piece in pieces:
            if peer.transport.is_closing():  # whoever asked has heard enough
                return
            peer.say(piece)
            await turns()
        if self.closes:
            peer.transport.close()


class House:
    """A gateway with six doors, and the upstream behind it."""

    def __init__(self, site: Running, upstream: Server, keeper: Keeper) -> None:
        self.site = site
        self.upstream = upstream
        self.keeper = keeper

    def connect(self) -> RawClient:
        """Open a connection."""
        return self.site.connect()

    async def say(self, *pieces: bytes) -> bytes:
        """Send pieces on a connection of their own; return everything that came up to its end."""
        client = self.connect()
        await client.send_pieces(*pieces)
        raw = await client.read_all()
        client.close()
        return raw

    async def ask(self, door: Door, *lines: bytes, body: bytes = b"", target: bytes = b"") -> "Seen":
        """Ask at a door on a connection that is closed behind the answer."""
        return read(
            await self.say(post(body or door.minimal, b"Connection: close", *lines, target=target or door.target))
        )

    async def hear(self, door: Door, *, in_stream: bool = False) -> "Seen":
        """Ask a pool: with `least_bad` it says what its lane says, which would else be a failure like any."""
        target = door.stream if in_stream else door.target
        return await self.ask(door, body=door.minimal.replace(b"-m", b"-p"), target=target.replace(b"-m", b"-p"))


@asynccontextmanager
async def six_doors(
    folder: Path, auth: str = "{mode: none}", more: str = "", on_exhausted: str = "reject", **variables: str
) -> AsyncIterator[House]:
    """Run the gateway of `config` over one scripted upstream."""
    async with (
        serving_upstream() as upstream,
        running(folder, config(upstream.port, auth, more, on_exhausted), UP_KEY=LANE_KEY, **variables) as site,
    ):
        keeper = Keeper()
        upstream.script = keeper
        yield House(site, upstream, keeper)


class Seen(NamedTuple):
    """An answer as the standard library reads it; names of fields are lower case."""

    status: int
    fields: list[tuple[str, str]]
    body: bytes

    def value(self, name: str) -> str:
        """Return the only value of a field."""
        (value,) = [value for key, value in self.fields if key == name]
        return value

    @property
    def names(self) -> list[str]:
        """The names of all fields but those that every answer has, in order."""
        ours = {"date", "connection", "content-length", "transfer-encoding"}
        return sorted(name for name, _ in self.fields if name not in ours)


class _Received(io.BytesIO):
    """What the standard library takes for a socket and for its file."""

    def makefile(self, _mode: str) -> "_Received":
        return self

    def close(self) -> None:
        """Stay open, so that what is behind an answer can be seen."""


def read(raw: bytes, method: str = "POST") -> Seen:
    """Read one whole answer; a body that is cut short fails, and so does anything behind the answer."""
    received = _Received(raw)
    answer = HTTPResponse(cast("socket.socket", received), method=method)
    answer.begin()
    body = answer.read()
    rest = received.read()
    assert rest == b"", rest
    return Seen(answer.status, [(name.lower(), value) for name, value in answer.getheaders()], body)


def cuts(raw: bytes, places: Iterable[int] = ()) -> list[tuple[bytes, ...]]:
    """Return a text byte by byte, and in two at each place, everywhere by default."""
    halves = [(raw[:at], raw[at:]) for at in places or range(1, len(raw))]
    return [tuple(raw[at : at + 1] for at in range(len(raw))), *halves]


def chunked(raw: bytes, size: int) -> bytes:
    """Return a body in chunks of a size."""
    pieces = [raw[at : at + size] for at in range(0, len(raw), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
