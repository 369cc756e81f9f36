"""Candidates and requests for the tests of policies."""

from collections.abc import Sequence
from typing import Any

from busbar_fast.reliability.policies.candidates import Candidate, RequestFacts

FACTS = RequestFacts(
    pool="answer",
    ingress_protocol="anthropic",
    requested_model="answer",
    message_count=3,
    tool_count=2,
    has_tools=True,
    total_chars=5000,
    system_chars=700,
    max_tokens=256,
    stream=True,
)


def members(**columns: Sequence[Any]) -> list[Candidate]:
    """Return candidates numbered from 0 on, each with its value of every column."""
    rows = zip(*columns.values(), strict=True)
    return [
        Candidate(idx, f"model-{idx}", f"provider-{idx}")._replace(**dict(zip(columns, row, strict=True)))
        for idx, row in enumerate(rows)
    ]
