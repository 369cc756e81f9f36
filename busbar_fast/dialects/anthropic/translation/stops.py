"""Why an answer ends, in the vendor's words."""

from typing import Final

from busbar_fast.dialects.anthropic.translation.abilities import NAME
from busbar_fast.ir.answers import Reason, Stop

_REASONS: Final = {
    "end_turn": Reason.END_TURN,
    "max_tokens": Reason.MAX_TOKENS,
    "stop_sequence": Reason.STOP_SEQUENCE,
    "tool_use": Reason.TOOL_USE,
    "pause_turn": Reason.PAUSE,
    "refusal": Reason.REFUSAL,
    "model_context_window_exceeded": Reason.CONTEXT_WINDOW,
}
_WORDS: Final = {reason: word for word, reason in _REASONS.items()} | {Reason.SAFETY: "refusal"}


def stop_of(word: str, matched: str | None) -> Stop:
    """Return what a word means; none at all is no reason."""
    reason = _REASONS.get(word, Reason.OTHER) if word else Reason.NONE
    return Stop(reason, word, NAME, matched)


def word_of(stop: Stop) -> str:
    """Return the word for a reason, always one that the vendor knows."""
    return _WORDS.get(stop.reason, "end_turn")
