"""Ordering: by value, by key, what it costs, and what has no order."""

from typing import Any

import pytest

from busbar_fast.errors import ScriptError
from busbar_fast.reliability.policies.script.ordering import ORDERING, extreme, sort
from busbar_fast.reliability.policies.script.run import Run


def new_run() -> Run:
    """Return a run with many steps."""
    return Run([], 250_000, lambda: 0.0, 1.0)


def price(call: Any, *arguments: Any, **options: Any) -> int:
    """Return what a call pays."""
    run = new_run()
    call(run, *arguments, **options)
    return 250_000 - run.left


@pytest.mark.parametrize(
    ("items", "is_reversed", "order"),
    [
        ([3, 1.5, True], False, [True, 1.5, 3]),
        (["b", "a"], False, ["a", "b"]),
        (["b", "a"], True, ["b", "a"]),
        ([[2, "x"], [1, "y"], [1, "x"]], False, [[1, "x"], [1, "y"], [2, "x"]]),
        ([], False, []),
        ([None], False, [None]),
    ],
)
def test_items_are_sorted(items: list[Any], is_reversed: bool, order: list[Any]) -> None:
    """Reliability §11: numbers, texts and short lists of them have an order."""
    assert sort(new_run(), items, None, is_reversed=is_reversed) == order


def test_equal_items_stay_as_they_stood() -> None:
    """Reliability §11: sorting by a key is stable, in both directions."""
    items = ["b1", "a1", "b2", "a2"]
    for is_reversed, order in ((False, ["a1", "a2", "b1", "b2"]), (True, ["b1", "b2", "a1", "a2"])):
        assert sort(new_run(), items, lambda _run, item: item[0], is_reversed=is_reversed) == order


def test_the_first_of_equals_is_the_smallest_and_the_largest() -> None:
    """Reliability §11: `min` and `max` choose by value or by key."""
    assert extreme(new_run(), "min", [2, 1, 1.0], None) == 1
    assert extreme(new_run(), "max", ["a", "c", "b"], None) == "c"
    items = ["b1", "a1", "b2", "a2"]
    assert extreme(new_run(), "min", items, lambda _run, item: item[0]) == "a1"
    assert extreme(new_run(), "max", items, lambda _run, item: item[0]) == "b1"


@pytest.mark.parametrize("items", [[1, "x"], [None, 1], [[1, None], [1, 2]], [{}, {}], [[[1]], [[2]]], "abc", 1, None])
def test_what_has_no_order_is_an_error(items: Any) -> None:
    """Reliability §11: values of two kinds, records and longer structures cannot be ordered."""
    with pytest.raises(ScriptError):
        sort(new_run(), items, None, is_reversed=False)
    with pytest.raises(ScriptError):
        extreme(new_run(), "max", items, None)


def test_the_best_of_nothing_is_an_error() -> None:
    """Reliability §11: an empty list has no smallest item."""
    with pytest.raises(ScriptError, match="at least one"):
        extreme(new_run(), "min", [], None)


@pytest.mark.parametrize(
    ("items", "steps"),
    [([], 0), ([1], 1), ([2, 1], 4), ([1] * 8, 32), ([1] * 100, 765), ([[1, 2]] * 8, 64), (["x" * 8192] * 8, 1056)],
)
def test_sorting_costs_n_times_one_plus_its_logarithm(items: list[Any], steps: int) -> None:
    """Reliability §11: n·(1+log2 n), times how long the longest key is."""
    assert price(sort, items, None, is_reversed=False) == steps


def test_choosing_costs_one_step_an_item() -> None:
    """Reliability §11: the size of the input, times how long the longest key is."""
    assert price(extreme, "min", [1] * 50, None) == 50
    assert price(extreme, "min", ["x" * 256] * 50, None) == 100


def test_the_list_is_paid_for_before_it_is_looked_at() -> None:
    """Reliability case 80: a long list ends the script before its keys are made."""
    run = Run([], 4000, lambda: 0.0, 1.0)
    with pytest.raises(ScriptError, match="steps"):
        sort(run, [1] * 4096, lambda _run, _item: pytest.fail("a key was made"), is_reversed=False)
    assert frozenset(("sorted", "min", "max")) == ORDERING
