"""CPU time of what is translated, OpenAI's chat to Anthropic's lanes and back, whole and streamed.

The upstream is that of `perf.pairs`, which answers each dialect and sends a stream at once. HAProxy passes on what the
same client gets from an OpenAI lane, and so does a second instance of ours: a translated stream is compared with that.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Final

from perf import arithmetic
from perf.bench import Bench, failures_of, run_load
from perf.figures import OURS, YARDSTICK, Figure, Section
from perf.pairs import Multilingual
from perf.rows.cpu import Load, Loaded, Samples, load_json, take_turn
from perf.sides import Haproxy, Ours, Running, Side

_CONNECTIONS: Final = 8
_PASSED: Final = "passed"


class Translated(Ours):
    """The gateway over lanes of another dialect."""

    configuration = "translated.yaml"


class Passed(Ours):
    """The gateway over lanes of the client's dialect."""

    name = _PASSED


def _sides(bench: Bench) -> list[Side]:
    """Return who takes part: a program in our place has no configuration for this."""
    sides: list[Side] = [Translated(), Haproxy(), Passed()]
    for side in sides:
        side.is_faithful = False  # answers are checked for what they must hold; those of the two differ
        if isinstance(side, Ours):
            side.folder = next(one.folder for one in bench.sides if isinstance(one, Ours))
    return sides


def _load_streams(count: int, side: Running) -> Loaded:
    outcome = run_load(
        "streams", port=side.port, connections=_CONNECTIONS, count=count, pace_ms=0, limit_s=60, loose=True
    )
    completed, reads, wall_s = outcome["completed"], outcome["reads"], outcome["wall_s"]
    assert isinstance(completed, int)
    assert isinstance(reads, int)
    assert isinstance(wall_s, float)
    return Loaded(completed, wall_s, tuple(failures_of(outcome, side.name)), reads)


def _sample(bench: Bench, running: list[Running], load: Load) -> Samples:
    samples = Samples()
    for side in running:
        samples.failures += load(side).failures
    for _, side in arithmetic.turns(running, bench.plan.rounds):
        if samples.failures:
            break
        take_turn(side, load, samples)
    return samples


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield what a translated answer costs, and a translated stream; where our side is another program, nothing."""
    if not any(isinstance(side, Ours) and side.name == OURS for side in bench.sides):
        return
    with ExitStack() as stack:
        upstream = stack.enter_context(bench.started(Multilingual())).wait_ready()
        running = [stack.enter_context(bench.started(side, upstream.port)).wait_ready() for side in _sides(bench)]
        whole = _sample(bench, running, partial(load_json, _CONNECTIONS, bench.plan.rung_s))
        streamed = _sample(bench, running, partial(_load_streams, bench.plan.burst_streams))
    title = f"JSON to Anthropic and back, {_CONNECTIONS} connections"
    yield Figure(
        "translated.json.cpu", Section.TRANSLATED, title, "µs/request", whole.cpu_us, YARDSTICK, tuple(whole.failures)
    )
    title = f"stream of 67 frames from Anthropic, {_CONNECTIONS} connections"
    yield Figure(
        "translated.stream.cpu",
        Section.TRANSLATED,
        title,
        "µs/stream",
        streamed.cpu_us,
        _PASSED,
        tuple(streamed.failures),
    )
