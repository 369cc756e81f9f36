"""What happens often is told of now and then."""

from busbar_fast.reliability.reminders import Reminder


def test_first_is_told_at_once_and_the_rest_by_the_minute() -> None:
    """Reliability §7: nothing is told twice within a minute, and nothing is left out of the count."""
    reminder = Reminder()
    assert [reminder.count(now_s) for now_s in (0.0, 1.0, 59.9, 60.0, 61.0, 200.0)] == [1, 0, 0, 3, 0, 2]
