"""The native end of a stream that broke off: `response.failed`, with the response as its first event had it.

That event is kept, at most KEPT_BYTES of it, since clients compare ids; it is read only if the stream breaks.
"""

import re
from random import getrandbits  # ids must differ, not be secret
from typing import Any, Final

import orjson

from busbar_fast.dialects.dialect import Usage
from busbar_fast.dialects.endings import SseEnding
from busbar_fast.dialects.openai_shared import BROKEN
from busbar_fast.errors import UpstreamGarbled
from busbar_fast.wire.sse import SseSplitter, parse_event
from busbar_fast.wire.sse_edge import KEPT_BYTES

_find_id: Final = re.compile(rb'"id" ?: ?"(resp_[0-9A-Za-z_-]{1,256})"').search
_find_number: Final = re.compile(rb'"sequence_number" ?: ?([0-9]{1,18})[,} ]').search
_ERROR: Final = {"code": "server_error", "message": BROKEN}


class EventEnding(SseEnding):
    """One stream of events."""

    __slots__ = ("_first", "_opening")

    name: bytes | None = b"response.failed"

    def __init__(self) -> None:
        super().__init__()
        self._opening: SseSplitter | None = SseSplitter(KEPT_BYTES)  # until the first event is whole
        self._first = b""

    def feed(self, piece: bytes) -> None:
        if self._opening is not None:
            self._open(piece)
        super().feed(piece)

    def _open(self, piece: bytes) -> None:
        """Look for the first event."""
        assert self._opening is not None
        try:
            events = self._opening.feed(piece)
        except UpstreamGarbled:
            self._opening = None
            return
        if events:
            self._first = events[0]
            self._opening = None

    def members(self, usage: Usage | None) -> bytes:  # noqa: ARG002  what did not succeed has none
        report = {
            "type": "response.failed",
            "sequence_number": self._next_number(),
            "response": self._response()
            | {
                "status": "failed",
                "error": _ERROR,
                "incomplete_details": None,
                "output": [],
                "usage": None,
            },
        }
        return orjson.dumps(report)[1:-1]

    def _next_number(self) -> int:
        """Return the number behind the last event's; one that becomes the report keeps the one it may have."""
        half = self.half_event()
        is_whole = _maybe_document(half) is not None  # but for its empty line
        if not is_whole and (found := _find_number(half)) is not None:
            return int(found[1])
        found = _find_number(half if is_whole else self.last_event())
        return 0 if found is None else int(found[1]) + 1

    def _response(self) -> dict[str, Any]:
        """Return the response as the first event has it, or as little as one may be."""
        first = self._first or self.half_event()
        document = _maybe_document(first)
        response = document.get("response") if isinstance(document, dict) else None
        if isinstance(response, dict) and isinstance(response.get("id"), str):
            return response
        found = _find_id(first)
        name = found[1].decode() if found is not None else f"resp_{getrandbits(192):048x}"
        return {"id": name, "object": "response"}


def _maybe_document(event: bytes) -> Any:
    """Return the document in an event; None if it is none, or half of one."""
    try:
        return orjson.loads(parse_event(event).payload or b"")
    except orjson.JSONDecodeError:
        return None
