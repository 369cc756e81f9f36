"""The loader's window on the world: each thing is read once and remembered, its absence too."""

from pathlib import Path

import pytest

from busbar_fast.config.inputs import Inputs


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


def test_rights_of_files_are_seen(tmp_path: Path) -> None:
    """Config §9, W16: whether everybody may read a file; nobody can read one that is not there."""
    file = tmp_path / "f"
    file.write_bytes(b"1")
    found = []
    for mode in (0o644, 0o604, 0o640, 0o600):
        file.chmod(mode)
        found.append(Inputs({}).is_open_to_all(str(file)))
    assert found == [True, True, False, False]
    assert not Inputs({}).is_open_to_all(str(tmp_path / "none"))


def test_folders_are_told_from_files(tmp_path: Path) -> None:
    """Config §6.4: a database needs a folder that is there."""
    (tmp_path / "f").write_bytes(b"1")
    found = [Inputs({}).is_folder(path) for path in (str(tmp_path), str(tmp_path / "f"), str(tmp_path / "n"), "a\0")]
    assert found == [True, False, False, False]
