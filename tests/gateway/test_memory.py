"""Memory that runs short, in manual time."""

import logging
from pathlib import Path

import pytest

from busbar_fast.gateway import memory
from busbar_fast.gateway.memory import MemoryWatch, granted_bytes, resident_bytes
from busbar_fast.wire.gate import Gate
from busbar_fast.wire.limits import Limits
from tests.fakes import FakeLoop

MIB = 1048576


class Cell:
    """A process whose memory the test sets."""

    def __init__(self, limits: Limits, soft_mib: int, granted: int = 0) -> None:
        self.loop = FakeLoop()
        self.resident_mib = 50
        self.looks = 0
        self.gate = Gate(9, 1.0)
        self.watch = MemoryWatch(self.gate, self.loop.new_wheel(), self._read)
        self.watch.use(limits, soft_mib, granted)

    def _read(self) -> int:
        self.looks += 1
        return self.resident_mib * MIB

    def pass_s(self, seconds: float, resident_mib: int) -> None:
        """Let time pass with so much memory taken."""
        self.resident_mib = resident_mib
        self.loop.advance(seconds)


def test_who_is_short_of_memory_serves_one_at_a_time(caplog: pytest.LogCaptureFixture) -> None:
    """Operations §12: above the soft limit new requests are shed; below it everything is as it was."""
    caplog.set_level(logging.WARNING)
    cell = Cell(Limits(max_inbound_concurrent=5), 100)
    assert (cell.gate.most, cell.gate.has_room) == (5, True)
    with cell.gate.maybe_enter() or pytest.fail("nobody is inside"):
        cell.pass_s(1.2, 101)
        assert (cell.gate.most, cell.gate.has_room) == (1, False)
    assert cell.gate.has_room
    cell.pass_s(1.2, 100)
    assert cell.gate.most == 5
    assert [record.getMessage() for record in caplog.records] == [
        "memory is short: requests are shed",
        "memory is no longer short",
    ]


def test_reload_brings_another_limit() -> None:
    """Operations §12: who was short is judged anew, at once and by the new limit; no limit is no look."""
    cell = Cell(Limits(), 49)
    assert cell.gate.most == 1
    cell.watch.use(Limits(max_inbound_concurrent=3), 200, 0)
    assert cell.gate.most == 3
    looks = cell.looks
    cell.watch.use(Limits(), 0, 0)
    cell.pass_s(5, 9000)
    assert (cell.gate.most, cell.looks) == (0, looks)


def test_most_of_what_a_container_grants_is_the_limit() -> None:
    """Operations §12: without a limit of our own nine tenths of the group's count."""
    cell = Cell(Limits(), 0, 100 * MIB)
    cell.pass_s(1.2, 90)
    assert cell.gate.most == 0
    cell.pass_s(1.2, 91)
    assert cell.gate.most == 1
    cell.watch.close()
    cell.pass_s(5, 10)
    assert cell.gate.most == 1


def test_system_that_does_not_tell_is_no_reason_to_shed(caplog: pytest.LogCaptureFixture) -> None:
    """Operations §12: what cannot be read is said once."""
    loop, gate = FakeLoop(), Gate(0, 1.0)

    def fail() -> int:
        raise FileNotFoundError("no such file")

    MemoryWatch(gate, loop.new_wheel(), fail).use(Limits(), 1, 0)
    loop.advance(5)
    assert (gate.most, len(caplog.records)) == (0, 1)


def test_own_memory_can_be_read() -> None:
    """Operations §12: what the kernel says is of a size that a Python process has."""
    assert MIB < resident_bytes() < 10000 * MIB


@pytest.mark.parametrize(
    ("newer", "older", "granted"),
    [
        ("104857600", None, 104857600),
        ("max", "77", 0),
        (None, "104857600", 104857600),
        (None, "9223372036854771712", 0),
        (None, None, 0),
    ],
)
def test_grant_of_a_group_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, newer: str | None, older: str | None, granted: int
) -> None:
    """Operations §12: both kinds of control groups say what a container may have, or that it may have anything."""
    paths = []
    for name, text in (("newer", newer), ("older", older)):
        paths.append(tmp_path / name)
        if text is not None:
            (tmp_path / name).write_text(text + "\n")
    monkeypatch.setattr(memory, "_GRANTS", tuple(paths))
    assert granted_bytes() == granted
