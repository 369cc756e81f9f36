"""Rankings by one number per member, and the exploration of members without one."""

from collections.abc import Sequence
from math import inf, nan

import pytest

from busbar_fast.reliability.policies.candidates import Order
from busbar_fast.reliability.policies.native import RANKINGS, Explorer
from tests.fakes import FakeClock
from tests.reliability.policies.members import members

COLUMNS = {
    "cheapest": "cost_per_mtok",
    "fastest": "latency_ms",
    "least_busy": "available_concurrency",
    "usage": "rate_headroom",
}


def ranked(policy: str, values: Sequence[float | None]) -> Order:
    """Return what a policy makes of members with these values of what it looks at."""
    return RANKINGS[policy](members(**{COLUMNS[policy]: values}))


def test_every_policy_has_its_name() -> None:
    """Reliability §11: the native policies are these five, by these names."""
    assert set(RANKINGS) == {"weighted", *COLUMNS}


def test_weighted_abstains() -> None:
    """Reliability §11: `weighted` computes nothing and leaves the choice to the weights."""
    assert RANKINGS["weighted"](members(cost_per_mtok=(1.0, 2.0))) is None


@pytest.mark.parametrize(
    ("policy", "values", "order"),
    [
        ("cheapest", (3.0, None, 1.0), [2, 0, 1]),
        ("cheapest", (0.0, 0.5), [0, 1]),
        ("cheapest", (5.0, 2.0, 5.0, 2.0), [1, 3, 0, 2]),
        ("cheapest", (nan, 2.0), [1, 0]),
        ("cheapest", (inf, -1.0, 2.0), [2, 0, 1]),
        ("fastest", (120.0, 80.5, None), [1, 0, 2]),
        ("fastest", (None, 80.5, None), [1, 0, 2]),
        ("least_busy", (2, 7, 7), [1, 2, 0]),
        ("least_busy", (2, None, 900), [1, 2, 0]),
        ("least_busy", (0, 0, None), [2, 0, 1]),
        ("usage", (0.2, 0.9, None), [1, 0, 2]),
        ("usage", (0.0, 1.0), [1, 0]),
    ],
)
def test_members_are_ranked_by_their_number(policy: str, values: Sequence[float | None], order: list[int]) -> None:
    """Reliability cases 76 and 77: the best number first, equals by place, whoever has none last."""
    assert ranked(policy, values) == order


@pytest.mark.parametrize(
    ("policy", "values"),
    [
        ("cheapest", (None, None)),
        ("cheapest", (2.0, 2.0)),
        ("cheapest", (nan, None)),
        ("fastest", (None, None, None)),
        ("fastest", (80.0, 80.0)),
        ("least_busy", (3, 3)),
        ("least_busy", (None, None)),
        ("usage", (None, None)),
        ("usage", (0.5, 0.5, 0.5)),
        ("fastest", (80.0,)),
        ("cheapest", ()),
    ],
)
def test_a_number_that_tells_nobody_apart_is_no_opinion(policy: str, values: Sequence[float | None]) -> None:
    """Reliability cases 76 and 77, D24: without any number, or with the same for all, the weights decide."""
    assert ranked(policy, values) is None


def test_a_member_without_a_sample_has_one_request_a_minute() -> None:
    """Reliability §11, explore: one request in 60 s goes to a member that was never measured."""
    clock = FakeClock()
    explorer = Explorer(clock)
    crowd = members(latency_ms=(90.0, None, 50.0, None))
    order = RANKINGS["fastest"](crowd)
    orders = []
    for at_s in (0.0, 0.1, 59.9, 60.0, 60.1, 200.0):
        clock.now_s = 1000.0 + at_s
        orders.append(explorer.explore(order, crowd, lambda _idx: True))
    assert orders == [[1, 2, 0, 3], [2, 0, 1, 3], [2, 0, 1, 3], [1, 2, 0, 3], [2, 0, 1, 3], [1, 2, 0, 3]]


def test_exploring_waits_for_a_member_that_is_ready() -> None:
    """Reliability §11, explore: a member that could not serve does not use up the minute, and its neighbour has it."""
    explorer = Explorer(FakeClock())
    crowd = members(latency_ms=(90.0, None, None))
    assert explorer.explore([0, 1, 2], crowd, lambda _idx: False) == [0, 1, 2]
    assert explorer.explore([0, 1, 2], crowd, lambda idx: idx == 2) == [2, 0, 1]


def test_there_is_nothing_to_explore() -> None:
    """Reliability §11, explore: an order over measured members stays, and where the weights decide they go on to."""
    explorer = Explorer(FakeClock())
    assert explorer.explore([1, 0], members(latency_ms=(90.0, 50.0)), lambda _idx: True) == [1, 0]
    assert explorer.explore(None, members(latency_ms=(None, None)), lambda _idx: True) is None
