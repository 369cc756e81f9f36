"""Complaints: how places and values are written, what is never shown, and hints."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.config.complaints import (
    Complaints,
    Mark,
    Path,
    dotted,
    escaped,
    has_torn_userinfo,
    masked,
    shown,
    without_query,
)

MARK = Mark(file="f.yaml", line=3)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("listen",), "listen"),
        (("pools", "p", "members", 0, "target"), "pools.p.members[0].target"),
        (("providers", "z.ai", "base_url"), 'providers."z.ai".base_url'),
        (("z.ai", "base_url"), '"z.ai".base_url'),
        (("models", ""), 'models.""'),
        (("models", "a\nb"), "models.a\\nb"),
        (("models", "a\n.b"), 'models."a\\n.b"'),
        (("x" * 300,), "x" * 200 + "…"),
    ],
)
def test_paths_are_dotted(path: Path, text: str) -> None:
    """Config §1: a segment with a dot is quoted, items are numbered, and everything stays on one short line."""
    assert dotted(path) == text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain é 漢", "plain é 漢"),
        ("a\tb\r\n", "a\\tb\\r\\n"),
        ("\x00\x1b[1m\x7f\x85", "\\x00\\x1b[1m\\x7f\\x85"),
        ("\u2028\u00a0\ue000", "\\u2028\\xa0\\ue000"),
        ("\udc80", "\\udc80"),
    ],
)
def test_what_does_not_print_is_written_out(text: str, line: str) -> None:
    """Config §1: no value breaks a line or a terminal."""
    assert escaped(text) == line


def test_long_values_are_cut() -> None:
    """Config §1: a value of any length leaves the line readable."""
    assert shown("y" * 200) == "y" * 200
    assert shown("y" * 201) == "y" * 200 + "…"


def test_a_complaint_is_one_line() -> None:
    """Config §1: file, line, path, reason and value stand in this order."""
    complaints = Complaints()
    complaints.error(MARK, ("a", "b"), "is wrong", "v\n")
    complaints.error(Mark(file="f\n.yaml"), (), "no\x1b good")
    assert list(map(str, complaints.errors)) == ["f.yaml:3: a.b: is wrong (got v\\n)", "f\\n.yaml: no\\x1b good"]


def test_a_complaint_is_noted_once() -> None:
    """Config §1: what is found twice is said once, errors, warnings and missing features apart."""
    complaints = Complaints()
    for _ in range(2):
        complaints.error(MARK, ("a",), "r")
        complaints.warn("W1", MARK, ("a",), "r")
        complaints.put_off(MARK, ("a",))
    assert [len(found) for found in (complaints.errors, complaints.warnings, complaints.unavailable)] == [1, 1, 1]
    assert complaints.warnings[0].id == "W1"


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://up.example/x", "https://up.example/x"),
        ("https://up.example:80/@cf/m", "https://up.example:80/@cf/m"),
        ("https://[::1]:80/@cf/m", "https://[::1]:80/@cf/m"),
        ("https://[::1]?a@b", "https://[::1]?***"),
        ("https://up.example/x?key=hush#y", "https://up.example/x?***"),
        ("https://u:p@up.example/x?key=hush?", "https://***@up.example/x?***"),
        ("up.example?key=hush", "up.example?***"),
        ("https://u:p@up.example/x", "https://***@up.example/x"),
        ("https://u@up.example", "https://***@up.example"),
        ("https://u:p@h@up.example", "https://***@up.example"),
        ("https://u:p/w@up.example", "https://***@up.example"),
        ("https://u:p?w@up.example", "https://***@up.example"),
        ("https://u:p\\w@up.example", "https://***@up.example"),
        ("https:/u:p@up.example", "***@up.example"),
        ("u:p@up.example", "***@up.example"),
        ("https://https://u:p@up.example", "https://***@up.example"),
        ("up.example", "up.example"),
        ("", ""),
        ("@", "***@"),
    ],
)
def test_userinfo_and_query_are_masked(url: str, text: str) -> None:
    """Config §1: userinfo and query of a URL are never shown, and of one that makes no sense rather too little."""
    assert masked(url) == text


@pytest.mark.parametrize(
    ("url", "is_torn"),
    [
        ("https://u:p/w@up.example", True),
        ("https://u:p\\w@up.example", True),
        ("https://u:p@up.example/x", False),
        ("https://up.example/@x", False),
        ("u:p/w@up.example", False),
    ],
)
def test_torn_userinfo_is_seen(url: str, is_torn: bool) -> None:
    """Config §10: a `/` in userinfo ends the authority early, so that a part of a secret looks like the host."""
    assert has_torn_userinfo(url) is is_torn


@given(st.text(alphabet="ab/:?#[]", max_size=12), st.sampled_from(["https://", "http://", ""]))
def test_no_part_of_a_password_survives(password: str, scheme: str) -> None:
    """Config §1: whatever stands in a password, its end is not shown, and none of it where there is a scheme."""
    shown = masked(f"{scheme}user:{password}hush@up.example")
    assert "hush" not in shown
    if scheme:
        assert shown == f"{scheme}***@up.example"


def test_values_with_urls_are_masked_wherever_they_stand() -> None:
    """Config §1: an error about any field hides the userinfo of a URL, and leaves other signs alone."""
    complaints = Complaints()
    for got in ("https://u:hush@h", "https://h?key=hush", "model@2025", "really?", "", None):
        complaints.error(MARK, (str(got),), "r", got)
    assert [error.got for error in complaints.errors] == [
        "https://***@h",
        "https://h?***",
        "model@2025",
        "really?",
        "",
        None,
    ]


def test_a_query_is_hidden() -> None:
    """Config §1: what follows the first question mark may hold a key."""
    assert [without_query(text) for text in ("/x", "/x?", "/x?a=1?b", "")] == ["/x", "/x?***", "/x?***", ""]


def test_hints_name_the_nearest() -> None:
    """Config §1: the nearest known name is a hint, a distant one is not."""
    complaints = Complaints()
    assert complaints.hint("lisen", ["auth", "listen", "limits"]) == "; did you mean `listen`?"
    assert complaints.hint("zzz", ["auth", "listen"]) == ""
    assert complaints.hint("a", []) == ""


def test_hints_end_when_they_cost_too_much() -> None:
    """Config §1: a file with thousands of errors, or with an endless name, is refused soon."""
    complaints = Complaints()
    assert complaints.hint("x" * 201, ["x" * 200]) == ""
    hints = [complaints.hint("lisen", ["listen"] * 100) for _ in range(40)]
    assert (bool(hints[0]), bool(hints[-1])) == (True, False)
