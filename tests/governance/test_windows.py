"""Windows of time in UTC."""

import pytest

from busbar_fast.governance.windows import minute_start, period_end, period_start

LEAP_EVE = 1709251199  # 2024-02-29 23:59:59


@pytest.mark.parametrize(
    ("period", "at_s", "start_s", "end_s"),
    [
        ("daily", LEAP_EVE, 1709164800, 1709251200),
        ("monthly", LEAP_EVE, 1706745600, 1709251200),
        ("daily", LEAP_EVE + 1, 1709251200, 1709337600),
        ("monthly", LEAP_EVE + 1, 1709251200, 1711929600),
        ("monthly", 951000000, 949363200, 951868800),
        ("monthly", 1704067199, 1701388800, 1704067200),  # December
        ("total", LEAP_EVE, 0, None),
        ("weekly", LEAP_EVE, 0, None),
    ],
)
def test_windows_of_budgets(period: str, at_s: int, start_s: int, end_s: int | None) -> None:
    """Governance case 32 and §6: days and months of the calendar; what nobody knows never ends."""
    assert (period_start(period, at_s), period_end(period, start_s)) == (start_s, end_s)


def test_windows_of_rates() -> None:
    """Governance §5: minutes of the epoch."""
    assert [minute_start(at_s) for at_s in (0, 59, 60, 119)] == [0, 0, 60, 60]
