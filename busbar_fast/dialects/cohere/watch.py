"""What answers of this dialect count, and how its streams end. Knows no HTTP and no prices.

A whole answer has a member `usage`, vectors have a `meta` in its place, and a stream has it in the `delta` of the event
that ends the message. Counts come as `tokens`, which we prefer, and as `billed_units`; both include what was read from
a cache. A message that ends with an error says so in that delta too.
"""

import re
from typing import ClassVar, Final

from busbar_fast.dialects.dialect import StreamFault, Usage, Watch
from busbar_fast.dialects.watching import DocumentWatch, EventWatch, is_event_stream, maybe_object, text_of
from busbar_fast.errors import NotJson, TooDeep
from busbar_fast.wire.json_scan import Span, find_members, is_object
from busbar_fast.wire.sse import Event

_TYPE: Final = b"type"
_DELTA: Final = b"delta"
_USAGE: Final = b"usage"
_ERROR: Final = b"error"
_REASON: Final = b"finish_reason"
_TOKENS: Final = b"tokens"
_BILLED: Final = b"billed_units"
_CACHED: Final = b"cached_tokens"
_INPUT: Final = b"input_tokens"
_OUTPUT: Final = b"output_tokens"
_META: Final = b"meta"
_END: Final = b"message-end"
_DONE: Final = b"[DONE]"
_FAILURES: Final = frozenset((b"ERROR", b"TIMEOUT"))

_COUNT_CAP: Final = 10**18  # more is no count
# A number, or a string that holds one. The vendor's type is a float, so `31.0` is a count.
_match_count: Final = re.compile(rb'("?)([0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][-+]?[0-9]{1,3})?)\1').fullmatch


def new_watch(content_type: bytes) -> Watch:
    """Return what looks at an event stream or, whatever else the type says, at one JSON document."""
    return StreamWatch() if is_event_stream(content_type) else _Document()


class _Document(DocumentWatch):
    """Looks at an answer, which has a `usage`, or at vectors, which have their counts in `meta`."""

    __slots__ = ("_meta",)

    def __init__(self) -> None:
        super().__init__(_USAGE, _maybe_usage)
        self._meta = DocumentWatch(_META, _maybe_usage)

    def feed(self, piece: bytes) -> None:
        super().feed(piece)
        self._meta.feed(piece)

    def feed_whole(self, document: bytes) -> None:
        super().feed_whole(document)
        if super().maybe_usage() is None:
            self._meta.feed_whole(document)

    def maybe_usage(self) -> Usage | None:
        return super().maybe_usage() or self._meta.maybe_usage()


def _maybe_usage(raw: bytes) -> Usage | None:
    """Return what a usage value counts, whatever it is."""
    try:
        found = find_members(raw, (_TOKENS, _BILLED, _CACHED))
        tokens, billed = (_read_pair(raw, found.get(name)) for name in (_TOKENS, _BILLED))
    except (NotJson, TooDeep):
        return None
    total = tokens[0] if tokens[0] is not None else billed[0]
    output = tokens[1] if tokens[1] is not None else billed[1]
    cached = _read_count(raw, found.get(_CACHED))
    if (total, output, cached) == (None, None, None):
        return None
    return Usage(max(total or 0, cached or 0), output or 0)


def _read_pair(document: bytes, spans: list[Span] | None) -> tuple[int | None, int | None]:
    """Return the counts of input and output in an object."""
    if not spans or not is_object(document, spans[-1]):
        return None, None
    found = find_members(document, (_INPUT, _OUTPUT), *spans[-1])
    return _read_count(document, found.get(_INPUT)), _read_count(document, found.get(_OUTPUT))


def _read_count(document: bytes, spans: list[Span] | None) -> int | None:
    """Return a whole number, however it is written; None for anything else."""
    if not spans:
        return None
    start, end = spans[-1]
    match = _match_count(document[start:end])
    if match is None:
        return None
    raw = match[2]
    number = int(raw) if raw.isdigit() else float(raw)
    return int(number) if number < _COUNT_CAP and number == int(number) else None


class StreamWatch(EventWatch):
    """Looks at an event stream. An event is told by its name, or by its type when it has none."""

    __slots__ = ()

    sign = b'_tokens"'
    path: ClassVar[tuple[bytes, ...]] = (_DELTA, _USAGE)
    last_names: ClassVar[frozenset[bytes]] = frozenset((_END,))
    fault_signs: ClassVar[tuple[bytes, ...]] = (b"ERROR", b"TIMEOUT", b"error")

    def _read_event(self, event: Event, payload: bytes) -> None:
        if payload == _DONE:
            self._has_ended = True
            return
        delta = maybe_object(payload, _DELTA)
        kind = event.name or text_of(payload, find_members(payload, (_TYPE,)).get(_TYPE))
        self._has_ended = self._has_ended or kind == _END
        if delta is None:
            return
        found = find_members(payload, (_USAGE, _ERROR, _REASON), *delta)
        is_failure = text_of(payload, found.get(_REASON)) in _FAILURES or text_of(payload, found.get(_ERROR)) != b""
        if kind == _END and is_failure:
            self._fault = self._fault or StreamFault(_END.decode(), payload)
        for start, end in found.get(_USAGE, [])[-1:]:
            self._read_usage(payload[start:end])

    def _read_usage(self, raw: bytes) -> None:
        self._usage = _maybe_usage(raw) or self._usage
