"""What the kernel knows of a side's whole process tree: CPU time, time spent waiting for a CPU, resident memory.

Linux only. Processes that end between two readings take their share with them, so measure only while a side is steady.
"""

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

from perf import arithmetic

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class CpuReading:
    """CPU time used, and time spent runnable without a CPU: the second tells how disturbed the first is."""

    used_ns: int
    waited_ns: int

    def since(self, earlier: "CpuReading") -> "CpuReading":
        """Return what came on top of an earlier reading."""
        return CpuReading(self.used_ns - earlier.used_ns, self.waited_ns - earlier.waited_ns)


class Neighbours:
    """How much CPU others used while we measured: what the machine spent, less what we and our children did."""

    def __init__(self) -> None:
        self._started_s = time.monotonic()
        self._busy, self._stolen = arithmetic.parse_busy_ticks((_PROC / "stat").read_text())
        self._own_s = sum(os.times()[:4])

    def describe(self) -> str:
        """Return the shares in CPUs; ask once all children are reaped, or they count as others."""
        busy, stolen = arithmetic.parse_busy_ticks((_PROC / "stat").read_text())
        wall_s = time.monotonic() - self._started_s
        ticks_per_s = os.sysconf("SC_CLK_TCK")
        others = (busy - self._busy) / ticks_per_s - (sum(os.times()[:4]) - self._own_s)
        taken = (stolen - self._stolen) / ticks_per_s
        return f"{max(0.0, others) / wall_s:.2f} CPUs used by others, {taken / wall_s:.2f} taken by the hypervisor"


def tree(root: int) -> list[int]:
    """Return the pids of root and all its descendants."""
    parents: dict[int, int] = {}
    for folder in _PROC.iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                parents[int(folder.name)] = arithmetic.parse_parent_pid((folder / "stat").read_text())
    return arithmetic.descendants(root, parents)


def read_cpu(root: int) -> CpuReading:
    """Return the sums over the tree."""
    used_ns = waited_ns = 0
    for pid in tree(root):
        used_ns += time.clock_gettime_ns(arithmetic.cpu_clock_id(pid))
        for task in (_PROC / str(pid) / "task").iterdir():
            waited_ns += arithmetic.parse_schedstat_wait_ns((task / "schedstat").read_text())
    return CpuReading(used_ns, waited_ns)


def _sum_kib(root: int, file: str, field: str) -> int:
    total_kib = 0
    for pid in tree(root):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            total_kib += arithmetic.parse_status_kib((_PROC / str(pid) / file).read_text(), field)
    return total_kib


def read_resident_mib(root: int) -> float:
    """Return the resident memory of the tree; pages shared inside it count once per process."""
    return _sum_kib(root, "smaps_rollup", "Rss") / 1024  # status has it too, but rounded by per-CPU counters


def read_peak_mib(root: int) -> float:
    """Return the highest resident memory since `reset_peak`, summed over the tree."""
    return _sum_kib(root, "status", "VmHWM") / 1024


def reset_peak(root: int) -> None:
    """Forget earlier peaks (the kernel's meaning of writing 5 to clear_refs)."""
    for pid in tree(root):
        (_PROC / str(pid) / "clear_refs").write_text("5")
