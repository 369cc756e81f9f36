"""Added latency and added time to first token at one connection: the side's percentile minus the direct upstream's."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, cast

from perf.bench import Bench, failures_of, run_load
from perf.figures import Figure, Section
from perf.load import PERCENTS

_DIRECT: Final = "direct"
_ENOUGH: Final = 1000  # of this many times in a round one is above p99.9; of fewer it would be the worst of all
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
    count = bench.plan.first_token_count if is_stream else bench.plan.latency_count
    outcome = run_load(
        "latency",
        targets=",".join(f"{name}={port}" for name, port in targets.items()),
        rounds=bench.plan.rounds,
        count=count,
        stream=is_stream,
        rivals=json.dumps({side.name: side.fields for side in bench.running if not side.is_faithful}),
    )
    failures = tuple(failures_of(outcome, "latency"))
    name, title = ("first_token", "to the first token") if is_stream else ("latency", "JSON")
    for percent, rank in PERCENTS.items():
        if rank > 99 and count < _ENOUGH:
            continue
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
    """Yield added percentiles of whole JSON answers."""
    return _measure(bench, is_stream=False)


def measure_first_token(bench: Bench) -> Iterator[Figure]:
    """Yield added percentiles up to the first frame of a stream."""
    return _measure(bench, is_stream=True)
