"""JSON taken apart without losing a digit."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, Struct
from msgspec.json import Decoder

from busbar_fast.dialects.members import (
    Members,
    first_of,
    integer_of,
    is_object,
    items_of,
    mended,
    object_of,
    objects_of,
    read_object,
    read_typed,
    text_of,
    unmended,
    value_of,
    without_nothing,
    write,
    write_text,
)
from busbar_fast.errors import Misshapen, NotJson, TooDeep
from busbar_fast.ir.blocks import NOTHING

MARK = b"\xef\xbb\xbf"


class Pair(Struct):
    """A typed frame."""

    a: int
    b: str = ""


def nested(levels: int) -> bytes:
    """Return an object that holds so many levels, itself one of them."""
    return b'{"a":%b1%b}' % (b"[" * (levels - 1), b"]" * (levels - 1))


# Whole documents


def test_values_stay_as_they_were_written() -> None:
    """IR cases 3 to 5: literals, long integers and inner space, byte for byte."""
    members = read_object(b' {"a": 0.70, "b":[ 1 , 2 ], "c":123456789012345678901234567890} ')
    assert members.rest() == {"a": Raw(b"0.70"), "b": Raw(b"[ 1 , 2 ]"), "c": Raw(b"123456789012345678901234567890")}
    assert write({"c": members.raw("c"), "b": [members.raw("b")]}) == (
        b'{"c":123456789012345678901234567890,"b":[[ 1 , 2 ]]}'
    )


def test_the_last_of_several_counts_and_a_byte_order_mark_does_not() -> None:
    """IR case 59: duplicate keys and a mark have a defined result."""
    assert read_object(MARK + b'{"a":1,"a":2}').rest() == {"a": Raw(b"2")}


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b" ",
        MARK,
        MARK * 2 + b"{}",
        b'{"a":NaN}',
        b'{"a":[Infinity]}',
        b'{"a":-Infinity}',
        b'{"a":01}',
        b'{"a":1,}',
        b'{"a":1}{}',
        b'{"a":"\\q"}',
        b'{"a":"\x01"}',
        b'{"a":"\\ud8_0"}',
        b'{"a":"\\ud80 "}',
        b'{"a":"\\ud800',
        b'{"a":"\xff"}',
        b'{"\xff":1}',
        b'{"a":{"\xff":1}}',
        b'{"a":"\xed\xa0\x80"}',
    ],
)
def test_what_is_no_json_is_refused(document: bytes) -> None:
    """IR case 59: a defined complaint, and never another."""
    with pytest.raises(NotJson):
        read_object(document)


def test_only_one_byte_order_mark_is_none() -> None:
    """IR case 59: a document that begins with many is refused, however many, without recursion."""
    with pytest.raises(NotJson):
        read_object(MARK * 100_000 + b"{}")


@pytest.mark.parametrize("document", [b"[]", b"1", b"null", b'"a"'])
def test_what_is_no_object_is_misshapen(document: bytes) -> None:
    """IR case 59: it is JSON, but nothing a dialect speaks."""
    with pytest.raises(Misshapen, match="Expected `object`"):
        read_object(document)


@pytest.mark.parametrize("before", [b"", MARK, b" \n"])
def test_a_document_nests_so_deep_and_no_deeper(before: bytes) -> None:
    """IR case 58: 128 levels are read, 129 are too many."""
    assert read_object(before + nested(128)).rest() is not None
    for levels in (129, 1000, 10**6):
        with pytest.raises(TooDeep):
            read_object(before + nested(levels))


@pytest.mark.parametrize("opener", [b"[", b'{"a":', b'{"a":[', b"{", b'[{"a":'])
def test_a_million_brackets_are_survived(opener: bytes) -> None:
    """IR case 58: whatever is wrong with them is told, before any recursion."""
    for document in (opener * 10**6, b'{"a":' + opener * 10**6, b'{"a":%b}' % (opener * 10**6)):
        with pytest.raises((TooDeep, NotJson, Misshapen)):
            read_object(document)


def test_brackets_in_texts_and_side_by_side_are_no_levels() -> None:
    """IR case 58: only what stands inside each other counts."""
    assert read_object(b'{"a":"%b","b":[%b]}' % (b"[{" * 1000, b",".join([b"[{}]"] * 1000))).text("a") == "[{" * 1000


def test_a_list_too_deep_for_the_decoder_is_too_deep() -> None:
    """IR case 58: documents whose root is no object end the same way."""
    with pytest.raises(TooDeep):
        read_typed(Decoder(list[Any]), b"[" * 5000 + b"]" * 5000)


def test_typed_frames_are_read_as_their_type() -> None:
    """IR §10: typed decoding skips what nobody asked for; a wrong type is a complaint of its own."""
    decoder = Decoder(Pair)
    assert read_typed(decoder, b'{"a":1,"b":"x","c":[{}]}') == Pair(1, "x")
    assert read_typed(decoder, b'{"a":1,"b":"\\ud800"}') == Pair(1, "\U0010f800")
    with pytest.raises(Misshapen):
        read_typed(decoder, b'{"a":"1"}')
    with pytest.raises(NotJson):
        read_typed(decoder, b'{"a":')


# Halves of pairs


def test_half_a_pair_passes_through_wherever_it_stands() -> None:
    """IR case 59: in a text, in a name and in what is passed on as it was written."""
    members = read_object(b'{"a":"x\\uD83D","b":{"\\ude00":["\\ud83d\\ude00\\ud83d"]}}')
    assert write_text(members.text("a")) == b'"x\\ud83d"'
    assert write(members.raw("b")) == b'{"\\ude00":["\\ud83d\\ude00\\ud83d"]}'


def test_halves_that_were_cut_apart_are_a_pair_again_when_joined() -> None:
    """IR §10: a backend splits a pair between chunks."""
    texts = [read_object(b'{"a":"%b"}' % half).text("a") for half in (b"\\ud83d", b"\\ude00")]
    assert json.loads(write_text("".join(texts))) == "\N{GRINNING FACE}"


@pytest.mark.parametrize(
    "document",
    [b'{"a":"\\\\ud800"}', b'{"a":"\\ud83d\\ude00"}', b'{"a":"\\u0041\\n\\\\\\""}', b"{}", b'"\\ud8', b"\\"],
)
def test_what_is_no_half_is_not_mended(document: bytes) -> None:
    """IR §10: whole pairs, other escapes and escaped backslashes stay, and so does what is no JSON."""
    assert mended(document) == document


@given(st.text(st.sampled_from('\\"uUdD8bBcC0fF{}'), max_size=40))
def test_mending_is_done_once_and_changes_nothing_that_is_in_order(text: str) -> None:
    """IR §10: what was mended decodes whatever the decoder would take but for the halves."""
    document = b'{"a":"%b"}' % text.encode()
    try:
        expected = json.loads(document)
    except ValueError:
        with pytest.raises((NotJson, Misshapen)):
            read_object(document)
        return
    assert mended(mended(document)) == mended(document)
    members = read_object(document)
    assert json.loads(write(members.rest())) == expected


@given(st.text(st.characters(codec="utf-8")))
def test_texts_are_written_as_everybody_reads_them(text: str) -> None:
    """IR §10: what was encoded is what it was, but for the characters that stand in for halves."""
    expected = "".join(chr(ord(one) - 0x10F800 + 0xD800) if ord(one) >= 0x10F800 else one for one in text)
    written = write_text(text)
    assert json.loads(written) == json.loads(json.dumps(expected))
    assert unmended(written) == written


# Single values


def test_raw_values_are_told_apart_by_their_first_byte() -> None:
    """IR §10: what kind of value it is, without decoding it."""
    assert is_object(Raw(b"{}"))
    assert not is_object(Raw(b"[]"))
    assert not is_object(NOTHING)
    assert text_of(Raw(b'"a\\n"')) == "a\n"
    assert text_of(Raw(b"1")) is None
    assert value_of(Raw(b'{"a":[1,null]}')) == {"a": [1, None]}
    with pytest.raises(Misshapen):
        value_of(Raw(b"1e999"))


@pytest.mark.parametrize(
    ("literal", "number"),
    [
        ("0", 0),
        ("-7", -7),
        ("40.0", 40),
        ('"12"', 12),
        ('"12.0"', 12),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ("9" * 41, None),
        ("1.5", None),
        ("1e3", None),
        ("true", None),
        ('"x"', None),
        ('""', None),
        ("[1]", None),
    ],
)
def test_whole_numbers_are_read_in_the_spellings_that_occur(literal: str, number: int | None) -> None:
    """IR §4 and case 37: integral floats and strings of digits count, junk is absent, nothing raises."""
    raw = Raw(literal.encode())
    assert integer_of(raw) == number
    members = Members({"a": raw, "b": raw})
    assert members.integer("a") == number
    assert members.count("b") == (None if number is not None and number < 0 else number)
    assert (members.integer("a"), members.count("b")) == (None, None)


# Members


def test_each_member_is_taken_once() -> None:
    """IR §2: what is left in the end was not understood."""
    members = read_object(b'{"a":1,"b":null,"c":2}')
    assert "a" in members
    assert members.raw("a") == Raw(b"1")
    assert "a" not in members
    assert members.raw("a") == NOTHING
    assert members.raw("b") == NOTHING
    assert members.rest() == {"c": Raw(b"2")}
    assert members.raw("c") == Raw(b"2")
    assert members.rest() is None


@pytest.mark.parametrize(("written", "is_more"), [(b"{}", False), (b'{"a":null}', False), (b'{"a":null,"b":0}', True)])
def test_what_is_left_may_say_nothing(written: bytes, *, is_more: bool) -> None:
    """IR §2: null is as good as absent."""
    assert read_object(written).says_more is is_more


def test_a_complaint_names_the_place() -> None:
    """IR §12: the member that is wrong, with the way to it."""
    inner = object_of(Raw(b'{"c":1}'), "a[0].b")
    assert (read_object(b"{}").place("a"), inner.place("c")) == ("a", "a[0].b.c")
    wrong = inner.wrong("c", "must be 2")
    assert (wrong.param, wrong.reason) == ("a[0].b.c", "must be 2")
    with pytest.raises(Misshapen) as raised:
        inner.text("c")
    assert (raised.value.param, raised.value.reason) == ("a[0].b.c", "must be a string")


TAKEN: list[tuple[Callable[[Members], Any], str, Any, Any]] = [
    (lambda members: members.text("a"), '"t"', "t", ""),
    (lambda members: members.maybe_text("a"), '"t"', "t", None),
    (lambda members: members.flag("a"), "true", True, None),
    (lambda members: members.flag("a"), "false", False, None),
    (lambda members: members.number("a"), "0.70", Raw(b"0.70"), NOTHING),
    (lambda members: members.number("a"), '"-1.5e3"', Raw(b"-1.5e3"), NOTHING),
    (lambda members: members.maybe_items("a"), "[1 ,2]", [Raw(b"1"), Raw(b"2")], None),
    (lambda members: members.objects("a"), "[]", [], []),
]


@pytest.mark.parametrize(("take", "literal", "value", "nothing"), TAKEN)
def test_a_member_is_what_it_says_or_nothing(
    take: Callable[[Members], Any], literal: str, value: object, nothing: object
) -> None:
    """IR §2: absent and null are the same."""
    assert take(Members({"a": Raw(literal.encode())})) == value
    assert take(Members({"a": Raw(b"null")})) == nothing
    assert take(Members({})) == nothing


@pytest.mark.parametrize("literal", ['"007"', '"1."', '" 1"', '"1\\u0030"', '"NaN"', '""', "true", "[1]", "{}"])
def test_what_spells_no_number_is_none(literal: str) -> None:
    """IR §10: a number is spliced as it is spelt, so it must be one in JSON."""
    assert Members({"a": Raw(literal.encode())}).number("a") == NOTHING


@pytest.mark.parametrize("literal", ["1", "{}", "[1]"])
def test_other_kinds_of_values_are_absent_where_they_do_not_matter(literal: str) -> None:
    """IR §4: upstreams may be sloppy, so nothing raises."""
    raw = Raw(literal.encode())
    assert Members({"a": raw}).maybe_text("a") is None
    assert Members({"a": raw}).flag("a") is None
    if literal != "[1]":
        assert Members({"a": raw}).maybe_items("a") is None
    if literal != "{}":
        assert Members({"a": raw}).maybe_object("a") is None


def test_objects_inside_know_where_they_stand() -> None:
    """IR §12: for complaints about what is in them."""
    members = read_object(b'{"a":{"b":1},"c":[{"d":2},{}]}', "root")
    inner = members.maybe_object("a")
    assert inner is not None
    assert (inner.path, inner.rest()) == ("root.a", {"b": Raw(b"1")})
    assert members.maybe_object("a") is None
    assert [(one.path, one.rest()) for one in members.objects("c")] == [
        ("root.c[0]", {"d": Raw(b"2")}),
        ("root.c[1]", None),
    ]


@pytest.mark.parametrize("literal", ["1", "{}", "[1]", "[{},null]"])
def test_a_list_of_objects_holds_nothing_else(literal: str) -> None:
    """IR §12: it is a client's, and it matters."""
    raw = Raw(literal.encode())
    with pytest.raises(Misshapen, match="list of objects") as raised:
        objects_of(raw, "a")
    assert raised.value.param == "a"
    with pytest.raises(Misshapen, match="list of objects"):
        Members({"a": raw}).objects("a")


def test_a_raw_value_is_taken_apart_as_what_it_must_be() -> None:
    """IR §12: a list or an object, or a complaint."""
    assert items_of(Raw(b"[1,{}]"), "a") == [Raw(b"1"), Raw(b"{}")]
    assert object_of(Raw(b'{"b":1}'), "a").rest() == {"b": Raw(b"1")}
    with pytest.raises(Misshapen, match="must be a list"):
        items_of(Raw(b"{}"), "a")
    with pytest.raises(Misshapen, match="must be an object"):
        object_of(Raw(b"[]"), "a")


def test_members_are_asked_for_together() -> None:
    """IR §2: whether any of several members is there, taken or not, and what kind of value begins how."""
    members = read_object(b'{"a":[1],"b":null}')
    assert (members.has_any(frozenset("ax")), members.has_any(frozenset("xy"))) == (True, False)
    assert (first_of(members.raw("a")), first_of(NOTHING), members.has_any(frozenset("a"))) == (b"[", b"", False)


def test_absent_is_never_written() -> None:
    """IR §2: nothing and None are left out, what is empty or false is not."""
    members: dict[str, object] = {"a": None, "b": NOTHING, "c": 0, "d": "", "e": False, "f": [], "g": Raw(b"null")}
    assert without_nothing(members) == {"c": 0, "d": "", "e": False, "f": [], "g": Raw(b"null")}
