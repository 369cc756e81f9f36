"""Secrets as they are written: texts, references, and what could never be sent."""

from pathlib import Path

import pytest

from busbar_fast.config.inputs import Inputs
from busbar_fast.config.schema import NONE, Secret
from busbar_fast.config.sections.references import (
    complaint_of_token,
    is_sendable,
    not_blank,
    read_reference,
    read_secret,
    source_of,
)
from busbar_fast.config.tree import Entries
from tests.config.cases import paths_of, section_of


@pytest.mark.parametrize(
    ("text", "secret", "errors"),
    [
        ("a: x${A}", Secret(kind="text", source="x${A}"), []),
        ("a: {env: A}", Secret(kind="env", source="A"), []),
        ("a: {file: /f}", Secret(kind="file", source="/f"), []),
        ("b: 1", NONE, []),
        ("a: [x]", NONE, ["a"]),
        ("a: ${NOPE}", NONE, ["a"]),
        ("a: ''", Secret(kind="text", source=""), ["a"]),
        ("a: {}", NONE, ["a"]),
        ("a: {env: A, file: /f}", NONE, ["a"]),
        ("a: {env: }", NONE, ["a.env"]),
        ("a: {env: ' '}", NONE, ["a.env"]),
        ("a: {module: m}", NONE, ["a.module"]),
        ("a: {vault: m}", NONE, ["a.vault"]),
    ],
)
def test_secrets_are_sources(text: str, secret: Secret, errors: list[str]) -> None:
    """Config §14, X1: a text is a template, a map has exactly one key, and what is wrong has its path."""
    section = section_of(text, Inputs({"A": "1"}))
    with section:
        found = read_secret(section, "a", section.maybe_node("a"), not_blank)
        section.maybe_node("b")
    assert (found, paths_of(section.complaints.errors)) == (secret, errors)


def test_a_null_item_is_no_secret() -> None:
    """Config §6.1: an item of a list that is nothing is an error."""
    section = section_of("a: [~]")
    assert read_secret(section.within("a", None), 0, section.items("a")[0], not_blank) == NONE
    assert [error.reason for error in section.complaints.errors] == ["must be a text or a map, not nothing"]


def test_a_file_is_the_same_from_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Config §14, X1: a path is meant from the working folder that the configuration was read in."""
    monkeypatch.chdir(tmp_path)
    section = section_of("a: {file: d/f}")
    read_in_folder = read_secret(section, "a", section.node.entries["a"], not_blank)
    assert read_in_folder == source_of("file", "d/f") == Secret(kind="file", source=f"{tmp_path}/d/f")
    assert source_of("env", "A") == Secret(kind="env", source="A")


def test_references_may_be_of_few_kinds() -> None:
    """Config §14, X12: the caller says which kinds there are."""
    section = section_of("a: {env: A}")
    node = section.node.entries["a"]
    assert isinstance(node, Entries)
    assert read_reference(section, ("a",), node, ("file",)) == NONE
    assert paths_of(section.complaints.errors) == ["a.env"]


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("", "empty"),
        (" ", "empty"),
        ("\t", "empty"),
        (" a", "blanks"),
        ("a\n", "blanks"),
        ("é", "byte"),
        ("a\x00b", "byte"),
    ],
)
def test_tokens_that_nobody_could_send_are_refused(token: str, words: str) -> None:
    """Config §6.1: empty tokens, outer blanks and bytes that no header takes."""
    assert words in complaint_of_token(token)


def test_other_tokens_are_fine() -> None:
    """Config §6.1: whatever prints in ASCII can be sent."""
    printable = "".join(map(chr, range(0x21, 0x7F)))
    assert (complaint_of_token(f"{printable} {printable}"), not_blank("x"), not_blank(" ")) == (
        "",
        "",
        "must not be empty",
    )
    assert [is_sendable(text) for text in (printable, "", "\x7f", "\x1f", "\u00e9")] == [
        True,
        True,
        False,
        False,
        False,
    ]
