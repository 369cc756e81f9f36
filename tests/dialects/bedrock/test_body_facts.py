"""Counting requests to converse."""

import json
from typing import Any

import pytest

from busbar_fast.dialects.bedrock.body_facts import request_facts
from busbar_fast.dialects.body_facts import BodyFacts


@pytest.mark.parametrize(
    ("request_", "facts"),
    [
        ({"messages": [{"role": "user", "content": [{"text": "four"}]}]}, BodyFacts(1, 0, 4, 0, None)),
        ({"system": [{"text": "abc"}, {"guardContent": {}}]}, BodyFacts(0, 0, 3, 3, None)),
        ({"messages": [{"role": "system", "content": [{"text": "ab"}]}]}, BodyFacts(1, 0, 2, 2, None)),
        (
            {"messages": [{"role": "user", "content": [{"toolResult": {"content": [{"text": "abc"}, {"json": {}}]}}]}]},
            BodyFacts(1, 0, 3, 0, None),
        ),
        (
            {"messages": [{"role": "assistant", "content": [{"citationsContent": {"content": [{"text": "ab"}]}}]}]},
            BodyFacts(1, 0, 2, 0, None),
        ),
        (
            {"messages": [{"role": "assistant", "content": [{"reasoningContent": {"reasoningText": {"text": "no"}}}]}]},
            BodyFacts(1, 0, 0, 0, None),
        ),
        (
            {"toolConfig": {"tools": [{"toolSpec": {}}, {"systemTool": {}}, {"cachePoint": {}}]}},
            BodyFacts(0, 2, 0, 0, None),
        ),
        ({"inferenceConfig": {"maxTokens": 5}}, BodyFacts(0, 0, 0, 0, 5)),
        (
            {"input": {"converse": {"messages": [{"role": "user", "content": [{"text": "ab"}]}]}}},
            BodyFacts(1, 0, 2, 0, None),
        ),
    ],
)
def test_a_request_is_counted(request_: dict[str, Any], facts: BodyFacts) -> None:
    """Reliability §11: messages, results and citations, tools without marks, the limit, and a request in a request."""
    assert request_facts(json.dumps(request_).encode()) == facts
