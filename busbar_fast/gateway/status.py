"""What the gateway shows of itself: `/stats` for people and scripts, `/metrics` for Prometheus.

Numbers are read where they are kept, when somebody asks; nothing here moves one that others own.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from busbar_fast import __version__
from busbar_fast.dialects.dialect import Dialect
from busbar_fast.dialects.registry import name_of
from busbar_fast.gateway.lanes import Lane
from busbar_fast.gateway.replies import JSON
from busbar_fast.gateway.topology import Topology
from busbar_fast.observe import exposition
from busbar_fast.observe.counters import UNRESOLVED, Tallies, Tally
from busbar_fast.observe.exposition import COUNTER, GAUGE, HISTOGRAM, Family
from busbar_fast.wire.gate import Gate

if TYPE_CHECKING:
    from busbar_fast.wire.service import Service

STATS = b"/stats"
METRICS = b"/metrics"


class Status:
    """Counts what became of requests, and shows it."""

    __slots__ = ("_cells", "_gate", "_names", "_tallies", "paths", "reloads")

    def __init__(self, dialects: Sequence[Dialect], gate: Gate) -> None:
        self._names = {dialect: name_of(dialect) for dialect in dialects}
        self._gate = gate
        self._tallies = Tallies()
        self._cells: dict[tuple[Dialect, str], Tally] = {}
        self.reloads = {"ok": 0, "error": 0}
        self.paths = (STATS, METRICS)

    def know(self, topology: Topology) -> None:
        """Show the pools and models of a topology from now on."""
        self._tallies.know(list(self._names.values()), topology.names)
        names = [*topology.names, UNRESOLVED]
        self._cells = {(d, name): self._tallies.of(shown, name) for d, shown in self._names.items() for name in names}

    def settle(self, dialect: Dialect, pool: str, status: int | None, duration_s: float) -> None:
        """Count one request."""
        cell = self._cells.get((dialect, pool)) or self._cells[dialect, UNRESOLVED]
        cell.settle(status, duration_s)

    def count_auth_failure(self, dialect: Dialect) -> None:
        """Count one caller that was not let in."""
        self._tallies.auth_failures[self._names[dialect]] += 1

    def count_hop(self, pool: str, reason: str) -> None:
        """Count one request that moved on to another lane."""
        self._tallies.failovers[pool, reason] += 1

    async def page(self, path: bytes, topology: Topology, service: "Service | None") -> tuple[bytes, bytes]:
        """Return header lines and body of one page."""
        if path == STATS:
            return JSON, encode_stats(topology)
        await asyncio.get_running_loop().run_in_executor(None, exposition.load)
        return exposition.CONTENT_TYPE, exposition.render(self._families(topology, service))

    def _families(self, topology: Topology, service: "Service | None") -> Iterator[Family]:
        rows = self._tallies.rows
        who = ("ingress_protocol", "pool")
        outcomes = [((d, p, word), count) for d, p, tally in rows for word, count in tally.outcomes.items()]
        yield Family(COUNTER, "busbar_requests", "Requests by what became of them.", (*who, "outcome"), outcomes)
        durations = [((d, p), tally.duration) for d, p, tally in rows]
        text = "Seconds from the head of a request to the last byte of its answer."
        yield Family(HISTOGRAM, "busbar_request_duration_seconds", text, who, durations)
        failures = [((name,), count) for name, count in self._tallies.auth_failures.items()]
        text = "Callers that were not let in."
        yield Family(COUNTER, "busbar_auth_failures", text, ("ingress_protocol",), failures)
        attempts = [
            ((pool.name, member.lane.name), member.attempts.value)
            for pool in topology.every_pool
            for member in pool.members
        ]
        yield Family(COUNTER, "busbar_upstream_attempts", "Requests sent to a lane.", ("pool", "lane"), attempts)
        yield Family(
            COUNTER, "busbar_tokens", "Tokens that answers used.", ("pool", "lane", "direction"), tokens_of(topology)
        )
        hops = [(pair, count) for pair, count in self._tallies.failovers.items() if self._tallies.is_shown(pair[0])]
        text = "Requests that moved on to another lane."
        yield Family(COUNTER, "busbar_failovers", text, ("pool", "reason"), hops)
        reloads = [((word,), count) for word, count in self.reloads.items()]
        yield Family(COUNTER, "busbar_config_reloads", "Reloads by outcome.", ("outcome",), reloads)
        shed = [(("inbound",), self._gate.shed)]
        yield Family(COUNTER, "busbar_admission_denied", "Requests shed by a limit.", ("gate",), shed)
        yield Family(GAUGE, "busbar_build_info", "The program.", ("version",), [((__version__,), 1)])
        if service is not None:
            refused = [((str(status),), count) for status, count in sorted(service.refusals.items())]
            yield Family(COUNTER, "busbar_http_errors", "Refusals of the HTTP layer.", ("status",), refused)
            yield Family(GAUGE, "busbar_connections", "Clients connected.", (), [((), len(service.connections))])
            yield Family(GAUGE, "busbar_requests_in_flight", "Requests in progress.", (), [((), service.in_flight)])


def tokens_of(topology: Topology) -> list[tuple[tuple[str, str, str], int]]:
    """Return what was counted of every lane in every pool; nothing where nothing is counted, for it would say zero."""
    if not topology.counts_tokens:
        return []
    return [
        ((pool.name, member.lane.name, direction), count)
        for pool in topology.every_pool
        for member in pool.members
        for direction, count in (("input", member.tokens.input), ("output", member.tokens.output))
    ]


def encode_stats(topology: Topology) -> bytes:
    """Return pools and lanes as JSON, in the order of the configuration."""
    import orjson  # noqa: PLC0415  13 ms of import that nobody pays who does not ask

    pools = {name: [member.lane.name for member in pool.members] for name, pool in topology.pools.items()}
    return orjson.dumps({"pools": pools, "lanes": [_shown(lane) for lane in topology.lanes.values()]})


def _shown(lane: Lane) -> dict[str, object]:
    gate = lane.life.gate
    return {
        "model": lane.name,
        "provider": lane.provider,
        "max_concurrent": gate.most or None,
        "inflight": gate.inside,
        "free_slots": gate.most - gate.inside if gate.most else None,
        "ok": lane.life.answered,
        "err": lane.life.failed,
        "usable": True,
        "at_capacity": not gate.has_room,
    }
