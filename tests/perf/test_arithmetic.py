"""Medians, ratios, turns and the parsing of /proc text."""

import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perf import arithmetic


def test_median_of_an_even_count_is_the_middle() -> None:
    """Two middle values are averaged."""
    assert arithmetic.median([4.0, 1.0, 3.0, 2.0]) == 2.5


def test_median_of_nothing_is_an_error() -> None:
    """What was not measured is never a zero."""
    with pytest.raises(ValueError, match="no median"):
        arithmetic.median([])


@pytest.mark.parametrize(("percent", "expected"), [(50, 50.0), (99, 99.0), (100, 100.0), (0, 1.0)])
def test_percentile_is_the_nearest_rank(percent: float, expected: float) -> None:
    """Of the numbers 1 to 100 each percentile is its own number."""
    assert arithmetic.percentile([float(number) for number in range(100, 0, -1)], percent) == expected


@given(st.lists(st.floats(0, 1e9), min_size=1), st.floats(1, 100))
def test_percentile_is_not_exceeded_by_its_share(values: list[float], percent: float) -> None:
    """At least the given share of all values is not above the percentile."""
    limit = arithmetic.percentile(values, percent)
    assert sum(value <= limit for value in values) >= len(values) * percent / 100


def test_ratio_is_paired_by_round() -> None:
    """A drift that hits both sides of a round cancels out, which a ratio of medians would not do."""
    ratio = arithmetic.paired_ratio([2.0, 20.0, 60.0], [1.0, 10.0, 20.0])
    assert ratio == arithmetic.Ratio(median=2.0, low=2.0, high=3.0)


@pytest.mark.parametrize(
    ("above", "below"), [([], []), ([1.0], []), ([1.0], [0.0]), ([1.0, 2.0], [1.0, -0.5]), ([1.0], [1.0, 2.0])]
)
def test_ratio_without_a_sound_denominator_is_none(above: list[float], below: list[float]) -> None:
    """Nothing, unequal rounds and denominators at or below zero give no ratio."""
    assert arithmetic.paired_ratio(above, below) is None


def test_ratio_of_differences_divides_the_medians() -> None:
    """A round in which theirs drowned in noise makes the range unbounded and is not left out."""
    ratio = arithmetic.median_ratio([60.0, 80.0, 70.0], [35.0, -5.0, 40.0])
    assert ratio == arithmetic.Ratio(median=2.0, low=60.0 / 35.0, high=float("inf"))


@pytest.mark.parametrize(("above", "below"), [([], []), ([1.0], []), ([1.0, 1.0, 1.0], [1.0, 0.0, -1.0])])
def test_ratio_of_drowned_differences_is_none(above: list[float], below: list[float]) -> None:
    """Without a sound middle there is no ratio."""
    assert arithmetic.median_ratio(above, below) is None


def test_turns_reverse_in_each_round() -> None:
    """The side that came last in a round comes first in the next."""
    assert list(arithmetic.turns("AB", 3)) == [(0, "A"), (0, "B"), (1, "B"), (1, "A"), (2, "A"), (2, "B")]


def test_schedstat_wait_is_the_second_number() -> None:
    """The line holds time used, time waited and time slices."""
    assert arithmetic.parse_schedstat_wait_ns("569940800 155304 5\n") == 155304


def test_status_field_is_read_in_kib() -> None:
    """The field is found by its whole name."""
    text = "Name:\tpython\nVmHWM:\t   23456 kB\nVmRSS:\t   12345 kB\n"
    assert arithmetic.parse_status_kib(text, "VmRSS") == 12345


def test_status_without_the_field_is_zero() -> None:
    """A zombie has no memory lines."""
    assert arithmetic.parse_status_kib("Name:\tgone\nState:\tZ (zombie)\n", "VmRSS") == 0


def test_parent_is_found_behind_a_command_with_brackets() -> None:
    """A command name may hold blanks and closing brackets."""
    assert arithmetic.parse_parent_pid("42 (a ) b (c)) S 7 42 42 0 -1") == 7


def test_descendants_are_found_at_any_depth() -> None:
    """Children of children count, strangers do not."""
    assert sorted(arithmetic.descendants(10, {10: 1, 11: 10, 12: 11, 13: 1, 14: 12})) == [10, 11, 12, 14]


def test_descendants_of_a_reused_pid_end() -> None:
    """A snapshot torn by a reused pid may show a circle, and is still finite."""
    assert sorted(arithmetic.descendants(1, {1: 2, 2: 1})) == [1, 2]


def test_busy_ticks_leave_out_idle_waiting_and_interrupts() -> None:
    """User, nice and system time are busy, the eighth number was stolen."""
    assert arithmetic.parse_busy_ticks("cpu  100 20 3 9999 888 77 66 5 0 0\ncpu0 1 2 3\n") == (123, 5)


def test_cpu_clock_of_ourselves_agrees_with_the_usual_one() -> None:
    """The computed clock id reads the same clock as the one Python offers for its own process."""
    before_ns = time.process_time_ns()
    read_ns = time.clock_gettime_ns(arithmetic.cpu_clock_id(os.getpid()))
    assert before_ns <= read_ns <= time.process_time_ns()
