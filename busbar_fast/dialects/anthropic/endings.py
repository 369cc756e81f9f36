"""The native end of a stream that broke off: an event `error`, and no `message_stop`."""

from typing import Final

from busbar_fast.dialects.dialect import Usage
from busbar_fast.dialects.endings import SseEnding

_MEMBERS: Final = b'"type":"error","error":{"type":"api_error","message":"Internal server error"}'


class EventEnding(SseEnding):
    """One stream of events."""

    __slots__ = ()

    name: bytes | None = b"error"

    def members(self, usage: Usage | None) -> bytes:  # noqa: ARG002  the vendor tells it elsewhere
        return _MEMBERS
