"""Where a request to count tokens holds a conversation as it would be asked with: `Dialect.counted_at` says it."""

from collections.abc import Iterable, Sequence

from busbar_fast.errors import NotJson
from busbar_fast.wire.json_scan import Span, find_members, is_object


def find_counted(body: bytes, ways: Iterable[Sequence[bytes]]) -> Span | None:
    """Return the span of the conversation, None if there is none, or none that could be read."""
    try:
        return next(filter(None, (_place(body, way) for way in ways)), None)
    except NotJson:
        return None


def _place(body: bytes, way: Sequence[bytes]) -> Span | None:
    """Return the span of the object at the end of a way. Raise NotJson if that cannot be read."""
    place = 0, len(body)
    for name in way:
        found = find_members(body, (name,), *place).get(name)
        if not found or not is_object(body, found[-1]):
            return None
        place = found[-1]
    return place
