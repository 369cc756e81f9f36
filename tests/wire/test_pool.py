"""Origins: which connection serves next, what is forgotten when, what is asked twice, and counters that agree."""

import asyncio
from collections.abc import Callable
from math import inf
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from busbar_fast.errors import BusbarError, ConnectFailed, UpstreamGarbled, UpstreamGone
from busbar_fast.wire.limits import UpstreamLimits
from busbar_fast.wire.parsers import HeadParser, choose_parser
from busbar_fast.wire.pool import OriginKey, Pool
from busbar_fast.wire.strand import Strand
from busbar_fast.wire.upstream import Upstream
from tests.fakes import FakeLoop, FakeTransport, ProbeStrand, expire_after, late

KEY = OriginKey(is_tls=False, host="upstream", port=80)
LIMITS = UpstreamLimits(idle_timeout_s=30.0, max_idle_per_origin=3)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REQUEST = b"POST / HTTP/1.1\r\n\r\n"
Make = Callable[[], asyncio.Protocol]


class FakeDialer:
    """Makes connections at once, or when told to."""

    def __init__(self) -> None:
        self.made: list[Upstream] = []
        self.waiting: list[tuple[Strand, Make]] = []
        self.limits_s: list[float] = []
        self.is_slow = False
        self.error: BusbarError | None = None
        self.dies_at_once = False

    async def dial(self, strand: Strand, key: OriginKey, make: Make, limit_s: float) -> asyncio.BaseTransport:
        assert key == KEY
        self.limits_s.append(limit_s)
        if self.is_slow:
            entry = (strand, make)
            self.waiting.append(entry)
            try:
                await strand.wait_for(self)
            finally:
                self.waiting.remove(entry)
        if self.error is not None:
            raise self.error
        upstream = make()
        assert isinstance(upstream, Upstream)
        transport = FakeTransport()
        upstream.connection_made(transport)
        self.made.append(upstream)
        if self.dies_at_once:
            upstream.eof_received()
        return transport


class Bench:
    """An origin whose connections are fakes."""

    def __init__(self, parser: HeadParser | None = None) -> None:
        self.loop = FakeLoop()
        self.wheel = self.loop.new_wheel()
        self.dialer = FakeDialer()
        self.pool = Pool(self.dialer.dial, self.wheel, parser or choose_parser(), LIMITS)
        self.origin = self.pool.origin(KEY)

    def call(self, ends_s: float = inf) -> ProbeStrand:
        """Send a request and read the answer, on a strand of its own."""
        strand = ProbeStrand(self.wheel)
        return strand.start(self._call(strand, ends_s))

    async def _call(self, strand: Strand, ends_s: float) -> bytes:
        upstream = await self.origin.call(strand, b"POST", REQUEST, 10.0, ends_s=ends_s)
        with upstream:
            body, _ = await upstream.read_body(1000)
            return body

    def lease(self) -> Upstream:
        """Return a connection that was leased at once."""
        strand = ProbeStrand(self.wheel)
        strand.start(self.origin.lease(strand, b"POST", 10.0))
        assert strand.error is None
        upstream = strand.result
        assert isinstance(upstream, Upstream)
        return upstream

    def idle(self, count: int) -> list[Upstream]:
        """Return so many connections, all idle, oldest first."""
        strands = [self.call() for _ in range(count)]
        for upstream in self.dialer.made[-count:]:
            upstream.data_received(ANSWER)
        assert all(strand.result == b"ok" for strand in strands)
        return self.dialer.made[-count:]

    @property
    def counts(self) -> tuple[int, int, int]:
        """Return open, idle and ever dialled connections."""
        return self.origin.open, self.origin.idle, self.origin.dialled


def fake(upstream: Upstream) -> FakeTransport:
    """Return the transport of a connection."""
    assert isinstance(upstream.transport, FakeTransport)
    return upstream.transport


@pytest.fixture
def bench(parser_kind: str) -> Bench:
    """Return an origin with the parser of this run."""
    return Bench(choose_parser(parser_kind))


def test_newest_idle_connection_serves_next(bench: Bench) -> None:
    """The connection freed last is leased first, so the oldest can die of age."""
    first, second = bench.idle(2)
    assert bench.lease() is second
    assert bench.lease() is first
    assert bench.lease() is bench.dialer.made[2]
    assert bench.counts == (3, 0, 3)


def test_surplus_idle_connection_is_the_oldest(bench: Bench) -> None:
    """Beyond the bound the oldest idle connection closes."""
    made = bench.idle(4)
    assert [upstream.is_closed for upstream in made] == [True, False, False, False]
    assert bench.counts == (3, 3, 4)


def test_bound_of_zero_means_no_reuse(parser_kind: str) -> None:
    """An origin that may keep nothing closes each connection after its answer."""
    bench = Bench(choose_parser(parser_kind))
    bench.origin.limits = UpstreamLimits(max_idle_per_origin=0)
    assert bench.idle(1)[0].is_closed
    assert bench.counts == (0, 0, 1)


def test_other_limits_hold_for_every_origin(bench: Bench) -> None:
    """Config §14 X9: a reload changes how many connections may idle, and for how long, for old and new origins."""
    old, *_ = bench.idle(3)
    bench.pool.relimit(UpstreamLimits(idle_timeout_s=5.0, max_idle_per_origin=1))
    assert bench.counts[:2] == (3, 3)
    strand = bench.call()
    newest = bench.dialer.made[2]
    newest.data_received(ANSWER)
    assert strand.result == b"ok"
    assert old.is_closed
    bench.loop.advance_past(5.0)
    assert newest.is_closed
    other = bench.pool.origin(OriginKey(is_tls=False, host="other", port=1))
    assert other.limits is bench.origin.limits is not LIMITS


def test_origin_that_nobody_uses_any_more_is_forgotten(bench: Bench) -> None:
    """Config X9: after a reload an unused origin closes what is idle, and a used one keeps its connections."""
    other = bench.pool.origin(OriginKey(is_tls=True, host="upstream", port=80))
    bench.pool.retain({bench.origin})
    assert bench.pool.origins == [bench.origin]
    assert (other.is_closed, bench.origin.is_closed) == (True, False)
    bench.pool.retain(set())
    assert bench.pool.origins == []
    assert bench.origin.is_closed


def test_idle_connections_expire(bench: Bench) -> None:
    """A connection that served nobody for its time closes, and use begins the time anew."""
    old, used = bench.idle(2)
    bench.loop.advance(20.0)
    strand = bench.call()
    used.data_received(ANSWER)
    assert strand.result == b"ok"
    bench.loop.advance_past(10.0)
    assert (old.is_closed, bench.counts) == (True, (1, 1, 2))
    bench.loop.advance_past(20.0)
    assert bench.counts == (0, 0, 2)
    assert len(bench.wheel) == 0


@pytest.mark.parametrize("end", ["eof", "lost", "bytes"])
def test_connection_that_dies_idle_is_forgotten(bench: Bench, end: str) -> None:
    """An idle connection that ends, or speaks unasked, is never leased again."""
    first, second = bench.idle(2)
    if end == "eof":
        second.eof_received()
    elif end == "bytes":
        second.data_received(b"x")
    second.connection_lost(None if end != "lost" else ConnectionResetError())
    assert bench.counts == (1, 1, 2)
    assert bench.lease() is first


@pytest.mark.parametrize(("ends_s", "limit_s", "wait_s"), [(inf, inf, 10.0), (104.0, 4.0, 1.0), (102.0, 2.0, 0.0)])
def test_connecting_ends_with_the_request(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, ends_s: float, limit_s: float, wait_s: float
) -> None:
    """Reliability §6: a connection may take what is left of the request's time, and the head what is left then."""
    times = iter((100.0, 100.0, 103.0))
    monkeypatch.setattr("busbar_fast.wire.pool.now", lambda: next(times))
    bench.call(ends_s)
    assert bench.dialer.limits_s == [limit_s]
    assert bench.dialer.made[0].wait_s == wait_s


@pytest.mark.parametrize(("ends_s", "wait_s"), [(inf, 6.0), (105.0, 1.0)])
def test_request_sent_once_more_has_no_more_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, ends_s: float, wait_s: float
) -> None:
    """Reliability §6: it is the same attempt, so four seconds on a connection that then dies are gone."""
    (reused,) = bench.idle(1)
    monkeypatch.setattr("busbar_fast.wire.pool.now", lambda: 100.0)
    bench.call(ends_s)
    assert reused.wait_s == min(10.0, ends_s - 100.0)
    monkeypatch.setattr("busbar_fast.wire.pool.now", lambda: 104.0)
    reused.connection_lost(ConnectionResetError())
    assert bench.dialer.made[1].wait_s == wait_s


def test_dead_reused_connection_is_replaced_silently(bench: Bench) -> None:
    """A request on a reused connection that dies without a word is sent once more, on a fresh one."""
    (reused,) = bench.idle(1)
    strand = bench.call()
    reused.connection_lost(ConnectionResetError())
    fresh = bench.dialer.made[1]
    assert fake(fresh).written == REQUEST
    fresh.data_received(ANSWER)
    assert strand.result == b"ok"
    assert bench.counts == (1, 1, 2)


def test_request_is_repeated_once_only(bench: Bench) -> None:
    """The fresh connection of a repeated request gets no third chance, although idle ones are left."""
    bench.idle(3)
    strand = bench.call()
    bench.dialer.made[2].connection_lost(None)
    bench.dialer.made[3].connection_lost(None)
    assert isinstance(strand.error, UpstreamGone)
    assert bench.counts == (2, 2, 4)


def test_fresh_connection_that_dies_is_an_error(bench: Bench) -> None:
    """Without reuse a dead upstream is one that failed."""
    strand = bench.call()
    bench.dialer.made[0].connection_lost(None)
    assert isinstance(strand.error, UpstreamGone)
    assert bench.counts == (0, 0, 1)


@pytest.mark.parametrize("word", [b"H", b"\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", ANSWER[:-5]])
def test_upstream_that_spoke_is_not_asked_again(bench: Bench, word: bytes) -> None:
    """Any byte of an answer, an interim one included, means that the request was seen."""
    (reused,) = bench.idle(1)
    strand = bench.call()
    reused.data_received(word)
    reused.connection_lost(None)
    assert isinstance(strand.error, UpstreamGone)
    assert bench.counts == (0, 0, 1)


def test_other_failures_are_not_repeated(bench: Bench) -> None:
    """Nonsense and silence on a reused connection are the upstream's answer."""
    garbled, silent = bench.idle(2)
    strand = bench.call()
    silent_strand = bench.call()
    silent.data_received(b"nonsense\r\n\r\n")
    assert isinstance(strand.error, UpstreamGarbled)
    bench.loop.advance_past(10.0)
    assert silent_strand.is_over
    assert (garbled.is_closed, bench.counts) == (True, (0, 0, 2))


def test_caller_that_leaves_closes_its_connection(bench: Bench) -> None:
    """At every stage of a call, a strand that is closed leaves no connection behind."""
    bench.dialer.is_slow = True
    dialling = bench.call()
    dialling.close()
    assert (bench.dialer.waiting, bench.counts) == ([], (0, 0, 0))
    bench.dialer.is_slow = False
    for fed in (b"", b"HTTP", ANSWER[:-1]):
        strand = bench.call()
        upstream = bench.dialer.made[-1]
        if fed:
            upstream.data_received(fed)
        strand.close()
        assert fake(upstream).is_aborted
        assert bench.counts[:2] == (0, 0)
    assert len(bench.wheel) == 0


def test_refused_dial_is_passed_on(bench: Bench) -> None:
    """What the dialer raises comes out of the lease, and nothing is counted."""
    bench.dialer.error = ConnectFailed("no")
    assert isinstance(bench.call().error, ConnectFailed)
    assert bench.counts == (0, 0, 0)


def test_connection_that_dies_before_its_lease_is_a_failed_connect(bench: Bench) -> None:
    """A connection that is over before a request was sent counts as none at all."""
    bench.dialer.dies_at_once = True
    assert isinstance(bench.call().error, ConnectFailed)
    assert bench.counts == (0, 0, 1)
    bench.dialer.made[0].connection_lost(None)
    assert bench.counts == (0, 0, 1)


def test_closed_pool_keeps_nothing(bench: Bench) -> None:
    """Closing ends idle connections at once and leased ones after their answer."""
    kept, _ = bench.idle(2)
    strand = bench.call()
    busy = bench.dialer.made[1]
    bench.pool.close()
    assert (kept.is_closed, busy.is_closed, bench.counts) == (True, False, (1, 0, 2))
    busy.data_received(ANSWER)
    assert strand.result == b"ok"
    assert bench.counts == (0, 0, 2)


def test_pool_knows_one_origin_by_key(bench: Bench) -> None:
    """Scheme, host and port make an origin, and each key has one."""
    other = bench.pool.origin(OriginKey(is_tls=True, host="upstream", port=80))
    assert bench.pool.origin(KEY) is bench.origin
    assert bench.pool.origins == [bench.origin, other]
    assert repr(bench.origin) == "<Origin upstream:80 open=0 idle=0>"


class Connections(RuleBasedStateMachine):
    """Calls and connections in any order: the counters always tell the truth, and no timer is left over."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench()
        self.strands: list[ProbeStrand] = []

    def alive(self) -> list[Upstream]:
        """Return the connections that still stand."""
        return [upstream for upstream in self.bench.dialer.made if not upstream.is_closed]

    def pick(self, choices: list[Any], number: int) -> Any:
        """Return one of these, or nothing."""
        return choices[number % len(choices)] if choices else None

    @precondition(lambda self: len(self.strands) < 12)
    @rule(is_slow=st.booleans())
    def call(self, *, is_slow: bool) -> None:
        """Begin a call, whose connection is made at once or later."""
        self.bench.dialer.is_slow = is_slow
        self.strands.append(self.bench.call())

    @rule(number=st.integers(0, 99), fails=st.booleans(), dies=st.booleans())
    def dialled(self, number: int, *, fails: bool, dies: bool) -> None:
        """Let a dial come about, fail, or die at once."""
        waiting = self.pick(self.bench.dialer.waiting, number)
        if waiting is not None:
            self.bench.dialer.error = ConnectFailed("no") if fails else None
            self.bench.dialer.dies_at_once = dies
            waiting[0].wake(self.bench.dialer)
            self.bench.dialer.error = None
            self.bench.dialer.dies_at_once = False

    @rule(number=st.integers(0, 99), raw=st.sampled_from([ANSWER, ANSWER[:-1], b"x\r\n\r\n", ANSWER + b"x", b"H"]))
    def received(self, number: int, raw: bytes) -> None:
        """Deliver bytes on a connection."""
        upstream = self.pick(self.alive(), number)
        if upstream is not None:
            upstream.data_received(raw)

    @rule(number=st.integers(0, 99), is_eof=st.booleans())
    def peer_gone(self, number: int, *, is_eof: bool) -> None:
        """Let a peer close or reset."""
        upstream = self.pick(self.alive(), number)
        if upstream is not None:
            if is_eof:
                upstream.eof_received()
            upstream.connection_lost(None if is_eof else ConnectionResetError())

    @rule(number=st.integers(0, 99))
    def caller_gone(self, number: int) -> None:
        """Close a strand wherever it waits."""
        strand = self.pick(self.strands, number)
        if strand is not None:
            strand.close()

    @rule(number=st.integers(0, 99))
    def caller_expires(self, number: int) -> None:
        """Set a deadline on a strand."""
        strand = self.pick(self.strands, number)
        if strand is not None and not strand.is_over:
            expire_after(strand, 1.0, late)

    @rule(seconds=st.sampled_from([0.2, 2.0, 12.0, 31.0]))
    def time_passes(self, seconds: float) -> None:
        """Let time pass."""
        self.bench.loop.advance(seconds)

    @rule()
    def closed(self) -> None:
        """Close the origin; connections made later close after use."""
        self.bench.pool.close()

    @invariant()
    def counters_agree(self) -> None:
        """Open is what stands, idle is what stands and is not leased."""
        self.strands = [strand for strand in self.strands if not strand.is_over]
        alive = self.alive()
        origin = self.bench.origin
        assert origin.open == len(alive)
        assert origin.idle <= LIMITS.max_idle_per_origin
        assert origin.open - origin.idle == len(self.strands) - len(self.bench.dialer.waiting)

    def teardown(self) -> None:
        """Close everything; nothing may be left."""
        for strand in self.strands:
            strand.close()
        self.bench.pool.close()
        assert self.bench.origin.open == 0
        assert len(self.bench.wheel) == 0


TestConnections = Connections.TestCase
TestConnections.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
