"""What two looks at a gateway say: rates, latencies, where lanes and keys stand. Pure.

A look is what `/stats` and `/metrics` said at one time. Counters only grow, so a smaller one tells that the gateway has
started anew; then everything that it counted came since. What cannot be known is None and never 0.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from math import inf
from types import NoneType
from typing import Any, Final, NamedTuple

from busbar_fast.top.scrape import MOST, Scrape

REQUESTS: Final = "busbar_requests_total"
DURATION: Final = "busbar_request_duration_seconds_bucket"
FIRST_BYTE: Final = "busbar_time_to_first_byte_seconds_bucket"
_FAILED: Final = ("exhausted", "error")
_AT_FAULT: Final = ("client_error", "client_closed")
# What has to be said of a lane, and as what.
_LANE_MEMBERS: Final[Mapping[str, tuple[type, ...]]] = {
    "model": (str,),
    "provider": (str,),
    "availability": (str,),
    "breaker_state": (str,),
    "inflight": (int,),
    "max_concurrent": (int, NoneType),
    "ok": (int,),
    "err": (int,),
    "dead_reason": (str,),
    "cells": (dict,),
}
# What is counted of the whole gateway, as it is called here.
EVENTS: Final = {
    "failovers": "busbar_failovers_total",
    "trips": "busbar_breaker_trips_total",
    "streams_aborted": "busbar_streams_aborted_total",
    "auth_failures": "busbar_auth_failures_total",
    "admission_denied": "busbar_admission_denied_total",
    "http_errors": "busbar_http_errors_total",
    "translations": "busbar_translations_total",
}


def is_stats(document: object) -> bool:
    """Say whether a document is one of `/stats`, as far as it is read here."""
    if not isinstance(document, dict) or not isinstance(document.get("pools"), dict):
        return False
    lanes = document.get("lanes")
    return isinstance(lanes, list) and all(_is_lane(lane) for lane in lanes)


def _is_lane(lane: object) -> bool:
    if not isinstance(lane, dict) or not all(_is_one(lane.get(name, ...), of) for name, of in _LANE_MEMBERS.items()):
        return False
    cells = lane["cells"].values()
    return all(isinstance(cell, dict) and _is_one(cell.get("cooldown_remaining_s"), (int,)) for cell in cells)


def _is_one(value: object, kinds: tuple[type, ...]) -> bool:
    return type(value) in kinds and (not isinstance(value, int) or abs(value) <= MOST)


class Look(NamedTuple):
    """What the two pages said; no scrape: the series were not for us."""

    at_s: float
    stats: Mapping[str, Any]
    scrape: Scrape | None = None


class Totals(NamedTuple):
    """The gateway as a whole; rates are by the second."""

    version: str | None
    in_flight: int | None
    connections: int | None
    requests: float | None
    failures: float | None
    client_faults: float | None
    p95_s: float | None
    tokens: float | None
    spend_cents: float | None
    events: Mapping[str, int]  # since the gateway started
    recent: Mapping[str, int]  # since the look before


class PoolRow(NamedTuple):
    """A pool, or a model that is asked for by its own name; rates are by the second."""

    name: str
    requests: float | None
    failures: float | None
    client_faults: float | None
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    first_byte_p95_s: float | None
    total: int | None


class LaneRow(NamedTuple):
    """A lane; rates are by the second."""

    name: str
    provider: str
    availability: str
    breaker: str
    inflight: int
    max_concurrent: int | None
    attempts: float | None
    failures: float | None
    ok: int
    err: int
    trips: int | None
    reason: str
    resting: Mapping[str, int]  # seconds left, by pool; the lane's own cell has no name


class KeyRow(NamedTuple):
    """A virtual key in its present window."""

    id: str
    spend_cents: float
    remaining_cents: float | None
    tokens: float
    cents_per_min: float | None


class Figures(NamedTuple):
    """Everything that there is to show."""

    span_s: float | None  # between the looks
    totals: Totals
    pools: Sequence[PoolRow]
    lanes: Sequence[LaneRow]
    keys: Sequence[KeyRow]  # highest spend first
    has_series: bool


class _Change:
    """What moved between two scrapes."""

    def __init__(self, before: Look | None, after: Look) -> None:
        self.now = after.scrape
        self._was = None if before is None else before.scrape
        has_both = before is not None and self._was is not None and self.now is not None
        self.span_s = after.at_s - before.at_s if before is not None and has_both and after.at_s > before.at_s else None

    def rate(self, name: str, **wanted: str) -> float | None:
        """Return how much a counter grows in a second."""
        grown = self.growth(name, **wanted)
        return None if grown is None or self.span_s is None else grown / self.span_s

    def rates(self, name: str, words: Iterable[str], **wanted: str) -> float | None:
        """Return how much a counter grows in a second, over some of its outcomes."""
        found = [self.rate(name, outcome=word, **wanted) for word in words]
        return None if None in found else sum(one for one in found if one is not None)

    def growth(self, name: str, **wanted: str) -> float | None:
        """Return by how much a counter grew."""
        if self.now is None or self._was is None or self.span_s is None:
            return None
        return grown(self._was.total(name, **wanted), self.now.total(name, **wanted))

    def quantiles(self, name: str, shares: Iterable[float], **wanted: str) -> list[float | None]:
        """Return quantiles of what a histogram counted meanwhile."""
        if self.now is None or self._was is None or self.span_s is None:
            return [None for _ in shares]
        was = self._was.by("le", name, **wanted)
        buckets = {float(le): grown(was.get(le, 0.0), value) for le, value in self.now.by("le", name, **wanted).items()}
        return [quantile(buckets, share) for share in shares]

    def total(self, name: str, **wanted: str) -> float | None:
        """Return the present value of what all samples of a name add up to, None if there are none."""
        return self.now.total(name, **wanted) if self.now is not None and self.now.has(name) else None


def compare(before: Look | None, after: Look) -> Figures:
    """Return what two looks say; without an earlier one there are no rates."""
    change = _Change(before, after)
    keys = _keys(change)
    return Figures(
        change.span_s,
        _totals(change, keys),
        [_pool(change, name) for name in _asked_names(after)],
        [_lane(change, lane) for lane in after.stats["lanes"]],
        keys,
        after.scrape is not None,
    )


def grown(was: float, value: float) -> float:
    """Return by how much a counter grew, which may have begun anew."""
    return value - was if value >= was else value


def quantile(buckets: Mapping[float, float], share: float) -> float | None:
    """Return a quantile of cumulative counts by upper bound, None if nothing was counted.

    Inside a bucket values are taken to lie evenly. Beyond the last bound all that is known is that bound.
    """
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds else 0.0
    if not total:
        return None
    rank = share * total
    for low, high in pairwise([0.0, *bounds]):
        under = buckets.get(low, 0.0)
        if buckets[high] >= rank and buckets[high] > under:
            return low if high == inf else low + (high - low) * max(rank - under, 0.0) / (buckets[high] - under)
    return None


def _asked_names(look: Look) -> list[str]:
    """Return the pools, then whatever else was asked for."""
    pools = list(look.stats["pools"])
    asked = look.scrape.by("pool", REQUESTS) if look.scrape is not None else {}
    return pools + [name for name, count in asked.items() if count and name not in pools]


def _pool(change: _Change, name: str) -> PoolRow:
    p50_s, p95_s, p99_s = change.quantiles(DURATION, (0.5, 0.95, 0.99), pool=name)
    (first_byte_s,) = change.quantiles(FIRST_BYTE, (0.95,), pool=name)
    return PoolRow(
        name,
        change.rate(REQUESTS, pool=name),
        change.rates(REQUESTS, _FAILED, pool=name),
        change.rates(REQUESTS, _AT_FAULT, pool=name),
        p50_s,
        p95_s,
        p99_s,
        first_byte_s,
        _whole(change.total(REQUESTS, pool=name)),
    )


def _lane(change: _Change, lane: Mapping[str, Any]) -> LaneRow:
    name = lane["model"]
    cells = lane["cells"].items()
    return LaneRow(
        name,
        lane["provider"],
        lane["availability"],
        lane["breaker_state"],
        lane["inflight"],
        lane["max_concurrent"],
        change.rate("busbar_upstream_attempts_total", lane=name),
        change.rate("busbar_upstream_failures_total", lane=name),
        lane["ok"],
        lane["err"],
        _whole(change.total("busbar_breaker_trips_total", lane=name)),
        lane["dead_reason"],
        {pool: cell["cooldown_remaining_s"] for pool, cell in cells if cell["cooldown_remaining_s"]},
    )


def _keys(change: _Change) -> list[KeyRow]:
    if change.now is None:
        return []
    left = change.now.by("key", "busbar_key_budget_remaining_cents")
    tokens = change.now.by("key", "busbar_key_tokens_total")
    rows = []
    for name, spend in change.now.by("key", "busbar_key_spend_cents").items():
        rate = change.rate("busbar_key_spend_cents", key=name)
        rows.append(KeyRow(name, spend, left.get(name), tokens.get(name, 0.0), None if rate is None else rate * 60))
    return sorted(rows, key=lambda row: -row.spend_cents)


def _totals(change: _Change, keys: Sequence[KeyRow]) -> Totals:
    now = change.now
    (p95_s,) = change.quantiles(DURATION, (0.95,))
    versions = [labels.get("version") for labels, _ in now.rows("busbar_build_info")] if now is not None else []
    events = {} if now is None else {word: int(now.total(name)) for word, name in EVENTS.items()}
    recent = {word: change.growth(name) for word, name in EVENTS.items()}
    return Totals(
        versions[0] if versions else None,
        _whole(change.total("busbar_requests_in_flight")),
        _whole(change.total("busbar_connections")),
        change.rate(REQUESTS),
        change.rates(REQUESTS, _FAILED),
        change.rates(REQUESTS, _AT_FAULT),
        p95_s,
        change.rate("busbar_tokens_total") if now is not None and now.has("busbar_tokens_total") else None,
        sum(row.spend_cents for row in keys) if keys else None,
        events,
        {word: int(count) for word, count in recent.items() if count is not None},
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
