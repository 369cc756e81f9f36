"""Pools of two vendors that go on with what the other one said: each gets a conversation that it accepts."""

from collections.abc import Sequence
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import pytest

from busbar_fast.mock.content import REDACTED
from tests.agents.agents import Editor, Heard, Patcher
from tests.agents.expectations import CLAUDES, check_heard, check_history, check_ids, said_before
from tests.agents.refusals import asked_to_think, foreign_seals
from tests.agents.scenes import Scene, scene
from tests.agents.stories import EDITING, PATCHING, Story
from tests.golden.sdk_types import REQUESTS
from tests.system.sdk import DIALECTS, openai_caller
from tests.system.sdk_callers import messages_caller
from tests.system.serving import Serve

PAIRS = list(permutations(DIALECTS, 2))
FEWER = [(second, first) for first, second in combinations(DIALECTS, 2)]  # either goes on with the other's turns anyway


def as_told(story: Story, tellers: Sequence[str]) -> Story:
    """Return what is thought when two take turns: a model of Anthropic is not asked to in a loop of another's."""
    numbers = range(len(tellers)) if tellers[0] not in CLAUDES else ()
    return story.without_thoughts([number for number in numbers if tellers[number] in CLAUDES])


def without_stream(document: dict[str, Any]) -> dict[str, Any]:
    """Return a request without what says that its answer is streamed: the SDKs type that apart."""
    return {name: value for name, value in document.items() if name not in ("stream", "stream_options")}


def check_turns(site: Scene, story: Story, tellers: Sequence[str], *, reminds: bool) -> None:
    """Each vendor has read everything that happened, and of the other's seals nothing."""
    assert (site.refusals, [who for who, _, _ in site.turns]) == ([], list(tellers))
    for dialect, received, _ in site.turns[-2:]:  # which hold everything that was said before
        REQUESTS[dialect](without_stream(received.document))
    for number, (dialect, received, came) in enumerate(site.turns):
        before = tellers[:number]
        check_history(came, said_before(story, dialect, before, reminds))
        check_ids(came, dialect, before)
        if dialect in CLAUDES:
            assert bool(asked_to_think(received.document)) is bool(story.turns[number].thought)
    for received in site.received:  # what is counted too
        dialect = site.vendors[received.backend].dialect
        assert b"bbf1" not in received.body
        assert [one for one in foreign_seals(dialect) if one.encode() in received.body] == []
        assert dialect in CLAUDES or REDACTED.encode() not in received.body


def check_all_heard(heard: list[Heard], story: Story, tellers: Sequence[str], stops: tuple[str, str]) -> None:
    """The agent has heard every turn, whoever told it."""
    assert len(heard) == len(story.turns)
    for number, one in enumerate(heard):
        check_heard(one, story, number, tellers[number], stops)


async def check_editor(folder: Path, serve: Serve, story: Story, tellers: Sequence[str]) -> None:
    """Let an agent of Anthropic's kind work, each turn told by who is to tell it; see to it that nobody minds."""
    async with (
        scene(folder, serve, story, list(dict.fromkeys(tellers)), tellers.__getitem__) as site,
        messages_caller(site, "async") as caller,
    ):
        heard = await Editor(caller, story, streamed=True).run()
        check_all_heard(heard, story, tellers, ("tool_use", "end_turn"))
        check_turns(site, story, tellers, reminds=True)


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
async def test_editor_goes_on_with_another_vendor(tmp_path: Path, serve: Serve, pair: tuple[str, str]) -> None:
    """IR cases 21, 22, 24, 62: a lane fails between two turns, and no vendor refuses what the other one has said."""
    tellers = [*pair] * 3
    await check_editor(tmp_path, serve, as_told(EDITING, tellers), tellers)
    assert len(tellers) == len(EDITING.turns)


@pytest.mark.parametrize("pair", FEWER, ids="-".join)
async def test_patcher_goes_on_with_another_vendor(tmp_path: Path, serve: Serve, pair: tuple[str, str]) -> None:
    """IR cases 21, 22, responses 23, 27: a lane fails between two turns, and nobody refuses what the other one said."""
    tellers = [*pair] * 3
    story = as_told(PATCHING, tellers)
    async with (
        scene(tmp_path, serve, story, pair, tellers.__getitem__) as site,
        openai_caller(site, "async") as caller,
    ):
        heard = await Patcher(caller, story, streamed=True).run()
        check_all_heard(heard, story, tellers, ("completed", "completed"))
        check_turns(site, story, tellers, reminds=False)


@pytest.mark.parametrize("other", ["openai", "responses", "gemini", "cohere"])
@pytest.mark.parametrize("claude", CLAUDES)
async def test_loop_begun_without_a_thought_is_gone_on_with(
    tmp_path: Path, serve: Serve, claude: str, other: str
) -> None:
    """Anthropic §8: a vendor that wants a thought at the head of a loop is not asked to think inside another's loop."""
    story = EDITING.without_thoughts(range(len(EDITING.turns)))
    await check_editor(tmp_path, serve, story, [other, claude] * 3)
    assert not any(turn.thought for turn in story.turns)


@pytest.mark.parametrize("claude", CLAUDES)
async def test_model_thinks_again_when_somebody_speaks(tmp_path: Path, serve: Serve, claude: str) -> None:
    """Anthropic §8: the next loop is its own, whoever began the last one."""
    assert EDITING.turns[4].task
    await check_editor(tmp_path, serve, EDITING, ["openai"] * 4 + [claude] * 2)


@pytest.mark.parametrize("claude", CLAUDES)
async def test_words_beside_results_may_begin_a_loop(tmp_path: Path, serve: Serve, claude: str) -> None:
    """Anthropic §8: another one's turn behind a reminder is refused neither as the head of a loop nor inside one."""
    story = EDITING.without_thoughts((3,))
    assert not story.turns[3].task
    await check_editor(tmp_path, serve, story, [claude, claude, "openai", claude, claude, claude])
