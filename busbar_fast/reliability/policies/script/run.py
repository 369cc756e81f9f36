"""One run of a script: its variables, the steps it has left, and the clock that ends it.

Hot: perf/micro/bench_script.py. Steps are paid before the work they stand for. `mark` joins both limits in one
comparison: below it either the steps are used up or the clock has not been looked at for a while.
"""

from typing import Final

from busbar_fast.clock import Now
from busbar_fast.errors import ScriptError
from busbar_fast.reliability.policies.script.limits import LONG_STEP_S, STEPS_BETWEEN_LOOKS
from busbar_fast.reliability.policies.script.values import Value


class _Unset:
    """Stands in the place of a variable that has no value yet."""

    __slots__ = ()


UNSET: Final = _Unset()


class Run:
    """The state of one run; nodes are called with it. `variables` are numbered when the script is compiled."""

    __slots__ = ("_deadline_s", "_now", "left", "mark", "result", "variables")

    def __init__(self, variables: list[Value], steps: int, now: Now, deadline_s: float) -> None:
        self.variables = variables
        self.left = steps
        self.mark = max(steps - STEPS_BETWEEN_LOOKS, 0)
        self.result: Value = UNSET
        self._now = now
        self._deadline_s = deadline_s

    def pay(self, steps: int) -> None:
        """Take the price of what comes next. Raise ScriptError if it cannot be paid, in steps or in time."""
        self.left -= steps
        if self.left < self.mark:
            self._look(steps)

    def _look(self, steps: int) -> None:
        if self.left < 0:
            raise ScriptError("used up its steps")
        if self._now() + steps * LONG_STEP_S >= self._deadline_s:
            raise ScriptError("took too long")
        self.mark = max(self.left - STEPS_BETWEEN_LOOKS, 0)
