"""Files: bytes, addresses, and what lies with the vendor."""

import pytest
from msgspec import Raw

from busbar_fast.dialects.gemini.translation.fields import fields_of
from busbar_fast.dialects.gemini.translation.media import kind_of, media_member, read_file, read_inline
from busbar_fast.ir.blocks import Held, Inline, Media, MediaKind, Plain, Url
from tests.dialects.gemini.translation.turns import raw


def inline(**members: object) -> Media:
    """Return bytes in a part as a block."""
    return read_inline(fields_of(raw(members)))


def file(**members: object) -> Media:
    """Return a named file as a block."""
    named = raw(members)
    return read_file(named, fields_of(named))


def test_bytes_are_read_in_either_alphabet() -> None:
    """The SDK sends the URL-safe one, in snake case, others leave the padding out (gemini.md cases 19 and 20)."""
    assert inline(mime_type="image/png", data="__79") == Media(
        kind=MediaKind.IMAGE, source=Inline("//79"), mime="image/png"
    )
    assert [inline(mimeType="image/png", data=data).source for data in ("AA==", "AA", "A\nA=")] == [Inline("AA==")] * 3


@pytest.mark.parametrize(
    ("mime", "kind"),
    [
        ("image/png", MediaKind.IMAGE),
        ("Audio/wav", MediaKind.AUDIO),
        ("video/mp4", MediaKind.VIDEO),
        ("application/pdf", MediaKind.DOCUMENT),
        ("", MediaKind.DOCUMENT),
    ],
)
def test_types_make_kinds(mime: str, kind: MediaKind) -> None:
    """A PDF is a document, whatever it is called (ir.md case 51)."""
    assert kind_of(mime) is kind


def test_documents_of_text_are_text() -> None:
    """If their bytes are no text they stay bytes."""
    assert inline(mimeType="text/csv", data="YSxi", displayName="t") == Media(
        kind=MediaKind.DOCUMENT, source=Plain("a,b"), mime="text/csv", name="t"
    )
    assert [inline(mimeType="text/plain", data=data).source for data in ("/w==", "%%%%")] == [
        Inline("/w=="),
        Inline("%%%%"),
    ]


def test_addresses_are_read() -> None:
    """Those in the web can be looked up by anybody (gemini.md case 21)."""
    assert file(file_uri="https://a.test/x.PDF?y", soon=1) == Media(
        kind=MediaKind.DOCUMENT,
        source=Url("https://a.test/x.PDF?y"),
        ext={"fileData.soon": Raw(b"1")},
    )
    assert file(fileUri="http://a.test/x").kind is MediaKind.IMAGE
    assert file(fileUri="http://a.test/x", mimeType="video/mp4").kind is MediaKind.VIDEO


@pytest.mark.parametrize(
    "uri", ["gs://bucket/x.png", "https://generativelanguage.googleapis.com/v1beta/files/x", "files/x"]
)
def test_files_of_the_vendor_are_held(uri: str) -> None:
    """Nobody else can look them up."""
    found = file(fileUri=uri, mimeType="image/png")
    assert found.source == Held("gemini", raw({"fileUri": uri, "mimeType": "image/png"}))
    assert media_member(found, with_name=True) == ("fileData", raw({"fileUri": uri, "mimeType": "image/png"}))


def test_addresses_that_are_bytes_are_bytes() -> None:
    """The type may stand in either place."""
    assert file(fileUri="data:image/gif;base64,AA==") == Media(
        kind=MediaKind.IMAGE, source=Inline("AA=="), mime="image/gif"
    )
    assert file(fileUri="data:;base64,AA==", mimeType="audio/wav").kind is MediaKind.AUDIO


@pytest.mark.parametrize(
    "member",
    [
        ("inlineData", {"mimeType": "image/png", "data": "AA==", "displayName": "x", "soon": 1}),
        ("inlineData", {"mimeType": "text/plain", "data": "YQ==", "displayName": "x"}),
        ("fileData", {"fileUri": "https://a.test/x", "mimeType": "image/png", "displayName": "x", "soon": 1}),
    ],
)
def test_what_was_read_is_written(member: tuple[str, dict[str, object]]) -> None:
    """Names and unknown members come back."""
    name, said = member
    block = inline(**said) if name == "inlineData" else file(**said)
    assert media_member(block, with_name=True) == (name, {**said, **({"soon": Raw(b"1")} if "soon" in said else {})})


@pytest.mark.parametrize(
    ("block", "member"),
    [
        (
            Media(kind=MediaKind.IMAGE, source=Url("https://a.test/x.webp"), name="x"),
            ("fileData", {"fileUri": "https://a.test/x.webp", "mimeType": "image/webp"}),
        ),
        (
            Media(kind=MediaKind.VIDEO, source=Url("https://a.test/x")),
            ("fileData", {"fileUri": "https://a.test/x", "mimeType": "video/mp4"}),
        ),
        (
            Media(kind=MediaKind.AUDIO, source=Inline("AA==")),
            ("inlineData", {"mimeType": "audio/wav", "data": "AA=="}),
        ),
        (
            Media(kind=MediaKind.DOCUMENT, source=Plain("a")),
            ("inlineData", {"mimeType": "text/plain", "data": "YQ=="}),
        ),
    ],
)
def test_types_that_nobody_said_are_guessed(block: Media, member: object) -> None:
    """The vendor wants one; it takes no names of files from others."""
    assert media_member(block, with_name=False) == member
