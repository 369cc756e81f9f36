"""Counting requests for a response."""

import json
from typing import Any

import pytest

from busbar_fast.dialects.body_facts import BodyFacts
from busbar_fast.dialects.openai_responses.body_facts import request_facts


@pytest.mark.parametrize(
    ("request_", "facts"),
    [
        ({"input": "four"}, BodyFacts(1, 0, 4, 0, None)),
        ({"input": "four", "instructions": "be"}, BodyFacts(1, 0, 6, 2, None)),
        ({"input": [{"role": "developer", "content": "abc"}]}, BodyFacts(1, 0, 3, 3, None)),
        (
            {"input": [{"type": "input_text", "text": "ab"}, {"type": "output_text", "text": "c"}]},
            BodyFacts(2, 0, 3, 0, None),
        ),
        ({"input": [{"type": "reasoning", "summary": [], "content": [{"text": "no"}]}]}, BodyFacts(1, 0, 0, 0, None)),
        ({"input": [{"type": "function_call", "arguments": "{}", "name": "x"}]}, BodyFacts(1, 0, 0, 0, None)),
        (
            {"input": [{"type": "function_call_output", "output": [{"type": "input_text", "text": "abc"}]}]},
            BodyFacts(1, 0, 3, 0, None),
        ),
        (
            {"input": [{"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}]},
            BodyFacts(1, 0, 2, 0, None),
        ),
        ({"tools": [{}], "max_output_tokens": 7}, BodyFacts(0, 1, 0, 0, 7)),
    ],
)
def test_a_request_is_counted(request_: dict[str, Any], facts: BodyFacts) -> None:
    """Reliability §11: one text or items, instructions, tools and the limit."""
    assert request_facts(json.dumps(request_).encode()) == facts
