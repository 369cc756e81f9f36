"""Cold start: from exec to the first 200 on /healthz, and to the first proxied answer, beside a bare interpreter.

The unit of comparison is the wall time of `python -I -S -c pass` on the same machine in the same minute. "Cold" means
a new process: files are in the page cache, byte code is compiled and the configuration was checked before, as on any
machine that started it once.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Final

from perf import http_reply, shapes
from perf.bench import Bench
from perf.caller import Caller
from perf.figures import BARE_PYTHON, OURS, Figure, Section
from perf.sides import Running, Side, free_port

_HEALTH: Final = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def _time_bare_ms() -> float:
    started_ns = time.perf_counter_ns()
    subprocess.run([sys.executable, "-I", "-S", "-c", "pass"], check=True, timeout=30)
    return (time.perf_counter_ns() - started_ns) / 1e6


def _time_ms(bench: Bench, side: Side, *, is_health: bool) -> float:
    started_ns = time.perf_counter_ns()
    with bench.started(side) as instance:
        if is_health:
            instance.wait_answer(_HEALTH, None)
        else:
            instance.wait_answer(shapes.encode_call(instance.port, shapes.REQUEST), shapes.REPLY)
        return (time.perf_counter_ns() - started_ns) / 1e6


def _has_health(instance: Running) -> bool:
    try:
        with Caller(instance.port) as caller:
            return caller.ask(_HEALTH)[0] == http_reply.OK
    except (OSError, http_reply.BadReplyError):
        return False


def _sample(bench: Bench, sides: list[Side], *, is_health: bool) -> dict[str, list[float]]:
    samples: dict[str, list[float]] = {name: [] for name in (BARE_PYTHON, *(side.name for side in sides))}
    for side in sides:  # one address for all starts, as in life: what a start leaves behind helps the next one
        side.listen = free_port()
    try:
        _fill(bench, sides, samples, is_health=is_health)
    finally:
        for side in sides:
            side.listen = 0
    return samples


def _fill(bench: Bench, sides: list[Side], samples: dict[str, list[float]], *, is_health: bool) -> None:
    for number in range(bench.plan.starts + 1):
        bare_ms = _time_bare_ms()
        timings = {side.name: _time_ms(bench, side, is_health=is_health) for side in sides}
        if number == 0:  # the first round warms the page cache and compiles
            continue
        samples[BARE_PYTHON].append(bare_ms)
        for name, took_ms in timings.items():
            samples[name].append(took_ms)


def measure(bench: Bench) -> Iterator[Figure]:
    """Yield both figures; /healthz only where our side serves it."""
    ours = [side for side in bench.sides if side.name == OURS]
    samples: dict[str, list[float]] = {}
    note = "our side answers /healthz with something else than 200"
    if all(_has_health(instance) for instance in bench.running if instance.name == OURS):
        samples = _sample(bench, ours, is_health=True)
        note = ""
    yield Figure("start.health", Section.START, "to 200 on /healthz", "ms", samples, baseline=BARE_PYTHON, note=note)
    samples = _sample(bench, bench.faithful_sides, is_health=False)
    yield Figure("start.answer", Section.START, "to a proxied answer", "ms", samples, baseline=BARE_PYTHON)
