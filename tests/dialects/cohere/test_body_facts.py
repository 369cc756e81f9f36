"""Counting chat requests."""

import json
from typing import Any

import pytest

from busbar_fast.dialects.body_facts import BodyFacts
from busbar_fast.dialects.cohere.body_facts import request_facts


@pytest.mark.parametrize(
    ("request_", "facts"),
    [
        ({"messages": [{"role": "user", "content": "four"}]}, BodyFacts(1, 0, 4, 0, None)),
        ({"messages": [{"role": "system", "content": [{"text": "abc"}]}]}, BodyFacts(1, 0, 3, 3, None)),
        ({"messages": [{"role": "assistant", "tool_plan": "ab"}]}, BodyFacts(1, 0, 2, 0, None)),
        (
            {"messages": [{"role": "tool", "content": [{"type": "document", "document": {"data": "no"}}]}]},
            BodyFacts(1, 0, 0, 0, None),
        ),
        ({"tools": [{}], "max_tokens": 9}, BodyFacts(0, 1, 0, 0, 9)),
    ],
)
def test_a_request_is_counted(request_: dict[str, Any], facts: BodyFacts) -> None:
    """Reliability §11: messages, the plan of an assistant, tools and the limit."""
    assert request_facts(json.dumps(request_).encode()) == facts
