"""YAML text as a tree: kinds of nodes, lines, anchors and merges, caps, and any text at all."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.config.complaints import Complaints
from busbar_fast.config.tree import MAX_DEPTH, MAX_NODES, Entries, Items, Node, Scalar, read_tree
from tests.config.cases import paths_of, tree_of


def plain(node: Node | None) -> object:
    """Return a tree as lists, maps and texts; null as None."""
    if isinstance(node, Entries):
        assert list(node.keys) == list(node.entries)
        return {name: plain(inner) for name, inner in node.entries.items()}
    if isinstance(node, Items):
        return [plain(inner) for inner in node.items]
    return None if node is None or node.is_null else node.text


def good(text: str) -> object:
    """Return the tree of a text that nothing is wrong with."""
    complaints = Complaints()
    node = tree_of(text, complaints)
    assert complaints.errors == []
    return plain(node)


def reason(text: str) -> str:
    """Return what is said about a text without a tree."""
    complaints = Complaints()
    assert tree_of(text, complaints) is None
    (error,) = complaints.errors
    assert error.path == ()
    return error.reason


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("# no more\n", None),
        ("null", None),
        ("a", "a"),
        ("a: 1\nb: [x, {y: }]\n", {"a": "1", "b": ["x", {"y": None}]}),
        ("a: ~\nb: Null\nc: 'null'\nd: nULL\ne: \"\"\n", {"a": None, "b": None, "c": "null", "d": "nULL", "e": ""}),
        ("a: |\n  x\n  y\nb: >-\n  x\n  y\n", {"a": "x\ny\n", "b": "x y"}),
        ("- &a {x: 1}\n- *a\n", [{"x": "1"}, {"x": "1"}]),
        ("a: &x 1\nb: &x 2\nc: *x\n", {"a": "1", "b": "2", "c": "2"}),
        ("a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}\n", {"a": {"p": "1", "q": "2"}, "b": {"q": "3", "p": "1"}}),
        (
            "- &x {p: 1}\n- &y {p: 2, q: 2}\n- {<<: [*x, *y]}\n",
            [{"p": "1"}, {"p": "2", "q": "2"}, {"p": "1", "q": "2"}],
        ),
        ("- &x {p: 1}\n- &y {<<: *x, q: 2}\n- {<<: *y}\n", [{"p": "1"}, {"q": "2", "p": "1"}, {"q": "2", "p": "1"}]),
        ("'<<': {p: 1}\n", {"<<": {"p": "1"}}),
        ("<<: []\n", {}),
        (
            "!!map {a: !!seq [!!str b, !!int 1, !!float 2, !!bool true, !!null ~, ! c]}",
            {"a": ["b", "1", "2", "true", None, "c"]},
        ),
        ("%YAML 1.1\n---\na: 1\n...\n", {"a": "1"}),
    ],
)
def test_trees_are_read(text: str, value: object) -> None:
    """Config §1: maps, lists and texts, with anchors, merges and the core tags."""
    assert good(text) == value


@pytest.mark.parametrize(
    ("text", "is_plain"),
    [
        ("5", True),
        ("!!int 5", True),
        ("'5'", False),
        ('"5"', False),
        ("! 5", False),
        ("!!str 5", False),
        ("|\n 5", False),
    ],
)
def test_quotes_and_tags_make_a_scalar_a_text(text: str, is_plain: bool) -> None:
    """Config §1: only a plain scalar can be a number or a flag."""
    node = tree_of(text, Complaints())
    assert isinstance(node, Scalar)
    assert node.is_plain is is_plain


def test_nodes_know_their_lines() -> None:
    """Config §1: an error can say the line of any key and item."""
    node = tree_of("a: 1\nb:\n  - x\n  -\n    y: 2\n", Complaints())
    assert isinstance(node, Entries)
    items = node.entries["b"]
    assert isinstance(items, Items)
    assert isinstance(items.items[1], Entries)
    lines = [node.keys["a"].line, node.keys["b"].line, items.items[0].mark.line, items.items[1].keys["y"].line]
    assert lines == [1, 2, 3, 5]
    assert str(node.keys["b"]) == "f.yaml:2"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "not valid YAML"),
        ("a: \x07", "control characters are not allowed"),
        ("a: 1\n---\nb: 2\n", "more than one document"),
        ("a: *b", "this alias stands for nothing"),
        ("a: &b {c: *b}", "this alias stands for nothing"),
        ("a: !!python/name:os.system x", "this tag is not supported"),
        ("a: !x [1]", "this tag is not supported"),
        ("a: !x {b: 1}", "this tag is not supported"),
        ("a: !!map [1]", "this tag is not supported"),
        ("[a]: 1", "a key must be a text"),
        ("- &a [1]\n- {*a : 1}\n", "a key must be a text"),
        ("? " * 50_000, "a key must be a text"),
        ("<<: 1", "`<<` takes a map or a list of maps"),
        ("<<: [{}, 1]", "`<<` takes a map or a list of maps"),
        ("[" * (MAX_DEPTH + 2), "nested more than 100 levels deep"),
        ("[" + "1," * MAX_NODES + "]", "more than 200000 values"),
        ("- &a [[[1]]]\n- " + "[" * 98 + "*a" + "]" * 98, "nested more than 100 levels deep"),
        ("- &a [" + "1," * 1000 + "]\n" + "- *a\n" * 200, "more than 200000 values"),
    ],
)
def test_a_text_without_a_tree_is_one_complaint(text: str, words: str) -> None:
    """Config §1: syntax, tags, aliases and caps."""
    assert words in reason(text)


def test_the_height_of_an_alias_counts_where_it_stands() -> None:
    """Config §1: levels are counted after expansion, those of an alias within an alias too."""
    text = "- &a [[1]]\n- &b [[*a]]\n- {depth}*b{end}\n"
    fits, not_any_more = (text.format(depth="[" * n, end="]" * n) for n in (MAX_DEPTH - 5, MAX_DEPTH - 4))
    assert isinstance(good(fits), list)
    assert "levels deep" in reason(not_any_more)


def test_duplicates_are_noted_and_the_first_is_kept() -> None:
    """Config §1: a duplicate key is noted with both lines, and reading goes on."""
    complaints = Complaints()
    node = tree_of("a: 1\nb: {c: 1, c: 2}\na: 2\n", complaints)
    assert (plain(node), paths_of(complaints.errors)) == ({"a": "1", "b": {"c": "1"}}, ["b.c", "a"])
    assert "lines 1 and 3" in complaints.errors[1].reason


def test_a_key_without_a_value_of_its_variable_is_left_out() -> None:
    """Config §4: a reference in a key is filled in too, and its error stands at the map around it."""
    complaints = Complaints()
    node = tree_of("a: {'${NOPE}': 1, b: '${NOPE}'}\n", complaints)
    assert (plain(node), paths_of(complaints.errors)) == ({"a": {"b": ""}}, ["a", "a.b"])


def test_errors_of_the_parser_without_a_place_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Config §1: whatever the parser raises becomes a complaint."""
    for error in (yaml.YAMLError(), yaml.MarkedYAMLError("while reading", None, "something odd", None)):

        def fail(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        monkeypatch.setattr(yaml, "parse", fail)
        complaints = Complaints()
        assert read_tree("a", "f", complaints, lambda text, _, __: (text, text)) is None
        assert str(complaints.errors[0]).startswith("f: not valid YAML: ")


texts = st.text(st.sampled_from("ab:-[]{}&*!<>|'\"#?,%@ \n\t\\0\u0085\ue000~$"), max_size=60)


@given(texts | st.text())
def test_any_text_gives_a_tree_or_complaints(text: str) -> None:
    """Config §1: there is no text that raises."""
    complaints = Complaints()
    node = tree_of(text.encode("utf-8", "ignore").decode(), complaints)
    assert node is None or isinstance(node, Scalar | Items | Entries)


@given(
    st.recursive(
        st.text(st.characters(codec="utf-8", exclude_categories=["C"])),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc.é ", max_size=5), inner, max_size=4),
        max_leaves=20,
    )
)
def test_what_a_library_writes_is_read_back(value: object) -> None:
    """Config §1: documents of another writer mean the same here."""
    assert good(yaml.safe_dump(value, allow_unicode=True, default_style='"')) == value
