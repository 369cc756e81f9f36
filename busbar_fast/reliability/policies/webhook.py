"""The question that is put to a policy behind a URL, and how its answer reads; who asks, and how, is not known here.

Nothing of a prompt is in a question: counts, and what the configuration and the counters say of each member.
"""

import json
import re
from collections.abc import Sequence
from typing import Final, NoReturn

from busbar_fast.errors import PolicyFailed
from busbar_fast.reliability.policies.candidates import Candidate, Order, RequestFacts

# Who reads an answer stops behind these many bytes: a longer one is a failure.
ANSWER_CAP_BYTES: Final = 65536
MAX_DEPTH: Final = 128

# A string that does not end is taken up to the end, so that no byte is looked at twice.
_find_brackets = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|([\[{])|([\]}])', re.DOTALL).finditer


def encode_question(facts: RequestFacts, candidates: Sequence[Candidate]) -> bytes:
    """Return the body of the request to the policy."""
    question = {
        "request": {
            "pool": facts.pool,
            "ingress_protocol": facts.ingress_protocol,
            "message_count": facts.message_count,
            "has_tools": facts.has_tools,
            "total_chars": facts.total_chars,
            "max_tokens": facts.max_tokens,
            "stream": facts.stream,
        },
        "candidates": [
            {
                "idx": candidate.idx,
                "model": candidate.model,
                "tier": candidate.tier,
                "cost_per_mtok": candidate.cost_per_mtok,
                "latency_ms": candidate.latency_ms,
                "available_concurrency": candidate.available_concurrency,
                "budget_remaining": candidate.budget_remaining,
                "rate_headroom": candidate.rate_headroom,
            }
            for candidate in candidates
        ],
        "context": {"pool": facts.pool, "budget_remaining": None},
    }
    return json.dumps(question, separators=(",", ":")).encode()


def parse_answer(raw: bytes) -> Order:
    """Return what the policy ranks, None if it abstains. Raise PolicyFailed for anything that is no answer."""
    _refuse_depth(raw)
    try:
        answer = json.loads(raw.decode(), parse_constant=_refuse_constant)
    except ValueError as error:
        raise PolicyFailed("the answer is not JSON") from error
    if not isinstance(answer, dict):
        raise PolicyFailed("the answer is not an object")
    abstains, order = answer.get("abstain"), answer.get("order")
    if abstains is True:
        return None
    if abstains is not None and abstains is not False:
        raise PolicyFailed("`abstain` is neither true nor false")
    if order is None:
        return None
    if not isinstance(order, list) or not all(type(idx) is int and idx >= 0 for idx in order):
        raise PolicyFailed("`order` is not a list of numbers from 0 on")
    return order or None


def _refuse_depth(raw: bytes) -> None:
    """Raise if brackets outside of strings nest too deeply for any honest answer."""
    depth = 0
    for match in _find_brackets(raw):
        if match[1]:
            depth += 1
            if depth > MAX_DEPTH:
                raise PolicyFailed(f"the answer nests more than {MAX_DEPTH} levels")
        elif match[2]:
            depth -= 1


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")
