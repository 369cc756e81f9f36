"""Microseconds of Python per request, without a kernel: a request through both legs on transports that write nowhere.

usage: python -m perf.micro.bench_exchange
"""

import asyncio
import timeit
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from busbar_fast.dialects.registry import speak, speak_all
from busbar_fast.gateway.admission import Admission
from busbar_fast.gateway.app import Gateway
from busbar_fast.gateway.lanes import Access, Lane, new_state
from busbar_fast.gateway.offers import pool_of
from busbar_fast.gateway.topology import Habits, Topology
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
FIELDS = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Type: application/json\r\n"
    b"Authorization: Bearer client-token\r\nContent-Length: %d\r\n\r\n"
)
HEAD = FIELDS % len(BODY)
# A client that asks for a stream: one that wants to know what it used, and one that does not.
TELLING = BODY.replace(b"{", b'{"stream":true,"stream_options":{"include_usage":true},', 1)
HIDING = BODY.replace(b"{", b'{"stream":true,', 1)
DOCUMENT = b'{"id":"x","choices":[{"message":{"content":"%b"}}],"usage":{"prompt_tokens":9,"completion_tokens":65}}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 235\r\n\r\n%b" % (
    DOCUMENT % (b"x" * (237 - len(DOCUMENT)))
)
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
FRAME = b'data: {"id":"x","choices":[{"delta":{"content":"0123456789abcdef"}}]}\n\n'
CHUNK = b"%x\r\n%b\r\n" % (len(FRAME), FRAME)
CHUNKS = CHUNK * 8  # what one read finds when the upstream is faster than we are
# How a stream that was asked for its usage goes, chunk by chunk, and how it ends.
NULL_FRAME = FRAME.replace(b"}]}", b'}],"usage":null}')
NULL_CHUNK = b"%x\r\n%b\r\n" % (len(NULL_FRAME), NULL_FRAME)
ENDING = [
    b"%x\r\n%b\r\n" % (len(frame), frame)
    for frame in (
        b'data: {"id":"x","choices":[{"delta":{},"finish_reason":"stop"}]}\n\n',
        b'data: {"id":"x","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":65}}\n\n',
        b"data: [DONE]\n\n",
    )
]
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


def new_core(origin: Origin, *, keeps_trail: bool = False) -> Responder:
    """Return the core over three lanes."""
    return Core([PerfLane(origin, 5), PerfLane(origin, 1), PerfLane(origin, 1)], keeps_trail=keeps_trail).serve


def new_gateway(origin: Origin, *, counts_tokens: bool = False) -> Responder:
    """Return the gateway with a token list and a pool of three lanes that know the model by another name."""
    dialect = speak("openai")
    access = Access(b"Host: upstream\r\nContent-Type: application/json\r\n", key="sk-x")
    lanes = [
        Lane(new_state(name), origin, "/v1/chat/completions", dialect, access, model=f"gpt-4o-{name}") for name in "abc"
    ]
    topology = Topology(lanes, [pool_of("gpt-4o", lanes)], Habits(counts_tokens=counts_tokens))
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

    for name, new_responder in (
        ("core", new_core),
        ("trailed", partial(new_core, keeps_trail=True)),
        ("gateway", new_gateway),
    ):
        pair = new_pair(new_responder)
        report_whole(name, *pair)
        report_stream(f"{name}, both legs, 67 chunks", *pair, HEAD + BODY, CHUNK)
        report_stream(f"{name}, both legs, 1067 chunks", *pair, HEAD + BODY, CHUNK, 1000)
        report_burst(name, *pair)
    metered = new_pair(partial(new_gateway, counts_tokens=True))
    report_whole("metered", *metered)
    rows = (
        ("watched", TELLING, CHUNK),
        ("told", TELLING, NULL_CHUNK),
        ("hiding", HIDING, CHUNK),
        ("stripped", HIDING, NULL_CHUNK),
    )
    for name, body, chunk in rows:
        request = FIELDS % len(body) + body
        report_stream(f"{name}, both legs, 67 chunks", *metered, request, chunk)
        report_stream(f"{name}, both legs, 1067 chunks", *metered, request, chunk, 1000)


def report_whole(name: str, downstream: Downstream, upstream: Upstream) -> None:
    """Print what a whole answer costs through both legs."""
    request = HEAD + BODY

    def whole() -> None:
        downstream.data_received(request)
        upstream.data_received(ANSWER)

    report(f"{name}, both legs, JSON", whole, COUNT)


def report_stream(
    what: str, downstream: Downstream, upstream: Upstream, request: bytes, chunk: bytes, more: int = 0
) -> None:
    """Print what a stream costs through both legs."""
    chunks = [*[chunk] * (64 + more), *ENDING]

    def stream() -> None:
        downstream.data_received(request)
        upstream.data_received(STREAM_HEAD)
        for piece in chunks:
            upstream.data_received(piece)
        upstream.data_received(b"0\r\n\r\n")

    report(what, stream, COUNT // (500 if more else 50))


def report_burst(name: str, downstream: Downstream, upstream: Upstream) -> None:
    """Print what a stream costs whose chunks come eight at a time."""

    def burst() -> None:
        downstream.data_received(HEAD + BODY)
        upstream.data_received(STREAM_HEAD)
        for _ in range(8):
            upstream.data_received(CHUNKS)
        upstream.data_received(CHUNK * 3 + b"0\r\n\r\n")

    report(f"{name}, both legs, 8 at a time", burst, COUNT // 50)


if __name__ == "__main__":
    main()
