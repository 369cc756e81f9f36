"""Who is told about requests that are over: the request log's webhook, and the collector of traces.

Sinks belong to one configuration and are made only if it names one. A reload that changes them makes new ones; the old
ones send what they hold. They never make a request wait: what a sink cannot take is dropped and counted.
"""

import logging
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from busbar_fast.clock import now
from busbar_fast.config.guards import Level
from busbar_fast.config.inputs import Inputs
from busbar_fast.config.schema import Config
from busbar_fast.config.secrets import reveal
from busbar_fast.gateway.courier import Courier, sink_at
from busbar_fast.observe.counters import Shed, outcome_of
from busbar_fast.observe.log import fields
from busbar_fast.wire.heads import Fields
from busbar_fast.wire.pool import Pool as Upstreams
from busbar_fast.wire.wheel import Wheel

if TYPE_CHECKING:
    from busbar_fast.gateway.requests import Request
    from busbar_fast.gateway.tracing import Trace, Tracer

_log = logging.getLogger("busbar_fast.sinks")

_FINISH_S: Final = 5.0
_TRACE_POST_S: Final = 10.0
_LOG_WARNS_S: Final = 1.0
_TRACE_WARNS_S: Final = 60.0
_PROTOBUF: Final = b"application/x-protobuf"

Record = dict[str, Any]


class RequestLog:
    """Posts one small document for every request that was counted."""

    __slots__ = ("_courier", "_is_detailed", "_noted", "_shed", "_soon")

    def __init__(
        self, courier: Courier, shed: Shed, soon: Callable[[Callable[[], None]], None], *, is_detailed: bool
    ) -> None:
        self._courier = courier
        self._shed = shed
        self._soon = soon
        self._is_detailed = is_detailed
        self._noted: list[Record] = []  # in this turn of the loop

    def note(self, dialect: str, pool: str, status: int | None, duration_s: float, request: "Request | None") -> None:
        """Post what became of a request, on a later turn of the loop; drop it if too many are under way."""
        if self._courier.is_full:
            self._shed.records += 1
            return
        record: Record = {
            "ts": int(time.time()),
            "ingress_protocol": dialect,
            "pool": pool,
            "outcome": outcome_of(status),
            "latency_ms": round(duration_s * 1000),
        }
        if self._is_detailed:
            record |= _details(status, request)
        if not self._noted:
            self._soon(self._post)
        self._noted.append(record)

    async def finish(self, ends_s: float) -> None:
        """Post what is left and let it arrive, up to that moment."""
        self._post()
        await self._courier.finish(max(0.0, ends_s - now()))

    def close(self) -> None:
        """Drop what is under way."""
        self._courier.close()

    def _post(self) -> None:
        import orjson  # noqa: PLC0415  most have no such sink

        noted, self._noted = self._noted, []
        for record in noted:
            if self._courier.is_full:
                self._shed.records += 1
            else:
                self._courier.post(orjson.dumps(record))


def _details(status: int | None, request: "Request | None") -> Record:
    """Return what only those are told who ask for it; of a request that named nobody there is little."""
    if request is None:
        return dict.fromkeys(("key_id", "lane", "tokens"), None) | {
            "request_id": secrets.token_hex(16),
            "status": status,
            "stream": False,
        }
    used = request.used
    return {
        "request_id": request.id,
        "key_id": None if request.key is None else request.key.id,
        "lane": None if request.lane is None else request.lane.name,
        "status": status,
        "tokens": None if used is None else {"input": used.input_tokens, "output": used.output_tokens},
        "stream": request.in_stream,
    }


class Sinks:
    """See the module."""

    __slots__ = ("_log", "_tracer", "_upstreams")

    def __init__(self, upstreams: Upstreams, log: RequestLog | None, tracer: "Tracer | None") -> None:
        self._upstreams = upstreams
        self._log = log
        self._tracer = tracer

    def maybe_trace(self, carried: Fields) -> "Trace | None":
        """Return the trace of a request that begins, if it is to be traced."""
        return None if self._tracer is None else self._tracer.maybe_trace(carried)

    def note(self, dialect: str, pool: str, status: int | None, duration_s: float, request: "Request | None") -> None:
        """Tell what became of a request; of one that never named anybody there is none."""
        if self._log is not None:
            self._log.note(dialect, pool, status, duration_s, request)
        if self._tracer is not None and request is not None and request.trace is not None:
            about: dict[str, str | int | float | bool] = {
                "pool": pool,
                "busbar.request_id": request.id,
                "busbar.stream": request.in_stream,
            }
            if request.key is not None:
                about["busbar.key_id"] = request.key.id
            if request.ask.provider is not None and request.offer is not None:
                about |= {"provider": request.offer.provider, "model": request.offer.name}
            forwarded = {"pool": pool, "ingress": dialect}
            self._tracer.take(request.trace.spans(_span_name(request, dialect), status, about, forwarded))

    async def finish(self) -> None:
        """Send what is left, for a few seconds at most, and end."""
        for sink in (self._log, self._tracer):
            if sink is not None:
                await sink.finish(now() + _FINISH_S)
        self.close()

    def close(self) -> None:
        """Drop what is left."""
        for sink in (self._log, self._tracer):
            if sink is not None:
                sink.close()
        self._upstreams.close()


def _span_name(request: "Request", dialect: str) -> str:
    """Return what traces call a request: by its path where that names whom it is for, though the body could."""
    ask, names = request.ask, request.dialect.span_names
    if ask.provider is not None:
        return "adhoc"
    if names is not None:
        return names[request.in_stream]
    return "named" if ask.name is not None and request.dialect.has_model_in_body else f"{dialect}_ingress"


def new_sinks(config: Config, inputs: Inputs, upstreams: Upstreams, wheel: Wheel, shed: Shed) -> Sinks:
    """Return the sinks of a configuration; the pool is theirs. Raise NoSecret if a URL cannot be read any more."""
    log_url = reveal(config.observability.request_log_webhook_url, inputs)
    trace_url = reveal(config.observability.otlp_endpoint, inputs)
    log = tracer = None
    if log_url:
        log = _new_log(log_url, config, upstreams, wheel, shed)
    if trace_url:
        tracer = _new_tracer(trace_url, config, upstreams, wheel, shed)
    return Sinks(upstreams, log, tracer)


def _new_log(url: str, config: Config, upstreams: Upstreams, wheel: Wheel, shed: Shed) -> RequestLog:
    observability = config.observability
    sink = sink_at(url, Level.LOG_SINK, upstreams, config.security)
    _log.info("sink", extra=fields(of="request_log", url=sink.shown))
    courier = Courier(
        sink,
        wheel,
        most=observability.max_inflight_webhook_deliveries,
        timeout_s=observability.webhook_delivery_timeout_secs,
        between_s=_LOG_WARNS_S,
    )
    return RequestLog(courier, shed, wheel.soon, is_detailed=observability.request_log_detail)


def _new_tracer(url: str, config: Config, upstreams: Upstreams, wheel: Wheel, shed: Shed) -> "Tracer":
    from busbar_fast.gateway.tracing import Tracer  # noqa: PLC0415  most trace nothing

    sink = sink_at(url, Level.SINK, upstreams, config.security, _PROTOBUF)
    _log.info("sink", extra=fields(of="traces", url=sink.shown))
    courier = Courier(
        sink,
        wheel,
        most=1,
        timeout_s=_TRACE_POST_S,
        between_s=_TRACE_WARNS_S,
    )
    instance = secrets.token_hex(8)
    return Tracer(courier, wheel, shed, instance, accepts_parents=config.observability.accept_traceparent)
