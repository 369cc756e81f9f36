"""A gate that lets at most so many strands in at a time; the others wait in order, for a bounded time.

Whoever is let in holds the gate with a `with` and so gives its place back on every way out, also when its client
leaves. A strand that waits leaves the line when it is closed or has waited long enough.
"""

from collections import deque
from typing import Self

from busbar_fast.errors import Overloaded
from busbar_fast.wire.strand import Strand


class _Turn:
    """One place in the line: what its strand waits for."""

    __slots__ = ("has_come", "is_refused", "strand")

    def __init__(self, strand: Strand) -> None:
        self.strand = strand
        self.has_come = False
        self.is_refused = False


class Gate:
    """See the module. `most` 0 lets everybody in; `patience_s` 0 turns the excess away at once."""

    __slots__ = ("_is_admitting", "_line", "_patience_s", "inside", "most", "shed")

    def __init__(self, most: int, patience_s: float) -> None:
        self.most = most
        self._patience_s = patience_s
        self._line: deque[_Turn] = deque()
        self._is_admitting = False
        self.inside = 0
        self.shed = 0

    def __repr__(self) -> str:
        return f"<Gate inside={self.inside} of {self.most} waiting={len(self._line)}>"

    @property
    def waiting(self) -> int:
        """How many strands stand in line."""
        return len(self._line)

    def maybe_enter(self) -> Self | None:
        """Return the gate if nobody has to wait, to be held by a `with` at once; else None."""
        if self.most and (self.inside >= self.most or self._line):
            return None
        self.inside += 1
        return self

    async def enter(self, strand: Strand) -> Self:
        """Return the gate, to be held by a `with` at once. Raise Overloaded when the line does not move in time."""
        if self.maybe_enter() is not None:
            return self
        if self._patience_s == 0:
            raise self._turn_away()
        turn = _Turn(strand)
        self._line.append(turn)
        is_in = False
        try:
            with strand.within(self._patience_s, self._turn_away):
                await strand.wait_for(turn)
            if turn.is_refused:
                raise self._turn_away()
            is_in = turn.has_come
            return self
        finally:
            if not (is_in or turn.is_refused):
                self._line.remove(turn)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.inside -= 1
        if self._line:
            self._admit()

    def resize(self, most: int, patience_s: float | None = None) -> None:
        """Let in another number from now on, and let newcomers wait for another time; who is inside stays."""
        self.most = most
        if patience_s is not None:
            self._patience_s = patience_s
        self._admit()

    def refuse_line(self) -> None:
        """Turn everybody away who waits; who is inside stays."""
        line = list(self._line)
        self._line.clear()
        for turn in line:
            turn.is_refused = True
            turn.strand.wake(turn)

    @property
    def has_room(self) -> bool:
        """Whether the next one would not have to wait."""
        return self.most == 0 or (self.inside < self.most and not self._line)

    def _admit(self) -> None:
        """Let in whoever is next. A strand that leaves while it is being let in finds this loop running already."""
        if self._is_admitting:
            return
        self._is_admitting = True
        try:
            while self._line and (self.inside < self.most or self.most == 0):
                turn = self._line.popleft()
                turn.has_come = True
                self.inside += 1
                turn.strand.wake(turn)
        finally:
            self._is_admitting = False

    def _turn_away(self) -> Overloaded:
        self.shed += 1
        return Overloaded("more requests at once than are allowed")
