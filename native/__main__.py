"""Makes a folder that holds the program with its hot modules compiled: `python -m native FOLDER`.

The folder gets a copy of the package, and beside each module of `modules.txt` a shared object that Python prefers to
it. One more lies beside the package and holds the code of all of them. Whoever deletes the shared objects, or starts
with BUSBAR_PURE=1, has the program as it was written. It needs mypy and a C compiler.
"""

import argparse
import io
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PACKAGE: Final = "busbar_fast"
LIST: Final = ROOT / "native" / "modules.txt"
# Other modules of ours do not call what is inside, so the compiler may.
_C_FLAGS: Final = "-fvisibility=hidden -fno-semantic-interposition -fno-plt"
# What the compiler warns of where it leaves the value of an attribute out, so that the program would not find it.
_LEFT_OUT: Final = "Unsupported default attribute value"
_CONFIGURATION: Final = """\
[mypy]
strict = true
explicit_package_bases = true
ignore_missing_imports = true
warn_unused_ignores = false
mypy_path = work/stubs
"""
_RAW_AS_TOLD: Final = "class Raw(bytes):\n"
_RAW_AS_IT_IS: Final = """\
class Raw:
    def __len__(self) -> int: ...
    def __hash__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
"""


def describe_raw(folder: Path) -> None:
    """Write what the compiler is to know of msgspec: what it says of itself, but that raw JSON is no bytes.

    The compiled program checks at run time what annotations say, and raw JSON only promises to behave like bytes.
    """
    import msgspec  # noqa: PLC0415  whoever only asks for the list does without

    told = folder / "msgspec"
    told.mkdir(parents=True)
    found = 0
    for stub in Path(msgspec.__file__).parent.glob("*.pyi"):
        text = stub.read_text(encoding="utf-8")
        found += text.count(_RAW_AS_TOLD)
        (told / stub.name).write_text(text.replace(_RAW_AS_TOLD, _RAW_AS_IT_IS), encoding="utf-8")
    if found != 1:
        sys.exit("msgspec says something else of its class Raw than it did: see describe_raw")


def modules() -> list[str]:
    """Return the paths of what is compiled."""
    lines = LIST.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def build(folder: Path, wanted: Sequence[str], effort: str) -> int:
    """Build, and return how many modules came out compiled."""
    from mypyc.build import mypycify  # noqa: PLC0415  whoever only asks for the list needs no compiler
    from setuptools import setup  # noqa: PLC0415

    package, work = folder / PACKAGE, folder / "work"
    for old in (package, work):
        shutil.rmtree(old, ignore_errors=True)
    for old_object in folder.glob("*.so"):
        old_object.unlink()
    shutil.copytree(ROOT / PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    work.mkdir()
    (work / "mypy.ini").write_text(_CONFIGURATION, encoding="utf-8")
    describe_raw(work / "stubs")
    os.environ["CFLAGS"] = f"{os.environ.get('CFLAGS', '')} {_C_FLAGS}".strip()
    os.chdir(folder)
    told = io.StringIO()
    try:
        with redirect_stdout(told):
            extensions = mypycify(
                ["--config-file", "work/mypy.ini", "--cache-dir", "work/cache", *wanted],
                opt_level=effort,
                debug_level="0",
                group_name=PACKAGE,
                target_dir="work/c",
            )
    finally:
        sys.stdout.write(told.getvalue())
    if _LEFT_OUT in told.getvalue():
        return 0
    steps = ["--quiet", "build_ext", "--build-lib", ".", "--build-temp", "work/o"]
    setup(name=PACKAGE, packages=[], ext_modules=extensions, script_args=steps)
    shutil.rmtree(work)
    return len(list(package.rglob("*.so")))


def main(words: Sequence[str]) -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m native", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--effort", default="2", choices=("0", "1", "2", "3"), help="of the C compiler (2)")
    parser.add_argument("--only", nargs="+", default=modules(), metavar="MODULE", help="compile these alone, for tests")
    asked = parser.parse_args(words)
    asked.folder.mkdir(parents=True, exist_ok=True)
    count = build(asked.folder.resolve(), asked.only, asked.effort)
    sys.stdout.write(f"{count} modules compiled\n")
    return 0 if count == len(asked.only) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
