"""Errors as the vendor words them for chat, so that its SDKs raise their own classes. Knows no route."""

from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.dialect import Refusal
from busbar_fast.dialects.faults import Fault, Kind
from busbar_fast.dialects.openai_shared import encode_refusal


def refuse(fault: Fault, ask: Ask | None, raw_id: bytes) -> Refusal:
    """Return a refusal in the vendor's words."""
    return encode_refusal(_judge(fault, ask), ask, raw_id, "api_error")


def _judge(fault: Fault, ask: Ask | None) -> Fault:
    """Return the fault as it is meant: to post to a model means an action behind a colon, and there is none here."""
    if ask is None or ask.operation is not Operation.SHOW_MODEL or ask.name is None or ":" not in ask.name:
        return fault
    is_post = fault.kind is Kind.WRONG_METHOD and fault.name == "POST"
    return Fault(Kind.UNKNOWN_PATH, name=f"POST /v1/models/{ask.name}") if is_post else fault
