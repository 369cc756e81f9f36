"""CPU time per request and per stream, and the throughput seen on the way.

A sample is the CPU time of the side's process tree between two readings, divided by the answers completed between
them. Opening and closing the generator's connections is inside; the generator and the upstream are not.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from perf import arithmetic, shapes, wrk
from perf.bench import Bench, failures_of, run_load
from perf.figures import Figure, Section
from perf.sides import Running

_SETTLE_S: Final = 0.05  # lets the side close the generator's connections before its clock is read

_SLOWNESS: Final = 20  # gateways that write every frame anew get so many times fewer streams


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a generator did to a side in one turn."""

    completed: int
    wall_s: float
    failures: tuple[str, ...]
    reads: int = 0


@dataclass(slots=True)
class Samples:
    """Samples per side, in order of rounds."""

    cpu_us: dict[str, list[float]] = field(default_factory=dict)
    per_second: dict[str, list[float]] = field(default_factory=dict)
    waited: dict[str, list[float]] = field(default_factory=dict)
    reads: dict[str, list[float]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


Load = Callable[[Running], Loaded]


def load_json(connections: int, seconds: int, side: Running, payload: shapes.Payload = shapes.USUAL) -> Loaded:
    """Ask for answers over so many connections."""
    summary = wrk.run(
        side.port,
        connections=connections,
        seconds=seconds,
        fields=side.fields,
        is_faithful=side.is_faithful,
        payload=payload,
    )
    return Loaded(summary.completed, summary.wall_s, tuple(f"{side.name}: {line}" for line in summary.failures))


def _load_streams(connections: int, pace_ms: int, count: int, side: Running) -> Loaded:
    outcome = run_load(
        "streams",
        port=side.port,
        connections=connections,
        count=count if side.is_faithful else max(connections, count // _SLOWNESS),
        pace_ms=pace_ms,
        limit_s=60,
        fields=side.fields,
        loose=not side.is_faithful,
    )
    completed, reads, wall_s = outcome["completed"], outcome["reads"], outcome["wall_s"]
    assert isinstance(completed, int)
    assert isinstance(reads, int)
    assert isinstance(wall_s, float)
    return Loaded(completed, wall_s, tuple(failures_of(outcome, side.name)), reads)


def take_turn(side: Running, load: Load, samples: Samples) -> None:
    """Load one side once, and keep what it cost."""
    before = side.read_cpu()
    loaded = load(side)
    time.sleep(_SETTLE_S)
    spent = side.read_cpu().since(before)
    samples.failures += loaded.failures
    if loaded.completed and spent.used_ns:
        samples.cpu_us.setdefault(side.name, []).append(spent.used_ns / 1000 / loaded.completed)
        samples.per_second.setdefault(side.name, []).append(loaded.completed / loaded.wall_s)
        samples.waited.setdefault(side.name, []).append(spent.waited_ns / spent.used_ns)
        samples.reads.setdefault(side.name, []).append(loaded.reads / loaded.completed)


def sample(bench: Bench, load: Load, warm_up: Load) -> Samples:
    """Warm every side up, then let the sides take turns; stop at the first failure, the figure is void anyway."""
    samples = Samples()
    for side in bench.running:
        samples.failures += warm_up(side).failures
    for _, side in arithmetic.turns(bench.running, bench.plan.rounds):
        if samples.failures:
            break
        take_turn(side, load, samples)
    return samples


def _spread(values: dict[str, list[float]], unit: str, scale: float = 1.0) -> str:
    return ", ".join(f"{side} {arithmetic.median(all_of) * scale:.3g}{unit}" for side, all_of in values.items())


def measure_json(bench: Bench, connections: int) -> Iterator[Figure]:
    """Yield CPU and throughput of one rung."""
    load = partial(load_json, connections, bench.plan.rung_s)
    samples = sample(bench, load, partial(load_json, connections, 1))
    name = f"json.c{connections}"
    title = f"JSON, {connections} connection{'s' if connections > 1 else ''}"
    note = "waited for a CPU: " + _spread(samples.waited, "%", 100)
    failures = tuple(samples.failures)
    yield Figure(f"{name}.cpu", Section.CPU, title, "µs/request", samples.cpu_us, failures=failures, note=note)
    yield Figure(f"{name}.rate", Section.RATE, title, "requests/s", samples.per_second, failures=failures)


def name_streams(connections: int, pace_ms: int) -> str:
    """Return what figures of such streams are called."""
    return f"stream.c{connections}.{f'paced{pace_ms}ms' if pace_ms else 'burst'}"


def measure_streams(bench: Bench, connections: int, pace_ms: int, count: int) -> Iterator[Figure]:
    """Yield CPU and throughput of 67-frame streams, in a burst (pace 0) or paced."""
    load = partial(_load_streams, connections, pace_ms, count)
    samples = sample(bench, load, partial(_load_streams, connections, pace_ms, max(connections, count // 10)))
    name = name_streams(connections, pace_ms)
    title = f"stream, {connections} connections, {f'{pace_ms} ms apart' if pace_ms else 'burst'}"
    note = f"reads per stream at the client: {_spread(samples.reads, '')}; waited: {_spread(samples.waited, '%', 100)}"
    failures = tuple(samples.failures)
    yield Figure(f"{name}.cpu", Section.CPU, title, "µs/stream", samples.cpu_us, failures=failures, note=note)
    if not pace_ms:
        yield Figure(f"{name}.rate", Section.RATE, title, "streams/s", samples.per_second, failures=failures)
