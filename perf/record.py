"""What a run leaves behind: facts about machine and versions, the record with every sample, and the picture of it."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from perf import charts
from perf.budgets import Judged
from perf.figures import Figure
from perf.sides import ROOT, Side

_RESULTS = ROOT / "perf" / "results"
_HISTORY = ROOT / "perf" / "history"


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _revision() -> str:
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    )
    return said.stdout.strip() or "no commit"


def gather_facts(started: str, plan: str, sides: Sequence[Side], *, pin: bool) -> dict[str, object]:
    """Return what a reader needs to judge or repeat the run."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("uvloop", "httptools"))
    facts: dict[str, object] = {
        "started": started,
        "plan": plan + (", side pinned to a CPU of its own" if pin else ""),
        "revision": _revision(),
        "machine": f"{os.cpu_count()} x {_cpu_model()}, Linux {platform.release()}",
        "load": f"{os.getloadavg()[0]:.2f} before the run",
        "python": f"{platform.python_version()}, {versions}",
    }
    return facts | {side.name: side.version() for side in sides}


def write(
    started: str, facts: Mapping[str, object], figures: Sequence[Figure], judged: Sequence[Judged], keep_as: str
) -> list[Path]:
    """Write record and picture to perf/results, and to perf/history under a name when they shall be kept."""
    text = json.dumps(
        {
            "facts": facts,
            "figures": [figure.to_record() for figure in figures],
            "budgets": [
                {"figure": entry.budget.figure, "of": entry.budget.of, "target": entry.budget.target}
                | {"value": entry.value, "verdict": entry.verdict.value}
                for entry in judged
            ],
        },
        indent=1,
        ensure_ascii=False,
    )
    picture = charts.draw(facts, figures, judged)
    places = [_RESULTS / started.replace(":", "")]
    if keep_as:
        places.append(_HISTORY / keep_as)
    paths: list[Path] = []
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        for kind, content in (("json", text + "\n"), ("svg", picture)):
            paths.append(place.parent / f"{place.name}.{kind}")
            paths[-1].write_text(content, encoding="utf-8")
    return paths
