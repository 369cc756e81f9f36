"""What an answer cost, as the vendor counts it: what came from a cache is a part of what went in."""

from busbar_fast.dialects.members import Members
from busbar_fast.ir.answers import Usage


def read_usage(members: Members) -> Usage:
    """Read what was counted, also where other hosts put it."""
    went_in, came_out = members.count("prompt_tokens"), members.count("completion_tokens")
    details = members.maybe_object("prompt_tokens_details")
    read = None if details is None else details.count("cached_tokens")
    written = None if details is None else details.count("cache_write_tokens")
    if read is None:
        hit, plain = members.count("prompt_cache_hit_tokens"), members.count("cached_tokens")
        read = plain if hit is None else hit
    thought = members.maybe_object("completion_tokens_details")
    return Usage(
        None if went_in is None else max(0, went_in - (read or 0) - (written or 0)),
        came_out,
        read,
        written,
        reasoning=None if thought is None else thought.count("reasoning_tokens"),
    )


def usage_of(usage: Usage) -> dict[str, object]:
    """Return a count as the client gets it."""
    went_in, came_out = usage.total_input, usage.output or 0
    found: dict[str, object] = {
        "prompt_tokens": went_in,
        "completion_tokens": came_out,
        "total_tokens": went_in + came_out,
    }
    details = {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write}
    known = {name: count for name, count in details.items() if count is not None}
    if known:
        found["prompt_tokens_details"] = known
    if usage.reasoning is not None:
        found["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    return found
