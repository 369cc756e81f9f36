"""References to variables: found, made inert, filled in, and never able to change the shape of a document."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.config.complaints import Complaints, Mark
from busbar_fast.config.inputs import Inputs
from busbar_fast.config.tree import Entries, Items, Node
from busbar_fast.config.variables import Variables, check_plain, expand, has_control, resolve
from tests.config.cases import tree_of

MARK = Mark(file="f")


def filled(text: str, environment: dict[str, str]) -> tuple[str | None, str, list[str]]:
    """Return a scalar's text, its template and what is said about it."""
    variables, complaints = Variables(environment.get), Complaints()
    value, template = variables.fill(variables.make_inert(text), complaints, MARK, ("a",))
    return value, template, [error.reason for error in complaints.errors]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("${A}", "1"),
        ("x${A}y${B}z", "x1y2z"),
        ("${A}${B}", "12"),
        ("$${A}", "$1"),
        ("$A $ $$ {A} }", "$A $ $$ {A} }"),
        ("${C}", "${A}"),
        ("${E}", ""),
        ("${NOPE:-d}", "d"),
        ("${E:-d}", "d"),
        ("${A:-d}", "1"),
        ("${NOPE:-}", ""),
        ("${NOPE:-:-}", ":-"),
        ("${NOPE:-a}b}", "ab}"),
        ("${NOPE:-${A}", "${A"),
        ("\ue000${A}\ue001", "\ue0001\ue001"),
        ("\ue0000\ue000", "\ue0000\ue000"),
    ],
)
def test_references_are_filled_in_once(text: str, value: str) -> None:
    """Config §4 and X16: a value or default stands in place of each reference, and is not looked at again."""
    environment = {"A": "1", "B": "2", "C": "${A}", "E": ""}
    found, template, said = filled(text, environment)
    assert (found, said) == (value, [])
    assert expand(template, environment.get) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("${NOPE}", ["the variable NOPE is not set"]),
        ("${NOPE}${NADA}", ["the variable NOPE is not set", "the variable NADA is not set"]),
        ("${}", ["`${}` names no variable"]),
        ("${:-d}", ["`${}` names no variable"]),
        ("${NOPE x", ["`${NOPE` has no closing `}`"]),
        ("${A} ${B", ["`${B` has no closing `}`"]),
        ("${ ${A", ["`${` has no closing `}`", "`${A` has no closing `}`"]),
        ("${A\n}", ["`${A` has no closing `}`"]),
        ("${BAD}", ["the variable BAD holds the control character U+0007"]),
        ("${A:-\x9f}${NOPE:-\x9f}", ["the variable NOPE holds the control character U+009F"]),
        ("${RAW}", ["the variable RAW is not valid UTF-8"]),
    ],
)
def test_a_reference_without_a_usable_value_is_noted(text: str, said: list[str]) -> None:
    """Config §4: every reason is said, and none of a text is left when one is missing."""
    value, _, reasons = filled(text, {"A": "1", "BAD": "x\x07", "RAW": "x\udc80"})
    assert (value, reasons) == (None, said)


def test_few_unclosed_references_are_said() -> None:
    """Config §4: of one text ten at most, and none beside a hundred other errors; its value is missing all the same."""
    complaints = Complaints()
    variables = Variables({"A": "1"}.get)
    text = variables.make_inert(" ".join(f"${{a{number}" for number in range(50)))
    assert variables.fill(text, complaints, MARK, ("a",))[0] is None
    assert len(complaints.errors) == 10
    for number in range(20):
        assert variables.fill(text, complaints, MARK, (str(number),))[0] is None
    assert len(complaints.errors) == 100


def test_an_escaped_dollar_is_no_reference_in_a_template() -> None:
    """Config §4: what YAML makes of an escape is not scanned, so a template keeps it apart."""
    variables = Variables({"A": "1"}.get)
    variables.make_inert("")
    assert variables.fill("${A}", Complaints(), MARK, ()) == ("${A}", "${}{A}")
    assert expand("${}{A}${A}", {"A": "1"}.get) == "${A}1"


def test_a_text_that_leaves_no_character_free_is_refused() -> None:
    """Config §4: a token needs one private-use character that the text has not."""
    everything = "".join(map(chr, range(0xE000, 0xF8FF)))
    assert Variables(Inputs({}).variable).make_inert(everything + "${A}").endswith("\uf8ff0\uf8ff")
    for last in ("\uf8ff", "\\uF8ff", "\\U0000f8fF"):
        with pytest.raises(ValueError, match="in use"):
            Variables(Inputs({}).variable).make_inert(everything + last)


def test_a_reference_by_itself_is_resolved() -> None:
    """Config §4: one reference gives its value or the reason why it has none."""
    assert resolve("${A:-b}", Inputs({}).variable) == "b"
    with pytest.raises(ValueError, match="NOPE is not set"):
        resolve("${NOPE}", Inputs({}).variable)


@pytest.mark.parametrize(
    ("value", "code"),
    [(chr(code), f"U+{code:04X}") for code in (*range(32), *range(0x7F, 0xA0), 0x2028, 0x2029)],
)
def test_control_characters_are_named_by_their_code(value: str, code: str) -> None:
    """Config §4: C0, DEL, C1 and the separators of lines are refused with their code point."""
    with pytest.raises(ValueError, match=code.replace("+", "[+]")) as caught:
        check_plain("it", f"hush{value}hush")
    assert "hush" not in str(caught.value)
    assert has_control(value)


@given(st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"))))
def test_any_other_character_is_plain(value: str) -> None:
    """Config §4: punctuation of any kind is allowed in a value."""
    check_plain("it", value)
    assert not has_control(value)


def shape(node: Node | None) -> object:
    """Return a tree without its texts: names and lengths."""
    if isinstance(node, Entries):
        return {name: shape(inner) for name, inner in node.entries.items()}
    return [shape(inner) for inner in node.items] if isinstance(node, Items) else "text"


DOCUMENTS = (
    "a: ${V}\nb: [1, ${V}, '${V}']\nc: {d: ${V}, e: \"${V}\"}\n",
    "- ${V}\n- x${V}y # ${V}\n- |\n  ${V}\n  z\n- >\n  ${V}\n- ${NOPE:-${V}\n",
    "a: &x\n  - ${V}\nb: *x\n? c\n: ${V}\nd:\n  ${V}\n  ${V}\n",
)


@pytest.mark.parametrize("document", DOCUMENTS)
@given(value=st.text(st.sampled_from("ab:-[]{}&*!<>|'\"#?,%@ ~$\\0\ue000")) | st.text())
def test_a_value_never_changes_the_shape(document: str, value: str) -> None:
    """Config §4: whatever stands in the environment, keys and lengths of lists stay what the file says."""
    shapes = []
    for text in ("x", value):
        complaints = Complaints()
        shapes.append(shape(tree_of(document, complaints, Inputs({"V": text}))))
        assert all("variable V" in error.reason for error in complaints.errors)
    assert shapes[0] == shapes[1]


@given(st.lists(st.sampled_from(["${", "}", "${A}", "${NOPE}", "a", "$", "{", "\n", ":-", "\ue000", "\ue001", "0"])))
def test_the_tokens_of_a_text_agree_with_a_slow_twin(pieces: list[str]) -> None:
    """Config §4: scanning character by character finds the same references."""
    text = "".join(pieces)
    value, template, said = filled(text, {"A": "1"})
    expected, at, problems = "", 0, 0
    while at < len(text):
        line = text[at:].partition("\n")[0]
        if text.startswith("${", at) and "}" in line:
            name, _, default = line[2 : line.index("}")].partition(":-")
            problems += name != "A" and (name == "" or ":-" not in line[: line.index("}")])
            expected += "1" if name == "A" else default
            at += line.index("}") + 1
        elif text.startswith("${", at):
            problems += 1
            at += 2
        else:
            expected += text[at]
            at += 1
    assert (value is None, bool(said)) == (problems > 0, problems > 0)
    if value is not None:
        assert (value, expand(template, {"A": "1"}.get)) == (expected, expected)
