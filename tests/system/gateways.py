"""The gateway in the test's loop: one front over lanes that lead to scripted backends, or to nobody."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from busbar_fast.dialects.registry import speak, speak_all
from busbar_fast.gateway.admission import Admission
from busbar_fast.gateway.app import Gateway
from busbar_fast.gateway.lanes import Access, Lane, LanePool, Member
from busbar_fast.gateway.topology import Topology
from busbar_fast.mock.script import Script
from busbar_fast.mock.server import MockBackend
from busbar_fast.wire.dial import Dialer
from busbar_fast.wire.gate import Gate
from busbar_fast.wire.limits import Limits, UpstreamLimits
from busbar_fast.wire.parsers import choose_parser
from busbar_fast.wire.pool import OriginKey, Pool
from busbar_fast.wire.service import new_wheel
from tests.system.serving import Serve, Site

CHAT = "/v1/chat/completions"
CHAT_DIALECT = speak("openai")
ACCESS = Access(b"Host: h\r\nContent-Type: application/json\r\n", key="k")
DOWN = "down"  # instead of a script: nobody listens there
Fate = Script | None | str


class Front:
    """What a test holds of a gateway."""

    def __init__(self, site: Site, lanes: list[Lane], backends: list[Site | None]) -> None:
        self.site = site
        self.lanes = lanes
        self.backends = backends

    @property
    def counts(self) -> list[tuple[int, int]]:
        """Return for each lane how often it answered and how often it failed."""
        return [(lane.life.answered, lane.life.failed) for lane in self.lanes]

    @property
    def in_flight(self) -> list[int]:
        """Return for each lane how many requests are on it."""
        return [lane.in_flight for lane in self.lanes]


def closed_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@asynccontextmanager
async def gateway_over(serve: Serve, parser: str, *fates: Fate, limits: Limits | None = None) -> AsyncIterator[Front]:
    """Run a gateway whose pool "demo" has one lane for each fate, in this order."""
    async with AsyncExitStack() as stack:
        wheel = new_wheel(asyncio.get_running_loop().call_later)
        stack.callback(wheel.close)
        ports: list[int] = []
        backends: list[Site | None] = []
        for fate in fates:
            if isinstance(fate, str):
                backends.append(None)
                ports.append(closed_port())
            else:
                site = await stack.enter_async_context(serve(MockBackend(constant(fate)).serve))
                backends.append(site)
                ports.append(site.port)
        upstream_limits = UpstreamLimits()
        dialer = Dialer(asyncio.get_running_loop(), upstream_limits.connect_timeout_s)
        pool = Pool(dialer.dial, wheel, choose_parser(parser), upstream_limits)
        stack.callback(pool.close)
        lanes = [
            Lane(name, pool.origin(OriginKey(is_tls=False, host="127.0.0.1", port=port)), CHAT, CHAT_DIALECT, ACCESS)
            for name, port in zip("abcdef", ports, strict=False)
        ]
        limits = limits or Limits()
        gate = Gate(limits.max_inbound_concurrent, limits.inbound_queue_max_s)
        topology = Topology(lanes, [LanePool("demo", tuple(map(Member, lanes)))])
        gateway = Gateway(topology, gate, speak_all(), Admission("none"))
        async with serve(gateway.serve, limits) as front:
            gateway.service = front.service
            yield Front(front, lanes, backends)
        assert all(lane.in_flight == 0 for lane in lanes)


def constant(script: Script | None) -> Callable[[int], Script | None]:
    """Return what gives every request the same script."""
    return lambda _number: script
