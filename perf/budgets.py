"""Targets, and the verdict of a run about each of them."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from perf.figures import OURS, Figure


class Verdict(Enum):
    """What a run says about one target."""

    STRETCH = "met, stretch too"
    MET = "met"
    MISSED = "MISSED"
    VOID = "VOID"
    NOISY = "too noisy to tell"
    ABSENT = "not measured"


@dataclass(frozen=True, slots=True)
class Budget:
    """One target; `of` is "ratio" (ours ÷ baseline) or "ours" (our own value)."""

    figure: str
    of: str
    target: float
    stretch: float | None = None

    def __post_init__(self) -> None:
        if self.of not in ("ratio", "ours"):
            raise ValueError(f"{self.figure}: of = {self.of!r} is neither ratio nor ours")


@dataclass(frozen=True, slots=True)
class Judged:
    """A budget with what was measured against it."""

    budget: Budget
    value: float | None
    verdict: Verdict


def load(path: Path) -> list[Budget]:
    """Read the file; an unknown key or a missing one is an error."""
    return [Budget(**entry) for entry in tomllib.loads(path.read_text())["budget"]]


def judge(budget: Budget, figures: Mapping[str, Figure]) -> Judged:
    """Compare one budget with the figures of a run."""
    broken = next((row for row in figures.values() if row.is_void and budget.figure.startswith(f"{row.name}.")), None)
    figure = figures.get(budget.figure, broken)  # a row that broke is one void figure named like the start of its own
    if figure is None:
        return Judged(budget, None, Verdict.ABSENT)
    if figure.is_void or figure.is_absent:
        return Judged(budget, None, Verdict.VOID if figure.is_void else Verdict.ABSENT)
    ratio = figure.ratio()
    value = figure.middle(OURS) if budget.of == "ours" else ratio.median if ratio else None
    if value is None:
        return Judged(budget, None, Verdict.NOISY)
    if budget.stretch is not None and value <= budget.stretch:
        return Judged(budget, value, Verdict.STRETCH)
    return Judged(budget, value, Verdict.MET if value <= budget.target else Verdict.MISSED)


def judge_all(budgets: Sequence[Budget], figures: Sequence[Figure]) -> list[Judged]:
    """Compare all of them."""
    by_name = {figure.name: figure for figure in figures}
    return [judge(budget, by_name) for budget in budgets]
