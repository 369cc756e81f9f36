"""What becomes of a policy's answer and of its failure."""

import pytest

from busbar_fast.reliability.policies.candidates import Order
from busbar_fast.reliability.policies.order import ABSTAINED, REFUSED, Decision, decide, decide_without
from tests.reliability.policies.members import members

THREE = members(weight=(1, 1, 1))


@pytest.mark.parametrize(
    ("order", "usable"),
    [
        ([2, 0], (2, 0)),
        ([9, 1, 1, 0], (1, 0)),
        ([0, 1, 2, 0, 1, 2], (0, 1, 2)),
        ([-1, 2**80, 2], (2,)),
    ],
)
def test_what_names_nobody_or_somebody_again_is_left_out(order: list[int], usable: tuple[int, ...]) -> None:
    """Reliability cases 78 and 79: unknown and repeated members go, the rest is an order and counts as a selection."""
    assert decide(order, THREE) == Decision(usable, is_refused=False)


@pytest.mark.parametrize("order", [None, [], [7, 8]])
def test_an_order_of_nobody_abstains(order: Order) -> None:
    """Reliability case 78: nothing usable means the weights decide, no selection is counted and no header is set."""
    assert decide(order, THREE) == ABSTAINED == Decision((), is_refused=False)


def test_candidates_are_known_by_idx_and_not_by_place() -> None:
    """Reliability §11: `idx` is the lane's number, which need not be the place in this pool."""
    assert decide([0, 1, 2], THREE[1:]).order == (1, 2)


@pytest.mark.parametrize(
    ("on_error", "decision"),
    [
        ("weighted", ABSTAINED),
        ("first", Decision((0, 1, 2), is_refused=False)),
        ("reject", REFUSED),
    ],
)
def test_a_failure_is_answered_as_the_pool_wants(on_error: str, decision: Decision) -> None:
    """Reliability case 78: on_error weighted leaves it to the weights, first takes the file's order, reject refuses."""
    assert decide_without(on_error, THREE) == decision


def test_first_of_nobody_is_no_selection() -> None:
    """Reliability §11: `first` over no candidates chooses nobody."""
    assert decide_without("first", []) == ABSTAINED
    assert REFUSED.is_refused
    assert not REFUSED.order
