"""The gate: how many pass, in which order, and that no place is ever lost."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from busbar_fast.errors import Overloaded
from busbar_fast.wire.gate import Gate
from tests.fakes import FakeLoop, ProbeStrand

PATIENCE_S = 2.0


class Visitor:
    """A strand that enters a gate, notes that it is in, and stays until told to go."""

    def __init__(self, loop: FakeLoop, gate: Gate, log: list[str], name: str) -> None:
        self.strand = ProbeStrand(loop.new_wheel())
        self._log = log
        self._name = name
        self._gate = gate

    async def _visit(self) -> None:
        with await self._gate.enter(self.strand):
            self._log.append(self._name)
            await self.strand.wait_for(self)

    def come(self) -> "Visitor":
        self.strand.start(self._visit())
        return self

    def go(self) -> None:
        self.strand.wake(self)


def visitors(gate: Gate, names: str, loop: FakeLoop | None = None) -> tuple[list[Visitor], list[str]]:
    """Send one visitor per letter to a gate; return them with the log of who got in."""
    log: list[str] = []
    loop = loop or FakeLoop()
    return [Visitor(loop, gate, log, name).come() for name in names], log


def test_open_gate_lets_everybody_in() -> None:
    """Operations §2: 0 is no limit."""
    gate = Gate(0, 0)
    _, log = visitors(gate, "abc")
    assert log == ["a", "b", "c"]
    assert (gate.inside, gate.waiting) == (3, 0)


def test_excess_waits_in_order() -> None:
    """Operations §2, `max_inbound_concurrent`: who came first goes in first."""
    gate = Gate(1, PATIENCE_S)
    (first, second, third), log = visitors(gate, "abc")
    assert (log, gate.waiting) == (["a"], 2)
    first.go()
    assert log == ["a", "b"]
    second.go()
    assert log == ["a", "b", "c"]
    third.go()
    assert (gate.inside, gate.waiting, gate.shed) == (0, 0, 0)


def test_late_comer_does_not_pass_the_line() -> None:
    """A place that is free belongs to the line, even for a strand that comes while it is given."""
    gate = Gate(1, PATIENCE_S)
    (first, _), log = visitors(gate, "ab")
    first.go()
    visitors(gate, "c")
    assert log == ["a", "b"]
    assert gate.waiting == 1


def test_without_patience_the_excess_is_shed_at_once() -> None:
    """Operations §2, `inbound_queue_max_ms`: 0 sheds at once."""
    gate = Gate(1, 0)
    (_, second), log = visitors(gate, "ab")
    assert isinstance(second.strand.error, Overloaded)
    assert second.strand.error.status == 503
    assert (log, gate.inside, gate.waiting, gate.shed) == (["a"], 1, 0, 1)


def test_who_waits_too_long_is_shed() -> None:
    """Operations §13 case 12: the second of two gets a 503 when its patience is over, and the line forgets it."""
    loop = FakeLoop()
    gate = Gate(1, PATIENCE_S)
    (first, second, third), log = visitors(gate, "abc", loop)
    loop.advance(PATIENCE_S + 0.2)
    assert isinstance(second.strand.error, Overloaded)
    assert isinstance(third.strand.error, Overloaded)
    assert (gate.inside, gate.waiting, gate.shed) == (1, 0, 2)
    first.go()
    assert (log, gate.inside) == (["a"], 0)


def test_deadline_ends_with_the_wait() -> None:
    """A strand that was let in is not thrown out when its patience would have ended."""
    loop = FakeLoop()
    gate = Gate(1, PATIENCE_S)
    (first, second), _ = visitors(gate, "ab", loop)
    first.go()
    loop.advance(PATIENCE_S * 3)
    assert not second.strand.is_over
    assert gate.inside == 1


def test_client_that_leaves_the_line_is_forgotten() -> None:
    """A strand closed while it waits takes no place."""
    gate = Gate(1, PATIENCE_S)
    (first, second, _), log = visitors(gate, "abc")
    second.strand.close()
    assert gate.waiting == 1
    first.go()
    assert log == ["a", "c"]


def test_client_that_leaves_inside_gives_its_place_back() -> None:
    """A strand closed inside the gate lets the next one in."""
    gate = Gate(1, PATIENCE_S)
    (first, _), log = visitors(gate, "ab")
    first.strand.close()
    assert log == ["a", "b"]
    assert gate.inside == 1


@pytest.mark.parametrize("count", [2, 5000])
def test_line_of_quick_strands_needs_no_stack(count: int) -> None:
    """A strand that is through as soon as it is in lets the next one in without nesting."""
    gate = Gate(1, PATIENCE_S)
    loop = FakeLoop()
    passed: list[int] = []

    async def pass_through(strand: ProbeStrand, number: int) -> None:
        with await gate.enter(strand):
            passed.append(number)

    (first,), _ = visitors(gate, "a", loop)
    for number in range(count):
        strand = ProbeStrand(loop.new_wheel())
        strand.start(pass_through(strand, number))
    first.go()
    assert passed == list(range(count))
    assert (gate.inside, gate.waiting) == (0, 0)


@pytest.mark.parametrize(("most", "inside"), [(2, "ab"), (3, "abc"), (9, "abcd"), (0, "abcd")])
def test_wider_gate_lets_in_who_waits(most: int, inside: str) -> None:
    """Config §14 X9: a reload that raises a cap acts at once, in order, and 0 lets everybody in."""
    gate = Gate(1, PATIENCE_S)
    _, log = visitors(gate, "abcd")
    gate.resize(most)
    assert "".join(log) == inside
    assert (gate.inside, gate.waiting) == (len(inside), 4 - len(inside))


def test_narrower_gate_throws_nobody_out() -> None:
    """Config §14 X9: a lower cap lets nobody in until enough have left."""
    gate = Gate(3, PATIENCE_S)
    guests, log = visitors(gate, "abcd")
    gate.resize(1)
    for leaver, waiting in ((0, 1), (1, 1), (2, 0)):
        assert (gate.has_room, gate.waiting) == (False, 1)
        guests[leaver].go()
        assert gate.waiting == waiting
    assert log == list("abcd")
    assert gate.inside == 1


def test_gate_without_limit_may_get_one() -> None:
    """Config §14 X9: who is inside of a gate that had no limit counts when it gets one."""
    gate = Gate(0, PATIENCE_S)
    guests, log = visitors(gate, "ab")
    gate.resize(2)
    assert not gate.has_room
    visitors(gate, "c")
    assert (log, gate.waiting) == (["a", "b"], 1)
    guests[0].go()
    assert (gate.inside, gate.waiting) == (2, 0)


def test_patience_of_newcomers_changes() -> None:
    """Config §14 X9: another patience is for who comes from now on, and none given leaves it as it is."""
    loop = FakeLoop()
    gate = Gate(1, PATIENCE_S)
    (_, second), _ = visitors(gate, "ab", loop)
    gate.resize(1, 0)
    (third,), _ = visitors(gate, "c", loop)
    assert isinstance(third.strand.error, Overloaded)
    assert not second.strand.is_over
    gate.resize(1)
    (fourth,), _ = visitors(gate, "d", loop)
    assert isinstance(fourth.strand.error, Overloaded)
    loop.advance(PATIENCE_S + 0.2)
    assert isinstance(second.strand.error, Overloaded)


def test_room_is_what_the_next_one_finds() -> None:
    """Config §6.2 `max_concurrent`: room is a free place that nobody in line has a right to."""
    assert Gate(0, 0).has_room
    gate = Gate(2, PATIENCE_S)
    found = []
    guests = []
    for name in "abc":
        found.append(gate.has_room)
        guests += visitors(gate, name)[0]
    assert found == [True, True, False]
    guests[0].go()
    assert not gate.has_room
    guests[1].go()
    assert gate.has_room


class GateMachine(RuleBasedStateMachine):
    """Strands come, go, lose patience and are closed in any order, and the gate gets wider and narrower meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = FakeLoop()
        self.most = 2
        self.gate = Gate(self.most, PATIENCE_S)
        self.log: list[str] = []
        self.guests: list[Visitor] = []

    @rule()
    def come(self) -> None:
        self.guests.append(Visitor(self.loop, self.gate, self.log, str(len(self.guests))).come())

    @rule(which=st.integers(0, 20))
    def go(self, which: int) -> None:
        if which < len(self.guests):
            self.guests[which].go()

    @rule(which=st.integers(0, 20))
    def close(self, which: int) -> None:
        if which < len(self.guests):
            self.guests[which].strand.close()

    @rule(most=st.integers(0, 4))
    def resize(self, most: int) -> None:
        self.most = most
        self.gate.resize(most)

    @rule(seconds=st.floats(0.1, 3.0))
    def wait(self, seconds: float) -> None:
        self.loop.advance(seconds)

    @invariant()
    def no_place_is_lost_or_doubled(self) -> None:
        alive = [guest for guest in self.guests if not guest.strand.is_over]
        assert self.gate.inside + self.gate.waiting == len(alive)
        assert not self.gate.waiting or 0 < self.most <= self.gate.inside
        assert self.log == sorted(self.log, key=int)


TestGateMachine = GateMachine.TestCase


def test_line_that_is_refused_is_empty_and_the_place_is_free() -> None:
    """Design §7: whoever waits for a permit at the signal gets a 503; who is inside goes on."""
    gate = Gate(1, PATIENCE_S)
    (first, second, third), log = visitors(gate, "abc")
    gate.refuse_line()
    assert [type(visitor.strand.error) for visitor in (second, third)] == [Overloaded, Overloaded]
    assert (log, gate.inside, gate.waiting, gate.shed) == (["a"], 1, 0, 2)
    first.go()
    assert gate.inside == 0
    visitors(gate, "d")
    assert gate.inside == 1
