"""Counts and durations: every outcome has its word, and every duration its bucket."""

import pytest

from busbar_fast.observe.counters import BOUNDS_S, UNRESOLVED, Histogram, Tallies, outcome_of


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
    tallies.know(["chat"], ["pool"])
    for number in range(100):
        tallies.of("chat", f"invented-{number}").settle(404, 0.1)
    tallies.of("chat", "pool").settle(200, 0.1)
    assert [(dialect, pool) for dialect, pool, _ in tallies.rows] == [("chat", "pool"), ("chat", UNRESOLVED)]
    assert tallies.of("chat", "gone").outcomes["client_error"] == 100


def test_pool_that_is_gone_is_not_shown_and_not_forgotten() -> None:
    """Config X9: a pool that a reload removes vanishes from the list; if it comes back it goes on counting."""
    tallies = Tallies()
    tallies.know(["chat"], ["pool"])
    tallies.of("chat", "pool").settle(200, 0.1)
    tallies.know(["chat"], ["other"])
    assert (tallies.is_shown("pool"), tallies.is_shown("other")) == (False, True)
    assert "pool" not in [pool for _, pool, _ in tallies.rows]
    tallies.know(["chat"], ["pool", "other"])
    assert tallies.of("chat", "pool").outcomes["ok"] == 1
    assert set(tallies.failovers.values()) == {0}
