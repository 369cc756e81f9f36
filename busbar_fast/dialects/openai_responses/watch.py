"""What answers of the Responses API count, and how their streams end. Knows the names, not how bytes are found.

Usage stands in the object itself and in the last event of a stream, which repeats the whole of it.
"""

from typing import ClassVar, Final

from busbar_fast.dialects.dialect import StreamFault, Usage, Watch
from busbar_fast.dialects.openai_shared import Words, read_usage
from busbar_fast.dialects.watching import DocumentWatch, EventWatch, is_event_stream, maybe_object, text_of
from busbar_fast.wire.json_scan import cut_out, find_members
from busbar_fast.wire.sse import Event

_WORDS: Final = Words(b"input_tokens", b"output_tokens", b"input_tokens_details")
_TYPE: Final = b"type"
_RESPONSE: Final = b"response"
_USAGE: Final = b"usage"
_ENDS: Final = frozenset((b"response.completed", b"response.incomplete", b"response.failed"))
_FAULTS: Final = frozenset((b"response.failed", b"error"))


def new_watch(content_type: bytes) -> Watch:
    """Return what looks at an answer of this type."""
    return StreamWatch() if is_event_stream(content_type) else DocumentWatch(_USAGE, _maybe_usage)


def _maybe_usage(raw: bytes) -> Usage | None:
    return read_usage(raw, _WORDS)


class StreamWatch(EventWatch):
    """Looks at an event stream. An event is told by its name, or by its type when it has none."""

    __slots__ = ()

    sign = b'_tokens"'
    path: ClassVar[tuple[bytes, ...]] = (_RESPONSE, _USAGE)
    last_names: ClassVar[frozenset[bytes]] = _ENDS | _FAULTS
    fault_signs: ClassVar[tuple[bytes, ...]] = (b"error", b"response.failed")

    def _read_event(self, event: Event, payload: bytes) -> None:
        kind = event.name or text_of(payload, find_members(payload, (_TYPE,)).get(_TYPE))
        if kind in _FAULTS:
            self._fault = self._fault or StreamFault(kind.decode(), payload)
        self._has_ended = self._has_ended or kind in _ENDS
        response = maybe_object(payload, _RESPONSE)
        usage = None if response is None else find_members(payload, (_USAGE,), *response).get(_USAGE)
        if usage is not None:
            self._read_usage(cut_out(payload, usage[-1]))

    def _read_usage(self, raw: bytes) -> None:
        self._usage = _maybe_usage(raw) or self._usage
