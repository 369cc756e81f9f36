"""Counting what a body holds: what all dialects share, and that they agree on one conversation."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.dialects.body_facts import BodyFacts, chars, count, length, member, object_at, objects_in, read_object
from busbar_fast.dialects.registry import DIALECTS, speak
from busbar_fast.errors import NotJson

SYSTEM, QUESTION, ANSWER, RESULT = "Be brief.", "Quelle heure à Zürich? 🕰", "I look at the clock.", "It is noon."
PARAMETERS = {"type": "object", "description": "never counted"}
FUNCTION = {"name": "clock", "parameters": PARAMETERS}

# One conversation as each vendor writes it: a system text, a question, a call of a tool, its result.
BODIES: dict[str, dict[str, Any]] = {
    "openai": {
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": [{"type": "text", "text": QUESTION}, {"type": "image_url", "image_url": {}}]},
            {"role": "assistant", "content": ANSWER, "tool_calls": [{"function": {"arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "1", "content": RESULT},
        ],
        "tools": [{"type": "function", "function": FUNCTION}],
        "max_completion_tokens": 64,
    },
    "responses": {
        "instructions": SYSTEM,
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": QUESTION}]},
            {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "never counted"}]},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": ANSWER}]},
            {"type": "function_call_output", "call_id": "1", "output": RESULT},
        ],
        "tools": [{"type": "function", **FUNCTION}],
        "max_output_tokens": 64,
    },
    "anthropic": {
        "system": [{"type": "text", "text": SYSTEM}],
        "messages": [
            {"role": "user", "content": QUESTION},
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "no"}, {"type": "text", "text": ANSWER}],
            },
            {"role": "user", "content": [{"type": "tool_result", "content": [{"type": "text", "text": RESULT}]}]},
        ],
        "tools": [{"name": "clock", "input_schema": PARAMETERS}],
        "max_tokens": 64,
    },
    "gemini": {
        "systemInstruction": {"parts": [{"text": SYSTEM}]},
        "contents": [
            {"role": "user", "parts": [{"text": QUESTION}, {"inlineData": {"data": "AAAA"}}]},
            {"role": "model", "parts": [{"text": "no", "thought": True}, {"text": ANSWER}, {"functionCall": {}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "clock", "response": {"output": RESULT}}}]},
        ],
        "tools": [{"functionDeclarations": [FUNCTION]}],
        "generationConfig": {"maxOutputTokens": 64},
    },
    "bedrock": {
        "system": [{"text": SYSTEM}, {"cachePoint": {"type": "default"}}],
        "messages": [
            {"role": "user", "content": [{"text": QUESTION}]},
            {"role": "assistant", "content": [{"text": ANSWER}, {"toolUse": {"input": {"text": "no"}}}]},
            {"role": "user", "content": [{"toolResult": {"toolUseId": "1", "content": [{"text": RESULT}]}}]},
        ],
        "toolConfig": {"tools": [{"toolSpec": {"name": "clock"}}, {"cachePoint": {"type": "default"}}]},
        "inferenceConfig": {"maxTokens": 64},
    },
    "cohere": {
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": [{"type": "text", "text": QUESTION}]},
            {"role": "assistant", "tool_plan": ANSWER, "tool_calls": [{"function": {"arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": RESULT}]},
        ],
        "tools": [{"type": "function", "function": FUNCTION}],
        "max_tokens": 64,
    },
}
LISTED = {"openai": 4, "responses": 4, "anthropic": 3, "gemini": 3, "bedrock": 3, "cohere": 4}


def test_every_dialect_counts() -> None:
    """Reliability §11: none of the six shapes looks empty to a policy."""
    assert set(BODIES) == set(DIALECTS)


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_one_conversation_counts_the_same_in_every_shape(name: str, *, ascii_only: bool) -> None:
    """Reliability cases 79 and 80: code points of system and message text, tools and the limit, in all six shapes."""
    body = json.dumps(BODIES[name], ensure_ascii=ascii_only).encode()
    total = len(SYSTEM + QUESTION + ANSWER + RESULT)
    assert speak(name).request_facts(body) == BodyFacts(LISTED[name], 1, total, len(SYSTEM), 64)


@pytest.mark.parametrize("name", BODIES)
def test_an_empty_request_counts_nothing(name: str) -> None:
    """Reliability §11: what is absent is zero, and a limit that is absent is none."""
    assert speak(name).request_facts(b"{}") == BodyFacts(0, 0, 0, 0, None)


@pytest.mark.parametrize("name", BODIES)
def test_what_makes_no_sense_is_not_counted(name: str) -> None:
    """Reliability §11: members of another type than the vendor's are the upstream's to refuse."""
    values: list[Any] = [None, 5, True, "", [], {}, [[]], [5, None, "x", {}], {"x": 1}]
    for value in values:
        spoilt = json.dumps(dict.fromkeys(BODIES[name], value)).encode()
        facts = speak(name).request_facts(spoilt)
        assert facts.max_tokens in (None, 5)
        assert 0 <= facts.system_chars <= facts.total_chars <= 20


def nested(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return lists and objects with the members of real requests, around what is given."""
    names = st.sampled_from(
        sorted({key for body in BODIES.values() for key in body} | {"content", "parts", "text", "role"})
    )
    return st.lists(leaf, max_size=3) | st.dictionaries(names, leaf, max_size=4)


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5), nested, max_leaves=20
)


@given(DOCUMENTS, st.sampled_from(sorted(BODIES)))
def test_no_document_raises_anything_else(document: Any, name: str) -> None:
    """Reliability §11: any document is counted or is no object, whatever it holds."""
    try:
        facts = speak(name).request_facts(json.dumps(document).encode())
    except NotJson:
        assert not isinstance(document, dict)
        return
    assert 0 <= facts.system_chars <= facts.total_chars
    assert facts.max_tokens is None or 0 < facts.max_tokens < 2**32


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"5", b'"x"', b"null", b'{"x":', b'{"x":1} y', b'{"x":"\xff"}', b'{"x":01}']
)
def test_what_is_no_object_is_an_error(body: bytes) -> None:
    """Reliability §1: a body that is not a JSON object is for the client to mend."""
    with pytest.raises(NotJson):
        read_object(body)


def test_deep_brackets_are_an_error_of_the_body() -> None:
    """Reliability §1: a body that nests without end is refused like any other that cannot be read."""
    with pytest.raises(NotJson):
        read_object(b'{"x":' + b"[" * 200_000 + b"]" * 200_000 + b"}")


def test_what_one_parser_refuses_is_read_by_the_other() -> None:
    """Reliability §11: half a character and a very long number are JSON, so counting them fails no request."""
    assert read_object(rb'{"x":"\ud800","n":12}') == {"x": "\ud800", "n": 12}
    assert read_object(rb'{"x":"\ud800","n":%b}' % (b"9" * 5000))["n"] == float("inf")


def test_members_are_found_by_any_of_their_names() -> None:
    """Reliability §11: two spellings, the first one first, and nothing in what is no object."""
    assert member({"a": 1, "b": 2}, "a", "b") == 1
    assert member({"a": None, "b": 2}, "a", "b") == 2
    assert member({}, "a") is None
    assert member([1], "a") is None
    assert object_at({"a": {"b": 1}}, "a") == {"b": 1}
    assert object_at({"a": [1]}, "a") == {}


def test_lists_are_looked_through() -> None:
    """Reliability §11: what is no list has no items and no length."""
    assert objects_in([{"a": 1}, 5, {"b": 2}]) == [{"a": 1}, {"b": 2}]
    assert (objects_in({"a": 1}), objects_in(None)) == ([], [])
    assert (length([1, 2]), length({"a": 1}), length(None)) == (2, 0, 0)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("héllo", 5),
        ({"text": "ab", "other": "c"}, 2),
        ({"text": 5}, 0),
        (["ab", {"text": "c"}, {"image": "x"}, 7, None, ["lists within", "are none"]], 3),
        (None, 0),
        (5, 0),
    ],
)
def test_characters_of_texts_and_parts(value: object, number: int) -> None:
    """Reliability §11: characters are code points of texts and of the text members of parts."""
    assert chars(value) == number


def test_characters_of_other_members() -> None:
    """Reliability §11: a part may hold its text under another name."""
    assert chars([{"refusal": "no", "text": "yes"}], ("text", "refusal")) == 5


@pytest.mark.parametrize(
    ("value", "limit"),
    [
        (1, 1),
        (2**32 - 1, 2**32 - 1),
        (40.0, 40),
        (0, None),
        (-5, None),
        (2**32, None),
        (1.5, None),
        (True, None),
        ("5", None),
    ],
)
def test_a_limit_is_a_whole_number_that_can_be_meant(value: object, limit: int | None) -> None:
    """Reliability §11: a limit of tokens from 1 to 2^32 - 1, anything else is none."""
    assert count(value) == limit
    assert count(None) is None
