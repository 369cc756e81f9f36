"""The gateway as a responder: which path is answered by whom, and what is counted of it.

Everything that a reload replaces hangs on one object, the topology, and is swapped with it. Probes pass everything by:
whoever asks for health asks most urgently under full load.
"""

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from busbar_fast.clock import now
from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.dialect import Dialect
from busbar_fast.dialects.faults import Fault, Kind
from busbar_fast.errors import BusbarError, OutOfTime, Overloaded, ProcessEnds
from busbar_fast.gateway.admission import Admission
from busbar_fast.gateway.forward import forward
from busbar_fast.gateway.replies import JSON, TEXT, id_line, refuse
from busbar_fast.gateway.requests import Request
from busbar_fast.gateway.status import Status
from busbar_fast.gateway.topology import Topology
from busbar_fast.gateway.visits import Visit, is_admin
from busbar_fast.gateway.waiting import Line
from busbar_fast.observe.counters import UNRESOLVED
from busbar_fast.observe.log import fields
from busbar_fast.reliability.report import is_any_usable
from busbar_fast.wire.exchange import Exchange
from busbar_fast.wire.gate import Gate
from busbar_fast.wire.states import AnswerPhase

if TYPE_CHECKING:
    from busbar_fast.gateway.admin import Office
    from busbar_fast.gateway.sinks import Sinks
    from busbar_fast.wire.service import Service

_log: Final = logging.getLogger("busbar_fast.gateway")

_PROBES: Final = frozenset((b"/healthz", b"/livez", b"/readyz"))
_PENDING: Final[AnswerPhase] = AnswerPhase.PENDING
_PAGE: Final = b"/ui"
_READS: Final[tuple[bytes, ...]] = (b"GET", b"HEAD")
_ANYTHING: Final = b"*"


class Gateway:
    """See the module. `service` is set once the gateway serves one."""

    __slots__ = (
        "_admission",
        "_dialects",
        "_gate",
        "_office",
        "_started_s",
        "_status",
        "has_back_door",
        "line",
        "service",
        "sinks",
        "topology",
    )

    def __init__(self, topology: Topology, gate: Gate, dialects: Sequence[Dialect], admission: Admission) -> None:
        self.topology = topology
        self._admission = admission
        self._gate = gate
        self._dialects = dialects
        self._office: Office | None = None
        self.has_back_door = False  # operators are not served at the clients' door
        self.line = Line()
        self._status = Status(dialects, gate, self.line)
        self._status.know(topology)
        self._started_s = int(time.time())
        self.service: Service | None = None
        self.sinks: Sinks | None = None  # who is told about requests that are over

    @property
    def status(self) -> Status:
        """What is counted."""
        return self._status

    def replace(self, topology: Topology, admission: Admission) -> None:
        """Go on with another configuration."""
        self._admission = admission
        self._status.know(topology)
        self.topology = topology

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request."""
        head, admission = exchange.head, self._admission
        visit = head.memo
        if not isinstance(visit, Visit) or visit.topology is not self.topology or visit.epoch != admission.epoch:
            visit = head.memo = Visit(head, self.topology, admission, self._dialects)
        if visit.is_call:
            await self._forward(exchange, visit)
        elif visit.path in _PROBES:
            self._answer_probe(exchange, visit.path)
        elif is_admin(visit.path) and admission.governor is not None:
            await self._manage(exchange, visit, is_here=not self.has_back_door)
        elif visit.path == _PAGE and self.topology.shows_page:
            self._show_page(exchange, visit)
        elif not visit.is_admitted:
            self._status.count_auth_failure(visit.dialect)
            _log.debug("caller refused: %s", why_refused(visit))
            refuse(exchange, visit.dialect, visit.ask, Fault(Kind.UNAUTHENTICATED))
        elif visit.ask is None or visit.ask.operation is Operation.NOTHING:
            await self._answer_unclaimed(exchange, visit)
        elif head.method not in visit.ask.methods:
            self._refuse_method(exchange, visit, visit.ask.methods)
        elif visit.ask.is_call:
            text = f"The header {visit.dialect.time_limit_field.decode()} must be a number of seconds."
            self._reject(exchange, visit, Fault(Kind.MALFORMED, text))
        else:
            self._show_models(exchange, visit, visit.ask)

    async def serve_operator(self, exchange: Exchange) -> None:
        """Answer one request that came by the operators' own door."""
        visit = Visit(exchange.head, self.topology, self._admission, self._dialects)
        if visit.path in _PROBES:
            self._answer_probe(exchange, visit.path)
        else:
            visit.ask = None  # whatever its path is at the clients' door
            await self._manage(exchange, visit, is_here=is_admin(visit.path))

    async def _forward(self, exchange: Exchange, visit: Visit) -> None:
        """Forward one request and count what became of it, also when its client leaves."""
        ask = visit.ask
        assert ask is not None  # else there would be nothing to forward
        request = Request(exchange, visit, ask, self._status, passes_on=self._admission.passes_on)
        if self.sinks is not None:
            request.trace = self.sinks.maybe_trace(exchange.head.fields)
        if visit.time_limit_s:
            exchange.deadlines = (exchange.within(visit.time_limit_s, request.maybe_out_of_time),)
        try:
            with self._gate.maybe_enter() or await self._gate.enter(exchange):
                await forward(request, self.line)
        except GeneratorExit:  # whoever waited for the answer waits no more
            self._count_abort(request)
            raise
        except Overloaded:
            request.refuse(Kind.OVERLOADED, retry_after_s=1)
        except ProcessEnds:
            self._end_early(request)
        except OutOfTime:
            if exchange.phase is not _PENDING:
                raise
            request.refuse(Kind.TIMED_OUT)
        except Exception as error:  # whatever it is, a client of the vendor is to understand it
            if isinstance(error, BusbarError) or exchange.phase is not _PENDING:
                raise
            _log.exception("a request failed")
            request.refuse(Kind.INTERNAL)
        finally:
            self._settle(request)

    def _settle(self, request: Request) -> None:
        """Count a request that is over, however it ended."""
        exchange, dialect = request.exchange, request.dialect
        label = UNRESOLVED if request.offer is None else request.offer.name
        # An answer that was cut short counts by its status: that is what the client has of it.
        status = None if exchange.phase is _PENDING else exchange.status
        ended_s = now()
        # An answer that was not passed on piece by piece left as a whole.
        delay_s = (request.first_byte_s or ended_s) - request.began_s
        self._status.settle(dialect, label, status, ended_s - request.began_s, delay_s)
        request.settle(status)
        if self.sinks is not None:
            self.sinks.note(self._status.name_of(dialect), label, status, ended_s - request.began_s, request)
        if request.offer is None and status is not None:
            _log_unresolved(status)

    def _count_abort(self, request: Request) -> None:
        """Count a stream that ends in the middle because of its client, or of the end of the process."""
        if request.offer is not None and request.in_stream and request.exchange.phase is AnswerPhase.STREAMING:
            is_cutting = self.service is not None and self.service.is_cutting
            self._status.count_abort(request.offer.name, "drain" if is_cutting else "client")

    def _end_early(self, request: Request) -> None:
        """Refuse a request that the end of the process overtakes; raise again where only a cut can tell its client."""
        exchange = request.exchange
        if exchange.phase is _PENDING:
            request.refuse(Kind.OVERLOADED, retry_after_s=1)
            return
        if request.in_stream:
            request.count_abort("drain")
        if exchange.phase is not AnswerPhase.DONE:
            raise ProcessEnds("nothing but a cut can tell the client")

    async def _answer_unclaimed(self, exchange: Exchange, visit: Visit) -> None:
        """Answer for a path that no dialect offers anything on."""
        head = exchange.head
        if visit.ask is None and visit.path in self._status.paths:
            if head.method not in _READS:
                self._refuse_method(exchange, visit, _READS)
            else:
                allowed = () if visit.key is None else visit.key.allowed_pools
                shown = (self.topology, self.service, allowed, visit.governor)
                fields, body = await self._status.page(visit.path, *shown)
                exchange.reply(200, fields, body)
        elif visit.path == _ANYTHING:
            self._refuse_method(exchange, visit, (*_READS, b"POST"))
        else:
            self._answer_missing(exchange, visit)

    def _show_page(self, exchange: Exchange, visit: Visit) -> None:
        """Answer with the status page. It holds nothing that a caller must be let in for: it asks for that itself."""
        if exchange.head.method not in _READS:
            self._refuse_method(exchange, visit, _READS)
            return
        from busbar_fast.gateway.page import read_page  # noqa: PLC0415  few look, and nobody waits for it at a start

        exchange.reply(200, *read_page())

    def _answer_missing(self, exchange: Exchange, visit: Visit) -> None:
        name = f"{exchange.head.method.decode()} {visit.path.decode('latin-1')}"
        self._reject(exchange, visit, Fault(Kind.UNKNOWN_PATH, name=name))

    async def _manage(self, exchange: Exchange, visit: Visit, *, is_here: bool) -> None:
        """Answer an operator who manages keys, if that is done at this door."""
        if not is_here:
            self._answer_missing(exchange, visit)
            return
        if self._office is None or self._office.admission is not self._admission:
            from busbar_fast.gateway.admin import Office  # noqa: PLC0415  few manage keys

            self._office = Office(self._admission)
        await self._office.serve(exchange, visit)

    def _show_models(self, exchange: Exchange, visit: Visit, ask: Ask) -> None:
        names = [name for name in self.topology.names if visit.key is None or visit.key.permits(name)]
        if ask.operation is Operation.LIST_MODELS:
            exchange.reply(200, JSON + id_line(ask.dialect), ask.dialect.encode_models(names, self._started_s))
        elif ask.name in names:
            exchange.reply(200, JSON + id_line(ask.dialect), ask.dialect.encode_model(ask.name, self._started_s))
        else:
            self._reject(exchange, visit, Fault(Kind.UNKNOWN_MODEL, name=ask.name or ""))

    def _answer_probe(self, exchange: Exchange, path: bytes) -> None:
        if exchange.head.method not in _READS:
            exchange.reply(405, TEXT + b"Allow: GET, HEAD\r\n", b"method not allowed")
            return
        is_leaving = self.service is not None and self.service.is_leaving
        if is_leaving and path != b"/livez":
            exchange.reply(503, TEXT, b"draining")
        elif path == b"/healthz" and not self._has_usable_lane():
            exchange.reply(503, TEXT, b"no usable lanes")
        else:
            exchange.reply(200, TEXT, b"ok")

    def _has_usable_lane(self) -> bool:
        return is_any_usable((lane.state for lane in self.topology.lanes.values()), now())

    def _refuse_method(self, exchange: Exchange, visit: Visit, allowed: Sequence[bytes]) -> None:
        fault = Fault(Kind.WRONG_METHOD, name=exchange.head.method.decode())
        self._reject(exchange, visit, fault, b"Allow: %b\r\n" % b", ".join(allowed))

    def _reject(self, exchange: Exchange, visit: Visit, fault: Fault, allow: bytes = b"") -> None:
        """Refuse a request that asks for nobody in particular; it counts as one of a dialect if its path is one's."""
        refuse(exchange, visit.dialect, visit.ask, fault, allow)
        _log_unresolved(exchange.status)
        if visit.ask is None:
            if self.service is not None:
                self.service.count_refusal(exchange.status)
            return
        self._status.settle(visit.dialect, UNRESOLVED, exchange.status, 0.0, 0.0)
        if self.sinks is not None:
            self.sinks.note(self._status.name_of(visit.dialect), UNRESOLVED, exchange.status, 0.0, None)


def why_refused(visit: Visit) -> str:
    """Return why a caller was not let in, for the log alone: what reaches the wire never differs by it."""
    if is_admin(visit.path):
        return "the management API takes nobody this way"
    return "an unknown credential" if visit.token else "no usable credential"


def _log_unresolved(status: int) -> None:
    """Log a request that asked for nobody who is configured; nothing that its client wrote stands in the line."""
    _log.debug("refused", extra=fields(status=status, pool=UNRESOLVED))
