"""Added latency and added time to first token at one connection: the side's percentile minus the direct upstream's."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, cast

from perf.bench import Bench, failures_of, run_load
from perf.figures import Figure, Section

_DIRECT: Final = "direct"
_Rounds = Mapping[str, Sequence[float]]


def _added(by_target: _Rounds) -> _Rounds:
    direct = by_target[_DIRECT]
    return {
        name: [through - without for through, without in zip(values, direct, strict=False)]
        for name, values in by_target.items()
        if name != _DIRECT
    }


def _measure(bench: Bench, *, is_stream: bool) -> Iterator[Figure]:
    targets = {_DIRECT: bench.upstream_port} | {side.name: side.port for side in bench.running}
    outcome = run_load(
        "latency",
        targets=",".join(f"{name}={port}" for name, port in targets.items()),
        rounds=bench.plan.rounds,
        count=bench.plan.first_token_count if is_stream else bench.plan.latency_count,
        stream=is_stream,
    )
    failures = tuple(failures_of(outcome, "latency"))
    name, title = ("first_token", "to the first token") if is_stream else ("latency", "JSON")
    for percent in ("p50", "p99"):
        by_target = cast("_Rounds", outcome[f"{percent}_us"])
        direct = sorted(by_target[_DIRECT])
        note = f"direct upstream {direct[len(direct) // 2]:.0f} µs" if direct else ""
        yield Figure(
            f"{name}.{percent}",
            Section.LATENCY,
            f"{title}, {percent}",
            "µs",
            _added(by_target),
            failures=failures,
            note=note,
            is_difference=True,
        )


def measure_json(bench: Bench) -> Iterator[Figure]:
    """Yield added p50 and p99 of whole JSON answers."""
    return _measure(bench, is_stream=False)


def measure_first_token(bench: Bench) -> Iterator[Figure]:
    """Yield added p50 and p99 up to the first frame of a stream."""
    return _measure(bench, is_stream=True)
