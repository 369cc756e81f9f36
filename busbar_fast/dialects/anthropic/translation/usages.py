"""What an answer cost, as the vendor counts it: what came from a cache is counted apart."""

from busbar_fast.dialects.members import Members, without_nothing
from busbar_fast.ir.answers import Usage


def read_usage(members: Members | None) -> Usage | None:
    """Read what was counted; None if nothing was."""
    if members is None:
        return None
    creation = members.maybe_object("cache_creation")
    details = members.maybe_object("output_tokens_details")
    return Usage(
        members.count("input_tokens"),
        members.count("output_tokens"),
        members.count("cache_read_input_tokens"),
        members.count("cache_creation_input_tokens"),
        None if creation is None else creation.count("ephemeral_1h_input_tokens"),
        None if details is None else details.count("thinking_tokens"),
    )


def usage_of(usage: Usage) -> dict[str, object]:
    """Return a whole count as the client gets it; what goes in and comes out is always there."""
    return {"input_tokens": usage.input or 0, **counted(usage), "output_tokens": usage.output or 0}


def counted(usage: Usage) -> dict[str, object]:
    """Return what is known of a count."""
    long, written = usage.cache_write_1h, usage.cache_write
    split = None
    if long is not None:
        split = {
            "ephemeral_5m_input_tokens": max(0, (written or 0) - long),
            "ephemeral_1h_input_tokens": long,
        }
    return without_nothing(
        {
            "input_tokens": usage.input,
            "cache_creation_input_tokens": written,
            "cache_read_input_tokens": usage.cache_read,
            "cache_creation": split,
            "output_tokens": usage.output,
            "output_tokens_details": None if usage.reasoning is None else {"thinking_tokens": usage.reasoning},
        }
    )
