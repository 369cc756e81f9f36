"""Reading a request: the model, the turns and the last user text."""

from typing import Any

import pytest

from busbar_fast.mock.ask import BadAsk, Place, last_user_text, require_model, require_turns, text_of


def test_model_in_body_wins_over_path() -> None:
    """The body names the model where both do."""
    assert require_model({"model": "a"}, Place("b")) == "a"
    assert require_model({}, Place("b")) == "b"


@pytest.mark.parametrize("document", [{}, {"model": ""}, {"model": None}, {"model": 7}])
def test_model_missing_or_wrong_is_refused(document: dict[str, Any]) -> None:
    """A model is a non-empty text."""
    with pytest.raises(BadAsk) as caught:
        require_model(document, Place())
    assert caught.value.param == "model"


@pytest.mark.parametrize("turns", [None, [], "hi", {"role": "user"}])
def test_turns_missing_or_wrong_are_refused(turns: object) -> None:
    """Turns are a non-empty list."""
    with pytest.raises(BadAsk) as caught:
        require_turns({"messages": turns}, "messages")
    assert caught.value.param == "messages"


@pytest.mark.parametrize(
    ("turns", "text"),
    [
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "a"),
        ([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}], "b"),
        ([{"content": "no role"}], "no role"),
        ([{"role": "user", "content": [{"text": "a"}, {"image": 1}, "b", {"text": 5}, [["c"]]]}], "ab"),
        ([{"role": "user", "content": "a"}, {"role": "user", "content": [{"toolResult": {}}]}], "a"),
        ([{"role": "user", "content": 7}], ""),
        (["stray", {"role": "system", "content": "s"}], ""),
        ([], ""),
    ],
)
def test_last_user_text_is_found_from_the_end(turns: list[Any], text: str) -> None:
    """The last user turn with a text speaks; tool results and other roles do not."""
    assert last_user_text(turns) == text


def test_text_of_a_block_is_its_text() -> None:
    """A single block stands for a list of one, as in proto-JSON."""
    assert text_of({"text": "a"}) == "a"
