"""Counting chat requests."""

import json
from typing import Any

import pytest

from busbar_fast.dialects.body_facts import BodyFacts
from busbar_fast.dialects.openai_chat.body_facts import request_facts


@pytest.mark.parametrize(
    ("request_", "facts"),
    [
        ({"messages": [{"role": "user", "content": "four"}]}, BodyFacts(1, 0, 4, 0, None)),
        ({"messages": [{"role": "developer", "content": "abc"}]}, BodyFacts(1, 0, 3, 3, None)),
        (
            {"messages": [{"role": "user", "content": "ab"}, {"role": "system", "content": [{"text": "cde"}]}]},
            BodyFacts(2, 0, 5, 3, None),
        ),
        (
            {"messages": [{"role": "assistant", "content": None, "refusal": "no", "reasoning_content": "hm"}]},
            BodyFacts(1, 0, 2, 0, None),
        ),
        (
            {"messages": [{"role": "assistant", "content": [{"type": "refusal", "refusal": "never"}]}]},
            BodyFacts(1, 0, 5, 0, None),
        ),
        ({"messages": ["x", {"content": "ab"}]}, BodyFacts(2, 0, 2, 0, None)),
        ({"tools": [{}, {}], "functions": [{}]}, BodyFacts(0, 3, 0, 0, None)),
        ({"max_tokens": 5, "max_completion_tokens": 6}, BodyFacts(0, 0, 0, 0, 5)),
        ({"max_tokens": None, "max_completion_tokens": 6}, BodyFacts(0, 0, 0, 0, 6)),
    ],
)
def test_a_request_is_counted(request_: dict[str, Any], facts: BodyFacts) -> None:
    """Reliability §11: messages, texts, tools and the limit, under either of its names."""
    assert request_facts(json.dumps(request_).encode()) == facts
