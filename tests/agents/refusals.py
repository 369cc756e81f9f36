"""What makes a vendor refuse a conversation with 400, as far as a gateway between two turns can cause it.

Each vendor opens only what it has sealed itself; calls and their results belong together; and a loop of calls is one
turn to Anthropic's models, that begins with a thought if they are asked to think, and holds none if they are not.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import Any, Final

from busbar_fast.mock.content import REDACTED
from tests.agents.arrivals import Arrived, Document, arrived
from tests.agents.stories import seal

TURNS: Final = 9
BYPASS: Final = "skip_thought_signature_validator"
_OPENS: Final = {"anthropic": ("anthropic", "bedrock"), "bedrock": ("anthropic", "bedrock")}
_THOUGHTS: Final = frozenset(("thought", "secret"))
_MODELS: Final = _THOUGHTS | {"said", "call"}
_IDS: Final = {
    "anthropic": re.compile(r"[a-zA-Z0-9_-]+"),
    "bedrock": re.compile(r"[a-zA-Z0-9_.:-]{1,64}"),
    "openai": re.compile(r".{1,40}"),
    "responses": re.compile(r".{1,64}"),
}


def own_seals(dialect: str) -> frozenset[str]:
    """Return what a vendor can open."""
    return frozenset(seal(one, number) for one in _OPENS.get(dialect, (dialect,)) for number in range(TURNS))


def foreign_seals(dialect: str) -> frozenset[str]:
    """Return what it cannot."""
    everything = frozenset[str]().union(*map(own_seals, ("anthropic", "gemini", "responses")))
    return everything - own_seals(dialect)


def complaint(dialect: str, document: Document) -> str:
    """Return why a vendor refuses a request, nothing if it takes it."""
    came = arrived(dialect, document)
    refusals = (*_unpaired(dialect, came), *_RULES[dialect](document, came))
    return refusals[0] if refusals else ""


def _unpaired(dialect: str, came: Arrived) -> Iterator[str]:
    """Say which calls have no result right behind them, and which results no call."""
    open_ids: list[str] = []
    fits = _IDS.get(dialect, re.compile(".+")).fullmatch
    for entry in came.entries:
        if entry[0] == "call":
            if not fits(entry[1]):
                yield f"tool call id {entry[1]!r} is malformed"
            open_ids.append(entry[1])
        elif entry[0] == "result":
            if entry[1] not in open_ids:
                yield f"no tool call {entry[1]!r} before its result"
            else:
                open_ids.remove(entry[1])
        elif open_ids and entry[0] in ("user", "said"):
            yield f"tool calls {open_ids} have no result"
    if open_ids:
        yield f"tool calls {open_ids} have no result"
    ids = [entry[1] for entry in came.of("call")]
    if len(ids) != len(set(ids)):
        yield "tool call ids must be unique"


def _no_rule(_document: Document, _came: Arrived) -> Iterator[str]:
    yield from ()


def asked_to_think(document: Document) -> Document:
    """Return how a model of Anthropic is asked to think."""
    thinking: Document = document.get("additionalModelRequestFields", document).get("thinking", {})
    return thinking


def _claude(document: Document, came: Arrived) -> Iterator[str]:
    """Say what a model of Anthropic minds, whoever runs it."""
    own = own_seals("anthropic")
    for entry in came.of("thought"):
        if entry[2] not in own:
            yield f"Invalid `signature` in `thinking` block: {entry[2]!r}"
    for entry in came.of("secret"):
        if entry[1] != REDACTED:
            yield "Invalid `data` in `redacted_thinking` block"
    asked = asked_to_think(document)
    for turn in filter(None, _open_turns(came)):
        if asked.get("type") == "enabled" and turn[0] not in _THOUGHTS:
            yield "Expected `thinking` or `redacted_thinking`, but found `tool_use`, when `thinking` is enabled"
        if asked.get("type", "disabled") == "disabled" and not _THOUGHTS.isdisjoint(turn):
            yield "When `thinking` is disabled, the final turn must not contain `thinking`"
    limit = document.get("max_tokens") or document.get("inferenceConfig", {}).get("maxTokens")
    if limit is not None and asked.get("budget_tokens", 0) >= limit:
        yield "`max_tokens` must be greater than `thinking.budget_tokens`"


def _open_turns(came: Arrived) -> Iterator[list[str]]:
    """Yield what the model has said in the loop that is open: whether words beside results end one nobody says."""
    kinds = [entry[0] for entry in came.entries]
    for is_ended_by_words in (False, True):
        turn: list[str] = []
        for is_model, found in groupby(reversed(kinds), key=_MODELS.__contains__):
            group = list(found)
            if is_model:
                turn = [*reversed(group), *turn]
            elif "result" not in group or (is_ended_by_words and "user" in group):
                break
        yield turn


def _gemini(_document: Document, came: Arrived) -> Iterator[str]:
    own = own_seals("gemini")
    for entry in came.of("call"):
        if entry[4] not in own | {BYPASS}:
            yield f"Function call {entry[2]} is missing a valid thought_signature"
    for entry in came.of("thought"):
        if entry[2] is not None and entry[2] not in own:
            yield "Thought signature is not valid"


def _responses(document: Document, came: Arrived) -> Iterator[str]:
    own = own_seals("responses")
    for entry in came.of("thought"):
        if entry[2] is not None and entry[2] not in own:
            yield "invalid_encrypted_content: could not be verified"
    for item in document["input"]:
        if item.get("type") == "reasoning" and item.get("encrypted_content") is None:
            yield f"Item with id {item.get('id')!r} not found. Items are not persisted when `store` is set to false."


def _openai(document: Document, _came: Arrived) -> Iterator[str]:
    for message in document["messages"]:
        if "reasoning_content" in message:
            yield "Unrecognized request argument: reasoning_content"


_RULES: Mapping[str, Callable[[Any, Arrived], Iterator[str]]] = {
    "anthropic": _claude,
    "bedrock": _claude,
    "gemini": _gemini,
    "responses": _responses,
    "openai": _openai,
    "cohere": _no_rule,
}
