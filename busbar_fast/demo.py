"""The demo: a pool over the built-in mock backend, one lane steady and one that fails every second request."""

import asyncio
import logging
import socket
from collections.abc import Callable

from busbar_fast import __version__
from busbar_fast.dialects.registry import DIALECTS, speak, speak_all
from busbar_fast.gateway.admission import Admission
from busbar_fast.gateway.app import Gateway
from busbar_fast.gateway.lanes import BRIEF_RESTS, Access, Lane, new_state
from busbar_fast.gateway.offers import pool_of
from busbar_fast.gateway.topology import Habits, Topology
from busbar_fast.mock.script import Script
from busbar_fast.mock.server import MockBackend
from busbar_fast.wire.dial import Dialer
from busbar_fast.wire.gate import Gate
from busbar_fast.wire.limits import Limits, UpstreamLimits
from busbar_fast.wire.listener import Listener, bind
from busbar_fast.wire.parsers import HeadParser
from busbar_fast.wire.pool import OriginKey, Pool
from busbar_fast.wire.service import Responder, Service, new_wheel
from busbar_fast.wire.wheel import Wheel

_log = logging.getLogger("busbar_fast")

DRAIN_S = 300.0
_FLAKY = Script(status=503)

BANNER = """\
busbar-fast {version} demo on http://{origin}   (Ctrl-C ends it)

  curl -s http://{origin}/v1/chat/completions -H 'Content-Type: application/json' \\
    -d '{{"model":"demo","messages":[{{"role":"user","content":"Hello"}}]}}'

  from openai import OpenAI
  client = OpenAI(base_url="http://{origin}/v1", api_key="unused")
  print(client.chat.completions.create(
      model="demo", messages=[{{"role": "user", "content": "Hello"}}]).choices[0].message.content)

The other official clients work as well:

  anthropic.Anthropic(base_url="http://{origin}/demo", api_key="unused")
  google.genai.Client(api_key="unused", http_options={{"base_url": "http://{origin}"}})
  boto3.client("bedrock-runtime", endpoint_url="http://{origin}", region_name="us-east-1")
  cohere.ClientV2("unused", base_url="http://{origin}")

For each of them the pool "demo" has two lanes over the built-in mock backend: one is steady, the other fails every
second request and is left alone for a few seconds then. Repeat a call every few seconds and watch below how nobody but
this log notices. Add "stream":true to see frames pass. Live numbers: http://{origin}/ui in a browser, or
`busbar-fast top --url http://{origin}` in another terminal.
Real providers: write a config.yaml with `api_key_env: OPENAI_API_KEY` and start `busbar-fast --config config.yaml`.
"""


async def serve_demo(
    door: socket.socket, parser: HeadParser, stops: "asyncio.Queue[int]", say: Callable[[str], None]
) -> None:
    """Serve the demo on a listening socket until a signal; then drain."""
    loop = asyncio.get_running_loop()
    logging.getLogger("busbar_fast.gateway").setLevel(logging.DEBUG)  # attempts are what there is to see
    wheel = new_wheel(loop.call_later)
    limits, upstream_limits = Limits(), UpstreamLimits()
    pool = Pool(Dialer(loop, upstream_limits.connect_timeout_s).dial, wheel, parser, upstream_limits)
    steady, steady_port = _listen(MockBackend().serve, wheel, parser, loop)
    flaky, flaky_port = _listen(MockBackend(lambda number: _FLAKY if number % 2 else None).serve, wheel, parser, loop)
    lanes = [
        _lane(f"{temper}-{name}", lane_port, name, pool)
        for name in DIALECTS
        for temper, lane_port in (("steady", steady_port), ("flaky", flaky_port))
    ]
    gate = Gate(limits.max_inbound_concurrent, limits.inbound_queue_max_s)
    topology = Topology(lanes, [pool_of("demo", lanes)], Habits(shows_page=True))
    gateway = Gateway(topology, gate, speak_all(), Admission("none"))
    service = gateway.service = Service(gateway.serve, limits, wheel, parser)
    front = Listener(service, loop)
    front.serve(door)
    say(BANNER.format(version=__version__, origin=origin_of(*front.addresses[0])))
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


def origin_of(host: str, port: int) -> str:
    """Return host and port as they stand in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _lane(name: str, port: int, dialect: str, pool: Pool) -> Lane:
    origin = pool.origin(OriginKey(is_tls=False, host="127.0.0.1", port=port))
    fields = b"Host: 127.0.0.1:%d\r\n" % port
    path = DIALECTS[dialect].path.replace("{model}", "demo")
    return Lane(
        new_state(name, settings=BRIEF_RESTS),
        origin,
        path,
        speak(dialect),
        Access(fields, key="demo", options=DIALECTS[dialect].provider_options),
    )


def _listen(
    respond: Responder, wheel: Wheel, parser: HeadParser, loop: asyncio.AbstractEventLoop
) -> tuple[Listener, int]:
    """Start a backend on a free port; return its listener and the port."""
    listener = Listener(Service(respond, Limits(), wheel, parser), loop)
    listener.serve(bind("127.0.0.1", 0))
    return listener, listener.addresses[0][1]
