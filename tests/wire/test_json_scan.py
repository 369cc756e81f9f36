"""Finding members of JSON objects, whole or in pieces, and splicing."""

import json
import sys
from collections.abc import Iterable
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from busbar_fast.errors import NotJson, TooDeep
from busbar_fast.wire.json_scan import (
    MAX_DEPTH,
    Edit,
    MemberScanner,
    Span,
    cut_out,
    decode_string,
    encode_string,
    find_items,
    find_members,
    insert_member,
    insertion,
    is_array,
    is_object,
    is_true,
    removals,
    remove_member,
    splice,
)
from tests.wire.twins import cut_at, every_cut, members_by_json

PROPERTY = settings(derandomize=True, deadline=None, max_examples=90)

NAMES = frozenset((b"model", b"stream", b"usage", "é".encode()))
Found = dict[bytes, list[Span]] | type[Exception]

space = st.sampled_from(["", "", "", " ", "\n", "\t \r\n"])
string_parts = st.sampled_from(
    [
        *("a", "é", "😀", "[", "]", "{", "}", ",", ":", " ", "//", r"\n", r"\/"),
        *(r"\"", r"\\", r"\\\"", r"\\\\\\\"", r"\u005c", r"\u0022", r"\ud83d\ude00", r"\ud800", r"\u00e9"),
    ]
)
strings = st.lists(string_parts, max_size=5).map(lambda parts: '"' + "".join(parts) + '"')
scalars = strings | st.sampled_from(["0", "-1.5e+10", "true", "false", "null", "12345678901234567890", "NaN"])
keys = st.sampled_from(['"model"', r'"mod\u0065l"', '"stream"', r'"\u0075sage"', '"é"', r'"\u00E9"', '"x"']) | strings


def listed(items: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return arrays of these items."""
    return st.builds(
        lambda inside, gap: "[" + gap + f"{gap},".join(inside) + gap + "]", st.lists(items, max_size=3), space
    )


def keyed(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return objects of these values."""
    member = st.builds(lambda key, gap, value: f"{key}{gap}:{gap}{value}{gap}", keys, space, values)
    return st.builds(
        lambda inside, gap: "{" + gap + f",{gap}".join(inside) + "}" + gap, st.lists(member, max_size=4), space
    )


values = st.recursive(scalars, lambda inner: listed(inner) | keyed(inner), max_leaves=8)
documents = st.builds(lambda gap, body: (gap + body).encode(), space, keyed(values))
noise = st.lists(
    st.sampled_from(
        [b'"', b"{", b"}", b"[", b"]", b":", b",", b"\\", b'"model"', b"1", b"true", b" ", b"\xff", b"*", b"a"]
    ),
    max_size=12,
).map(b"".join)


def scan(pieces: Iterable[bytes], names: frozenset[bytes] = NAMES) -> Found:
    """Return what the scanner finds in these pieces, or how it refuses them."""
    scanner = MemberScanner(names)
    try:
        for piece in pieces:
            scanner.feed(piece)
        return scanner.finish()
    except (NotJson, TooDeep) as error:
        return type(error)


def find(document: bytes, names: frozenset[bytes] = NAMES) -> Found:
    """Return what is found in a whole document, or how it is refused."""
    try:
        return find_members(document, names)
    except (NotJson, TooDeep) as error:
        return type(error)


def for_older_pythons() -> ModuleType:
    """Return the module as CPython before 3.11.5 loads it, with rounds of possessive groups that are atomic."""
    spec = find_spec("busbar_fast.wire.json_scan")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    with mock.patch.object(sys, "version_info", (3, 11, 4)):
        spec.loader.exec_module(module)
    return module


OLDER = for_older_pythons()


def texts(document: bytes, name: bytes) -> list[bytes]:
    """Return the values of a member as they are written."""
    return [document[start:end] for start, end in find_members(document, (name,)).get(name, [])]


@PROPERTY
@given(document=documents)
def test_valid_document_agrees_with_the_standard_parser(document: bytes) -> None:
    """In JSON of any shape the spans are those that the standard parser walks through."""
    assert find_members(document, NAMES) == members_by_json(document, NAMES)


@PROPERTY
@given(document=documents)
def test_valid_document_cut_at_every_place_agrees_with_the_whole(document: bytes) -> None:
    """Cut in two at any byte, or into bytes, a document gives the same spans."""
    expected = find(document)
    for pieces in every_cut(document):
        assert scan(pieces) == expected


@PROPERTY
@given(document=documents, places=st.lists(st.integers(0, 200), max_size=8))
def test_valid_document_cut_at_several_places_agrees_with_the_whole(document: bytes, places: list[int]) -> None:
    """Many cuts, and pieces that are empty, change nothing."""
    assert scan(cut_at(document, places)) == find(document)


@PROPERTY
@given(document=documents, at=st.integers(0, 200), junk=noise)
def test_damaged_document_is_judged_alike_by_both(document: bytes, at: int, junk: bytes) -> None:
    """A document with something written over it gets one verdict, cut or whole, and valid JSON is never refused."""
    check_verdicts(document[:at] + junk + document[at + len(junk) :])


@PROPERTY
@given(document=documents, at=st.integers(0, 200), junk=noise)
@example(b'{"":{"":null,"model":"a"}}', 200, b"")
@example(b'{"":["a\\\\\\\\\\"","\\"a\\\\"],"model":1}', 200, b"")
def test_any_python_finds_the_same(document: bytes, at: int, junk: bytes) -> None:
    """The patterns for CPython before 3.11.5 give the verdict of those for later ones."""
    for text in (document, document[:at] + junk + document[at + len(junk) :]):
        try:
            found: Found = OLDER.find_members(text, NAMES)
        except (NotJson, TooDeep) as error:
            found = type(error)
        assert found == find(text)


@settings(PROPERTY, max_examples=300)
@given(document=noise.map(lambda junk: b'{"model":' + junk))
@example(b'{"a":"\\\\\\"","model":1}')
@example(b'{"a":1 "b":2}')
@example(b'{"a":[1}')
@example(b'{"a key too long to be wanted, with no escape: \\\n":1}')
def test_noise_is_judged_alike_by_both(document: bytes) -> None:
    """Brackets, quotes and backslashes in any order get one verdict, cut or whole, and valid JSON is never refused."""
    check_verdicts(document)


def check_verdicts(document: bytes) -> None:
    """Compare whole, cut and standard parser on bytes that may be anything."""
    found = find(document)
    for pieces in every_cut(document):
        assert scan(pieces) == found
    try:
        value = json.loads(document.decode(), strict=False)
    except ValueError:
        return
    assert found == (members_by_json(document, NAMES) if isinstance(value, dict) else NotJson)


def test_all_values_of_a_repeated_member_are_found() -> None:
    """A splicer sees every spelling of a member, and the last one is the one that parsers let win."""
    document = rb'{"model":"a","x":{"model":"inner"},"mod\u0065l":"b","\u006d\u006f\u0064\u0065\u006c" : "c"}'
    assert texts(document, b"model") == [b'"a"', b'"b"', b'"c"']


@pytest.mark.parametrize(
    "key",
    [rb"\u006", rb"\x006dodel", rb"mod\u00", b"\\u006\xff"],
)
def test_key_with_a_broken_escape_is_refused(key: bytes) -> None:
    """A key that no parser can read, short enough to be one of ours, is not waved through."""
    assert find(b'{"%b":1}' % key) is scan([b'{"%b":1}' % key]) is NotJson


def test_key_too_long_to_be_wanted_is_not_decoded() -> None:
    """An escape costs six bytes at most, so a long key is skipped as it is."""
    document = b'{"%b":1,"model":2}' % (b"\\u0061" * 50)
    assert find(document) == scan([document]) == {b"model": [(314, 315)]}
    assert find_members(rb'{"\u0061":1}', ()) == {}


def test_members_of_a_found_object_are_found_within_its_span() -> None:
    """The span of a value is the range to look into."""
    document = b'{"usage": {"prompt":{"cached":7,"x":1}, "cached":[]} ,"cached":2}'
    ((start, end),) = find_members(document, (b"usage",))[b"usage"]
    assert is_object(document, (start, end))
    found = find_members(document, (b"cached", b"prompt"), start, end)
    assert [document[slice(*span)] for span in found[b"cached"]] == [b"[]"]
    ((start, end),) = found[b"prompt"]
    ((start, end),) = find_members(document, (b"cached",), start, end)[b"cached"]
    assert document[start:end] == b"7"
    assert not is_object(document, (start, end))


@pytest.mark.parametrize(
    ("start", "end"), [(0, 10), (0, 16), (1, 17), (5, 5), (0, 0), (5, 17), (5, 15), (5, 14), (5, 6), (17, 17)]
)
def test_range_that_is_no_object_is_refused(start: int, end: int) -> None:
    """A range that cuts an object, or is none, gives no spans; bytes outside of it are not looked at."""
    with pytest.raises(NotJson):
        find_members(b'{"a":{"b":[1,2]}}', (b"a",), start, end)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b" ",
        b"[]",
        b'"a"',
        b"1",
        b"null",
        b"\xef\xbb\xbf{}",
        b"{",
        b"{}}",
        b"{} x",
        b'{"a":1}{}',
        b"{,}",
        b'{"a"}',
        b'{"a" 1}',
        b'{"a":}',
        b'{"a":1,}',
        b'{"a":1',
        b'{"a":1,',
        b'{"a":1 "b":2}',
        b'{"a":"x" "y"}',
        b'{"a":[] []}',
        b'{"a":[1}',
        b'{"a":[1}]',
        b'{"a":{"b":1]}',
        b'{"a":[{]}]}',
        b'{"a":[}',
        b'{"a":"x',
        b'{"a":"x\\"}',
        b'{"a":["x]}',
        b'{"a":["x\\"]}',
        b'{"a',
        b'{"a\\"',
        b"{a:1}",
        b"{'a':1}",
        b'{"a":[1]',
        b'{"a":[1] ',
        b'{"a":[1 /* ] */]}',
        b'{"a":[*]}',
        b'{"a":\x00}',
        b'{"a":"' + b"x" * 5_000,
        b'{"a":"' + b"x" * 5_000 + b'" "',
    ],
)
def test_broken_document_is_refused(document: bytes) -> None:
    """What no JSON object looks like is refused, whole and cut."""
    assert find(document) is NotJson
    assert scan([document]) is scan(bytes((byte,)) for byte in document) is NotJson


@pytest.mark.parametrize(
    "string",
    [
        b"x" * 10_000,
        b"x" * 5_000 + b'\\"' + b"y" * 5_000,
        b"x" * 5_000 + b"\\\\",
        b'\\"' * 10,
        b"\\\\",
        b'\\\\\\"',
        b'\\\\\\"' * 4 + b"\\\\",
        b"\\\\\\\\\\\\\\" + b'"' + b"z",
        b"\\\\\\\\\\\\\\\\",
        b'a\\\\\\\\\\"b' + b"c" * 5_000 + b'\\"\\\\',
    ],
)
@pytest.mark.parametrize("shape", [b'{"x":%b,"model":1}', b'{"x":[{"y":%b}],"model":1}', b'{"x":[[%b]],"model":1}'])
def test_string_ends_at_its_own_quote(string: bytes, shape: bytes) -> None:
    """Strings with runs of backslashes, and long ones, end where the standard parser says, at any depth."""
    document = shape % (b'"%b"' % string)
    expected = members_by_json(document, NAMES)
    assert find_members(document, NAMES) == expected
    for size in (1, 2, 3, 4_096, 5_003):
        assert scan(document[at : at + size] for at in range(0, len(document), size)) == expected


@pytest.mark.parametrize(("opener", "closer"), [(b"[", b"]"), (b'{"b":', b"}"), (b'[{"b":"]",', b"}]")])
@pytest.mark.parametrize("inside", [b'"b":1', b'"[[[{{{"', b'"\\\\"', b"[ ]", b"{}"])
def test_nesting_is_allowed_to_the_limit_and_not_beyond(opener: bytes, closer: bytes, inside: bytes) -> None:
    """The deepest level that is allowed is read, one more is refused, and brackets in strings do not count."""
    levels = len(closer)
    for depth in range(MAX_DEPTH - 4, MAX_DEPTH + 4):
        count = (depth - 1) // levels
        document = b'{"x":' + opener * count + inside + closer * count + b',"model":1}'
        at = document.index(b"1}", -2)
        is_too_deep = 1 + count * levels + (inside in (b"[ ]", b"{}")) > MAX_DEPTH
        expected = TooDeep if is_too_deep else {b"model": [(at, at + 1)]}
        assert find(document) == scan([document]) == scan(bytes((byte,)) for byte in document) == expected


FLOODS = {
    "openers": b'{"a":' + b"[" * 5_000_000,
    "openers of objects": b'{"a":' + b'{"b":' * 1_000_000,
    "empty arrays": b'{"a":[' + b"[]," * 1_666_666 + b"1]}",
    "empty strings": b'{"a":[' + b'"",' * 1_666_666 + b"1]}",
    "backslashes": b'{"a":"' + b"\\" * 5_000_000 + b'"}',
    "backslashes in a key": b'{"' + b"\\" * 5_000_000 + b'":1}',
    "an odd backslash": b'{"a":"' + b"\\" * 5_000_001 + b'"}',
    "escaped quotes": b'{"a":["' + b'\\"' * 2_500_000 + b'"]}',
    "quotes escaped twice": b'{"a":"' + b'\\\\\\"' * 1_250_000 + b'"}',
    "quotes escaped thrice": b'{"a":["' + b'\\\\\\\\\\\\\\"' * 125_000 + b'"]}',
    "late surprise": b'{"a":[{"b":[{' + b'"a":"b",' * 625_000 + b'"c":"\\\\\\\\"}]}]}',
    "late end": b'{"a":[{"b":[{' + b'"a":"b",' * 625_000 + b'"c":"',
    "space": b"{" + b" " * 5_000_000 + b'"a":1}',
    "digits": b'{"a":' + b"1" * 5_000_000 + b"}",
    "towers": b'{"a":[' + (b"[" * 120 + b"]" * 120 + b",") * 400 + b"1]}",
    "members": b"{" + b'"a":1,' * 50_000 + b'"b":1}',
}


@pytest.mark.parametrize("kind", FLOODS)
def test_hostile_document_costs_linear_work(kind: str) -> None:
    """Megabytes of what scanners choke on are judged soon, and alike whether cut or whole."""
    document = FLOODS[kind]
    pieces = (document[at : at + 65_536] for at in range(0, len(document), 65_536))
    assert find(document, frozenset((b"a",))) == scan(pieces, frozenset((b"a",)))


def test_scanner_names_the_start_of_an_open_value() -> None:
    """A caller learns from where on bytes must be kept: from the start of a named value until its end."""
    scanner = MemberScanner((b"usage",))
    seen = []
    for piece in (b'{"x":[1', b'],"usage"', b':{"a":"', b'b"}', b',"usage":4', b"2", b"}"):
        scanner.feed(piece)
        seen.append(scanner.open_start)
    assert seen == [None, None, 17, None, 35, 35, None]
    assert scanner.finish() == {b"usage": [(17, 26), (35, 37)]}


def test_splice_replaces_spans_in_any_order() -> None:
    """Every byte outside the spans stays, empty spans insert, and edits need not be sorted."""
    edits: list[Edit] = [((6, 7), b"Z"), ((0, 0), b">"), ((2, 4), b""), ((9, 9), b"<")]
    assert splice(b"012345678", edits) == b">0145Z78<"
    assert splice(b"01", []) == b"01"
    with pytest.raises(AssertionError):
        splice(b"0123", [((0, 2), b""), ((1, 3), b"")])


@PROPERTY
@given(document=documents)
def test_spliced_value_changes_nothing_else(document: bytes) -> None:
    """Replacing every `model` gives a document that differs in those values alone."""
    spans = find_members(document, (b"model",)).get(b"model", [])
    spliced = splice(document, [(span, b'"new"') for span in spans])
    pairs = json.loads(document, object_pairs_hook=list)
    assert json.loads(spliced, object_pairs_hook=list) == [
        (key, "new" if key == "model" else value) for key, value in pairs
    ] or any(value != value for value in pairs)  # noqa: PLR0124  NaN, which equals nothing


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (b'{"a":1}', b'{"n":[2],"a":1}'),
        (b' { "a":1}', b' {"n":[2], "a":1}'),
        (b"{}", b'{"n":[2]}'),
        (b"{ \n}", b'{"n":[2] \n}'),
    ],
)
def test_inserted_member_comes_first(document: bytes, expected: bytes) -> None:
    """A member is added right behind the brace, with a comma only where others follow."""
    assert insert_member(document, b"n", b"[2]") == expected


def test_member_is_inserted_into_a_nested_object() -> None:
    """An insertion names its object by the start of it, and can be joined with other edits."""
    document = b'{"model":"a","stream_options":{"x":1}}'
    edits = [insertion(document, b"include_usage", b"true", 30), ((9, 12), b'"b"')]
    assert splice(document, edits) == b'{"model":"b","stream_options":{"include_usage":true,"x":1}}'


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (b'{"usage":1}', b"{}"),
        (b'{ "usage" : 1 }', b"{  }"),
        (b'{"usage":1,"a":2}', b'{"a":2}'),
        (b'{"a":2,"usage":1}', b'{"a":2}'),
        (b'{"a":2 , "usage":{"x":[1]} }', b'{"a":2  }'),
        (b'{"a":2,\n "usage":1,\n "b":3}', b'{"a":2,\n "b":3}'),
        (b'{"usage":1,"usage":2}', b"{}"),
        (b'{"a":2,"usage":1,"usage":2}', b'{"a":2}'),
        (b'{"usage":0,"a":2, "usage":1 , "usage":2}', b'{"a":2}'),
        (b'{"a":2,"usage":1,"b":3,"usage":2,"c":4}', b'{"a":2,"b":3,"c":4}'),
        (b'{"a":{"usage":1}}', b'{"a":{"usage":1}}'),
        (b"{}", b"{}"),
    ],
)
def test_removed_member_takes_one_comma_along(document: bytes, expected: bytes) -> None:
    """Every member of the name goes, and what is left is spelled as before."""
    assert remove_member(document, b"usage") == expected


def test_member_is_removed_from_a_nested_object() -> None:
    """Only the object in the range loses its member."""
    document = b'{"usage":1,"a":{"usage":2}}'
    assert remove_member(document, b"usage", 15, 26) == b'{"usage":1,"a":{}}'
    assert splice(document, removals(document, b"usage", 15, 26)) == b'{"usage":1,"a":{}}'


@PROPERTY
@given(document=documents.filter(lambda text: b"NaN" not in text))
def test_document_without_a_member_parses_to_the_rest(document: bytes) -> None:
    """After a removal the standard parser finds all other members, in order."""
    rest = json.loads(remove_member(document, b"model"), object_pairs_hook=list)
    assert rest == [pair for pair in json.loads(document, object_pairs_hook=list) if pair[0] != "model"]


@pytest.mark.parametrize(("raw", "answer"), [(b"true", True), (b"false", False), (b'"true"', False), (b"1", False)])
def test_true_is_only_the_literal(raw: bytes, *, answer: bool) -> None:
    """Strings and numbers that mean yes elsewhere are not true."""
    document = b'{"stream": %b }' % raw
    assert is_true(document, find_members(document, (b"stream",))[b"stream"][-1]) is answer


def test_value_is_cut_out_where_it_stands() -> None:
    """A span is from the first byte of a value to the one behind its last."""
    document = b'{"model": "m", "usage" :{"a":1} }'
    found = find_members(document, (b"model", b"usage"))
    assert [cut_out(document, spans[-1]) for spans in found.values()] == [b'"m"', b'{"a":1}']


@PROPERTY
@given(text=st.text(st.characters(), max_size=20))
def test_any_text_survives_a_round_trip(text: str) -> None:
    """Text is written as JSON that the standard parser and our own read back, lone surrogates included."""
    raw = encode_string(text)
    assert json.loads(raw) == text
    assert decode_string(raw) == text


@PROPERTY
@given(string=strings)
def test_string_is_read_as_the_standard_parser_reads_it(string: str) -> None:
    """Escapes of all kinds, pairs of surrogates and lone ones come out alike."""
    assert decode_string(string.encode()) == json.loads(string)


def test_written_string_escapes_only_what_it_must() -> None:
    """Quotes, backslashes and control characters are escaped, a lone surrogate too, and nothing else."""
    assert encode_string('a"\\/\b\n\x01\x7fé😀\ud800') == '"a\\"\\\\/\\b\\n\\u0001\x7fé😀\\ud800"'.encode()


@pytest.mark.parametrize("raw", [b"", b'"', b"a", b'"a', b'a"', b'"\xff"', rb'"\x"', rb'"\u12"', b'"\\"', b"null"])
def test_what_is_no_string_is_refused(raw: bytes) -> None:
    """Broken strings and other values raise our own error."""
    with pytest.raises(NotJson):
        decode_string(raw)


# Items of arrays


@given(st.lists(keyed(scalars) | listed(scalars) | scalars, max_size=5), space)
@example(['"' + "x" * 5000 + '"', "[1, 2]", "{}"], " ")
@PROPERTY
def test_items_are_those_that_the_parser_finds(items: list[str], gap: str) -> None:
    """Each item of an array is found where it stands, whatever it is."""
    raw = ("[" + gap + f"{gap},{gap}".join(items) + gap + "]").encode()
    document = b'{"x":' + raw + b"}"
    (at,) = find_members(document, (b"x",))[b"x"]
    assert is_array(document, at)
    assert [document[start:end].decode() for start, end in find_items(document, *at)] == [
        item.strip(" \t\r\n") for item in items
    ]


@pytest.mark.parametrize("raw", [b"{}", b"[1 2]", b"[1,]", b"[,1]", b"[1", b"[", b'["a"x]', b"[1]]", b"7", b'[{"a"]'])
def test_what_is_no_array_has_no_items(raw: bytes) -> None:
    """Broken or another kind of value: nothing is made of it."""
    with pytest.raises(NotJson):
        find_items(raw, 0, len(raw))
    assert is_array(raw, (0, len(raw))) is raw.startswith(b"[")
