"""Requests to count tokens, and the conversation in them."""

import pytest

from busbar_fast.dialects.counted import find_counted
from busbar_fast.dialects.registry import speak

WRAPPED = b'{"input":{"invokeModel":{"body":"e30="}}}'


@pytest.mark.parametrize(
    ("dialect", "body", "counted"),
    [
        ("anthropic", b'{"messages":[]}', b'{"messages":[]}'),
        ("bedrock", b' {"input": {"converse": {"messages": []}, "x": 1}} ', b'{"messages": []}'),
        ("bedrock", b'{"input":{"converse":{"a":1},"converse":{"b":2}}}', b'{"b":2}'),
        ("bedrock", WRAPPED, None),
        ("bedrock", b'{"input":{"converse":[]}}', None),
        ("bedrock", b'{"input":"converse"}', None),
        ("bedrock", b'{"converse":{}}', None),
        ("gemini", b' {"contents": []}', b' {"contents": []}'),
        ("gemini", b'{"generateContentRequest": {"contents":[]}, "x":1}', b'{"contents":[]}'),
        ("gemini", b'{"generate_content_request":{"contents":[]}}', b'{"contents":[]}'),
        ("gemini", b'{"generateContentRequest":null}', b'{"generateContentRequest":null}'),
    ],
)
def test_conversation_that_is_counted_is_found(dialect: str, body: bytes, counted: bytes | None) -> None:
    """IR case 22: wherever the vendor has it; a body for the maker of a model is none."""
    place = find_counted(body, speak(dialect).counted_at)
    assert (place and body[slice(*place)]) == counted


def test_what_cannot_be_read_holds_none() -> None:
    """IR case 22: it is for the vendor to refuse a value whose inside is no JSON."""
    assert find_counted(b'{"input":{converse:1}}', ((b"input", b"converse"),)) is None
