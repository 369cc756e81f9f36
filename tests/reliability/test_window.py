"""The sliding window of outcomes: what counts, what is forgotten, and one outcome that is changed afterwards."""

from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.reliability.window import MOST, Window


def filled(span_s: float, *outcomes: tuple[float, bool]) -> Window:
    """Return a window that saw these times and whether they were failures."""
    window = Window(span_s)
    for at_s, is_error in outcomes:
        window.add(at_s, is_error=is_error)
    return window


def test_outcome_of_exactly_the_span_counts() -> None:
    """Reliability case 25: an outcome exactly `window_secs` old counts and an older one does not."""
    window = filled(30.0, (100.0, True), (100.5, False))
    assert window.count(130.0) == (2, 1)
    assert window.count(130.25) == (1, 0)
    assert window.count(130.75) == (0, 0)


def test_old_errors_do_not_count() -> None:
    """Reliability case 24: errors older than the window play no part, in numerator and denominator alike."""
    window = filled(30.0, *[(0.0, True)] * 100, *[(40.0, False)] * 9, (40.0, True))
    assert window.count(40.0) == (10, 1)


def test_only_the_newest_are_remembered() -> None:
    """A full ring forgets the oldest outcome with each new one, and what it knows of errors stays right."""
    window = filled(1e9, *[(1.0, True)] * 10, *[(2.0, False)] * MOST)
    assert window.count(3.0) == (MOST, 0)
    window.add(3.0, is_error=True)
    assert window.count(3.0) == (MOST, 1)


def test_ring_goes_on_after_its_content_aged() -> None:
    """Slots of outcomes that no longer count are used again without being counted off twice."""
    window = filled(10.0, *[(0.0, True)] * MOST)
    assert window.count(100.0) == (0, 0)
    window.add(100.0, is_error=True)
    window.add(100.0)
    assert window.count(100.0) == (2, 1)


def test_full_ring_with_one_outcome_aged_forgets_no_other() -> None:
    """The slot of the one outcome that no longer counts is the one that the next outcome takes."""
    window = filled(10.0, (0.0, True), *[(5.0, True)] * (MOST - 1))
    assert window.count(12.0) == (MOST - 1, MOST - 1)
    window.add(12.0)
    assert window.count(12.0) == (MOST, MOST - 1)


def test_success_turns_into_failure_in_place() -> None:
    """Reliability §9 D22: the entry is flipped, so the total stays and the time is still that of the success."""
    window = Window(30.0)
    serial = window.add(0.0)
    window.add(5.0)
    window.turn(serial, 10.0)
    assert window.count(10.0) == (2, 1)
    assert window.count(31.0) == (1, 0)


def test_success_that_left_the_window_becomes_a_failure_of_now() -> None:
    """Reliability §9 D22: a stream longer than the window that dies is a failure when it dies."""
    window = Window(30.0)
    serial = window.add(0.0)
    window.turn(serial, 600.0)
    assert window.count(600.0) == (1, 1)


def test_success_that_was_forgotten_becomes_a_failure_of_now() -> None:
    """A cleared window knows no earlier outcome, and a serial from before it finds none."""
    window = Window(30.0)
    serial = window.add(0.0)
    window.clear()
    assert window.count(0.0) == (0, 0)
    window.turn(serial, 1.0)
    assert window.count(1.0) == (1, 1)


class Twin:
    """A list of outcomes, searched from the start each time."""

    def __init__(self, span_s: float) -> None:
        self.span_s = span_s
        self.outcomes: list[tuple[float, bool]] = []
        self.forgotten = 0

    def count(self, now_s: float) -> tuple[int, int]:
        """Return the counts of the window the slow way."""
        counted = [is_error for at_s, is_error in self.living() if at_s >= now_s - self.span_s]
        return len(counted), sum(counted)

    def living(self) -> list[tuple[float, bool]]:
        """Return the outcomes that were neither cleared nor pushed out."""
        return self.outcomes[max(self.forgotten, len(self.outcomes) - MOST) :]


@given(
    st.lists(
        st.tuples(st.sampled_from(["ok", "error", "clear", "burst"]), st.sampled_from([0.0, 0.5, 3.0, 10.0])),
        max_size=40,
    )
)
def test_window_agrees_with_its_twin(steps: list[tuple[str, float]]) -> None:
    """Whatever is added or cleared, and however time passes, the ring counts what a plain list counts."""
    window, twin, now_s = Window(10.0), Twin(10.0), 0.0
    for step, passed_s in steps:
        now_s += passed_s
        for _ in range(300 if step == "burst" else 1):
            if step == "clear":
                window.clear()
                twin.forgotten = len(twin.outcomes)
            else:
                window.add(now_s, is_error=step == "error")
                twin.outcomes.append((now_s, step == "error"))
        assert window.count(now_s) == twin.count(now_s)
