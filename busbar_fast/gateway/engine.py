"""The running gateway: everything that is made of one configuration, how it is replaced, and how it ends.

Process-lifetime objects (the wheel, the upstream pool, the service, the listener, the gate) are made once; a reload
changes their limits and swaps the topology in one step, so a request that runs finishes on what it started with.
"""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING

from busbar_fast.config.inputs import Inputs
from busbar_fast.config.schema import NONE, Config, Server
from busbar_fast.config.secrets import reveal
from busbar_fast.dialects.registry import speak_all
from busbar_fast.gateway.admission import Admission
from busbar_fast.gateway.app import Gateway
from busbar_fast.gateway.certificates import Certificates, new_context
from busbar_fast.gateway.lanes import Lane
from busbar_fast.gateway.memory import MemoryWatch, granted_bytes
from busbar_fast.gateway.probes import Prober
from busbar_fast.gateway.topology import build
from busbar_fast.gateway.warming import Warming
from busbar_fast.observe.counters import Shed
from busbar_fast.observe.log import fields
from busbar_fast.wire.dial import Dialer
from busbar_fast.wire.gate import Gate
from busbar_fast.wire.limits import Limits, UpstreamLimits
from busbar_fast.wire.listener import Listener
from busbar_fast.wire.parsers import HeadParser
from busbar_fast.wire.pool import Pool
from busbar_fast.wire.service import Service, new_wheel

if TYPE_CHECKING:
    from busbar_fast.gateway.governor import Governor
    from busbar_fast.gateway.sinks import Sinks
    from busbar_fast.wire.proxied import Proxies

_log = logging.getLogger("busbar_fast.gateway")

# A connection that somebody else accepted: descriptor, peer, bytes read so far.
Parked = tuple[int, str, bytes]


class Engine:
    """See the module. What it is made of may raise OSError, NoSecret or BusbarError, however well it was checked."""

    __slots__ = (
        "_back",
        "_back_service",
        "_certificates",
        "_dialer",
        "_ending",
        "_first",
        "_gate",
        "_gateway",
        "_governor",
        "_listener",
        "_memory",
        "_parser",
        "_pool",
        "_prober",
        "_service",
        "_warming",
        "_wheel",
        "config",
    )

    def __init__(self, config: Config, inputs: Inputs, loop: asyncio.AbstractEventLoop, parser: HeadParser) -> None:
        self.config = config
        self._first = config  # decides whatever is read at the start only
        self._wheel = new_wheel(loop.call_later)
        upstream_limits = upstream_limits_of(config)
        self._parser = parser
        self._dialer = Dialer(loop, upstream_limits.connect_timeout_s)
        self._pool = self._new_pool()
        limits = limits_of(config)
        self._gate = Gate(limits.max_inbound_concurrent, limits.inbound_queue_max_s)
        self._memory = MemoryWatch(self._gate, self._wheel)
        self._memory.use(limits, config.limits.memory_soft_limit_mib, granted_bytes())
        self._governor = _open_governor(config, inputs, loop)
        admission = _admission(config, inputs, self._governor)
        self._gateway = Gateway(build(config, self._pool, inputs), self._gate, speak_all(), admission)
        self._prober = Prober(self._wheel, self._gateway.status.count_trip)
        self._gateway.sinks = self._maybe_sinks(config, inputs)
        self._warming = Warming(self._wheel)
        self._ending: set[asyncio.Task[None]] = set()  # of sinks that a reload has replaced
        self._probe_lanes()
        self._service = self._gateway.service = Service(self._gateway.serve, limits, self._wheel, parser)
        self._listener = Listener(self._service, loop)
        self._listener.proxies = _maybe_proxies(config.server)
        self._back_service = Service(self._gateway.serve_operator, limits, self._wheel, parser)
        self._back_service.refusals = self._service.refusals
        self._back = Listener(self._back_service, loop)
        self._certificates = Certificates((self._listener, self._back), loop, os.environ)
        if config.tls is not None:
            self._certificates.use(config.tls, new_context(config.tls, inputs), inputs)

    @property
    def reloads(self) -> dict[str, int]:
        """How many reloads came into force, and how many did not."""
        return self._gateway.status.reloads

    @property
    def shed(self) -> Shed:
        """What sinks were not told."""
        return self._gateway.status.shed

    @property
    def lanes(self) -> dict[str, Lane]:
        """The lanes that new requests go to."""
        return self._gateway.topology.lanes

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where clients are served."""
        return self._listener.addresses

    @property
    def back_addresses(self) -> list[tuple[str, int]]:
        """Where operators are served, if not there."""
        return self._back.addresses

    def open(self, door: socket.socket, parked: Iterable[Parked] = ()) -> None:
        """Serve those who wait already, in order and as far as the limits go, then everybody who comes."""
        for descriptor, peer, received in parked:
            self._listener.adopt(socket.socket(fileno=descriptor), peer, received)
        self._listener.serve(door)
        self._warming.prepare(lane.dialect for lane in self.lanes.values())

    def open_back(self, door: socket.socket) -> None:
        """Serve operators at a door of their own, and no more at that of the clients."""
        self._gateway.has_back_door = True
        self._back.serve(door)

    def replace(self, config: Config, inputs: Inputs) -> None:
        """Go on with another configuration; what needs a restart stays as it is and is warned about.

        Everything that can fail comes before the first change.
        """
        late = _needing_restart(self._first, config)
        if self._governor is not None and not config.governance.enabled:  # keys stay in force, and so do their rules
            config = config.with_(governance=self.config.governance)
        has_tls = self._first.tls is not None
        context = new_context(config.tls, inputs) if config.tls is not None and has_tls else None
        admission = _admission(config, inputs, self._governor)
        topology = build(config, self._pool, inputs, (self.config, self._gateway.topology))
        sinks = self._gateway.sinks
        if (config.observability, config.security) != (self.config.observability, self.config.security):
            sinks = self._maybe_sinks(config, inputs)
        for path in late:
            _log.warning("this change takes effect at the next start", extra=fields(path=path, id="W24"))
        if config.tls is not None and context is not None:
            self._certificates.use(config.tls, context, inputs)
        limits = limits_of(config)
        self._pool.relimit(upstream_limits_of(config))
        self.config = config
        if self._governor is not None:
            self._governor.replace(config.governance)
        self._gateway.replace(topology, admission)
        self._use_sinks(sinks)
        self._service.limits = self._back_service.limits = limits
        self._memory.use(limits, config.limits.memory_soft_limit_mib, granted_bytes())
        topology.limit(config.models)
        topology.use_keys()
        self._probe_lanes()
        self._pool.retain(topology.origins)
        self._warming.prepare(lane.dialect for lane in self.lanes.values())

    def _new_pool(self) -> Pool:
        return Pool(self._dialer.dial, self._wheel, self._parser, upstream_limits_of(self.config))

    def _maybe_sinks(self, config: Config, inputs: Inputs) -> "Sinks | None":
        """Return who is told about requests, if anybody is."""
        observability = config.observability
        if NONE == observability.otlp_endpoint == observability.request_log_webhook_url:
            return None
        from busbar_fast.gateway.sinks import new_sinks  # noqa: PLC0415  brings the guards of addresses

        return new_sinks(config, inputs, self._new_pool(), self._wheel, self._gateway.status.shed)

    def _use_sinks(self, sinks: "Sinks | None") -> None:
        """Tell others from now on; those before send what they have."""
        before, self._gateway.sinks = self._gateway.sinks, sinks
        if before is not None and before is not sinks:
            ending = asyncio.ensure_future(before.finish())
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    def _probe_lanes(self) -> None:
        """Probe the lanes of the present configuration and no others."""
        config = self.config
        self._prober.replace(
            (lane, config.providers[config.models[name].provider].health) for name, lane in self.lanes.items()
        )

    async def end(self, stops: "asyncio.Queue[int]", first: int) -> None:
        """Leave in the order of the manual after a signal; another one skips what is left of it."""
        self._listener.leave()
        shutdown = self.config.shutdown
        delay_s = shutdown.readiness_delay_secs if first == signal.SIGTERM else 0
        again = asyncio.ensure_future(stops.get())
        if delay_s:
            _log.info("not ready any more", extra=fields(accepting_for_s=delay_s))
            await asyncio.wait((again,), timeout=delay_s)
        _log.info("draining", extra=fields(in_progress=self._service.in_flight, limit_s=shutdown.drain_timeout_secs))
        self._gate.refuse_line()  # who has not begun is told to go elsewhere
        self._gateway.line.close()
        draining = asyncio.ensure_future(self._listener.drain(shutdown.drain_timeout_secs))
        await asyncio.wait((draining, again), return_when=asyncio.FIRST_COMPLETED)
        await self._listener.cut_short()
        self._back.cut()
        if not again.done():
            self._use_sinks(None)
            if self._ending:  # the last ones have just been told of
                await asyncio.wait((*self._ending, again), return_when=asyncio.FIRST_COMPLETED)
        for pending in (draining, again, *self._ending):
            pending.cancel()
        self.close()

    def close(self) -> None:
        """Cut what is left."""
        self._certificates.close()
        self._prober.close()
        self._memory.close()
        self._warming.close()
        if self._gateway.sinks is not None:
            self._gateway.sinks.close()
        self._listener.cut()
        self._back.cut()
        self._pool.close()
        self._wheel.close()
        if self._governor is not None:  # last: whoever was cut has settled
            self._governor.close()


def _admission(config: Config, inputs: Inputs, governor: "Governor | None") -> Admission:
    """Return who may call. Raise NoSecret."""
    tokens = [reveal(secret, inputs) for secret in config.auth.client_tokens]
    metrics_token = reveal(config.observability.metrics_token, inputs)
    if governor is None:
        return Admission(config.auth.mode, tokens, metrics_token)
    admin_token = reveal(config.governance.admin_token, inputs)
    return Admission("token", (), metrics_token, governor, admin_token)


def _open_governor(config: Config, inputs: Inputs, loop: asyncio.AbstractEventLoop) -> "Governor | None":
    """Return who is in charge of virtual keys, if there are any. Raise BusbarError if the database cannot be used."""
    if not config.governance.enabled:
        return None
    from busbar_fast.gateway.governor import Governor  # noqa: PLC0415  brings SQLite, which most do without

    name = config.governance.secret_key_env
    return Governor(config.governance, loop, (inputs.variable(name) or "").strip() if name else "")


def _maybe_proxies(server: Server) -> "Proxies | None":
    """Return who speak for clients, if anybody does."""
    if server.proxy_protocol == "off":
        return None
    from busbar_fast.wire.proxied import Proxies, trusting  # noqa: PLC0415  few are behind such a proxy

    return Proxies(int(server.proxy_protocol.removeprefix("v")), trusting(server.trusted_proxies))


def limits_of(config: Config) -> Limits:
    """Return what a client may cost."""
    limits = config.limits
    return Limits(
        request_body_max_bytes=limits.request_body_max_bytes,
        max_header_bytes=limits.max_header_bytes,
        max_request_line_bytes=limits.max_request_line_bytes,
        max_headers=limits.max_headers,
        header_read_timeout_s=limits.header_read_timeout_secs,
        request_body_read_timeout_s=limits.request_body_read_timeout_secs,
        keepalive_idle_timeout_s=limits.keepalive_idle_timeout_secs,
        write_stall_timeout_s=limits.write_stall_timeout_secs,
        tls_handshake_timeout_s=limits.tls_handshake_timeout_secs,
        max_pipelined_requests=limits.max_pipelined_requests,
        max_inbound_concurrent=limits.max_inbound_concurrent,
        inbound_queue_max_s=limits.inbound_queue_max_ms / 1000,
        max_requests_per_connection=limits.max_requests_per_connection,
        max_connection_age_s=limits.max_connection_age_secs,
        max_connections=limits.max_connections,
        max_connections_per_ip=limits.max_connections_per_ip,
    )


def upstream_limits_of(config: Config) -> UpstreamLimits:
    """Return what an upstream is allowed."""
    limits = config.limits
    return UpstreamLimits(
        idle_timeout_s=limits.pool_idle_timeout_secs,
        max_idle_per_origin=limits.pool_max_idle_per_host,
        max_error_body_bytes=limits.upstream_error_body_max_bytes,
    )


def _needing_restart(old: Config, new: Config) -> list[str]:
    """Return the fields that differ and are read at the start only."""
    rules, others = old.governance, new.governance
    pairs = {
        "listen": (old.listen, new.listen),
        "tls": (old.tls is None, new.tls is None),
        "server": (old.server, new.server),
        "limits.max_connections": (old.limits.max_connections, new.limits.max_connections),
        "governance.enabled": (rules.enabled, others.enabled),
        "governance.db_path": (rules.db_path, others.db_path),
        "governance.sqlite_busy_timeout_ms": (rules.sqlite_busy_timeout_ms, others.sqlite_busy_timeout_ms),
        "governance.secret_key_env": (rules.secret_key_env, others.secret_key_env),
        "governance.admin_listen": (rules.admin_listen, others.admin_listen),
        "governance.store": (
            (rules.keys_store, rules.counters_store),
            (others.keys_store, others.counters_store),
        ),
    }
    return [path for path, (before, after) in pairs.items() if before != after]
