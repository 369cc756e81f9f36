"""Why answers end."""

import pytest
from google.genai.types import BlockedReason, FinishReason

from busbar_fast.dialects.gemini.translation.stops import finish_reason, read_block, read_stop
from busbar_fast.ir.answers import Reason, Stop


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("", Reason.NONE),
        ("STOP", Reason.END_TURN),
        ("MAX_TOKENS", Reason.MAX_TOKENS),
        ("PROHIBITED_CONTENT", Reason.SAFETY),
        ("MISSING_THOUGHT_SIGNATURE", Reason.ERROR),
        ("CONTINUATION", Reason.PAUSE),
        ("NO_IMAGE", Reason.OTHER),
        ("SOON", Reason.OTHER),
    ],
)
def test_words_are_read(word: str, reason: Reason) -> None:
    """Unknown words are others (gemini.md section 11)."""
    assert read_stop(word).reason is reason


@pytest.mark.parametrize("word", list(FinishReason))
def test_words_of_the_vendor_come_back(word: str) -> None:
    """Whatever it says is said again to its own clients (ir.md case 35)."""
    stop = read_stop(word, "why")
    assert (finish_reason(stop), stop.detail) == (word, "why")


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_a_word_of_the_vendor(reason: Reason) -> None:
    """A word of another vendor is never repeated (ir.md case 34)."""
    assert finish_reason(Stop(reason, "end_turn", "other")) in set(FinishReason)


def test_reasons_are_written() -> None:
    """The signal survives (ir.md section 7)."""
    words = {reason: finish_reason(Stop(reason)) for reason in Reason}
    assert words == {
        Reason.NONE: "STOP",
        Reason.END_TURN: "STOP",
        Reason.STOP_SEQUENCE: "STOP",
        Reason.MAX_TOKENS: "MAX_TOKENS",
        Reason.TOOL_USE: "STOP",
        Reason.SAFETY: "SAFETY",
        Reason.REFUSAL: "SAFETY",
        Reason.PAUSE: "OTHER",
        Reason.CONTEXT_WINDOW: "MAX_TOKENS",
        Reason.TIMEOUT: "OTHER",
        Reason.ERROR: "OTHER",
        Reason.OTHER: "OTHER",
    }


def test_blocked_prompts_are_unsafe_or_other() -> None:
    """All but two words of the vendor speak of safety (gemini.md section 10)."""
    others = [word for word in BlockedReason if read_block(word).reason is Reason.OTHER]
    assert others == ["BLOCKED_REASON_UNSPECIFIED", "OTHER"]
    assert read_block("RECITATION") == Stop(Reason.SAFETY, detail="RECITATION")
    assert read_block("SAFETY", "why").detail == "why"
