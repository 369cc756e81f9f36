"""Figures, verdicts and the text made of them."""

import pytest

from perf import report
from perf.budgets import Budget, Judged, Verdict, judge, judge_all, load
from perf.figures import Figure, Section
from perf.sides import ROOT


def figure(
    ours: list[float], haproxy: list[float], *, failures: tuple[str, ...] = (), name: str = "json.c8.cpu"
) -> Figure:
    """Return a CPU figure with these samples."""
    samples = {"ours": ours, "haproxy": haproxy}
    return Figure(name, Section.CPU, "JSON", "µs", samples, failures=failures, note="a note")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0.254, "0.25"),
        (9.99, "9.99"),
        (19.96, "20.0"),
        (319.4, "319"),
        (45_857.2, "45,857"),
        (-3.0, "-3.00"),
    ],
)
def test_amount_has_about_three_digits(value: float | None, text: str) -> None:
    """Digits that carry no meaning are not shown."""
    assert report.format_amount(value) == text


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [([30.0], Verdict.STRETCH), ([31.0], Verdict.MET), ([40.0], Verdict.MET), ([41.0], Verdict.MISSED)],
)
def test_ratio_is_judged_by_target_and_stretch(ours: list[float], verdict: Verdict) -> None:
    """Limits are met when reached exactly."""
    budget = Budget("json.c8.cpu", "ratio", 2.0, 1.5)
    assert judge(budget, {"json.c8.cpu": figure(ours, [20.0])}).verdict is verdict


def test_own_value_is_judged_without_a_yardstick() -> None:
    """A budget of our own value needs no other side."""
    judged = judge(Budget("memory.idle", "ours", 40.0), {"memory.idle": figure([24.0, 26.0], [])})
    assert (judged.value, judged.verdict) == (25.0, Verdict.MET)


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [
        ([], Verdict.ABSENT),
        ([figure([], [20.0])], Verdict.ABSENT),
        ([figure([40.0], [20.0], failures=("wrk: 1 x read",))], Verdict.VOID),
        ([figure([], [], failures=("ours ended",), name="json.c8")], Verdict.VOID),
        ([figure([40.0], [0.0])], Verdict.NOISY),
    ],
)
def test_what_was_not_measured_is_never_met(measured: list[Figure], verdict: Verdict) -> None:
    """Absent, void, broken and drowned figures each get their own verdict."""
    (judged,) = judge_all([Budget("json.c8.cpu", "ratio", 9.0)], measured)
    assert (judged.value, judged.verdict) == (None, verdict)


def test_line_names_its_own_baseline() -> None:
    """Where a table compares with two things, the line says what it is compared with unless the heading does."""
    whole, streamed = (
        Figure(name, Section.TRANSLATED, name, "µs", {"ours": [8.0], "haproxy": [2.0], "passed": [4.0]}, baseline)
        for name, baseline in (("whole", "haproxy"), ("streamed", "passed"))
    )
    _, _, heading, first, second = report.render_section(Section.TRANSLATED, [whole, streamed])
    assert heading.endswith("ours ÷ haproxy (range over rounds)")
    assert first.endswith("4.00 (4.00 to 4.00)")
    assert second.endswith("2.00 (2.00 to 2.00), ours ÷ passed")


def test_budget_of_something_else_is_refused() -> None:
    """A typing error in the file is an error and not a budget that nobody checks."""
    with pytest.raises(ValueError, match="neither"):
        Budget("json.c8.cpu", "theirs", 1.0)


def test_shipped_budgets_are_readable() -> None:
    """The file holds the targets of the design, each once."""
    names = [budget.figure for budget in load(ROOT / "perf" / "budgets.toml")]
    assert "json.c8.cpu" in names
    assert len(names) == len(set(names))


def test_report_shows_medians_ratio_and_verdict() -> None:
    """One figure is one line with the value of each side and the range of the ratio."""
    shown = figure([40.0, 50.0, 44.0], [20.0, 20.0, 20.0])
    judged = [Judged(Budget("json.c8.cpu", "ratio", 2.0), 2.2, Verdict.MISSED)]
    text = report.render({"machine": "2 x test"}, [shown], judged)
    (line,) = (line for line in text.splitlines() if line.startswith("  JSON"))
    assert line.split() == ["JSON,", "µs", "44.0", "20.0", "2.20", "(2.00", "to", "2.50)"]
    assert "MISSED" in text
    assert "VOID" not in text
    assert "2 x test" in text


def test_report_of_a_void_figure_hides_its_values() -> None:
    """Nobody can quote a figure during which something failed."""
    text = report.render({}, [figure([40.0], [20.0], failures=("ours: 3 bad answers",))], [])
    assert "40.0" not in text
    assert text.count("3 bad answers") == 2


def test_record_keeps_every_sample() -> None:
    """Medians can be computed again from what is kept."""
    kept = figure([40.0, 50.0], [20.0, 20.0]).to_record()
    assert kept["samples"] == {"ours": [40.0, 50.0], "haproxy": [20.0, 20.0]}
    assert kept["ratio"] == {"median": 2.25, "low": 2.0, "high": 2.5}
