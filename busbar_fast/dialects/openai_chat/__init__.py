"""The OpenAI chat dialect, as far as it is spoken today: its route and its errors."""

from busbar_fast.dialects.openai_chat.faults import encode_fault
from busbar_fast.dialects.openai_chat.models import encode_models

__all__ = ["encode_fault", "encode_models"]
