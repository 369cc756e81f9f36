"""Two coding agents, each with the official client of its vendor: they loop until the model calls for nothing more.

What the model said goes back as it came, seals included. Each turn they heard is kept as a `Heard`.
"""

import json
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import anthropic

from tests.agents.prompts import FIRST_TASK, PROJECT, REMINDER, ROLE, RULES, SECOND_TASK
from tests.agents.stories import Result, Story
from tests.agents.toolbox import PATCHING_TOOLS, TOOLS, Tool
from tests.system.sdk import POOL, Caller

TASKS: Final = {"first": FIRST_TASK, "second": SECOND_TASK}
BETAS: Final = "interleaved-thinking-2025-05-14,fine-grained-tool-streaming-2025-05-14"
USER: Final = "user_7c1f_account__session_41e0"
BUDGET: Final = {"type": "enabled", "budget_tokens": 10_000}
ADAPTIVE: Final = {"type": "adaptive", "display": "summarized"}
CACHE: Final = {"type": "ephemeral"}
CACHE_KEY: Final = "session-41e0"
MOST: Final = 32_000


class Heard(NamedTuple):
    """One turn as an agent's own types have it; `usage` is prompt without cache, read, written, and output."""

    thought: str
    seal: str
    text: str
    calls: list[tuple[str, str, Any]]
    stop: str
    usage: tuple[int, int, int, int]
    secrets: int = 0


class Editor:
    """Speaks with Anthropic's client: many tools, a large system prompt with cache marks, thinking."""

    def __init__(self, caller: Caller, story: Story, *, streamed: bool, thinking: Any = BUDGET) -> None:
        self._caller = caller
        self._story = story
        self._streamed = streamed
        self.messages: list[Any] = []
        self.heard: list[Heard] = []
        self.counts: list[int | None] = []  # None: nobody there can count
        self.asked: dict[str, Any] = {
            "model": POOL,
            "system": [
                {"type": "text", "text": ROLE},
                {"type": "text", "text": RULES, "cache_control": CACHE},
                {"type": "text", "text": PROJECT, "cache_control": CACHE | {"ttl": "1h"}},
            ],
            "tools": [_for_editor(tool) for tool in TOOLS[:-1]] + [_for_editor(TOOLS[-1]) | {"cache_control": CACHE}],
            "thinking": thinking,
            "extra_headers": {"anthropic-beta": BETAS},
        }
        if thinking is ADAPTIVE:
            self.asked["output_config"] = {"effort": "high"}

    async def run(self) -> list[Heard]:
        """Go through the story; return what was heard."""
        blocks: list[Any] = []
        for number, turn in enumerate(self._story.turns):
            if turn.task:
                blocks = [{"type": "text", "text": TASKS[turn.task]}]
            self._say(blocks)
            self.counts.append(await self._count())
            message = await self._ask()
            self._hear(message)
            self.messages.append({"role": "assistant", "content": message.content})
            used = [block for block in message.content if block.type == "tool_use"]
            blocks = [_tool_result(block.id, turn.results[at]) for at, block in enumerate(used)]
            if number == 1:
                blocks.append({"type": "text", "text": REMINDER})
        return self.heard

    def _say(self, blocks: list[Any]) -> None:
        """Say something, and mark the end of it: everything before may come from the cache the next time."""
        for message in self.messages:
            if message["role"] == "user":
                message["content"][-1].pop("cache_control", None)
        self.messages.append({"role": "user", "content": [*blocks[:-1], blocks[-1] | {"cache_control": CACHE}]})

    async def _count(self) -> int | None:
        try:
            counted = await self._caller.client.messages.count_tokens(messages=self.messages, **self.asked)
        except anthropic.NotFoundError:
            return None
        return int(counted.input_tokens)

    async def _ask(self) -> Any:
        asked = self.asked | {"messages": self.messages, "max_tokens": MOST, "metadata": {"user_id": USER}}
        if not self._streamed:
            return await self._caller.client.messages.create(**asked)
        async with self._caller.client.messages.stream(**asked) as stream:
            return await stream.get_final_message()

    def _hear(self, message: Any) -> None:
        blocks, usage = message.content, message.usage
        thoughts = [block for block in blocks if block.type == "thinking"]
        self.heard.append(
            Heard(
                "".join(block.thinking for block in thoughts),
                "".join(block.signature for block in thoughts),
                "".join(block.text for block in blocks if block.type == "text"),
                [(block.id, block.name, block.input) for block in blocks if block.type == "tool_use"],
                message.stop_reason,
                (
                    usage.input_tokens,
                    usage.cache_read_input_tokens or 0,
                    usage.cache_creation_input_tokens or 0,
                    usage.output_tokens,
                ),
                sum(block.type == "redacted_thinking" for block in blocks),
            )
        )


def _for_editor(tool: Tool) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "input_schema": tool.schema}


def _tool_result(tool_id: str, result: Result) -> dict[str, Any]:
    content: Any = result.text
    if result.image:
        source = {"type": "base64", "media_type": "image/png", "data": result.image}
        content = [{"type": "text", "text": result.text}, {"type": "image", "source": source}]
    told = {"type": "tool_result", "tool_use_id": tool_id, "content": content}
    return told | ({"is_error": True} if result.is_error else {})


class Patcher:
    """Speaks with OpenAI's client: nothing is stored, so thoughts travel sealed; one tool takes free text."""

    def __init__(self, caller: Caller, story: Story, *, streamed: bool) -> None:
        self._caller = caller
        self._story = story
        self._streamed = streamed
        self.items: list[Any] = [_message("developer", "<permissions>The folder may be written to.</permissions>")]
        self.heard: list[Heard] = []
        self.asked: dict[str, Any] = {
            "model": POOL,
            "instructions": f"{ROLE}\n\n{RULES}\n\n{PROJECT}",
            "tools": [_for_patcher(tool) for tool in PATCHING_TOOLS],
            "tool_choice": "auto",
            "parallel_tool_calls": True,
            "reasoning": {"effort": "high", "summary": "auto"},
            "store": False,
            "include": ["reasoning.encrypted_content"],
            "prompt_cache_key": CACHE_KEY,
            "safety_identifier": USER,
        }

    async def run(self) -> list[Heard]:
        """Go through the story; return what was heard."""
        for turn in self._story.turns:
            if turn.task:
                self.items.append(_message("user", TASKS[turn.task]))
            response = await self._ask()
            self._hear(response)
            self.items += (item.to_dict() for item in response.output)
            used = [item for item in response.output if item.type in ("function_call", "custom_tool_call")]
            self.items += (_output(item, result) for item, result in zip(used, turn.results, strict=True))
        return self.heard

    async def _ask(self) -> Any:
        asked = self.asked | {"input": self.items}
        if not self._streamed:
            return await self._caller.client.responses.create(**asked)
        async with self._caller.client.responses.stream(**asked) as stream:
            done = [event.item async for event in stream if event.type == "response.output_item.done"]
            response = await stream.get_final_response()
        final = [_without_parsed(item) for item in response.output]
        assert [item.to_dict() for item in done] == final
        response.output = done  # as agents keep them: what the helper has parsed is its own
        return response

    def _hear(self, response: Any) -> None:
        items, usage = response.output, response.usage
        thoughts = [item for item in items if item.type == "reasoning"]
        details = usage.input_tokens_details
        self.heard.append(
            Heard(
                "".join(part.text for item in thoughts for part in (*(item.content or ()), *item.summary)),
                "".join(item.encrypted_content or "" for item in thoughts),
                response.output_text,
                list(_calls(items)),
                response.status,
                (
                    usage.input_tokens - details.cached_tokens - details.cache_write_tokens,
                    details.cached_tokens,
                    details.cache_write_tokens,
                    usage.output_tokens,
                ),
            )
        )


def _without_parsed(value: Any) -> Any:
    """Return what came, without what the client's helper made of it."""
    if isinstance(value, list):
        return [_without_parsed(inner) for inner in value]
    members = value.to_dict() if hasattr(value, "to_dict") else value
    if not isinstance(members, dict):
        return members
    return {name: _without_parsed(inner) for name, inner in members.items() if not name.startswith("parsed")}


def _calls(items: Iterable[Any]) -> Iterable[tuple[str, str, Any]]:
    for item in items:
        if item.type == "function_call":
            yield item.call_id, item.name, json.loads(item.arguments)
        elif item.type == "custom_tool_call":
            yield item.call_id, item.name, {"input": item.input}


def _message(role: str, text: str) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}


def _for_patcher(tool: Tool) -> dict[str, Any]:
    if tool.schema is None:
        grammar = {"type": "grammar", "syntax": "lark", "definition": 'start: "*** Begin" /.+/s "*** End"'}
        return {"type": "custom", "name": tool.name, "description": tool.description, "format": grammar}
    head = {"type": "function", "name": tool.name, "description": tool.description}
    return head | {"parameters": tool.schema, "strict": False}


def _output(item: Any, result: Result) -> dict[str, Any]:
    said: Any = result.text
    if result.image:
        url = f"data:image/png;base64,{result.image}"
        said = [{"type": "input_text", "text": said}, {"type": "input_image", "image_url": url, "detail": "auto"}]
    return {"type": f"{item.type}_output", "call_id": item.call_id, "output": said}
