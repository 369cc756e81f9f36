"""Demand that each module of the pure shelf is covered, every branch of it, by its own tests alone.

Run as `python -m tests.pure_coverage`; names of modules as arguments limit it to those. The tests of
`busbar_fast/wire/heads.py` are `tests/wire/test_heads.py`; a folder of modules may share one file, so the parsers have
`tests/wire/test_parsers.py`, or a folder of tests none of which is named like one of them. Which modules are pure is
written in `tests/house/shelves.py`.

Every test runs once, in one process; what it reached is kept under the name of its file. This is also the run that
these tests have in `make test`: `--others` prints the files of tests that are left for another one.
"""

import io
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from coverage import Coverage

from tests.house.shelves import pure_modules
from tests.house.source import ROOT, Module, functions

_TESTS = ROOT / "tests"
# Packages that are one thing in several modules, with one folder of tests.
_SHARING = ("translation", "preparing")


def own_tests(module: Module) -> tuple[Path, ...]:
    """Return the files of tests that belong to a module; nothing if there are none."""
    inside = PurePosixPath(module.path).relative_to("busbar_fast")
    if inside.parent.name in _SHARING:
        return tuple(sorted((_TESTS / inside.parent).glob("test_*.py")))
    own = _TESTS / inside.with_name(f"test_{inside.name}")
    if own.exists() or not inside.parent.name:
        return (own,) if own.exists() else ()
    shared = _TESTS / inside.parent.with_name(f"test_{inside.parent.name}.py")
    if shared.exists():
        return (shared,)
    folder = _TESTS / inside.parent
    named = {f"test_{sibling.name}" for sibling in (ROOT / module.path).parent.glob("*.py")}
    found = sorted(folder.glob("test_*.py"))
    return () if any(path.name in named for path in found) else tuple(found)


def _others(owned: set[Path]) -> Iterator[Path]:
    """Yield the files of tests that no pure module owns, but for sockets and house rules: those run by themselves."""
    for path in sorted(_TESTS.rglob("test_*.py")):
        if path not in owned and path.relative_to(_TESTS).parts[0] not in ("system", "house"):
            yield path.relative_to(ROOT)


class _Contexts:
    """Tells the measurement whose test is running: the file's path, from the root."""

    def __init__(self, measured: Coverage) -> None:
        self._measured = measured
        self._running = ""

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Change the context where the file changes."""
        path = nodeid.partition("::")[0]
        if path != self._running:
            self._running = path
            self._measured.switch_context(path)


def _run(owners: dict[Module, tuple[Path, ...]]) -> tuple[bool, list[str]]:
    """Run the tests of all; return whether they passed, and the paths of modules that theirs did not cover."""
    measured = Coverage(data_file=None, branch=True, include=[module.path for module in owners])
    measured.start()
    for module in owners:  # what a module does when it is imported belongs to no test
        __import__(module.path.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    files = sorted({str(path) for paths in owners.values() for path in paths})
    failed = pytest.main(files, plugins=[_Contexts(measured)])
    measured.stop()
    missing = []
    for module, paths in owners.items():
        contexts = ["^$", *(f"^{path.relative_to(ROOT)}$" for path in paths)]
        report = io.StringIO()
        covered = measured.report(include=[module.path], contexts=contexts, show_missing=True, file=report)
        if covered < 100:
            print(report.getvalue())  # noqa: T201
            missing.append(module.path)
    return not failed, missing


def main(arguments: list[str]) -> int:
    """Print what is missing, module by module; return the exit code."""
    owners = {module: own_tests(module) for module in pure_modules()}
    if arguments == ["--others"]:
        print(*_others({path for paths in owners.values() for path in paths}))  # noqa: T201  a command speaks
        return 0
    if arguments:
        owners = {module: paths for module, paths in owners.items() if module.path in arguments}
    # Constants and records have nothing of their own to run.
    untested = [module.path for module, paths in owners.items() if not paths and any(functions(module))]
    passed, missing = _run({module: paths for module, paths in owners.items() if paths})
    for path in untested:
        print(f"{path}: has no tests of its own")  # noqa: T201
    for path in missing:
        print(f"{path}: its own tests leave something out; see its report")  # noqa: T201
    left = len(missing) + len(untested)
    print(f"pure shelf: {len(owners) - left} of {len(owners)} modules fully covered by their own tests")  # noqa: T201
    return 0 if passed and owners and not left else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
