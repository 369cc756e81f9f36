"""Members that are carried, and where they stood."""

from msgspec import Raw

from busbar_fast.dialects.gemini.translation.carrying import joined, packed, unpacked

ONE, TWO = Raw(b"1"), Raw(b"2")


def test_what_is_packed_is_unpacked_at_its_place() -> None:
    """Names of users may look like places."""
    ext = packed({"a.b": ONE}, "toolConfig") | {"own.name": TWO, "toolConfig.": ONE}
    assert unpacked(ext, "toolConfig") == {"a.b": ONE}
    assert unpacked(ext) == {"own.name": TWO, "toolConfig.": ONE}
    assert unpacked(None) == {}
    assert packed(None, "toolConfig") == {}


def test_several_are_joined() -> None:
    """Nothing stays nothing."""
    assert joined({"a": ONE}, None, {"b": TWO}) == {"a": ONE, "b": TWO}
    assert joined(None, {}) is None
