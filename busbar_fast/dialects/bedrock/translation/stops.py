"""Why an answer ends, in the vendor's words."""

from typing import Final

from busbar_fast.dialects.bedrock.translation.abilities import NAME
from busbar_fast.ir.answers import Reason, Stop

_REASONS: Final = {
    "end_turn": Reason.END_TURN,
    "tool_use": Reason.TOOL_USE,
    "max_tokens": Reason.MAX_TOKENS,
    "stop_sequence": Reason.STOP_SEQUENCE,
    "guardrail_intervened": Reason.SAFETY,
    "content_filtered": Reason.SAFETY,
    "malformed_model_output": Reason.ERROR,
    "malformed_tool_use": Reason.ERROR,
    "model_context_window_exceeded": Reason.CONTEXT_WINDOW,
}
_WORDS: Final = {
    Reason.TOOL_USE: "tool_use",
    Reason.MAX_TOKENS: "max_tokens",
    Reason.STOP_SEQUENCE: "stop_sequence",
    Reason.SAFETY: "content_filtered",
    Reason.REFUSAL: "content_filtered",
    Reason.CONTEXT_WINDOW: "model_context_window_exceeded",
}


def stop_of(word: str, matched: str | None) -> Stop:
    """Return what a word means; none at all is no reason."""
    return Stop(_REASONS.get(word, Reason.OTHER) if word else Reason.NONE, word, NAME, matched)


def word_of(stop: Stop) -> str:
    """Return the word for a reason, always one that the vendor knows."""
    if stop.owner == NAME and stop.native in _REASONS:
        return stop.native
    return _WORDS.get(stop.reason, "end_turn")
