"""Series as Prometheus text. Whoever owns the numbers lists them as families; the client library is loaded at a scrape.

It costs 30 ms and more to import, so `load` is called off the event loop before the first scrape is rendered.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from busbar_fast.observe.counters import BOUNDS_S, Histogram

CONTENT_TYPE = b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"

COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"


class Family(NamedTuple):
    """One series with all its labels: the values are numbers, or histograms."""

    kind: str
    name: str
    text: str
    labels: Sequence[str]
    rows: Sequence[tuple[Sequence[str], float | Histogram]]


def load() -> None:
    """Import the client library; may run on any thread."""
    import prometheus_client  # noqa: PLC0415, F401  see the module


def render(families: Iterable[Family]) -> bytes:
    """Return the exposition."""
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415  see the module
    from prometheus_client.registry import Collector  # noqa: PLC0415  as above

    listed = list(families)

    class Families(Collector):
        """Hands the families over."""

        def collect(self) -> Iterator[Any]:
            """Yield each family as the library wants it."""
            return map(_translated, listed)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Families())
    return bytes(generate_latest(registry))


def _translated(family: Family) -> Any:
    from prometheus_client import core  # noqa: PLC0415  see the module

    if family.kind == HISTOGRAM:
        histogram = core.HistogramMetricFamily(family.name, family.text, labels=family.labels)
        for labels, value in family.rows:
            assert isinstance(value, Histogram)
            histogram.add_metric(labels, _buckets(value), value.sum_s)
        return histogram
    kind = core.CounterMetricFamily if family.kind == COUNTER else core.GaugeMetricFamily
    translated = kind(family.name, family.text, labels=family.labels)
    for labels, value in family.rows:
        assert not isinstance(value, Histogram)
        translated.add_metric(labels, value)
    return translated


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """Return the cumulative counts, each with its upper bound."""
    total = 0
    buckets = []
    for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), histogram.counts, strict=True):
        total += count
        buckets.append((bound, float(total)))
    return buckets
