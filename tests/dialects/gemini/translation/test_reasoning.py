"""How much is to be thought."""

from typing import Any

import pytest
from msgspec import Raw

from busbar_fast.dialects.gemini.translation.fields import fields_of
from busbar_fast.dialects.gemini.translation.reasoning import read_reasoning, thinking_config
from busbar_fast.dialects.translator import Recipient
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import Reasoning, ReasoningMode, Request
from tests.dialects.gemini.translation.turns import foreign, lost, raw

OFF, ON, DYNAMIC = ReasoningMode
BUDGETS = Recipient("flash-2.5")
LEVELS = Recipient("models/gemini-3-pro")


def understood(**config: object) -> Reasoning | None:
    """Return what a client wants."""
    return read_reasoning(fields_of(raw(config)))[0]


def sent(reasoning: Reasoning | None, lane: Recipient, report: Report | None = None) -> dict[str, Any]:
    """Return how a lane is asked for a client of another dialect."""
    return thinking_config(foreign(reasoning=reasoning), lane, report or Report())


@pytest.mark.parametrize(
    ("config", "reasoning"),
    [
        ({}, None),
        ({"thinking_budget": 2048, "include_thoughts": True}, Reasoning(ON, budget=2048, is_shown=True)),
        ({"thinkingBudget": 0}, Reasoning(OFF)),
        ({"thinkingBudget": -1}, Reasoning(DYNAMIC)),
        ({"thinkingLevel": "LOW"}, Reasoning(ON, "low")),
        ({"thinkingLevel": "XHIGH", "includeThoughts": False}, Reasoning(ON, "xhigh", is_shown=False)),
        ({"thinkingLevel": "LOW", "thinkingBudget": 0}, Reasoning(ON, "low")),
        ({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, None),
        ({"includeThoughts": True}, Reasoning(ON, is_shown=True)),
        ({"includeThoughts": False}, None),
    ],
)
def test_a_wish_is_read(config: dict[str, object], reasoning: Reasoning | None) -> None:
    """Tokens, words and either spelling are understood (gemini.md cases 24, 25 and 26)."""
    assert understood(**config) == reasoning


def test_what_else_is_said_is_carried() -> None:
    """It comes back where it was."""
    left = read_reasoning(fields_of(raw({"soon": 1})))[1]
    assert left == {"thinkingConfig.soon": Raw(b"1")}
    assert thinking_config(Request("gemini", ext=left), BUDGETS, Report()) == {"soon": Raw(b"1")}


@pytest.mark.parametrize(
    "config",
    [
        {"thinkingBudget": 2048, "includeThoughts": True},
        {"thinkingBudget": 0},
        {"thinkingBudget": -1, "includeThoughts": False},
        {"thinkingLevel": "LOW"},
        {"includeThoughts": True},
    ],
)
@pytest.mark.parametrize("lane", [BUDGETS, LEVELS])
def test_a_wish_of_an_own_client_comes_back(config: dict[str, object], lane: Recipient) -> None:
    """Whatever the lane is called, the client knows what it takes."""
    assert thinking_config(Request("gemini", reasoning=understood(**config)), lane, Report()) == config


@pytest.mark.parametrize(
    ("reasoning", "config", "is_mapped"),
    [
        (None, {}, False),
        (Reasoning(OFF), {"thinkingBudget": 0}, False),
        (Reasoning(OFF, "low"), {"thinkingBudget": 0}, False),
        (Reasoning(DYNAMIC), {"thinkingBudget": -1, "includeThoughts": True}, False),
        (Reasoning(ON, "high"), {"thinkingBudget": 16384, "includeThoughts": True}, True),
        (Reasoning(ON, budget=100, is_shown=False), {"thinkingBudget": 100, "includeThoughts": False}, False),
        (Reasoning(ON), {"includeThoughts": True}, False),
    ],
)
def test_a_lane_is_asked_in_tokens(reasoning: Reasoning | None, config: object, is_mapped: bool) -> None:
    """Thoughts are shown unless somebody hides them (gemini.md section 9)."""
    report = Report()
    assert sent(reasoning, BUDGETS, report) == config
    assert lost(report) == ([("mapped", "reasoning")] if is_mapped else [])


@pytest.mark.parametrize(
    ("reasoning", "config", "is_mapped"),
    [
        (Reasoning(OFF), {"thinkingLevel": "MINIMAL"}, True),
        (Reasoning(DYNAMIC), {"includeThoughts": True}, False),
        (Reasoning(ON, "low"), {"thinkingLevel": "LOW", "includeThoughts": True}, False),
        (Reasoning(ON, "max"), {"thinkingLevel": "XHIGH", "includeThoughts": True}, True),
        (Reasoning(ON, budget=9000), {"thinkingLevel": "MEDIUM", "includeThoughts": True}, True),
        (Reasoning(ON, budget=1), {"thinkingLevel": "MINIMAL", "includeThoughts": True}, True),
    ],
)
def test_a_newer_lane_is_asked_in_words(reasoning: Reasoning, config: object, is_mapped: bool) -> None:
    """Never in both, which is an error there (gemini.md case 26)."""
    report = Report()
    assert sent(reasoning, LEVELS, report) == config
    assert lost(report) == ([("mapped", "reasoning")] if is_mapped else [])


@pytest.mark.parametrize(
    ("model", "option", "name"),
    [
        ("gemini-2.5-pro", {}, "thinkingBudget"),
        ("gemini-2.5-pro", {"thinking": "level"}, "thinkingLevel"),
        ("gemini-3-pro", {"thinking": "budget"}, "thinkingBudget"),
        ("gemini-10", {}, "thinkingLevel"),
        ("gemma-3", {}, "thinkingBudget"),
    ],
)
def test_a_setting_or_the_name_tells_lanes_apart(model: str, option: dict[str, str], name: str) -> None:
    """The setting wins."""
    lane = Recipient(model, options=option)
    assert list(sent(Reasoning(ON, "low"), lane)) == [name, "includeThoughts"]
