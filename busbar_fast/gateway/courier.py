"""Posts to a URL of the operator's that no request waits for: so many at a time, over connections of their own.

Every address that the URL's host leads to is judged by the guard for sinks, redirects are not followed, and nothing is
tried twice. What the URL says of a user travels as a header field and gets into no log.
"""

import asyncio
import logging
from base64 import b64encode
from collections.abc import Callable
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from busbar_fast import __version__
from busbar_fast.config.complaints import masked
from busbar_fast.config.guards import AddressGuard, Exemptions, Level
from busbar_fast.config.schema import Security
from busbar_fast.errors import BusbarError, UpstreamTimeout
from busbar_fast.gateway.targets import Target, sink_target_of
from busbar_fast.observe.log import fields
from busbar_fast.wire.pool import Origin, OriginKey, Pool
from busbar_fast.wire.strand import Strand
from busbar_fast.wire.wheel import Wheel

_log: Final = logging.getLogger("busbar_fast.sinks")

_HEAD: Final = (
    b"POST %b HTTP/1.1\r\nHost: %b\r\nContent-Type: %b\r\nAccept: application/json\r\n"
    b"Accept-Encoding: identity\r\nUser-Agent: busbar-fast/%b\r\n%bContent-Length: "
)
_ANSWER_CAP_BYTES: Final = 65536


class Sink(NamedTuple):
    """Where posts go to, and everything of their head before the number of the body's bytes."""

    origin: Origin
    head: bytes
    shown: str  # the URL as a log may show it

    def encode(self, body: bytes) -> bytes:
        """Return a whole request."""
        return b"%b%d\r\n\r\n%b" % (self.head, len(body), body)


def sink_at(url: str, level: Level, upstreams: Pool, security: Security, kind: bytes = b"application/json") -> Sink:
    """Return the sink at a URL; what that says of a user is shown as RFC 7617 has it."""
    target, userinfo = sink_target_of(url)
    exemptions = Exemptions(blocked=security.blocked_metadata_hosts, sinks=security.allow_sink_hosts)
    key = OriginKey(is_tls=target.is_tls, host=target.host, port=target.port, policy=AddressGuard(exemptions, level))
    return Sink(upstreams.origin(key), head_of(target, userinfo, kind), masked(url))


def head_of(target: Target, userinfo: str, kind: bytes) -> bytes:
    """Return the head of every post up to its length."""
    credential = b""
    if userinfo:
        user, _, password = userinfo.partition(":")
        pair = b"%b:%b" % (unquote_to_bytes(user), unquote_to_bytes(password))
        credential = b"Authorization: Basic %b\r\n" % b64encode(pair)
    return _HEAD % (target.path, target.authority, kind, __version__.encode(), credential)


class Courier:
    """See the module. `between_s` is how long it says nothing of failures after it told of one."""

    __slots__ = ("_between_s", "_idle", "_most", "_sink", "_strands", "_timeout_s", "_told_s", "_untold", "_wheel")

    def __init__(self, sink: Sink, wheel: Wheel, *, most: int, timeout_s: float, between_s: float) -> None:
        self._sink = sink
        self._wheel = wheel
        self._most = most
        self._timeout_s = timeout_s
        self._between_s = between_s
        self._told_s = wheel.now() - between_s
        self._untold = 0
        self._strands: set[Strand] = set()
        self._idle: asyncio.Future[None] | None = None

    @property
    def is_full(self) -> bool:
        """Whether as many posts are under way as may be."""
        return len(self._strands) >= self._most

    def post(self, body: bytes, on_end: Callable[[str], None] | None = None) -> None:
        """Send a body; `on_end` hears why it did not arrive, nothing if it did."""
        strand = _Delivery(self._wheel, self, on_end)
        self._strands.add(strand)
        strand.run(self._deliver(strand, body))

    async def finish(self, limit_s: float) -> None:
        """Wait for what is under way, at most so long."""
        if self._strands:
            self._idle = asyncio.get_running_loop().create_future()
            await asyncio.wait((self._idle,), timeout=limit_s)

    def close(self) -> None:
        """Drop what is under way."""
        for strand in list(self._strands):
            strand.close()
        self._strands.clear()

    def on_delivered(self, strand: Strand, why: str) -> None:
        """Take notice that a post is over, and why it did not arrive if it did not."""
        self._strands.discard(strand)
        if why:
            self._tell(why)
        if not self._strands and self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    async def _deliver(self, strand: Strand, body: bytes) -> None:
        raw, timeout_s = self._sink.encode(body), self._timeout_s
        with (
            strand.within(timeout_s, _too_slow),
            await self._sink.origin.call(strand, b"POST", raw, timeout_s) as upstream,
        ):
            answer = upstream.head
            assert answer is not None
            if not 200 <= answer.status < 300:
                raise Undelivered(f"answered {answer.status}")
            await upstream.read_body(_ANSWER_CAP_BYTES)

    def _tell(self, why: str) -> None:
        now_s = self._wheel.now()
        if now_s - self._told_s < self._between_s:
            self._untold += 1
            return
        more = {"suppressed": self._untold} if self._untold else {}
        self._told_s, self._untold = now_s, 0
        _log.warning("a sink could not be reached", extra=fields(url=self._sink.shown, why=why, **more))


class Undelivered(BusbarError):
    """Whoever should have taken a post did not."""


class _Delivery(Strand):
    """Runs one post; its slot is free when it is over, however that came about."""

    __slots__ = ("_courier", "_on_end")

    def __init__(self, wheel: Wheel, courier: Courier, on_end: Callable[[str], None] | None) -> None:
        super().__init__(wheel)
        self._courier = courier
        self._on_end = on_end

    def on_end(self, error: BaseException | None) -> None:
        why = "" if error is None else str(error) if isinstance(error, BusbarError) else type(error).__name__
        if error is not None and not isinstance(error, BusbarError):
            _log.error("a post to a sink failed", exc_info=error)
        self._courier.on_delivered(self, why)
        if self._on_end is not None:
            self._on_end(why)


def _too_slow() -> UpstreamTimeout:
    return UpstreamTimeout("no answer in time")
