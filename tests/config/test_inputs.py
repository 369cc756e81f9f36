"""The loader's window on the world: each thing is read once and remembered, its absence too."""

import os
import socket
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from busbar_fast.config.inputs import Inputs, absolute
from tests.house.source import ROOT


def test_variables_are_remembered() -> None:
    """Config §4: every variable that was asked for is an input, one that is not set as well."""
    inputs = Inputs({"A": "é", "B": "\udcff", "C": "unread"})
    assert [inputs.variable(name) for name in ("B", "A", "NOPE")] == ["\udcff", "é", None]
    assert inputs.seen == [("env", "A", "é".encode()), ("env", "B", b"\xff"), ("env", "NOPE", None)]


def test_files_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Config §12: a file that changes while it is looked at twice still has one content."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "f"
    file.write_bytes(b"1")
    inputs = Inputs({})
    assert inputs.read("f") == b"1"
    file.write_bytes(b"2")
    assert inputs.read(str(file)) == b"1"
    assert inputs.seen == [("file", str(file), b"1")]


def test_a_missing_file_stays_missing(tmp_path: Path) -> None:
    """Config §12: absence is an input, too."""
    file = tmp_path / "f"
    inputs = Inputs({})
    with pytest.raises(FileNotFoundError):
        inputs.read(str(file))
    file.write_bytes(b"1")
    with pytest.raises(FileNotFoundError):
        inputs.read(str(file))
    assert inputs.seen == [("file", str(file), None)]


def test_a_name_that_no_file_can_have_is_an_os_error() -> None:
    """Config §1: a NUL in a path is an error like any other."""
    with pytest.raises(OSError, match="no file can have this name"):
        Inputs({}).read("a\0b")


def test_a_file_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    """Config §1: no more than 16 MiB of any file are kept."""
    file = tmp_path / "f"
    file.write_bytes(b"x" * (16 * 1024 * 1024))
    assert len(Inputs({}).read(str(file))) == 16 * 1024 * 1024
    with file.open("ab") as more:
        more.write(b"x")
    with pytest.raises(OSError, match="file too large"):
        Inputs({}).read(str(file))


def test_a_small_file_takes_little_memory(tmp_path: Path) -> None:
    """Config §1: room for the largest file is not made for every one."""
    file = tmp_path / "f"
    file.write_bytes(b"x" * 1000)
    tracemalloc.start()
    try:
        Inputs({}).read(str(file))
        assert tracemalloc.get_traced_memory()[1] < 1024 * 1024
    finally:
        tracemalloc.stop()


def test_rights_of_files_are_seen(tmp_path: Path) -> None:
    """Config §9, W16: whether everybody may read a file; each answer is an input."""
    file = tmp_path / "f"
    file.write_bytes(b"1")
    found = []
    for mode in (0o644, 0o604, 0o640, 0o600):
        file.chmod(mode)
        inputs = Inputs({})
        found.append((inputs.is_open_to_all(str(file)), inputs.seen))
    yes, no = [("rights", str(file), b"1")], [("rights", str(file), b"0")]
    assert found == [(True, yes), (True, yes), (False, no), (False, no)]
    inputs = Inputs({})
    assert not inputs.is_open_to_all(str(tmp_path / "none"))
    assert inputs.seen == [("rights", str(tmp_path / "none"), None)]


def test_folders_are_told_from_files(tmp_path: Path) -> None:
    """Config §6.4: a database needs a folder that is there."""
    (tmp_path / "f").write_bytes(b"1")
    found = [Inputs({}).is_folder(path) for path in (str(tmp_path), str(tmp_path / "f"), str(tmp_path / "n"), "a\0")]
    assert found == [True, False, False, False]


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    """Config §1: a pipe that nobody writes to, a device and a socket hold up nobody; a link to a file is a file."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").write_bytes(b"1")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "pipe").symlink_to("fifo")
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(tmp_path / "socket"))
        for path in (tmp_path / "fifo", tmp_path / "pipe", tmp_path / "socket", Path(os.devnull)):
            with pytest.raises(OSError, match="not a regular file"):
                Inputs({}).read(str(path))
    with pytest.raises(IsADirectoryError, match="Is a directory"):
        Inputs({}).read(str(tmp_path))
    assert Inputs({}).read(str(tmp_path / "link")) == b"1"


def test_a_path_is_made_to_mean_the_same_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Config §2: a relative path is meant from the working folder; `..` stays, and without a folder nothing changes."""
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert [absolute(path) for path in ("f", "../f", "/f", "/../f")] == [f"{folder}/f", f"{folder}/../f", "/f", "/../f"]
    folder.rmdir()
    assert absolute("f") == "f"
    with pytest.raises(FileNotFoundError):
        Inputs({}).read("f")


def test_the_window_is_light() -> None:
    """Config §12: every start pays for this module's imports."""
    asked = "import sys; import busbar_fast.config.inputs; print('pathlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-S", "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
