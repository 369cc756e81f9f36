"""Microseconds of Python per request, without a kernel: a request through both legs on transports that write nowhere.

usage: python -m perf.micro.bench_exchange
"""

import asyncio
import timeit
from collections.abc import Callable
from typing import Any, cast

from busbar_fast.dialects.registry import speak, speak_all
from busbar_fast.gateway.admission import Admission
from busbar_fast.gateway.app import Gateway
from busbar_fast.gateway.lanes import Access, Lane, LanePool, Member
from busbar_fast.gateway.topology import Topology
from busbar_fast.wire.downstream import Downstream
from busbar_fast.wire.exchange import Exchange
from busbar_fast.wire.gate import Gate
from busbar_fast.wire.limits import Limits, UpstreamLimits
from busbar_fast.wire.parsers import choose_parser
from busbar_fast.wire.pool import Origin, OriginKey
from busbar_fast.wire.requests import read_request
from busbar_fast.wire.service import Responder, Service
from busbar_fast.wire.upstream import Upstream
from busbar_fast.wire.wheel import Wheel
from perf.core import Core
from perf.core import Lane as PerfLane

BODY = b'{"model":"gpt-4o","messages":[{"role":"user","content":"Hello, how are you?"}]}'
HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Type: application/json\r\n"
    b"Authorization: Bearer client-token\r\nContent-Length: %d\r\n\r\n" % len(BODY)
)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 235\r\n\r\n" + b"x" * 235
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
FRAME = b'data: {"id":"x","choices":[{"delta":{"content":"0123456789abcdef"}}]}\n\n'
CHUNK = b"%x\r\n%b\r\n" % (len(FRAME), FRAME)
CHUNKS = CHUNK * 8  # what one read finds when the upstream is faster than we are
COUNT = 2000
REPEATS = 25


class SinkTransport:
    """A transport that takes everything and keeps the last write."""

    def __init__(self) -> None:
        self.last = b""

    def write(self, piece: bytes) -> None:
        self.last = piece

    def set_write_buffer_limits(self, high: int, low: int) -> None: ...

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0


class Timerless:
    """A loop's timer that never fires."""

    def cancel(self) -> None: ...


def new_core(origin: Origin) -> Responder:
    """Return the core over three lanes."""
    return Core([PerfLane(origin, 5), PerfLane(origin, 1), PerfLane(origin, 1)]).serve


def new_gateway(origin: Origin) -> Responder:
    """Return the gateway with a token list and a pool of three lanes that know the model by another name."""
    dialect = speak("openai")
    access = Access(b"Host: upstream\r\nContent-Type: application/json\r\n", key="sk-x")
    lanes = [Lane(name, origin, "/v1/chat/completions", dialect, access, model=f"gpt-4o-{name}") for name in "abc"]
    members = tuple(Member(lane, weight) for lane, weight in zip(lanes, (5, 1, 1), strict=True))
    topology = Topology(lanes, [LanePool("gpt-4o", members)])
    return Gateway(topology, Gate(0, 0.0), speak_all(), Admission("token", ["client-token"])).serve


def new_pair(new_responder: Callable[[Origin], Responder]) -> tuple[Downstream, Upstream]:
    """Return a client connection served by a responder, and the idle upstream connection it will use."""
    wheel = Wheel(lambda _delay, _call: Timerless(), timeit.default_timer)
    parser = choose_parser()

    async def never(*_: Any) -> asyncio.BaseTransport:
        raise AssertionError("the idle connection should have been taken")

    origin = Origin(OriginKey(is_tls=False, host="upstream", port=80), never, wheel, parser, UpstreamLimits())
    upstream = Upstream(origin)
    upstream.connection_made(cast("asyncio.Transport", SinkTransport()))
    origin.on_free(upstream)
    downstream = Downstream(Service(new_responder(origin), Limits(), wheel, parser))
    downstream.connection_made(cast("asyncio.Transport", SinkTransport()))
    return downstream, upstream


async def answer(exchange: Exchange) -> None:
    """Answer at once."""
    await exchange.read_body()
    exchange.reply(200, b"Content-Type: application/json\r\n", b"x" * 235)


def report(what: str, call: Callable[[], object], count: int) -> None:
    """Print the best of several runs: on a busy machine the least disturbed one says most."""
    seconds = min(timeit.repeat(call, number=count, repeat=REPEATS))
    print(f"{what:36} {seconds / count * 1e6:8.2f} us")


def main() -> None:
    """Print the table."""
    parser = choose_parser()
    limits = Limits()
    request = HEAD + BODY
    report("request head, parsed", lambda: read_request(HEAD, limits, parser), COUNT)

    wheel = Wheel(lambda _delay, _call: Timerless(), timeit.default_timer)
    alone = Downstream(Service(answer, limits, wheel, parser))
    alone.connection_made(cast("asyncio.Transport", SinkTransport()))
    report("one leg, answered at once", lambda: alone.data_received(request), COUNT)

    for name, new_responder in (("core", new_core), ("gateway", new_gateway)):
        report_pair(name, *new_pair(new_responder))


def report_pair(name: str, downstream: Downstream, upstream: Upstream) -> None:
    """Print what a whole answer and a stream cost through both legs."""
    request = HEAD + BODY

    def whole() -> None:
        downstream.data_received(request)
        upstream.data_received(ANSWER)

    report(f"{name}, both legs, JSON", whole, COUNT)

    def stream() -> None:
        downstream.data_received(request)
        upstream.data_received(STREAM_HEAD)
        for _ in range(67):
            upstream.data_received(CHUNK)
        upstream.data_received(b"0\r\n\r\n")

    report(f"{name}, both legs, 67 chunks", stream, COUNT // 50)

    def burst() -> None:
        downstream.data_received(request)
        upstream.data_received(STREAM_HEAD)
        for _ in range(8):
            upstream.data_received(CHUNKS)
        upstream.data_received(CHUNK * 3 + b"0\r\n\r\n")

    report(f"{name}, both legs, 8 at a time", burst, COUNT // 50)


if __name__ == "__main__":
    main()
