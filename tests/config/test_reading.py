"""Fields of a map: types, ranges, missing ones, aliases, lists, and keys that nobody asked for."""

import math
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from busbar_fast.config.complaints import Complaints, Mark
from busbar_fast.config.reading import I64, U32, U63, Section
from busbar_fast.config.tree import Entries, Scalar
from tests.config.cases import paths_of, section_of

MARK = Mark(file="f")


def said(section: Section) -> list[str]:
    """Return each complaint's reason."""
    return [error.reason for error in section.complaints.errors]


def holding(text: str, *, is_plain: bool = True) -> Section:
    """Return a section whose field `a` is this scalar, however it may look in YAML."""
    entries = Entries(MARK)
    entries.entries["a"], entries.keys["a"] = Scalar(MARK, text, "${A}", is_plain=is_plain), MARK
    return Section(entries, (), Complaints())


def test_texts_are_read() -> None:
    """Config §1: a text field takes any scalar, and a check may refuse it."""
    section = section_of("a: 0123\nb: [1]\nc: ~\nd: ''\ne: '${NOPE}'\n")
    assert [section.maybe_text(name) for name in "abcdef"] == ["0123", None, None, "", None, None]
    assert [section.text(name, "z") for name in "acdef"] == ["0123", "z", "", "z", "z"]
    assert section.maybe_text("a", lambda text: f"no {text}") is None
    assert section.maybe_text("a", lambda _: "no", is_secret=True) is None
    shown = [(error.reason, error.got) for error in section.complaints.errors]
    assert shown[1:] == [("must be a text, not a list", None), ("no 0123", "0123"), ("no", "***")]


def test_what_is_needed_is_missed() -> None:
    """Config §1: a required field that is null or not there is an error at its path."""
    section = section_of("a: 1\nb: ~\n")
    assert [section.need_text(name) for name in "abc"] == ["1", "", ""]
    assert paths_of(section.complaints.errors) == ["b", "c"]


def test_words_are_chosen() -> None:
    """Config §8, E06: a word that is not allowed lists those that are, and the nearest."""
    section = section_of("a: red\nb: rde\n")
    assert [section.choice(name, "blue", ("red", "blue")) for name in "abc"] == ["red", "blue", "blue"]
    assert said(section) == ["must be one of red, blue; did you mean `red`?"]


@pytest.mark.parametrize("text", ["true", "True", "TRUE", "false", "False", "FALSE"])
def test_flags_have_three_cases(text: str) -> None:
    """Config §1: true and false in lower case, upper case or with a capital."""
    assert holding(text).flag("a", default=False) is (text.lower() == "true")
    assert holding(text).maybe_flag("a") is (text.lower() == "true")


def test_other_flags_are_refused() -> None:
    """Config §1: a quoted flag, another word or a list is none, and the default counts."""
    section = section_of("a: 'true'\nb: yes\nc: []\n")
    assert [section.flag(name, default=True) for name in "abcd"] == [True] * 4
    assert section.maybe_flag("d") is None
    assert paths_of(section.complaints.errors) == ["a", "b", "c"]


def slow_integer(text: str) -> int | None:
    """Return the number that the chapter sees in a plain scalar, None if it sees a text."""
    for prefix, digits in (("0x", "0123456789abcdef"), ("0o", "01234567"), ("0b", "01")):
        if text[:2] == prefix and text[2:] and set(text[2:].lower()) <= set(digits):
            return int(text[2:], len(digits))
    body = text[1:] if text[:1] in ("+", "-") else text
    if not body or not set(body) <= set("0123456789") or (body[0] == "0" and len(body) > 1):
        return None
    return -int(body) if text[0] == "-" else int(body)


def slow_number(text: str) -> float | None:
    """Return the float that the chapter sees in a plain scalar, None if it sees a text."""
    if re.fullmatch(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", text):
        return math.inf
    mantissa, mark, exponent = text.lower().partition("e")
    mantissa = mantissa[1:] if mantissa[:1] in ("+", "-") else mantissa
    exponent = exponent[1:] if exponent[:1] in ("+", "-") else exponent
    whole, dot, part = mantissa.partition(".")
    is_number = set(whole + part) <= set("0123456789") and bool(whole or part)
    is_number &= not mark or (bool(exponent) and set(exponent) <= set("0123456789"))
    is_octal_looking = not dot and not mark and len(whole) > 1 and whole[0] == "0"
    return float(text) if is_number and not is_octal_looking else None


scalars = (
    st.text(st.sampled_from("0123456789abefxo+-._:NaI "), max_size=12) | st.integers().map(str) | st.floats().map(str)
)


@given(scalars | st.text(max_size=5), st.booleans())
@example("0777", True)
@example("-0", True)
@example("1_000", True)
@example("0x1F", True)
@example("\uff15", True)
@example("1:30", True)
def test_integers_agree_with_a_slow_twin(text: str, is_plain: bool) -> None:
    """Config §1: integers are those of the chapter, each within its width."""
    value = slow_integer(text) if is_plain else None
    for low, high in ((0, U63), (1, U32), (I64, U63)):
        section = holding(text, is_plain=is_plain)
        found = section.maybe_integer("a", low, high)
        assert found == (value if value is not None and low <= value <= high else None)
        assert bool(section.complaints.errors) is (found is None)


@given(scalars | st.text(max_size=5), st.booleans())
@example("1e999", True)
@example(".NaN", True)
@example("-.inf", True)
@example("0777", True)
@example("00.5", True)
def test_floats_agree_with_a_slow_twin(text: str, is_plain: bool) -> None:
    """Config §1: floats are those of YAML 1.2 that are finite, and a leading zero makes a whole number a text."""
    value = slow_number(text) if is_plain else None
    section = holding(text, is_plain=is_plain)
    found = section.maybe_number("a")
    assert found == (value if value is not None and math.isfinite(value) else None)
    assert bool(section.complaints.errors) is (found is None)


@pytest.mark.parametrize(
    ("text", "low", "high", "reason"),
    [
        ("5.0", 0, U63, "must be a whole number"),
        ("-1", 0, U63, "must be at least 0"),
        ("0", 1, U63, "must be at least 1"),
        ("9" * 30, 0, U63, "must be at least 0"),
        ("9" * 5000, 0, U63, "must be at least 0"),
        ("9" * 30, I64, U63, "must be a number of 64 bits"),
        ("9", 1, 5, "must be from 1 to 5"),
    ],
)
def test_ranges_are_said(text: str, low: int, high: int, reason: str) -> None:
    """Config §1: an error of a number says what is allowed."""
    section = holding(text)
    assert section.integer("a", 7, low, high) == 7
    assert said(section) == [reason]
    assert section.integer("b", 8, low, high) == 8


@pytest.mark.parametrize(
    ("text", "reason"), [(".inf", "must be finite"), ("1e999", "must be finite"), ("x", "must be a number")]
)
def test_floats_say_what_is_wrong(text: str, reason: str) -> None:
    """Config §1: what is no number and what is no finite one are told apart."""
    section = holding(text)
    assert (section.maybe_number("a"), section.maybe_number("b"), said(section)) == (None, None, [reason])


def test_maps_are_sections() -> None:
    """Config §1: a map is read as one, a missing one is empty, and what is none is noted once."""
    section = section_of("a: {x: 1}\nb: 5\nc: ~\n")
    assert section.section("a").text("x", "") == "1"
    assert section.section("c").text("x", "z") == "z"
    assert section.maybe_section("c") is None
    wrong = section.section("b")
    wrong.need("x")
    assert section.section("d").path == ("d",)
    assert [(error.reason, error.path) for error in section.complaints.errors] == [
        ("must be a map, not a text", ("b",))
    ]


def test_maps_of_maps_are_walked() -> None:
    """Config §1: each entry is a map or nothing, and its unknown keys are noted."""
    section = section_of("a: {x: {k: 1, l: 2}, y: ~, z: 5}\nb: 6\n")
    found = {}
    for name, entry in section.named("a"):
        found[name] = entry.text("k", "none")
    assert found == {"x": "1", "y": "none"}
    assert [*section.named("b"), *section.named("c")] == []
    assert paths_of(section.complaints.errors) == ["a.x.l", "a.z", "b"]


def test_lists_are_read() -> None:
    """Config §1: items that are no texts are noted with their number."""
    section = section_of("a: [x, ~, '', [y], '${NOPE}', 5]\nb: x\n")
    assert section.texts("a", lambda text: "" if text else "is empty") == ("x", "5")
    assert (section.texts("b"), section.items("c")) == ((), [])
    assert paths_of(section.complaints.errors) == ["a[4]", "a[1]", "a[2]", "a[3]", "b"]


@pytest.mark.parametrize(
    ("text", "name", "errors"),
    [("a: 1", "a", []), ("b: 1", "b", []), ("", "a", []), ("a: 1\nb: 1", "a", ["b"]), ("a: ~\nb: 1", "b", [])],
)
def test_one_of_two_spellings_is_used(text: str, name: str, errors: list[str]) -> None:
    """Config §8, E16: both spellings at once are an error, null counts as none."""
    section = section_of(text or "{}")
    with section:
        assert section.alias("a", "b") == name
    assert paths_of(section.complaints.errors) == errors


def test_keys_that_nobody_asked_for_are_noted() -> None:
    """Config §1: leaving a section notes unknown keys, unless an exception leaves it."""
    section = section_of("colour: 1\nsize: 2\n")
    with section:
        section.text("color", "")
        section.maybe_node("size")
    assert said(section) == ["unknown key; did you mean `color`?"]
    again = section_of("colour: 1\n")
    with pytest.raises(KeyError), again:
        raise KeyError
    assert again.complaints.errors == []


def test_a_lenient_section_warns() -> None:
    """Config §1 and W23: in the catalog an unknown key is a warning, further down as well."""
    root = section_of("a: {b: 1}\nc: 2\n")
    section = Section(root.node, (), root.complaints, is_lenient=True)
    with section, section.section("a"):
        assert section.is_lenient
    assert [(w.id, w.path) for w in root.complaints.warnings] == [("W23", ("a", "b")), ("W23", ("c",))]


def test_retired_keys_have_a_reason_of_their_own() -> None:
    """Config §15: a known reason replaces the hint."""
    root = section_of("a: {b: 1, c: 1}\n")
    section = Section(root.node, (), root.complaints, retired=lambda path: "gone" if path == ("a", "b") else "")
    with section, section.section("a"):
        assert section.has("a")
    assert said(root) == ["gone", "unknown key"]


def test_places_and_sources_are_found() -> None:
    """Config §1: a complaint stands at its field, or at the map if the field is missing."""
    section = section_of("x: 1\na: '0x5'\n")
    assert (section.mark_of("a").line, section.mark_of("b").line) == (2, 1)
    assert (section.written("a"), section.written("b")) == ("0x5", "")
    section.put_off("a", "b")
    section.warn("W1", "a", "hm")
    assert paths_of(section.complaints.unavailable + section.complaints.warnings) == ["a", "a"]
