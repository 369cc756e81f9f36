"""A small gateway as a program, to be measured from outside.

It passes each request on to the upstream at the port given: whole, or piece by piece below /upload. `/healthz` is
answered here, `/stats` says what is held. It prints the port it listens on.
usage: python -m tests.system.gateway_program UPSTREAM_PORT
"""

import asyncio
import gc
import json
import os
import sys
from pathlib import Path

import uvloop

from busbar_fast.wire.dial import Dialer
from busbar_fast.wire.exchange import Exchange
from busbar_fast.wire.limits import Limits, UpstreamLimits
from busbar_fast.wire.listener import Listener, bind
from busbar_fast.wire.parsers import choose_parser
from busbar_fast.wire.pool import OriginKey, Pool
from busbar_fast.wire.relay import relay
from busbar_fast.wire.service import Service, new_wheel

LIFE_S = 120.0
WAIT_S = 60.0


class Program:
    """The gateway."""

    def __init__(self, upstream_port: int) -> None:
        loop = asyncio.get_running_loop()
        self.wheel = new_wheel(loop.call_later)
        parser = choose_parser(os.environ.get("BUSBAR_HTTP_PARSER"))
        pool = Pool(Dialer(loop, 5.0).dial, self.wheel, parser, UpstreamLimits())
        self.origin = pool.origin(OriginKey(is_tls=False, host="127.0.0.1", port=upstream_port))
        self.service = Service(self.respond, Limits(request_body_max_bytes=1 << 30), self.wheel, parser)
        self.listener = Listener(self.service, loop)

    def stats(self) -> bytes:
        """Return what is held, memory in KiB."""
        gc.collect()
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        memory = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith(("VmRSS", "VmHWM"))}
        return json.dumps(
            {
                "now_kib": memory["VmRSS"],
                "peak_kib": memory["VmHWM"],
                "requests": self.service.requests,
                "in_flight": self.service.in_flight,
                "clients": len(self.service.connections),
                "open": self.origin.open,
                "idle": self.origin.idle,
                "tasks": len(asyncio.all_tasks()),
                "timers": len(self.wheel),
                "objects": len(gc.get_objects()),
                "descriptors": len(list(Path("/proc/self/fd").iterdir())),
            }
        ).encode()

    async def respond(self, exchange: Exchange) -> None:
        """Answer one request."""
        head = exchange.head
        if head.target == b"/stats":
            exchange.reply(200, b"", self.stats())
        elif head.target == b"/healthz":
            exchange.reply(200, b"", b"ok")
        elif head.target == b"/upload":
            await self.upload(exchange)
        else:
            raw = b"%b %b HTTP/1.1\r\nHost: h\r\n\r\n" % (head.method, head.target)
            with await self.origin.call(exchange, head.method, raw, WAIT_S) as upstream:
                await relay(upstream, exchange, 200, b"")

    async def upload(self, exchange: Exchange) -> None:
        """Pass a body on as it comes, no faster than the upstream takes it."""
        with await self.origin.lease(exchange, b"POST", WAIT_S) as upstream:
            upstream.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % exchange.head.length)
            while (part := await exchange.next_part()) is not None:
                upstream.write(part)
                await upstream.drained()
            await upstream.read_head()
            await relay(upstream, exchange, 200, b"")


async def serve(upstream_port: int) -> None:
    """Serve until killed, or for a limited time when the test that started it is gone."""
    program = Program(upstream_port)
    program.listener.serve(bind("127.0.0.1", 0))
    print(program.listener.addresses[0][1], flush=True)  # noqa: T201  whoever started it waits for this line
    await asyncio.sleep(LIFE_S)


if __name__ == "__main__":
    (asyncio if os.environ.get("BUSBAR_LOOP") == "asyncio" else uvloop).run(serve(int(sys.argv[1])))
