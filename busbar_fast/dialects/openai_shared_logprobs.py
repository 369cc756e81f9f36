"""How likely the tokens of an answer were."""

from collections.abc import Iterable

from msgspec import Raw

from busbar_fast.dialects.members import Members, first_of, objects_of
from busbar_fast.ir.answers import TokenLogprob


def read_logprobs(raw: Raw) -> list[TokenLogprob]:
    """Read a list of tokens; nothing for what is none. Raise Misshapen for a list of something else."""
    return [_read_token(token) for token in objects_of(raw, "logprobs")] if first_of(raw) == b"[" else []


def logprobs_of(tokens: Iterable[TokenLogprob]) -> list[dict[str, object]]:
    """Return tokens as the client gets them."""
    return [_token(token) | {"top_logprobs": [_token(other) for other in token.top]} for token in tokens]


def _read_token(members: Members) -> TokenLogprob:
    text, likely = members.maybe_text("token") or "", members.number("logprob") or Raw(b"0")
    top = members.raw("top_logprobs")
    return TokenLogprob(text, likely, members.raw("bytes"), read_logprobs(top))


def _token(token: TokenLogprob) -> dict[str, object]:
    return {
        "token": token.token,
        "logprob": token.logprob,
        "bytes": token.raw_bytes or list(token.token.encode()),
    }
