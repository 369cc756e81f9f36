"""Who looks after the cells that somebody waits for: a rest that ends tells nobody, so somebody has to look.

Whoever has a timer calls `look` every so often while `is_needed`; newcomers without another member look by themselves.
"""

from collections.abc import Callable

from busbar_fast.reliability.breaker import Cell


class Lookout:
    """See the module. `on_needed` is called when there is something to look after where there was nothing."""

    __slots__ = ("_cells", "_on_needed")

    def __init__(self, on_needed: Callable[[], None]) -> None:
        self._cells: dict[Cell, None] = {}
        self._on_needed = on_needed

    def __repr__(self) -> str:
        return f"<Lookout for {len(self._cells)} cells>"

    @property
    def is_needed(self) -> bool:
        """Whether anybody waits for a rest to end, as far as is known."""
        return bool(self._cells)

    def watch(self, cell: Cell) -> None:
        """Look after a cell as long as it has a line."""
        was_needed = self.is_needed
        self._cells[cell] = None
        if not was_needed:
            self._on_needed()

    def look(self, now_s: float) -> None:
        """Let those go on whose cell serves again."""
        for cell in list(self._cells):
            cell.call(now_s)
            if not cell.has_line:
                self._cells.pop(cell, None)
