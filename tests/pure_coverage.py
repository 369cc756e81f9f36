"""Demand that each module of the pure shelf is covered, every branch of it, by its own tests alone.

Run as `python -m tests.pure_coverage`; names of modules as arguments limit it to those. The tests of
`busbar_fast/wire/heads.py` are `tests/wire/test_heads.py`; a folder of modules may share one file, so the parsers have
`tests/wire/test_parsers.py`, or a folder of tests none of which is named like one of them. Tests that several modules
share are run once. Which modules are pure is written in `tests/house/shelves.py`.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from tests.house.shelves import pure_modules
from tests.house.source import ROOT, Module, functions


def own_tests(module: Module) -> tuple[Path, ...]:
    """Return the files of tests that belong to a module; nothing if there are none."""
    inside = PurePosixPath(module.path).relative_to("busbar_fast")
    tests = ROOT / "tests"
    own = tests / inside.with_name(f"test_{inside.name}")
    if own.exists() or not inside.parent.name:
        return (own,) if own.exists() else ()
    shared = tests / inside.parent.with_name(f"test_{inside.parent.name}.py")
    if shared.exists():
        return (shared,)
    folder = tests / inside.parent
    named = {f"test_{sibling.name}" for sibling in (ROOT / module.path).parent.glob("*.py")}
    found = sorted(folder.glob("test_*.py"))
    return () if any(path.name in named for path in found) else tuple(found)


def verdicts(tests: tuple[Path, ...], sharing: Sequence[Module]) -> list[str]:
    """Run tests once and return what is missing for each of the modules that they belong to."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"COVERAGE_FILE": str(Path(folder) / "measured")}

        def done(*arguments: str) -> subprocess.CompletedProcess[str]:
            coverage = [sys.executable, "-m", "coverage", *arguments]
            return subprocess.run(coverage, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

        included = f"--include={','.join(module.path for module in sharing)}"
        run = done("run", "--branch", included, "-m", "pytest", "-q", *map(str, tests))
        if run.returncode:
            return [f"{module.path}: {run.stdout}{run.stderr}" for module in sharing]
        reports = {module.path: done("report", f"--include={module.path}") for module in sharing}
    return [f"{path}: {report.stdout}{report.stderr}" for path, report in reports.items() if report.returncode]


def main(chosen: list[str]) -> int:
    """Print what is missing, module by module; return the exit code."""
    pure = [module for module in pure_modules() if not chosen or module.path in chosen]
    groups: dict[tuple[Path, ...], list[Module]] = {}
    for module in pure:
        groups.setdefault(own_tests(module), []).append(module)
    # Constants and records have nothing of their own to run.
    untested = [module for module in groups.pop((), []) if any(functions(module))]
    with ThreadPoolExecutor(os.cpu_count()) as crew:
        found = crew.map(lambda group: verdicts(*group), groups.items())
        missing = [said for saids in found for said in saids]
    missing += [f"{module.path}: has no tests of its own" for module in untested]
    for said in missing:
        print(said)  # noqa: T201  a command speaks to whoever called it
    print(f"pure shelf: {len(pure) - len(missing)} of {len(pure)} modules fully covered by their own tests")  # noqa: T201
    return 1 if missing or not pure else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
