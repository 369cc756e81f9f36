"""An agent of Anthropic's kind over a lane of every dialect: what each vendor reads, and what the agent hears of it."""

from pathlib import Path
from typing import Any

import pytest

from tests.agents.agents import ADAPTIVE, BETAS, BUDGET, MOST, USER, Editor
from tests.agents.expectations import check_heard, check_history, check_ids, check_seal, said_before
from tests.agents.prompts import SYSTEM
from tests.agents.scenes import COUNTED, MODELS, Scene, scene
from tests.agents.stories import EDITING
from tests.agents.toolbox import TOOLS
from tests.golden.sdk_types import REQUESTS
from tests.system.sdk import DIALECTS, POOL
from tests.system.sdk_callers import messages_caller
from tests.system.serving import Serve

# How each vendor is asked to think for 10 000 tokens, and for as much as a model sees fit.
THINKING: dict[str, Any] = {
    "anthropic": {"thinking": BUDGET},
    "bedrock": {"additionalModelRequestFields": {"thinking": BUDGET}},
    "cohere": {"thinking": {"type": "enabled", "token_budget": 10_000}},
    "gemini": {"thinkingBudget": 10_000, "includeThoughts": True},
    "openai": {"reasoning_effort": "medium"},
    "responses": {"reasoning": {"effort": "medium", "summary": "auto"}},
}
LIMITS = {
    "anthropic": ("max_tokens",),
    "bedrock": ("inferenceConfig", "maxTokens"),
    "cohere": ("max_tokens",),
    "gemini": ("generationConfig", "maxOutputTokens"),
    "openai": ("max_tokens",),
    "responses": ("max_output_tokens",),
}
MARKS = {
    "anthropic": (b'"cache_control"', 4),
    "bedrock": (b'"cachePoint"', 4),
    "openai": (b'"prompt_cache_breakpoint"', 3),
    "responses": (b'"cache_control"', 0),  # its prompt is one text, in which no place can be marked
}
USERS: dict[str, Any] = {"anthropic": {"metadata": {"user_id": USER}}, "openai": {"user": USER}}


def in_place(document: Any, path: tuple[str, ...]) -> Any:
    """Return what stands at a path."""
    for name in path:
        document = document[name]
    return document


def check_settings(site: Scene, lane: str) -> None:
    """What is asked for beside the conversation arrives in each turn."""
    for dialect, received, came in site.turns:
        document = received.document
        assert dialect == lane
        assert came.system == "\n".join(SYSTEM)
        assert came.tools == [(tool.name, tool.description, tool.schema) for tool in TOOLS]
        assert in_place(document, LIMITS[lane]) == MOST
        thinking = document["generationConfig"]["thinkingConfig"] if lane == "gemini" else document
        assert THINKING[lane].items() <= thinking.items()
        assert USERS.get(lane, {}).items() <= document.items()
        assert document.get("model", MODELS[lane]) == MODELS[lane]
        assert (received.fields.get(b"anthropic-beta") == BETAS.encode()) is (lane == "anthropic")


def check_marks(site: Scene, lane: str) -> None:
    """What is worth caching is marked where the vendor has such marks: four places, and three where tools have none."""
    sign, count = MARKS.get(lane, (b"cache", 0))
    last = [came.of("user", "result")[-1] for _, _, came in site.turns]
    marks = [count - (lane == "openai" and entry[2:3] == ("",)) for entry in last]  # an empty text has no place for one
    assert [received.body.count(sign) for _, received, _ in site.turns] == marks


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("lane", DIALECTS)
async def test_editor_works_over_every_lane(tmp_path: Path, serve: Serve, lane: str, streamed: bool) -> None:
    """IR cases 1, 2, 5, 6, 21, 24 to 28, 36, 38, 52 to 55: six turns of many tools, and nothing is lost or doubled."""
    async with scene(tmp_path, serve, EDITING, (lane,)) as site, messages_caller(site, "async") as caller:
        agent = Editor(caller, EDITING, streamed=streamed)
        heard = await agent.run()
        assert site.refusals == []
        assert len(site.turns) == len(heard) == len(EDITING.turns)
        for number, one in enumerate(heard):
            check_heard(one, EDITING, number, lane, ("tool_use", "end_turn"))
            check_seal(one, "anthropic", lane, number)
            assert one.secrets == (EDITING.turns[number].has_secret and lane in ("anthropic", "bedrock"))
        for number, (_, _, came) in enumerate(site.turns):
            check_history(came, said_before(EDITING, lane, [lane] * number, reminds=True))
            check_ids(came, lane, [lane] * number)
        document = site.turns[-1][1].document
        REQUESTS[lane]({name: value for name, value in document.items() if name not in ("stream", "stream_options")})
        check_settings(site, lane)
        check_marks(site, lane)
        assert agent.counts == [COUNTED if lane == "anthropic" else None] * len(EDITING.turns)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_own_vendor_gets_the_very_bytes(tmp_path: Path, serve: Serve, streamed: bool) -> None:
    """Anthropic cases 4, 5, IR case 7: each turn and each count is what the agent wrote, but for the model's name."""
    async with scene(tmp_path, serve, EDITING, ("anthropic",)) as site, messages_caller(site, "async") as caller:
        await Editor(caller, EDITING, streamed=streamed).run()
        name, model = f'"{POOL}"'.encode(), f'"{MODELS["anthropic"]}"'.encode()
        assert [sent.body.replace(name, model) for sent in site.sent] == [got.body for got in site.received]
        assert [sent.path.encode() for sent in site.sent] == [got.target for got in site.received]
        counted = [got for got in site.received if got.target.endswith(b"/count_tokens")]
        assert [set(got.document) for got in counted] == [{"messages", "model", "system", "thinking", "tools"}] * len(
            EDITING.turns
        )


@pytest.mark.parametrize("lane", DIALECTS)
async def test_editor_lets_the_model_choose_how_long_it_thinks(tmp_path: Path, serve: Serve, lane: str) -> None:
    """IR case 18: adaptive thinking and an effort reach each vendor in a form of its own, through the whole story."""
    asked: dict[str, Any] = {
        "anthropic": {"thinking": ADAPTIVE, "output_config": {"effort": "high"}},
        "bedrock": {"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 16_384}}},
        "cohere": {"thinking": {"type": "enabled", "token_budget": 16_384}},
        "gemini": {"thinkingBudget": 16_384, "includeThoughts": True},
        "openai": {"reasoning_effort": "high"},
        "responses": {"reasoning": {"effort": "high", "summary": "auto"}},
    }
    async with scene(tmp_path, serve, EDITING, (lane,)) as site, messages_caller(site, "async") as caller:
        heard = await Editor(caller, EDITING, streamed=True, thinking=ADAPTIVE).run()
        assert ([one.thought for one in heard], site.refusals) == ([turn.thought for turn in EDITING.turns], [])
        for _, received, _ in site.turns:
            document = received.document
            thinking = document["generationConfig"]["thinkingConfig"] if lane == "gemini" else document
            assert asked[lane].items() <= thinking.items()


async def test_tokens_are_counted_by_whoever_can(tmp_path: Path, serve: Serve) -> None:
    """Anthropic §2: in a pool of several vendors the client's own one counts, whoever tells the turns."""
    lanes = ("openai", "anthropic", "gemini")
    made = scene(tmp_path, serve, EDITING, lanes, lambda _turn: "openai")
    async with made as site, messages_caller(site, "async") as caller:
        agent = Editor(caller, EDITING, streamed=True)
        await agent.run()
        assert agent.counts == [COUNTED] * len(EDITING.turns)
        counted = [one for one in site.received if b"count" in one.target]
        assert [one.backend for one in counted] == [1] * len(EDITING.turns)
        assert all(b"bbf1" not in one.body and b'"thinking":"' not in one.body for one in counted)
