"""Demand that each module of the pure shelf is covered, every branch of it, by its own tests alone.

Run as `python -m tests.pure_coverage`; names of modules as arguments limit it to those. The tests of
`busbar_fast/wire/heads.py` are `tests/wire/test_heads.py`; a folder of modules may share one file, so the parsers have
`tests/wire/test_parsers.py`, or a folder of tests none of which is named like one of them. Tests that several modules
share are run once. Which modules are pure is written in `tests/house/shelves.py`.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from tests.house.shelves import pure_modules
from tests.house.source import ROOT, Module, functions

# Packages that are one thing in several modules; their tests are run together, once.
_SHARING = ("translation", "preparing")


def own_tests(module: Module) -> tuple[Path, ...]:
    """Return the files of tests that belong to a module; nothing if there are none."""
    inside = PurePosixPath(module.path).relative_to("busbar_fast")
    tests = ROOT / "tests"
    if inside.parent.name in _SHARING:
        return tuple(sorted((tests / inside.parent).glob("test_*.py")))
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


# What runs the tests of a group: one process for the run and for the reports, since starting one takes longer.
_JUDGE = """
import sys, coverage, pytest
paths, tests = sys.argv[1].split(","), sys.argv[2:]
measured = coverage.Coverage(data_file=None, branch=True, include=paths)
measured.start()
failed = pytest.main(["-q", *tests])
measured.stop()
sys.exit(1 if failed or min(measured.report(include=[path], show_missing=True) for path in paths) < 100 else 0)
"""


def verdicts(tests: tuple[Path, ...], sharing: Sequence[Module]) -> list[str]:
    """Run tests once and return what is missing for the modules that they belong to."""
    paths = ",".join(module.path for module in sharing)
    command = [sys.executable, "-c", _JUDGE, paths, *map(str, tests)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return [f"{paths}:\n{done.stdout}{done.stderr}"] * bool(done.returncode)


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
