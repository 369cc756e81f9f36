"""Demand that each module of the pure shelf is covered, every branch of it, by its own tests alone.

Run as `python -m tests.pure_coverage`; names of modules as arguments limit it to those. The tests of
`busbar_fast/wire/heads.py` are `tests/wire/test_heads.py`; a folder of modules may share one file, so the parsers have
`tests/wire/test_parsers.py`. Which modules are pure is written in `tests/house/shelves.py`.
"""

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from tests.house.shelves import pure_modules
from tests.house.source import ROOT, Module, functions


def own_tests(module: Module) -> Path | None:
    """Return the file of tests that belongs to a module."""
    inside = PurePosixPath(module.path).relative_to("busbar_fast")
    own = ROOT / "tests" / inside.with_name(f"test_{inside.name}")
    shared = ROOT / "tests" / inside.parent.with_name(f"test_{inside.parent.name}.py") if inside.parent.name else own
    return next((path for path in (own, shared) if path.exists()), None)


def verdict(module: Module) -> str:
    """Return what is missing for a module; nothing if it is covered in full."""
    tests = own_tests(module)
    if tests is None and not any(functions(module)):
        return ""  # constants and records: nothing of their own to run
    if tests is None:
        return f"{module.path}: has no tests of its own"
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"COVERAGE_FILE": str(Path(folder) / "measured")}
        coverage = [sys.executable, "-m", "coverage"]
        run = [*coverage, "run", "--branch", f"--include={module.path}", "-m", "pytest", "-q", str(tests)]
        for command in (run, [*coverage, "report"]):
            done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                return f"{module.path}: {tests.relative_to(ROOT)}\n{done.stdout}{done.stderr}"
    return ""


def main(chosen: list[str]) -> int:
    """Print what is missing, module by module; return the exit code."""
    pure = [module for module in pure_modules() if not chosen or module.path in chosen]
    with ThreadPoolExecutor(os.cpu_count()) as crew:
        missing = [said for said in crew.map(verdict, pure) if said]
    for said in missing:
        print(said)  # noqa: T201  a command speaks to whoever called it
    print(f"pure shelf: {len(pure) - len(missing)} of {len(pure)} modules fully covered by their own tests")  # noqa: T201
    return 1 if missing or not pure else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
