"""What a request may hold, as the neutral model has it, and what of it must be the same on the other side.

A feature names the dialects that have no place for it; the report of a translation to one of those says what was lost.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec import MsgspecError, Raw
from msgspec.json import decode as json_decode

from busbar_fast.ir.blocks import Inline, Media, MediaKind, Text, ToolResult, ToolUse, Url
from busbar_fast.ir.requests import (
    ChoiceMode,
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

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA = Raw(b'{"type":"object","properties":{"port":{"type":"string"}},"required":["port"]}')
TIDE = Tool("tide_at", "When the tide comes.", SCHEMA)
WIND = Tool("wind_at", "How the wind blows.", SCHEMA)

Look = Callable[[Request], Any]


class Feature(NamedTuple):
    """See the module. `missing` are those that have no place for it."""

    request: Request
    look: Look
    missing: frozenset[str] = frozenset()


def asked(*turns: Message, **members: Any) -> Request:
    """Return a request of nobody's."""
    said = list(turns) or [Message(Role.USER, [Text(text="Hello")])]
    return Request("nobody", messages=said, **{"sampling": Sampling(max_tokens=Raw(b"100")), **members})


def user(*blocks: Any) -> Message:
    """Return a turn of the user."""
    return Message(Role.USER, [Text(text=block) if isinstance(block, str) else block for block in blocks])


def model(*blocks: Any) -> Message:
    """Return a turn of the model."""
    return Message(Role.ASSISTANT, [Text(text=block) if isinstance(block, str) else block for block in blocks])


def called(number: int, name: str = "tide_at", args: str = '{"port":"Brest"}') -> ToolUse:
    """Return a call."""
    return ToolUse(id=f"call_{number}", name=name, args=Raw(args.encode()))


def result(number: int, *blocks: Any, is_error: bool = False, name: str = "tide_at") -> Message:
    """Return what became of a call."""
    said = [Text(text=block) if isinstance(block, str) else block for block in blocks]
    return Message(Role.TOOL, [ToolResult(tool_id=f"call_{number}", blocks=said, is_error=is_error, name=name)])


# Looks


def texts(request: Request) -> list[tuple[str, str]]:
    """Return who says what, turns of one speaker joined."""
    found: list[tuple[str, str]] = []
    for message in request.messages:
        said = "".join(block.text for block in message.blocks if isinstance(block, Text))
        if said and found and found[-1][0] == message.role.name:
            found[-1] = (message.role.name, found[-1][1] + said)
        elif said:
            found.append((message.role.name, said))
    return found


def system(request: Request) -> str:
    """Return the system prompt."""
    return "\n".join(block.text for block in request.system if isinstance(block, Text))


def calls(request: Request) -> list[tuple[str, Any]]:
    """Return the calls."""
    blocks = [block for message in request.messages for block in message.blocks]
    return [(block.name, json.loads(bytes(block.args))) for block in blocks if isinstance(block, ToolUse)]


def results(request: Request) -> list[tuple[int, str]]:
    """Return of which call, by its place, each result is, and what it says."""
    blocks = [block for message in request.messages for block in message.blocks]
    ids = [block.id for block in blocks if isinstance(block, ToolUse)]
    found = [block for block in blocks if isinstance(block, ToolResult)]
    return [(ids.index(block.tool_id), said_by(block)) for block in found]


def said_by(block: ToolResult) -> str:
    """Return what a result says, whatever it is wrapped in; space around a value of JSON says nothing."""
    parts = [inner.text for inner in block.blocks if isinstance(inner, Text)]
    parts += [bytes(inner.value).decode() for inner in block.blocks if hasattr(inner, "value")]
    text = "".join(parts)
    try:
        document = json_decode(text)
    except MsgspecError:
        return text
    text = text.strip()
    for wrapped in ("result", "output", "error", "content"):
        if isinstance(document, dict) and set(document) == {wrapped}:
            raw = bytes(json_decode(text, type=dict[str, Raw])[wrapped]).decode()  # numbers stay as they are spelt
            return str(json.loads(raw)) if raw.startswith('"') else raw
    return text


def failed(request: Request) -> list[bool]:
    """Return which calls failed."""
    blocks = [block for message in request.messages for block in message.blocks]
    return [block.is_error for block in blocks if isinstance(block, ToolResult)]


def tools(request: Request) -> list[tuple[str, str, Any]]:
    """Return what may be called."""
    return [(tool.name, tool.description, _lower(json.loads(bytes(tool.schema)))) for tool in request.tools]


def _lower(schema: Any) -> Any:
    """Return a schema as JSON Schema spells types."""
    if isinstance(schema, dict):
        return {n: v.lower() if n == "type" and isinstance(v, str) else _lower(v) for n, v in schema.items()}
    return [_lower(inner) for inner in schema] if isinstance(schema, list) else schema


def choice(request: Request) -> tuple[str, str]:
    """Return whether a tool must be called, and which."""
    found = request.tool_choice or ToolChoice(ChoiceMode.AUTO)
    return found.mode.name, found.name


def media(request: Request) -> list[tuple[str, str]]:
    """Return the files."""
    blocks = [block for message in request.messages for block in message.blocks if isinstance(block, Media)]
    return [(block.kind.name, getattr(block.source, "base64", getattr(block.source, "url", ""))) for block in blocks]


def number(name: str) -> Look:
    """Return what looks at one setting of sampling."""

    def look(request: Request) -> Any:
        raw = bytes(getattr(request.sampling, name))
        return json.loads(raw) if raw else None

    return look


def stops(request: Request) -> list[str]:
    """Return the stop sequences."""
    return request.sampling.stop


def shape(request: Request) -> Any:
    """Return the schema that an answer is to follow."""
    return None if request.format is None else _lower(json.loads(bytes(request.format.schema) or b"{}"))


def thinks(request: Request) -> bool:
    """Return whether it is to think."""
    return request.reasoning is not None and request.reasoning.mode is not ReasoningMode.OFF


ASKS = user("How high is the water?")


def sampled(**members: Any) -> Request:
    """Return a request with settings of sampling."""
    return asked(sampling=Sampling(max_tokens=Raw(b"100"), **members))


def _without(*names: str) -> frozenset[str]:
    return frozenset(names)


FEATURES: dict[str, Feature] = {
    "a text": Feature(asked(ASKS), texts),
    "bytes of every length": Feature(asked(user('é 漢 🌊 \u2028 "quoted" \\ \t')), texts),
    "a long text": Feature(asked(user("wave " * 5000)), texts),
    "several turns": Feature(
        asked(ASKS, model("Seven metres."), user("And now?"), model("Six."), user("Thanks")), texts
    ),
    "a system prompt": Feature(asked(system=[Text(text="You watch the sea.")]), system),
    "several system prompts": Feature(asked(system=[Text(text="One."), Text(text="Two.")]), system),
    "the longest answer": Feature(asked(), number("max_tokens")),
    "temperature": Feature(sampled(temperature=Raw(b"0.25")), number("temperature")),
    "top_p": Feature(sampled(top_p=Raw(b"0.5")), number("top_p")),
    "top_k": Feature(sampled(top_k=Raw(b"7")), number("top_k"), _without("openai", "responses")),
    "a seed": Feature(sampled(seed=Raw(b"41")), number("seed"), _without("responses", "anthropic", "bedrock")),
    "a penalty": Feature(
        sampled(frequency_penalty=Raw(b"0.5")),
        number("frequency_penalty"),
        _without("responses", "anthropic", "bedrock"),
    ),
    "stop sequences": Feature(sampled(stop=["END", "###"]), stops, _without("responses")),
    "a tool": Feature(asked(tools=[TIDE]), tools),
    "several tools": Feature(asked(tools=[TIDE, WIND]), tools),
    "a call that must be": Feature(asked(tools=[TIDE], tool_choice=ToolChoice(ChoiceMode.REQUIRED)), choice),
    "no call": Feature(asked(tools=[TIDE], tool_choice=ToolChoice(ChoiceMode.NONE)), choice, _without("bedrock")),
    "a named call": Feature(
        asked(tools=[TIDE, WIND], tool_choice=ToolChoice(ChoiceMode.NAMED, "wind_at")), choice, _without("cohere")
    ),
    "a call and its result": Feature(
        asked(ASKS, model(called(1)), result(1, "7.1 m"), tools=[TIDE]), lambda r: (calls(r), results(r))
    ),
    "parallel calls": Feature(
        asked(
            ASKS,
            model(called(1), called(2, "wind_at")),
            result(1, "7.1 m"),
            result(2, "5 Bft", name="wind_at"),
            tools=[TIDE, WIND],
        ),
        lambda r: (calls(r), results(r)),
    ),
    "numbers that are too large": Feature(
        asked(ASKS, model(called(1, args='{"port":"B","id":12345678901234567890123}')), result(1, "x"), tools=[TIDE]),
        calls,
    ),
    "arguments of every kind": Feature(
        asked(
            ASKS,
            model(called(1, args='{"a":[1,2.5,null,true],"b":{"c":"é\\n"},"port":""}')),
            result(1, "x"),
            tools=[TIDE],
        ),
        calls,
    ),
    "a call that failed": Feature(
        asked(ASKS, model(called(1)), result(1, "no such port", is_error=True), tools=[TIDE]),
        failed,
        _without("openai", "responses", "cohere"),
    ),
    "an image": Feature(
        asked(user("What is this?", Media(kind=MediaKind.IMAGE, source=Inline(PIXEL), mime="image/png"))), media
    ),
    "an image elsewhere": Feature(
        asked(user("What?", Media(kind=MediaKind.IMAGE, source=Url("https://a.example/b.png"), mime="image/png"))),
        media,
        _without("bedrock"),
    ),
    "an answer by a schema": Feature(asked(format=OutputFormat(schema=SCHEMA, name="tide")), shape),
    "thinking": Feature(
        asked(reasoning=Reasoning(ReasoningMode.ON, effort="medium"), sampling=Sampling(max_tokens=Raw(b"20000"))),
        thinks,
    ),
}
