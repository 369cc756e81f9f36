"""One cell: every state with every event, trips, rests, trials and their owners, revised successes."""

import random
from collections.abc import Callable
from math import inf

import pytest

from busbar_fast.errors import OutOfOrder
from busbar_fast.reliability.breaker import NEXT, NO_TRIAL, BreakerSettings, Cell, Event, State, Trip
from tests.reliability.builders import EAGER, new_cell, trip

STRANGER = NO_TRIAL
CONSECUTIVE = BreakerSettings(trip=Trip.CONSECUTIVE)


def closed() -> Cell:
    """Return a cell that never saw anything."""
    return new_cell(EAGER)


def resting() -> Cell:
    """Return an open cell that rests until second 30."""
    cell = closed()
    trip(cell)
    return cell


def on_trial() -> Cell:
    """Return a half-open cell, whose trial has token 1, in second 30."""
    cell = resting()
    assert cell.admit() == 1
    return cell


START = {State.CLOSED: closed, State.OPEN: resting, State.HALF_OPEN: on_trial}
TOKEN = 1
NOW_S = 31.0

# What happens, and what it leads to from each of the three states.
EVENTS: dict[str, tuple[Callable[[Cell], object], tuple[State, State, State]]] = {
    "success": (lambda cell: cell.succeed(NOW_S, STRANGER), (State.CLOSED, State.OPEN, State.HALF_OPEN)),
    "owner's success": (lambda cell: cell.succeed(NOW_S, TOKEN), (State.CLOSED, State.OPEN, State.CLOSED)),
    "failure": (lambda cell: cell.fail(NOW_S, STRANGER), (State.OPEN, State.OPEN, State.HALF_OPEN)),
    "owner's failure": (lambda cell: cell.fail(NOW_S, TOKEN), (State.OPEN, State.OPEN, State.OPEN)),
    "release": (lambda cell: cell.release(STRANGER), (State.CLOSED, State.OPEN, State.HALF_OPEN)),
    "owner's release": (lambda cell: cell.release(TOKEN), (State.CLOSED, State.OPEN, State.OPEN)),
    "hard-down": (lambda cell: cell.condemn(NOW_S), (State.OPEN, State.OPEN, State.OPEN)),
    "good probe": (
        lambda cell: cell.probe_succeeded(NOW_S, cell.armings),
        (State.CLOSED, State.CLOSED, State.CLOSED),
    ),
    "good probe, late": (lambda cell: cell.probe_succeeded(NOW_S, -1), (State.CLOSED, State.OPEN, State.HALF_OPEN)),
    "bad probe": (lambda cell: cell.probe_failed(NOW_S), (State.OPEN, State.OPEN, State.OPEN)),
    "death": (lambda cell: cell.revise(NOW_S, (-1, 0, 0)), (State.OPEN, State.OPEN, State.HALF_OPEN)),
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", EVENTS)
def test_every_state_with_every_event(state: State, event: str) -> None:
    """Reliability §5: the table of states and events, cell by cell, and a trial runs in the half-open state only."""
    cell = START[state]()
    happen, after = EVENTS[event]
    happen(cell)
    assert cell.state is after[state]
    assert (cell.trial == NO_TRIAL) == (cell.state is not State.HALF_OPEN)
    assert (cell.ready_at_s == inf) == (cell.state is State.HALF_OPEN)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_a_move_that_is_not_in_the_table_is_a_bug(state: State, event: Event) -> None:
    """Each of the moves either leads where the table says or is refused with both names."""
    cell = START[state]()
    if (state, event) in NEXT:
        cell._advance(event)
        assert cell.state is NEXT[state, event]
    else:
        with pytest.raises(OutOfOrder, match=f"'{event.name}' is not possible in phase {state.name}"):
            cell._advance(event)
        assert cell.state is state


def test_trial_during_a_trial_is_a_bug() -> None:
    """Nobody admits to a half-open cell; who tries finds out."""
    with pytest.raises(OutOfOrder):
        on_trial().admit()


# Trips.


def test_rate_needs_enough_requests() -> None:
    """Reliability case 23: four failures of four leave the cell closed, the fifth opens it and is the one trip."""
    cell = new_cell()
    assert [cell.fail(0.0) for _ in range(5)] == [False, False, False, False, True]
    assert cell.state is State.OPEN
    assert not cell.fail(1.0)


def test_rate_at_the_threshold_trips() -> None:
    """Reliability case 23: after five successes the fifth error makes the rate one half, which is enough."""
    cell = new_cell()
    for _ in range(5):
        cell.succeed(0.0)
    assert [cell.fail(0.0) for _ in range(5)] == [False, False, False, False, True]


def test_old_errors_do_not_trip() -> None:
    """Reliability case 24: a hundred errors before the window and clean traffic in it, then one error: no trip."""
    cell = new_cell(BreakerSettings(threshold=1.0, min_requests=200))
    for _ in range(100):
        cell.fail(0.0)
    cell.retune(BreakerSettings())
    for _ in range(5):
        cell.succeed(100.0)
    assert not cell.fail(100.0)
    assert cell.state is State.CLOSED


def test_streak_in_a_row_trips() -> None:
    """Reliability case 26: two failures, a success and two failures leave it closed, the third in a row opens it."""
    cell = new_cell(CONSECUTIVE)
    assert not cell.fail(0.0)
    assert not cell.fail(0.0)
    cell.succeed(0.0)
    assert [cell.fail(0.0) for _ in range(3)] == [False, False, True]


def test_settings_of_a_pool_are_in_force() -> None:
    """Reliability case 26: the pool's own values decide, also the ones that a reload brings, window included."""
    cell = new_cell(CONSECUTIVE)
    cell.retune(BreakerSettings(trip=Trip.CONSECUTIVE, consecutive_n=2, window_s=7.0, base_cooldown_s=1.0))
    assert [cell.fail(0.0), cell.fail(0.0)] == [False, True]
    assert (cell.window.span_s, cell.cooldown_left_s(0.0)) == (7.0, 4.0)


# Rests.


def test_one_failure_is_a_soft_rest() -> None:
    """Reliability case 86: a closed cell that failed once is a last resort at once, and ready after its rest."""
    cell = new_cell()
    cell.fail(0.0)
    assert (cell.state, cell.is_ready(0.0), cell.is_soft(0.0), cell.cooldown_left_s(0.0)) == (
        State.CLOSED,
        False,
        True,
        30.0,
    )
    assert (cell.is_ready(30.0), cell.is_soft(30.0), cell.cooldown_left_s(31.0)) == (True, False, 0.0)


def test_success_ends_a_soft_rest() -> None:
    """Reliability §5 D6: a success on a closed cell ends streak and soft rest."""
    cell = new_cell()
    cell.fail(0.0)
    cell.succeed(1.0)
    assert (cell.streak, cell.is_ready(1.0), cell.is_suppressed(1.0)) == (0, True, False)


def test_asked_rest_is_binding() -> None:
    """Reliability case 86: a closed cell whose upstream asked for 90 s is nobody's last resort before that."""
    cell = new_cell()
    cell.fail(0.0, retry_after_s=90.0)
    assert (cell.is_soft(89.9), cell.is_ready(89.9)) == (False, False)
    assert cell.is_ready(90.0)


def test_asked_rest_outlives_a_success() -> None:
    """Reliability §5 D6: a late success ends the soft part of a rest, and what the upstream asked for stays."""
    cell = new_cell()
    cell.fail(0.0, retry_after_s=10.0)
    cell.succeed(1.0)
    assert (cell.is_ready(9.9), cell.is_soft(9.9), cell.is_ready(10.0)) == (False, False, True)


def test_asked_rest_beats_the_cap() -> None:
    """Reliability case 39: 90 s were asked for and rests are capped at 60 s, so the cell is out for 90 s."""
    cell = new_cell(BreakerSettings(max_cooldown_s=60.0))
    cell.fail(0.0, retry_after_s=90.0)
    assert cell.cooldown_left_s(0.0) == 90.0


@pytest.mark.parametrize(("asked", "rest"), [(-50.0, 30.0), (10.0**20, 86400.0)])
def test_odd_requests_to_wait(asked: float, rest: float) -> None:
    """Reliability case 39: a past date leaves the backoff alone, a number of 20 digits is a day."""
    cell = new_cell()
    cell.fail(0.0, retry_after_s=asked)
    assert cell.cooldown_left_s(0.0) == rest


def test_plain_error_never_shortens_a_rest() -> None:
    """Reliability case 40: 300 s were asked for, a plain failure follows, and 300 s it stays."""
    cell = new_cell()
    cell.fail(0.0, retry_after_s=300.0)
    cell.fail(1.0)
    assert cell.cooldown_until_s == 300.0
    assert not cell.is_soft(299.0)


def test_shorter_request_to_wait_does_not_replace_a_longer_one() -> None:
    """Reliability §5 D11: the upstream asked for 100 s and then for 5 s, and 100 s stay binding."""
    cell = new_cell()
    cell.fail(0.0, retry_after_s=100.0)
    cell.fail(1.0, retry_after_s=5.0)
    assert not cell.is_soft(99.0)


def test_failed_trial_and_probe_honour_the_floor() -> None:
    """Reliability case 40: a trial and a health probe that are told to wait wait that long."""
    tried = on_trial()
    tried.fail(31.0, TOKEN, 200.0)
    probed = closed()
    probed.probe_failed(31.0, 200.0)
    assert (tried.cooldown_until_s, probed.cooldown_until_s) == (231.0, 231.0)


def test_rests_of_cells_differ() -> None:
    """Reliability case 38: cells that fail together do not come back together, from the first trip on."""
    draw = random.Random(1).random
    cells = [Cell(EAGER, draw) for _ in range(20)]
    for cell in cells:
        trip(cell)
    assert len({cell.cooldown_until_s for cell in cells}) == 20


# Trials.


def test_rest_over_admits_one() -> None:
    """Reliability case 28: of fifty requests that come when the rest is over exactly one finds the cell ready."""
    cell = resting()
    tokens = [cell.admit() for _ in range(50) if cell.is_ready(30.0)]
    assert tokens == [TOKEN]
    assert not cell.is_soft(30.0)


def test_good_trial_restores_everything() -> None:
    """Reliability cases 9 and 29: the trial's success closes the cell, without credit, streak, rest or old outcomes."""
    cell = on_trial()
    cell.current_weight = 7
    cell.succeed(31.0, TOKEN)
    assert (cell.state, cell.streak, cell.current_weight, cell.cooldown_until_s) == (State.CLOSED, 0, 0, 0.0)
    assert cell.window.count(31.0) == (0, 0)
    assert cell.is_ready(31.0)
    assert cell.admit() == NO_TRIAL


def test_failed_trial_rests_longer() -> None:
    """Reliability case 30: the trial's failure is no trip, the rest grows, and its end admits again."""
    cell = on_trial()
    assert not cell.fail(31.0, TOKEN)
    assert (cell.streak, cell.cooldown_until_s) == (2, 91.0)
    assert cell.is_ready(91.0)
    assert cell.admit() == 2


def test_released_trial_lets_the_next_try_at_once() -> None:
    """Reliability case 32: without a verdict the rest stays over, and a second release changes nothing."""
    cell = on_trial()
    cell.release(TOKEN)
    assert cell.is_ready(30.0)
    cell.release(TOKEN)
    assert cell.admit() == 2


def test_strangers_do_not_end_a_trial() -> None:
    """Reliability case 35: a late success leaves a trial alone, and so does the release of an earlier trial."""
    cell = on_trial()
    cell.release(TOKEN)
    second = cell.admit()
    cell.succeed(31.0)
    cell.release(TOKEN)
    assert (cell.state, cell.trial) == (State.HALF_OPEN, second)
    assert cell.window.count(31.0) == (1, 0)


def test_open_cell_keeps_its_streak() -> None:
    """Reliability case 36: neither a success nor ten bad probes move the streak or the rest of an open cell."""
    cell = resting()
    cell.succeed(1.0)
    for _ in range(10):
        cell.probe_failed(2.0)
    assert (cell.streak, cell.cooldown_until_s) == (1, 30.0)
    assert cell.window.count(2.0) == (12, 11)


# Successes that turn out to be failures.


def test_dying_in_a_row_trips() -> None:
    """Reliability case 59: three answers that begin well and die trip a cell that allows two failures in a row."""
    cell = new_cell(CONSECUTIVE)
    trips = []
    for now_s in (0.0, 1.0, 2.0):
        receipt = cell.succeed(now_s)
        trips.append(cell.revise(now_s, receipt))
    assert trips == [False, False, True]
    assert cell.window.count(2.0) == (3, 3)


def test_dying_side_by_side_trips() -> None:
    """Reliability §9 D22: three answers that run at the same time and all die count as three in a row."""
    cell = new_cell(CONSECUTIVE)
    receipts = [cell.succeed(0.0) for _ in range(3)]
    assert [cell.revise(1.0, receipt) for receipt in receipts] == [False, False, True]


def test_death_goes_on_with_the_streak_that_success_ended() -> None:
    """Reliability §9 D22: the streak is the previous one and one more, and the rest is as long as that asks for."""
    cell = new_cell()
    cell.fail(0.0)
    receipt = cell.succeed(1.0)
    assert cell.streak == 0
    cell.revise(2.0, receipt, 70.0)
    assert (cell.streak, cell.cooldown_until_s, cell.is_soft(71.0)) == (2, 72.0, False)


def test_death_after_another_success_begins_a_streak() -> None:
    """Reliability §9 D22: what others proved meanwhile stands."""
    cell = new_cell()
    cell.fail(0.0)
    receipt = cell.succeed(1.0)
    cell.succeed(2.0)
    cell.revise(3.0, receipt)
    assert cell.streak == 1
    assert cell.window.count(3.0) == (3, 2)


def test_death_of_the_trial_that_closed_the_cell() -> None:
    """Reliability §9 D22: a trial that commits and dies leads back to where the cell came from, for longer."""
    cell = on_trial()
    receipt = cell.succeed(31.0, TOKEN)
    assert cell.revise(32.0, receipt)
    assert (cell.state, cell.streak, cell.cooldown_until_s) == (State.OPEN, 2, 92.0)


# Hard-down and health probes.


@pytest.mark.parametrize(("state", "was_closed"), [(State.CLOSED, True), (State.OPEN, False), (State.HALF_OPEN, False)])
def test_condemned_cell_rests_long(state: State, *, was_closed: bool) -> None:
    """Reliability case 43: hard-down rests 1800 s, and is a trip of a closed cell only."""
    cell = START[state]()
    assert cell.condemn(40.0) == was_closed
    assert (cell.cooldown_until_s, cell.trial) == (1840.0, NO_TRIAL)


def test_condemning_never_shortens_a_rest() -> None:
    """Reliability §5 D11: a day that was asked for is longer than hard-down."""
    cell = closed()
    cell.fail(0.0, retry_after_s=86400.0)
    cell.condemn(1.0)
    assert cell.cooldown_until_s == 86400.0


@pytest.mark.parametrize("start", [closed, resting, on_trial])
def test_good_probe_restores_every_state(start: Callable[[], Cell]) -> None:
    """Reliability cases 44 and 71: a good probe closes the cell, takes its credit, and counts as a success."""
    cell = start()
    cell.fail(0.0)
    cell.current_weight = 5
    cell.probe_succeeded(1.0, cell.armings)
    assert (cell.state, cell.streak, cell.current_weight, cell.is_ready(1.0)) == (State.CLOSED, 0, 0, True)
    assert cell.window.count(1.0) == (1, 0)


def test_good_probe_of_a_healthy_cell_leaves_the_rotation_alone() -> None:
    """Reliability §10: where nothing was suppressed the success is counted and no more."""
    cell = new_cell()
    cell.fail(0.0)
    cell.current_weight = 5
    cell.probe_succeeded(30.0, cell.armings)
    assert (cell.current_weight, cell.streak) == (5, 0)
    assert cell.window.count(30.0) == (2, 1)


def test_rest_that_began_after_the_probe_was_sent_stays() -> None:
    """Reliability case 44: a probe's success does not end a rest which is younger than the probe."""
    cell = resting()
    sent_at = cell.armings
    cell.condemn(10.0)
    cell.probe_succeeded(11.0, sent_at)
    assert (cell.state, cell.cooldown_until_s) == (State.OPEN, 1810.0)


@pytest.mark.parametrize("settings", [BreakerSettings(), CONSECUTIVE])
def test_probes_that_fail_now_and_then_do_not_trip(settings: BreakerSettings) -> None:
    """Reliability case 73: a probe that fails every other time never trips a cell, in either mode."""
    cell = new_cell(BreakerSettings(trip=settings.trip, threshold=0.51))
    for number in range(40):
        cell.probe_failed(number * 60.0)
        cell.probe_succeeded(number * 60.0 + 45.0, cell.armings)
    assert cell.state is State.CLOSED


# Copies.


@pytest.mark.parametrize(
    ("state", "copied"), [(State.CLOSED, State.CLOSED), (State.OPEN, State.OPEN), (State.HALF_OPEN, State.OPEN)]
)
def test_copy_owns_no_trial(state: State, copied: State) -> None:
    """Reliability case 22: a copy has state, rest and streak; of a half-open cell it is open and can recover."""
    cell = START[state]()
    made = cell.copy(CONSECUTIVE)
    assert (made.state, made.streak, made.cooldown_until_s) == (copied, cell.streak, cell.cooldown_until_s)
    assert made.settings is CONSECUTIVE
    assert made.is_ready(30.0)
    assert (made.admit() == NO_TRIAL) == (copied is State.CLOSED)


def test_copy_keeps_what_the_upstream_asked_for() -> None:
    """Reliability §2: the rest that is copied is as binding as it was."""
    cell = new_cell()
    cell.fail(0.0, retry_after_s=90.0)
    assert not cell.copy(CONSECUTIVE).is_soft(50.0)


def test_repr_says_where_it_is() -> None:
    """A cell in a log shows its state, its streak and its rest."""
    assert repr(resting()) == "<Cell OPEN streak=1 cooldown_until_s=30.000>"


@pytest.mark.parametrize("start", START.values(), ids=[state.name for state in START])
def test_another_key_ends_a_hard_down(start: Callable[[], Cell]) -> None:
    """Reliability §5: a hard-down that was about a key ends with it, a copy's too, and the cell is as good as new."""
    cell = start()
    cell.fail(0.0, retry_after_s=300.0)
    cell.condemn(0.0)
    for condemned in (cell.copy(EAGER), cell):
        condemned.pardon()
        assert (condemned.state, condemned.streak, condemned.is_ready(0.0)) == (State.CLOSED, 0, True)


@pytest.mark.parametrize(
    "move",
    [
        lambda cell: cell.probe_succeeded(1.0, cell.armings),
        lambda cell: cell.fail(1900.0, cell.admit()),
        lambda cell: cell.release(cell.admit()),
    ],
    ids=["probed", "tried in vain", "tried"],
)
def test_another_key_ends_nothing_else(move: Callable[[Cell], object]) -> None:
    """Reliability §5: what happened after the hard-down is no affair of the key's."""
    cell = closed()
    cell.condemn(0.0)
    move(cell)
    trip(cell, 1900.0)
    cell.pardon()
    assert cell.state is State.OPEN


# Those in line.


class InLine:
    """One that begins when it is called, and then does what it is told."""

    def __init__(self, cell: Cell, then: Callable[[Cell], object] = repr) -> None:
        self.calls = 0
        self._then = then
        cell.line_up(self)

    def on_ready(self, cell: Cell) -> None:
        self.calls += 1
        cell.admit()
        self._then(cell)


def test_line_is_called_in_order_as_far_as_the_cell_serves() -> None:
    """Reliability §3: one trial for the first in line, and once that is well everybody."""
    cell = resting()
    waiting = [InLine(cell) for _ in range(3)]
    assert (cell.call(29.9), [one.calls for one in waiting]) == (False, [0, 0, 0])
    assert (cell.call(30.0), [one.calls for one in waiting]) == (True, [1, 0, 0])
    cell.succeed(30.0, cell.trial)
    assert (cell.call(30.0), [one.calls for one in waiting]) == (True, [1, 1, 1])
    assert (cell.has_line, cell.ready_at_s) == (False, 0.0)


def test_newcomers_find_a_cell_with_a_line_not_ready() -> None:
    """Reliability §3: nobody overtakes; once the line is left the cell is as ready as it was."""
    cell = resting()
    waiting = InLine(cell)
    assert (cell.ready_at_s, cell.is_ready(30.0), cell.has_line) == (inf, True, True)
    cell.leave(waiting)
    assert (cell.ready_at_s, cell.has_line) == (30.0, False)


def test_soft_rest_serves_a_line() -> None:
    """Reliability D6: once what an upstream asked for is over, a line need not sit out the rest of the rest."""
    cell = new_cell()
    cell.fail(0.0, retry_after_s=10.0)
    waiting = [InLine(cell) for _ in range(2)]
    assert (cell.call(9.0), cell.call(10.0)) == (False, True)
    assert [one.calls for one in waiting] == [1, 1]


def test_call_within_a_call_leaves_the_line_to_the_first() -> None:
    """One that is called and comes back at once does not call the next one, so that a long line is no deep one."""
    cell = resting()
    inner: list[bool] = []

    def come_back(cell: Cell) -> None:
        cell.succeed(30.0, cell.trial)
        inner.append(cell.call(30.0))

    waiting = [InLine(cell, come_back) for _ in range(3)]
    assert cell.call(30.0)
    assert ([one.calls for one in waiting], inner) == ([1, 1, 1], [False] * 3)
