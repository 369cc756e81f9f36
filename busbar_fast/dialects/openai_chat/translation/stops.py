"""Why an answer ends, in the vendor's words and in those of hosts that are like it."""

from typing import Final

from busbar_fast.dialects.openai_chat.translation.abilities import NAME
from busbar_fast.ir.answers import Reason, Stop

_REASONS: Final = {
    "stop": Reason.END_TURN,
    "eos": Reason.END_TURN,
    "length": Reason.MAX_TOKENS,
    "tool_calls": Reason.TOOL_USE,
    "function_call": Reason.TOOL_USE,
    "content_filter": Reason.SAFETY,
}
_WORDS: Final = {
    Reason.MAX_TOKENS: "length",
    Reason.CONTEXT_WINDOW: "length",
    Reason.TOOL_USE: "tool_calls",
    Reason.SAFETY: "content_filter",
}


def stop_of(word: str, *, has_refusal: bool = False) -> Stop:
    """Return what a word means; none at all is no reason. Who refuses in so many words has not just ended."""
    reason = _REASONS.get(word, Reason.OTHER) if word else Reason.NONE
    if has_refusal and reason is Reason.END_TURN:
        reason = Reason.REFUSAL
    return Stop(reason, word, NAME)


def word_of(stop: Stop, *, has_text: bool) -> str:
    """Return the word for a reason, always one that the vendor knows."""
    if stop.reason is Reason.REFUSAL:
        return "stop" if has_text else "content_filter"
    return _WORDS.get(stop.reason, "stop")
