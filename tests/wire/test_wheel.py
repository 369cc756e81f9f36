"""The timer wheel, in manual time, against a list of deadlines."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from busbar_fast.wire.wheel import TICK_S, Timer, Wheel

PROPERTY = settings(derandomize=True, deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
TINY_S = 1e-6  # what floating point may lose
LATE_S = 2 * TICK_S + TINY_S


class Call:
    """A call the loop will make."""

    def __init__(self, at_s: float, call: Callable[[], None]) -> None:
        self.at_s = at_s
        self.call = call
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class ManualLoop:
    """A clock and the calls that wait for it; errors of calls are kept, as a loop would log them."""

    def __init__(self, now_s: float = 1000.0) -> None:
        self.now_s = now_s
        self.calls: list[Call] = []
        self.errors: list[Exception] = []
        self.wheel = Wheel(self.call_later, lambda: self.now_s)

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Call:
        self.calls.append(Call(self.now_s + delay_s, call))
        return self.calls[-1]

    @property
    def pending(self) -> list[Call]:
        return sorted((call for call in self.calls if not call.is_cancelled), key=lambda call: call.at_s)

    def run_due(self) -> None:
        for call in self.pending:
            if call.at_s <= self.now_s:
                self.calls.remove(call)
                try:
                    call.call()
                except ArithmeticError as error:
                    self.errors.append(error)

    def advance(self, seconds: float) -> None:
        """Let time pass, making each call at its moment."""
        end_s = self.now_s + seconds
        while self.pending and self.pending[0].at_s <= end_s:
            self.now_s = max(self.now_s, self.pending[0].at_s)
            self.run_due()
        self.now_s = end_s

    def pause(self, seconds: float) -> None:
        """Let time pass while the loop is busy elsewhere; the calls are made late."""
        self.now_s += seconds
        self.run_due()


class Watch:
    """Timers on a wheel, and the naive list of their deadlines."""

    def __init__(self, loop: ManualLoop, count: int) -> None:
        self.loop = loop
        self.deadlines: dict[int, float] = {}
        self.paused_until_s = 0.0
        self.fired: list[int] = []
        self.timers = [loop.wheel.timer(self.on_due(number)) for number in range(count)]

    def on_due(self, number: int) -> Callable[[], None]:
        def fired() -> None:
            deadline = self.deadlines.pop(number)
            assert deadline - TINY_S <= self.loop.now_s <= max(deadline, self.paused_until_s) + LATE_S
            self.fired.append(number)

        return fired

    def arm(self, number: int, delay_s: float) -> None:
        self.timers[number].arm(delay_s)
        self.deadlines[number] = self.loop.now_s + delay_s

    def check(self) -> None:
        """Assert that nothing is overdue and that the timers know whether they are armed."""
        overdue = [at for at in self.deadlines.values() if max(at, self.paused_until_s) + LATE_S < self.loop.now_s]
        assert overdue == []
        assert {number for number, timer in enumerate(self.timers) if timer.is_armed} == set(self.deadlines)


delays = st.one_of(st.floats(0, 0.2), st.floats(0, 5), st.sampled_from([0.0, TICK_S, 2 * TICK_S, 75.0]))
steps = st.lists(
    st.one_of(
        st.tuples(st.just("arm"), st.integers(0, 3), delays),
        st.tuples(st.just("arm"), st.integers(0, 3), delays),
        st.tuples(st.just("disarm"), st.integers(0, 3), st.just(0.0)),
        st.tuples(st.just("close"), st.integers(0, 3), st.just(0.0)),
        st.tuples(st.just("advance"), st.just(0), st.one_of(st.floats(0, 0.3), st.floats(0, 80))),
        st.tuples(st.just("pause"), st.just(0), st.one_of(st.floats(0, 0.3), st.floats(0, 80))),
    ),
    max_size=25,
)


@PROPERTY
@given(what=steps, start_s=st.floats(0, 1e6))
@example(what=[("arm", 0, 0.03125)], start_s=103.0)  # whose ticks are no round numbers
def test_wheel_agrees_with_a_list_of_deadlines(what: list[tuple[str, int, float]], start_s: float) -> None:
    """No deadline comes early, none more than two ticks late, and none that was taken back or moved comes at all."""
    loop = ManualLoop(start_s)
    watch = Watch(loop, 4)
    for name, number, seconds in what:
        if name == "arm":
            watch.arm(number, seconds)
        elif name == "advance":
            loop.advance(seconds)
        elif name == "pause":
            watch.paused_until_s = loop.now_s + seconds
            loop.pause(seconds)
        else:
            getattr(watch.timers[number], name)()
            watch.deadlines.pop(number, None)
        watch.check()
    loop.advance(200)
    watch.check()
    assert watch.deadlines == {}
    assert loop.pending == []
    assert len(loop.wheel) == 0


@pytest.mark.parametrize("offset_s", [0.0, 0.001, TICK_S / 2, TICK_S - 0.001])
@pytest.mark.parametrize("delay_s", [0.0, 0.001, TICK_S, TICK_S + 0.001, 0.33, 1.0])
def test_deadline_is_at_most_two_ticks_late(offset_s: float, delay_s: float) -> None:
    """Wherever between two turns a timer is armed, it fires within two ticks of its deadline."""
    loop = ManualLoop(1000.0 + offset_s)
    keep_turning = loop.wheel.timer(lambda: None)
    keep_turning.arm(100)
    loop.advance(1.0 + offset_s / 3)
    fired: list[float] = []
    loop.wheel.timer(lambda: fired.append(loop.now_s)).arm(delay_s)
    wanted_s = loop.now_s + delay_s
    loop.advance(delay_s + 3 * TICK_S)
    assert len(fired) == 1
    assert wanted_s - TINY_S <= fired[0] <= wanted_s + LATE_S


def test_moving_a_deadline_later_leaves_the_timer_where_it_is() -> None:
    """A deadline moved later costs no work until its slot comes due, and then it is not lost."""
    loop = ManualLoop()
    watch = Watch(loop, 1)
    watch.arm(0, 1.0)
    tick = watch.timers[0].tick
    for _ in range(10):
        loop.advance(0.05)
        watch.arm(0, 1.0)
    assert watch.timers[0].tick == tick
    loop.advance(0.9)
    assert watch.fired == []
    loop.advance(0.3)
    assert watch.fired == [0]


def test_moving_a_deadline_earlier_moves_the_timer() -> None:
    """A deadline moved earlier is kept, and the old slot is left."""
    loop = ManualLoop()
    watch = Watch(loop, 1)
    watch.arm(0, 75.0)
    watch.arm(0, 0.1)
    assert len(loop.wheel) == 1
    loop.advance(0.3)
    assert watch.fired == [0]
    loop.advance(80)
    assert watch.fired == [0]


def test_failing_callback_loses_nobody() -> None:
    """Of ten deadlines in one slot five fail, and the others come all the same, as do those that were put off."""
    loop = ManualLoop()
    fired: list[int] = []

    def fail() -> None:
        raise ArithmeticError

    def note(number: int) -> Callable[[], None]:
        return lambda: fired.append(number)

    timers = [loop.wheel.timer(fail if number % 2 else note(number)) for number in range(10)]
    late = [loop.wheel.timer(note(number)) for number in range(10, 14)]
    for timer in (*late[:2], *timers, *late[2:]):
        timer.arm(1.0)
    for timer in late[:3]:
        timer.arm(3.0)
    late[3].disarm()
    loop.advance(2.0)
    assert sorted(fired) == [0, 2, 4, 6, 8]
    assert len(loop.errors) == 5
    loop.advance(2.0)
    assert sorted(fired) == [0, 2, 4, 6, 8, 10, 11, 12]
    assert loop.pending == []


def test_failing_callback_may_take_a_neighbour_with_it() -> None:
    """A timer disarmed by a callback that fails afterwards is not brought back by the repair."""
    loop = ManualLoop()
    pair: list[Timer] = []

    def fail() -> None:
        for timer in pair:
            timer.disarm()
        raise ArithmeticError

    pair += [loop.wheel.timer(fail), loop.wheel.timer(fail)]
    for timer in pair:
        timer.arm(1.0)
    loop.advance(5.0)
    assert len(loop.errors) == 1
    assert loop.pending == []


def test_callback_may_do_anything_to_its_neighbours() -> None:
    """A callback that arms, disarms and closes timers of the same slot decides what becomes of them."""
    loop = ManualLoop()
    fired: list[str] = []
    timers: dict[str, Timer] = {}

    def first(name: str) -> None:
        fired.append(name)
        if len(fired) == 1:
            others = [timer for other, timer in timers.items() if other != name]
            others[0].disarm()
            others[1].close()
            others[2].arm(1.0)
            timers[name].arm(0.5)

    for name in "abcd":
        timers[name] = loop.wheel.timer(lambda name=name: first(name))  # type: ignore[misc]
        timers[name].arm(0.2)
    loop.advance(0.4)
    assert len(fired) == 1
    loop.advance(0.5)
    assert fired == fired[:1] * 2
    loop.advance(0.7)
    assert len(fired) == 3
    assert loop.pending == []


def test_callback_that_arms_a_neighbour_that_is_due_puts_it_off() -> None:
    """A timer that was due and is armed again by another's callback is not fired too early, nor placed twice."""
    loop = ManualLoop()
    fired: list[float] = []
    pair: list[Timer] = []

    def fire() -> None:
        fired.append(loop.now_s)
        if len(fired) == 1:
            for timer in pair:
                timer.arm(1.0)

    pair += [loop.wheel.timer(fire), loop.wheel.timer(fire)]
    for timer in pair:
        timer.arm(0.2)
    loop.advance(0.5)
    assert (len(fired), len(loop.wheel)) == (1, 2)
    loop.advance(1.0)
    assert len(fired) == 3


def test_wheel_stands_while_it_holds_nothing_and_starts_again() -> None:
    """An idle wheel asks the loop for nothing, and after an hour of standing the time is right at once."""
    loop = ManualLoop()
    watch = Watch(loop, 1)
    assert loop.pending == []
    for _ in range(3):
        watch.arm(0, 0.2)
        assert len(loop.pending) == 1
        loop.advance(1.0)
        assert loop.pending == []
        loop.advance(3600.0)
    assert watch.fired == [0, 0, 0]


def test_disarmed_timer_lets_the_wheel_stand() -> None:
    """A timer that was disarmed or closed does not keep the wheel turning beyond its slot."""
    loop = ManualLoop()
    watch = Watch(loop, 2)
    for number, leave in enumerate((Timer.disarm, Timer.close)):
        watch.arm(number, 0.5)
        leave(watch.timers[number])
        assert not watch.timers[number].is_armed
    loop.advance(1.0)
    assert loop.pending == []
    assert watch.fired == []


def test_long_pause_fires_everything_that_is_due() -> None:
    """After a pause of many ticks the due timers fire in one turn, and the others keep their deadlines."""
    loop = ManualLoop()
    watch = Watch(loop, 3)
    for number, delay_s in enumerate((0.1, 300.0, 900.0)):
        watch.arm(number, delay_s)
    watch.paused_until_s = loop.now_s + 600.0
    loop.pause(600.0)
    assert sorted(watch.fired) == [0, 1]
    loop.advance(299.0)
    assert len(watch.fired) == 2
    loop.advance(1.2)
    assert len(watch.fired) == 3


def test_turn_that_comes_too_soon_fires_nothing() -> None:
    """A loop whose clock is coarse may call a little early; the deadlines wait for the next turn."""
    loop = ManualLoop()
    watch = Watch(loop, 1)
    watch.arm(0, 0.0)
    loop.now_s += TICK_S / 2
    loop.calls.pop().call()
    assert watch.fired == []
    loop.advance(2 * TICK_S)
    assert watch.fired == [0]


def test_closed_wheel_stands_for_good() -> None:
    """Nothing fires after closing, old timers can be moved and closed, and new deadlines ask the loop for nothing."""
    loop = ManualLoop()
    watch = Watch(loop, 3)
    for number in range(3):
        watch.arm(number, 0.2)
    loop.wheel.close()
    loop.wheel.close()
    assert loop.pending == []
    for delay_s in (0.1, 5.0, 0.0):
        for timer in watch.timers:
            timer.arm(delay_s)
    watch.timers[0].disarm()
    watch.timers[1].close()
    loop.wheel.timer(watch.on_due(0)).arm(1.0)
    loop.advance(10.0)
    assert (watch.fired, loop.pending) == ([], [])
    loop.wheel.close()


def test_wheel_closed_by_a_callback_asks_for_nothing_more() -> None:
    """A callback may end the wheel that runs it."""
    loop = ManualLoop()
    timers = [loop.wheel.timer(loop.wheel.close) for _ in range(3)]
    for timer in timers:
        timer.arm(0.2)
    timers[2].arm(0.21)
    loop.advance(1.0)
    assert loop.pending == []


def test_what_is_soon_waits_for_a_turn_of_the_loop() -> None:
    """A call that is put off to the next turn is not made at once, and is made without any time passing."""
    loop = ManualLoop()
    made: list[float] = []
    loop.wheel.soon(lambda: made.append(loop.now_s))
    assert made == []
    loop.advance(0)
    assert made == [1000.0]
