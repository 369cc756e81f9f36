"""Numbers that a target lacks, or takes within limits."""

from typing import Any

import pytest
from msgspec import Raw

from busbar_fast.dialects.preparing.sampling import prepared_sampling
from busbar_fast.errors import Misshapen
from busbar_fast.ir.blocks import NOTHING
from busbar_fast.ir.report import Action, Entry, Report
from busbar_fast.ir.requests import Sampling
from tests.dialects.preparing.targets import LANE, NARROW, WIDE, noted

RANGES = {"temperature": (0, 1), "top_p": (0.01, 0.99), "top_k": (0, 500), "top_logprobs": (0, 20)}


def drawn(sampling: Sampling, /, **abilities: Any) -> tuple[Sampling, list[Entry]]:
    """Return what is left of it for a target with these abilities, and what was noted."""
    report = Report()
    return prepared_sampling(sampling, NARROW._replace(**abilities), LANE, report), report.entries


def test_every_number_reaches_who_takes_it_to_the_digit() -> None:
    """IR case 3: literals stay as they were written."""
    numbers: dict[str, Any] = {
        "max_tokens": Raw(b"77"),
        "temperature": Raw(b"0.70"),
        "top_p": Raw(b"1.0"),
        "top_k": Raw(b"4e1"),
        "seed": Raw(b"123456789012345678901234567890"),
        "n": Raw(b"2"),
        "frequency_penalty": Raw(b"-0.50"),
        "presence_penalty": Raw(b"1"),
        "top_logprobs": Raw(b"5"),
    }
    sampling, report = Sampling(**numbers, has_logprobs=True, stop=["a", "b"]), Report()
    ranges = dict.fromkeys(numbers, (-10, 1e30))
    assert prepared_sampling(sampling, WIDE._replace(ranges=ranges, most_stops=2), LANE, report) == sampling
    assert report.entries == []


@pytest.mark.parametrize("literal", ["0.7", "0.70", "1", "1.0", "0", "-0", "1e-3"])
def test_a_number_within_limits_keeps_its_literal(literal: str) -> None:
    """IR case 3: it is read to be compared, and written as it was."""
    sampling, entries = drawn(Sampling(temperature=Raw(literal.encode())), ranges=RANGES)
    assert (bytes(sampling.temperature), entries) == (literal.encode(), [])


@pytest.mark.parametrize(
    ("name", "literal", "clamped"),
    [
        ("temperature", "1.5", "1"),
        ("temperature", "-0.1", "0"),
        ("temperature", "1e400", "1"),
        ("temperature", "-1e400", "0"),
        ("top_p", "1", "0.99"),
        ("top_p", "0", "0.01"),
    ],
)
def test_a_number_out_of_range_becomes_the_limit(name: str, literal: str, clamped: str) -> None:
    """IR §6, step 10: both values are noted."""
    given: dict[str, Any] = {name: Raw(literal.encode())}
    sampling, entries = drawn(Sampling(**given), ranges=RANGES)
    assert bytes(getattr(sampling, name)) == clamped.encode()
    assert entries == [Entry(Action.CLAMPED, name, f"{literal} to {clamped}")]


def test_a_limit_of_millions_is_spelt_in_digits_and_a_long_number_is_not_noted_whole() -> None:
    """IR §6, step 10: a whole limit stays a whole number, and a report stays short."""
    long = Raw(b"9" * 1000)
    sampling, entries = drawn(Sampling(max_tokens=long), ranges={"max_tokens": (1, 4294967295)})
    assert bytes(sampling.max_tokens) == b"4294967295"
    assert entries == [Entry(Action.CLAMPED, "max_tokens", f"{'9' * 24} to 4294967295")]


def test_limits_of_what_a_target_lacks_are_not_looked_at() -> None:
    """IR §6, step 10: what is dropped is not clamped too, and what is absent is neither."""
    sampling, entries = drawn(Sampling(top_k=Raw(b"900")), ranges=RANGES)
    assert (sampling, entries) == (Sampling(), [Entry(Action.DROPPED, "top_k")])


def test_a_clamped_count_of_alternatives_is_noted_as_the_feature_it_belongs_to() -> None:
    """IR case 11: there is one word for all that concerns likelihoods."""
    sampling, entries = drawn(Sampling(top_logprobs=Raw(b"21")), ranges=RANGES, sampling=frozenset(("top_logprobs",)))
    assert bytes(sampling.top_logprobs) == b"20"
    assert entries == [Entry(Action.CLAMPED, "logprobs", "21 to 20")]


def test_what_a_target_lacks_is_dropped_each_under_its_word() -> None:
    """IR §8: rare numbers that have no place."""
    sampling = Sampling(
        top_k=Raw(b"40"),
        seed=Raw(b"0"),
        n=Raw(b"2"),
        frequency_penalty=Raw(b"0.5"),
        presence_penalty=Raw(b"0.5"),
        has_logprobs=True,
        top_logprobs=Raw(b"0"),
    )
    left, entries = drawn(sampling)
    assert left == Sampling()
    words = ["top_k", "seed", "n", "frequency_penalty", "presence_penalty", "logprobs"]
    assert entries == [Entry(Action.DROPPED, word) for word in words]


def test_one_answer_and_no_likelihoods_are_what_everybody_gives() -> None:
    """IR §6, step 6: asking for them is no loss, though it is not sent to who would not understand."""
    left, entries = drawn(Sampling(n=Raw(b"1"), has_logprobs=False))
    assert (left, entries) == (Sampling(), [])


def test_a_limit_is_filled_in_only_where_it_is_needed_and_absent() -> None:
    """IR cases 15 and 16: toward who cannot do without, and never instead of what the client said."""
    report = Report()
    needs = NARROW._replace(needs_max_tokens=True)
    filled = prepared_sampling(Sampling(), needs, LANE, report)
    assert (bytes(filled.max_tokens), report.entries) == (b"4096", [Entry(Action.FILLED, "max_tokens", "4096")])
    lane = LANE._replace(default_max_tokens=8192)
    assert bytes(prepared_sampling(Sampling(), needs, lane, Report()).max_tokens) == b"8192"
    given, report = Sampling(max_tokens=Raw(b"77")), Report()
    assert prepared_sampling(given, needs, lane, report) == given
    assert prepared_sampling(Sampling(), NARROW, lane, report).max_tokens == NOTHING
    assert report.entries == []


def test_an_answer_without_tokens_is_refused() -> None:
    """Anthropic case 13: a warm-up of a cache must not become a full answer elsewhere."""
    with pytest.raises(Misshapen, match="at least 1") as raised:
        drawn(Sampling(max_tokens=Raw(b"0")))
    assert raised.value.param == "max_tokens"


@pytest.mark.parametrize(
    ("most", "left", "fields"),
    [(None, 3, []), (3, 3, []), (2, 2, [Action.TRUNCATED]), (0, 0, [Action.DROPPED])],
)
def test_stop_strings_are_cut_to_as_many_as_there_may_be(most: int | None, left: int, fields: list[Action]) -> None:
    """IR §6, step 10: the first ones stay, and how many there were is noted."""
    stops = ["a", "b", "c"]
    sampling, entries = drawn(Sampling(stop=stops), most_stops=most)
    assert sampling.stop == stops[:left]
    assert entries == [Entry(action, "stop", f"3 to {left}") for action in fields]


def test_the_given_record_is_not_changed() -> None:
    """IR §6: another lane may get it next."""
    sampling = Sampling(top_k=Raw(b"1"), temperature=Raw(b"2"), stop=["a", "b"], has_logprobs=True)
    report = Report()
    prepared_sampling(sampling, NARROW._replace(ranges=RANGES, most_stops=1, needs_max_tokens=True), LANE, report)
    assert sampling == Sampling(top_k=Raw(b"1"), temperature=Raw(b"2"), stop=["a", "b"], has_logprobs=True)
    assert noted(report) == ["top_k", "logprobs", "temperature", "max_tokens", "stop"]
