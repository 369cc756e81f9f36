"""Why an answer ends: the status of a response, and what of it is not complete."""

from typing import Final

from busbar_fast.dialects.openai_responses.translation.abilities import NAME
from busbar_fast.ir.answers import Reason, Stop

_INCOMPLETE: Final = {
    "max_output_tokens": Reason.MAX_TOKENS,
    "content_filter": Reason.SAFETY,
    "refusal": Reason.REFUSAL,
}
_DETAILS: Final = {
    Reason.MAX_TOKENS: "max_output_tokens",
    Reason.CONTEXT_WINDOW: "max_output_tokens",
    Reason.SAFETY: "content_filter",
}
_FAILED: Final = (Reason.ERROR, Reason.TIMEOUT)
COMPLETED: Final = "completed"
INCOMPLETE: Final = "incomplete"


def stop_of(status: str, detail: str, *, has_call: bool, has_refusal: bool) -> Stop:
    """Return what a status means, together with what is in the answer."""
    if status == COMPLETED:
        reason = Reason.TOOL_USE if has_call else Reason.REFUSAL if has_refusal else Reason.END_TURN
    elif status == INCOMPLETE and detail:
        reason = _INCOMPLETE.get(detail, Reason.OTHER)
    else:
        reason = Reason.NONE
    return Stop(reason, detail or status, NAME)


def status_of(stop: Stop, *, is_empty: bool) -> tuple[str, str | None]:
    """Return the status for a reason, and what is not complete if something is not."""
    detail = _DETAILS.get(stop.reason)
    if detail is not None:
        return INCOMPLETE, detail
    return "failed" if stop.reason in _FAILED and is_empty else COMPLETED, None
