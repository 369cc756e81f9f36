"""The native end of a stream that broke off: one error document, as an event or as the last element of the array."""

from typing import Final

import orjson

from busbar_fast.dialects.dialect import Usage
from busbar_fast.dialects.endings import SseEnding
from busbar_fast.dialects.faults import Fault, Kind
from busbar_fast.dialects.gemini.faults import encode_error
from busbar_fast.wire.sse import encode_event

# What a half event may have said, taken back: the vendor's client reads an error only where it is the first member, so
# the event has to become one without contents.
_TAKEN_BACK: Final = b",".join(
    b'"%b":null' % name for name in (b"candidates", b"promptFeedback", b"usageMetadata", b"createTime", b"modelStatus")
)


class EventEnding(SseEnding):
    """One stream of events."""

    __slots__ = ()

    def members(self, usage: Usage | None) -> bytes:  # noqa: ARG002  the vendor tells it elsewhere
        return b"%b,%b" % (_TAKEN_BACK, _error()[1:-1])

    def encode_break(self, usage: Usage | None = None) -> bytes | None:
        mended = self.mend(self.members(usage))
        return None if mended is None else mended.raw + encode_event(_error())


class ArrayEnding:
    """One array, as `ArrayReframer` gives it out: whole elements at a time."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = b""

    def feed(self, piece: bytes) -> None:
        """Note what is being sent."""
        self._last = piece or self._last

    def encode_break(self, usage: Usage | None = None) -> bytes | None:  # noqa: ARG002  as above
        """Return one error element and the end of the array; only the end if the upstream sent the error itself."""
        if not self._last:
            return b"[%b]" % _error()
        if self._last.endswith(b"]"):
            return b""
        return b"]" if _ends_in_error(self._last) else b",\r\n%b]" % _error()


def _error() -> bytes:
    return encode_error(Fault(Kind.INTERNAL))


def _ends_in_error(elements: bytes) -> bool:
    """Say whether the last of some elements reports an error; one that cannot be read does not."""
    try:
        last = orjson.loads(b"[%b]" % elements.lstrip(b"[,\r\n"))[-1]
    except orjson.JSONDecodeError:
        return False
    return "error" in last
