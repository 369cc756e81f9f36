"""The native end of a stream that broke off: an event with an `error` and none of an answer, then the marker."""

from busbar_fast.dialects.dialect import Usage
from busbar_fast.dialects.endings import DONE, SseEnding
from busbar_fast.dialects.openai_shared import BROKEN, encode_error


class EventEnding(SseEnding):
    """One stream of events."""

    __slots__ = ()

    marker = DONE

    def members(self, usage: Usage | None) -> bytes:  # noqa: ARG002  the vendor tells it elsewhere
        return encode_error(BROKEN, "server_error", None, None)[1:-1]
