"""The proxy core as a program: `busbar_fast.wire` composed into the smallest honest gateway, for measuring.

It checks a bearer token, picks one of three lanes by smooth weighted round robin, sends the request on with a prepared
head, and relays the answer through a header allow-list. usage: python -m perf.core LISTEN_PORT UPSTREAM_PORT
"""

import asyncio
import hashlib
import sys

from busbar_fast.errors import BusbarError
from busbar_fast.wire.dial import Dialer
from busbar_fast.wire.exchange import Exchange
from busbar_fast.wire.heads import select_fields
from busbar_fast.wire.limits import Limits, UpstreamLimits
from busbar_fast.wire.listener import Listener, bind
from busbar_fast.wire.parsers import choose_parser
from busbar_fast.wire.pool import Origin, OriginKey, Pool
from busbar_fast.wire.relay import relay
from busbar_fast.wire.service import Service, new_wheel
from busbar_fast.wire.trail import Trail

TOKENS = frozenset({hashlib.sha256(b"client-token").digest()})
TRUSTED = object()
RELAYED = (b"content-type", b"retry-after")
JSON = b"Content-Type: application/json\r\n"
WAIT_S = 300.0


class Lane:
    """One upstream with its weight and its prepared request head."""

    __slots__ = ("current", "head", "in_flight", "origin", "weight")

    def __init__(self, origin: Origin, weight: int) -> None:
        self.origin = origin
        self.weight = weight
        self.current = 0
        self.in_flight = 0
        self.head = (
            b" HTTP/1.1\r\nHost: upstream\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer sk-x\r\nContent-Length: "
        )

    def __enter__(self) -> None:
        self.in_flight += 1

    def __exit__(self, *_: object) -> None:
        self.in_flight -= 1


def pick(lanes: list[Lane]) -> Lane:
    """Return the next lane: each gets its share, spread evenly."""
    total = 0
    best = lanes[0]
    for lane in lanes:
        lane.current += lane.weight
        total += lane.weight
        if lane.current > best.current:
            best = lane
    best.current -= total
    return best


class Core:
    """The handler."""

    __slots__ = ("_keeps_trail", "_lanes")

    def __init__(self, lanes: list[Lane], *, keeps_trail: bool = False) -> None:
        self._lanes = lanes
        self._keeps_trail = keeps_trail

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request."""
        head = exchange.head
        if head.target == b"/healthz":
            exchange.reply(200, b"Content-Type: text/plain\r\n", b"ok")
            return
        if head.memo is not TRUSTED:
            token = head.fields.get(b"authorization", b"")[7:]
            if hashlib.sha256(token).digest() not in TOKENS:
                exchange.reply(401, JSON, b'{"error":"unauthorized"}')
                return
            head.memo = TRUSTED  # a client that repeats its head is not asked again
        body = await exchange.read_body()
        lane = pick(self._lanes)
        request = b"".join((head.method, b" ", head.target, lane.head, b"%d\r\n\r\n" % len(body), body))
        with lane:
            try:
                upstream = await lane.origin.call(exchange, head.method, request, WAIT_S)
            except BusbarError as error:
                exchange.reply(error.status, JSON, b'{"error":"upstream"}')
                return
            with upstream:
                answer = upstream.head
                assert answer is not None
                if self._keeps_trail:
                    upstream.trail = Trail()
                await relay(upstream, exchange, answer.status, select_fields(answer.fields, RELAYED))


async def serve(listen_port: int, upstream_port: int) -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    wheel = new_wheel(loop.call_later)
    limits = UpstreamLimits(max_idle_per_origin=1024)
    parser = choose_parser()
    pool = Pool(Dialer(loop, limits.connect_timeout_s).dial, wheel, parser, limits)
    origin = pool.origin(OriginKey(is_tls=False, host="127.0.0.1", port=upstream_port))
    core = Core([Lane(origin, 5), Lane(origin, 1), Lane(origin, 1)])
    listener = Listener(Service(core.serve, Limits(), wheel, parser), loop)
    listener.serve(bind("127.0.0.1", listen_port))
    await loop.create_future()


def main() -> None:
    """Run on uvloop."""
    import uvloop  # noqa: PLC0415  the one import that is not needed to read this file

    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2])))


if __name__ == "__main__":
    main()
