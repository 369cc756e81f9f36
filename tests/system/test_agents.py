"""Conversations of coding agents, turn by turn, by the official clients at lanes of every dialect.

The agents are of our own making, shaped like those that people use: one speaks Messages, with a system prompt of many
kilobytes that is to be cached, a dozen tools, thinking and calls in parallel; the other speaks Responses, keeps nothing
with the vendor and carries its sealed reasoning from turn to turn. Both send back all they were told, to the letter.
"""

import json
from typing import Any

import pytest

from busbar_fast.gateway.admission import Admission
from busbar_fast.ir.blocks import Text, Thinking, ToolResult, ToolUse
from busbar_fast.ir.requests import Request, Role
from busbar_fast.mock.script import Script
from tests.system.gateways import Shape, gateway_over
from tests.system.sdk import DIALECTS, MODEL, OWN_KEY, POOL, TOKEN, Stand, openai_caller
from tests.system.sdk_callers import messages_caller
from tests.system.serving import Serve
from tests.system.tongues import bench

RULES = "You repair boats. Say what you do before you do it, touch nothing that you were not asked about. " * 250
HARBOUR = "Harbour: Brest. Berth 7. Tools lie in the shed. Nobody works at low water."
NAMES = (
    "run_command", "read_file", "write_file", "edit_file", "find_files", "search_text", "list_folder", "fetch_page",
    "plan_steps", "ask_colleague", "note_down", "end_task",
)  # fmt: skip
STEPS = (
    Script(
        thinking=True, text="I look at the hull first.", tools=("read_file",), args='{"path":"hull.md","depth":1.50}'
    ),
    Script(thinking=True, tools=("search_text", "list_folder"), args='{"path":"keel","deep":true}'),
    Script(tools=("edit_file",), args='{"path":"hull.md","edits":[{"old":"läck","new":"dicht \\\\n"}]}'),
    Script(thinking=True, text="Done: she is tight.", usage_in=900, usage_out=40, cached=700),
)
FOUND = {"read_file": "plank 3 is loose\n", "search_text": "3 lines", "list_folder": "bow\nstern", "edit_file": "ok"}


def schema(name: str) -> dict[str, Any]:
    """Return what a tool takes: nested, as real ones are."""
    edit = {"type": "object", "properties": {"old": {"type": "string"}, "new": {"type": "string"}}, "required": ["old"]}
    return {
        "type": "object",
        "properties": {
            "path": {"type": "string", "description": f"where to {name}"},
            "depth": {"type": "number"},
            "edits": {"type": "array", "items": edit},
        },
        "required": ["path"],
    }


def check_turn(request: Request, turn: int) -> None:
    """See that a lane has the conversation up to this turn: rules, tools, calls with their results, in order."""
    first = "".join(block.text for block in request.system if isinstance(block, Text))
    later = "".join(
        block.text
        for message in request.messages
        if message.role is Role.SYSTEM
        for block in message.blocks
        if isinstance(block, Text)
    )
    assert RULES.strip() in first + later
    assert HARBOUR in first + later
    assert [tool.name for tool in request.tools] == list(NAMES)
    blocks = [block for message in request.messages for block in message.blocks]
    called = [block for block in blocks if isinstance(block, ToolUse)]
    wanted = [(name, json.loads(script.args)) for script in STEPS[:turn] for name in script.tools]
    assert [(block.name, json.loads(bytes(block.args))) for block in called] == wanted
    results = [block for block in blocks if isinstance(block, ToolResult)]
    assert [block.tool_id for block in results] == [block.id for block in called]
    said = ["".join(part.text for part in block.blocks if isinstance(part, Text)) for block in results]
    assert said == [FOUND[name] for name, _ in wanted]


def shape_of(*lanes: str) -> Shape:
    """Return a pool of lanes that may think and cache."""
    admission = Admission("token", [TOKEN])
    return Shape(pool=POOL, dialects=lanes, model=MODEL, key=OWN_KEY, admission=admission, is_mixed=True)


async def repair_by_messages(site: Stand, *, streamed: bool) -> list[Any]:
    """Let the first agent work; return its turns."""
    tools: Any = [{"name": name, "description": f"To {name}.", "input_schema": schema(name)} for name in NAMES]
    system: Any = [
        {"type": "text", "text": RULES, "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": HARBOUR, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    ]
    asked: dict[str, Any] = {
        "model": POOL,
        "max_tokens": 20_000,
        "system": system,
        "tools": tools,
        "thinking": {"type": "enabled", "budget_tokens": 4096},
        "metadata": {"user_id": "user_7_session_9"},
    }
    first = {"type": "text", "text": "She leaks.", "cache_control": {"type": "ephemeral"}}
    turns: list[Any] = [{"role": "user", "content": [first]}]
    answers = []
    async with messages_caller(site, "async") as caller:
        for _ in STEPS:
            if streamed:
                async with caller.client.messages.stream(**asked, messages=turns) as stream:
                    answer = await stream.get_final_message()
            else:
                answer = await caller.client.messages.create(**asked, messages=turns)
            answers.append(answer)
            turns.append(
                {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in answer.content]}
            )
            results = [
                {"type": "tool_result", "tool_use_id": block.id, "content": FOUND[block.name]}
                for block in answer.content
                if block.type == "tool_use"
            ]
            if not results:
                break
            turns.append({"role": "user", "content": results})
    return answers


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("lane", DIALECTS)
async def test_agent_that_speaks_messages(serve: Serve, parser_kind: str, lane: str, streamed: bool) -> None:
    """Issue "coding agents", IR cases 21, 25: four turns, calls in parallel, and each lane has all of it."""
    async with gateway_over(serve, parser_kind, list(STEPS), shape=shape_of(lane)) as front:
        answers = await repair_by_messages(Stand(front), streamed=streamed)
        requests = [bench(lane).read(received.body) for received in front.received]
    assert len(answers) == len(requests) == len(STEPS)
    for turn, request in enumerate(requests):
        check_turn(request, turn)
    assert [answer.stop_reason for answer in answers] == ["tool_use", "tool_use", "tool_use", "end_turn"]
    for answer, script in zip(answers, STEPS, strict=True):
        uses = [block for block in answer.content if block.type == "tool_use"]
        assert [(use.name, use.input) for use in uses] == [(name, json.loads(script.args)) for name in script.tools]
    last = [block.text for block in answers[-1].content if block.type == "text"]
    assert last == ["Done: she is tight."]
    assert answers[-1].usage.output_tokens == 40
    assert not any(b"bbf1" in received.body for received in front.received)


async def repair_by_responses(site: Stand, *, streamed: bool) -> list[Any]:
    """Let the second agent work; return its turns."""
    tools: Any = [{"type": "function", "name": name, "parameters": schema(name), "strict": False} for name in NAMES]
    asked: dict[str, Any] = {
        "model": POOL,
        "instructions": RULES + HARBOUR,
        "tools": tools,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "reasoning": {"effort": "medium", "summary": "auto"},
        "parallel_tool_calls": True,
        "prompt_cache_key": "session-9",
    }
    items: list[Any] = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "She leaks."}]}]
    answers = []
    async with openai_caller(site, "async") as caller:
        for _ in STEPS:
            if streamed:
                events = await caller.client.responses.create(**asked, input=items, stream=True)
                answer = [event async for event in events][-1].response
            else:
                answer = await caller.client.responses.create(**asked, input=items)
            answers.append(answer)
            items += [item.model_dump(exclude_none=True) for item in answer.output]
            calls = [item for item in answer.output if item.type == "function_call"]
            if not calls:
                break
            items += [
                {"type": "function_call_output", "call_id": call.call_id, "output": FOUND[call.name]} for call in calls
            ]
    return answers


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("lane", DIALECTS)
async def test_agent_that_speaks_responses(serve: Serve, parser_kind: str, lane: str, streamed: bool) -> None:
    """Issue "coding agents", IR cases 21, 25: sealed reasoning comes along, and only its own vendor sees it."""
    async with gateway_over(serve, parser_kind, list(STEPS), shape=shape_of(lane)) as front:
        answers = await repair_by_responses(Stand(front), streamed=streamed)
        requests = [bench(lane).read(received.body) for received in front.received]
    assert len(answers) == len(requests) == len(STEPS)
    for turn, request in enumerate(requests):
        check_turn(request, turn)
    assert [answer.status for answer in answers] == ["completed"] * 4
    for answer, script in zip(answers, STEPS, strict=True):
        calls = [item for item in answer.output if item.type == "function_call"]
        assert [(call.name, json.loads(call.arguments)) for call in calls] == [
            (name, json.loads(script.args)) for name in script.tools
        ]
    assert answers[-1].output_text == "Done: she is tight."
    assert not any(b"bbf1" in received.body for received in front.received)


async def test_vendor_may_change_in_the_middle(serve: Serve, parser_kind: str) -> None:
    """Issue "coding agents", IR case 22: the next lane, of another vendor, has all of it but the seals."""
    steps = [STEPS[0], Script(status=503), STEPS[1], Script(status=503), STEPS[2], STEPS[3]]
    async with gateway_over(serve, parser_kind, steps, shape=shape_of("anthropic", "openai", "gemini")) as front:
        answers = await repair_by_messages(Stand(front), streamed=True)
        received = list(front.received)
    assert [answer.stop_reason for answer in answers] == ["tool_use", "tool_use", "tool_use", "end_turn"]
    paths = {one.target.partition(b"?")[0] for one in received}
    assert len(paths) > 1
    assert not any(b"bbf1" in one.body for one in received)
    thoughts = [
        block
        for one in received
        if one.target == b"/v1/messages"
        for message in bench("anthropic").read(one.body).messages
        for block in message.blocks
        if isinstance(block, Thinking)
    ]
    assert all(block.seal is not None for block in thoughts)
