"""`generationConfig` as lanes of this dialect take it."""

from typing import Final

from msgspec import Raw

from busbar_fast.dialects.gemini.translation.carrying import unpacked
from busbar_fast.dialects.gemini.translation.reasoning import thinking_config
from busbar_fast.dialects.gemini.translation.schemas import to_openapi
from busbar_fast.dialects.members import integer_of, without_nothing
from busbar_fast.dialects.translator import Recipient
from busbar_fast.ir.blocks import NOTHING
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import OutputFormat, Request, Sampling

_JSON: Final = "application/json"
_SEEDS: Final = range(-(2**31), 2**31)


def generation_config(request: Request, recipient: Recipient, report: Report) -> dict[str, object]:
    """Return what of a request stands there; nothing if there is nothing."""
    config = _sampling(request.sampling, report)
    if request.format is not None:
        config |= _format(request.format, recipient)
    thinking = thinking_config(request, recipient, report)
    if thinking:
        config["thinkingConfig"] = thinking
    return config | unpacked(request.ext, "generationConfig")


def speaks_openapi(recipient: Recipient) -> bool:
    """Say whether a lane knows schemas of the older kind only."""
    return recipient.options.get("schema_dialect") == "openapi"


def _sampling(sampling: Sampling, report: Report) -> dict[str, object]:
    top_logprobs = sampling.top_logprobs if integer_of(sampling.top_logprobs) else NOTHING
    return without_nothing(
        {
            "maxOutputTokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "topP": sampling.top_p,
            "topK": sampling.top_k,
            "seed": _seed(sampling.seed, report),
            "candidateCount": sampling.n,
            "frequencyPenalty": sampling.frequency_penalty,
            "presencePenalty": sampling.presence_penalty,
            "stopSequences": sampling.stop or None,
            "responseLogprobs": True if top_logprobs else sampling.has_logprobs,
            "logprobs": top_logprobs,
        }
    )


def _seed(seed: Raw, report: Report) -> Raw:
    """Return a seed that the vendor has room for."""
    if not seed or integer_of(seed) in _SEEDS:
        return seed
    report.dropped("seed")
    return NOTHING


def _format(wanted: OutputFormat, recipient: Recipient) -> dict[str, object]:
    config: dict[str, object] = {"responseMimeType": _JSON}
    if not wanted.schema:
        return config
    if wanted.is_openapi:
        return config | {"responseSchema": wanted.schema}
    if speaks_openapi(recipient):
        return config | {"responseSchema": to_openapi(wanted.schema)}
    return config | {"responseJsonSchema": wanted.schema}
