"""Paths and queries as several dialects read them."""

import pytest

from busbar_fast.dialects.asks import Operation
from busbar_fast.dialects.paths import claim_models, decode_segment, replace_action, unescape, with_query, without_key
from busbar_fast.dialects.registry import speak_all


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", ""),
        (b"plain", "plain"),
        (b"a%20b%2Fc%3ad", "a b/c:d"),
        (b"a%2525b", "a%25b"),
        (b"m%C3%BCnze", "m\u00fcnze"),
        (b"a+b", "a+b"),
        (b"%zz", "%zz"),
        (b"a%", "a%"),
        (b"a%4", "a%4"),
        (b"%%41", "%A"),
        (b"%FF", None),
        (b"%C3", None),
        (b"\xff", None),
        (b"a%ED%A0%80", None),
    ],
)
def test_a_segment_is_decoded_once(raw: bytes, text: str | None) -> None:
    """Reliability case 7: escapes are resolved once, and what is no UTF-8 is no name."""
    assert decode_segment(raw) == text
    assert text is None or unescape(raw) == text.encode()


@pytest.mark.parametrize(
    ("path", "made"),
    [
        ("/v1/chat/completions", "/v1/embeddings"),
        ("/x/chat/completions?api-version=1", "/x/embeddings?api-version=1"),
        ("/v1/chat", ""),
        ("", ""),
    ],
)
def test_another_action_takes_the_place_of_the_usual_one(path: str, made: str) -> None:
    """OpenAI §13: a lane whose path ends in something else has no place for it."""
    assert replace_action(path, "/chat/completions", "/embeddings") == made


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        (b"", b""),
        (b"a=1&b=%20", b"a=1&b=%20"),
        (b"key=secret", b""),
        (b"key", b""),
        (b"a=1&key=secret&b=2&k%65%79=secret", b"a=1&b=2"),
        (b"monkey=1&a=key&key2=x&Key=y", b"monkey=1&a=key&key2=x&Key=y"),
    ],
)
def test_a_key_is_taken_out_of_a_query(query: bytes, kept: bytes) -> None:
    """Governance §1.2: a credential of this house goes no further, however it is spelt; the rest stays as it is."""
    assert without_key(query) == kept


@pytest.mark.parametrize(
    ("path", "query", "joined"),
    [
        ("/x", b"", "/x"),
        ("/x?v=1", b"", "/x?v=1"),
        ("/x", b"a=1", "/x?a=1"),
        ("/x?v=1", b"a=1&v=2&b", "/x?v=1&a=1&b"),
        ("/x?v", b"v=2", "/x?v"),
        ("/x?", b"a=1", "/x?a=1"),
    ],
)
def test_the_query_of_a_lane_wins(path: str, query: bytes, joined: str) -> None:
    """The operator's path keeps its own query, and its members win over like-named ones of the client."""
    assert with_query(path, query) == joined


def test_a_query_of_the_lane_may_be_all_there_is() -> None:
    """A query without any member leaves no question mark behind."""
    assert with_query("/x?", b"") == "/x?"
    assert with_query("/x", b"=") == "/x"


@pytest.mark.parametrize(
    ("rest", "operation", "name"),
    [
        (b"", Operation.LIST_MODELS, None),
        (b"/fast", Operation.SHOW_MODEL, "fast"),
        (b"/a%2Fb", Operation.SHOW_MODEL, "a/b"),
        (b"/", Operation.NOTHING, None),
        (b"/a/b", Operation.NOTHING, None),
        (b"/%ff", Operation.NOTHING, None),
    ],
)
def test_what_stands_behind_the_list_is_a_model(rest: bytes, operation: Operation, name: str | None) -> None:
    """Operations §5: the list itself, one entry of it, or nothing that is offered."""
    dialect = speak_all()[0]
    ask = claim_models(dialect, rest)
    assert ask is not None
    assert (ask.dialect, ask.operation, ask.name) == (dialect, operation, name)


def test_a_path_that_only_begins_like_the_list_is_none() -> None:
    """`/v1/modelsx` is not below `/v1/models`."""
    assert claim_models(speak_all()[0], b"x") is None
