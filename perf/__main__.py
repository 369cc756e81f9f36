"""One command that measures everything: `python -m perf [--quick | --full]`. See README.md for how to read it.

Exit codes: 0 measured, 1 a figure is void, 2 a tool is missing or no side came up, 3 a budget is missed (--enforce).
"""

import argparse
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from shutil import which
from typing import Final

from perf import budgets, procfs, record, report, wrk
from perf.bench import Bench
from perf.figures import BenchError, Figure, Section
from perf.plan import DEFAULT, FULL, QUICK, Plan
from perf.rivals import PEERS, choose_peers
from perf.rows import cpu, crowd, latency, memory, payload, start, translated
from perf.sides import PROGRAMS, ROOT, Command, Haproxy, Ours, Pure, Side

_DESCRIPTORS: Final = 16_384
Row = Callable[[Bench], Iterator[Figure]]


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _rows(plan: Plan) -> list[tuple[str, Section, Row]]:
    rows: list[tuple[str, Section, Row]] = [
        (f"json.c{rung}", Section.CPU, partial(cpu.measure_json, connections=rung)) for rung in plan.rungs
    ]
    for connections, pace_ms, count in ((8, 0, plan.burst_streams), *plan.paced):
        measure = partial(cpu.measure_streams, connections=connections, pace_ms=pace_ms, count=count)
        rows.append((cpu.name_streams(connections, pace_ms), Section.CPU, measure))
    return [
        *rows,
        ("translated", Section.TRANSLATED, translated.measure),
        ("payload", Section.PAYLOAD, payload.measure),
        ("crowd", Section.CROWD, crowd.measure),
        ("latency", Section.LATENCY, latency.measure_json),
        ("first_token", Section.LATENCY, latency.measure_first_token),
        ("memory", Section.MEMORY, memory.measure),
        ("start", Section.START, start.measure),
    ]


def _measure(bench: Bench, only: str) -> Iterator[Figure]:
    """Run the rows; one that breaks becomes a void figure, the others still run."""
    for name, section, measure in _rows(bench.plan):
        if not name.startswith(only):
            continue
        started_s = time.monotonic()
        try:
            yield from measure(bench)
        except BenchError as wrong:
            yield Figure(name, section, name, "", {}, failures=(str(wrong),))
        _say(f"  {name:<22}{time.monotonic() - started_s:6.1f} s")


def _missing(sides: Sequence[Side]) -> list[str]:
    """Return what is not installed, each with the way to install it."""
    remedies = [f"{side.name}: {side.remedy()}" for side in sides if side.is_missing()]
    return remedies if which(wrk.PROGRAM) else [*remedies, f"wrk: on Debian: sudo apt-get install {wrk.PACKAGE}"]


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m perf", description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", dest="plan", action="store_const", const=QUICK, help="about two minutes")
    size.add_argument("--full", dest="plan", action="store_const", const=FULL, help="about 15 minutes")
    parser.add_argument(
        "--ours", default="", metavar="CMD", help="another command in our place, or `pure`, `core` or `floor`"
    )
    parser.add_argument("--peers", default="", help=f"more sides, separated by commas: {', '.join(PEERS)}")
    parser.add_argument("--only", default="", help="only rows whose name starts like this")
    parser.add_argument("--pin", action="store_true", help="give the sides the last CPU, everything else the others")
    parser.add_argument("--record", default="", metavar="NAME", help="keep the record as perf/history/NAME.json")
    parser.add_argument("--enforce", action="store_true", help="exit 3 when a budget is missed")
    parser.set_defaults(plan=DEFAULT)
    return parser.parse_args(argv)


def _ours(wanted: str) -> Side:
    if not wanted:
        return Ours()
    if wanted != Pure.name:
        return Command(PROGRAMS.get(wanted, wanted))
    side = Pure()
    side.name = Ours.name
    return side


def _run(asked: argparse.Namespace, sides: Sequence[Side]) -> int:
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    facts = record.gather_facts(started, asked.plan.name, sides, pin=asked.pin)
    neighbours = procfs.Neighbours()
    with tempfile.TemporaryDirectory(prefix="busbar-perf-") as scratch:
        bench = Bench(asked.plan, sides, Path(scratch), pin=asked.pin)
        with bench.opened():
            figures = list(_measure(bench, asked.only))
    facts["meanwhile"] = neighbours.describe()
    judged = budgets.judge_all(budgets.load(ROOT / "perf" / "budgets.toml"), figures)
    _say(report.render(facts, figures, judged))
    for path in record.write(started, facts, figures, judged, asked.record):
        _say(f"record: {path.relative_to(ROOT)}")
    if not figures or any(figure.is_void for figure in figures):
        return 1
    is_missed = any(entry.verdict is budgets.Verdict.MISSED for entry in judged)
    return 3 if asked.enforce and is_missed else 0


def _allow_descriptors() -> None:
    """Let everything that is started here hold thousands of connections, as far as the system allows."""
    _, highest = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if highest == resource.RLIM_INFINITY else min(highest, _DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, highest))


def main(argv: Sequence[str]) -> int:
    """Check the tools, measure, report."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leave through the contexts that stop the sides
    asked = _parse(argv)
    peers, unknown = choose_peers(asked.peers)
    if unknown:
        _say(f"unknown peers: {', '.join(unknown)}; known: {', '.join(PEERS)}")
        return 2
    sides: list[Side] = [_ours(asked.ours), Haproxy(), *peers]
    remedies = _missing(sides)
    if remedies:
        _say("NOT MEASURED: programs are missing.\n  " + "\n  ".join(remedies))
        return 2
    _allow_descriptors()
    try:
        return _run(asked, sides)
    except BenchError as wrong:
        _say(f"NOT MEASURED: {wrong}")
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
