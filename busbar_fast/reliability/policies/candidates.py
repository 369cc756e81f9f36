"""What a policy may know: the members it ranks, and how much the request holds. Never a word of any prompt.

Whoever routes fills both records; a policy only reads them. None says that a fact is not known.
"""

from typing import Final, NamedTuple

# What a policy says: candidates by `idx`, the best one first. None means that it has no opinion.
Order = list[int] | None


class Candidate(NamedTuple):
    """A member of the pool as it is at this moment.

    `idx` is its lane's place in the order of the configuration, which stays the same while the process lives.
    """

    idx: int
    model: str
    provider: str
    weight: int = 1
    context_max: int | None = None
    tier: str | None = None
    cost_per_mtok: float | None = None
    latency_ms: float | None = None  # smoothed; None before the first sample
    available_concurrency: int | None = None  # permits left; None where there is no cap
    budget_remaining: int | None = None  # requests; None where there is no limit
    rate_headroom: float | None = None  # the caller's share left in the current window, 0 to 1
    tags: tuple[str, ...] = ()


class RequestFacts(NamedTuple):
    """A request in numbers; characters are code points of text."""

    pool: str
    ingress_protocol: str
    requested_model: str
    message_count: int = 0
    tool_count: int = 0
    has_tools: bool = False
    total_chars: int = 0
    system_chars: int = 0
    max_tokens: int | None = None
    stream: bool = False


# What the governor has to be asked for.
HEADROOM: Final = "rate_headroom"

# Those of them that only a decoded body tells; who asks for none of them spares the decoding.
COUNTED: Final = frozenset(("message_count", "tool_count", "has_tools", "total_chars", "system_chars", "max_tokens"))
