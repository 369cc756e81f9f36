"""What answers of this dialect count, and how its streams end. Knows no HTTP and no prices.

A whole answer has a member `usage`; a stream has one inside the message of its first event and one in the event that
ends the message, and what the later one says counts. Input is reported in three parts that add up: fresh, written to
the cache, read from it. Output includes thinking.
"""

from typing import ClassVar, Final

from busbar_fast.dialects.dialect import StreamFault, Usage, Watch
from busbar_fast.dialects.watching import (
    DocumentWatch,
    EventWatch,
    is_event_stream,
    maybe_object,
    read_counts,
    text_of,
)
from busbar_fast.errors import NotJson, TooDeep
from busbar_fast.wire.json_scan import cut_out, find_members, is_object
from busbar_fast.wire.sse import Event

_TYPE: Final = b"type"
_MESSAGE: Final = b"message"
_USAGE: Final = b"usage"
_DELTA: Final = b"delta"
_REASON: Final = b"stop_reason"
_MEMBERS: Final[tuple[bytes, ...]] = (_TYPE, _MESSAGE, _USAGE, _DELTA)
_INPUTS: Final[tuple[bytes, ...]] = (b"input_tokens", b"cache_creation_input_tokens", b"cache_read_input_tokens")
_OUTPUT: Final = b"output_tokens"
_COUNTS: Final[tuple[bytes, ...]] = (*_INPUTS, _OUTPUT)


def new_watch(content_type: bytes) -> Watch:
    """Return what looks at an event stream or, whatever else the type says, at one JSON document."""
    return StreamWatch() if is_event_stream(content_type) else DocumentWatch(_USAGE, _read_usage)


def _read_usage(raw: bytes) -> Usage | None:
    try:
        return _sum(read_counts(raw, _COUNTS))
    except (NotJson, TooDeep):
        return None


def _sum(counts: dict[bytes, int]) -> Usage | None:
    """Return what counts come to; those of a cache are input."""
    if not counts:
        return None
    return Usage(sum(counts.get(name, 0) for name in _INPUTS), counts.get(_OUTPUT, 0))


class StreamWatch(EventWatch):
    """Looks at an event stream. An event is told by its name, or by its type when it has none."""

    __slots__ = ("_counts",)

    sign = b'_tokens"'
    last_names: ClassVar[frozenset[bytes]] = frozenset((b"message_stop", b"error"))

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[bytes, int] = {}  # a later one replaces an earlier one

    def _read_event(self, event: Event, payload: bytes) -> None:
        found = find_members(payload, _MEMBERS)
        kind = event.name or text_of(payload, found.get(_TYPE))
        if kind == b"message_stop":
            self._has_ended = True
        elif kind == b"error":
            self._fault = self._fault or StreamFault("error", payload)
        for start, end in found.get(_DELTA, [])[-1:]:
            if is_object(payload, (start, end)):
                reason = find_members(payload, (_REASON,), start, end).get(_REASON)
                self._has_ended = self._has_ended or text_of(payload, reason) != b""
        for start, end in found.get(_MESSAGE, [])[-1:]:
            usage = maybe_object(payload, _USAGE, start, end) if is_object(payload, (start, end)) else None
            if usage is not None:
                self._read_usage(cut_out(payload, usage))
        for start, end in found.get(_USAGE, [])[-1:]:
            if is_object(payload, (start, end)):
                self._read_usage(payload[start:end])

    def _read_usage(self, raw: bytes) -> None:
        self._counts |= read_counts(raw, _COUNTS)
        self._usage = _sum(self._counts)
