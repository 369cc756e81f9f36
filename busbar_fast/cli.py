"""The command line: flags, the loop, signals, start, drain, stop. The only place of the product that prints."""

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn

from busbar_fast import __version__
from busbar_fast.gateway.app import Gateway
from busbar_fast.gateway.lanes import Lane, LanePool
from busbar_fast.mock.script import Script
from busbar_fast.mock.server import MockBackend
from busbar_fast.wire.dial import Dialer
from busbar_fast.wire.gate import Gate
from busbar_fast.wire.limits import Limits, UpstreamLimits
from busbar_fast.wire.listener import Listener, bind
from busbar_fast.wire.parsers import HeadParser, choose_parser
from busbar_fast.wire.pool import OriginKey, Pool
from busbar_fast.wire.service import Responder, Service, new_wheel
from busbar_fast.wire.wheel import Wheel

_log = logging.getLogger("busbar_fast")

DRAIN_S = 300.0
_FLAKY = Script(status=503)

_DEMO = """\
busbar-fast {version} demo on http://{origin}   (Ctrl-C ends it)

  curl -s http://{origin}/v1/chat/completions -H 'Content-Type: application/json' \\
    -d '{{"model":"demo","messages":[{{"role":"user","content":"Hello"}}]}}'

  from openai import OpenAI
  client = OpenAI(base_url="http://{origin}/v1", api_key="unused")
  print(client.chat.completions.create(
      model="demo", messages=[{{"role": "user", "content": "Hello"}}]).choices[0].message.content)

The pool "demo" has two lanes over the built-in mock backend: one is steady, the other fails every second request.
Repeat the call and watch below how nobody but this log notices. Add "stream":true to see frames pass.
"""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; ends the process with its exit code."""
    options = _parse(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        parser = choose_parser(os.environ.get("BUSBAR_HTTP_PARSER") or None)
    except (ValueError, ModuleNotFoundError) as error:
        _fail(str(error))
    door = _open_door(options.host, options.port)
    try:
        _run(demo(door, parser))
    except KeyboardInterrupt:  # one signal more than the demo listens for
        sys.exit(130)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="busbar-fast", description="A lean, latency-sensitive LLM gateway.")
    parser.add_argument("--version", action="version", version=f"busbar-fast {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo_parser = commands.add_parser("demo", help="serve a pool over the built-in mock backend; needs no key")
    demo_parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    demo_parser.add_argument("--port", type=_port, default=8080, help="port to listen on (default %(default)s)")
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    port = int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else -1
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"must be a number from 0 (any free port) to 65535, not {text!r}")
    return port


def _open_door(host: str, port: int) -> socket.socket:
    """Return the listening socket, or end with a word about why there is none."""
    try:
        return bind(host, port)
    except OSError as error:
        _fail(f"cannot listen on {_origin(host, port)}: {error.strerror or error}")
    except UnicodeError:
        _fail(f"cannot listen on {_origin(host, port)}: no such host name is possible")


def _fail(reason: str) -> NoReturn:
    print(f"[error] {reason}", file=sys.stderr)
    sys.exit(1)


def _origin(host: str, port: int) -> str:
    """Return host and port as they stand in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _run(main_coroutine: Coroutine[Any, Any, None]) -> None:
    """Run on uvloop, or on the stock loop where uvloop is missing."""
    try:
        import uvloop  # noqa: PLC0415  optional: not every platform has it
    except ModuleNotFoundError:
        asyncio.run(main_coroutine)
    else:
        uvloop.run(main_coroutine)


async def demo(door: socket.socket, parser: HeadParser) -> None:
    """Serve the demo on a listening socket until a signal; then drain."""
    loop = asyncio.get_running_loop()
    stops = _stop_signals(loop)
    wheel = new_wheel(loop.call_later)
    limits, upstream_limits = Limits(), UpstreamLimits()
    pool = Pool(Dialer(loop, upstream_limits.connect_timeout_s).dial, wheel, parser, upstream_limits)
    steady, steady_port = _listen(MockBackend().serve, wheel, parser, loop)
    flaky, flaky_port = _listen(MockBackend(lambda number: _FLAKY if number % 2 else None).serve, wheel, parser, loop)
    lanes = [
        Lane(name, pool.origin(OriginKey(is_tls=False, host="127.0.0.1", port=lane_port)))
        for name, lane_port in (("steady", steady_port), ("flaky", flaky_port))
    ]
    gate = Gate(limits.max_inbound_concurrent, limits.inbound_queue_max_s)
    gateway = Gateway([LanePool("demo", tuple(lanes))], gate)
    service = gateway.service = Service(gateway.serve, limits, wheel, parser)
    front = Listener(service, loop)
    front.serve(door)
    print(_DEMO.format(version=__version__, origin=_origin(*front.addresses[0])), flush=True)
    await stops.get()
    _log.info("draining, requests in progress: %d; a second signal ends at once", service.in_flight)
    draining = asyncio.ensure_future(front.drain(DRAIN_S))
    impatience = asyncio.ensure_future(stops.get())
    await asyncio.wait((draining, impatience), return_when=asyncio.FIRST_COMPLETED)
    for pending in (draining, impatience):
        pending.cancel()
    for listener in (front, steady, flaky):
        listener.cut()
    pool.close()
    wheel.close()


def _listen(
    respond: Responder, wheel: Wheel, parser: HeadParser, loop: asyncio.AbstractEventLoop
) -> tuple[Listener, int]:
    """Start a backend on a free port; return its listener and the port."""
    listener = Listener(Service(respond, Limits(), wheel, parser), loop)
    listener.serve(bind("127.0.0.1", 0))
    return listener, listener.addresses[0][1]


def _stop_signals(loop: asyncio.AbstractEventLoop) -> asyncio.Queue[int]:
    """Return a queue that gets every SIGTERM and SIGINT from now on."""
    stops = asyncio.Queue[int]()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stops.put_nowait, number)
    return stops
