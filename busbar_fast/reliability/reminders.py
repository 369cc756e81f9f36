"""What happens often is told of once a minute, with how often it happened."""

from math import inf
from typing import Final

EVERY_S: Final = 60.0


class Reminder:
    """See the module; one for each thing that is told of."""

    __slots__ = ("_count", "_next_s")

    def __init__(self) -> None:
        self._next_s = -inf
        self._count = 0

    def count(self, now_s: float) -> int:
        """Count once more; return how often it happened since it was told of, 0 if that is not due yet."""
        self._count += 1
        if now_s < self._next_s:
            return 0
        count, self._count = self._count, 0
        self._next_s = now_s + EVERY_S
        return count
