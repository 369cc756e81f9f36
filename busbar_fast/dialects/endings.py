"""How a stream of events is ended natively that broke off after its first byte; all dialects on event streams share it.

It must not know what an error looks like; an `endings` module in each folder says that. Who writes a stream feeds the
ending every byte that goes out and asks it for the last ones when the stream breaks.
"""

from abc import ABC, abstractmethod
from typing import Final

from busbar_fast.dialects.dialect import Usage
from busbar_fast.wire.sse import encode_event
from busbar_fast.wire.sse_edge import SseEdge

DONE: Final = b"[DONE]"


class SseEnding(SseEdge, ABC):
    """One stream of events."""

    __slots__ = ()

    name: bytes | None = None  # of the event that reports a failure
    marker = b""  # the payload that ends a stream, where it is no JSON

    @abstractmethod
    def members(self, usage: Usage | None) -> bytes:
        """Return the members of the document that reports a failure, without braces."""

    def encode_break(self, usage: Usage | None = None) -> bytes | None:
        """Return what has to be sent before the body ends; None if only a cut connection can tell the client.

        An event that is half there becomes the one that reports the failure, because it cannot be taken back.
        """
        members = self.members(usage)
        mended = self.mend(members, self.name, self.marker)
        if mended is None:
            return None
        report = b"" if mended.has_members else encode_event(b"{%b}" % members, self.name)
        behind = encode_event(self.marker) if self.marker else b""
        return mended.raw + report + behind
