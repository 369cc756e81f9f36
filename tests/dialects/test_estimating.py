"""Guesses of what a stream has said: characters of text, thoughts and calls, in whatever dialect, cut anywhere."""

from typing import Any

import pytest

from busbar_fast.dialects.estimating import Estimator, _Count, tokens_of
from busbar_fast.dialects.registry import DIALECTS, speak
from busbar_fast.ir.answers import Reason, Stop, Usage
from busbar_fast.ir.blocks import Citation, Opaque, Seal
from busbar_fast.ir.events import Kind
from busbar_fast.mock.script import Script
from tests.dialects.translating import raw
from tests.dialects.vendors import streamed

ARGS = '{"place":"Brest","hours":24}'


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("step", [1, 7, 100000])
def test_every_dialect_is_read(dialect: str, step: int) -> None:
    """Governance §7 `on_disconnect`: a token for every four characters of text, thoughts, names and arguments."""
    stream = streamed(dialect, Script(text="twelve chars", thinking=True, tools=("tide_at",), args=ARGS))
    estimator = Estimator(speak(dialect))
    for at in range(0, len(stream), step):
        estimator.feed(stream[at : at + step])
    said = len("twelve chars") + len("tide_at") + len(ARGS)
    assert estimator.tokens >= tokens_of(said)


@pytest.mark.parametrize(("characters", "tokens"), [(0, 0), (1, 1), (4, 1), (5, 2), (400, 100)])
def test_four_characters_are_a_token(characters: int, tokens: int) -> None:
    """Governance §7 `on_disconnect`: rounded up."""
    assert tokens_of(characters) == tokens


def test_stream_that_cannot_be_read_counts_up_to_there() -> None:
    """Governance §7 `on_disconnect`: an event without an end, or bytes that are no frames, end the count."""
    estimator = Estimator(speak("bedrock"))
    whole = streamed("bedrock", Script(text="twelve chars"))
    estimator.feed(whole)
    before = estimator.tokens
    estimator.feed(b"\xff" * 64)
    estimator.feed(whole)
    assert estimator.tokens == before == tokens_of(len("twelve chars"))


def test_what_is_not_said_is_not_counted() -> None:
    """Governance §7 `on_disconnect`: only what the model says by itself counts."""
    count = _Count()
    calls: list[tuple[Any, ...]] = [
        (count.start, "m", Usage()),
        (count.open, 0, Kind.TEXT),
        (count.seal, 0, Seal("f", "value")),
        (count.citations, 0, list[Citation]()),
        (count.logprobs, 0, []),
        (count.whole, 1, Opaque("o", raw({}))),
        (count.close, 0),
        (count.finish, Stop(Reason.END_TURN)),
        (count.usage, Usage()),
        (count.fail, "error", b"{}"),
        (count.end,),
    ]
    for call, *arguments in calls:
        call(*arguments)
    assert count.characters == 0
    count.text(0, "a")
    count.thinking(0, "b")
    count.is_closed = True
    count.text(0, "cd")
    assert count.characters == 2
