"""How likely tokens were."""

import pytest
from msgspec import Raw

from busbar_fast.dialects.gemini.translation.logprobs import logprobs_result, read_logprobs
from busbar_fast.dialects.members import write
from busbar_fast.ir.answers import TokenLogprob
from busbar_fast.ir.blocks import NOTHING
from tests.dialects.gemini.translation.turns import raw

TOKENS = [
    TokenLogprob("a", Raw(b"-0.10"), top=[TokenLogprob("a", Raw(b"-0.10")), TokenLogprob("b", Raw(b"-2"))]),
    TokenLogprob("c", Raw(b"0")),
]


def test_tokens_come_back() -> None:
    """Two lists are one, and numbers keep their digits."""
    assert read_logprobs(Raw(write(logprobs_result(TOKENS)))) == TOKENS
    assert "topCandidates" not in logprobs_result(TOKENS[1:])


@pytest.mark.parametrize(
    ("result", "tokens"),
    [
        (NOTHING, []),
        (raw([]), []),
        (raw({"chosenCandidates": [1, {"token": 1, "logProbability": "x"}], "topCandidates": [1]}), [("", b"0")] * 2),
    ],
)
def test_odd_lists_are_read_as_far_as_they_go(result: Raw, tokens: list[tuple[str, bytes]]) -> None:
    """Nothing raises."""
    assert [(token.token, bytes(token.logprob)) for token in read_logprobs(result)] == tokens
