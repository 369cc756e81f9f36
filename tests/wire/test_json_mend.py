"""Objects that broke off and are completed."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar_fast.wire.json_mend import missing_character, missing_end

PROPERTY = settings(derandomize=True, deadline=None, max_examples=100)
MEMBERS = b'"last":[1]'
SCALARS = st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
DOCUMENT = (
    b'{"a":"h\\u00e9\\n\\\\ \\"\\ud83d\\ude00 tap\xc3\xa9 \xf0\x9f\x99\x82","b" : [1,-2.5e+3,true,'
    b'{"c":null,"d":{}},[],""],\r\n"e":{"f":[{"g":false}, 0]},"z":0.5}'
)


def completed(beginning: bytes) -> Any:
    """Return what the completed object says, read strictly."""
    beginning += missing_character(beginning)
    end = missing_end(beginning, MEMBERS)
    assert end is not None
    return json.loads((beginning + end).decode())


def test_an_object_cut_anywhere_is_completed() -> None:
    """Reliability §9: whatever is there of a document, it becomes a whole one that ends in the last words."""
    for end in range(len(DOCUMENT)):
        assert completed(DOCUMENT[:end])["last"] == [1]
    assert missing_end(DOCUMENT, MEMBERS) == b""
    assert missing_end(DOCUMENT + b" \n", MEMBERS) == b""


@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=3), st.booleans(), st.data())
@PROPERTY
def test_every_object_cut_anywhere_is_completed(document: dict[str, Any], is_ascii: bool, draw: st.DataObject) -> None:
    """Reliability §9: the same for documents nobody thought of, with and without escapes."""
    text = json.dumps(document, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass")
    end = draw.draw(st.integers(0, len(text) - 1))
    assert completed(text[:end])["last"] == [1]


@given(st.binary(max_size=60) | st.text('{}[]",:\\u0d8tn e1.-', max_size=40).map(str.encode))
@PROPERTY
def test_no_bytes_are_too_odd(text: bytes) -> None:
    """Reliability §9: any bytes have an end or none, and what has one is an object that a lenient parser takes."""
    end = missing_end(text, MEMBERS)
    if end:
        document = json.loads((text + end).decode("utf-8", "replace"), strict=False)
        assert document["last"] == [1]


@pytest.mark.parametrize(
    ("beginning", "end"),
    [
        (b"", b'{"last":[1]}'),
        (b" \n", b'{"last":[1]}'),
        (b"{", b'"last":[1]}'),
        (b'{"a":1,', b'"last":[1]}'),
        (b'{"a', b'":null,"last":[1]}'),
        (b'{"a"', b':null,"last":[1]}'),
        (b'{"a":', b'null,"last":[1]}'),
        (b'{"a":{', b'},"last":[1]}'),
        (b'{"a":{"b":1,', b'"":null},"last":[1]}'),
        (b'{"a":[', b'],"last":[1]}'),
        (b'{"a":[1,', b'null],"last":[1]}'),
        (b'{"a":[1', b'],"last":[1]}'),
        (b'{"a":t', b'rue,"last":[1]}'),
        (b'{"a":nul', b'l,"last":[1]}'),
        (b'{"a":-', b'0,"last":[1]}'),
        (b'{"a":1.', b'0,"last":[1]}'),
        (b'{"a":1e+', b'0,"last":[1]}'),
        (b'{"a":12', b',"last":[1]}'),
        (b'{"a":12 ', b',"last":[1]}'),
        (b'{"a":"\\', b'\\","last":[1]}'),
        (b'{"a":"\\u', b'0020","last":[1]}'),
        (b'{"a":"\\u00', b'20","last":[1]}'),
        (b'{"a":"\\ud8', b'20\\udc00","last":[1]}'),
        (b'{"a":"\\ud83d', b'\\udc00","last":[1]}'),
        (b'{"a":"\\ud83d\\', b'udc00","last":[1]}'),
        (b'{"a":"\\ud83d\\ud', b'c00","last":[1]}'),
        (b'{"a":"\\\\ud83d', b'","last":[1]}'),
        (b'{"a":"\xf0\x9f', b'\x80\x80","last":[1]}'),
    ],
)
def test_what_is_missing_depends_on_the_place(beginning: bytes, end: bytes) -> None:
    """Reliability §9: values become null, half tokens whole ones, and every container is closed in its turn."""
    assert missing_end(beginning, MEMBERS) == end


@pytest.mark.parametrize(
    "text",
    [
        b"[",
        b"1",
        b'"a',
        b"nul",
        b"<html>",
        b"{}{",
        b"{} x",
        b"{,",
        b"{1",
        b'{"a" 1',
        b'{"a":,',
        b'{"a":]',
        b'{"a":1]',
        b'{"a":{]',
        b'{"a":1,}',
        b'{"a":[1,]',
        b'{"a":}',
        b'{"a"{',
        b'{"a":1:',
        b'{"a":1 2',
        b'{"a":x',
        b'{"a":01',
        b'{"a":"\n',
        b'{"a":"\\x',
        b'{"a":"\\u0g',
        b'{"a":#',
        b'{"a":01,"b":[',
        b'{"a":nil,"b":',
        b'{"a":"\\x","b":[',
        b'{"a\\u12g4":1,"b"',
    ],
)
def test_what_is_no_object_has_no_end(text: bytes) -> None:
    """Reliability §9: nothing is put behind what could not become an object."""
    assert missing_end(text, MEMBERS) is None


@pytest.mark.parametrize("character", ["\u00e9", "\u0900", "\u20ac", "\ud7ff", "\uffff", "\U00010000", "\U0010ffff"])
def test_a_cut_character_becomes_one(character: str) -> None:
    """Reliability §9: bytes are added until they are UTF-8, and none to whole characters."""
    raw = b"x" + character.encode()
    for end in range(2, len(raw)):
        fill = missing_character(raw[:end])
        assert len((raw[:end] + fill).decode()) == 2
        assert len(fill) == len(raw) - end
    assert missing_character(raw) == b""


@pytest.mark.parametrize("text", [b"", b"x", b"\x80", b"\x80\x80\x80\x80", b"\xff", b"x\xc0"])
def test_what_is_no_character_gets_nothing(text: bytes) -> None:
    """Reliability §9: bytes that begin no character are left alone."""
    assert missing_character(text) == b""
