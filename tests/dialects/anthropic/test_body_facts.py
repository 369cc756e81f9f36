"""Counting requests for a message."""

import json
from typing import Any

import pytest

from busbar_fast.dialects.anthropic.body_facts import request_facts
from busbar_fast.dialects.body_facts import BodyFacts


@pytest.mark.parametrize(
    ("request_", "facts"),
    [
        ({"messages": [{"role": "user", "content": "four"}]}, BodyFacts(1, 0, 4, 0, None)),
        ({"system": "abc", "messages": []}, BodyFacts(0, 0, 3, 3, None)),
        ({"messages": [{"role": "system", "content": "ab"}]}, BodyFacts(1, 0, 2, 2, None)),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": "abc"}]}]},
            BodyFacts(1, 0, 3, 0, None),
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "document", "content": "abc"}]}]},
            BodyFacts(1, 0, 0, 0, None),
        ),
        ({"tools": [{}, {}, {}], "max_tokens": 4096}, BodyFacts(0, 3, 0, 0, 4096)),
        ({"max_tokens": 0}, BodyFacts(0, 0, 0, 0, None)),
    ],
)
def test_a_request_is_counted(request_: dict[str, Any], facts: BodyFacts) -> None:
    """Reliability §11: messages, the system's text in either form, results of tools and the limit."""
    assert request_facts(json.dumps(request_).encode()) == facts
