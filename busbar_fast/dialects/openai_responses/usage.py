"""Where answers of the Responses API count tokens: in the object itself, and in the last event of a stream.

Knows the names, not how they are found.
"""

from busbar_fast.dialects.dialect import UsageTap
from busbar_fast.dialects.openai_shared import Words, new_usage_tap

_WORDS = Words(b"input_tokens", b"output_tokens", b"input_tokens_details")


def new_tap(content_type: bytes) -> UsageTap:
    """Return a tap for an answer of this type."""
    return new_usage_tap(content_type, _WORDS, (b"usage",), (b"response", b"usage"))
