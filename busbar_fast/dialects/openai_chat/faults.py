"""Errors as the vendor words them for chat, so that its SDKs raise their own classes. Knows no route."""

from busbar_fast.dialects.asks import Ask
from busbar_fast.dialects.dialect import Refusal
from busbar_fast.dialects.faults import Fault
from busbar_fast.dialects.openai_shared import encode_refusal


def refuse(fault: Fault, ask: Ask | None, raw_id: bytes) -> Refusal:
    """Return a refusal in the vendor's words."""
    return encode_refusal(fault, ask, raw_id, "api_error")
