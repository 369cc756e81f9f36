"""A request for an upstream."""

from typing import Final

from msgspec import Raw, structs

from busbar_fast.dialects.anthropic.translation.abilities import NAME
from busbar_fast.dialects.anthropic.translation.block_writer import BlockWriter, mark_of
from busbar_fast.dialects.anthropic.translation.hosted import hosted_tool
from busbar_fast.dialects.loops import has_unsealed_loop, without_thinking
from busbar_fast.dialects.members import integer_of, read_object, without_nothing, write
from busbar_fast.dialects.translator import Recipient
from busbar_fast.errors import Misshapen
from busbar_fast.ir.blocks import NOTHING, AnyBlock, Ext, Text, ToolResult
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import ChoiceMode, Message, Reasoning, ReasoningMode, Request, Role, Sampling, Tool

_ROLES: Final = {Role.USER: "user", Role.TOOL: "user", Role.ASSISTANT: "assistant", Role.SYSTEM: "system"}
_CHOICES: Final = {
    ChoiceMode.AUTO: "auto",
    ChoiceMode.REQUIRED: "any",
    ChoiceMode.NONE: "none",
    ChoiceMode.NAMED: "tool",
}
_NO_SCHEMA: Final = Raw(b'{"type":"object","properties":{}}')
_LEAST_BUDGET: Final = 1024
_WITHOUT_SAMPLING: Final = "2026-10-21"  # the version since which these members are refused
_RANDOMNESS: Final[tuple[str, ...]] = ("temperature", "top_p", "top_k")


def write_request(request: Request, recipient: Recipient, report: Report) -> bytes:
    """Write a request. Raise Misshapen if no turn is left."""
    is_own = request.source == NAME
    ext = dict(request.ext or {})
    reasoning = request.reasoning
    if reasoning is not None and _sets_budget(reasoning, ext, is_own=is_own) and has_unsealed_loop(request.messages):
        ext.pop("thinking", None)
        request = without_thinking(request, report, reasoning.effort if is_own else "")
    blocks = BlockWriter(report, is_client=False)
    messages = _messages(request.messages, blocks, report)
    if not messages:
        raise Misshapen("messages", "must hold at least one message that this model can read")
    thinking, config = _thinking(request, recipient, report, is_own=is_own)
    if request.format is not None and request.format.schema:
        config["format"] = {"type": "json_schema", "schema": request.format.schema}
    is_thinking = bool(thinking) and thinking.get("type") != "disabled"
    members: dict[str, object] = {
        "model": recipient.model,
        "max_tokens": request.sampling.max_tokens or None,
        "system": blocks.blocks(request.system) or None,
        "messages": messages,
        **_tools(request, report, is_forced=not is_thinking or is_own),
        **_randomness(request.sampling, recipient, report, is_refused=is_thinking and not is_own),
        "stop_sequences": request.sampling.stop or None,
        "thinking": thinking or None,
        "output_config": _merged(config, ext.pop("output_config", NOTHING)) or None,
        "metadata": _merged({"user_id": request.user} if request.user else {}, ext.pop("metadata", NOTHING)) or None,
        "cache_control": None if request.mark is None else mark_of(request.mark),
        "stream": True if request.in_stream else None,
    }
    return write(without_nothing(members | ext))


def _merged(members: dict[str, object], raw: Raw) -> dict[str, object]:
    """Return members together with those that nobody has read."""
    return members | (read_object(raw).rest() or {}) if raw else members


# Turns


def _messages(messages: list[Message], writer: BlockWriter, report: Report) -> list[dict[str, object]]:
    """Return the turns, each role after the other: neighbours of one role become one turn, results first in it."""
    turns: list[tuple[str, list[AnyBlock]]] = []
    for message in messages:
        role = _ROLES[message.role]
        kept = [block for block in message.blocks if not (isinstance(block, Text) and not block.text.strip())]
        if not kept:
            continue
        if role == "user":
            kept = [_uncited(block, report) for block in kept]
        if turns and turns[-1][0] == role and not message.ext:
            turns[-1][1].extend(kept)
        else:
            turns.append((role, kept))
    found: list[dict[str, object]] = []
    for role, kept in turns:
        if role == "user" and len(kept) > 1:
            kept.sort(key=_is_no_result)
        content = writer.blocks(kept)
        if content:
            found.append({"role": role, "content": content})
    return found


def _is_no_result(block: AnyBlock) -> bool:
    return not isinstance(block, ToolResult)


def _uncited(block: AnyBlock, report: Report) -> AnyBlock:
    """Return a block of a user, who is not to cite anything."""
    if isinstance(block, Text) and block.citations:
        report.dropped("citations")
        return structs.replace(block, citations=[])
    return block


# Tools


def _tools(request: Request, report: Report, *, is_forced: bool) -> dict[str, object]:
    """Return what concerns tools; `is_forced` says that the model may be made to call one."""
    tools: list[object] = [_tool(tool) for tool in request.tools]
    tools += [hosted_tool(tool, report) for tool in request.hosted]
    if not tools:
        return {}
    choice, parallel = request.tool_choice, request.parallel_tools
    written: dict[str, object] = {}
    if choice is not None:
        mode = choice.mode
        if not is_forced and mode in (ChoiceMode.REQUIRED, ChoiceMode.NAMED):
            mode = ChoiceMode.AUTO
        written["type"] = _CHOICES[mode]
        if mode is ChoiceMode.NAMED:
            written["name"] = choice.name
    elif parallel is not None:
        written["type"] = "auto"
    if parallel is not None and written["type"] != "none":
        written["disable_parallel_tool_use"] = not parallel
    return {"tools": tools, "tool_choice": written or None}


def _tool(tool: Tool) -> dict[str, object]:
    return without_nothing(
        {
            "name": tool.name,
            "description": tool.description or None,
            "input_schema": tool.schema or _NO_SCHEMA,
            "strict": tool.strict,
            "cache_control": None if tool.mark is None else mark_of(tool.mark),
            **(tool.ext or {}),
        }
    )


# Numbers


def _randomness(sampling: Sampling, recipient: Recipient, report: Report, *, is_refused: bool) -> dict[str, object]:
    """Return how an answer is drawn, where the vendor wants to know."""
    version = recipient.options.get("anthropic_version")
    is_refused = is_refused or (isinstance(version, str) and version >= _WITHOUT_SAMPLING)
    found: dict[str, object] = {name: raw for name in _RANDOMNESS if (raw := getattr(sampling, name))}
    if is_refused:
        for name in found:
            report.dropped(name)
        return {}
    return found


def _thinking(
    request: Request, recipient: Recipient, report: Report, *, is_own: bool
) -> tuple[dict[str, object], dict[str, object]]:
    """Return how much the model should think: the member `thinking`, and what `output_config` says of it."""
    reasoning = request.reasoning
    if reasoning is None:
        return {}, {}
    if is_own:
        return _own_thinking(reasoning)
    if reasoning.mode is ReasoningMode.OFF:
        return {"type": "disabled"}, {}
    budget = reasoning.budget
    if budget is None:
        report.mapped("reasoning")
        budget = recipient.budgets.get(reasoning.effort, recipient.budgets["medium"])
    most = integer_of(request.sampling.max_tokens) or 0
    if budget > most - _LEAST_BUDGET:
        budget = most - _LEAST_BUDGET
        report.clamped("reasoning")
    if budget < _LEAST_BUDGET:
        report.dropped("reasoning")
        return {}, {}
    return {"type": "enabled", "budget_tokens": budget}, {}


def _own_thinking(reasoning: Reasoning) -> tuple[dict[str, object], dict[str, object]]:
    config: dict[str, object] = {"effort": reasoning.effort} if reasoning.effort else {}
    display = {} if reasoning.is_shown is None else {"display": "summarized" if reasoning.is_shown else "omitted"}
    if reasoning.mode is ReasoningMode.OFF:
        return {"type": "disabled"}, config
    if reasoning.mode is ReasoningMode.DYNAMIC:
        return {"type": "adaptive", **display}, config
    if reasoning.budget is None:
        return {}, config
    return {"type": "enabled", "budget_tokens": reasoning.budget, **display}, config


def _sets_budget(reasoning: Reasoning, ext: Ext, *, is_own: bool) -> bool:
    """Say whether a number of tokens to think for is set; who chooses for itself does not mind how a loop began."""
    if is_own:
        return reasoning.mode is ReasoningMode.ON and (reasoning.budget is not None or "thinking" in ext)
    return reasoning.mode is not ReasoningMode.OFF
