"""What answers of this dialect count, and how its streams end. Knows no HTTP and no prices.

Counts are cumulative, and some events carry only part of them, so the last value of each count stands. A stream has no
terminator: a candidate says why it finished, or the prompt why it was blocked.
"""

import re
from typing import ClassVar, Final

from busbar_fast.dialects.dialect import StreamFault, Usage, Watch
from busbar_fast.dialects.watching import DocumentWatch, EventWatch, is_event_stream, read_counts
from busbar_fast.errors import NotJson, TooDeep
from busbar_fast.wire.json_scan import find_members, is_object
from busbar_fast.wire.sse import Event

_USAGE: Final = b"usageMetadata"
_CANDIDATES: Final = b"candidates"
_FEEDBACK: Final = b"promptFeedback"
_ERROR: Final = b"error"
_MEMBERS: Final[tuple[bytes, ...]] = (_USAGE, _CANDIDATES, _FEEDBACK, _ERROR)
_PROMPT: Final = b"promptTokenCount"
_CACHED: Final = b"cachedContentTokenCount"
_TOOLS: Final = b"toolUsePromptTokenCount"
_ANSWER: Final = b"candidatesTokenCount"
_THOUGHTS: Final = b"thoughtsTokenCount"
_COUNTS: Final[tuple[bytes, ...]] = (_PROMPT, _CACHED, _TOOLS, _ANSWER, _THOUGHTS)

# No text can hold this: its quotes have backslashes before them.
_find_reason: Final = re.compile(rb'"(?:finishReason|blockReason)"[ \t\r\n]*+:[ \t\r\n]*+"[^"]').search


def new_watch(content_type: bytes) -> Watch:
    """Return what looks at an event stream or, whatever else the type says, at one JSON document."""
    return StreamWatch() if is_event_stream(content_type) else DocumentWatch(_USAGE, _read_usage)


def _read_usage(raw: bytes) -> Usage | None:
    try:
        return _sum(read_counts(raw, _COUNTS))
    except (NotJson, TooDeep):
        return None


def _sum(counts: dict[bytes, int]) -> Usage | None:
    """Return what counts come to; thoughts are output, what tools put into the prompt is input."""
    get = counts.get
    if not counts:
        return None
    # Cached tokens are part of the prompt; if there are more of them, they are all that went in.
    prompt = max(get(_PROMPT, 0) + get(_TOOLS, 0), get(_CACHED, 0))
    return Usage(prompt, get(_ANSWER, 0) + get(_THOUGHTS, 0))


class StreamWatch(EventWatch):
    """Looks at an event stream."""

    __slots__ = ("_counts",)

    sign = b'TokenCount"'
    path: ClassVar[tuple[bytes, ...]] = (_USAGE,)

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[bytes, int] = {}

    def _read_event(self, event: Event, payload: bytes) -> None:  # noqa: ARG002  events have no names here
        found = find_members(payload, _MEMBERS)
        for start, end in found.get(_ERROR, [])[-1:]:
            if is_object(payload, (start, end)):
                self._fault = self._fault or StreamFault("", payload)
        for name in (_CANDIDATES, _FEEDBACK):
            for start, end in found.get(name, [])[-1:]:
                self._has_ended = self._has_ended or _find_reason(payload, start, end) is not None
        for start, end in found.get(_USAGE, [])[-1:]:
            if is_object(payload, (start, end)):
                self._read_usage(payload[start:end])

    def _read_usage(self, raw: bytes) -> None:
        self._counts |= read_counts(raw, _COUNTS)
        self._usage = _sum(self._counts)
