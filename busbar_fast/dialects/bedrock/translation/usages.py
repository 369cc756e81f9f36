"""What an answer cost, as the vendor counts it: what came from a cache is counted apart."""

from typing import Final

from busbar_fast.dialects.members import Members, is_object, object_of
from busbar_fast.ir.answers import Usage

_LONG: Final = "1h"


def read_usage(members: Members | None) -> Usage | None:
    """Read what was counted, by either of its spellings; None if nothing was."""
    if members is None:
        return None
    details = [object_of(raw, "cacheDetails") for raw in members.maybe_items("cacheDetails") or [] if is_object(raw)]
    long = [row.count("inputTokens") or 0 for row in details if row.maybe_text("ttl") == _LONG]
    return Usage(
        members.count("inputTokens"),
        members.count("outputTokens"),
        _either(members, "cacheReadInputTokens", "cacheReadInputTokenCount"),
        _either(members, "cacheWriteInputTokens", "cacheWriteInputTokenCount"),
        sum(long) if details else None,
    )


def usage_of(usage: Usage) -> dict[str, object]:
    """Return a count as the client gets it."""
    came_out = usage.output or 0
    found: dict[str, object] = {
        "inputTokens": usage.input or 0,
        "outputTokens": came_out,
        "totalTokens": usage.total_input + came_out,
    }
    if usage.cache_read is not None:
        found["cacheReadInputTokens"] = usage.cache_read
    if usage.cache_write is not None:
        found["cacheWriteInputTokens"] = usage.cache_write
    if usage.cache_write_1h is not None:
        short = max(0, (usage.cache_write or 0) - usage.cache_write_1h)
        rows = [{"ttl": _LONG, "inputTokens": usage.cache_write_1h}, {"ttl": "5m", "inputTokens": short}]
        found["cacheDetails"] = rows
    return found


def _either(members: Members, first: str, second: str) -> int | None:
    count, other = members.count(first), members.count(second)
    return other if count is None else count
