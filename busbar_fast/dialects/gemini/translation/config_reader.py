"""`generationConfig`: how an answer is drawn, how long it may be, what it looks like, how much is thought before."""

from typing import Final

from msgspec import Raw

from busbar_fast.dialects.gemini.translation.carrying import joined, packed
from busbar_fast.dialects.gemini.translation.fields import Fields
from busbar_fast.dialects.gemini.translation.reasoning import read_reasoning
from busbar_fast.dialects.members import integer_of, write
from busbar_fast.ir.blocks import NOTHING, Ext
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import OutputFormat, Reasoning, Sampling

_MOST_TOKENS: Final = 2**32 - 1
_JSON: Final = "application/json"
_PLAIN: Final = "text/plain"
_SCHEMAS: Final[tuple[str, ...]] = ("responseJsonSchema", "_responseJsonSchema")
_MIME: Final = "responseMimeType"
_OPENAPI: Final = "responseSchema"


class Config:
    """What was read."""

    def __init__(self, fields: Fields, report: Report) -> None:
        self.sampling = _read_sampling(fields, report)
        self.format, carried = _read_format(fields)
        self.reasoning: Reasoning | None = None
        self.ext: Ext | None = carried
        thinking = fields.inner("thinkingConfig")
        if thinking is not None:
            self.reasoning, left = read_reasoning(thinking)
            self.ext = joined(self.ext, left)
        self.ext = joined(self.ext, packed(fields.rest(), "generationConfig"))


def _read_sampling(fields: Fields, report: Report) -> Sampling:
    max_tokens = _whole(fields, "maxOutputTokens", "max_tokens", report)
    if max_tokens and not 0 < int(bytes(max_tokens)) <= _MOST_TOKENS:
        report.dropped("max_tokens")
        max_tokens = NOTHING
    count = _whole(fields, "logprobs", "logprobs", report)
    has_logprobs = fields.flag("responseLogprobs")
    return Sampling(
        max_tokens=max_tokens,
        temperature=fields.number("temperature"),
        top_p=fields.number("topP"),
        top_k=_whole(fields, "topK", "top_k", report),
        seed=_whole(fields, "seed", "seed", report),
        n=_whole(fields, "candidateCount", "candidates", report),
        frequency_penalty=fields.number("frequencyPenalty"),
        presence_penalty=fields.number("presencePenalty"),
        stop=fields.texts("stopSequences"),
        has_logprobs=True if count else has_logprobs,
        top_logprobs=count if count and int(bytes(count)) > 0 else NOTHING,
    )


def _whole(fields: Fields, name: str, label: str, report: Report) -> Raw:
    """Take a whole number, however it is spelt; what is none is left out."""
    raw = fields.raw(name)
    if not raw:
        return NOTHING
    number = integer_of(raw)
    if number is None:
        report.dropped(label)
        return NOTHING
    return Raw(b"%d" % number)


def _read_format(fields: Fields) -> tuple[OutputFormat | None, Ext | None]:
    """Return what an answer should look like, and what of that nobody else has a word for."""
    mime = fields.text(_MIME)
    openapi = fields.raw(_OPENAPI)
    schemas = [raw for name in _SCHEMAS if (raw := fields.raw(name))]
    if mime in ("", _JSON):
        if schemas:
            return OutputFormat(schemas[0], mime=mime), None
        if openapi or mime:
            return OutputFormat(openapi, bool(openapi), mime=mime), None
        return None, None
    if mime == _PLAIN:
        return None, None
    said = {_MIME: Raw(write(mime)), _OPENAPI: openapi, _SCHEMAS[0]: schemas[0] if schemas else NOTHING}
    return None, packed({name: raw for name, raw in said.items() if raw}, "generationConfig")
