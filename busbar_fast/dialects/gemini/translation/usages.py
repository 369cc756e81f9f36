"""Tokens: here thoughts count beside the answer, and what came from a cache inside the prompt."""

from typing import Final

from msgspec import DecodeError, Raw, structs
from msgspec.json import Decoder

from busbar_fast.dialects.gemini.translation.fields import Fields, fields_in
from busbar_fast.dialects.gemini.translation.records import Told
from busbar_fast.ir.answers import Usage

Counts = dict[str, int]

_PROMPT: Final = "promptTokenCount"
_CACHED: Final = "cachedContentTokenCount"
_TOOLS: Final = "toolUsePromptTokenCount"
_ANSWER: Final = "candidatesTokenCount"
_THOUGHTS: Final = "thoughtsTokenCount"
_NAMES: Final[tuple[str, ...]] = (_PROMPT, _CACHED, _TOOLS, _ANSWER, _THOUGHTS)
_TOTAL: Final = "totalTokenCount"


_decode_told: Final = Decoder(Told).decode


def read_counts(raw: Raw) -> Counts:
    """Return what can be read of the counts; a stream may tell each of them in another event. Hot."""
    try:
        told = structs.astuple(_decode_told(raw))
    except DecodeError:
        return take_counts(fields_in(raw))
    return {name: count for name, count in zip(_NAMES, told, strict=True) if count is not None}


def take_counts(metadata: Fields) -> Counts:
    """Take what can be read of the counts, however they are spelt, and the total, which is their sum."""
    metadata.raw(_TOTAL)
    taken = {name: metadata.count(name) for name in _NAMES}
    return {name: count for name, count in taken.items() if count is not None}


def usage_of(counts: Counts) -> Usage:
    """Return what counts come to; what tools put into the prompt is input, and thoughts are output."""
    get = counts.get
    has_input = _PROMPT in counts or _TOOLS in counts
    has_output = _ANSWER in counts or _THOUGHTS in counts
    return Usage(
        max(0, get(_PROMPT, 0) - get(_CACHED, 0) + get(_TOOLS, 0)) if has_input else None,
        get(_ANSWER, 0) + get(_THOUGHTS, 0) if has_output else None,
        cache_read=get(_CACHED),
        reasoning=get(_THOUGHTS),
    )


def usage_metadata(usage: Usage) -> Counts:
    """Return the counts as clients of this dialect read them."""
    prompt, output = usage.total_input, usage.output or 0
    thoughts = min(usage.reasoning or 0, output)
    counts: Counts = {_PROMPT: prompt}
    if usage.cache_read is not None:
        counts[_CACHED] = usage.cache_read
    counts[_ANSWER] = output - thoughts
    if thoughts:
        counts[_THOUGHTS] = thoughts
    counts[_TOTAL] = prompt + output
    return counts
