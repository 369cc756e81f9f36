"""The native end of a stream that broke off: a frame with an exception, by the name that its clients know."""

from typing import Final

import orjson

from busbar_fast.aws.eventstream import FrameEdge, encode_exception
from busbar_fast.dialects.bedrock.faults import INTERNAL_TEXT
from busbar_fast.dialects.dialect import Usage

_NAME: Final = "internalServerException"


class FrameEnding(FrameEdge):
    """One stream of frames."""

    __slots__ = ()

    def encode_break(self, usage: Usage | None = None) -> bytes | None:  # noqa: ARG002  the vendor tells it elsewhere
        """Return the last frame; None inside a frame, whose length is out and which nothing can end."""
        return encode_exception(_NAME, orjson.dumps({"message": INTERNAL_TEXT})) if self.is_edge else None
