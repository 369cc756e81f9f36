"""What the gateway shows of itself: `/stats` for people and scripts, `/metrics` for Prometheus.

Numbers are read where they are kept, when somebody asks; nothing here moves one that others own.
"""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Final

from busbar_fast import __version__
from busbar_fast.clock import now
from busbar_fast.dialects.dialect import Dialect
from busbar_fast.dialects.registry import name_of
from busbar_fast.gateway.losses import LossLog
from busbar_fast.gateway.replies import JSON
from busbar_fast.gateway.topology import Topology
from busbar_fast.gateway.waiting import Line
from busbar_fast.observe import exposition
from busbar_fast.observe.counters import UNRESOLVED, LaneTally, Shed, Tallies, Tally
from busbar_fast.observe.exposition import COUNTER, GAUGE, HISTOGRAM, Family
from busbar_fast.reliability.breaker import Cell, State
from busbar_fast.reliability.report import report
from busbar_fast.wire.gate import Gate

if TYPE_CHECKING:
    from busbar_fast.gateway.governor import Governor
    from busbar_fast.ir.report import Report  # brings the neutral model
    from busbar_fast.wire.service import Service

STATS: Final = b"/stats"
METRICS: Final = b"/metrics"


class Status:
    """Counts what became of requests, and shows it."""

    __slots__ = ("_cells", "_gate", "_line", "_loss_log", "_names", "_tallies", "paths", "reloads", "shed")

    def __init__(self, dialects: Sequence[Dialect], gate: Gate, line: Line) -> None:
        self._names = {dialect: name_of(dialect) for dialect in dialects}
        self._gate = gate
        self._line = line
        self._tallies = Tallies()
        self._cells: dict[tuple[Dialect, str], Tally] = {}
        self._loss_log = LossLog()
        self.reloads = {"ok": 0, "error": 0}
        self.shed = Shed()
        self.paths = (STATS, METRICS)

    def know(self, topology: Topology) -> None:
        """Show the pools and models of a topology from now on."""
        offers = {name: topology.find(name) for name in topology.names}
        lanes = {name: [lane.name for lane in offer.lanes] for name, offer in offers.items() if offer is not None}
        self._tallies.know(list(self._names.values()), lanes)
        for lane in topology.lanes.values():
            pools = [lane.name, *(name for name, offer in topology.offers.items() if lane in offer.lanes)]
            lane.tallies = {pool: self._tallies.lane(pool, lane.name) for pool in pools}
        for name, offer in topology.offers.items():
            if offer.ranker is not None:
                self._tallies.selections.setdefault((name, offer.ranker.name), 0)
        names = [*topology.names, UNRESOLVED]
        self._cells = {(d, name): self._tallies.of(shown, name) for d, shown in self._names.items() for name in names}

    def name_of(self, dialect: Dialect) -> str:
        """Return what a dialect is called in labels."""
        return self._names[dialect]

    def settle(self, dialect: Dialect, pool: str, status: int | None, duration_s: float, delay_s: float) -> None:
        """Count one request, and how long the first byte of its answer took; no status: it had none."""
        cell = self._cells.get((dialect, pool)) or self._cells[dialect, UNRESOLVED]
        cell.settle(status, duration_s, delay_s)

    def count_auth_failure(self, dialect: Dialect) -> None:
        """Count one caller that was not let in."""
        self._tallies.auth_failures[self._names[dialect]] += 1

    def count_abort(self, pool: str, reason: str) -> None:
        """Count one stream that ended before its end, by who ended it: a word of `ABORTS`."""
        self._tallies.aborts[pool, reason] += 1

    def count_trip(self, pool: str, lane: str) -> None:
        """Count one lane that was put out of service in a pool."""
        self._tallies.lane(pool, lane).trips += 1

    def tally(self, pool: str, lane: str) -> LaneTally:
        """Return what is counted of a lane in a pool."""
        return self._tallies.lane(pool, lane)

    def count_hop(self, pool: str, reason: str) -> None:
        """Count one request that moved on to another lane."""
        self._tallies.failovers[pool, reason] += 1

    def count_selection(self, pool: str, policy: str) -> None:
        """Count one request whose lane was chosen by a policy."""
        self._tallies.selections[pool, policy] += 1

    def count_translation(self, source: str, target: str) -> None:
        """Count one request that is written in another dialect."""
        self._tallies.translations[source, target] = self._tallies.translations.get((source, target), 0) + 1

    def count_losses(self, source: str, target: str, report: "Report", *, is_logged: bool) -> None:
        """Count what was lost on the way from one dialect to another; log each loss now and then."""
        losses = self._tallies.losses
        for word, field, detail in report.said:
            loss = (source, target, word, field)
            losses[loss] = losses.get(loss, 0) + 1
            if is_logged:
                self._loss_log.note(loss, detail, now())

    async def page(
        self,
        path: bytes,
        topology: Topology,
        service: "Service | None",
        allowed: Collection[str] = (),
        governor: "Governor | None" = None,
    ) -> tuple[bytes, bytes]:
        """Return header lines and body of one page; `allowed` limits the one that may be limited."""
        if path == STATS:
            return JSON, encode_stats(topology, allowed)
        await asyncio.get_running_loop().run_in_executor(None, exposition.load)
        families: Iterable[Family] = self._families(topology, service)
        if governor is not None:
            from busbar_fast.gateway.key_series import key_families  # noqa: PLC0415  many have no virtual keys

            families = chain(families, key_families(governor, topology.key_gauges))
        return exposition.CONTENT_TYPE, exposition.render(families)

    def _lane_families(self, topology: Topology) -> Iterator[Family]:
        """Yield what is counted by pool and lane."""
        who, now_s = ("pool", "lane"), now()
        rows = self._tallies.lanes
        attempts = [((pool, lane), tally.attempts) for pool, lane, tally in rows]
        yield Family(COUNTER, "busbar_upstream_attempts", "Requests sent to a lane.", who, attempts)
        failures = [((pool, lane, word), n) for pool, lane, tally in rows for word, n in tally.failures.items()]
        text = "Attempts that failed, by what was made of it."
        yield Family(COUNTER, "busbar_upstream_failures", text, (*who, "disposition"), failures)
        trips = [((pool, lane), tally.trips) for pool, lane, tally in rows]
        yield Family(COUNTER, "busbar_breaker_trips", "Times a lane was put out of service.", who, trips)
        if topology.counts_tokens:  # else zeros would say that nothing is used
            tokens = [((pool, lane, word), n) for pool, lane, tally in rows for word, n in tally.tokens.items()]
            yield Family(COUNTER, "busbar_tokens", "Tokens that answers used.", (*who, "direction"), tokens)
        states = [
            ((offer.name, member.lane.model), severity(member.cell, now_s))
            for offer in topology.every_offer
            for member in offer.pool.members
        ]
        text = "0: in service. 1: on trial, or due for one. 2: out of service."
        yield Family(GAUGE, "busbar_lane_state", text, who, states)

    def _families(self, topology: Topology, service: "Service | None") -> Iterator[Family]:
        rows = self._tallies.rows
        who = ("ingress_protocol", "pool")
        outcomes = [((d, p, word), count) for d, p, tally in rows for word, count in tally.outcomes.items()]
        yield Family(COUNTER, "busbar_requests", "Requests by what became of them.", (*who, "outcome"), outcomes)
        durations = [((d, p), tally.duration) for d, p, tally in rows]
        text = "Seconds from the head of a request to the last byte of its answer."
        yield Family(HISTOGRAM, "busbar_request_duration_seconds", text, who, durations)
        delays = [((d, p), tally.first_byte) for d, p, tally in rows]
        text = "Seconds from the head of a request to the first byte of an answer's body."
        yield Family(HISTOGRAM, "busbar_time_to_first_byte_seconds", text, who, delays)
        failures = [((name,), count) for name, count in self._tallies.auth_failures.items()]
        text = "Callers that were not let in."
        yield Family(COUNTER, "busbar_auth_failures", text, ("ingress_protocol",), failures)
        yield from self._lane_families(topology)
        hops = [(pair, count) for pair, count in self._tallies.failovers.items() if self._tallies.is_shown(pair[0])]
        text = "Requests that moved on to another lane."
        yield Family(COUNTER, "busbar_failovers", text, ("pool", "reason"), hops)
        chosen = [(pair, count) for pair, count in self._tallies.selections.items() if self._tallies.is_shown(pair[0])]
        text = "Requests whose lanes a policy put in order."
        yield Family(COUNTER, "busbar_route_policy_selections", text, ("pool", "policy"), chosen)
        ways = ("from", "to")
        text = "Requests that were written in another dialect."
        yield Family(COUNTER, "busbar_translations", text, ways, list(self._tallies.translations.items()))
        text = "What translations could not carry as it was."
        losses = list(self._tallies.losses.items())
        yield Family(COUNTER, "busbar_translation_loss", text, (*ways, "action", "field"), losses)
        aborts = [(pair, count) for pair, count in self._tallies.aborts.items() if self._tallies.is_shown(pair[0])]
        text = "Streams that ended before their end."
        yield Family(COUNTER, "busbar_streams_aborted", text, ("pool", "reason"), aborts)
        reloads = [((word,), count) for word, count in self.reloads.items()]
        yield Family(COUNTER, "busbar_config_reloads", "Reloads by outcome.", ("outcome",), reloads)
        text = "Records of the request log that were dropped: as many as may be were under way."
        yield Family(COUNTER, "busbar_webhook_logs_dropped", text, (), [((), self.shed.records)])
        text = "Spans that no collector was told of."
        yield Family(COUNTER, "busbar_spans_dropped", text, (), [((), self.shed.spans)])
        shed = [(("inbound",), self._gate.shed), (("lane",), self._line.shed)]
        yield Family(COUNTER, "busbar_admission_denied", "Requests shed by a limit.", ("gate",), shed)
        yield Family(GAUGE, "busbar_build_info", "The program.", ("version",), [((__version__,), 1)])
        if service is not None:
            refused = [((str(status or "none"),), count) for status, count in sorted(service.refusals.items())]
            text = "What was no request, or one for no path that there is; none: closed without an answer."
            yield Family(COUNTER, "busbar_http_errors", text, ("status",), refused)
            yield Family(GAUGE, "busbar_connections", "Clients connected.", (), [((), len(service.connections))])
            yield Family(GAUGE, "busbar_requests_in_flight", "Requests in progress.", (), [((), service.in_flight)])


def encode_stats(topology: Topology, allowed: Collection[str] = ()) -> bytes:
    """Return pools and lanes as JSON, in the order of the configuration.

    Names in `allowed` limit it to those pools and lanes, and to the lanes of those pools; without any it is everything.
    """
    import orjson  # noqa: PLC0415  13 ms of import that nobody pays who does not ask

    def is_shown(name: str) -> bool:
        return not allowed or name in allowed

    pools = {name: [lane.name for lane in offer.lanes] for name, offer in topology.offers.items() if is_shown(name)}
    reachable = {name for names in pools.values() for name in names}
    lanes = [lane.state for name, lane in topology.lanes.items() if is_shown(name) or name in reachable]
    now_s = now()
    return orjson.dumps({"pools": pools, "lanes": [report(lane, now_s, is_shown) for lane in lanes]})


def severity(cell: Cell, now_s: float) -> int:
    """Return how far a cell is from serving, as a gauge shows it."""
    if cell.state is State.CLOSED:
        return 0
    return 2 if cell.cooldown_left_s(now_s) else 1
