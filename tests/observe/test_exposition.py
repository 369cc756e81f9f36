"""The exposition: what a strict parser reads back is what was listed."""

from prometheus_client.parser import text_string_to_metric_families

from busbar_fast.observe.counters import BOUNDS_S, Histogram
from busbar_fast.observe.exposition import COUNTER, GAUGE, HISTOGRAM, Family, load, render


def samples(raw: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return every sample by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(raw.decode())
        for sample in family.samples
    }


def test_numbers_are_read_back() -> None:
    """Operations §13 case 52: counters, gauges and label values with anything in them survive a strict parser."""
    load()
    odd = 'a"b\\c\nd'
    raw = render(
        [
            Family(COUNTER, "busbar_requests", "Requests.", ("pool",), [((odd,), 3), (("p",), 0)]),
            Family(GAUGE, "busbar_connections", "Connections.", (), [((), 7)]),
        ]
    )
    assert samples(raw) == {
        ("busbar_requests_total", (("pool", odd),)): 3.0,
        ("busbar_requests_total", (("pool", "p"),)): 0.0,
        ("busbar_connections", ()): 7.0,
    }


def test_histogram_is_cumulative_and_ends_at_infinity() -> None:
    """Operations §13 case 52: the duration series is a histogram with every bound and `+Inf`."""
    histogram = Histogram()
    for duration_s in (0.001, 0.02, 0.02, 1000.0):
        histogram.observe(duration_s)
    read = samples(
        render([Family(HISTOGRAM, "busbar_request_duration_seconds", "D.", ("pool",), [(("p",), histogram)])])
    )
    buckets = {dict(labels)["le"]: value for (name, labels), value in read.items() if name.endswith("_bucket")}
    assert len(buckets) == len(BOUNDS_S) + 1
    assert (buckets["0.005"], buckets["0.01"], buckets["0.025"], buckets["300.0"], buckets["+Inf"]) == (1, 1, 3, 3, 4)
    assert read["busbar_request_duration_seconds_sum", (("pool", "p"),)] == histogram.sum_s
    assert read["busbar_request_duration_seconds_count", (("pool", "p"),)] == 4
