"""Why an answer ends, in the vendor's words; those of the older version are still said."""

from typing import Final

from busbar_fast.dialects.cohere.translation.abilities import NAME
from busbar_fast.ir.answers import Reason, Stop

_REASONS: Final = {
    "COMPLETE": Reason.END_TURN,
    "STOP_SEQUENCE": Reason.STOP_SEQUENCE,
    "MAX_TOKENS": Reason.MAX_TOKENS,
    "TOOL_CALL": Reason.TOOL_USE,
    "ERROR": Reason.ERROR,
    "TIMEOUT": Reason.TIMEOUT,
    "ERROR_TOXIC": Reason.SAFETY,
    "ERROR_LIMIT": Reason.CONTEXT_WINDOW,
}
_WORDS: Final = {
    Reason.STOP_SEQUENCE: "STOP_SEQUENCE",
    Reason.MAX_TOKENS: "MAX_TOKENS",
    Reason.CONTEXT_WINDOW: "MAX_TOKENS",
    Reason.TOOL_USE: "TOOL_CALL",
    Reason.SAFETY: "ERROR",
    Reason.ERROR: "ERROR",
    Reason.TIMEOUT: "TIMEOUT",
}
FAILURES: Final = frozenset(("ERROR", "TIMEOUT"))


def stop_of(word: str) -> Stop:
    """Return what a word means; none at all is no reason."""
    return Stop(_REASONS.get(word, Reason.OTHER) if word else Reason.NONE, word, NAME)


def word_of(stop: Stop) -> str:
    """Return the word for a reason, always one that the vendor knows."""
    return _WORDS.get(stop.reason, "COMPLETE")
