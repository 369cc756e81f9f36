"""A client's request; the model and whether a stream is wanted stand in the path."""

from typing import Final

from msgspec import Raw

from busbar_fast.dialects.asks import Ask
from busbar_fast.dialects.bedrock.translation.abilities import NAME
from busbar_fast.dialects.bedrock.translation.block_reader import GUARDED, BlockReader
from busbar_fast.dialects.members import Members, integer_of, object_of, read_object, text_of, write
from busbar_fast.ir.blocks import NOTHING, AnyBlock, Ext, Mark, Opaque
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import (
    ChoiceMode,
    HostedTool,
    Message,
    OutputFormat,
    Reasoning,
    ReasoningMode,
    Request,
    Role,
    Sampling,
    Tool,
    ToolChoice,
)

_ROLES: Final = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}
_THINKING: Final = {"enabled": ReasoningMode.ON, "adaptive": ReasoningMode.DYNAMIC, "disabled": ReasoningMode.OFF}
_MOST: Final = 2**32 - 1
_GUARDRAILS: Final = "guardrailConfig"
_BLOCKS: Final = BlockReader(is_client=True)


def read_request(body: bytes, ask: Ask, report: Report) -> Request:
    """Read a request. Raise NotJson, TooDeep or Misshapen."""
    members = read_object(body)
    parts = {name: members.maybe_object(name) or Members({}) for name in _NESTED}
    tools, hosted = _tools(parts["toolConfig"])
    system = _BLOCKS.blocks(members, "system")
    messages = [_message(one) for one in members.objects("messages")]
    guards = [_GUARDRAILS] if _GUARDRAILS in members else []
    if _has_guarded(system) or any(_has_guarded(message.blocks) for message in messages):
        guards.append(GUARDED)
    request = Request(
        NAME,
        system,
        messages,
        tools,
        hosted,
        _choice(parts["toolConfig"]),
        sampling=_sampling(parts["inferenceConfig"], parts["additionalModelRequestFields"], report),
        format=_format(parts["outputConfig"]),
        reasoning=_reasoning(parts["additionalModelRequestFields"], parts["outputConfig"]),
        in_stream=bool(ask.in_stream),
        guards=guards,
    )
    ext: Ext = dict(members.rest() or {})
    ext |= {name: Raw(write(rest)) for name, left in parts.items() if (rest := left.rest())}
    request.ext = ext or None
    return request


_NESTED: Final[tuple[str, ...]] = ("toolConfig", "inferenceConfig", "additionalModelRequestFields", "outputConfig")


def _has_guarded(blocks: list[AnyBlock]) -> bool:
    return any(isinstance(block, Opaque) and block.label == "guardrails" for block in blocks)


def _message(members: Members) -> Message:
    role = members.text("role")
    if role not in _ROLES:
        raise members.wrong("role", f"must be one of {', '.join(_ROLES)}")
    return Message(_ROLES[role], _BLOCKS.blocks(members, "content"), members.rest())


def _tools(config: Members) -> tuple[list[Tool], list[HostedTool]]:
    tools: list[Tool] = []
    hosted: list[HostedTool] = []
    for at, raw in enumerate(config.maybe_items("tools") or []):
        one = object_of(raw, f"toolConfig.tools[{at}]")
        spec, point = one.maybe_object("toolSpec"), one.maybe_object("cachePoint")
        if point is not None:
            if tools:
                tools[-1].mark = Mark(point.maybe_text("ttl") or "")
        elif spec is None:
            hosted.append(HostedTool("other", NAME, raw))
        else:
            schema = spec.maybe_object("inputSchema") or Members({})
            name, description = spec.text("name"), spec.maybe_text("description") or ""
            strict = spec.flag("strict")
            tools.append(Tool(name, description, schema.raw("json"), strict=strict, ext=spec.rest()))
    return tools, hosted


def _choice(config: Members) -> ToolChoice | None:
    choice = config.maybe_object("toolChoice")
    if choice is None:
        return None
    if "any" in choice:
        return ToolChoice(ChoiceMode.REQUIRED)
    tool = choice.maybe_object("tool")
    name = "" if tool is None else tool.maybe_text("name") or ""
    if name:
        return ToolChoice(ChoiceMode.NAMED, name)
    return ToolChoice(ChoiceMode.AUTO) if "auto" in choice else None


def _sampling(config: Members, fields: Members, report: Report) -> Sampling:
    raw = config.number("maxTokens")
    most = integer_of(raw) if raw else None
    if raw and (most is None or not 1 <= most <= _MOST):
        report.dropped("max_tokens")
        raw = NOTHING
    return Sampling(
        raw,
        config.number("temperature"),
        config.number("topP"),
        fields.number("top_k") or fields.number("topK"),
        stop=[text for one in config.maybe_items("stopSequences") or [] if (text := text_of(one))],
    )


def _reasoning(fields: Members, output: Members) -> Reasoning | None:
    """Read how much a model should think, by any of the three ways there are."""
    effort = output.maybe_text("effort") or ""
    thinking = fields.maybe_object("thinking") or fields.maybe_object("reasoning_config")
    if thinking is None:
        return Reasoning(ReasoningMode.ON, effort) if effort else None
    mode = _THINKING.get(thinking.maybe_text("type") or "", ReasoningMode.DYNAMIC)
    return Reasoning(mode, effort, None if effort else thinking.integer("budget_tokens"))


def _format(output: Members) -> OutputFormat | None:
    """Read what an answer should look like; the schema is a text that holds JSON."""
    asked = output.maybe_object("textFormat")
    structure = None if asked is None else asked.maybe_object("structure")
    schema = None if structure is None else structure.maybe_object("jsonSchema")
    if asked is None:
        return None
    if schema is None:
        return OutputFormat()
    text = schema.maybe_text("schema")
    return OutputFormat(
        NOTHING if text is None else Raw(text.encode()),
        name=schema.maybe_text("name") or "",
        description=schema.maybe_text("description") or "",
    )
