"""What a lane is to all its pools: permits and lines, budget, counters, cells, health probes."""

from collections.abc import Callable
from math import inf, nan

import pytest

from busbar_fast.reliability.breaker import BreakerSettings, Cell, State, Trip
from busbar_fast.reliability.lanes import DEFAULT, UNLIMITED, LaneState, Probe, Waiter
from tests.reliability.builders import DEFAULTS, EAGER, new_lane, trip


def _no_rest(cell: Cell) -> None:
    raise AssertionError(cell)  # nobody here waits for one


class Waiting:
    """One that takes a permit when its turn comes, unless it is told to let it pass."""

    def __init__(self, *lanes: LaneState, takes: bool = True, on_turn: Callable[[], None] | None = None) -> None:
        self.turns: list[LaneState] = []
        self._takes = takes
        self._on_turn = on_turn
        self.waiter = Waiter(self._turn, _no_rest)
        for lane in lanes:
            self.waiter.await_permit(lane)

    def _turn(self, lane: LaneState) -> None:
        self.turns.append(lane)
        if self._takes:
            self.waiter.leave()
            lane.take()
        if self._on_turn is not None:
            self._on_turn()


# Limits.


def test_unlimited_lane() -> None:
    """A lane without limits says so, whatever runs on it."""
    lane = new_lane()
    lane.take()
    assert (lane.max_concurrent, lane.free_slots, lane.budget, lane.inflight) == (None, None, UNLIMITED, 1)
    assert lane.is_available


def test_permits_are_counted() -> None:
    """Reliability case 19: permits that are out are what is in flight, and the last one makes the lane full."""
    lane = new_lane(most=2)
    lane.take()
    assert (lane.max_concurrent, lane.free_slots, lane.inflight, lane.is_full, lane.is_available) == (
        2,
        1,
        1,
        False,
        True,
    )
    lane.take()
    assert (lane.free_slots, lane.is_full, lane.is_available) == (0, True, False)
    lane.give_back()
    assert (lane.free_slots, lane.is_full, lane.is_available) == (1, False, True)


def test_budget_is_spent_and_refunded() -> None:
    """Reliability case 20: three units serve three requests, and a refund serves one more."""
    lane = new_lane(budget=3)
    for _ in range(3):
        assert lane.is_available
        lane.take()
        lane.give_back()
    assert (lane.budget, lane.has_budget, lane.is_available) == (0, False, False)
    lane.refund()
    assert (lane.budget, lane.has_budget, lane.is_available) == (1, True, True)


def test_refund_with_budget_left_changes_the_number_only() -> None:
    """Reliability case 21: what is given back can be spent again, and there is never more than at first."""
    lane = new_lane(budget=3)
    lane.take()
    lane.refund()
    assert (lane.budget, lane.is_available) == (3, True)


def test_other_limits_keep_what_was_spent() -> None:
    """A reload may raise or lower both limits; what runs and what was spent is counted against the new ones."""
    lane = new_lane(most=2, budget=5)
    for _ in range(2):
        lane.take()
    lane.limit(1, 1)
    assert (lane.free_slots, lane.budget, lane.is_available) == (0, 0, False)
    lane.limit(3, 4)
    assert (lane.free_slots, lane.budget, lane.is_available) == (1, 2, True)
    lane.limit(None)
    assert (lane.free_slots, lane.budget) == (None, UNLIMITED)


def test_dead_lane_is_not_available() -> None:
    """A lane that was taken out of service is not available until it is put back."""
    lane = new_lane()
    lane.set_dead(True)
    assert (lane.is_dead, lane.is_available) == (True, False)
    lane.set_dead(False)
    assert lane.is_available


# Lines.


def test_permits_go_to_those_in_line_in_order() -> None:
    """Reliability case 16: each permit that comes free goes to one waiter, the first, and newcomers wait behind."""
    lane = new_lane(most=1)
    lane.take()
    first, second = Waiting(lane), Waiting(lane)
    assert (lane.waiting, lane.is_full) == (2, True)
    lane.give_back()
    assert (first.turns, second.turns, lane.inflight, lane.waiting) == ([lane], [], 1, 1)
    assert not lane.is_available
    lane.give_back()
    assert (second.turns, lane.inflight, lane.waiting) == ([lane], 1, 0)
    lane.give_back()
    assert (lane.inflight, lane.is_available) == (0, True)


def test_one_waits_on_several_lanes_and_gets_one() -> None:
    """Reliability §3 D5: who waits on several lanes leaves all lines with the first permit."""
    lanes = [new_lane(name, most=1) for name in "ab"]
    for lane in lanes:
        lane.take()
    waiting = Waiting(*lanes)
    lanes[1].give_back()
    assert waiting.turns == [lanes[1]]
    assert [lane.waiting for lane in lanes] == [0, 0]
    lanes[0].give_back()
    assert (waiting.turns, lanes[0].inflight) == ([lanes[1]], 0)


def test_permit_that_is_let_pass_goes_to_the_next() -> None:
    """Reliability case 17: who does not want a lane any more passes its permit on and waits on the rest."""
    lanes = [new_lane(name, most=1) for name in "ab"]
    for lane in lanes:
        lane.take()
    picky, next_one = Waiting(*lanes, takes=False), Waiting(lanes[0])
    lanes[0].give_back()
    assert (picky.turns, next_one.turns) == ([lanes[0]], [lanes[0]])
    assert picky.waiter.lanes == {lanes[1]}
    assert lanes[0].inflight == 1


def test_permit_that_nobody_wants_is_free() -> None:
    """A permit that everybody in line lets pass is there for newcomers."""
    lane = new_lane(most=1)
    lane.take()
    picky = Waiting(lane, takes=False)
    lane.give_back()
    assert (picky.waiter.lanes, lane.inflight, lane.is_available) == (set(), 0, True)


def test_waiter_may_leave_at_any_time() -> None:
    """Reliability case 18: who leaves gets no permit, those behind move up, and leaving twice is no harm."""
    lanes = [new_lane(name, most=1) for name in "ab"]
    for lane in lanes:
        lane.take()
    gone, behind = Waiting(*lanes), Waiting(lanes[0])
    gone.waiter.leave()
    gone.waiter.leave()
    assert [lane.waiting for lane in lanes] == [1, 0]
    lanes[0].give_back()
    assert (gone.turns, behind.turns) == ([], [lanes[0]])


def test_waiter_that_is_done_at_once_does_not_let_others_overtake() -> None:
    """A request that runs to its end as soon as it is called gives its permit to the next in line, once."""
    lane = new_lane(most=1)
    lane.take()
    seen: list[tuple[int, bool]] = []

    def finish() -> None:
        lane.give_back()
        seen.append((lane.waiting, lane.is_available))

    both = [Waiting(lane, on_turn=finish) for _ in range(2)]
    lane.give_back()
    assert [waiting.turns for waiting in both] == [[lane], [lane]]
    assert seen == [(1, False), (0, True)]
    assert (lane.inflight, lane.is_available) == (0, True)


def test_permit_is_free_as_soon_as_the_last_in_line_is_gone() -> None:
    """While one lets a permit pass the only other one leaves, and a newcomer that comes right then may have it."""
    lane = new_lane(most=1)
    lane.take()
    seen: list[bool] = []

    def watch() -> None:
        other.waiter.leave()
        seen.append(lane.is_available)

    Waiting(lane, takes=False, on_turn=watch)
    other = Waiting(lane)
    lane.give_back()
    assert (seen, other.turns) == ([True], [])


def test_nobody_waits_for_a_lane_that_is_free() -> None:
    """Standing in line for nothing is a bug."""
    with pytest.raises(AssertionError):
        Waiting(new_lane(most=1))


def test_more_permits_serve_the_line() -> None:
    """A reload that allows more at once calls those who wait."""
    lane = new_lane(most=1)
    lane.take()
    waiting = [Waiting(lane) for _ in range(3)]
    lane.limit(3)
    assert [bool(one.turns) for one in waiting] == [True, True, False]
    assert (lane.inflight, lane.waiting) == (3, 1)


def test_one_waits_for_a_permit_and_for_a_rest() -> None:
    """Reliability §3: a waiter stands in lines of lanes and of cells, hears of either, and leaves all at once."""
    full, resting = new_lane("a", most=1), new_lane("b")
    full.take()
    cell = resting.cell("pool", EAGER)
    trip(cell)
    ready: list[Cell] = []
    waiter = Waiter(LaneState.take, ready.append)
    waiter.await_permit(full)
    waiter.await_rest(cell)
    cell.call(30.0)
    assert (ready, cell.has_line, full.waiting) == ([cell], False, 1)
    waiter.await_rest(cell)
    waiter.leave()
    assert (cell.has_line, full.waiting) == (False, 0)


def test_line_goes_on_after_a_waiter_breaks() -> None:
    """An error in a waiter's own code reaches whoever gave the permit back, and the next permit is served again."""
    lane = new_lane(most=1)
    lane.take()

    def crash() -> None:
        raise RuntimeError("on purpose")

    Waiting(lane, takes=False, on_turn=crash)
    last = Waiting(lane)
    with pytest.raises(RuntimeError, match="on purpose"):
        lane.give_back()
    lane.take()
    lane.give_back()
    assert last.turns == [lane]


# Statistics.


def test_latency_is_smoothed() -> None:
    """Reliability case 77: the first sample seeds, 200 after 100 makes 120, and what is no time is ignored."""
    lane = new_lane()
    assert lane.latency_ewma_ms is None
    for sample in (100.0, 200.0, nan, inf, 0.0, -5.0):
        lane.sample(sample)
    assert lane.latency_ewma_ms == pytest.approx(120.0)


def test_repr_says_what_runs() -> None:
    """A lane in a log shows its model and what is used of it."""
    assert repr(new_lane("gpt", budget=4)) == "<LaneState gpt inflight=0 waiting=0 budget=4>"


# Cells.


def test_cells_of_pools_are_apart() -> None:
    """Reliability case 22: one pool trips its cell, and the other pool and the lane itself go on."""
    lane = new_lane()
    first, second = lane.cell("a", DEFAULTS), lane.cell("b", DEFAULTS)
    trip(first)
    assert (first.is_ready(0.0), second.is_ready(0.0), lane.cells[DEFAULT].is_ready(0.0)) == (False, True, True)


def test_late_cell_copies_the_default_one() -> None:
    """Reliability case 22: a cell that is made while the default cell is on trial starts open and can recover."""
    lane = new_lane()
    default = lane.cells[DEFAULT]
    trip(default)
    rest_s = default.cooldown_until_s
    assert default.admit()
    made = lane.cell("late", EAGER)
    assert (made.state, made.settings) == (State.OPEN, EAGER)
    token = made.admit()
    made.succeed(rest_s, token)
    assert (made.state, default.state) == (State.CLOSED, State.HALF_OPEN)


def test_cell_is_found_again_and_judges_by_new_settings() -> None:
    """A reload finds the cell of a pool as it was, with the settings of now."""
    lane = new_lane()
    cell = lane.cell("a", DEFAULTS)
    cell.fail(0.0)
    assert lane.cell("a", EAGER) is cell
    assert (cell.settings, cell.streak) == (EAGER, 1)


def test_cells_of_gone_pools_are_forgotten() -> None:
    """Only the pools that are left keep their cells, and the default cell stays in any case."""
    lane = new_lane()
    for name in "abc":
        lane.cell(name, DEFAULTS)
    lane.keep_cells({"b"})
    assert list(lane.cells) == [DEFAULT, "b"]
    assert lane.routed_cells == [lane.cells["b"]]
    lane.keep_cells(())
    assert lane.routed_cells == [lane.cells[DEFAULT]]


def test_condemning_concerns_every_cell() -> None:
    """Reliability cases 41 and 43: hard-down rests all cells for 1800 s, says why, and is one trip and no more."""
    lane = new_lane()
    lane.cell("a", DEFAULTS)
    trip(lane.cells[DEFAULT])
    assert lane.condemn(0.0, "billing")
    assert {cell.cooldown_until_s for cell in lane.cells.values()} == {1800.0}
    assert (lane.dead_reason, lane.is_dead) == ("billing", False)
    assert not lane.condemn(5.0, "auth")
    assert lane.dead_reason == "auth"


# Health probes.


def test_another_key_puts_the_lane_back_in_service() -> None:
    """Reliability §5: the number of the key says whether it is another one; only then the hard-down ends."""
    lane = new_lane()
    cells = [lane.cell(name, EAGER) for name in ("a", "b")]
    lane.condemn(0.0, "auth")
    lane.use_key(0)
    assert (lane.dead_reason, cells[0].state) == ("auth", State.OPEN)
    lane.use_key(1)
    assert (lane.dead_reason, {cell.state for cell in lane.cells.values()}) == ("", {State.CLOSED})


def test_probe_is_due_while_a_cell_is_suppressed() -> None:
    """Reliability case 71: a healthy lane needs no probe; a soft rest, an open cell and a trial do."""
    lane = new_lane()
    cell = lane.cell("a", DEFAULTS)
    assert not lane.needs_probe(0.0)
    cell.fail(0.0)
    assert (lane.needs_probe(29.9), lane.needs_probe(30.0)) == (True, False)
    trip(cell, 30.0)
    assert lane.needs_probe(1e6)


def test_good_probe_counts_once_and_restores_all_pools() -> None:
    """Reliability cases 44, 71 and 73: in three pools a good probe is one success, closes all cells and clears why."""
    lane = new_lane()
    for name in "abc":
        lane.cell(name, DEFAULTS)
    lane.condemn(0.0, "auth")
    Probe(lane).succeed(10.0)
    assert {cell.state for cell in lane.cells.values()} == {State.CLOSED}
    assert (lane.ok, lane.err, lane.dead_reason) == (1, 0, "")
    assert [cell.window.count(10.0) for cell in lane.cells.values()] == [(1, 0)] * 4


def test_hard_down_after_the_probe_was_sent_survives_it() -> None:
    """Reliability case 44: what became of the lane while the probe was under way is newer than its answer."""
    lane = new_lane()
    probe = Probe(lane)
    lane.condemn(1.0, "auth")
    late = lane.cell("late", DEFAULTS)
    probe.succeed(2.0)
    assert (lane.dead_reason, late.state, lane.cells[DEFAULT].state) == ("auth", State.OPEN, State.OPEN)
    Probe(lane).succeed(3.0)
    assert (lane.dead_reason, late.state) == ("", State.CLOSED)


def test_bad_probe_is_judged_by_each_pool() -> None:
    """Reliability cases 72, 75 and 85: one failed probe is one error, and each cell trips by its own settings."""
    lane = new_lane()
    quick, slow = lane.cell("quick", EAGER), lane.cell("slow", BreakerSettings(trip=Trip.CONSECUTIVE, consecutive_n=3))
    assert Probe(lane).fail(0.0, 100.0) == ["quick"]
    assert (quick.state, slow.state, lane.err) == (State.OPEN, State.CLOSED, 1)
    assert {cell.cooldown_until_s for cell in lane.cells.values()} == {100.0}
    assert [Probe(lane).fail(1.0) for _ in range(2)] == [[], ["slow"]]
    assert (slow.state, lane.err) == (State.OPEN, 3)


def test_probe_that_is_refused_condemns_the_lane() -> None:
    """Reliability case 74: a probe whose key is refused puts the lane out of service."""
    lane = new_lane()
    assert Probe(lane).condemn(0.0, "auth")
    assert (lane.err, lane.dead_reason, lane.cells[DEFAULT].cooldown_until_s) == (1, "auth", 1800.0)
