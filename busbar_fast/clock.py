"""Time, behind one seam that tests replace.

`now` counts monotonic seconds. `date_header` is the `Date` line of every answer, rebuilt at most once a second.
"""

import time
from collections.abc import Callable
from typing import Final

Now = Callable[[], float]

now: Now = time.monotonic

_DAYS: Final[tuple[bytes, ...]] = (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun")
_MONTHS: Final[tuple[bytes, ...]] = (
    b"Jan",
    b"Feb",
    b"Mar",
    b"Apr",
    b"May",
    b"Jun",
    b"Jul",
    b"Aug",
    b"Sep",
    b"Oct",
    b"Nov",
    b"Dec",
)


def encode_date(epoch_s: int) -> bytes:
    """Return the header line of RFC 9110 section 5.6.7 for a Unix time; locale plays no part."""
    at = time.gmtime(epoch_s)
    return b"Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n" % (
        _DAYS[at.tm_wday],
        at.tm_mday,
        _MONTHS[at.tm_mon - 1],
        at.tm_year,
        at.tm_hour,
        at.tm_min,
        at.tm_sec,
    )


class DateLine:
    """The current `Date` line; one object serves the whole process."""

    __slots__ = ("_epoch_s", "_line")

    def __init__(self) -> None:
        self._epoch_s = -1
        self._line = b""

    def line(self, epoch_s: int | None = None) -> bytes:
        """Return the line for this second, encoding it only when the second is new."""
        second = int(time.time()) if epoch_s is None else epoch_s
        if second != self._epoch_s:
            self._epoch_s = second
            self._line = encode_date(second)
        return self._line
