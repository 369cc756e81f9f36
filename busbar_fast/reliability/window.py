"""The outcomes of the last while: how many, and how many of them were failures.

Hot: each success of each request is added here; perf/micro/bench_reliability.py. Outcomes lie in a ring in the order of
their serial numbers, which never start again; that is what lets an outcome be found once more to change it. The ring
grows to `MOST` outcomes and then forgets the oldest, so a busy window is judged by its newest part.
"""

from array import array
from typing import Final

MOST: Final = 1024


class Window:
    """See the module. `span_s` is how old an outcome may be to count; exactly that old still counts."""

    __slots__ = ("_errors", "_is_error", "_next", "_oldest", "_times_s", "span_s")

    def __init__(self, span_s: float) -> None:
        self.span_s = span_s
        self._times_s = array("d")
        self._is_error = bytearray()
        self._next = 0  # the serial of the next outcome
        self._oldest = 0  # the serial of the oldest that still counts
        self._errors = 0

    def add(self, now_s: float, *, is_error: bool = False) -> int:
        """Add an outcome; return its serial. Times never go backwards."""
        serial = self._next
        self._next = serial + 1
        if serial < MOST:
            self._times_s.append(now_s)
            self._is_error.append(is_error)
        else:
            slot = serial % MOST
            if self._oldest == serial - MOST:
                self._drop()
            self._times_s[slot] = now_s
            self._is_error[slot] = is_error
        if is_error:
            self._errors += 1
        return serial

    def count(self, now_s: float) -> tuple[int, int]:
        """Return how many outcomes count now, and how many of them are failures."""
        since_s = now_s - self.span_s
        while self._oldest < self._next and self._times_s[self._oldest % MOST] < since_s:
            self._drop()
        return self._next - self._oldest, self._errors

    def turn(self, serial: int, now_s: float) -> None:
        """Turn the success of this serial into a failure; one that no longer counts becomes a failure of now."""
        self.count(now_s)
        if serial < self._oldest:
            self.add(now_s, is_error=True)
            return
        assert not self._is_error[serial % MOST]  # turned once
        self._is_error[serial % MOST] = True
        self._errors += 1

    def clear(self) -> None:
        """Forget everything."""
        self._oldest = self._next
        self._errors = 0

    def _drop(self) -> None:
        self._errors -= self._is_error[self._oldest % MOST]
        self._oldest += 1
