"""The bench: the upstream, the sides under test and the plan, shared by all rows.

Rows take the sides that run for the whole session from `running`, or start fresh ones where history would falsify the
figure (memory, cold start). Nothing here measures.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import cast

from perf.figures import BenchError
from perf.plan import Plan
from perf.sides import ROOT, Paced, Running, Side


class Bench:
    """Everything that is running, and what to run it for."""

    def __init__(self, plan: Plan, sides: Sequence[Side], scratch: Path, *, pin: bool) -> None:
        self.plan = plan
        self.sides = sides
        self.scratch = scratch
        self.running: list[Running] = []
        self.upstream_port = 0
        cpus = sorted(os.sched_getaffinity(0))
        self._own_cpus = set(cpus[:-1]) if pin else set(cpus)
        self._side_cpus = {cpus[-1]} if pin else set(cpus)

    @property
    def faithful_sides(self) -> list[Side]:
        """The sides that every row measures."""
        return [side for side in self.sides if side.is_faithful]

    @contextmanager
    def opened(self) -> Iterator["Bench"]:
        """Start the upstream and one instance of every side; stop them all at the end."""
        os.sched_setaffinity(0, self._own_cpus)
        with ExitStack() as stack:
            upstream = stack.enter_context(Running(Paced(), 0, self.scratch)).wait_ready()
            self.upstream_port = upstream.port
            for side in self.sides:
                self.running.append(stack.enter_context(self.started(side)).wait_ready())
            yield self

    def started(self, side: Side, upstream_port: int = 0) -> Running:
        """Start a fresh instance on the CPUs for sides, over the usual upstream or another; the caller stops it."""
        os.sched_setaffinity(0, self._side_cpus)  # children inherit it, and so do all their threads
        try:
            return Running(side, upstream_port or self.upstream_port, self.scratch)
        finally:
            os.sched_setaffinity(0, self._own_cpus)


def run_load(mode: str, **options: object) -> Mapping[str, object]:
    """Run one mode of perf.load to its end and return what it said."""
    done = subprocess.run(
        load_command(mode, **options), cwd=ROOT, capture_output=True, text=True, check=False, timeout=600
    )
    if done.returncode != 0:
        raise BenchError(f"perf.load {mode} ended with {done.returncode}: {done.stderr[-400:]}")
    return cast("Mapping[str, object]", json.loads(done.stdout))


def load_command(mode: str, **options: object) -> list[str]:
    """Return the command line of a load generator; a True option becomes a bare flag."""
    words = [sys.executable, "-m", "perf.load", mode]
    for name, value in options.items():
        if value is False:
            continue
        words.append("--" + name.replace("_", "-"))
        if value is not True:
            words.append(str(value))
    return words


def failures_of(outcome: Mapping[str, object], side: str) -> list[str]:
    """Return the failures a load generator listed, with the side's name in front."""
    listed = cast("Sequence[str]", outcome["failures"])
    return [f"{side}: {failure}" for failure in listed]
