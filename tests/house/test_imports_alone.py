"""Each module imports alone in a fresh interpreter, and importing it does nothing anyone could notice."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.house.source import ROOT, modules

# Runs in the fresh interpreter: take stock, import, take stock again, name what differs.
PROBE = """
import importlib, os, sys, threading

def descriptors():
    return sorted(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else []

def stock():
    return {
        "threads": threading.active_count(),
        "open files": descriptors(),
        "sys.path": list(sys.path),
        "environment": dict(os.environ),
        "exception hook": sys.excepthook,
    }

sys.path.insert(0, sys.argv[1])
before = stock()
importlib.import_module(sys.argv[2])
after = stock()
changed = [name for name in before if before[name] != after[name]]
if "asyncio" in sys.modules:
    import asyncio, gc
    loops = any(isinstance(thing, asyncio.AbstractEventLoop) for thing in gc.get_objects())
    changed += ["event loops"] if loops else []
sys.exit("changed: " + ", ".join(changed) if changed else 0)
"""


def verdict(root: Path, dotted: str) -> str:
    """Return what an import printed, raised or changed; nothing if all is well."""
    command = [sys.executable, "-W", "error", "-I", "-c", PROBE, str(root), dotted]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).strip()
    return said or (f"exit code {done.returncode}" if done.returncode else "")


def by_package() -> dict[str, list[str]]:
    """Return the names of all our modules by the package that holds them."""
    packages: dict[str, list[str]] = {}
    for module in modules("busbar_fast"):
        packages.setdefault(module.dotted.rpartition(".")[0], []).append(module.dotted)
    return packages


PACKAGES = by_package()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_imports_alone_and_in_silence(package: str) -> None:
    """No module needs another one imported before it, and none acts while it is imported."""
    names = PACKAGES[package]
    with ThreadPoolExecutor(os.cpu_count()) as crew:
        verdicts = dict(zip(names, crew.map(lambda name: verdict(ROOT, name), names), strict=True))
    assert {name: said for name, said in verdicts.items() if said} == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nothing_of_this_name", "ModuleNotFoundError"),
        ("import threading, time\nthreading.Thread(target=time.sleep, args=(9,), daemon=True).start()", "threads"),
        ("import socket\ndoor = socket.socket()", "open files"),
        ("import sys\nsys.path.append('elsewhere')", "sys.path"),
        ("import os\nos.environ['BUSBAR'] = '1'", "environment"),
        ("import sys\nsys.excepthook = print", "exception hook"),
        ("import asyncio\nloop = asyncio.SelectorEventLoop()", "event loops"),
        ("print('hello')", "hello"),
        ("import warnings\nwarnings.warn('old', stacklevel=1)", "UserWarning"),
        ("import sys\nsys.exit(3)", "exit code 3"),
    ],
)
def test_each_side_effect_is_found(text: str, said: str, tmp_path: Path) -> None:
    """An import that fails, speaks or changes the interpreter is told apart."""
    (tmp_path / "sample.py").write_text(text)
    assert said in verdict(tmp_path, "sample")


def test_a_quiet_module_passes(tmp_path: Path) -> None:
    """An import that only defines is left alone."""
    (tmp_path / "sample.py").write_text("import asyncio, socket, threading\nLIMIT = 3\n")
    assert verdict(tmp_path, "sample") == ""
