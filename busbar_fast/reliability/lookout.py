"""Who looks after the cells that somebody waits for: a rest that ends tells nobody, so somebody has to look.

Whoever has a timer calls `look` every so often while `is_needed`; newcomers without another member look by themselves.
"""

from busbar_fast.reliability.breaker import Cell


class Lookout:
    """See the module."""

    __slots__ = ("_cells",)

    def __init__(self) -> None:
        self._cells: dict[Cell, None] = {}

    def __repr__(self) -> str:
        return f"<Lookout for {len(self._cells)} cells>"

    @property
    def is_needed(self) -> bool:
        """Whether anybody waits for a rest to end, as far as is known."""
        return bool(self._cells)

    def watch(self, cell: Cell) -> None:
        """Look after a cell as long as it has a line."""
        self._cells[cell] = None

    def look(self, now_s: float) -> None:
        """Let those go on whose cell serves again."""
        for cell in list(self._cells):
            cell.call(now_s)
            if not cell.has_line:
                self._cells.pop(cell, None)
