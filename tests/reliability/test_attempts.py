"""One request from its first attempt to its end, and that whatever an attempt holds is given back once."""

import logging
from collections.abc import Callable

import pytest

from busbar_fast.errors import OutOfOrder
from busbar_fast.reliability.attempts import NEXT, Attempt, Attempts, Ending, Phase, Step
from busbar_fast.reliability.breaker import BreakerSettings, Cell, State, Trip
from busbar_fast.reliability.lanes import DEFAULT, LaneState
from busbar_fast.reliability.pools import Action, OnExhausted, Pool, PoolSettings
from tests.reliability.builders import EAGER, begun, hop, new_lane, new_pool, one_lane, only, trip

LEAST_BAD = PoolSettings(on_exhausted=OnExhausted(Action.LEAST_BAD))

STEPS: dict[Step, Callable[[Attempt], object]] = {
    Step.COMMIT: lambda attempt: attempt.commit(0.0, 100.0),
    Step.FAIL: lambda attempt: attempt.fail(0.0),
    Step.CLIENT_FAULT: lambda attempt: attempt.client_fault(),
    Step.CONTEXT_REJECTED: lambda attempt: attempt.context_rejected(),
    Step.HARD_DOWN: lambda attempt: attempt.hard_down(0.0, "auth", is_auth=True),
    Step.DIE: lambda attempt: attempt.die(0.0, is_refunded=True),
    Step.UNFIT: lambda attempt: attempt.unfit(),
}
WAYS: dict[Phase, Callable[[Attempt], object]] = {
    Phase.RUNNING: repr,
    Phase.COMMITTED: lambda attempt: attempt.commit(0.0, 100.0),
    Phase.JUDGED: lambda attempt: attempt.client_fault(),
    Phase.OVER: lambda attempt: attempt.close(),
}


def open_pool(*, budget: int = -1) -> Pool:
    """Return a pool of a single lane whose cell is open, with a rest that is over in second 30."""
    pool = one_lane(budget=budget, breaker=EAGER)
    trip(only(pool).cell)
    return pool


def counters(lane: LaneState) -> tuple[int, int, int]:
    """Return successes, errors and client faults."""
    return lane.ok, lane.err, lane.client_fault


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("step", Step)
def test_every_phase_with_every_step(phase: Phase, step: Step) -> None:
    """Each report is taken where the table has it and is a bug elsewhere, and nothing is held at the end."""
    pool = one_lane(budget=5)
    attempt = begun(Attempts(pool, 0.0))
    WAYS[phase](attempt)
    if (phase, step) in NEXT:
        STEPS[step](attempt)
        assert attempt.phase is NEXT[phase, step]
    else:
        with pytest.raises(OutOfOrder, match=step.name):
            STEPS[step](attempt)
        assert attempt.phase is phase
    attempt.close()
    is_used = attempt.lane.ok and not (phase is Phase.COMMITTED and step is Step.DIE)
    assert (attempt.lane.inflight, attempt.lane.budget) == (0, 4 if is_used else 5)


# What an attempt holds.


def test_attempt_holds_permit_unit_and_trial() -> None:
    """Reliability §3: selection takes the permit, reserves the unit and starts the trial in one step."""
    pool = open_pool(budget=3)
    attempt = begun(Attempts(pool, 30.0), 30.0)
    assert (attempt.lane.inflight, attempt.lane.budget, attempt.cell.state) == (1, 2, State.HALF_OPEN)
    assert repr(attempt) == "<Attempt m RUNNING trial>"
    assert attempt.member is only(pool)


@pytest.mark.parametrize(
    "end",
    [repr, Attempt.client_fault, Attempt.context_rejected, Attempt.unfit],
    ids=["gone", "fault", "context", "unfit"],
)
def test_trial_without_verdict_is_released(end: Callable[[Attempt], object]) -> None:
    """Reliability cases 32 and 33: after a client fault, a context rejection or no report the next request may try."""
    pool = open_pool(budget=1)
    with begun(Attempts(pool, 30.0), 30.0) as attempt:
        end(attempt)
    assert (attempt.cell.state, attempt.lane.budget, attempt.lane.inflight) == (State.OPEN, 1, 0)
    begun(Attempts(pool, 30.0), 30.0).close()


def test_exception_gives_everything_back() -> None:
    """Reliability §5: the trial is released, and permit and unit given back, when the block ends by an exception."""
    pool = open_pool(budget=1)
    with pytest.raises(GeneratorExit), begun(Attempts(pool, 30.0), 30.0) as attempt:
        raise GeneratorExit
    assert (attempt.cell.state, attempt.lane.budget, attempt.lane.inflight) == (State.OPEN, 1, 0)


def test_closing_again_gives_nothing_back_again() -> None:
    """Reliability case 21: permit, unit and trial are given back exactly once, however often the attempt is closed."""
    pool = open_pool(budget=2)
    attempt = begun(Attempts(pool, 30.0), 30.0)
    attempt.close()
    other = begun(Attempts(pool, 30.0), 30.0)
    attempt.close()
    assert (other.lane.inflight, other.lane.budget, other.cell.state) == (1, 1, State.HALF_OPEN)


def test_permit_may_go_early() -> None:
    """Reliability §2: once the upstream's body is read the permit is free, and it is given back once only."""
    pool = one_lane(most=1)
    with begun(Attempts(pool, 0.0)) as attempt:
        attempt.return_permit()
        assert attempt.lane.is_available
        attempt.return_permit()
        attempt.commit(0.0, 10.0)
    assert attempt.lane.inflight == 0


def test_permit_is_held_to_the_end_of_a_stream() -> None:
    """Reliability case 19: the commit keeps the permit, the end of the block gives it back."""
    pool = one_lane(most=1)
    with begun(Attempts(pool, 0.0)) as attempt:
        attempt.commit(0.0, 10.0)
        assert attempt.lane.inflight == 1
    assert attempt.lane.inflight == 0


def test_budget_admits_as_many_as_it_has() -> None:
    """Reliability case 20: ten requests at once on a budget of three: three attempts, then no pool can use the lane."""
    lane = new_lane(budget=3)
    pools = [new_pool([lane], name=name) for name in ("a", "b")]
    attempts = [Attempts(pools[0], 0.0).maybe_attempt(0.0) for _ in range(10)]
    made = [attempt for attempt in attempts if attempt is not None]
    for attempt in made:
        with attempt:
            attempt.commit(0.0, 10.0)
    assert (len(made), lane.budget) == (3, 0)
    assert [Attempts(pool, 0.0).maybe_attempt(0.0) for pool in pools] == [None, None]


# What an attempt reports.


def test_success_is_counted_once() -> None:
    """Reliability case 85: one success adds one, and its time to the smoothed latency."""
    pool = one_lane(budget=2)
    with begun(Attempts(pool, 0.0)) as attempt:
        attempt.commit(1.0, 250.0)
    assert (counters(attempt.lane), attempt.lane.latency_ewma_ms, attempt.lane.budget) == ((1, 0, 0), 250.0, 1)


def test_failure_is_counted_once_and_refunded() -> None:
    """Reliability cases 21, 54 and 85: a failure before the commit is one error, no success, and costs no budget."""
    pool = one_lane(budget=2)
    with begun(Attempts(pool, 0.0)) as attempt:
        assert not attempt.fail(0.0)
    assert (counters(attempt.lane), attempt.lane.budget) == ((0, 1, 0), 2)
    assert attempt.cell.is_soft(0.0)


def test_client_faults_and_context_rejections_are_nobodys_failure() -> None:
    """Reliability cases 27 and 68: a hundred client faults and a hundred context rejections leave the cell closed."""
    pool = one_lane()
    for _ in range(100):
        with begun(Attempts(pool, 0.0)) as attempt:
            attempt.client_fault()
        with begun(Attempts(pool, 0.0)) as attempt:
            attempt.context_rejected()
    assert (counters(attempt.lane), attempt.cell.state, attempt.cell.is_ready(0.0)) == ((0, 0, 100), State.CLOSED, True)


def test_trip_is_told_to_whoever_caused_it() -> None:
    """Reliability cases 23 and 30: the failure that opens the cell says so, the one of a trial does not."""
    pool = one_lane(breaker=EAGER)
    with begun(Attempts(pool, 0.0)) as first:
        assert first.fail(0.0)
    with begun(Attempts(pool, 30.0), 30.0) as trial:
        assert not trial.fail(30.0, 100.0)
    assert trial.cell.cooldown_until_s == 130.0


def test_good_trial_ends_the_reason() -> None:
    """Reliability cases 29 and 44: the owner's success closes the cell and clears why the lane was down."""
    pool = one_lane()
    only(pool).lane.condemn(0.0, "billing")
    with begun(Attempts(pool, 1800.0), 1800.0) as attempt:
        attempt.commit(1801.0, 10.0)
    assert (attempt.cell.state, attempt.lane.dead_reason) == (State.CLOSED, "")


def test_success_of_a_trial_that_was_overtaken_clears_nothing() -> None:
    """Reliability case 44: a hard-down that arrives during a trial survives the trial's success."""
    pool = open_pool()
    with begun(Attempts(pool, 30.0), 30.0) as attempt:
        attempt.lane.condemn(31.0, "auth")
        attempt.commit(32.0, 10.0)
    assert (attempt.cell.state, attempt.cell.cooldown_until_s, attempt.lane.dead_reason) == (State.OPEN, 1831.0, "auth")


def test_late_success_leaves_a_trial_alone() -> None:
    """Reliability case 35: a request from before the trip that succeeds during another's trial does not end it."""
    pool = one_lane(breaker=EAGER)
    late = begun(Attempts(pool, 0.0))
    trip(only(pool).cell)
    trial = begun(Attempts(pool, 30.0), 30.0)
    late.commit(31.0, 10.0)
    late.close()
    assert trial.cell.state is State.HALF_OPEN
    trial.commit(32.0, 10.0)
    trial.close()
    assert (trial.cell.state, trial.lane.ok) == (State.CLOSED, 2)


def test_hard_down_opens_every_cell_and_is_one_trip() -> None:
    """Reliability cases 41 and 43: the refusal is one error and one trip, and on a later trial it is no trip."""
    pool = one_lane()
    with begun(Attempts(pool, 0.0)) as attempt:
        assert attempt.hard_down(0.0, "billing", is_auth=False)
    lane = attempt.lane
    assert [cell.cooldown_until_s for cell in lane.cells.values()] == [1800.0, 1800.0]
    with begun(Attempts(pool, 1800.0), 1800.0) as trial:
        assert not trial.hard_down(1801.0, "billing", is_auth=False)
    assert (trial.cell.state, trial.cell.cooldown_until_s, counters(lane)) == (State.OPEN, 3601.0, (0, 2, 0))


def test_dying_after_the_commit_is_one_failure_and_refunded() -> None:
    """Reliability cases 57 and 58: the success stays counted, one error is added, transport failures are refunded."""
    pool = one_lane(budget=4)
    with begun(Attempts(pool, 0.0)) as attempt:
        attempt.commit(0.0, 10.0)
        assert not attempt.die(5.0, is_refunded=True, retry_after_s=50.0)
    assert (counters(attempt.lane), attempt.lane.budget) == ((1, 1, 0), 4)
    assert (attempt.cell.window.count(5.0), attempt.cell.streak, attempt.cell.hold_until_s) == ((1, 1), 1, 55.0)


def test_dying_in_a_way_that_is_not_refunded() -> None:
    """Reliability §9: an error inside the stream is the same failure, and the unit stays spent."""
    pool = one_lane(budget=4)
    with begun(Attempts(pool, 0.0)) as attempt:
        attempt.commit(0.0, 10.0)
        attempt.die(5.0, is_refunded=False)
    assert attempt.lane.budget == 3


def test_dying_again_and_again_trips() -> None:
    """Reliability case 59: three answers that begin well and die trip a cell that counts failures in a row."""
    pool = one_lane(breaker=BreakerSettings(trip=Trip.CONSECUTIVE))
    trips = []
    for _ in range(3):
        with begun(Attempts(pool, 0.0)) as attempt:
            attempt.commit(0.0, 10.0)
            trips.append(attempt.die(0.0, is_refunded=True))
    assert trips == [False, False, True]


def test_clean_ends_are_no_failure() -> None:
    """Reliability case 56: twenty streams that end well leave no error behind."""
    pool = one_lane()
    for _ in range(20):
        with begun(Attempts(pool, 0.0)) as attempt:
            attempt.commit(0.0, 10.0)
    assert (counters(attempt.lane), attempt.cell.window.count(0.0)) == ((20, 0, 0), (20, 0))


# From lane to lane.


def test_hops_are_limited() -> None:
    """Reliability case 51: max_hops 3 and five failing members: four attempts on four lanes, then it is over."""
    pool = new_pool([new_lane(name) for name in "abcde"])
    attempts = Attempts(pool, 0.0)
    assert [hop(attempts) for _ in range(5)] == ["a", "b", "c", "d", "."]
    assert (attempts.ending, len(attempts.tried)) == (Ending.EXHAUSTED, 4)


def test_no_lane_is_tried_twice() -> None:
    """Reliability §6: of two members each gets one attempt, whatever hops are left."""
    attempts = Attempts(new_pool([new_lane(name) for name in "ab"]), 0.0)
    assert [hop(attempts) for _ in range(3)] == ["a", "b", "."]


def test_deadline_ends_it() -> None:
    """Reliability case 52: at the deadline there is no attempt any more, and the client may come back in a second."""
    pool = new_pool([new_lane(name) for name in "ab"], settings=PoolSettings(timeout_s=1.0))
    attempts = Attempts(pool, 0.0)
    assert (hop(attempts, 0.5), attempts.remaining_s(0.5)) == ("a", 0.5)
    assert hop(attempts, 1.0) == "."
    assert (attempts.ending, attempts.retry_after_s(1.0), attempts.remaining_s(2.0)) == (Ending.TIMED_OUT, 1, 0.0)


def test_sticky_first_then_policy_then_weights() -> None:
    """Reliability case 15: the session's member is first, the next hop follows the ranking, the last the rotation."""
    pool = new_pool([new_lane(name) for name in "abcd"])
    _, b, c, d = pool.members
    attempts = Attempts(pool, 0.0, ranked=[c, d], sticky=b)
    assert [hop(attempts) for _ in range(4)] == ["b", "c", "d", "a"]


def test_single_failing_member_says_when_to_come_back() -> None:
    """Reliability cases 64 and 86: after the only member failed its rest is told, and the next request may try."""
    pool = one_lane()
    attempts = Attempts(pool, 0.0)
    assert [hop(attempts), hop(attempts)] == ["m", "."]
    assert attempts.retry_after_s(0.0) == 30
    assert hop(Attempts(pool, 0.0)) == "m"


def test_rest_that_was_asked_for_is_binding() -> None:
    """Reliability case 86: after a 429 with Retry-After there is no attempt before that time is over."""
    pool = one_lane()
    with begun(Attempts(pool, 0.0)) as attempt:
        attempt.fail(0.0, 60.0)
    late = Attempts(pool, 59.0)
    assert (hop(late, 59.0), late.ending, late.retry_after_s(59.0)) == (".", Ending.EXHAUSTED, 1)
    assert hop(Attempts(pool, 60.0), 60.0) == "m"


def test_key_that_is_refused_takes_its_provider_out() -> None:
    """Reliability case 42: after a refused key the other provider serves, and the first one's lanes are left alone."""
    lanes = [new_lane("a", provider="p"), new_lane("b", provider="p"), new_lane("c", provider="q")]
    attempts = Attempts(new_pool(lanes), 0.0)
    with begun(attempts) as attempt:
        attempt.hard_down(0.0, "auth", is_auth=True)
    with begun(attempts) as attempt:
        assert attempt.lane is lanes[2]
        attempt.commit(0.0, 10.0)
    assert not lanes[0].cells[DEFAULT].is_ready(0.0)
    assert lanes[1].cells[DEFAULT].is_ready(0.0)


def test_refusal_of_a_key_that_is_out_of_use_leaves_the_lane_alone() -> None:
    """Reliability §5: a request that was under way with the old key hops, and the new one is not held to it."""
    pool = one_lane(breaker=EAGER)
    attempts = Attempts(pool, 0.0)
    with begun(attempts) as attempt:
        attempt.lane.use_key(1)
        assert not attempt.hard_down(0.0, "auth", is_auth=True, key_number=0)
    assert (attempt.cell.state, counters(attempt.lane), attempt.lane.dead_reason) == (State.CLOSED, (0, 1, 0), "")
    assert attempts.maybe_attempt(0.0) is None
    assert attempts.ending is Ending.KEY_REFUSED


def test_hard_down_after_the_commit_takes_the_success_back() -> None:
    """Reliability D22: what a window holds as a success is a failure there once the stream says that the key is."""
    pool = one_lane()
    cell = only(pool).cell
    cell.succeed(0.0)
    with begun(Attempts(pool, 0.0)) as attempt:
        attempt.commit(0.0, 100.0)
        assert attempt.hard_down(1.0, "auth", is_auth=True)
    assert (cell.window.count(1.0), cell.state, cell.streak) == ((2, 1), State.OPEN, 0)


def test_billing_takes_out_the_lane_only() -> None:
    """Reliability case 43: an account without money fails over to the next lane, of the same provider too."""
    lanes = [new_lane("a"), new_lane("b")]
    attempts = Attempts(new_pool(lanes), 0.0)
    with begun(attempts) as attempt:
        attempt.hard_down(0.0, "billing", is_auth=False)
    assert [hop(attempts), hop(attempts)] == ["b", "."]
    assert attempts.ending is Ending.EXHAUSTED


def reject_context(attempts: Attempts) -> str:
    """Make attempts that are all refused for length; return their models."""
    seen = ""
    while (attempt := attempts.maybe_attempt(0.0)) is not None:
        with attempt:
            attempt.context_rejected()
        seen += attempt.lane.model
    return seen


def test_smaller_lanes_are_not_tried_after_a_context_rejection() -> None:
    """Reliability case 48: of 200k, 100k, 1M and unknown the 100k lane is skipped, and the client learns the reason."""
    sizes = {"a": 200_000, "b": 100_000, "c": 1_000_000, "d": None}
    attempts = Attempts(new_pool([new_lane(name, context_max=size) for name, size in sizes.items()]), 0.0)
    assert reject_context(attempts) == "acd"
    assert attempts.ending is Ending.UNFIT


def test_a_lane_that_nothing_was_sent_to_is_no_hop() -> None:
    """IR §6: who cannot be asked in his own words is passed by, whatever the limit on hops, and blames nobody."""
    lanes = [new_lane(name) for name in "abcd"]
    attempts = Attempts(new_pool(lanes, settings=PoolSettings(max_hops=0)), 0.0)
    for lane in lanes[:3]:
        with begun(attempts) as attempt:
            attempt.unfit()
        assert (attempt.lane, counters(lane)) == (lane, (0, 0, 0))
    with begun(attempts) as attempt:
        attempt.fail(0.0)
    assert attempts.maybe_attempt(0.0) is None
    assert attempts.ending is Ending.EXHAUSTED


def test_lane_of_unknown_size_excludes_only_itself() -> None:
    """Reliability §5: what a lane of unknown size refuses may fit into any other."""
    sizes = {"a": None, "b": 1000, "c": 1000}
    attempts = Attempts(new_pool([new_lane(name, context_max=size) for name, size in sizes.items()]), 0.0)
    assert reject_context(attempts) == "ab"


@pytest.mark.parametrize(
    ("reports", "ending"),
    [
        ((Step.CONTEXT_REJECTED,), Ending.UNFIT),
        ((Step.HARD_DOWN,), Ending.KEY_REFUSED),
        ((Step.HARD_DOWN, Step.CONTEXT_REJECTED), Ending.UNFIT),
        ((Step.CONTEXT_REJECTED, Step.HARD_DOWN), Ending.KEY_REFUSED),
        ((Step.FAIL, Step.CONTEXT_REJECTED), Ending.EXHAUSTED),
        ((Step.CONTEXT_REJECTED, Step.FAIL), Ending.EXHAUSTED),
        ((), Ending.EXHAUSTED),
    ],
)
@pytest.mark.parametrize("action", [Action.REJECT, Action.QUEUE, Action.LEAST_BAD])
def test_last_verdict_is_the_answer_if_all_speak_for_the_request(
    reports: tuple[Step, ...], ending: Ending, action: Action
) -> None:
    """Reliability cases 41 and 48, §7 D15: only where every hop was refused for key or length is that the answer."""
    lanes = [new_lane(str(number), provider=str(number)) for number in range(len(reports))]
    pool = new_pool(lanes, settings=PoolSettings(on_exhausted=OnExhausted(action)))
    attempts = Attempts(pool, 0.0)
    for step in reports:
        with begun(attempts) as attempt:
            STEPS[step](attempt)
    while (last := attempts.maybe_attempt(0.0)) is not None:
        assert last.is_last_resort
        last.close()
    assert attempts.ending is ending


# Beyond the pool.


def test_least_bad_bypasses_the_breaker_once() -> None:
    """Reliability case 65: of two open lanes the full one is passed over; the other's success leaves both open."""
    lanes = [new_lane(name, most=1) for name in "ab"]
    pool = new_pool(lanes, settings=LEAST_BAD, breaker=EAGER)
    for member, at_s in zip(pool.members, (-20.0, 60.0), strict=True):
        trip(member.cell, at_s)
    lanes[0].take()
    attempts = Attempts(pool, 0.0)
    with begun(attempts) as attempt:
        assert (attempt.lane, attempt.is_last_resort) == (lanes[1], True)
        attempt.commit(0.0, 10.0)
    assert [member.cell.state for member in pool.members] == [State.OPEN, State.OPEN]
    assert pool.members[1].cell.streak == 1
    assert attempts.maybe_attempt(0.0) is None
    assert attempts.ending is Ending.EXHAUSTED


def test_last_resorts_are_warned_of_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """Reliability §7 `least_bad`: the log hears that a pool goes on in spite of its breakers, and how often."""
    pool = new_pool([new_lane()], settings=LEAST_BAD, breaker=EAGER)
    only(pool).cell.fail(0.0, retry_after_s=300.0)
    with caplog.at_level(logging.WARNING):
        for now_s in (1.0, 2.0, 3.0, 62.0):
            hop(Attempts(pool, now_s), now_s)
    assert [record.getMessage() for record in caplog.records] == [
        f"nobody in pool can serve: m is tried all the same ({count} since the last warning)" for count in (1, 3)
    ]


def test_least_bad_owns_no_trial() -> None:
    """Reliability §7: the last resort on a half-open cell leaves the trial to its owner, whatever becomes of it."""
    pool = new_pool([new_lane()], settings=LEAST_BAD, breaker=EAGER)
    trip(only(pool).cell)
    owner = begun(Attempts(pool, 30.0), 30.0)
    with begun(Attempts(pool, 30.0), 30.0) as attempt:
        attempt.fail(30.0)
    assert (attempt.is_last_resort, owner.cell.state) == (True, State.HALF_OPEN)


def test_least_bad_may_try_a_lane_again() -> None:
    """Reliability §7: where every lane has been tried the one that comes back first gets one attempt more."""
    pool = new_pool([new_lane("a"), new_lane("b")], settings=LEAST_BAD)
    attempts = Attempts(pool, 0.0)
    assert [hop(attempts, now_s) for now_s in (0.0, 1.0, 2.0, 3.0)] == ["a", "b", "a", "."]


def test_least_bad_is_the_last_of_all() -> None:
    """Reliability §7: after the last resort nothing follows, not even a lane that has become ready meanwhile."""
    pool = new_pool([new_lane("a"), new_lane("b")], settings=LEAST_BAD, breaker=EAGER)
    for member in pool.members:
        trip(member.cell)
    attempts = Attempts(pool, 29.0)
    assert [hop(attempts, 29.0), hop(attempts, 31.0)] == ["a", "."]


def two_pools(first: Pool, second: Pool) -> dict[str, Pool]:
    """Return pools by name."""
    return {first.name: first, second.name: second}


FALL_BACK = PoolSettings(on_exhausted=OnExhausted(Action.FALL_BACK, "spare"))


def test_fallback_goes_on_with_deadline_and_tried_lanes() -> None:
    """Reliability case 69: the second pool has hops of its own, the first deadline, and does not repeat a lane."""
    lanes = [new_lane(name) for name in "abcd"]
    first = new_pool(lanes[:2], settings=FALL_BACK, name="first")
    excluding = PoolSettings(timeout_s=999.0, max_hops=0, exclusions=("c",))
    spare = new_pool([lanes[0], lanes[2], lanes[3]], settings=excluding, name="spare")
    attempts = Attempts(first, 0.0, pools=two_pools(first, spare), sticky=first.members[1])
    assert [hop(attempts) for _ in range(4)] == ["b", "a", "d", "."]
    assert (attempts.ending, attempts.deadline_s, attempts.visited) == (Ending.EXHAUSTED, 120.0, (first, spare))
    assert attempts.pool is spare


def test_fallback_cell_recovers_apart_from_the_default_one() -> None:
    """Reliability case 66: a trial in the fallback pool closes or reopens that pool's cell and no other."""
    lane = new_lane()
    first = new_pool([], settings=FALL_BACK, name="first")
    spare = new_pool([lane], name="spare", breaker=EAGER)
    pools = two_pools(first, spare)
    trip(only(spare).cell)
    with begun(Attempts(first, 30.0, pools=pools), 30.0) as attempt:
        attempt.fail(30.0)
    assert (only(spare).cell.state, only(spare).cell.cooldown_until_s) == (State.OPEN, 90.0)
    with begun(Attempts(first, 90.0, pools=pools), 90.0) as attempt:
        attempt.commit(90.0, 10.0)
    assert only(spare).cell.state is State.CLOSED
    assert lane.cells[DEFAULT].window.count(90.0) == (0, 0)


def test_context_and_key_exclusions_travel_along() -> None:
    """Reliability §7 D15: the fallback pool runs after such verdicts too, without lanes that would repeat them."""
    sizes = {"a": 100, "b": 100, "c": 200}
    lanes = [new_lane(name, context_max=size) for name, size in sizes.items()]
    first = new_pool(lanes[:1], settings=FALL_BACK, name="first")
    spare = new_pool(lanes[1:], name="spare")
    assert reject_context(Attempts(first, 0.0, pools=two_pools(first, spare))) == "ac"


def test_circle_of_pools_ends_with_the_last() -> None:
    """Reliability case 69: a circle that got past the checks is walked once."""
    back = PoolSettings(on_exhausted=OnExhausted(Action.FALL_BACK, "first"))
    first = new_pool([new_lane("a")], settings=FALL_BACK, name="first")
    spare = new_pool([new_lane("b")], settings=back, name="spare")
    attempts = Attempts(first, 0.0, pools=two_pools(first, spare))
    assert [hop(attempts) for _ in range(3)] == ["a", "b", "."]
    assert attempts.ending is Ending.EXHAUSTED


# Waiting.


@pytest.mark.parametrize(
    ("settings", "patience_s"),
    [
        (PoolSettings(), 119.0),
        (PoolSettings(on_exhausted=OnExhausted(Action.QUEUE, max_wait_s=2.5)), 2.5),
        (PoolSettings(timeout_s=3.0, on_exhausted=OnExhausted(Action.QUEUE, max_wait_s=2.5)), 2.0),
        (FALL_BACK, 0.0),
        (PoolSettings(on_exhausted=OnExhausted(Action.FALL_BACK, "spare", 4.0)), 4.0),
    ],
)
def test_waiting_is_bounded(settings: PoolSettings, patience_s: float) -> None:
    """Reliability §3 D5: by the deadline, by what was set, and not at all where another pool can take over."""
    attempts = Attempts(new_pool([new_lane()], settings=settings), 0.0)
    assert attempts.patience_s(1.0) == patience_s


def test_those_in_line_for_a_lane_go_first() -> None:
    """Reliability §3: a newcomer that finds a lane back lets those go on who wait for it, and takes what is left."""
    called: list[Cell] = []

    class InLine:
        def on_ready(self, cell: Cell) -> None:
            called.append(cell)

    pool = open_pool()
    only(pool).cell.line_up(InLine())
    begun(Attempts(pool, 30.0), 30.0).close()
    assert called == [only(pool).cell]


def test_full_pool_spills_at_once() -> None:
    """Reliability case 17: with a pool to fall back to nobody waits."""
    busy, spare_lane = new_lane("a", most=1), new_lane("b")
    busy.take()
    first = new_pool([busy], settings=FALL_BACK, name="first")
    spare = new_pool([spare_lane], name="spare")
    assert begun(Attempts(first, 0.0, pools=two_pools(first, spare))).lane is spare_lane


def test_giving_up_waiting_is_exhaustion() -> None:
    """Reliability §3: who waited long enough is told to come back soon, and falls back before that where it can."""
    lane = new_lane(most=1)
    lane.take()
    settings = PoolSettings(on_exhausted=OnExhausted(Action.QUEUE, max_wait_s=1.0))
    attempts = Attempts(new_pool([lane], settings=settings), 0.0)
    assert attempts.maybe_attempt(0.0) is None
    assert (attempts.must_wait, attempts.ending) == (True, Ending.NONE)
    attempts.give_up_waiting()
    assert attempts.maybe_attempt(1.0) is None
    assert (attempts.must_wait, attempts.ending, attempts.retry_after_s(1.0)) == (False, Ending.EXHAUSTED, 2)


def test_each_pool_has_its_own_patience() -> None:
    """Reliability §7: who waited in vain in the first pool may wait in the one it falls back to."""
    lanes = [new_lane(name, most=1) for name in "ab"]
    for lane in lanes:
        lane.take()
    waiting = PoolSettings(on_exhausted=OnExhausted(Action.FALL_BACK, "spare", 4.0))
    first, spare = new_pool(lanes[:1], settings=waiting, name="first"), new_pool(lanes[1:], name="spare")
    attempts = Attempts(first, 0.0, pools=two_pools(first, spare))
    for pool in (first, spare):
        assert attempts.maybe_attempt(0.0) is None
        assert (attempts.must_wait, attempts.pool) == (True, pool)
        attempts.give_up_waiting()


# All at once.


def test_shares_hold_while_requests_overlap() -> None:
    """Reliability case 10: five hundred requests that all run at once are spread by weight."""
    lanes = [new_lane(name) for name in "abc"]
    pool = new_pool(lanes, (5, 3, 2))
    running = [begun(Attempts(pool, 0.0)) for _ in range(500)]
    assert [lane.inflight for lane in lanes] == [250, 150, 100]
    for attempt in running:
        attempt.close()
    assert [lane.inflight for lane in lanes] == [0, 0, 0]
    assert sum(member.cell.current_weight for member in pool.members) == 0


def test_one_of_fifty_tries() -> None:
    """Reliability case 28: fifty requests on an open cell whose rest is over: one reaches the upstream."""
    pool = open_pool()
    made = [Attempts(pool, 30.0).maybe_attempt(30.0) for _ in range(50)]
    assert [attempt is not None for attempt in made] == [True] + [False] * 49
