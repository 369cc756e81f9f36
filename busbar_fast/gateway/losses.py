"""Tells operators what translations lose, so seldom that a busy gateway can still be read.

Only fixed words and numbers stand in a line, never what a client said.
"""

import logging
from typing import Final

from busbar_fast.observe.counters import Loss
from busbar_fast.observe.log import fields

_log: Final = logging.getLogger("busbar_fast.gateway")

_BETWEEN_S: Final = 60.0


class LossLog:
    """Logs each kind of loss at most once a minute, with how many went by since."""

    __slots__ = ("_logged",)

    def __init__(self) -> None:
        self._logged: dict[Loss, tuple[float, int]] = {}  # when it was logged, and how many were not since

    def note(self, loss: Loss, detail: str, now_s: float) -> None:
        """Log one loss, unless one of its kind was logged a moment ago."""
        logged_s, silent = self._logged.get(loss, (now_s - _BETWEEN_S, 0))
        if now_s - logged_s < _BETWEEN_S:
            self._logged[loss] = (logged_s, silent + 1)
            return
        self._logged[loss] = (now_s, 0)
        source, target, action, field = loss
        more = {"detail": detail} if detail else {}
        more |= {"suppressed": str(silent)} if silent else {}
        _log.warning("translation: %s %s", action, field, extra=fields(source=source, target=target, **more))
