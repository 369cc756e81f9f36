"""Log probabilities as the two OpenAI dialects write them: each piece of text counts as one token."""

from collections.abc import Iterable
from typing import Any

from busbar_fast.mock.ask import BadAsk
from busbar_fast.mock.content import logprob_of

_MAX_TOP = 20


def encode_logprobs(pieces: Iterable[str], top: object) -> list[dict[str, Any]]:
    """Return a row per piece, each with `top` alternatives; None, as the vendor takes it, is none at all."""
    count = 0 if top is None else top
    if not isinstance(count, int) or not 0 <= count <= _MAX_TOP:
        raise BadAsk(f"top_logprobs: must be a number up to {_MAX_TOP}", "top_logprobs")
    return [_row(piece) | {"top_logprobs": [_row(piece + "'" * rank) for rank in range(count)]} for piece in pieces]


def _row(token: str) -> dict[str, Any]:
    return {"token": token, "logprob": logprob_of(token), "bytes": list(token.encode())}
