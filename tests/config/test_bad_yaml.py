"""Files that are no YAML of ours: encoding, syntax, tags, duplicate keys, size, and references without a value."""

from pathlib import Path

import pytest

from tests.config.cases import BASE, Row, check_row, read

NODES = "x: [" + "1, " * 199_990 + "]\n"
BOMB = (
    "x-a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    + "".join(
        f"x-{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
        for before, name in zip("abcdef", "bcdefg", strict=True)
    )
    + BASE
)

SYNTAX = [
    Row("no UTF-8", b"listen: \xff\n", {"": None}),
    Row("UTF-16", "listen: a:1\n".encode("utf-16"), {"": None}),
    Row("half a character at the end", b"x-a: \xe2\x82", {"": None}),
    Row("control character", b"x-a: \x01\n", {"": None}),
    Row("NUL", b"x-a: \x00\n", {"": None}),
    Row("several documents", BASE + "---\nx-a: 1\n", {"": None}),
    Row("an empty document before ours", "---\n---\n" + BASE, {"": None}),
    Row("a list", "- a\n- b\n", {"": None}),
    Row("a text", "just words\n", {"": None}),
    Row("unclosed list", "x-a: [1\n", {"": None}),
    Row("unclosed quote", "x-a: 'b\n", {"": None}),
    Row("tab as indentation", "models:\n\tm: 1\n", {"": None}),
    Row("mapping inside a plain text", "x-a: b: c\n", {"": None}),
    Row("a list as a key", "? [a]\n: 1\n", {"": None}),
    Row("a map as a key", "? {a: 1}\n: 1\n", {"": None}),
    Row("a list by an alias as a key", "x-a: &a [1]\n*a : 1\n", {"": None}),
    Row("keys of keys without end, flow", "{" * 100_000, {"": None}),
    Row("keys of keys without end, block", "? " * 100_000, {"": None}),
    Row("newer YAML", "%YAML 2.0\n---\n" + BASE, {"": None}),
    Row("unknown alias", BASE + "x-a: *b\n", {"": None}),
    Row("alias of itself", BASE + "x-a: &b [*b]\n", {"": None}),
    Row("merge of a text", BASE + "x-a: {<<: b}\n", {"": None}),
    Row("merge of a list of texts", BASE + "x-a: {<<: [b]}\n", {"": None}),
    Row("merge of nothing", BASE + "x-a: {<<: }\n", {"": None}),
    Row("Python tag", "x-a: !!python/object/apply:os.system [ls]\n", {"": None}),
    Row("tag of our own", "x-a: !secret b\n", {"": None}),
    Row("binary tag", "x-a: !!binary aGk=\n", {"": None}),
    Row("set tag", "x-a: !!set {a}\n", {"": None}),
    Row("number tag on a list", "x-a: !!int [1]\n", {"": None}),
    Row("list tag on a map", "x-a: !!seq {b: 1}\n", {"": None}),
    Row("undefined tag handle", "x-a: !e!b c\n", {"": None}),
    Row("all private-use characters", BASE + "x-a: " + "".join(map(chr, range(0xE000, 0xF900))), {"": None}),
    Row("nothing", "", {"providers": None, "models": None}),
    Row("nothing but a comment", "# later\n", {"providers": None, "models": None}),
    Row("null", "~\n", {"providers": None, "models": None}),
    Row("an empty map", "{}\n", {"providers": None, "models": None}),
]

DUPLICATES = [
    Row("top level", BASE + "listen: a:1\nlisten: b:2\n", {"listen": None}),
    Row("two of them", BASE + "x-a: 1\nx-b: 2\nx-a: 3\nx-b: 4\n", {"x-a": None, "x-b": None}),
    Row("thrice", BASE + "x-a: 1\nx-a: 2\nx-a: 3\n", {"x-a": None}),
    Row("a model", BASE.replace("models: {", "models: {m: {provider: p}, "), {"models.m": None}),
    Row("quoted and not", BASE + "x-a: 1\n'x-a': 2\n", {"x-a": None}),
    Row("in a list", BASE + "x-a: [{b: 1, b: 2}]\n", {"x-a[0].b": None}),
    Row("with a dot", BASE + "x-a: {b.c: 1, b.c: 2}\n", {'x-a."b.c"': None}),
    Row("made by a variable", BASE + "x-a: {b: 1, '${K}': 2}\n", {"x-a.b": None}, {"K": "b"}),
]

CAPS = [
    Row("too many bytes", BASE + "#" * (8 * 1024 * 1024), {"": None}),
    Row("far too many bytes", b"#" * (16 * 1024 * 1024 + 1), {"": None}),
    Row("too deep in flow style", BASE + "x-a: " + "[" * 101 + "]" * 101, {"": None}),
    Row("too deep by maps", BASE + "x-a: " + "{a: " * 101 + "1" + "}" * 101, {"": None}),
    Row("endlessly deep", BASE + "x-a: " + "[" * 500_000, {"": None}),
    Row("too deep by an alias", f"x-a: &a {'[' * 60}{']' * 60}\nx-b: {'[' * 60}*a{']' * 60}\n{BASE}", {"": None}),
    Row("too many nodes", BASE + "x-a: [" + "1, " * 200_001 + "]", {"": None}),
    Row("bomb of aliases", BOMB, {"": None}),
    Row("bomb by merging", "x-a: &a {" + "k: 1, j: 2, " + "}\n" + "x-b: [" + "{<<: *a}, " * 60_000 + "]", {"": None}),
]

VARIABLES = [
    Row("unset", "listen: ${NOPE}\n" + BASE, {"listen": None}),
    Row("unset in a text", "listen: a${NOPE}:1\n" + BASE, {"listen": None}),
    Row("unset in a key", "${NOPE}: 1\n" + BASE, {"": None}),
    Row("unset in a list", BASE + "x-a: [1, '${NOPE}']\n", {"x-a[1]": None}),
    Row("unset in a block", BASE + "x-a: |\n  one\n  ${NOPE}\n", {"x-a": None}),
    Row("two unset", BASE + "x-a: ${NOPE}\nx-b: ${NADA}\n", {"x-a": None, "x-b": None}),
    Row("unclosed", BASE + "x-a: ${NOPE\n", {"x-a": None}),
    Row("unclosed in quotes", BASE + 'x-a: "${NOPE"\n', {"x-a": None}),
    Row("unclosed before a closed one", BASE + "x-a: '${NOPE\n  ${A}'\n", {"x-a": None}, {"A": "1"}),
    Row("nothing but the start", BASE + "x-a: ${\n", {"x-a": None}),
    Row("without a name", BASE + "x-a: ${}\n", {"x-a": None}),
    Row("default without a name", BASE + "x-a: ${:-b}\n", {"x-a": None}),
    Row("start within a name", BASE + "x-a: ${A${B}\n", {"x-a": None}, {"A": "1", "B": "2"}),
    Row("no default by another sign", BASE + "x-a: ${NOPE-b}\n", {"x-a": None}),
    Row("blank around a name", BASE + "x-a: ${ A }\n", {"x-a": None}, {"A": "1"}),
    Row("empty where a value is needed", "listen: ${EMPTY}\n" + BASE, {"listen": ""}, {"EMPTY": ""}),
    Row("empty as a number", BASE + "limits: {max_headers: ${EMPTY}}\n", {"limits.max_headers": ""}, {"EMPTY": ""}),
    Row("no YAML in a value", BASE + "x-a: 1\nlimits: ${L}\n", {"limits": None}, {"L": "{max_headers: 5}"}),
    Row("null in a value is a text", BASE + "tls: ${T}\n", {"tls": None}, {"T": "null"}),
    Row("quoted number", BASE + 'limits: {max_headers: "${N}"}\n', {"limits.max_headers": "7"}, {"N": "7"}),
    Row("start of another reference", "listen: ${A}\n" + BASE, {"listen": "${B}"}, {"A": "${B}", "B": "a:1"}),
    Row("no UTF-8 in a value", BASE + "x-a: ${A}\n", {"x-a": None}, {"A": "a\udcff"}),
    Row("no UTF-8 despite a default", BASE + "x-a: ${A:-b}\n", {"x-a": None}, {"A": "\udc80"}),
    *(
        Row(f"control character {ord(c):04X}", BASE + "x-a: ${A}\n", {"x-a": None}, {"A": f"hush{c}"}, "", ("hush",))
        for c in "\x00\t\n\r\x1b\x1f\x7f\x80\x85\x9f\u2028\u2029"
    ),
    Row("control character in a default", BASE + "x-a: '${A:-b\tc}'\n", {"x-a": None}),
    Row("escape sequence in a name", BASE + "x-a: ${\x1b[31m}\n", {"x-a": None}),
    Row("a hundred thousand starts", BASE + "x-a: " + "${" * 100_000, {"x-a": None}),
    Row("starts without an end, line by line", BASE + "x-a: |\n" + "  ${\n" * 20_000, {"x-a": None}),
    Row("in the catalog", BASE, {"p.base_url": None}, {}, "p: {protocol: openai, base_url: '${NOPE}'}\n"),
]


@pytest.mark.parametrize("row", SYNTAX, ids=str)
def test_what_is_no_yaml_of_ours_is_refused(row: Row, tmp_path: Path) -> None:
    """Config §1: one UTF-8 document with a map of plain core types, or one error."""
    check_row(row, tmp_path)


@pytest.mark.parametrize("row", DUPLICATES, ids=str)
def test_a_key_that_stands_twice_is_refused(row: Row, tmp_path: Path) -> None:
    """Config §1: a duplicate key is an error at its path."""
    if row.name == "thrice":
        assert len(read(tmp_path, row.text).complaints.errors) == 2
    else:
        check_row(row, tmp_path)


def test_a_duplicate_names_both_lines(tmp_path: Path) -> None:
    """Config §1: the error of a duplicate key says where both stand."""
    error = read(tmp_path, BASE + "x-a: 1\nx-b: 1\nx-a: 2\n").complaints.errors[0]
    assert error.mark.line == 5
    assert "lines 3 and 5" in error.reason


@pytest.mark.parametrize("row", CAPS, ids=str)
def test_a_file_beyond_a_cap_is_refused(row: Row, tmp_path: Path) -> None:
    """Config §1: 8 MiB, 100 levels and 200 000 nodes, aliases expanded, are the most."""
    check_row(row, tmp_path)


@pytest.mark.parametrize("row", VARIABLES, ids=str)
def test_a_reference_without_a_usable_value_is_refused(row: Row, tmp_path: Path) -> None:
    """Config §4: each line of the table of references."""
    check_row(row, tmp_path)


@pytest.mark.parametrize(
    ("text", "value", "said"),
    [
        ("${NOPE}", None, "the variable NOPE is not set"),
        ("${NOPE", None, "`${NOPE` has no closing `}`"),
        ("${}", None, "`${}` names no variable"),
        ("${A}", "x\ny", "the variable A holds the control character U+000A"),
        ("${A}", "x\u2028", "the variable A holds the control character U+2028"),
        ("${A}", "x\udcff", "the variable A is not valid UTF-8"),
        ("${\x1b[1m}", None, "the variable \\x1b[1m is not set"),
        ("${" + "A" * 300 + "}", None, f"the variable {'A' * 200}… is not set"),
    ],
)
def test_what_is_said_of_a_reference_names_the_variable_only(
    text: str, value: str | None, said: str, tmp_path: Path
) -> None:
    """Config §4: an error names the variable or the start of its name and the code point, never the value."""
    loaded = read(tmp_path, BASE + f"x-a: {text}\n", {} if value is None else {"A": value})
    assert [error.reason for error in loaded.complaints.errors] == [said]


def test_each_syntax_error_has_a_line(tmp_path: Path) -> None:
    """Config §1: what the parser refuses is reported with the line it stopped at."""
    lines = [read(tmp_path, text).complaints.errors[0].mark.line for text in ("a: 1\nb: [\n", "a: 1\n\nb: *c\n")]
    assert lines == [3, 3]
