"""How likely tokens were: the chosen ones in one list, what else could have stood there in another."""

from msgspec import Raw

from busbar_fast.dialects.gemini.translation.fields import fields_in, items_of
from busbar_fast.ir.answers import TokenLogprob


def read_logprobs(raw: Raw) -> list[TokenLogprob]:
    """Return the tokens of a candidate, or of a piece of it."""
    result = fields_in(raw)
    chosen = items_of(result.raw("chosenCandidates")) or []
    others = items_of(result.raw("topCandidates")) or []
    found = []
    for at, item in enumerate(chosen):
        token = _token(item)
        if at < len(others):
            listed = fields_in(others[at])
            token.top = [_token(other) for other in items_of(listed.raw("candidates")) or ()]
        found.append(token)
    return found


def logprobs_result(tokens: list[TokenLogprob]) -> dict[str, object]:
    """Return tokens as clients of this dialect read them."""
    result: dict[str, object] = {"chosenCandidates": [_written(token) for token in tokens]}
    if any(token.top for token in tokens):
        result["topCandidates"] = [{"candidates": [_written(other) for other in token.top]} for token in tokens]
    return result


def _token(raw: Raw) -> TokenLogprob:
    token = fields_in(raw)
    return TokenLogprob(token.maybe_text("token") or "", token.number("logProbability") or Raw(b"0"))


def _written(token: TokenLogprob) -> dict[str, object]:
    return {"token": token.token, "logProbability": token.logprob}
