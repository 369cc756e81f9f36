"""How likely tokens were, as both dialects of the vendor write it."""

import pytest

from busbar_fast.dialects.openai_shared_logprobs import logprobs_of, read_logprobs
from busbar_fast.errors import Misshapen
from busbar_fast.ir.answers import TokenLogprob
from tests.dialects.translating import raw


def test_tokens_come_back_as_they_were() -> None:
    """Openai case 64: digits and bytes are kept."""
    tokens = [
        {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [{"token": "b", "logprob": -1, "bytes": [98]}]}
    ]
    found = read_logprobs(raw(tokens))
    assert found == [TokenLogprob("a", raw(-0.5), raw([97]), [TokenLogprob("b", raw(-1), raw([98]))])]
    shown = logprobs_of(found)
    assert [(one["token"], one["logprob"], one["bytes"]) for one in shown] == [("a", raw(-0.5), raw([97]))]
    assert shown[0]["top_logprobs"] == [{"token": "b", "logprob": raw(-1), "bytes": raw([98])}]


def test_bytes_are_those_of_the_token() -> None:
    """IR §4: where nobody told them."""
    assert logprobs_of(read_logprobs(raw([{"token": "\u00e9"}])))[0]["bytes"] == [195, 169]


def test_what_is_no_list_is_nothing() -> None:
    """Openai §6: null says nothing, a list of something else is wrong."""
    assert read_logprobs(raw(None)) == []
    with pytest.raises(Misshapen):
        read_logprobs(raw([5]))
