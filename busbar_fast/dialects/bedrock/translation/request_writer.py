"""A request for an upstream."""

from typing import Final

from msgspec import Raw

from busbar_fast.dialects.bedrock.translation.abilities import NAME
from busbar_fast.dialects.bedrock.translation.block_writer import BlockWriter, mark_of
from busbar_fast.dialects.loops import has_unsealed_loop, without_thinking
from busbar_fast.dialects.members import integer_of, read_object, without_nothing, write
from busbar_fast.dialects.translator import Recipient
from busbar_fast.errors import Misshapen
from busbar_fast.ir.blocks import NOTHING, AnyBlock, Ext, Media, MediaKind, Text, ToolResult, ToolUse
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import ChoiceMode, Message, OutputFormat, ReasoningMode, Request, Role, Tool

_ROLES: Final = {Role.USER: "user", Role.TOOL: "user", Role.ASSISTANT: "assistant", Role.SYSTEM: "system"}
_NO_SCHEMA: Final = Raw(b'{"type":"object","properties":{}}')
_LEAST_BUDGET: Final = 1024
# Families of models that take what the others refuse, by a part of their names.
_THINKERS: Final = "claude"
_TOP_K_INSIDE: Final = "nova"
_MATCHED: Final = "/stop_sequence"


def write_request(request: Request, recipient: Recipient, report: Report) -> bytes:
    """Write a request. Raise Misshapen if no turn is left that could begin a conversation."""
    if _sets_budget(request, recipient) and has_unsealed_loop(request.messages):
        request = without_thinking(request, report)
    writer = BlockWriter(report)
    messages = _messages(request.messages, writer)
    if not messages or messages[0]["role"] == "assistant":
        raise Misshapen("messages", "must begin with a message that this model can read from a user")
    is_own = request.source == NAME
    ext = dict(request.ext or {})
    fields, output, budget = _thinking(request, recipient, report)
    is_thinking = budget > 0 and not is_own
    fields |= _top_k(request, recipient, report, is_refused=is_thinking)
    if request.format is not None:
        output |= _format(request.format, report)
    members: dict[str, object] = {
        "messages": messages,
        "system": writer.blocks(request.system) or None,
        "inferenceConfig": _merged(_inference(request, report, is_thinking=is_thinking), ext, "inferenceConfig"),
        "toolConfig": _merged(_tools(request, report, is_forced=not is_thinking), ext, "toolConfig"),
        "additionalModelRequestFields": _merged(fields, ext, "additionalModelRequestFields"),
        "outputConfig": _merged(output, ext, "outputConfig"),
        "additionalModelResponseFieldPaths": None if is_own or not request.sampling.stop else [_MATCHED],
    }
    return write(without_nothing(members | ext))


def _merged(members: dict[str, object], ext: Ext, name: str) -> dict[str, object] | None:
    """Return members together with those that nobody has read; None if there are none."""
    raw = ext.pop(name, NOTHING)
    return without_nothing(members | (read_object(raw).rest() or {}) if raw else members) or None


def _messages(messages: list[Message], writer: BlockWriter) -> list[dict[str, object]]:
    """Return the turns, each role after the other; a turn with nothing to say is none."""
    turns: list[tuple[str, list[AnyBlock]]] = []
    for message in messages:
        role = _ROLES[message.role]
        kept = [block for block in message.blocks if not (isinstance(block, Text) and not block.text.strip())]
        if kept and turns and turns[-1][0] == role:
            turns[-1][1].extend(kept)
        elif kept:
            turns.append((role, kept))
    found: list[dict[str, object]] = []
    for role, kept in turns:
        content = writer.blocks(sorted(kept, key=_is_no_result) if role == "user" else kept)
        has_document = any(isinstance(block, Media) and block.kind is MediaKind.DOCUMENT for block in kept)
        if has_document and not any(isinstance(block, Text) for block in kept):
            content.append({"text": "."})  # a document alone is refused
        if content:
            found.append({"role": role, "content": content})
    return found


def _is_no_result(block: AnyBlock) -> bool:
    return not isinstance(block, ToolResult)


# Tools


def _tools(request: Request, report: Report, *, is_forced: bool) -> dict[str, object]:
    """Return the tools; a history with calls needs some, so what it names is made up if need be."""
    tools: list[object] = []
    for tool in request.tools:
        tools.append({"toolSpec": _spec(tool)})
        if tool.mark is not None:
            tools.append({"cachePoint": mark_of(tool.mark)})
    tools += [tool.raw for tool in request.hosted]
    if not tools:
        called = (block.name for turn in request.messages for block in turn.blocks if isinstance(block, ToolUse))
        tools = [{"toolSpec": _spec(Tool(name))} for name in dict.fromkeys(called)]
        if tools:
            report.filled("tools")
        return {"tools": tools} if tools else {}
    choice = request.tool_choice
    if choice is None:
        return {"tools": tools}
    mode = choice.mode if is_forced else ChoiceMode.AUTO
    written: dict[str, object] = {"auto": {}}
    if mode is ChoiceMode.REQUIRED:
        written = {"any": {}}
    elif mode is ChoiceMode.NAMED:
        written = {"tool": {"name": choice.name}}
    return {"tools": tools, "toolChoice": written}


def _spec(tool: Tool) -> dict[str, object]:
    members: dict[str, object] = {
        "name": tool.name,
        "description": tool.description or None,
        "inputSchema": {"json": tool.schema or _NO_SCHEMA},
        "strict": tool.strict,
        **(tool.ext or {}),
    }
    return without_nothing(members)


# Numbers


def _inference(request: Request, report: Report, *, is_thinking: bool) -> dict[str, object]:
    sampling = request.sampling
    found: dict[str, object] = {"maxTokens": sampling.max_tokens, "stopSequences": sampling.stop or None}
    for name, label, raw in (("temperature", "temperature", sampling.temperature), ("topP", "top_p", sampling.top_p)):
        if raw and is_thinking:
            report.dropped(label)
        elif raw:
            found[name] = raw
    return found


def _top_k(request: Request, recipient: Recipient, report: Report, *, is_refused: bool) -> dict[str, object]:
    """Return the number of candidates for a token where this family of models wants it; others have no place for it."""
    raw, model = request.sampling.top_k, recipient.model
    if not raw:
        return {}
    if request.source == NAME or (_THINKERS in model and not is_refused):
        return {"top_k": raw}
    if _TOP_K_INSIDE in model:
        return {"inferenceConfig": {"topK": raw}}
    report.dropped("top_k")
    return {}


def _thinking(
    request: Request, recipient: Recipient, report: Report
) -> tuple[dict[str, object], dict[str, object], int]:
    """Return how much the model should think, as a field of its own and as an effort, and how many tokens that is."""
    reasoning = request.reasoning
    if reasoning is None:
        return {}, {}, 0
    output: dict[str, object] = {}
    if request.source == NAME:
        output = {"effort": reasoning.effort} if reasoning.effort else {}
        if reasoning.mode is ReasoningMode.OFF:
            return {"thinking": {"type": "disabled"}}, output, 0
        if reasoning.mode is ReasoningMode.DYNAMIC:
            return {"thinking": {"type": "adaptive"}}, output, 1
        if reasoning.budget is None:
            return {}, output, 1
        return {"thinking": {"type": "enabled", "budget_tokens": reasoning.budget}}, output, reasoning.budget
    if _THINKERS not in recipient.model:
        report.dropped("reasoning")
        return {}, {}, 0
    if reasoning.mode is ReasoningMode.OFF:
        return {"thinking": {"type": "disabled"}}, {}, 0
    budget = reasoning.budget
    if budget is None:
        report.mapped("reasoning")
        budget = recipient.budgets.get(reasoning.effort, recipient.budgets["medium"])
    raw = request.sampling.max_tokens
    most = ((integer_of(raw) if raw else None) or recipient.default_max_tokens) - _LEAST_BUDGET
    if budget > most:
        report.clamped("reasoning")
        budget = most
    if budget < _LEAST_BUDGET:
        report.dropped("reasoning")
        return {}, {}, 0
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}, {}, budget


def _sets_budget(request: Request, recipient: Recipient) -> bool:
    """Say whether a number of tokens to think for is set; who chooses for itself does not mind how a loop began."""
    reasoning = request.reasoning
    if reasoning is None:
        return False
    if request.source == NAME:
        return reasoning.mode is ReasoningMode.ON and reasoning.budget is not None
    return reasoning.mode is not ReasoningMode.OFF and _THINKERS in recipient.model


def _format(asked: OutputFormat, report: Report) -> dict[str, object]:
    """Return what an answer should look like; without a schema there is no way to say it."""
    if not asked.schema:
        report.dropped("response_format")
        return {}
    schema = {
        "schema": bytes(asked.schema).decode(),
        "name": asked.name or None,
        "description": asked.description or None,
    }
    return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": without_nothing(schema)}}}
