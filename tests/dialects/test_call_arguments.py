"""Arguments of calls that are a text which holds JSON, or should."""

import pytest
from msgspec import Raw

from busbar_fast.dialects.call_arguments import args_of, args_text, free_text
from busbar_fast.ir.blocks import ToolUse
from tests.dialects.translating import raw


@pytest.mark.parametrize(
    ("written", "args", "text"),
    [
        (Raw(), b"{}", None),
        (raw(""), b"{}", None),
        (raw(" \n"), b"{}", None),
        (raw({"a": 1}), b'{"a":1}', None),
        (raw(' {"a": 1.10} '), b'{"a": 1.10}', None),
        (raw("[1"), b"", "[1"),
        (raw("[1]"), b"", "[1]"),
        (raw("{" + '"a":{' * 200), b"", "{" + '"a":{' * 200),
        (raw([1]), b"", "[1]"),
    ],
)
def test_arguments_are_an_object_or_a_text(written: Raw, args: bytes, text: str | None) -> None:
    """IR cases 5, 29, 30: an object keeps its digits, nothing is an empty one, what is none stays as it was."""
    found = args_of(written)
    assert (bytes(found[0]), found[1]) == (args, text)


def test_arguments_are_written_as_a_text() -> None:
    """IR case 29: what is no object is written once, as it was."""
    assert args_text(ToolUse("a", "f", Raw(b'{"a": 1.10}'))) == '{"a": 1.10}'
    assert args_text(ToolUse("a", "f", Raw(), "[1")) == "[1"


def test_free_text_stands_in_an_object() -> None:
    """Openai §4: a custom tool's text is the member `input` of what stands for it."""
    assert free_text(raw({"input": "x"})) == "x"
    assert free_text(raw({})) == ""
    assert free_text(raw({"other": 1})) == '{"other":1}'
