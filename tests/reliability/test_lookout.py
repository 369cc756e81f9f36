"""Somebody looks whether a rest is over for which others wait."""

from busbar_fast.reliability.breaker import Cell
from busbar_fast.reliability.lookout import Lookout
from tests.reliability.builders import EAGER, ignore, new_cell, trip


class InLine:
    """One that notes that it was called."""

    def __init__(self) -> None:
        self.calls = 0

    def on_ready(self, cell: Cell) -> None:
        assert not cell.has_line
        self.calls += 1


def test_cell_is_looked_after_as_long_as_it_has_a_line() -> None:
    """Reliability §3: the line is called when the rest is over, and the cell is of no more interest."""
    begun: list[str] = []
    lookout, cell, waiting = Lookout(lambda: begun.append("needed")), new_cell(EAGER), InLine()
    trip(cell)
    cell.line_up(waiting)
    for _ in range(2):
        lookout.watch(cell)
    assert begun == ["needed"]
    assert repr(lookout) == "<Lookout for 1 cells>"
    lookout.look(29.0)
    assert (waiting.calls, lookout.is_needed) == (0, True)
    lookout.look(30.0)
    assert (waiting.calls, lookout.is_needed) == (1, False)


def test_line_that_was_left_is_forgotten() -> None:
    """Whoever waited may be gone by the time that somebody looks."""
    lookout, cell, waiting = Lookout(ignore), new_cell(EAGER), InLine()
    trip(cell)
    cell.line_up(waiting)
    lookout.watch(cell)
    cell.leave(waiting)
    lookout.look(0.0)
    assert (waiting.calls, lookout.is_needed, cell.ready_at_s) == (0, False, 30.0)
