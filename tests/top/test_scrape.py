"""Prometheus text as `top` reads it: as the official reader does, and nothing else passes for it."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from busbar_fast.observe.counters import Histogram
from busbar_fast.observe.exposition import COUNTER, GAUGE, HISTOGRAM, Family, render
from busbar_fast.top.scrape import NoScrape, Scrape

ODD = ["plain", 'a "quoted" one', "back\\slash", "two\nlines", '{braces} , and="more"', "\u2028é\x85", "\\n", ""]


def exposition() -> str:
    """Return what a gateway could write, with every kind of series and odd names."""
    seen = Histogram()
    for duration_s in (0.001, 0.3, 0.3, 999.0):
        seen.observe(duration_s)
    families = [
        Family(
            COUNTER, "busbar_requests", "Requests.", ("pool", "outcome"), [((n, "ok"), i) for i, n in enumerate(ODD)]
        ),
        Family(HISTOGRAM, "busbar_request_duration_seconds", "Seconds.", ("pool",), [(("a",), seen)]),
        Family(GAUGE, "busbar_connections", "Clients.", (), [((), 1.5e9)]),
        Family(GAUGE, "busbar_empty", "Nothing.", ("pool",), []),
    ]
    return render(families).decode()


def test_every_sample_is_read_as_the_official_reader_does() -> None:
    """Names, labels with anything in them, and values are the same."""
    text = exposition()
    scrape = Scrape(text)
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert len(samples) > len(ODD)
    for sample in samples:
        assert (sample.labels, sample.value) in list(scrape.rows(sample.name))
    assert sum(len(list(scrape.rows(name))) for name in {sample.name for sample in samples}) == len(samples)


def test_samples_are_chosen_and_added_up() -> None:
    """A label limits, another one sorts, and what is not there is nothing."""
    scrape = Scrape('n{a="x",b="1"} 1\nn{a="x",b="2"} 2\nn{a="y",b="1"} 4 1700000000\nm 8\n')
    assert (scrape.total("n"), scrape.total("n", a="x"), scrape.total("n", a="x", b="2")) == (7, 3, 2)
    assert (scrape.by("a", "n"), scrape.by("b", "n", a="y")) == ({"x": 3, "y": 4}, {"1": 4})
    assert (scrape.total("m"), scrape.by("a", "m")) == (8, {"": 8})
    assert (scrape.has("n"), scrape.has("o"), scrape.total("o")) == (True, False, 0)


ODD = ["n NaN", "n -Inf", "n +Inf", "n 1e400", "n 1e300", 'n{le="x"} 1', 'n{le="NaN"} 1', 'n{le=""} 1']


@pytest.mark.parametrize("text", ["<html>", "busbar_x", "busbar_x{} y", '{"pools": {}}', "n{a} 1 2 3", *ODD])
def test_what_is_no_exposition_is_refused(text: str) -> None:
    """A page of something else is not taken for numbers."""
    with pytest.raises(NoScrape):
        Scrape(f"# TYPE a counter\n{text}\n")


def test_an_empty_page_holds_nothing() -> None:
    """No series is a reading too."""
    assert not Scrape("").has("n")
