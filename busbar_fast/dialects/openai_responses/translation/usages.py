"""What an answer cost, as the vendor counts it: what came from a cache is a part of what went in."""

from busbar_fast.dialects.members import Members
from busbar_fast.ir.answers import Usage


def read_usage(members: Members | None) -> Usage | None:
    """Read what was counted; None if nothing was."""
    if members is None:
        return None
    went_in = members.count("input_tokens")
    details = members.maybe_object("input_tokens_details") or Members({})
    thought = members.maybe_object("output_tokens_details") or Members({})
    read, written = details.count("cached_tokens"), details.count("cache_write_tokens")
    return Usage(
        None if went_in is None else max(0, went_in - (read or 0) - (written or 0)),
        members.count("output_tokens"),
        read,
        written,
        reasoning=thought.count("reasoning_tokens"),
    )


def usage_of(usage: Usage) -> dict[str, object]:
    """Return a count as the client gets it; its library insists on every member."""
    went_in, came_out = usage.total_input, usage.output or 0
    cached = {"cached_tokens": usage.cache_read or 0, "cache_write_tokens": usage.cache_write or 0}
    return {
        "input_tokens": went_in,
        "input_tokens_details": cached,
        "output_tokens": came_out,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning or 0},
        "total_tokens": went_in + came_out,
    }
