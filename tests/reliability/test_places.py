"""Requests that wait in line: who gets a permit, who comes first on a lane that is back, and who waits in vain."""

import pytest

from busbar_fast.reliability.attempts import Attempts, Ending
from busbar_fast.reliability.breaker import BreakerSettings, State
from busbar_fast.reliability.lookout import Lookout
from busbar_fast.reliability.places import Place
from busbar_fast.reliability.pools import Pool, PoolSettings
from tests.fakes import FakeClock
from tests.reliability.builders import DEFAULTS, EAGER, begun, hop, ignore, new_lane, new_pool, one_lane, only, trip


class Client:
    """A request that waits in line and is woken."""

    def __init__(self, pool: Pool, clock: FakeClock) -> None:
        self.attempts = Attempts(pool, clock())
        assert self.attempts.maybe_attempt(clock()) is None
        assert self.attempts.must_wait
        self.woken = 0
        self.lookout = Lookout(ignore)
        self.place = Place(self.attempts, self._wake, clock, self.lookout)

    def _wake(self) -> None:
        self.woken += 1


def test_waiting_brings_an_attempt() -> None:
    """Reliability case 16: all are full, so requests wait in order, and each permit is one attempt for one of them."""
    clock = FakeClock()
    pool = one_lane(most=1, budget=9)
    holder = begun(Attempts(pool, clock()), clock())
    clients = [Client(pool, clock) for _ in range(2)]
    newcomer = Attempts(pool, clock())
    holder.close()
    assert [client.woken for client in clients] == [1, 0]
    assert newcomer.maybe_attempt(clock()) is None
    with clients[0].place as place:
        assert place.is_settled
        attempt = place.take()
    assert attempt is not None
    assert (attempt.lane.inflight, attempt.lane.budget) == (1, 8)
    attempt.close()
    assert [client.woken for client in clients] == [1, 1]
    assert clients[1].place.take() is not None
    assert newcomer.must_wait


def test_client_that_leaves_the_line_takes_nothing_along() -> None:
    """Reliability case 18: who leaves before the turn is gone, who leaves after it gives everything back."""
    clock = FakeClock(30.0)
    pool = one_lane(most=1, budget=1, breaker=EAGER)
    lane, cell = only(pool).lane, only(pool).cell
    lane.limit(1, 9)
    holder = begun(Attempts(pool, 30.0), 30.0)
    trip(cell, 0.0)
    clients = [Client(pool, clock) for _ in range(2)]
    with clients[0].place:
        assert lane.waiting == 2
    assert lane.waiting == 1
    holder.close()
    assert (clients[1].place.is_settled, cell.state, lane.inflight) == (True, State.HALF_OPEN, 1)
    with clients[1].place:
        assert lane.budget == 8
    assert (cell.state, lane.inflight, lane.budget, lane.waiting) == (State.OPEN, 0, 9, 0)
    assert [client.woken for client in clients] == [0, 1]


def test_lane_that_tripped_meanwhile_is_not_used() -> None:
    """Reliability case 17: the permit of a tripped lane is let pass, the client waits on the rest and gets that."""
    clock = FakeClock(0.0)
    pool = new_pool([new_lane(name, most=1) for name in "ab"], breaker=EAGER)
    holders = [begun(Attempts(pool, 0.0)) for _ in range(2)]
    client = Client(pool, clock)
    holders[0].fail(0.0)
    holders[0].close()
    assert (client.woken, client.place.is_settled, holders[0].lane.inflight) == (0, False, 0)
    holders[1].close()
    with client.place as place:
        attempt = place.take()
    assert attempt is not None
    assert attempt.lane is holders[1].lane


def busy_and_resting(clock: FakeClock, *, breaker: BreakerSettings = EAGER, most: int | None = None) -> Pool:
    """Return a pool of a lane without a free permit and of one that rests until second 30."""
    pool = new_pool([new_lane("busy", most=1), new_lane("rests", most=most)], breaker=breaker)
    pool.members[0].lane.take()
    pool.members[1].cell.fail(clock(), retry_after_s=30.0)
    return pool


def served(client: Client) -> str:
    """Return whom a client that was woken has an attempt on, a dot if it has none."""
    attempt = client.place._attempt
    return "." if attempt is None else attempt.lane.model


@pytest.mark.parametrize("breaker", [EAGER, DEFAULTS], ids=["open", "asked to rest"])
def test_lane_that_comes_back_serves_those_in_line_first(breaker: BreakerSettings) -> None:
    """Reliability §3: newcomers cannot overtake who waits for a full lane while another one rests."""
    clock = FakeClock(0.0)
    pool = busy_and_resting(clock, breaker=breaker)
    first, second = Client(pool, clock), Client(pool, clock)
    clock.now_s = 29.9
    first.lookout.look(clock())
    assert (first.woken, second.woken, first.lookout.is_needed) == (0, 0, True)
    clock.now_s = 30.0
    newcomer = Attempts(pool, 30.0)
    newcomers = newcomer.maybe_attempt(30.0)
    if breaker is EAGER:  # one trial, which is not the newcomer's
        assert (served(first), second.woken, newcomers, newcomer.must_wait) == ("rests", 0, None, True)
    else:
        assert (served(first), served(second), newcomers is not None) == ("rests", "rests", True)


def test_trial_of_another_ends_the_wait() -> None:
    """Reliability §3: a lane whose trial ran when a request lined up serves it once that is well, in order."""
    clock = FakeClock(30.0)
    pool = busy_and_resting(FakeClock(0.0), most=2)
    trial = begun(Attempts(pool, 30.0), 30.0)
    clients = [Client(pool, clock) for _ in range(3)]
    trial.commit(30.0, 100.0)
    clients[0].lookout.look(30.0)
    assert [served(client) for client in clients[:1]] == ["rests"]
    assert [client.woken for client in clients] == [1, 0, 0]
    trial.close()
    assert ([client.woken for client in clients], served(clients[1])) == ([1, 1, 0], "rests")


def test_trial_without_verdict_goes_to_who_is_first_in_line() -> None:
    """Reliability §5: a trial that is released is begun again by those in line, before any newcomer."""
    clock = FakeClock(30.0)
    pool = busy_and_resting(FakeClock(0.0))
    trial = begun(Attempts(pool, 30.0), 30.0)
    client = Client(pool, clock)
    trial.close()
    assert Attempts(pool, 30.0).maybe_attempt(30.0) is None
    assert served(client) == "rests"


def test_bad_trial_leaves_those_in_line_where_they_are() -> None:
    """Reliability §5: after a trial that failed the next one is begun when that rest is over."""
    clock = FakeClock(30.0)
    pool = busy_and_resting(FakeClock(0.0))
    trial = begun(Attempts(pool, 30.0), 30.0)
    client = Client(pool, clock)
    with trial:
        trial.fail(30.0)
    client.lookout.look(30.0)
    assert (client.woken, client.lookout.is_needed) == (0, True)
    clock.now_s = 90.0
    client.lookout.look(90.0)
    assert (served(client), client.lookout.is_needed) == ("rests", False)


def test_full_lane_that_trips_is_waited_for() -> None:
    """Reliability §3: whom a tripped lane cannot serve now it serves when it is back, if nobody else came free."""
    clock = FakeClock(0.0)
    pool = new_pool([new_lane(name, most=1) for name in "ab"], breaker=EAGER)
    holders = [begun(Attempts(pool, 0.0)) for _ in range(2)]
    client = Client(pool, clock)
    with holders[0]:
        holders[0].fail(0.0)
    clock.now_s = 30.0
    client.lookout.look(30.0)
    assert (client.woken, served(client)) == (1, "a")


def test_lane_that_rests_and_is_used_up_is_not_waited_for() -> None:
    """Reliability §3: a lane without budget serves nobody, however long its rest or its line."""
    clock = FakeClock(0.0)
    pool = busy_and_resting(clock)
    busy, rests = (member.lane for member in pool.members)
    rests.limit(None, 0)
    hopeless = Client(pool, clock)
    with hopeless.place:
        assert not hopeless.lookout.is_needed
    rests.limit(None, 1)
    client = Client(pool, clock)
    rests.take()
    client.lookout.look(30.0)
    assert (client.woken, client.lookout.is_needed) == (0, False)
    busy.give_back()
    assert (client.woken, served(client)) == (1, "busy")


def test_who_waits_for_a_rest_alone_is_told() -> None:
    """Reliability §3: only while some lane lacks nothing but a permit does a request wait."""
    clock = FakeClock(0.0)
    pool = busy_and_resting(clock)
    client = Client(pool, clock)
    pool.members[0].cell.fail(0.0)
    pool.members[0].lane.give_back()
    assert (client.woken, served(client), pool.members[1].cell.has_line) == (1, ".", False)


def test_nothing_left_to_wait_for() -> None:
    """Reliability §3 D5: when the last lane lets a client down it is woken without an attempt, and it is over."""
    clock = FakeClock(0.0)
    pool = one_lane(most=1, breaker=EAGER)
    holder = begun(Attempts(pool, 0.0))
    client = Client(pool, clock)
    holder.fail(0.0)
    holder.close()
    with client.place as place:
        assert (client.woken, place.is_settled, place.take()) == (1, True, None)
    assert client.attempts.maybe_attempt(0.0) is None
    assert (client.attempts.must_wait, client.attempts.ending) == (False, Ending.EXHAUSTED)


def test_permit_after_the_deadline_is_let_pass() -> None:
    """Reliability §3: a permit that comes at the deadline goes to whoever is next."""
    clock = FakeClock(0.0)
    pool = one_lane(most=1)
    holder = begun(Attempts(pool, 0.0))
    early = Client(pool, clock)
    clock.now_s = 60.0
    later = Client(pool, clock)
    clock.now_s = 120.0
    holder.close()
    assert (early.place.take(), later.place.is_settled) == (None, True)
    assert later.place.take() is not None


def test_two_permits_at_once_are_one_attempt() -> None:
    """Reliability §3 D5: a client that was woken and has not moved yet takes no second permit."""
    clock = FakeClock(0.0)
    pool = new_pool([new_lane(name, most=1) for name in "ab"])
    holders = [begun(Attempts(pool, 0.0)) for _ in range(2)]
    client = Client(pool, clock)
    for holder in holders:
        holder.close()
    assert (client.woken, [lane.lane.inflight for lane in pool.members]) == (1, [1, 0])


def test_waiting_is_no_hop() -> None:
    """Reliability §6: a wait that brings nothing uses up no attempt."""
    clock = FakeClock(0.0)
    pool = new_pool([new_lane("a", most=1)], settings=PoolSettings(max_hops=0))
    holder = begun(Attempts(pool, 0.0))
    client = Client(pool, clock)
    with client.place:
        client.attempts.give_up_waiting()
    holder.close()
    assert hop(client.attempts) == "a"
