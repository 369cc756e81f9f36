"""The gateway in the test's loop: one front over lanes that lead to scripted backends, or to nobody."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson

from busbar_fast.dialects.asks import Ask
from busbar_fast.dialects.registry import DIALECTS, speak, speak_all
from busbar_fast.gateway.admission import Admission
from busbar_fast.gateway.app import Gateway
from busbar_fast.gateway.lanes import Access, Lane, new_state
from busbar_fast.gateway.offers import Offer, Tolerance, pool_of
from busbar_fast.gateway.topology import Habits, Topology
from busbar_fast.mock.memo import Memo
from busbar_fast.mock.script import Script
from busbar_fast.mock.server import play
from busbar_fast.reliability.breaker import BreakerSettings
from busbar_fast.reliability.pools import Pool as Lanes
from busbar_fast.reliability.pools import PoolSettings
from busbar_fast.wire.dial import Dialer
from busbar_fast.wire.exchange import Exchange
from busbar_fast.wire.gate import Gate
from busbar_fast.wire.limits import Limits, UpstreamLimits
from busbar_fast.wire.parsers import choose_parser
from busbar_fast.wire.pool import Origin, OriginKey, Pool
from busbar_fast.wire.service import new_wheel
from tests.system.serving import Gate as Hold
from tests.system.serving import Serve, Site

DOWN = "down"  # instead of a script: nobody listens there


class Utterance(NamedTuple):
    """What a backend says whatever it is asked, with a good status."""

    content_type: bytes
    body: bytes


# What becomes of the requests to one backend; of several scripts each request gets the next, the last one stays.
Fate = Script | Utterance | None | str | Sequence[Script | Utterance | None]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a test may choose of a gateway beside its backends; each backend serves a lane of every dialect."""

    pool: str = "demo"
    dialects: tuple[str, ...] = ("openai",)
    model: str | None = None  # as the lanes call it; None: as the client does
    key: str = "k"
    admission: Admission = field(default_factory=lambda: Admission("none"))
    limits: Limits = field(default_factory=Limits)
    hold: Hold | None = None  # where backends wait before they answer
    wait_s: float = 300.0  # how long a backend may say nothing
    settings: PoolSettings | None = None  # of the pool
    breaker: BreakerSettings = field(default_factory=BreakerSettings)
    is_mixed: bool = False  # clients reach lanes of other dialects too
    tolerance: Tolerance = field(default_factory=Tolerance)


class Apart(Offer):
    """A pool of which each client reaches the lanes that speak as it does, as if it had one of its own."""

    __slots__ = ()

    def serving(self, ask: Ask) -> Lanes:
        return self.alike(ask)


@dataclass(frozen=True, slots=True)
class Received:
    """One request as a backend got it; names of fields are lower case."""

    backend: int
    method: bytes
    target: bytes
    fields: dict[bytes, bytes]
    body: bytes

    @property
    def document(self) -> Any:
        """The body as JSON."""
        return orjson.loads(self.body)


class Backend:
    """A mock backend that remembers what it was asked."""

    def __init__(
        self,
        number: int,
        script: Callable[[int], Script | Utterance | None],
        received: list[Received],
        hold: Hold | None = None,
    ) -> None:
        self._number = number
        self._script = script
        self._hold = hold
        self._memo = Memo()
        self._received = received  # by all backends, in this order
        self._served = 0

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request."""
        script = self._script(self._served)
        self._served += 1
        body = await exchange.read_body()
        head = exchange.head
        self._received.append(Received(self._number, head.method, head.target, dict(head.fields), body))
        if self._hold is not None:
            await self._hold.wait()
        if isinstance(script, Utterance):
            exchange.reply(200, b"Content-Type: %b\r\n" % script.content_type, script.body)
            return
        await play(exchange, *self._memo.play(head.method, head.target, head.fields, body, script))


class Front:
    """What a test holds of a gateway."""

    def __init__(
        self, site: Site, lanes: list[Lane], backends: list[Site | None], received: list[Received] | None = None
    ) -> None:
        self.site = site
        self.lanes = lanes
        self.backends = backends
        self.received: list[Received] = [] if received is None else received

    @property
    def counts(self) -> list[tuple[int, int]]:
        """Return for each lane how often it answered and how often it failed."""
        return [(lane.state.ok, lane.state.err) for lane in self.lanes]

    @property
    def in_flight(self) -> list[int]:
        """Return for each lane how many requests are on it."""
        return [lane.state.inflight for lane in self.lanes]


def closed_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def nobody() -> Iterator[int]:
    """Hold a port on which nobody listens, and which nobody else can take meanwhile."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield int(sock.getsockname()[1])


@asynccontextmanager
async def gateway_over(
    serve: Serve, parser: str, *fates: Fate, limits: Limits | None = None, shape: Shape | None = None
) -> AsyncIterator[Front]:
    """Run a gateway whose pool has, for each dialect, one lane for each fate, in this order."""
    shape = shape or Shape(limits=limits or Limits())
    async with AsyncExitStack() as stack:
        wheel = new_wheel(asyncio.get_running_loop().call_later)
        stack.callback(wheel.close)
        ports: list[int] = []
        backends: list[Site | None] = []
        received: list[Received] = []
        for number, fate in enumerate(fates):
            if isinstance(fate, str):
                backends.append(None)
                ports.append(stack.enter_context(nobody()))
            else:
                backend = Backend(number, script_of(fate), received, shape.hold)
                site = await stack.enter_async_context(serve(backend.serve))
                backends.append(site)
                ports.append(site.port)
        upstream_limits = UpstreamLimits()
        dialer = Dialer(asyncio.get_running_loop(), upstream_limits.connect_timeout_s)
        pool = Pool(dialer.dial, wheel, choose_parser(parser), upstream_limits)
        stack.callback(pool.close)
        origins = [pool.origin(OriginKey(is_tls=False, host="127.0.0.1", port=port)) for port in ports]
        lanes = [lane for dialect in shape.dialects for lane in new_lanes(shape, dialect, origins)]
        gate = Gate(shape.limits.max_inbound_concurrent, shape.limits.inbound_queue_max_s)
        offer = pool_of(shape.pool, lanes, shape.settings)
        kind = Offer if shape.is_mixed else Apart
        offer = kind(offer.pool, {lane.name: lane for lane in lanes}, tolerance=shape.tolerance)
        topology = Topology(lanes, [offer], Habits(shape.wait_s))
        gateway = Gateway(topology, gate, speak_all(), shape.admission)
        async with serve(gateway.serve, shape.limits) as front:
            gateway.service = front.service
            yield Front(front, lanes, backends, received)
        assert all(lane.state.inflight == 0 for lane in lanes)


def new_lanes(shape: Shape, dialect: str, origins: Sequence[Origin]) -> list[Lane]:
    """Return a lane to each origin; with one dialect they are called `a`, `b`, else its name goes before.

    Each backend is a provider, so that a key refused by one says nothing about the next.
    """
    path = DIALECTS[dialect].path.replace("{model}", quote(shape.model or "m", safe=""))
    access = Access(b"Host: h\r\n", key=shape.key)
    before = "" if len(shape.dialects) == 1 else f"{dialect}-"
    return [
        Lane(
            new_state(before + letter, f"provider-{letter}", shape.breaker),
            origin,
            path,
            speak(dialect),
            access,
            model=shape.model,
        )
        for letter, origin in zip("abcdef", origins, strict=False)
    ]


def script_of(
    fate: Script | Utterance | Sequence[Script | Utterance | None] | None,
) -> Callable[[int], Script | Utterance | None]:
    """Return what gives each request its script, by its number."""
    scripts = [fate] if fate is None or isinstance(fate, Script | Utterance) else list(fate)
    return lambda number: scripts[min(number, len(scripts) - 1)]
