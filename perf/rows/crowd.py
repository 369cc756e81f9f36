"""Many at once who take their time: a thousand streams of tokens 20 ms apart, and a hundred clients that read slowly.

Each sample comes from a fresh instance, as for every figure that says something about memory. The generators check
every frame; a stream that lacks one makes the figures void.
"""

import time
from collections.abc import Iterator
from typing import Final

from perf import procfs
from perf.bench import Bench, failures_of, run_load
from perf.figures import Figure, Section
from perf.sides import Running, Side

PACE_MS: Final = 20
_STREAMS_EACH: Final = 3
_SETTLE_S: Final = 1.0
_SLOW_CLIENTS: Final = 100
_SLOW_BYTES: Final = 2 * 1024 * 1024
_SLOW_RATE_MIB: Final = 1.0


class Collected:
    """Samples per side."""

    def __init__(self) -> None:
        self.cpu_us: dict[str, list[float]] = {}
        self.gap_ms: dict[str, list[float]] = {}
        self.stream_kib: dict[str, list[float]] = {}
        self.slow_kib: dict[str, list[float]] = {}
        self.failures: list[str] = []


def _settled_mib(instance: Running) -> float:
    time.sleep(_SETTLE_S)
    resident_mib = procfs.read_resident_mib(instance.pid)
    procfs.reset_peak(instance.pid)
    return resident_mib


def _grown_kib(instance: Running, before_mib: float, count: int) -> float:
    return (procfs.read_peak_mib(instance.pid) - before_mib) * 1024 / count


def _sample_streams(bench: Bench, side: Side, collected: Collected) -> None:
    crowd = bench.plan.crowd
    with bench.started(side) as instance:
        instance.wait_ready()
        before_mib, before = _settled_mib(instance), instance.read_cpu()
        outcome = run_load(
            "streams", port=instance.port, connections=crowd, count=crowd * _STREAMS_EACH, pace_ms=PACE_MS, limit_s=60
        )
        spent = instance.read_cpu().since(before)
        grown_kib = _grown_kib(instance, before_mib, crowd)
    collected.failures += failures_of(outcome, side.name)
    completed, gap_ms = outcome["completed"], outcome["longest_gap_ms"]
    assert isinstance(completed, int)
    assert isinstance(gap_ms, float)
    if completed:
        collected.cpu_us.setdefault(side.name, []).append(spent.used_ns / 1000 / completed)
        collected.gap_ms.setdefault(side.name, []).append(gap_ms)
        collected.stream_kib.setdefault(side.name, []).append(grown_kib)


def _sample_slow(bench: Bench, side: Side, collected: Collected) -> None:
    with bench.started(side) as instance:
        instance.wait_ready()
        before_mib = _settled_mib(instance)
        outcome = run_load(
            "slow", port=instance.port, connections=_SLOW_CLIENTS, bytes=_SLOW_BYTES, rate_mib=_SLOW_RATE_MIB
        )
        collected.slow_kib.setdefault(side.name, []).append(_grown_kib(instance, before_mib, _SLOW_CLIENTS))
    collected.failures += failures_of(outcome, side.name)


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield what the crowd of streams costs, how long one of them stood still, and what memory it all took."""
    collected = Collected()
    for _ in range(bench.plan.crowd_rounds):
        for side in bench.faithful_sides:
            _sample_streams(bench, side, collected)
            _sample_slow(bench, side, collected)
    crowd = f"{bench.plan.crowd:,} streams at once, {PACE_MS} ms apart"
    slow = f"memory of each of {_SLOW_CLIENTS} clients that read 2 MB slowly"
    for name, title, unit, samples in (
        ("crowd.cpu", crowd, "µs/stream", collected.cpu_us),
        ("crowd.gap", "longest silence in any of them", "ms", collected.gap_ms),
        ("crowd.memory", "memory of each of them", "KB", collected.stream_kib),
        ("crowd.slow", slow, "KB", collected.slow_kib),
    ):
        yield Figure(name, Section.CROWD, title, unit, samples, failures=tuple(collected.failures))
