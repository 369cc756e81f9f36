"""An agent of OpenAI's kind over a lane of every dialect: what each vendor reads, and what the agent hears of it."""

from pathlib import Path
from typing import Any

import pytest

from tests.agents.agents import CACHE_KEY, USER, Patcher
from tests.agents.expectations import check_heard, check_history, check_ids, check_seal, said_before
from tests.agents.prompts import SYSTEM
from tests.agents.scenes import MODELS, Scene, scene
from tests.agents.stories import PATCHING
from tests.agents.toolbox import PATCHING_TOOLS
from tests.golden.sdk_types import REQUESTS
from tests.system.sdk import DIALECTS, POOL, openai_caller
from tests.system.serving import Serve

FREE_TEXT = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
# How each vendor is asked to think hard; what is not said of the length is filled in for the one that insists.
THINKING: dict[str, Any] = {
    "anthropic": {"thinking": {"type": "enabled", "budget_tokens": 3072}, "max_tokens": 4096},
    "bedrock": {"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 3072}}},
    "cohere": {"thinking": {"type": "enabled", "token_budget": 16_384}},
    "gemini": {"thinkingBudget": 16_384, "includeThoughts": True},
    "openai": {"reasoning_effort": "high"},
    "responses": {"reasoning": {"effort": "high", "summary": "auto"}, "store": False, "prompt_cache_key": CACHE_KEY},
}
USERS: dict[str, Any] = {
    "anthropic": {"metadata": {"user_id": USER}},
    "openai": {"user": USER},
    "responses": {"safety_identifier": USER, "include": ["reasoning.encrypted_content"]},
}
# Only Anthropic and OpenAI know whether calls may come together.
PARALLEL: dict[str, Any] = {
    "anthropic": {"tool_choice": {"type": "auto", "disable_parallel_tool_use": False}},
    "openai": {"parallel_tool_calls": True, "tool_choice": "auto"},
    "responses": {"parallel_tool_calls": True, "tool_choice": "auto"},
}


def check_settings(site: Scene, lane: str) -> None:
    """What is asked for beside the conversation arrives in each turn."""
    takes_text = lane in ("openai", "responses")
    schemas = {tool.name: tool.schema or (None if takes_text else FREE_TEXT) for tool in PATCHING_TOOLS}
    for dialect, received, came in site.turns:
        document = received.document
        assert dialect == lane
        assert came.system.startswith("\n\n".join(SYSTEM) + "\n<permissions>")
        assert came.tools == [(tool.name, tool.description, schemas[tool.name]) for tool in PATCHING_TOOLS]
        thinking = document["generationConfig"]["thinkingConfig"] if lane == "gemini" else document
        assert THINKING[lane].items() <= thinking.items()
        assert (USERS.get(lane, {}) | PARALLEL.get(lane, {})).items() <= document.items()
        assert document.get("model", MODELS[lane]) == MODELS[lane]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("lane", DIALECTS)
async def test_patcher_works_over_every_lane(tmp_path: Path, serve: Serve, lane: str, streamed: bool) -> None:
    """Responses cases 4, 9 to 11, 15, 23, 24, 30 to 32, 46, 57, 59, 61: six turns, and nothing is lost or doubled."""
    async with scene(tmp_path, serve, PATCHING, (lane,)) as site, openai_caller(site, "async") as caller:
        heard = await Patcher(caller, PATCHING, streamed=streamed).run()
        assert site.refusals == []
        assert len(site.turns) == len(heard) == len(PATCHING.turns)
        for number, one in enumerate(heard):
            check_heard(one, PATCHING, number, lane, ("completed", "completed"))
            check_seal(one, "responses", lane, number)
        for number, (_, _, came) in enumerate(site.turns):
            check_history(came, said_before(PATCHING, lane, [lane] * number, reminds=False))
            check_ids(came, lane, [lane] * number)
        document = site.turns[-1][1].document
        REQUESTS[lane]({name: value for name, value in document.items() if name not in ("stream", "stream_options")})
        check_settings(site, lane)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_own_vendor_gets_the_very_bytes(tmp_path: Path, serve: Serve, streamed: bool) -> None:
    """Responses case 8, IR case 7: each turn is what the agent wrote, but for the model's name."""
    async with scene(tmp_path, serve, PATCHING, ("responses",)) as site, openai_caller(site, "async") as caller:
        await Patcher(caller, PATCHING, streamed=streamed).run()
        name, model = f'"{POOL}"'.encode(), f'"{MODELS["responses"]}"'.encode()
        assert [sent.body.replace(name, model) for sent in site.sent] == [got.body for got in site.received]


@pytest.mark.parametrize("lane", DIALECTS)
async def test_patch_is_free_text_to_the_agent(tmp_path: Path, serve: Serve, lane: str) -> None:
    """Responses §5 "custom": whatever it was to the vendor, the agent gets the patch as it is."""
    async with scene(tmp_path, serve, PATCHING, (lane,)) as site, openai_caller(site, "async") as caller:
        agent = Patcher(caller, PATCHING, streamed=True)
        await agent.run()
        items = [item for item in agent.items if str(item.get("type")).startswith("custom_tool_call")]
        assert [item["type"] for item in items] == ["custom_tool_call", "custom_tool_call_output"]
        assert items[0]["input"] == (
            '*** Begin\n*** Update: gauge.py\n@@\n-zone = "UTC+1"\n+zone = "UTC"  # \u00e9t\u00e9 \U0001f30a\n*** End\n'
        )
        assert items[0]["call_id"] == items[1]["call_id"]
