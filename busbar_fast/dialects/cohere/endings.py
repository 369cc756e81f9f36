"""The native end of a stream that broke off: a `message-end` whose reason is an error, then the marker."""

from typing import Final

import orjson

from busbar_fast.dialects.dialect import Usage
from busbar_fast.dialects.endings import DONE, SseEnding

_TEXT: Final = "internal server error"
_NOTHING: Final = {"input_tokens": 0, "output_tokens": 0}


class EventEnding(SseEnding):
    """One stream of events."""

    __slots__ = ()

    name: bytes | None = b"message-end"
    marker = DONE

    def members(self, usage: Usage | None) -> bytes:
        """Return a report with the tokens last heard of, none of which are billed."""
        tokens = _NOTHING
        if usage is not None:
            tokens = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
        counts = {"billed_units": _NOTHING, "tokens": tokens}
        delta = {"error": _TEXT, "finish_reason": "ERROR", "usage": counts}
        return orjson.dumps({"type": "message-end", "delta": delta})[1:-1]
