"""The gate against creeping slowness: what one request may cost, and what it does cost: `python -m perf.costs`.

The limits stand in costs.toml. Nothing here is a time, so a busy machine changes nothing; `counting.py` says how it is
counted, and the test beside it in tests/perf demands what this prints. Exit codes: 0 within the limits, 2 this Python
is not the one they are for, 3 something costs more.
"""

import argparse
import json
import platform
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

from perf.counting import Costs, Shape, all_shapes, count_costs, is_undisturbed, name_calls

LIMITS: Final = Path(__file__).with_name("costs.toml")
TITLES: Final[Mapping[str, str]] = {
    "calls": "calls of Python functions",
    "native_calls": "calls of C functions",
    "instructions": "byte code instructions",
    "peak_bytes": "bytes allocated at once",
}
_NEWS_PERCENT: Final = 1.0  # a cost this much lower than written is worth writing down
_HEADING: Final = """\
# What one request costs, counted by `python -m perf.costs`, which also writes this file (--write). The test
# tests/perf/test_costs.py fails when a count is more than `head_room_percent` above what stands here. The counts belong
# to one version of Python, whose compiler decides how many instructions a line has, and to the parser of the lock file.
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """What is written down."""

    python: str
    head_room_percent: float
    costs: Mapping[str, Costs]

    @property
    def fits(self) -> bool:
        """Whether the counts are those of this Python."""
        return self.python == this_python()

    def most(self, shape: str, kind: str) -> int:
        """Return the highest count that passes."""
        return int(_count_of(self.costs[shape], kind) * (1 + self.head_room_percent / 100))


def this_python() -> str:
    """Return the version in the form of the file."""
    return ".".join(platform.python_version_tuple()[:2])


def read_limits(text: str) -> Limits:
    """Read the file; a missing or an unknown count is an error."""
    document = tomllib.loads(text)
    costs = {name: Costs(**counts) for name, counts in document["shapes"].items()}
    return Limits(document["python"], document["head_room_percent"], costs)


def render_limits(limits: Limits) -> str:
    """Return the file that says this."""
    lines = [_HEADING, f'python = "{limits.python}"', f"head_room_percent = {limits.head_room_percent:g}"]
    for name, costs in limits.costs.items():
        lines += ["", f"[shapes.{name}]", *(f"{kind} = {count}" for kind, count in asdict(costs).items())]
    return "\n".join(lines) + "\n"


def _count_of(costs: Costs, kind: str) -> int:
    return int(asdict(costs)[kind])


def _kinds() -> Sequence[str]:
    return [field.name for field in fields(Costs)]


def complain(limits: Limits, shape: str, costs: Costs) -> list[str]:
    """Return a sentence for each count that is too high, and after them what to do; nothing if all is well."""
    if shape not in limits.costs:
        return [f"{shape}: nothing is written about it in perf/costs.toml: python -m perf.costs --write"]
    risen = [kind for kind in _kinds() if _count_of(costs, kind) > limits.most(shape, kind)]
    if not risen:
        return []
    written = limits.costs[shape]
    found = [
        f"{shape}: {_count_of(costs, kind):,} {TITLES[kind]} per request, {limits.most(shape, kind):,} are allowed "
        f"({_count_of(written, kind):,} written down and {limits.head_room_percent:g} % more)"
        for kind in risen
    ]
    return [
        *found,
        f"what is called: `python -m perf.costs --only {shape} --calls`, here and before the change; compare the two",
        "if the change is worth it: `python -m perf.costs --write`, and say in the commit what it buys",
    ]


def render_row(limits: Limits, shape: str, costs: Costs) -> str:
    """Return one line of the table: each count, and how it compares with what is written down."""
    cells = []
    for kind in _kinds():
        count = _count_of(costs, kind)
        before = _count_of(limits.costs[shape], kind) if shape in limits.costs else 0
        change = f"{(count / before - 1) * 100:+.1f} %" if before else "new"
        cells.append(f"{count:>10,} {change:>9}")
    return f"{shape:<20}" + "".join(cells)


def _fell(limits: Limits, counted: Mapping[str, Costs]) -> bool:
    """Whether something costs clearly less than what is written down, so that part of it could come back unnoticed."""
    return any(
        _count_of(costs, kind) < _count_of(limits.costs[shape], kind) * (1 - _NEWS_PERCENT / 100)
        for shape, costs in counted.items()
        if shape in limits.costs
        for kind in _kinds()
    )


def _report(limits: Limits, counted: Mapping[str, Costs]) -> int:
    _say("\n" + " " * 20 + "".join(f"{title:>20}" for title in ("Python calls", "C calls", "instructions", "bytes")))
    for shape, costs in counted.items():
        _say(render_row(limits, shape, costs))
    if not limits.fits:
        _say(f"\nthe limits are for Python {limits.python} and this is {this_python()}: nothing was compared")
        return 2
    complaints = [line for shape, costs in counted.items() for line in complain(limits, shape, costs)]
    if complaints:
        _say("\nMORE EXPENSIVE\n  " + "\n  ".join(dict.fromkeys(complaints)))
        return 3
    is_news = _fell(limits, counted)
    _say("\nwithin the limits" + ("; less than written, keep it: python -m perf.costs --write" if is_news else ""))
    return 0


def _show_calls(shapes: Sequence[Shape]) -> None:
    """Print the functions that each request calls, most often first; the order is the same in every run."""
    for shape in shapes:
        _say(f"\n{shape.name}: {shape.title}")
        for name, count in sorted(name_calls(shape).items(), key=lambda pair: (-pair[1], pair[0])):
            _say(f"{count:>6}  {name}")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m perf.costs", description=__doc__)
    parser.add_argument("--only", default="", metavar="SHAPE", help="one kind of request")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--calls", action="store_true", help="print which functions a request calls, and how often")
    what.add_argument("--json", action="store_true", help="print the counts for programs")
    what.add_argument("--write", action="store_true", help="make the counts the new limits")
    asked = parser.parse_args(argv)
    names = [shape.name for shape in all_shapes()]
    if asked.only and asked.only not in names:
        parser.error(f"no shape is called {asked.only}; there are {', '.join(names)}")
    return asked


def main(argv: Sequence[str]) -> int:
    """Count and say what came of it."""
    asked = _parse(argv)
    if not is_undisturbed():
        _say("NOT COUNTED: a debugger, a coverage run or PYTHONASYNCIODEBUG is at work in this process")
        return 2
    chosen = [shape for shape in all_shapes() if asked.only in ("", shape.name)]
    if asked.calls:
        _show_calls(chosen)
        return 0
    limits = read_limits(LIMITS.read_text())
    counted = {shape.name: count_costs(shape) for shape in chosen}
    if asked.json:
        _say(json.dumps({shape: asdict(costs) for shape, costs in counted.items()}))
        return 0
    if asked.write:
        written = {**limits.costs, **counted}
        kept = {shape.name: written[shape.name] for shape in all_shapes() if shape.name in written}
        LIMITS.write_text(render_limits(Limits(this_python(), limits.head_room_percent, kept)))
        limits = read_limits(LIMITS.read_text())
    return _report(limits, counted)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
