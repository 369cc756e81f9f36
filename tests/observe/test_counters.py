"""Counts and durations: every outcome has its word, and every duration its bucket."""

import pytest

from busbar_fast.observe.counters import (
    ABORTS,
    BOUNDS_S,
    FAILURES,
    HOPS,
    OUTCOMES,
    UNRESOLVED,
    Histogram,
    LaneTally,
    Tallies,
    Tally,
    outcome_of,
)


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (200, "ok"),
        (204, "ok"),
        (503, "exhausted"),
        (400, "client_error"),
        (429, "client_error"),
        (500, "error"),
        (504, "error"),
        (302, "error"),
        (None, "client_closed"),
    ],
)
def test_status_has_its_word(status: int | None, word: str) -> None:
    """Operations §7: `ok` 2xx, `exhausted` 503, `client_error` 4xx, `error` other, `client_closed` without a status."""
    assert outcome_of(status) == word


@pytest.mark.parametrize(("duration_s", "bucket"), [(0.0, 0), (0.005, 0), (0.0051, 1), (300.0, 14), (301.0, 15)])
def test_duration_falls_into_its_bucket(duration_s: float, bucket: int) -> None:
    """Operations §7: bounds belong to the bucket below them, and what is above the last one is kept."""
    histogram = Histogram()
    histogram.observe(duration_s)
    assert histogram.counts.index(1) == bucket
    assert sum(histogram.counts) == 1
    assert histogram.sum_s == duration_s
    assert len(histogram.counts) == len(BOUNDS_S) + 1


def test_what_is_not_configured_is_unresolved() -> None:
    """Operations §7, case 49: names that clients invent add no series."""
    tallies = Tallies()
    tallies.know(["chat"], {"pool": ["lane"]})
    for number in range(100):
        tallies.of("chat", f"invented-{number}").settle(404, 0.1, 0.1)
    tallies.of("chat", "pool").settle(200, 0.1, 0.1)
    assert [(dialect, pool) for dialect, pool, _ in tallies.rows] == [("chat", "pool"), ("chat", UNRESOLVED)]
    assert tallies.of("chat", "gone").outcomes["client_error"] == 100


def test_pool_that_is_gone_is_not_shown_and_not_forgotten() -> None:
    """Config X9: a pool that a reload removes vanishes from the list; if it comes back it goes on counting."""
    tallies = Tallies()
    tallies.know(["chat"], {"pool": ["lane"]})
    tallies.of("chat", "pool").settle(200, 0.1, 0.1)
    tallies.know(["chat"], {"other": ["lane"]})
    assert (tallies.is_shown("pool"), tallies.is_shown("other")) == (False, True)
    assert "pool" not in [pool for _, pool, _ in tallies.rows]
    tallies.know(["chat"], {"pool": ["lane"], "other": ["lane"]})
    assert tallies.of("chat", "pool").outcomes["ok"] == 1
    assert set(tallies.failovers.values()) == {0}


def test_answer_is_timed_twice_and_none_once() -> None:
    """Operations §7: an answer has a first byte and a last one; a client that left before the first has an end only."""
    tally = Tally()
    tally.settle(200, 2.0, 0.2)
    tally.settle(None, 7.0, 7.0)
    assert (tally.duration.sum_s, tally.first_byte.sum_s) == (9.0, 0.2)
    assert (sum(tally.duration.counts), sum(tally.first_byte.counts)) == (2, 1)
    assert tally.outcomes == dict.fromkeys(OUTCOMES, 0) | {"ok": 1, "client_closed": 1}


def test_lane_begins_at_zero_and_adds_up_tokens() -> None:
    """Operations §7: each word of a lane has its number from the start, and tokens of both directions add up."""
    tally = LaneTally()
    assert (tally.attempts, tally.trips) == (0, 0)
    assert tally.failures == {"transient_upstream": 0, "hard_down": 0, "context_length": 0}
    assert list(tally.failures) == list(FAILURES)
    tally.add_usage(3, 5)
    tally.add_usage(10, 20)
    assert tally.tokens == {"input": 13, "output": 25}


def test_every_reason_is_there_from_the_start() -> None:
    """Operations case 51: hops and aborts of each pool, trips and failures of each of its lanes, stand at zero."""
    tallies = Tallies()
    tallies.know(["chat", "other"], {"pool": ["a", "b"], "a": ["a"]})
    assert tallies.failovers == {(pool, reason): 0 for pool in ("pool", "a") for reason in HOPS}
    assert tallies.aborts == {(pool, reason): 0 for pool in ("pool", "a") for reason in ABORTS}
    assert [(pool, lane) for pool, lane, _ in tallies.lanes] == [("pool", "a"), ("pool", "b"), ("a", "a")]
    assert tallies.auth_failures == {"chat": 0, "other": 0}


def test_lane_counts_by_pool_and_outlives_a_reload() -> None:
    """Operations §7: a lane in two pools has a tally in each; of a pool that is gone none is shown, nor is it lost."""
    tallies = Tallies()
    tallies.know([], {"one": ["a"], "two": ["a"]})
    tallies.lane("one", "a").trips += 1
    assert [tally.trips for _, _, tally in tallies.lanes] == [1, 0]
    tallies.know([], {"two": ["a", "b"]})
    assert [(pool, lane, tally.trips) for pool, lane, tally in tallies.lanes] == [("two", "a", 0), ("two", "b", 0)]
    tallies.know([], {"one": ["a"]})
    assert [(pool, lane, tally.trips) for pool, lane, tally in tallies.lanes] == [("one", "a", 1)]
