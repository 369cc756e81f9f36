"""Where chat answers count tokens. Knows the names, not how they are found."""

from busbar_fast.dialects.dialect import UsageTap
from busbar_fast.dialects.openai_shared import Words, new_usage_tap

# The names at the end are those of compatible servers.
_WORDS = Words(
    b"prompt_tokens",
    b"completion_tokens",
    b"prompt_tokens_details",
    (b"prompt_cache_hit_tokens", b"cached_tokens"),
)
_PATH = (b"usage",)


def new_tap(content_type: bytes) -> UsageTap:
    """Return a tap for an answer of this type."""
    return new_usage_tap(content_type, _WORDS, _PATH, _PATH)
