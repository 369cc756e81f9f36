"""How much of the loop's time the runs of one script may take, whoever they are for: others wait while it runs.

So much in a row, and what is used up comes back as time passes in which it does not run, three times as much for the
same. So it has a quarter of all time at most, and whoever arrives waits for no more than one allowance.
"""

from math import inf

from busbar_fast.errors import ScriptError
from busbar_fast.reliability.policies.script.limits import ENOUGH_S, LONGEST_S, SHARE


class Allowance:
    """See the module. A run takes part of it: it begins, and in any case it ends."""

    __slots__ = ("_left_s", "_since_s")

    def __init__(self) -> None:
        self._left_s = LONGEST_S
        self._since_s = -inf

    def begin(self, now_s: float) -> float:
        """Return how long a run may take. Raise ScriptError if too little is left for any."""
        left_s = self._left_s = min(LONGEST_S, self._left_s + (now_s - self._since_s) * SHARE)
        self._since_s = now_s
        if left_s < ENOUGH_S:
            raise ScriptError("not run: those before it took all the time that scripts have")
        return left_s

    def end(self, now_s: float) -> None:
        """Take off what a run took."""
        self._left_s -= now_s - self._since_s
        self._since_s = now_s
