"""What the watches of all dialects are asked for, and the ways to ask them."""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from busbar_fast.dialects.dialect import StreamFault, Usage, Watch
from tests.wire.twins import Fields, events_by_the_book

EVENTS = b"text/event-stream; charset=utf-8"
DOCUMENT = b"application/json"


class Said(NamedTuple):
    """What a watch says."""

    usage: Usage | None = None
    has_ended: bool = False
    fault: StreamFault | None = None


def fed(watch: Watch, pieces: Iterable[bytes]) -> Said:
    """Return what a watch says once the pieces went by."""
    for piece in pieces:
        watch.feed(piece)
    return Said(watch.maybe_usage(), watch.has_ended, watch.fault)


def counted(watch: Watch, pieces: Iterable[bytes]) -> Usage | None:
    """Return what the watch of a document counts; of its end it must know nothing."""
    said = fed(watch, pieces)
    assert (said.has_ended, said.fault) == (True, None)
    return said.usage


def event(document: object, name: bytes = b"", line_end: bytes = b"\n") -> bytes:
    """Return an event that holds a document."""
    head = b"event: %b%b" % (name, line_end) if name else b""
    return head + b"data: " + json.dumps(document).encode() + 2 * line_end


def documents_of(stream: bytes) -> list[tuple[Fields, Any]]:
    """Return the events of a stream with what they hold, None where that is no JSON."""
    events, rest = events_by_the_book(stream)
    found = []
    for one in (*events, rest):
        try:
            found.append((one, json.loads(one.payload or b"")))
        except ValueError:
            found.append((one, None))
    return found
