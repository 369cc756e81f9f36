"""Medians, ratios, turn-taking and the parsing of /proc text: everything a figure is computed with, and no I/O."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

Side = TypeVar("Side")


def median(values: Sequence[float]) -> float:
    """Return the median; nothing measured is an error, never a zero."""
    return float(statistics.median(values))


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least `percent` of all values do not exceed (nearest rank)."""
    ordered = sorted(values)
    rank = max(1, math.ceil(round(len(ordered) * percent / 100, 6)))  # 99.9 is a little more than it says
    return float(ordered[rank - 1])


@dataclass(frozen=True, slots=True)
class Ratio:
    """Ours ÷ theirs: the middle of all rounds, and the range over single rounds."""

    median: float
    low: float
    high: float


def paired_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> Ratio | None:
    """Return the median of ours ÷ theirs round by round; None when a denominator is not above zero."""
    if not numerators or len(numerators) != len(denominators) or min(denominators) <= 0:
        return None
    ratios = [above / below for above, below in zip(numerators, denominators, strict=True)]
    return Ratio(median(ratios), min(ratios), max(ratios))


def median_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> Ratio | None:
    """Return the ratio of the medians, for differences: in a noisy round theirs may be zero or less.

    Such a round has no ratio, and leaving it out would flatter us; it makes the range unbounded. None when even the
    median of theirs is not above zero: noise beat the signal.
    """
    if not numerators or len(numerators) != len(denominators) or median(denominators) <= 0:
        return None
    ratios = [a / b if b > 0 else math.inf for a, b in zip(numerators, denominators, strict=True)]
    return Ratio(median(numerators) / median(denominators), min(ratios), max(ratios))


def turns(sides: Sequence[Side], rounds: int) -> Iterable[tuple[int, Side]]:
    """Yield (round, side), each round in the opposite order of the last, so that slow drift hits all sides alike."""
    for number in range(rounds):
        for side in sides if number % 2 == 0 else reversed(sides):
            yield number, side


def parse_schedstat_wait_ns(text: str) -> int:
    """Return the second number of a schedstat line: nanoseconds spent runnable but waiting for a CPU."""
    return int(text.split()[1])


def parse_status_kib(text: str, field: str) -> int:
    """Return a `VmRSS:  1234 kB` line of /proc/<pid>/status in KiB; 0 where the kernel prints none (zombies)."""
    for line in text.splitlines():
        name, _, amount = line.partition(":")
        if name == field:
            return int(amount.split()[0])
    return 0


def parse_busy_ticks(stat_text: str) -> tuple[int, int]:
    """Return (busy, stolen) clock ticks of all CPUs since boot from /proc/stat; interrupts belong to nobody."""
    user, nice, system, _idle, _waiting, _irq, _softirq, stolen = (int(word) for word in stat_text.split()[1:9])
    return user + nice + system, stolen


def parse_parent_pid(stat_text: str) -> int:
    """Return the parent from /proc/<pid>/stat; the command in brackets may itself hold brackets and blanks."""
    return int(stat_text.rpartition(")")[2].split()[1])


def descendants(root: int, parents: dict[int, int]) -> list[int]:
    """Return root and everything below it, given each pid's parent."""
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid and child not in found]
    return found


def cpu_clock_id(pid: int) -> int:
    """Return the kernel's clock id of another process's CPU time.

    The encoding is that of clock_getcpuclockid(3): the complement of the pid, shifted by three, with the scheduler's
    clock (2) in the low bits. It counts all threads, finished ones included, in nanoseconds.
    """
    return (~pid << 3) | 2
