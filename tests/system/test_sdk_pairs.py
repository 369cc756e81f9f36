"""The six official clients at lanes of every dialect, whole and streamed: all 36 pairs (issue: the SDKs drive them).

Each client is asked for a thought, a text and a call, and reads them by its own types.
"""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from busbar_fast.gateway.admission import Admission
from busbar_fast.mock.script import Script
from tests.system.gateways import Shape, gateway_over
from tests.system.sdk import DIALECTS, MODEL, OWN_KEY, POOL, TOKEN, Stand, in_thread, openai_caller
from tests.system.sdk_callers import contents_caller, converse_client, messages_caller
from tests.system.sdk_cohere import cohere_caller
from tests.system.serving import Serve
from tests.system.tongues import Said

NAME = "tide_at"
WHAT = "When is high water at a port"
SCHEMA: Any = {"type": "object", "properties": {"port": {"type": "string"}}, "required": ["port"]}
SCRIPT = Script(
    text="Tide is h\u00f6ch", tools=(NAME,), args='{"port": "Brest"}', thinking=True, usage_in=31, usage_out=18
)
THOUGHT = "The user wants an answer, so I give one."
SAID = Said(THOUGHT, "Tide is h\u00f6ch", [(NAME, {"port": "Brest"})])
USED = (31, 18)
Report = tuple[Said, tuple[int, int], str]

FUNCTION: Any = {"name": NAME, "description": WHAT, "parameters": SCHEMA}
CHAT_TOOL: Any = {"type": "function", "function": FUNCTION}
TURNS: Any = [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}]


@asynccontextmanager
async def over(serve: Serve, parser: str, lane: str) -> AsyncIterator[Stand]:
    """Run a gateway whose pool is one lane of a dialect."""
    admission = Admission("token", [TOKEN])
    shape = Shape(pool=POOL, dialects=(lane,), model=MODEL, key=OWN_KEY, admission=admission, is_mixed=True)
    async with gateway_over(serve, parser, SCRIPT, shape=shape) as front:
        yield Stand(front)


async def by_openai(site: Stand, *, streamed: bool) -> Report:
    """Ask as chat."""
    asked: Any = {"model": POOL, "messages": TURNS, "tools": [CHAT_TOOL], "max_tokens": 99}
    async with openai_caller(site, "async") as caller:
        if streamed:
            async with caller.client.chat.completions.stream(**asked, stream_options={"include_usage": True}) as events:
                chunks = [event.chunk async for event in events if event.type == "chunk"]
                got = await events.get_final_completion()
            thought = "".join(
                getattr(choice.delta, "reasoning_content", None) or "" for chunk in chunks for choice in chunk.choices
            )
        else:
            got = await caller.client.chat.completions.create(**asked)
            thought = got.choices[0].message.reasoning_content
    (choice,) = got.choices
    calls = [(call.function.name, json.loads(call.function.arguments)) for call in choice.message.tool_calls]
    used = (got.usage.prompt_tokens, got.usage.completion_tokens)
    return Said(thought, choice.message.content, calls), used, choice.finish_reason


async def by_responses(site: Stand, *, streamed: bool) -> Report:
    """Ask for a response."""
    tool: Any = {"type": "function", "strict": False, **FUNCTION}
    asked: Any = {"model": POOL, "instructions": "be kind", "input": "hi", "tools": [tool], "max_output_tokens": 99}
    async with openai_caller(site, "async") as caller:
        if streamed:
            async with caller.client.responses.stream(**asked) as events:
                got = await events.get_final_response()
        else:
            got = await caller.client.responses.create(**asked)
    thoughts = [
        part.text for item in got.output if item.type == "reasoning" for part in [*(item.content or []), *item.summary]
    ]
    calls = [(item.name, json.loads(item.arguments)) for item in got.output if item.type == "function_call"]
    return (
        Said("".join(thoughts), got.output_text, calls),
        (got.usage.input_tokens, got.usage.output_tokens),
        got.status,
    )


async def by_anthropic(site: Stand, *, streamed: bool) -> Report:
    """Ask for a message."""
    tool: Any = {"name": NAME, "description": WHAT, "input_schema": SCHEMA}
    asked: Any = {"model": POOL, "system": "be kind", "messages": TURNS[1:], "tools": [tool], "max_tokens": 99}
    async with messages_caller(site, "async") as caller:
        if streamed:
            _, (got, _) = await caller.stream(**asked)
        else:
            got = await caller.client.messages.create(**asked)
    thought = "".join(block.thinking for block in got.content if block.type == "thinking")
    text = "".join(block.text for block in got.content if block.type == "text")
    calls = [(block.name, block.input) for block in got.content if block.type == "tool_use"]
    return Said(thought, text, calls), (got.usage.input_tokens, got.usage.output_tokens), got.stop_reason


async def by_gemini(site: Stand, *, streamed: bool) -> Report:
    """Ask for content."""
    tool: Any = {
        "function_declarations": [{"name": NAME, "description": WHAT, "parameters_json_schema": SCHEMA}],
    }
    thinking: Any = {"include_thoughts": True, "thinking_budget": 1024}
    config: Any = {"system_instruction": "be kind", "tools": [tool], "thinking_config": thinking}
    asked: Any = {"model": POOL, "contents": "hi", "config": config}
    async with contents_caller(site, "async") as caller:
        if streamed:
            chunks = [part async for part in await caller.client.models.generate_content_stream(**asked)]
        else:
            chunks = [await caller.client.models.generate_content(**asked)]
    parts = [part for chunk in chunks for part in (chunk.candidates[0].content.parts or [])]
    thought = "".join(part.text or "" for part in parts if part.thought)
    text = "".join(part.text or "" for part in parts if not part.thought)
    calls = [(part.function_call.name, part.function_call.args) for part in parts if part.function_call]
    used = chunks[-1].usage_metadata
    total = (used.candidates_token_count or 0) + (used.thoughts_token_count or 0)
    return Said(thought, text, calls), (used.prompt_token_count, total), chunks[-1].candidates[0].finish_reason.value


async def by_bedrock(site: Stand, *, streamed: bool) -> Report:
    """Ask by boto3."""
    tool = {"toolSpec": {"name": NAME, "description": WHAT, "inputSchema": {"json": SCHEMA}}}
    asked: Any = {
        "modelId": POOL,
        "system": [{"text": "be kind"}],
        "messages": [{"role": "user", "content": [{"text": "hi"}]}],
        "toolConfig": {"tools": [tool]},
        "inferenceConfig": {"maxTokens": 99},
    }

    def read() -> Report:
        with converse_client(site) as client:
            if not streamed:
                got = client.converse(**asked)
                return _of_bedrock(got["output"]["message"]["content"], got["usage"], got["stopReason"])
            events = list(client.converse_stream(**asked)["stream"])
        blocks: dict[int, dict[str, Any]] = {}
        for event in events:
            if "contentBlockStart" in event:
                start = event["contentBlockStart"]
                blocks[start["contentBlockIndex"]] = {"toolUse": {**start["start"]["toolUse"], "input": ""}}
            elif "contentBlockDelta" in event:
                change = event["contentBlockDelta"]
                _add(blocks.setdefault(change["contentBlockIndex"], {}), change["delta"])
        for block in blocks.values():
            if "toolUse" in block:
                block["toolUse"]["input"] = json.loads(block["toolUse"]["input"])
        (end,) = [event["messageStop"] for event in events if "messageStop" in event]
        (meta,) = [event["metadata"] for event in events if "metadata" in event]
        return _of_bedrock([blocks[key] for key in sorted(blocks)], meta["usage"], end["stopReason"])

    return await in_thread(read)


def _add(block: dict[str, Any], change: dict[str, Any]) -> None:
    """Put a piece of a streamed block behind what there is of it."""
    if "text" in change:
        block["text"] = block.get("text", "") + change["text"]
    elif "toolUse" in change:
        block["toolUse"]["input"] += change["toolUse"]["input"]
    elif "reasoningContent" in change:
        said = block.setdefault("reasoningContent", {}).setdefault("reasoningText", {"text": ""})
        said["text"] += change["reasoningContent"].get("text", "")


def _of_bedrock(blocks: list[dict[str, Any]], usage: dict[str, int], stop: str) -> Report:
    thoughts = [block["reasoningContent"]["reasoningText"]["text"] for block in blocks if "reasoningContent" in block]
    calls = [(block["toolUse"]["name"], block["toolUse"]["input"]) for block in blocks if "toolUse" in block]
    text = "".join(block.get("text", "") for block in blocks)
    return Said("".join(thoughts), text, calls), (usage["inputTokens"], usage["outputTokens"]), stop


async def by_cohere(site: Stand, *, streamed: bool) -> Report:
    """Ask by Cohere's second API."""
    asked: Any = {"model": POOL, "messages": TURNS, "tools": [CHAT_TOOL], "max_tokens": 99}
    async with cohere_caller(site, "async") as caller:
        if not streamed:
            got = await caller.client.chat(**asked)
            blocks = got.message.content or []
            thought = "".join(block.thinking for block in blocks if block.type == "thinking")
            text = "".join(block.text for block in blocks if block.type == "text") + (got.message.tool_plan or "")
            calls = [(call.function.name, json.loads(call.function.arguments)) for call in got.message.tool_calls]
            return Said(thought, text, calls), _used(got.usage), got.finish_reason
        events = [event async for event in caller.client.chat_stream(**asked)]
    deltas = [event.delta.message.content for event in events if event.type == "content-delta"]
    thought = "".join(delta.thinking or "" for delta in deltas)
    text = "".join(delta.text or "" for delta in deltas)
    text += "".join(event.delta.message.tool_plan for event in events if event.type == "tool-plan-delta")
    names = [event.delta.message.tool_calls.function.name for event in events if event.type == "tool-call-start"]
    begun = [event.delta.message.tool_calls.function.arguments for event in events if event.type == "tool-call-start"]
    rest = [event.delta.message.tool_calls.function.arguments for event in events if event.type == "tool-call-delta"]
    (name,) = names
    (end,) = [event.delta for event in events if event.type == "message-end"]
    calls = [(name, json.loads("".join([*(begun or []), *rest])))]
    return Said(thought, text, calls), _used(end.usage), end.finish_reason


def _used(usage: Any) -> tuple[int, int]:
    return int(usage.tokens.input_tokens), int(usage.tokens.output_tokens)


CLIENTS: dict[str, tuple[Callable[..., Any], str]] = {
    "openai": (by_openai, "tool_calls"),
    "responses": (by_responses, "completed"),
    "anthropic": (by_anthropic, "tool_use"),
    "gemini": (by_gemini, "STOP"),
    "bedrock": (by_bedrock, "tool_use"),
    "cohere": (by_cohere, "TOOL_CALL"),
}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("lane", DIALECTS)
@pytest.mark.parametrize("client", CLIENTS)
async def test_every_client_reads_every_lane(
    serve: Serve, parser_kind: str, client: str, lane: str, streamed: bool
) -> None:
    """IR cases 1, 2, 19, 56: thought, text, call, end and usage are what the lane said, in the client's own types."""
    ask, end = CLIENTS[client]
    async with over(serve, parser_kind, lane) as site:
        said, used, stop = await ask(site, streamed=streamed)
    assert said == SAID
    assert used == USED
    assert stop == end
