"""What a request asks for: which operations need a lane, and by which methods they are asked."""

from typing import cast

import pytest

from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.dialect import Dialect

NOBODY = cast("Dialect", None)


@pytest.mark.parametrize("operation", list(Operation))
def test_only_calls_need_a_lane(operation: Operation) -> None:
    """Operations §5: answers, counts and the like come from a model; lists and unknown paths are answered here."""
    is_call = operation in {Operation.CONVERSE, Operation.COUNT_TOKENS, Operation.OTHER, Operation.EMBED}
    ask = Ask(NOBODY, operation)
    assert (ask.is_call, ask.methods) == (is_call, (b"POST",) if is_call else (b"GET", b"HEAD"))


def test_what_the_path_does_not_say_is_left_to_the_body() -> None:
    """Operations §5: without a name and a word on streaming, `model` and `stream` of the body decide."""
    ask = Ask(NOBODY, Operation.CONVERSE)
    assert (ask.name, ask.provider, ask.in_stream, ask.in_array, ask.query, ask.word) == (
        None,
        None,
        None,
        False,
        b"",
        "",
    )
    said = Ask(NOBODY, Operation.CONVERSE, name="m", provider="p", in_stream=True, in_array=True, query=b"q", word="w")
    assert (said.name, said.provider, said.in_stream, said.in_array, said.query, said.word) == (
        "m", "p", True, True, b"q", "w",
    )  # fmt: skip


@pytest.mark.parametrize(("word", "action"), [("embed", "embed"), ("v1beta embedContent", "embedContent"), ("", "")])
def test_only_other_calls_have_an_action(word: str, action: str) -> None:
    """OpenAI §13: which of the vendor's calls it is stands at the end of a path; the usual ones need no word for it."""
    assert Ask(NOBODY, Operation.OTHER, word=word).action == action
    assert Ask(NOBODY, Operation.EMBED, word=word).action == action
    assert Ask(NOBODY, Operation.NOTHING, word=word).action == ""
