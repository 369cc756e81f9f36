"""Why an answer ends, in the vendor's words and in neutral ones."""

from typing import Final

from busbar_fast.dialects.gemini.translation.abilities import NAME
from busbar_fast.ir.answers import Reason, Stop

_REASONS: Final = {
    "STOP": Reason.END_TURN,
    "MAX_TOKENS": Reason.MAX_TOKENS,
    "CONTINUATION": Reason.PAUSE,
    **dict.fromkeys(
        (
            "SAFETY",
            "RECITATION",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
            "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT",
            "IMAGE_RECITATION",
            "MODEL_ARMOR",
            "ESCALATION",
            "PUP_LIMITED_DISABLED",
        ),
        Reason.SAFETY,
    ),
    # No call is left that could be made.
    **dict.fromkeys(
        (
            "MALFORMED_FUNCTION_CALL",
            "UNEXPECTED_TOOL_CALL",
            "TOO_MANY_TOOL_CALLS",
            "MISSING_THOUGHT_SIGNATURE",
            "MALFORMED_RESPONSE",
        ),
        Reason.ERROR,
    ),
}
_BLOCKS: Final = frozenset(
    (
        "SAFETY",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "IMAGE_SAFETY",
        "JAILBREAK",
        "MODEL_ARMOR",
        "RECITATION",
    )
)
_WORDS: Final = {
    Reason.NONE: "STOP",
    Reason.END_TURN: "STOP",
    Reason.STOP_SEQUENCE: "STOP",
    Reason.TOOL_USE: "STOP",
    Reason.MAX_TOKENS: "MAX_TOKENS",
    Reason.CONTEXT_WINDOW: "MAX_TOKENS",
    Reason.SAFETY: "SAFETY",
    Reason.REFUSAL: "SAFETY",
}


def read_stop(word: str, detail: str = "") -> Stop:
    """Return why a candidate ends; nothing is said by no word."""
    if not word:
        return Stop(Reason.NONE)
    return Stop(_REASONS.get(word, Reason.OTHER), word, NAME, detail=detail)


def read_block(word: str, detail: str = "") -> Stop:
    """Return why a prompt got no answer at all; the word is not one that ends a candidate."""
    return Stop(Reason.SAFETY if word in _BLOCKS else Reason.OTHER, detail=detail or word)


def finish_reason(stop: Stop) -> str:
    """Return the vendor's word; one of its own comes back as it was."""
    if stop.native and stop.owner == NAME:
        return stop.native
    return _WORDS.get(stop.reason, "OTHER")
