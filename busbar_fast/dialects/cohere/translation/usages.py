"""What an answer cost, as the vendor counts it: tokens, and those of them that are billed."""

from busbar_fast.dialects.members import Members
from busbar_fast.ir.answers import Usage


def read_usage(members: Members | None) -> Usage | None:
    """Read what was counted; None if nothing was."""
    if members is None:
        return None
    tokens, billed = members.maybe_object("tokens"), members.maybe_object("billed_units")
    cached = members.count("cached_tokens")
    went_in: int | None = None if tokens is None else tokens.count("input_tokens")
    came_out: int | None = None if tokens is None else tokens.count("output_tokens")
    if went_in is None and billed is not None:
        went_in = billed.count("input_tokens")
        went_in = went_in if went_in is None else max(went_in, cached or 0)
    if came_out is None and billed is not None:
        came_out = billed.count("output_tokens")
    return Usage(None if went_in is None else max(0, went_in - (cached or 0)), came_out, cached)


def usage_of(usage: Usage) -> dict[str, object]:
    """Return a count as the client gets it."""
    counted = {"input_tokens": usage.total_input, "output_tokens": usage.output or 0}
    cached = {} if usage.cache_read is None else {"cached_tokens": usage.cache_read}
    return {"billed_units": counted, "tokens": counted, **cached}
