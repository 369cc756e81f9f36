"""CPU time of requests and answers as they are in life: long prompts, pictures, long answers; and of each kilobyte.

Within one turn a side gets every payload, the usual one too, so that what a kilobyte adds compares neighbours.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final

from perf import arithmetic, shapes
from perf.bench import Bench
from perf.figures import Figure, Section
from perf.rows.cpu import Samples, load_json, take_turn

_CONNECTIONS: Final = 8
_TURN_S: Final = 1
_ALL: Final = (shapes.USUAL, *shapes.PAYLOADS)


def _sample(bench: Bench) -> Mapping[str, Samples]:
    """Return the samples of every payload; stop at the first failure."""
    loads = {payload.name: partial(load_json, _CONNECTIONS, _TURN_S, payload=payload) for payload in _ALL}
    samples = {name: Samples() for name in loads}
    for _, side in arithmetic.turns(bench.running, bench.plan.payload_rounds):
        for name, load in loads.items():
            take_turn(side, load, samples[name])
        if any(of_one.failures for of_one in samples.values()):
            break
    return samples


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield what a request costs with each payload, and what each kilobyte of it adds to the usual."""
    samples = _sample(bench)
    usual = samples[shapes.USUAL.name]
    for payload in shapes.PAYLOADS:
        large = samples[payload.name]
        failures = (*usual.failures, *large.failures)
        name = f"payload.{payload.name}"
        yield Figure(f"{name}.cpu", Section.PAYLOAD, payload.title, "µs/request", large.cpu_us, failures=failures)
        added = {
            side: [(more - less) / payload.added_kib for more, less in zip(values, usual.cpu_us[side], strict=False)]
            for side, values in large.cpu_us.items()
            if side in usual.cpu_us
        }
        title = f"added by each KB of it: {payload.title}"
        yield Figure(f"{name}.per_kb", Section.PAYLOAD, title, "µs/KB", added, failures=failures, is_difference=True)
