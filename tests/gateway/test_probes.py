"""Checkups in manual time: when a lane is asked, what goes out, and what each kind of answer does to its cells."""

import gzip
import logging
from collections.abc import Callable
from typing import Any

import pytest

from busbar_fast.config.schema import Health
from busbar_fast.dialects.registry import DIALECTS, speak
from busbar_fast.dialects.upstream_errors import UpstreamError
from busbar_fast.errors import ConnectFailed
from busbar_fast.gateway.lanes import Access, Lane
from busbar_fast.gateway.probes import Prober
from busbar_fast.reliability.breaker import BreakerSettings, Cell, State, Trip
from busbar_fast.reliability.dispositions import Disposition
from busbar_fast.reliability.lanes import DEFAULT, LaneState
from busbar_fast.wire.limits import UpstreamLimits
from busbar_fast.wire.parsers import choose_parser
from busbar_fast.wire.pool import OriginKey, Pool
from busbar_fast.wire.strand import Strand
from busbar_fast.wire.upstream import Upstream
from tests.fakes import FakeLoop, FakeTransport

PLAIN = next(name for name, facts in DIALECTS.items() if not facts.region_labels)
SETTINGS = BreakerSettings()
EAGER = BreakerSettings(trip=Trip.CONSECUTIVE, consecutive_n=1)
STARTED_S = FakeLoop().clock.now_s


def answer(status: int, body: bytes = b"{}", *lines: bytes) -> bytes:
    """Return an upstream's whole answer."""
    more = b"".join(line + b"\r\n" for line in lines)
    return b"HTTP/1.1 %d X\r\n%bContent-Length: %d\r\n\r\n%b" % (status, more, len(body), body)


class Ward:
    """One lane in the pools `eager` and `calm`, its checkups, and an upstream that says what the test wants."""

    def __init__(
        self,
        mode: str = "active",
        *,
        key: str = "k",
        timeout_s: int = 5,
        access: Access | None = None,
        error_map: dict[str, str] | None = None,
    ) -> None:
        self.loop = FakeLoop()
        self.made: list[Upstream] = []
        self.trips: list[tuple[str, str]] = []
        self.is_down = False
        wheel = self.loop.new_wheel()
        origin = Pool(self._dial, wheel, choose_parser(), UpstreamLimits()).origin(OriginKey(False, "upstream", 80))
        self.state = LaneState("m", "p", lambda: 0.5, SETTINGS)
        self.eager, self.calm = self.state.cell("eager", EAGER), self.state.cell("calm", SETTINGS)
        self.default = self.state.cells[DEFAULT]
        access = access or Access(b"Host: h\r\nUser-Agent: ours\r\n", key=key)
        path = DIALECTS[PLAIN].path
        self.lane = Lane(self.state, origin, path, speak(PLAIN), access, model="vendor-m", error_map=error_map)
        self._health = Health(mode=mode, interval_secs=30, timeout_secs=timeout_s)
        self._prober = Prober(wheel, lambda pool, lane: self.trips.append((pool, lane)))
        self.reload()

    async def _dial(self, _strand: Strand, _key: OriginKey, make: Callable[[], Any], _limit_s: float) -> FakeTransport:
        if self.is_down:
            raise ConnectFailed("upstream:80")
        upstream = make()
        transport = FakeTransport()
        upstream.connection_made(transport)
        self.made.append(upstream)
        return transport

    def reload(self) -> None:
        """Begin the checkups anew."""
        self._prober.replace([(self.lane, self._health)])

    def close(self) -> None:
        """End them."""
        self._prober.close()

    def transport(self) -> FakeTransport:
        """Return the newest connection as the upstream has it."""
        transport = self.made[-1].transport
        assert isinstance(transport, FakeTransport)
        return transport

    def pass_interval(self) -> None:
        """Let the time of one interval pass, or less if something is asked before."""
        self.asked()
        for _ in range(604):
            self.loop.advance(0.05)
            if any(one.transport.written for one in self.made if isinstance(one.transport, FakeTransport)):
                return

    def asked(self) -> bytes:
        """Return what was asked since the last look."""
        return b"".join(one.transport.take_written() for one in self.made if isinstance(one.transport, FakeTransport))

    def say(self, raw: bytes) -> None:
        """Answer on the newest connection."""
        self.made[-1].data_received(raw)

    def check(self, *raw: bytes) -> None:
        """Let the next probe be answered so."""
        self.pass_interval()
        assert self.asked().startswith(b"POST ")
        for piece in raw:
            self.say(piece)

    def left_s(self, cell: Cell) -> int:
        """Return how long a cell rests after a probe that was just answered."""
        return round(cell.cooldown_left_s(self.loop.clock.now_s))

    @property
    def states(self) -> list[State]:
        """Where its cells are: the default one, then those of the pools."""
        return [cell.state for cell in (self.default, self.eager, self.calm)]

    @property
    def counts(self) -> tuple[int, int, int]:
        """What it counts: answered, failed, faults of clients."""
        return self.state.ok, self.state.err, self.state.client_fault


OPEN, CLOSED, HALF_OPEN = State.OPEN, State.CLOSED, State.HALF_OPEN


# When a lane is asked


def test_first_probe_comes_after_one_interval_and_then_each() -> None:
    """Reliability §10: nothing is asked at the start; an active lane is asked once an interval from then on."""
    ward = Ward()
    ward.loop.advance(29.9)
    assert ward.made == []
    for _ in range(3):
        began_s = ward.loop.clock.now_s
        ward.check(answer(200))
    assert 29.9 < ward.loop.clock.now_s - began_s < 30.2
    assert (len(ward.made), ward.counts) == (1, (3, 0, 0))  # the connection is kept


def test_late_ticks_are_skipped() -> None:
    """Reliability §10: while a probe is under way no other is sent; the next tick after its end sends one."""
    ward = Ward(timeout_s=100)
    ward.loop.advance(95)
    assert ward.asked().count(b"POST ") == 1
    ward.say(answer(200))
    ward.check(answer(200))
    assert ward.counts == (2, 0, 0)


def test_reload_drops_the_probe_under_way() -> None:
    """Reliability §10: checkups begin anew with a reload: what was asked counts nothing, its connection is gone."""
    ward = Ward()
    ward.pass_interval()
    ward.reload()
    assert ward.transport().is_aborted
    assert ward.made[-1].is_closed
    assert ward.counts == (0, 0, 0)
    ward.loop.advance(29.0)
    assert len(ward.made) == 1
    ward.loop.advance_past(1)
    assert len(ward.made) == 2
    ward.close()
    assert ward.transport().is_aborted
    ward.loop.advance(100)
    assert (len(ward.made), ward.counts) == (2, (0, 0, 0))


def test_reloads_put_no_probe_off() -> None:
    """Reliability §10: reloads that come more often than probes leave each of those where it was."""
    ward = Ward()
    for _ in range(9):
        ward.loop.advance(10)
        ward.reload()
    ward.loop.advance(1)
    assert len(ward.made) == 3
    ward._health = Health(mode="active", interval_secs=7, timeout_secs=5)
    ward.reload()
    ward.loop.advance_past(7)
    assert len(ward.made) == 4


def test_trip_by_a_probe_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """Operations §7: a lane that goes out of service is told of once for each pool, whoever found out."""
    ward = Ward()
    with caplog.at_level(logging.WARNING, "busbar_fast.gateway"):
        ward.check(answer(500))
        ward.check(answer(500))
        ward.check(answer(401))
    told = [getattr(one, "fields", {}) for one in caplog.records if one.getMessage() == "lane out of service"]
    assert told == [{"lane": "m", "pool": "eager"}, {"lane": "m", "pool": "m"}]


@pytest.mark.parametrize(("mode", "key"), [("none", "k"), ("active", ""), ("dead", ""), ("active", "a\x00b")])
def test_lane_is_not_asked_without_a_wish_or_a_key(mode: str, key: str) -> None:
    """Reliability cases 71 and 74: mode `none` sends no probe, and neither does a lane without a key."""
    ward = Ward(mode, key=key)
    ward.state.condemn(STARTED_S, "auth")
    ward.loop.advance(1000)
    assert ward.made == []


def test_dead_mode_leaves_the_healthy_alone() -> None:
    """Reliability case 71: in mode `dead` a lane that serves is never asked, a soft rest is cleared early."""
    ward = Ward("dead")
    ward.loop.advance(1000)
    assert ward.made == []
    ward.calm.fail(ward.loop.clock.now_s, retry_after_s=900)
    ward.check(answer(200))
    assert (ward.left_s(ward.calm), ward.calm.streak, ward.counts) == (0, 0, (1, 0, 0))
    ward.loop.advance(1000)
    assert ward.asked() == b""


@pytest.mark.parametrize("state", [OPEN, HALF_OPEN])
def test_dead_mode_recovers_every_pool(state: State) -> None:
    """Reliability cases 44 and 71: one good probe closes the cells of all pools and clears the reason."""
    ward = Ward("dead")
    ward.state.condemn(STARTED_S - 1795, "billing")
    ward.loop.advance(6)
    if state is HALF_OPEN:
        ward.eager.admit()
    assert ward.eager.state is state
    ward.check(answer(200))
    assert ward.states == [CLOSED] * 3
    assert (ward.state.dead_reason, ward.counts, ward.eager.trial) == ("", (1, 0, 0), 0)
    assert [cell.window.count(ward.loop.clock.now_s) for cell in ward.state.cells.values()] == [(1, 0)] * 3


# What goes out


def test_probe_looks_like_traffic() -> None:
    """Reliability §10, case 74: the path of a conversation, the lane's header lines and key, and its upstream name."""
    ward = Ward()
    ward.pass_interval()
    head, _, body = ward.asked().partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    assert line == b"POST %b HTTP/1.1" % DIALECTS[PLAIN].path.encode()
    own = speak(PLAIN).upstream_fields({}, in_stream=False).splitlines()
    assert set(fields) > {b"Host: h", b"User-Agent: ours", b"Content-Length: %d" % len(body), *own}
    assert b"k" in b"".join(fields)
    assert b'"model":"vendor-m"' in body
    assert b"ping" in body


def test_probe_is_signed_as_it_is_sent() -> None:
    """Reliability §10: where requests are signed a probe is, over the target and the body that go out."""
    signed: list[tuple[bytes, bytes]] = []

    def sign(target: bytes, body: bytes, _at_s: int) -> bytes:
        signed.append((target, body))
        return b"Signature: s\r\n"

    ward = Ward(access=Access(b"Host: h\r\n", key="a:b", sign=sign))
    ward.pass_interval()
    head, _, body = ward.asked().partition(b"\r\n\r\n")
    assert signed == [(head.split(b" ")[1], body)]
    assert b"\r\nSignature: s\r\n" in head


def test_probe_takes_no_permit_and_no_budget() -> None:
    """Reliability §10: a lane that is full and spent is asked all the same, and it costs it nothing."""
    ward = Ward()
    ward.state.limit(1, 1)
    ward.state.take()
    ward.pass_interval()
    assert ward.asked()
    assert (ward.state.inflight, ward.state.budget) == (1, 0)
    ward.say(answer(200))
    assert (ward.state.inflight, ward.state.budget, ward.state.latency_ewma_ms) == (1, 0, None)


# What an answer does


@pytest.mark.parametrize("status", [500, 503, 408, 529])
def test_failure_is_judged_by_each_pool(status: int) -> None:
    """Reliability cases 72 and 75: a failed probe trips a cell by its pool's settings, and counts once for the lane."""
    ward = Ward()
    ward.check(answer(status))
    assert ward.states == [CLOSED, OPEN, CLOSED]
    assert [cell.streak for cell in ward.state.cells.values()] == [1, 1, 1]
    assert (ward.counts, ward.trips) == ((0, 1, 0), [("eager", "m")])
    ward.check(answer(status))
    assert (ward.eager.streak, ward.counts, ward.trips) == (1, (0, 2, 0), [("eager", "m")])


def test_lane_trips_without_traffic_in_every_pool_once() -> None:
    """Reliability case 72, operations §7: a lane that is silently down trips by its probes, a pool at a time."""
    ward = Ward()
    for cell in (ward.default, ward.calm):
        cell.retune(BreakerSettings(trip=Trip.CONSECUTIVE, consecutive_n=3))
    for _ in range(5):
        ward.check(answer(500))
    assert ward.states == [OPEN] * 3
    assert ward.trips == [("eager", "m"), ("m", "m"), ("calm", "m")]


def test_retry_after_is_a_floor_in_every_pool() -> None:
    """Reliability case 40: a probe's 429 with a Retry-After keeps every cell at rest for as long."""
    ward = Ward()
    ward.check(answer(429, b"{}", b"Retry-After: 900"))
    assert [ward.left_s(cell) for cell in ward.state.cells.values()] == [900] * 3
    assert not ward.calm.is_soft(ward.loop.clock.now_s)


def test_failure_ends_a_trial() -> None:
    """Reliability §5: a half-open cell reopens for longer by a probe's failure, which is no new trip."""
    ward = Ward()
    ward.eager.fail(STARTED_S - 60)
    ward.eager.admit()
    ward.check(answer(500))
    assert (ward.eager.state, ward.eager.streak, ward.left_s(ward.eager)) == (OPEN, 2, 60)
    assert ward.trips == []


def test_failures_and_successes_in_turn_trip_nothing() -> None:
    """Reliability case 73: a lane whose probes fail now and then does not trip by its error rate."""
    ward = Ward()
    ward.eager.retune(SETTINGS)
    for _ in range(10):
        ward.check(answer(500))
        ward.check(answer(200))
    assert (ward.counts, ward.trips, ward.states) == ((10, 10, 0), [], [CLOSED] * 3)


@pytest.mark.parametrize(("status", "reason"), [(401, "auth"), (403, "auth"), (402, "billing")])
def test_refused_key_puts_every_pool_down(status: int, reason: str) -> None:
    """Reliability case 74: a probe whose key is refused is a hard-down, which is one trip and never a second."""
    ward = Ward()
    ward.check(answer(status))
    assert (ward.states, ward.state.dead_reason) == ([OPEN] * 3, reason)
    assert [ward.left_s(cell) for cell in ward.state.cells.values()] == [1800] * 3
    assert (ward.counts, ward.trips) == ((0, 1, 0), [("m", "m")])
    ward.check(answer(status))
    assert (ward.left_s(ward.calm), ward.counts, ward.trips) == (1800, (0, 2, 0), [("m", "m")])


@pytest.mark.parametrize("status", [400, 404, 302, 422])
def test_refused_request_says_nothing_of_the_lane(status: int) -> None:
    """Reliability case 74: a probe that is answered 400 changes no cell and no counter, neither well nor ill."""
    ward = Ward()
    ward.calm.fail(STARTED_S, retry_after_s=900)
    ward.check(answer(status))
    assert (ward.states, ward.calm.streak, ward.counts, ward.trips) == ([CLOSED] * 3, 1, (0, 0, 0), [])


def test_rest_that_began_after_the_probe_was_sent_goes_on() -> None:
    """Reliability §5, case 44: a good probe leaves alone what was armed after it was sent, and closes the rest."""
    ward = Ward()
    ward.eager.fail(STARTED_S, retry_after_s=900)
    ward.calm.fail(STARTED_S, retry_after_s=900)
    ward.pass_interval()
    ward.calm.fail(ward.loop.clock.now_s, retry_after_s=400)
    ward.say(answer(200))
    assert (ward.left_s(ward.eager), ward.left_s(ward.calm)) == (0, 870)
    ward.pass_interval()
    ward.state.condemn(ward.loop.clock.now_s, "auth")
    ward.say(answer(200))
    assert (ward.states, ward.state.dead_reason, ward.counts) == ([OPEN] * 3, "auth", (2, 0, 0))


def test_silence_is_a_failure_when_its_time_is_up() -> None:
    """Reliability §10: a probe without an answer fails after `timeout_secs`, a body that stalls as well."""
    ward = Ward()
    ward.check()
    ward.loop.advance(4.5)
    assert ward.counts == (0, 0, 0)
    ward.loop.advance_past(0.5)
    assert (ward.counts, ward.transport().is_aborted) == ((0, 1, 0), True)
    ward.check(b"HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\n", b"{")
    ward.loop.advance_past(5)
    assert (ward.counts, ward.transport().is_aborted) == ((0, 2, 0), True)


def test_status_of_a_refusal_counts_without_its_body() -> None:
    """Reliability §10: a refusal whose body does not come is what its status says."""
    ward = Ward()
    ward.check(b"HTTP/1.1 401 X\r\nContent-Length: 9\r\n\r\n", b"{")
    ward.loop.advance_past(5)
    assert (ward.state.dead_reason, ward.counts) == ("auth", (0, 1, 0))


def test_broken_connections_are_failures() -> None:
    """Reliability §10: no connection, a reset and an answer that is no HTTP are failures that may pass."""
    ward = Ward()
    ward.is_down = True
    ward.pass_interval()
    ward.is_down = False
    ward.check(b"nonsense\r\n\r\n")
    ward.pass_interval()
    ward.made[-1].connection_lost(ConnectionResetError())
    assert (ward.counts, ward.eager.state, ward.calm.state) == ((0, 3, 0), OPEN, CLOSED)


@pytest.mark.parametrize(("status", "counts"), [(200, (1, 0, 0)), (500, (0, 1, 0)), (400, (0, 0, 0))])
def test_no_more_than_64_kib_of_an_answer_are_read(status: int, counts: tuple[int, int, int]) -> None:
    """Reliability §10: what is longer is judged by its beginning, and the connection does not wait for the rest."""
    ward = Ward()
    ward.check(b"HTTP/1.1 %d X\r\nContent-Length: 10000000\r\n\r\n" % status, b" " * 60000)
    assert ward.counts == (0, 0, 0)
    ward.say(b" " * 6000)
    assert (ward.counts, ward.transport().is_aborted) == (counts, True)


def test_packed_refusal_is_read() -> None:
    """Reliability §10: the code of a compressed refusal is found and mapped as the operator says."""
    body = gzip.compress(b'{"error":{"code":"insufficient_quota","type":"insufficient_quota","message":"m"}}')
    ward = Ward(error_map={"insufficient_quota": "billing"})
    ward.check(answer(429, body, b"Content-Encoding: gzip"))
    assert (ward.state.dead_reason, ward.counts) == ("billing", (0, 1, 0))


@pytest.mark.parametrize("status", [200, 401])
@pytest.mark.parametrize(("coding", "body"), [(b"gzip", gzip.compress(b"{}")[:-3]), (b"br", b"x")])
def test_answer_that_no_client_could_read_is_a_failure(status: int, coding: bytes, body: bytes) -> None:
    """Reliability §10: an answer in a coding that cannot be undone fails a probe as it fails a request."""
    ward = Ward()
    ward.check(answer(status, body, b"Content-Encoding: " + coding))
    assert (ward.counts, ward.eager.state, ward.calm.state) == ((0, 1, 0), OPEN, CLOSED)


def test_fault_of_ours_blames_nobody(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Design §3: what goes wrong on our side of a probe is told to the log, and the next one is sent."""
    ward = Ward()

    def judge(_lane: Lane, _error: UpstreamError) -> Disposition:
        raise RuntimeError("ours")

    with monkeypatch.context() as patch:
        patch.setattr(Lane, "judge", judge)
        ward.check(answer(500))
    assert [(record.levelno, record.message) for record in caplog.records] == [(logging.ERROR, "a health probe failed")]
    assert ward.counts == (0, 0, 0)
    ward.check(answer(500))
    assert ward.counts == (0, 1, 0)


# What the log is told


def test_log_is_told_of_changes_only(caplog: pytest.LogCaptureFixture) -> None:
    """Reliability §10: a lane that is down for a day is one warning, its return one line, repeats are for debugging."""
    caplog.set_level(logging.DEBUG, "busbar_fast.gateway")
    ward = Ward()
    for status in (200, 500, 503, 503, 401, 401, 400, 200, 200):
        ward.check(answer(status))
    levels = "".join(record.levelname[0] for record in caplog.records if record.message == "health probe")
    assert levels == "DWDDWDWID"
    told = [
        record.__dict__["fields"]
        for record in caplog.records
        if record.levelname != "DEBUG" and record.message == "health probe"
    ]
    assert told == [
        {"lane": "m", "outcome": outcome, "why": why}
        for outcome, why in [("transient", "500"), ("hard_down_auth", "401"), ("client_fault", "400"), ("well", "200")]
    ]
