"""What is installed with the program: every module, and the files that it reads from its own package."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.house.source import ROOT

BUILD = "import sys\nfrom setuptools import build_meta\nprint(build_meta.build_wheel(sys.argv[1]))"
NEEDED = ("pyproject.toml", "README.md", "LICENSE")


def test_wheel_holds_the_whole_package(tmp_path: Path) -> None:
    """Issue: whatever is in the package here is in the wheel, the catalog and the status page too."""
    copy = tmp_path / "source"
    shutil.copytree(ROOT / "busbar_fast", copy / "busbar_fast", ignore=shutil.ignore_patterns("__pycache__"))
    for name in NEEDED:
        shutil.copy(ROOT / name, copy / name)
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(tmp_path)], cwd=copy, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / done.stdout.split()[-1]) as wheel:
        packed = {name for name in wheel.namelist() if name.startswith("busbar_fast/")}
    here = {path.relative_to(copy).as_posix() for path in (copy / "busbar_fast").rglob("*") if path.is_file()}
    assert {"busbar_fast/page/status.html", "busbar_fast/catalog/providers.yaml"} <= here
    assert packed == here
