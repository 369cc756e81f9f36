"""Windows of time by the clock on the wall, in UTC: the minute of a rate, the period of a budget."""

from calendar import timegm
from time import gmtime
from typing import Final

MINUTE_S: Final = 60
_DAY_S: Final = 86400


def minute_start(epoch_s: int) -> int:
    """Return when the minute began."""
    return epoch_s - epoch_s % MINUTE_S


def period_start(period: str, epoch_s: int) -> int:
    """Return when a budget's window began; one of an unknown period never began, like that of `total`."""
    if period == "daily":
        return epoch_s - epoch_s % _DAY_S
    if period == "monthly":
        at = gmtime(epoch_s)
        return timegm((at.tm_year, at.tm_mon, 1, 0, 0, 0))
    return 0


def period_end(period: str, start_s: int) -> int | None:
    """Return when the window ends that began then; None if it does not."""
    if period == "daily":
        return start_s + _DAY_S
    if period == "monthly":
        at = gmtime(start_s)
        return timegm((at.tm_year + at.tm_mon // 12, at.tm_mon % 12 + 1, 1, 0, 0, 0))
    return None
