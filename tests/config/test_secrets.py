"""Secrets: found when they are needed, from each kind of source."""

from pathlib import Path

import pytest

from busbar_fast.config.inputs import Inputs
from busbar_fast.config.schema import NONE, Secret
from busbar_fast.config.secrets import MAX_FILE_BYTES, NoSecret, place_of, reveal, reveal_raw


@pytest.mark.parametrize(
    ("secret", "value"),
    [
        (NONE, ""),
        (Secret(kind="env", source="A"), "k"),
        (Secret(kind="env", source="NOPE"), ""),
        (Secret(kind="text", source="x${A}"), "x k "),
        (Secret(kind="text", source="plain"), "plain"),
    ],
)
def test_secrets_are_revealed(secret: Secret, value: str) -> None:
    """Config §14, X1: a variable's blanks are stripped, a template is filled in, and nothing gives nothing."""
    assert reveal(secret, Inputs({"A": " k "})) == value


def test_a_template_without_a_value_is_no_secret() -> None:
    """Config §4: a variable that went away since is named."""
    with pytest.raises(NoSecret, match="the variable A is not set"):
        reveal(Secret(kind="text", source="${A}"), Inputs({}))


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"k", "k"),
        (b"k\n", "k"),
        (b"k\r\n", "k"),
        (b"k\n\n", "k\n"),
        (b" k ", " k "),
        (b"k" * MAX_FILE_BYTES, "k" * MAX_FILE_BYTES),
    ],
)
def test_a_file_loses_one_new_line(content: bytes, value: str, tmp_path: Path) -> None:
    """Config §14, X1: what an editor adds is taken off, and no more."""
    (tmp_path / "f").write_bytes(content)
    assert reveal(Secret(kind="file", source=str(tmp_path / "f")), Inputs({})) == value


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\n", "empty"),
        (b"h\xff", "not valid UTF-8"),
        (b"h" * (MAX_FILE_BYTES + 1), "larger than 65536 bytes"),
    ],
)
def test_a_file_without_a_secret_is_named(content: bytes, said: str, tmp_path: Path) -> None:
    """Config §14, X1: the error names the path and never shows the content."""
    file = tmp_path / "f"
    file.write_bytes(content)
    with pytest.raises(NoSecret) as caught:
        reveal(Secret(kind="file", source=str(file)), Inputs({}))
    assert str(caught.value) == f"{file}: {said}"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """Config §14, X1: the error has the reason of the operating system."""
    secret = Secret(kind="file", source=str(tmp_path / "f"))
    for reader in (reveal, reveal_raw):
        with pytest.raises(NoSecret, match="f: No such file or directory"):
            reader(secret, Inputs({}))


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        (Secret(kind="file", source="/k"), "/k"),
        (Secret(kind="env", source="_A9"), "the variable _A9"),
        (Secret(kind="env", source="sk-hush"), "the variable named by f"),
        (Secret(kind="env", source="9A"), "the variable named by f"),
        (Secret(kind="env", source="A\n"), "the variable named by f"),
        (Secret(kind="env", source="\u00c9"), "the variable named by f"),
    ],
)
def test_a_source_is_named_unless_it_may_be_a_secret(secret: Secret, words: str) -> None:
    """Config §9, W4: what could be no variable's name in a shell is not shown."""
    assert place_of(secret, "f") == words


def test_raw_material_is_left_as_it_is(tmp_path: Path) -> None:
    """Config §14, X12: PEM material is bytes, of a file or a variable."""
    (tmp_path / "f").write_bytes(b"\xff\n")
    inputs = Inputs({"A": " x\udcff\n"})
    sources = (("file", str(tmp_path / "f")), ("env", "A"), ("env", "NOPE"))
    assert [reveal_raw(Secret(kind=k, source=s), inputs) for k, s in sources] == [b"\xff\n", b" x\xff\n", b""]
