"""What operators see of a lane, and that looking changes nothing."""

import pytest

from busbar_fast.reliability.breaker import BreakerSettings, State
from busbar_fast.reliability.lanes import LaneState
from busbar_fast.reliability.report import CellReport, availability, is_any_usable, is_usable, report
from tests.reliability.builders import DEFAULTS, EAGER, new_lane, trip


def pooled(*settings: BreakerSettings, most: int | None = None) -> LaneState:
    """Return a lane that is in pools a, b, … with these settings."""
    lane = new_lane(most=most)
    for name, wanted in zip("abc", settings, strict=False):
        lane.cell(name, wanted)
    return lane


def cell_report(state: str, streak: int, rest_s: int) -> CellReport:
    """Return what is shown of a cell."""
    return {"state": state, "streak": streak, "cooldown_remaining_s": rest_s}


def test_lane_in_pools_is_judged_by_their_cells() -> None:
    """Reliability case 83: every pool cell is open and the default one untouched: not usable; one ready: usable."""
    lane = pooled(EAGER, EAGER)
    trip(lane.cells["a"])
    assert is_usable(lane, 0.0)
    trip(lane.cells["b"])
    assert not is_usable(lane, 0.0)
    assert not is_any_usable([lane], 29.9)
    assert is_any_usable([lane], 30.0)


def test_lane_in_no_pool_is_judged_by_its_default_cell() -> None:
    """Reliability §12: a lane that is only asked for by its own name answers for itself."""
    lane = new_lane()
    trip(lane.cells[""])
    assert not is_usable(lane, 0.0)


def test_soft_rest_and_full_lane_are_usable_and_a_trial_is_not() -> None:
    """Reliability §12: the last resort counts as usable, a missing permit does not matter, a running trial does."""
    lane = pooled(DEFAULTS, most=1)
    lane.take()
    lane.cells["a"].fail(0.0)
    assert is_usable(lane, 0.0)
    trip(lane.cells["a"])
    lane.cells["a"].admit()
    assert not is_usable(lane, 1e6)


@pytest.mark.parametrize("is_dead", [False, True])
def test_spent_and_dead_lanes_are_not_usable(*, is_dead: bool) -> None:
    """Reliability case 83: budgets that are used up make nothing usable, and neither does what was taken out."""
    lane = new_lane(budget=1)
    if is_dead:
        lane.set_dead(True)
    else:
        lane.take()
    assert not is_any_usable([lane], 0.0)


def test_availability_names_the_reason() -> None:
    """Reliability §12: free, full, open, on trial, spent and dead are told apart, the gravest reason first."""
    lane = pooled(EAGER, EAGER, most=1)
    cell = lane.cells["a"]
    seen = [availability(lane, 0.0)]
    lane.take()
    seen.append(availability(lane, 0.0))
    trip(cell)
    trip(lane.cells["b"])
    seen.append(availability(lane, 0.0))
    cell.admit()
    seen.append(availability(lane, 0.0))
    lane.limit(1, 1)
    seen.append(availability(lane, 0.0))
    lane.set_dead(True)
    seen.append(availability(lane, 0.0))
    assert seen == [
        "available",
        "at_capacity",
        "breaker_open",
        "probe_in_flight",
        "budget_exhausted",
        "dead",
    ]


def test_report_of_a_lane() -> None:
    """Reliability case 84: every field is there, client faults too, and the worst cell's rest and streak are shown."""
    lane = new_lane("gpt", provider="acme", most=3, budget=9)
    for name in "ab":
        lane.cell(name, EAGER)
    lane.take()
    lane.ok, lane.err, lane.client_fault = 5, 2, 7
    lane.cells["a"].fail(0.0)
    lane.cells["a"].admit()
    lane.cells["a"].fail(0.5, 1)
    shown = report(lane, 1.2)
    assert (shown["model"], shown["provider"], shown["max_concurrent"], shown["inflight"], shown["free_slots"]) == (
        "gpt",
        "acme",
        3,
        1,
        2,
    )
    assert (shown["ok"], shown["err"], shown["client_fault"], shown["budget"]) == (5, 2, 7, 8)
    assert (shown["usable"], shown["dead"], shown["dead_reason"], shown["availability"]) == (
        True,
        False,
        "",
        "available",
    )
    assert (shown["cooldown_remaining_s"], shown["streak"]) == (60, 2)
    assert (shown["recovery_hint_ms"], shown["breaker_state"], shown["at_capacity"]) == (None, "closed", False)
    assert shown["cells"] == {
        "": cell_report("closed", 0, 0),
        "a": cell_report("open", 2, 60),
        "b": cell_report("closed", 0, 0),
    }


def test_report_hides_pools() -> None:
    """Reliability case 84: the cells of pools that a key may not use are not named."""
    lane = pooled(DEFAULTS, DEFAULTS)
    assert list(report(lane, 0.0, lambda pool: pool == "b")["cells"]) == ["", "b"]


def test_recovery_hint_is_the_soonest_of_all_cells() -> None:
    """Reliability §12: while nobody is admitted the hint says in milliseconds when the first cell lets somebody in."""
    lane = pooled(EAGER, EAGER)
    for at_s, cell in zip((0.0, 10.0), lane.routed_cells, strict=True):
        trip(cell, at_s)
    shown = report(lane, 12.3456)
    assert (shown["availability"], shown["recovery_hint_ms"], shown["breaker_state"]) == ("breaker_open", 17655, "open")


def test_recovery_hint_of_a_closed_cell_is_what_the_upstream_asked_for() -> None:
    """Reliability §12: a closed cell lets somebody in as a last resort when the asked part of its rest is over."""
    lane = pooled(DEFAULTS)
    lane.cells["a"].fail(0.0, retry_after_s=4.0)
    shown = report(lane, 0.0)
    assert (shown["usable"], shown["recovery_hint_ms"], shown["breaker_state"], shown["cooldown_remaining_s"]) == (
        False,
        4000,
        "closed",
        30,
    )


def test_looking_uses_up_no_trial() -> None:
    """Reliability case 31: a thousand looks at an open cell whose rest is over leave the trial to the next request."""
    lane = pooled(EAGER)
    cell = lane.cells["a"]
    trip(cell)
    for _ in range(1000):
        report(lane, 30.0)
        is_any_usable([lane], 30.0)
    assert (cell.state, cell.is_ready(30.0)) == (State.OPEN, True)
    assert report(lane, 30.0)["breaker_state"] == "open"
    cell.admit()
    assert report(lane, 30.0)["breaker_state"] == "half_open"
