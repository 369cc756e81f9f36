"""What two looks say: rates and quantiles between them, and no number where there can be none."""

import math

import pytest

from busbar_fast.top.figures import Figures, compare, grown, is_stats, quantile
from tests.top.looks import cell, histogram, lane, look, requests, stats

DURATION, FIRST_BYTE = "busbar_request_duration_seconds", "busbar_time_to_first_byte_seconds"


def figures(before: str, after: str, span_s: float = 2.0) -> Figures:
    """Return what two expositions of a pool `p` over two lanes say."""
    document = stats(lane("a"), lane("b"), p=["a", "b"])
    return compare(look(10, document, before), look(10 + span_s, document, after))


def test_rates_are_by_the_second() -> None:
    """Requests are sorted by whose fault they were, and direct ones have a row of their own once there are any."""
    before = requests("p", ok=10) + requests("a") + requests("unresolved")
    after = requests("p", ok=30, exhausted=2, error=1, client_error=4, client_closed=1) + requests("a", ok=1)
    shown = figures(before, after + requests("unresolved"))
    assert [row.name for row in shown.pools] == ["p", "a"]
    pool, direct = shown.pools
    assert (pool.requests, pool.failures, pool.client_faults, pool.total) == (14.0, 1.5, 2.5, 38)
    assert (direct.requests, direct.failures, direct.total) == (0.5, 0.0, 1)
    assert (shown.totals.requests, shown.totals.failures, shown.span_s) == (14.5, 1.5, 2.0)


def test_lanes_add_up_over_pools() -> None:
    """What is counted of a lane by pool is one number here, and its cells that rest are named."""
    document = stats(
        lane("a", inflight=3, max_concurrent=4, ok=5, err=6, dead_reason="auth", breaker_state="open"),
        lane("b", cells={"": cell(), "p": cell(7), "q": cell()}),
        p=["a"],
    )
    text = (
        'busbar_upstream_attempts_total{{lane="a",pool="p"}} {0}\n'
        'busbar_upstream_attempts_total{{lane="a",pool="a"}} {1}\n'
        'busbar_upstream_failures_total{{disposition="hard_down",lane="a",pool="p"}} {0}\n'
        'busbar_breaker_trips_total{{lane="a",pool="p"}} 2\nbusbar_breaker_trips_total{{lane="a",pool="a"}} 1\n'
    )
    shown = compare(look(0, document, text.format(1, 1)), look(4, document, text.format(3, 7)))
    a, b = shown.lanes
    assert (a.attempts, a.failures, a.trips) == (2.0, 0.5, 3)
    assert (a.inflight, a.max_concurrent, a.ok, a.err, a.reason, a.breaker) == (3, 4, 5, 6, "auth", "open")
    assert (b.attempts, b.resting, a.resting) == (0.0, {"p": 7}, {})


def test_latency_is_of_what_came_meanwhile() -> None:
    """Quantiles are over all dialects of a pool, and only over what was counted between the looks."""
    before = requests("p", ok=100) + histogram(DURATION, "p", 0, 0, 100, 0)
    after = (
        requests("p", ok=110)
        + histogram(DURATION, "p", 4, 4, 100, 0)
        + histogram(DURATION, "p", 2, 0, 0, 0, dialect="e")
        + histogram(FIRST_BYTE, "p", 10, 0, 0, 0)
    )
    shown = figures(before, after)
    (pool,) = shown.pools
    assert pool.p50_s == pytest.approx(0.1 * 5 / 6)
    assert pool.p95_s == pytest.approx(0.1 + 0.4 * 3.5 / 4)
    assert pool.first_byte_p95_s == pytest.approx(0.095)
    assert shown.totals.p95_s == pool.p95_s


def test_without_traffic_there_is_no_latency() -> None:
    """Nothing was counted, so nothing took any time."""
    text = requests("p", ok=3) + histogram(DURATION, "p", 3, 0, 0, 0)
    (pool,) = figures(text, text).pools
    assert (pool.requests, pool.p50_s, pool.p99_s, pool.first_byte_p95_s) == (0.0, None, None, None)


def test_first_look_has_no_rates() -> None:
    """One look tells totals and states, and nothing that needs two."""
    shown = compare(None, look(0, stats(lane("a"), p=["a"]), requests("p", ok=3) + "busbar_connections 2\n"))
    (pool,), (row,) = shown.pools, shown.lanes
    assert (pool.requests, pool.failures, pool.p95_s, pool.total) == (None, None, None, 3)
    assert (row.attempts, row.availability, shown.span_s) == (None, "available", None)
    assert (shown.totals.connections, shown.totals.requests, shown.totals.recent) == (2, None, {})


def test_looks_at_one_time_have_no_rates() -> None:
    """Nothing is divided by nothing."""
    assert figures(requests("p", ok=1), requests("p", ok=2), 0.0).totals.requests is None


def test_a_gateway_that_began_anew_counts_from_its_start() -> None:
    """What is smaller than before grew from 0."""
    shown = figures(requests("p", ok=100), requests("p", ok=8))
    assert shown.totals.requests == 4.0
    assert (grown(3, 5), grown(5, 3), grown(5, 5)) == (2, 3, 0)


def test_series_that_are_not_for_us_leave_the_lanes() -> None:
    """Without `/metrics` there are states and no numbers made up."""
    shown = compare(None, look(0, stats(lane("a", ok=5), p=["a"]), None))
    assert (shown.has_series, shown.keys, shown.totals.events, shown.totals.version) == (False, [], {}, None)
    assert (shown.pools[0].total, shown.lanes[0].ok, shown.lanes[0].trips) == (None, 5, None)
    both = compare(look(0, stats(), requests("p")), look(1, stats(), None))
    assert (both.span_s, both.totals.requests) == (None, None)


def test_keys_are_shown_by_what_they_spent() -> None:
    """Highest spend first; a key without a budget has nothing left, and is not out of money."""
    text = (
        'busbar_key_spend_cents{{key="k1"}} 1\nbusbar_key_spend_cents{{key="k2"}} {}\n'
        'busbar_key_budget_remaining_cents{{key="k2"}} 0\nbusbar_key_tokens_total{{key="k2"}} 9\n'
    )
    shown = figures(text.format(4), text.format(6), 60.0)
    assert [(row.id, row.spend_cents, row.remaining_cents, row.tokens) for row in shown.keys] == [
        ("k2", 6, 0, 9),
        ("k1", 1, None, 0),
    ]
    assert ([row.cents_per_min for row in shown.keys], shown.totals.spend_cents) == ([2.0, 0.0], 7)


def test_events_are_totals_and_what_is_new() -> None:
    """What happens seldom is counted, not averaged; a family without a sample is 0."""
    text = 'busbar_failovers_total{{pool="p",reason="connect"}} {}\nbusbar_build_info{{version="1.2"}} 1\n'
    totals = figures(text.format(3), text.format(5)).totals
    assert (totals.events["failovers"], totals.recent["failovers"]) == (5, 2)
    assert (totals.events["http_errors"], totals.recent["http_errors"], totals.version) == (0, 0, "1.2")
    assert totals.tokens is None
    counted = 'busbar_tokens_total{{direction="input",lane="a",pool="p"}} {}\n'
    assert figures(counted.format(0), counted.format(8)).totals.tokens == 4.0


@pytest.mark.parametrize(
    ("counts", "share", "value"),
    [
        ({}, 0.5, None),
        ({0.1: 0, math.inf: 0}, 0.5, None),
        ({0.1: 10, math.inf: 10}, 0.5, 0.05),
        ({0.1: 10, math.inf: 10}, 1.0, 0.1),
        ({0.1: 0, 0.2: 10, math.inf: 10}, 0.0, 0.1),
        ({0.1: 1, 0.2: 1, 0.3: 2, math.inf: 2}, 0.75, 0.25),
        ({0.1: 0, math.inf: 4}, 0.5, 0.1),
    ],
)
def test_quantile_is_where_its_share_lies(counts: dict[float, float], share: float, value: float | None) -> None:
    """Evenly inside a bucket; beyond the last bound nothing but that bound is known."""
    assert quantile(counts, share) == (None if value is None else pytest.approx(value))


def told(**members: object) -> dict[str, object]:
    """Return a document of `/stats` with one lane."""
    return {**stats(lane("a", **members), p=["a"])}


def test_what_the_gateway_says_of_itself_is_known() -> None:
    """Lanes with every member in its type, and none at all, are a document of `/stats`."""
    assert is_stats(told())
    assert is_stats(told(max_concurrent=3, inflight=10**18))
    assert is_stats({"pools": {}, "lanes": []})


@pytest.mark.parametrize(
    "members",
    [
        {"model": None},
        {"provider": 3},
        {"inflight": "0"},
        {"inflight": True},
        {"max_concurrent": 1.5},
        {"ok": 10**400},
        {"err": -(10**19)},
        {"dead_reason": None},
        {"cells": []},
        {"cells": {"": 0}},
        {"cells": {"": {}}},
        {"cells": {"": {"cooldown_remaining_s": "soon"}}},
    ],
)
def test_what_no_gateway_says_is_known(members: dict[str, object]) -> None:
    """A lane with a member of another type, or a number that nobody counts to, is not ours."""
    assert not is_stats(told(**members))


@pytest.mark.parametrize("document", [None, [], {}, {"pools": []}, {"pools": {}}, {"pools": {}, "lanes": [3]}])
def test_other_documents_are_not_taken_for_ours(document: object) -> None:
    """Any other document is somebody else's."""
    assert not is_stats(document)
