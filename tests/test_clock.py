"""The `Date` line: its form, and that it is encoded once a second."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast import clock

YEAR_9999 = 253_402_300_799


@given(st.integers(min_value=0, max_value=YEAR_9999))
def test_date_is_the_one_the_standard_library_writes(epoch_s: int) -> None:
    """Any second is written as the standard library's slower encoder writes it."""
    slow = format_datetime(datetime.fromtimestamp(epoch_s, UTC), usegmt=True)
    assert clock.encode_date(epoch_s) == f"Date: {slow}\r\n".encode()


def test_date_line_is_kept_within_a_second() -> None:
    """The same second gives the same object, a new second a new line."""
    date = clock.DateLine()
    first = date.line(0)
    assert first == b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
    assert date.line(0) is first
    assert date.line(1) == b"Date: Thu, 01 Jan 1970 00:00:01 GMT\r\n"


def test_date_line_reads_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a given second the line is that of the wall clock."""
    monkeypatch.setattr("time.time", lambda: 86_400.9)
    assert clock.DateLine().line() == b"Date: Fri, 02 Jan 1970 00:00:00 GMT\r\n"


def test_now_does_not_go_back() -> None:
    """Two readings of the monotonic clock are in order."""
    assert clock.now() <= clock.now()
