"""Resident memory: idle, under load, with idle connections, and while a client reads a long stream slowly.

Every sample comes from a fresh instance, because an allocator rarely gives back what an earlier row made it take.
"""

import json
import subprocess
import time
from collections.abc import Iterator
from typing import Final

from perf import procfs, wrk
from perf.bench import Bench, failures_of, load_command, run_load
from perf.figures import BenchError, Figure, Section
from perf.sides import ROOT, Running, Side

_SETTLE_S: Final = 1.0  # background warm-up belongs to the idle figure
_LOAD_CONNECTIONS: Final = 64


class Collected:
    """One sample per side for each of the four figures."""

    def __init__(self) -> None:
        self.idle: dict[str, list[float]] = {}
        self.loaded: dict[str, list[float]] = {}
        self.held: dict[str, list[float]] = {}
        self.slow: dict[str, list[float]] = {}
        self.failures: list[str] = []


def _settled(instance: Running) -> float:
    time.sleep(_SETTLE_S)
    return procfs.read_resident_mib(instance.pid)


def _hold(instance: Running, connections: int) -> tuple[float, list[str]]:
    """Return resident memory while connections that were used once are held open."""
    command = load_command("hold", port=instance.port, connections=connections)
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as holder:
        assert holder.stdout is not None
        said = holder.stdout.readline()
        held_mib = _settled(instance)
        holder.communicate(timeout=30)  # closes its standard input, which ends it
    if not said:
        raise BenchError("perf.load hold said nothing")
    return held_mib, failures_of(json.loads(said), instance.name)


def _measure_side(bench: Bench, side: Side, collected: Collected) -> None:
    plan = bench.plan
    with bench.started(side) as instance:
        instance.wait_ready()
        idle_mib = _settled(instance)
        collected.idle.setdefault(side.name, []).append(idle_mib)
        held_mib, failures = _hold(instance, plan.idle_connections)
        collected.held.setdefault(side.name, []).append(held_mib - idle_mib)
    with bench.started(side) as instance:
        instance.wait_ready()
        procfs.reset_peak(instance.pid)
        summary = wrk.run(instance.port, connections=_LOAD_CONNECTIONS, seconds=1)
        collected.loaded.setdefault(side.name, []).append(procfs.read_peak_mib(instance.pid))
        failures += [f"{side.name}: {line}" for line in summary.failures]
    with bench.started(side) as instance:
        instance.wait_ready()
        before_mib = _settled(instance)
        procfs.reset_peak(instance.pid)
        outcome = run_load(
            "slow", port=instance.port, connections=1, bytes=plan.slow_bytes, rate_mib=plan.slow_rate_mib
        )
        grown_mib = procfs.read_peak_mib(instance.pid) - before_mib
        collected.slow.setdefault(side.name, []).append(max(0.0, grown_mib))
        failures += failures_of(outcome, side.name)
    collected.failures += failures


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield the four figures."""
    collected = Collected()
    for side in bench.faithful_sides:
        _measure_side(bench, side, collected)
    plan, failures = bench.plan, tuple(collected.failures)
    slow_mib = plan.slow_bytes // (1024 * 1024)
    for name, title, samples in (
        ("memory.idle", "idle", collected.idle),
        ("memory.loaded", f"highest during a JSON load of {_LOAD_CONNECTIONS} connections", collected.loaded),
        ("memory.held", f"added by {plan.idle_connections:,} idle connections", collected.held),
        ("memory.slow", f"added by a {slow_mib} MiB stream, read slowly", collected.slow),
    ):
        yield Figure(name, Section.MEMORY, title, "MiB", samples, failures=failures)
