"""The question to a policy behind a URL, and its answer."""

import json
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.errors import PolicyFailed
from busbar_fast.reliability.policies.candidates import Candidate
from busbar_fast.reliability.policies.webhook import ANSWER_CAP_BYTES, MAX_DEPTH, encode_question, parse_answer
from tests.reliability.policies.members import FACTS

FULL = Candidate(
    idx=4,
    model="large",
    provider="p",
    weight=3,
    context_max=128000,
    tier="gold",
    cost_per_mtok=2.5,
    latency_ms=120.25,
    available_concurrency=7,
    budget_remaining=12,
    rate_headroom=0.5,
    tags=("vision",),
)


def test_a_question_holds_these_members_and_no_others() -> None:
    """Reliability case 79: counts and configuration are asked about, prompts are not part of the question."""
    assert json.loads(encode_question(FACTS, [FULL, Candidate(5, "é", "q")])) == {
        "request": {
            "pool": "answer",
            "ingress_protocol": "anthropic",
            "message_count": 3,
            "has_tools": True,
            "total_chars": 5000,
            "max_tokens": 256,
            "stream": True,
        },
        "candidates": [
            {
                "idx": 4,
                "model": "large",
                "tier": "gold",
                "cost_per_mtok": 2.5,
                "latency_ms": 120.25,
                "available_concurrency": 7,
                "budget_remaining": 12,
                "rate_headroom": 0.5,
            },
            {
                "idx": 5,
                "model": "é",
                "tier": None,
                "cost_per_mtok": None,
                "latency_ms": None,
                "available_concurrency": None,
                "budget_remaining": None,
                "rate_headroom": None,
            },
        ],
        "context": {"pool": "answer", "budget_remaining": None},
    }


@pytest.mark.parametrize(
    ("raw", "order"),
    [
        (b'{"order":[2,0]}', [2, 0]),
        (b'{"order":[9,1,1,0]}', [9, 1, 1, 0]),
        (b' {"order" : [1] , "why": {"deep": [[]]} } ', [1]),
        (b'{"order":[1],"abstain":false}', [1]),
        (b'{"order":[1],"abstain":null}', [1]),
        (b'{"order":[99999999999999999999]}', [99999999999999999999]),
        (b"{}", None),
        (b'{"order":[]}', None),
        (b'{"order":null}', None),
        (b'{"abstain":true}', None),
        (b'{"abstain":true,"order":[1]}', None),
        (b'{"abstain":true,"order":"x"}', None),
        (b'{"something":"else"}', None),
    ],
)
def test_an_answer_is_an_order_or_an_abstention(raw: bytes, order: list[int] | None) -> None:
    """Reliability case 78: an order is taken as it is, abstain wins over it, what nobody knows is ignored."""
    assert parse_answer(raw) == order


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"order",
        b"[1,2]",
        b"null",
        b'{"order":[1]} x',
        b'{"order":[1]',
        b'{"order":"1"}',
        b'{"order":{"0":1}}',
        b'{"order":[1.0]}',
        b'{"order":[true]}',
        b'{"order":["1"]}',
        b'{"order":[-1]}',
        b'{"order":[null]}',
        b'{"order":[1],"abstain":1}',
        b'{"abstain":0}',
        b'{"abstain":"true"}',
        b'{"score":NaN}',
        b'{"score":-Infinity}',
        b'{"order":[%s]}' % (b"9" * 5000),
        b'{"order":[1],"x":"\xff"}',
        b'\xef\xbb\xbf{"order":[1]}',
    ],
)
def test_anything_else_is_a_failure(raw: bytes) -> None:
    """Reliability case 78: malformed JSON, entries that are no numbers from 0 on, and other shapes are errors."""
    with pytest.raises(PolicyFailed):
        parse_answer(raw)


def test_an_answer_may_nest_so_deep_and_no_deeper() -> None:
    """Reliability §11: nesting above 128 is an error, and brackets inside of strings are no nesting."""
    levels = MAX_DEPTH - 1
    fine = b'{"x":%b%b,"order":[3]}' % (b"[" * levels, b"]" * levels)
    assert parse_answer(fine) == [3]
    with pytest.raises(PolicyFailed, match="128"):
        parse_answer(b'{"x":%b%b}' % (b"[" * MAX_DEPTH, b"]" * MAX_DEPTH))
    assert parse_answer(rb'{"x":"%b\"[","order":[3]}' % (b"[{" * 200)) == [3]


@pytest.mark.parametrize(
    "raw",
    [b'"' + b'\\"' * 32767, b'"' * ANSWER_CAP_BYTES, b"[" * ANSWER_CAP_BYTES, b'"\\"' * 21845, b'"' + b"\\" * 65535],
)
def test_a_hostile_answer_is_refused_soon(raw: bytes) -> None:
    """Reliability case 78: the largest answer that is read costs linear time, whatever it holds."""
    began_s = process_time()
    with pytest.raises(PolicyFailed):
        parse_answer(raw)
    assert process_time() - began_s < 2.0


def test_the_cap_is_for_whoever_reads() -> None:
    """Reliability case 78: an answer of 64 KiB is read, one byte more is not."""
    assert ANSWER_CAP_BYTES == 65536


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_no_bytes_raise_anything_else(raw: bytes) -> None:
    """Reliability §11: whatever arrives is an order, an abstention or a failure of the policy."""
    try:
        order = parse_answer(raw)
    except PolicyFailed:
        return
    assert order is None or all(type(idx) is int for idx in order)
