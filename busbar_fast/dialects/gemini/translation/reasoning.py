"""How much a model should think: tokens on some lanes, a word on newer ones, never both."""

import re
from typing import Final

from busbar_fast.dialects.gemini.translation.abilities import NAME
from busbar_fast.dialects.gemini.translation.carrying import packed, unpacked
from busbar_fast.dialects.gemini.translation.fields import Fields
from busbar_fast.dialects.translator import Recipient
from busbar_fast.ir.blocks import Ext
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import Reasoning, ReasoningMode, Request

_LEVELS: Final = {1: "LOW", 2: "MEDIUM", 3: "HIGH", 4: "MINIMAL", 5: "XHIGH"}
_UNSAID: Final[tuple[str, ...]] = ("", "THINKING_LEVEL_UNSPECIFIED")
_NATIVE: Final = frozenset(_LEVELS.values())
_MOST: Final = "XHIGH"
_LEAST: Final = "MINIMAL"
_OFF: Final = 0
_DYNAMIC: Final = -1
_MODES: Final = {_OFF: ReasoningMode.OFF, _DYNAMIC: ReasoningMode.DYNAMIC}

# Lanes that are asked in words: by the setting, else by the name of the model.
_OPTION: Final = "thinking"
_match_generation: Final = re.compile(r"(?:.*/)?gemini-(\d+)").match
_FIRST_WITH_LEVELS: Final = 3


def read_reasoning(config: Fields) -> tuple[Reasoning | None, Ext]:
    """Return what a client wants, and what else it says of it."""
    budget = config.integer("thinkingBudget")
    level = config.word("thinkingLevel", _LEVELS)
    is_shown = config.flag("includeThoughts")
    effort = "" if level in _UNSAID else level.lower()
    mode = ReasoningMode.ON if budget is None or effort else _MODES.get(budget, ReasoningMode.ON)
    says_amount = mode is ReasoningMode.ON and not effort
    reasoning = Reasoning(mode, effort, budget if says_amount else None, is_shown)
    is_said = effort or budget is not None or is_shown
    return reasoning if is_said else None, packed(config.rest(), "thinkingConfig")


def thinking_config(request: Request, recipient: Recipient, report: Report) -> dict[str, object]:
    """Return how a lane is asked; nothing if it is not."""
    reasoning = request.reasoning
    is_own = request.source == NAME
    config: dict[str, object] = {}
    if reasoning is not None:
        amount = _native_amount if is_own else _level if _takes_levels(recipient) else _budget
        config |= amount(reasoning, recipient, report)
        is_shown = reasoning.is_shown
        if is_shown is None and not is_own and reasoning.mode is not ReasoningMode.OFF:
            is_shown = True  # without it no thoughts come back
        if is_shown is not None:
            config["includeThoughts"] = is_shown
    return config | unpacked(request.ext, "thinkingConfig")


def _takes_levels(recipient: Recipient) -> bool:
    option = recipient.options.get(_OPTION)
    generation = _match_generation(recipient.model)
    if option is not None:
        return option == "level"
    return generation is not None and int(generation[1]) >= _FIRST_WITH_LEVELS


def _native_amount(reasoning: Reasoning, _recipient: Recipient, _report: Report) -> dict[str, object]:
    """Return what a client of this dialect said itself."""
    if reasoning.effort:
        return {"thinkingLevel": reasoning.effort.upper()}
    return _tokens(reasoning)


def _level(reasoning: Reasoning, recipient: Recipient, report: Report) -> dict[str, object]:
    """Return a word for what was asked for; such lanes are dynamic if nothing is, and always think."""
    if reasoning.mode is ReasoningMode.OFF:
        report.mapped("reasoning", _LEAST.lower())
        return {"thinkingLevel": _LEAST}
    effort = reasoning.effort
    if reasoning.budget is not None:
        effort = _effort_of(reasoning.budget, recipient)
        report.mapped("reasoning", effort)
    if not effort:
        return {}
    level = effort.upper()
    if level not in _NATIVE:
        report.mapped("reasoning", effort)
        level = _MOST
    return {"thinkingLevel": level}


def _budget(reasoning: Reasoning, recipient: Recipient, report: Report) -> dict[str, object]:
    """Return tokens for what was asked for."""
    budget = recipient.budgets.get(reasoning.effort)
    if budget is None or reasoning.mode is ReasoningMode.OFF:
        return _tokens(reasoning)
    report.mapped("reasoning", reasoning.effort)
    return {"thinkingBudget": budget}


def _tokens(reasoning: Reasoning) -> dict[str, object]:
    if reasoning.mode is ReasoningMode.OFF:
        return {"thinkingBudget": _OFF}
    if reasoning.mode is ReasoningMode.DYNAMIC and not reasoning.budget:
        return {"thinkingBudget": _DYNAMIC}
    return {} if reasoning.budget is None else {"thinkingBudget": reasoning.budget}


def _effort_of(budget: int, recipient: Recipient) -> str:
    """Return the largest effort that a budget reaches, the least one if it reaches none."""
    reached = [effort for effort, least in recipient.budgets.items() if budget >= least]
    return max(reached, key=lambda effort: recipient.budgets[effort], default=_LEAST.lower())
