"""Requests, probes, reloads and time in any order: nothing is lost, doubled or kept from who waits for it."""

from collections import Counter
from dataclasses import dataclass
from math import inf

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from busbar_fast.reliability.attempts import Attempt, Attempts, Ending, Phase
from busbar_fast.reliability.breaker import NO_TRIAL, BreakerSettings, State, Trip
from busbar_fast.reliability.lanes import DEFAULT, LaneState, Probe
from busbar_fast.reliability.lookout import Lookout
from busbar_fast.reliability.places import Place
from busbar_fast.reliability.pools import Action, OnExhausted, Pool, PoolMember, PoolSettings
from busbar_fast.reliability.report import report
from tests.fakes import FakeClock
from tests.reliability.builders import centre, ignore, trip

LANES = 3
BUDGET = 12
BREAKERS = {
    "front": BreakerSettings(trip=Trip.CONSECUTIVE, consecutive_n=2, base_cooldown_s=1.0, max_cooldown_s=8.0),
    "spare": BreakerSettings(min_requests=2, base_cooldown_s=1.0, max_cooldown_s=4.0),
}
ACTIONS = (
    OnExhausted(),
    OnExhausted(Action.LEAST_BAD),
    OnExhausted(Action.FALL_BACK, "spare"),
    OnExhausted(Action.QUEUE, max_wait_s=5.0),
)
CHOICES = st.integers(min_value=0, max_value=1000)


@dataclass(eq=False)
class Client:
    """A request as its own code sees it. An eager one goes on as soon as it is woken."""

    attempts: Attempts
    is_eager: bool
    attempt: Attempt | None = None
    has_permit: bool = False
    owes_unit: bool = False
    place: Place | None = None
    is_woken: bool = False


class Traffic(RuleBasedStateMachine):
    """Clients over two pools of the same three lanes."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock(1000.0)
        self.lanes = [
            LaneState(f"m{n}", f"p{n % 2}", centre, BREAKERS["spare"], context_max=(100, None, 200)[n])
            for n in range(LANES)
        ]
        for lane in self.lanes:
            lane.limit(1, BUDGET)
        self.pools: dict[str, Pool] = {}
        self.on_reload(1, [3, 1, 2], 0)
        self.clients: list[Client] = []
        self.lookout = Lookout(ignore)
        self.probes: list[tuple[LaneState, Probe]] = []
        self.kept: Counter[LaneState] = Counter()  # units that commits have used

    # What clients do.

    @rule(
        pool=st.sampled_from(["front", "spare", "m0"]),
        count=st.integers(min_value=1, max_value=6),
        sticky=st.booleans(),
        is_eager=st.booleans(),
    )
    def arrive(self, pool: str, count: int, *, sticky: bool, is_eager: bool) -> None:
        """Requests come and take what they can get."""
        for _ in range(count):
            self.come(pool, sticky=sticky, is_eager=is_eager)

    def come(self, pool: str, *, sticky: bool, is_eager: bool) -> None:
        """Begin a request."""
        wanted = self.pools[pool]
        first = wanted.members[-1]
        ranked = () if sticky else (first,)
        attempts = Attempts(wanted, self.clock(), pools=self.pools, ranked=ranked, sticky=first if sticky else None)
        client = Client(attempts, is_eager)
        self.clients.append(client)
        self.go_on(client)

    def go_on(self, client: Client) -> None:
        """Make the next attempt, or line up, or leave."""
        attempt = client.attempts.maybe_attempt(self.clock())
        if attempt is not None:
            self.hold(client, attempt)
        elif client.attempts.must_wait:
            client.is_woken = False
            client.place = Place(client.attempts, lambda: self.on_wake(client), self.clock, self.lookout)
            client.place.__enter__()
        else:
            assert client.attempts.ending is not Ending.NONE
            assert client.attempts.retry_after_s(self.clock()) >= 1
            self.clients.remove(client)

    def hold(self, client: Client, attempt: Attempt) -> None:
        """Take on the duties of an attempt."""
        assert client.attempt is None
        client.attempt, client.has_permit, client.owes_unit = attempt, True, True

    def on_wake(self, client: Client) -> None:
        """Hear that waiting is over; it is said once."""
        assert not client.is_woken
        assert client.place is not None
        assert client.place.is_settled
        client.is_woken = True
        if client.is_eager:
            self.leave_line(client)

    def leave_line(self, client: Client) -> None:
        """Leave the line with what it has brought."""
        place = client.place
        assert place is not None
        attempt = place.take()
        client.place = None
        place.__exit__(None, None, None)
        if attempt is not None:
            self.hold(client, attempt)
        else:
            client.attempts.give_up_waiting()
            self.go_on(client)

    def able(self, *phases: Phase) -> list[tuple[Client, Attempt]]:
        """Return the clients whose attempt is in one of these phases."""
        return [
            (client, client.attempt)
            for client in self.clients
            if client.attempt is not None and client.attempt.phase in phases
        ]

    def chosen(self, number: int, *phases: Phase) -> tuple[Client, Attempt]:
        """Return one of them, and its attempt."""
        able = self.able(*phases)
        return able[number % len(able)]

    @precondition(lambda self: any(client.place for client in self.clients))
    @rule(number=CHOICES)
    def take_turn(self, number: int) -> None:
        """A client that was woken, or has waited long enough, goes on."""
        waiting = [client for client in self.clients if client.place is not None]
        self.leave_line(waiting[number % len(waiting)])

    @precondition(lambda self: self.clients)
    @rule(number=CHOICES)
    def disconnect(self, number: int) -> None:
        """A client leaves, wherever it is, and closes what it holds, twice to be sure."""
        client = self.clients.pop(number % len(self.clients))
        if client.place is not None:
            client.place.__exit__(None, None, None)
        if client.attempt is not None:
            self.let_go(client)

    def let_go(self, client: Client) -> None:
        """Close an attempt, and then once more."""
        attempt = client.attempt
        assert attempt is not None
        client.attempt, client.has_permit, client.owes_unit = None, False, False
        attempt.close()
        before = (attempt.lane.inflight, attempt.lane.budget, attempt.cell.trial)
        attempt.close()
        assert (attempt.lane.inflight, attempt.lane.budget, attempt.cell.trial) == before

    @precondition(lambda self: self.able(Phase.RUNNING))
    @rule(number=CHOICES)
    def commit(self, number: int) -> None:
        """An answer begins."""
        client, attempt = self.chosen(number, Phase.RUNNING)
        attempt.commit(self.clock(), 12.0)
        client.owes_unit = False
        self.kept[attempt.lane] += 1

    @precondition(lambda self: self.able(Phase.COMMITTED))
    @rule(number=CHOICES, how=st.sampled_from(["refunded", "not refunded", "finished", "condemned"]))
    def end(self, number: int, how: str) -> None:
        """An answer that began breaks off, or ends well."""
        client, attempt = self.chosen(number, Phase.COMMITTED)
        if how == "condemned":
            attempt.hard_down(self.clock(), "refused", is_auth=True)
        elif how != "finished":
            attempt.die(self.clock(), is_refunded=how == "refunded")
            self.kept[attempt.lane] -= how == "refunded"
        if number % 2:  # else something happens in between
            self.clients.remove(client)
            self.let_go(client)

    @precondition(lambda self: self.able(Phase.RUNNING))
    @rule(
        number=CHOICES,
        how=st.sampled_from(["failed", "told to wait", "too long", "key refused", "no money"]),
    )
    def hop(self, number: int, how: str) -> None:
        """An attempt comes to nothing, and its client goes to the next lane."""
        client, attempt = self.chosen(number, Phase.RUNNING)
        if how == "too long":
            attempt.context_rejected()
        elif how in ("failed", "told to wait"):
            attempt.fail(self.clock(), None if how == "failed" else 5.0)
        else:
            attempt.hard_down(self.clock(), how, is_auth=how == "key refused")
        self.let_go(client)
        self.go_on(client)

    @precondition(lambda self: self.able(Phase.RUNNING))
    @rule(number=CHOICES)
    def fault(self, number: int) -> None:
        """A client did something wrong."""
        _, attempt = self.chosen(number, Phase.RUNNING)
        attempt.client_fault()

    @precondition(lambda self: self.able(Phase.RUNNING, Phase.COMMITTED, Phase.JUDGED))
    @rule(number=CHOICES)
    def read_body(self, number: int) -> None:
        """The upstream's body is complete before the answer is."""
        client, attempt = self.chosen(number, Phase.RUNNING, Phase.COMMITTED, Phase.JUDGED)
        client.has_permit = False
        attempt.return_permit()

    # What happens besides.

    @rule(lane=st.integers(min_value=0, max_value=LANES - 1), pool=st.sampled_from(["front", "spare"]))
    def break_down(self, lane: int, pool: str) -> None:
        """A lane fails as often as it takes, and rests until a trial is due."""
        cell = self.lanes[lane].cells[pool]
        trip(cell, self.clock())
        if cell.state is State.OPEN:
            self.clock.now_s = max(self.clock(), cell.cooldown_until_s)

    @rule(passed_s=st.sampled_from([0.5, 9.0, 119.0, 1800.0, 1800.0]))
    def time_passes(self, passed_s: float) -> None:
        """Time passes."""
        self.clock.now_s += passed_s

    @rule()
    def look_out(self) -> None:
        """Those who wait for a rest to end are told, and whoever is still in line has a reason to be."""
        self.lookout.look(self.clock())
        for cell in (cell for lane in self.lanes for cell in lane.cells.values() if cell.has_line):
            assert not cell.is_ready(self.clock())
            assert not cell.is_soft(self.clock())
            assert self.lookout.is_needed

    @rule(lane=st.integers(min_value=0, max_value=LANES - 1))
    def send_probe(self, lane: int) -> None:
        """A health probe sets out."""
        self.probes.append((self.lanes[lane], Probe(self.lanes[lane])))

    @precondition(lambda self: self.probes)
    @rule(outcome=st.sampled_from(["good", "good", "bad", "refused"]))
    def probe_returns(self, outcome: str) -> None:
        """A health probe comes back."""
        lane, probe = self.probes.pop(0)
        errors = lane.err
        if outcome == "good":
            probe.succeed(self.clock())
        elif outcome == "bad":
            probe.fail(self.clock(), 2.0)
        else:
            probe.condemn(self.clock(), "refused")
        assert lane.err == errors + (outcome != "good")

    @rule(
        most=st.sampled_from([1, 2, None]),
        weights=st.lists(st.integers(min_value=0, max_value=3), min_size=LANES, max_size=LANES),
        action=st.integers(min_value=0, max_value=len(ACTIONS) - 1),
    )
    def on_reload(self, most: int | None, weights: list[int], action: int) -> None:
        """A reload changes limits, weights and what happens on exhaustion; what runs goes on."""
        after = {"front": PoolSettings(on_exhausted=ACTIONS[action], max_hops=1), "spare": PoolSettings(timeout_s=60.0)}
        for lane in self.lanes:
            lane.limit(most, BUDGET)
            lane.keep_cells(after)
        direct = self.lanes[0]
        pools = {"m0": Pool("m0", [PoolMember(direct, direct.cells[DEFAULT])])}
        for name, wanted in after.items():
            members = [
                PoolMember(lane, lane.cell(name, BREAKERS[name]), weight)
                for lane, weight in zip(self.lanes, weights, strict=True)
            ]
            pools[name] = Pool(name, members, wanted)
            pools[name].go_on_from(self.pools.get(name))
        self.pools = pools

    @rule()
    def look(self) -> None:
        """Somebody looks, and nothing changes."""
        before = [(cell.state, cell.trial) for lane in self.lanes for cell in lane.cells.values()]
        for lane in self.lanes:
            report(lane, self.clock())
        assert [(cell.state, cell.trial) for lane in self.lanes for cell in lane.cells.values()] == before

    # What always holds.

    @invariant()
    def permits_are_those_held(self) -> None:
        """Each permit that is out is held by a request, be it one that was woken and has not moved yet."""
        held = Counter(client.attempt.lane for client in self.clients if client.attempt and client.has_permit)
        held.update(attempt.lane for attempt in self.granted())
        assert [lane.inflight for lane in self.lanes] == [held[lane] for lane in self.lanes]

    @invariant()
    def units_are_those_used_or_held(self) -> None:
        """The budget is what commits and running attempts have left of it, and never outside of its bounds."""
        used = Counter(client.attempt.lane for client in self.clients if client.attempt and client.owes_unit)
        used.update(attempt.lane for attempt in self.granted())
        used.update(self.kept)
        assert [lane.budget for lane in self.lanes] == [BUDGET - used[lane] for lane in self.lanes]
        assert all(0 <= lane.budget <= BUDGET for lane in self.lanes)

    @invariant()
    def trials_have_one_owner(self) -> None:
        """A half-open cell has a trial that one running attempt owns, and no other cell has one."""
        running = [client.attempt for client in self.clients if client.attempt is not None] + self.granted()
        for cell in (cell for lane in self.lanes for cell in lane.cells.values()):
            owners = [attempt for attempt in running if attempt.cell is cell and cell.owns(attempt._trial)]
            assert len(owners) == (cell.state is State.HALF_OPEN)
            assert (cell.trial == NO_TRIAL) == (cell.state is not State.HALF_OPEN)
            assert (cell.ready_at_s == inf) == (cell.state is State.HALF_OPEN or cell.has_line)

    @invariant()
    def nobody_waits_for_a_free_permit(self) -> None:
        """While a lane has a permit free nobody stands in its line, and what it says of itself is true."""
        for lane in self.lanes:
            has_free = lane.max_concurrent is None or lane.inflight < lane.max_concurrent
            assert not (has_free and lane.waiting)
            assert lane.is_available == (has_free and not lane.waiting and lane.budget != 0)

    @invariant()
    def lines_hold_those_who_wait(self) -> None:
        """A client stands in line until it is woken, and it is woken once."""
        waiting = [client for client in self.clients if client.place is not None]
        for client in waiting:
            assert client.place is not None
            assert client.place._waiter.lanes or client.place.is_settled
            assert not (client.place._waiter.lanes and client.place.is_settled)
            assert not (client.place._waiter._cells and client.place.is_settled)
        for lane in self.lanes:
            standing = sum(lane in client.place._waiter.lanes for client in waiting if client.place is not None)
            assert lane.waiting == standing

    def granted(self) -> list[Attempt]:
        """Return the attempts that wait to be taken by who was woken."""
        places = [client.place for client in self.clients if client.place is not None]
        return [place._attempt for place in places if place._attempt is not None]

    def teardown(self) -> None:
        """Let everybody leave, and find everything where it belongs."""
        while self.clients:
            self.disconnect(0)
        assert [lane.inflight for lane in self.lanes] == [0] * LANES
        assert [lane.waiting for lane in self.lanes] == [0] * LANES
        assert [lane.budget for lane in self.lanes] == [BUDGET - self.kept[lane] for lane in self.lanes]
        assert all(cell.state is not State.HALF_OPEN for lane in self.lanes for cell in lane.cells.values())


TestTraffic = Traffic.TestCase
TestTraffic.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
