"""Counting requests for content."""

import json
from typing import Any

import pytest

from busbar_fast.dialects.body_facts import BodyFacts
from busbar_fast.dialects.gemini.body_facts import request_facts

ONE = [{"parts": [{"text": "four"}]}]


@pytest.mark.parametrize(
    ("request_", "facts"),
    [
        ({"contents": ONE}, BodyFacts(1, 0, 4, 0, None)),
        ({"contents": {"parts": {"text": "abc"}}}, BodyFacts(1, 0, 3, 0, None)),
        ({"contents": "four"}, BodyFacts(1, 0, 4, 0, None)),
        ({"contents": ["ab", {"parts": [{"text": "c"}]}]}, BodyFacts(2, 0, 3, 0, None)),
        ({"system_instruction": {"parts": [{"text": "abc"}]}}, BodyFacts(0, 0, 3, 3, None)),
        ({"systemInstruction": "ab"}, BodyFacts(0, 0, 2, 2, None)),
        ({"contents": [{"parts": [{"text": "no", "thought": True}]}]}, BodyFacts(1, 0, 0, 0, None)),
        (
            {"contents": [{"parts": [{"function_response": {"response": {"result": "abc", "n": 5}}}]}]},
            BodyFacts(1, 0, 3, 0, None),
        ),
        ({"tools": {"googleSearch": {}}}, BodyFacts(0, 1, 0, 0, None)),
        (
            {"tools": [{"function_declarations": [{}, {}], "codeExecution": {}}, {"functionDeclarations": {}}]},
            BodyFacts(0, 4, 0, 0, None),
        ),
        ({"generationConfig": {"maxOutputTokens": 8.0}}, BodyFacts(0, 0, 0, 0, 8)),
        ({"generation_config": {"max_output_tokens": "8"}}, BodyFacts(0, 0, 0, 0, 8)),
        ({"generationConfig": {"maxOutputTokens": "eight"}}, BodyFacts(0, 0, 0, 0, None)),
        ({"generationConfig": {"maxOutputTokens": "9" * 11}}, BodyFacts(0, 0, 0, 0, None)),
        ({"generateContentRequest": {"contents": ONE}}, BodyFacts(1, 0, 4, 0, None)),
    ],
)
def test_a_request_is_counted(request_: dict[str, Any], facts: BodyFacts) -> None:
    """Reliability §11: contents in any of their spellings, kinds of tools, the limit, and a request in a request."""
    assert request_facts(json.dumps(request_).encode()) == facts
