"""What a vendor must read in each turn of a story, and what its agent must hear; by the chapters, not by our code."""

import json
from collections.abc import Iterator, Sequence
from typing import Final

from busbar_fast.mock.content import REDACTED
from tests.agents.agents import TASKS, Heard
from tests.agents.arrivals import Arrived, Entry
from tests.agents.prompts import REMINDER
from tests.agents.refusals import BYPASS, own_seals
from tests.agents.stories import (
    USAGE_OUT,
    Story,
    Turn,
    cached_tokens,
    prompt_tokens,
    seal,
    written_tokens,
)

# Thoughts of turns before: a vendor gets back what it sealed itself; some take what nobody sealed; one takes none.
SEALING: Final = ("anthropic", "bedrock", "responses")
UNSEALED: Final = ("gemini", "cohere")
_KNOWS_FAILURE: Final = ("anthropic", "bedrock", "gemini")
_HOLDS_IMAGE: Final = ("anthropic", "bedrock", "responses")  # in a result; else it stands behind the results
_KNOWS_WRITTEN: Final = ("anthropic", "bedrock", "openai", "responses")  # how much went into a cache
NOBODYS: Final = "bbf1nonebm9uZQ=="  # what a client sees that gives thoughts back to a vendor which wants them sealed
CLAUDES: Final = ("anthropic", "bedrock")  # whose models are Anthropic's, so that they open each other's seals
_FAMILY: Final = dict.fromkeys(CLAUDES, "claude")


def said_before(story: Story, dialect: str, tellers: Sequence[str], reminds: bool) -> list[Entry]:
    """Return what a vendor must read; `tellers` are those who have told the turns so far.

    A model of Anthropic that is not to think now gets none of its thoughts back, which it would refuse in a loop.
    """
    entries: list[Entry] = []
    if dialect in CLAUDES and not story.turns[len(tellers)].thought:
        story = story.without_thoughts(range(len(tellers)))
    for number, turn in enumerate(story.turns[: len(tellers) + 1]):
        if turn.task:
            entries.append(("user", TASKS[turn.task]))
        if number == len(tellers):
            break
        entries += _model(turn, number, dialect, tellers[number])
        entries += _results(turn, dialect)
        if reminds and number == 1:
            entries.append(("user", REMINDER))
    return entries


def _model(turn: Turn, number: int, dialect: str, teller: str) -> Iterator[Entry]:
    """Yield a turn of the model as a vendor must read it that another one may have told."""
    is_own = _FAMILY.get(dialect, dialect) == _FAMILY.get(teller, teller)
    if not turn.thought:
        pass
    elif dialect in SEALING and is_own:
        yield ("thought", turn.thought, seal(teller, number))
        if turn.has_secret and teller in _FAMILY:
            yield ("secret", REDACTED)
    elif dialect in UNSEALED:
        yield ("thought", turn.thought, None)
    if turn.text:
        yield ("said", turn.text)
    for call in turn.calls:
        yield ("call", call.name, json.loads(call.args))


def _results(turn: Turn, dialect: str) -> Iterator[Entry]:
    beside: list[Entry] = []
    for result in turn.results:
        yield ("result", result.text, result.is_error and dialect in _KNOWS_FAILURE)
        if result.image:
            image = ("image", "image/png", result.image)
            if dialect in _HOLDS_IMAGE:
                yield image
            else:
                beside.append(image)
    yield from beside


def without_ids(came: Arrived) -> list[Entry]:
    """Return what a vendor has read, without ids and seals of calls; a result that is JSON is its text again."""
    return [(entry[0], *entry[2:4]) if entry[0] in ("call", "result") else entry for entry in came.entries]


def check_history(came: Arrived, wanted: list[Entry]) -> None:
    """Everything is there, in order; a vendor that takes JSON for a result may get it for the text of it."""
    found = without_ids(came)
    assert [entry[0] for entry in found] == [entry[0] for entry in wanted]
    for got, want in zip(found, wanted, strict=True):
        if got != want:
            assert (got[0], got[2]) == ("result", want[2])
            assert json.loads(got[1]) == json.loads(want[1])


def check_ids(came: Arrived, dialect: str, tellers: Sequence[str]) -> None:
    """Each result names the call at the same place, and a call that this vendor made has the id that it gave."""
    calls, results = came.of("call"), came.of("result")
    assert [call[1] for call in calls] == [result[1] for result in results]
    assert len({call[1] for call in calls}) == len(calls)
    if set(tellers) == {dialect}:
        native = [call[1] for call in calls if "bb" not in call[1]]
        # Ids with a long name in them come back as a hash: no client's vendor has room for them.
        long = [call[2] for call in calls if "bbz" in call[1]]
        assert len(native) + len(long) == len(calls)
        assert {*long} <= ({"mcp__tides__height_at"} if dialect == "cohere" else set())
        assert all("Mock" in one and one[-1] in "123456789" for one in native)
    if dialect == "gemini":
        assert {call[4] for call in calls} <= {BYPASS} | own_seals("gemini")


def check_heard(heard: Heard, story: Story, number: int, teller: str, stops: tuple[str, str]) -> None:
    """An agent hears a turn as it was told: arguments exact, why it ended, what it cost."""
    turn = story.turns[number]
    assert (heard.thought, heard.text) == (turn.thought, turn.text)
    assert [call[1:] for call in heard.calls] == [(call.name, json.loads(call.args)) for call in turn.calls]
    assert heard.stop == stops[0 if turn.calls else 1]
    read = cached_tokens(number)
    written = written_tokens(number) if teller in _KNOWS_WRITTEN else 0
    assert heard.usage == (prompt_tokens(number) - read - written, read, written, USAGE_OUT)


def check_seal(heard: Heard, client: str, teller: str, number: int) -> None:
    """A seal is bare to a client of the vendor that made it and wrapped to any other; without one that is said."""
    if teller not in SEALING:
        assert heard.seal == NOBODYS
    elif teller == client:
        assert heard.seal == seal(teller, number)
    else:
        assert heard.seal.startswith("bbf1" + teller[:4])
        assert seal(teller, number) not in heard.seal
