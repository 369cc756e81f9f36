"""A figure: one measured quantity, with a sample per side and round.

Rows make figures, the report and the record read them. A figure with a failure is void: its samples must not be
quoted. A figure without samples of ours is absent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum

from perf import arithmetic

OURS = "ours"
YARDSTICK = "haproxy"
BARE_PYTHON = "python"


class BenchError(Exception):
    """A side or a tool did not do what it was started for; the figure at hand is void."""


class Section(Enum):
    """The tables of the report, in order."""

    CPU = "CPU time of the whole process tree"
    TRANSLATED = "CPU time of what is translated"
    PAYLOAD = "CPU time with larger bodies, and what a kilobyte of them adds"
    CROWD = "many slow streams at once"
    RATE = "throughput (the generator and the upstream share these cores: compare, do not quote)"
    LATENCY = "added latency at one connection (side minus direct upstream)"
    MEMORY = "resident memory"
    START = "cold start: exec to first answer"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report."""

    name: str
    section: Section
    title: str
    unit: str
    samples: Mapping[str, Sequence[float]]
    baseline: str = YARDSTICK
    failures: Sequence[str] = ()
    note: str = ""
    is_difference: bool = False  # samples are differences, so that single ones may be zero or less

    @property
    def is_void(self) -> bool:
        """Whether something failed while measuring."""
        return bool(self.failures)

    @property
    def is_absent(self) -> bool:
        """Whether our side offers nothing to measure here."""
        return not self.samples.get(OURS)

    def middle(self, side: str) -> float | None:
        """Return the median of one side."""
        values = self.samples.get(side)
        return arithmetic.median(values) if values else None

    def ratio(self) -> arithmetic.Ratio | None:
        """Return ours ÷ baseline."""
        compare = arithmetic.median_ratio if self.is_difference else arithmetic.paired_ratio
        return compare(self.samples.get(OURS, ()), self.samples.get(self.baseline, ()))

    def to_record(self) -> dict[str, object]:
        """Return plain values for JSON: every sample, and the medians computed from them."""
        ratio = self.ratio()
        return {
            "name": self.name,
            "unit": self.unit,
            "title": self.title,
            "baseline": self.baseline,
            "medians": {side: self.middle(side) for side in self.samples},
            "ratio": asdict(ratio) if ratio else None,
            "failures": list(self.failures),
            "note": self.note,
            "samples": {side: list(values) for side, values in self.samples.items()},
        }
