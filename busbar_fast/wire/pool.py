"""Connections to upstreams, kept per origin, newest idle first.

The newest idle connection is the one least likely to have been closed by the other side, and taking it lets the oldest
die of age. Every decision here is synchronous; the only waiting is done by the dialer and by the strand that leases.
Two requests may share a connection when scheme, host, port and trust are equal: that is the key of an origin.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from math import inf
from typing import NamedTuple, Protocol, cast

from busbar_fast.clock import now
from busbar_fast.errors import ConnectFailed, UpstreamGone
from busbar_fast.wire.heads import ResponseHead
from busbar_fast.wire.limits import UpstreamLimits
from busbar_fast.wire.parsers import HeadParser
from busbar_fast.wire.strand import Strand
from busbar_fast.wire.upstream import Upstream
from busbar_fast.wire.wheel import Wheel


class AddressPolicy(Protocol):
    """Says which of the addresses that a host's name resolves to may be dialled; equal rules compare equal."""

    def is_allowed(self, host: str, address: str) -> bool:
        """Say whether this host may be reached at this address."""


class OriginKey(NamedTuple):
    """Everything that makes two upstream connections equal."""

    is_tls: bool
    host: str
    port: int
    policy: AddressPolicy | None = None


# Connects a strand to an origin, by a protocol that is made for it, within so many seconds.
Dial = Callable[[Strand, OriginKey, Callable[[], asyncio.Protocol], float], Awaitable[asyncio.BaseTransport]]


class Origin:
    """One scheme, host and port that requests go to."""

    __slots__ = (
        "_dial",
        "_idle",
        "_open",
        "dialled",
        "is_closed",
        "key",
        "last_head",
        "last_method",
        "last_raw_head",
        "limits",
        "parser",
        "wheel",
    )

    def __init__(self, key: OriginKey, dial: Dial, wheel: Wheel, parser: HeadParser, limits: UpstreamLimits) -> None:
        self.key = key
        self.wheel = wheel
        self.parser = parser
        self.limits = limits
        self.dialled = 0  # connections ever made
        self.is_closed = False
        self.last_raw_head = b""
        self.last_method = b""  # no method at all: nothing is remembered yet
        self.last_head = ResponseHead(0, 1, {})
        self._dial = dial
        # A set and no count: a connection may end before it was ever leased, and uvloop does not always say so.
        self._open: set[Upstream] = set()
        self._idle: list[Upstream] = []  # newest last

    def __repr__(self) -> str:
        return f"<Origin {self.key.host}:{self.key.port} open={self.open} idle={len(self._idle)}>"

    @property
    def open(self) -> int:
        """How many connections are idle or leased."""
        return len(self._open)

    @property
    def idle(self) -> int:
        """How many connections wait for a request."""
        return len(self._idle)

    async def lease(self, strand: Strand, method: bytes, wait_s: float) -> Upstream:
        """Return a connection begun for one request; use it in a `with` at once. Raise ConnectFailed."""
        return self._reuse(strand, method, wait_s) or await self._connect(strand, method, wait_s, inf)

    async def call(
        self, strand: Strand, method: bytes, request: bytes, wait_s: float, body: bytes = b"", ends_s: float = inf
    ) -> Upstream:
        """Send a whole request and return the connection with the answer's head read; use it in a `with` at once.

        `body` is what of the request is too large to be copied behind its head. From sending on the head may take
        `wait_s`. Connecting, which comes before it, ends with `ends_s` at the latest, and so does the wait for it.

        A reused connection may have been closed by the upstream while our request was on its way. If it dies before a
        byte of an answer, the request is sent once more on a fresh one, in the time that is left, and nobody is told.
        """
        sent_s = now()
        upstream = self._reuse(strand, method, min(wait_s, ends_s - sent_s))
        while True:
            if upstream is None:
                upstream = await self._connect(strand, method, wait_s, ends_s)
            is_answered = False
            try:
                upstream.write(request, is_last=not body)
                if body:
                    upstream.write(body, is_last=True)
                await upstream.read_head()
                is_answered = True
            except UpstreamGone:
                if not upstream.is_reused or upstream.has_answered:
                    raise
            else:
                return upstream
            finally:
                if not is_answered:
                    upstream.release()
            upstream = None
            wait_s -= now() - sent_s

    def _reuse(self, strand: Strand, method: bytes, wait_s: float) -> Upstream | None:
        """Return the newest idle connection, begun for a request, if there is one."""
        if not self._idle:
            return None
        upstream = self._idle.pop()
        upstream.begin(strand, method, wait_s)
        return upstream

    def on_free(self, upstream: Upstream) -> None:
        """Keep a connection for the next request, or close one that is too many."""
        if self.is_closed:
            upstream.abort()
            return
        self._idle.append(upstream)
        upstream.retire_after(self.limits.idle_timeout_s)
        if len(self._idle) > self.limits.max_idle_per_origin:
            self._idle[0].abort()

    def on_closed(self, upstream: Upstream) -> None:
        """Forget a connection."""
        self._open.discard(upstream)
        if upstream in self._idle:
            self._idle.remove(upstream)

    def close(self) -> None:
        """Close the idle connections, and every leased one when its request is over."""
        self.is_closed = True
        for upstream in list(self._idle):
            upstream.abort()

    async def _connect(self, strand: Strand, method: bytes, wait_s: float, ends_s: float) -> Upstream:
        made: list[Upstream] = []

        def make() -> asyncio.Protocol:
            upstream = Upstream(self)
            made.append(upstream)
            return cast("asyncio.Protocol", upstream)

        await self._dial(strand, self.key, make, ends_s - now())
        self.dialled += 1
        upstream = made[-1]
        if upstream.is_closed:
            raise ConnectFailed(f"{self.key.host}:{self.key.port} closed at once")
        self._open.add(upstream)
        upstream.begin(strand, method, max(0.0, min(wait_s, ends_s - now())))
        return upstream


class Pool:
    """Every origin of the process."""

    __slots__ = ("_dial", "_limits", "_origins", "_parser", "_wheel")

    def __init__(self, dial: Dial, wheel: Wheel, parser: HeadParser, limits: UpstreamLimits) -> None:
        self._dial = dial
        self._wheel = wheel
        self._parser = parser
        self._limits = limits
        self._origins: dict[OriginKey, Origin] = {}

    def origin(self, key: OriginKey) -> Origin:
        """Return the origin of a key, made at first need."""
        origin = self._origins.get(key)
        if origin is None:
            origin = self._origins[key] = Origin(key, self._dial, self._wheel, self._parser, self._limits)
        return origin

    @property
    def origins(self) -> list[Origin]:
        """Every origin known so far."""
        return list(self._origins.values())

    def relimit(self, limits: UpstreamLimits) -> None:
        """Hold every origin to other limits from now on."""
        self._limits = limits
        for origin in self._origins.values():
            origin.limits = limits

    def retain(self, used: Collection[Origin]) -> None:
        """Forget every other origin; its connections end when their requests do."""
        for key, origin in list(self._origins.items()):
            if origin not in used:
                del self._origins[key]
                origin.close()

    def close(self) -> None:
        """Close what is idle now and what is leased when it is over."""
        for origin in self._origins.values():
            origin.close()
