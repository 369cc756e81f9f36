"""Requests drawn at random go to a dialect and back, also by way of another one: what both have a place for stays."""

import json
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from busbar_fast.dialects.registry import DIALECTS
from busbar_fast.ir.blocks import Inline, Media, MediaKind, Text
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import ChoiceMode, Message, OutputFormat, Request, Sampling, ToolChoice
from tests.golden.features import (
    FEATURES,
    PIXEL,
    SCHEMA,
    TIDE,
    WIND,
    Look,
    called,
    calls,
    choice,
    media,
    model,
    number,
    result,
    results,
    shape,
    stops,
    system,
    texts,
    tools,
    user,
)
from tests.golden.sdk_types import REQUESTS
from tests.golden.test_requests import read, written

# What is looked at, and the feature that says who has no place for it.
LOOKS: tuple[tuple[str, Look], ...] = (
    ("a text", texts),
    ("a system prompt", system),
    ("a call and its result", lambda request: (calls(request), results(request))),
    ("a tool", tools),
    ("an image", media),
    ("temperature", number("temperature")),
    ("top_p", number("top_p")),
    ("top_k", number("top_k")),
    ("a seed", number("seed")),
    ("the longest answer", number("max_tokens")),
    ("stop sequences", stops),
    ("an answer by a schema", shape),
)


def is_json(text: str) -> bool:
    """Return whether a text is a value of JSON."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


_SAID = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=20).filter(
    str.strip
)
_IMAGE = Media(kind=MediaKind.IMAGE, source=Inline(PIXEL), mime="image/png")
_ARGS = st.dictionaries(st.sampled_from(["port", "day", "ünit"]), st.integers() | _SAID | st.booleans(), max_size=3)
# What is JSON becomes a value where a vendor has a place for one, and a value may be spelt in another way: 0E0 and 0.0.
_RESULT = _SAID.filter(lambda text: not is_json(text))
_FRACTION = st.integers(1, 99).map(lambda hundredths: Raw(str(hundredths / 100).encode()))


@st.composite
def conversations(draw: st.DrawFn) -> list[Message]:
    """Draw turns as a client sends them: each call is followed by its result, and the user speaks last."""
    turns = [user(draw(_SAID))]
    number_of_call = 0
    for kind in draw(st.lists(st.sampled_from(["words", "image", "call", "two calls"]), max_size=4)):
        if kind == "words":
            turns += [model(draw(_SAID)), user(draw(_SAID))]
        elif kind == "image":
            turns += [model(draw(_SAID)), user(draw(_SAID), _IMAGE)]
        else:
            names = ["tide_at", "wind_at"][: 1 + (kind == "two calls")]
            numbers = range(number_of_call, number_of_call + len(names))
            number_of_call += len(names)
            asked = [called(n, name, json.dumps(draw(_ARGS))) for n, name in zip(numbers, names, strict=True)]
            turns.append(model(draw(_SAID), *asked))
            turns += [result(n, draw(_RESULT), name=name) for n, name in zip(numbers, names, strict=True)]
            turns += [model(draw(_SAID)), user(draw(_SAID))]
    return turns


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """Draw a whole request."""
    maybe_fraction = st.just(Raw()) | _FRACTION
    sampling = Sampling(
        max_tokens=Raw(str(draw(st.integers(16, 4000))).encode()),
        temperature=draw(maybe_fraction),
        top_p=draw(maybe_fraction),
        top_k=draw(st.sampled_from([Raw(), Raw(b"1"), Raw(b"40")])),
        seed=draw(st.sampled_from([Raw(), Raw(b"0"), Raw(b"77")])),
        stop=draw(st.lists(st.sampled_from(["END", "###", "\n\nHuman:"]), unique=True, max_size=3)),
    )
    return Request(
        "nobody",
        system=[Text(text=text) for text in draw(st.lists(_SAID, max_size=2))],
        messages=draw(conversations()),
        tools=[TIDE, WIND],
        tool_choice=ToolChoice(draw(st.sampled_from([ChoiceMode.AUTO, ChoiceMode.REQUIRED]))),
        sampling=sampling,
        format=draw(st.none() | st.just(OutputFormat(schema=SCHEMA, name="tide"))),
    )


def seen(request: Request, *dialects: str) -> dict[str, Any]:
    """Return what of a request all these dialects have a place for."""
    return {name: look(request) for name, look in LOOKS if not FEATURES[name].missing.intersection(dialects)}


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=40)
@given(asked=requests())
def test_what_is_read_is_written_as_it_was(dialect: str, asked: Request) -> None:
    """IR §11: reading what was written, and writing what was read, change nothing, not even what no field is for."""
    document = written(asked, dialect, Report())
    REQUESTS[dialect](document)
    neutral = read(document, dialect)
    report = Report()
    assert written(neutral, dialect, report) == document
    assert report.entries == []
    assert seen(neutral, dialect) == seen(asked, dialect)
    assert choice(neutral) == choice(asked)


@pytest.mark.parametrize(("client", "lane"), list(permutations(DIALECTS, 2)))
@settings(max_examples=40)
@given(asked=requests())
def test_there_and_back_keeps_what_both_have(client: str, lane: str, asked: Request) -> None:
    """IR §8: what both dialects have a place for comes back from the other one as it went."""
    first = read(written(asked, client, Report()), client)
    there = read(written(first, lane, Report()), lane)
    back = read(written(there, client, Report()), client)
    assert seen(back, client, lane) == seen(first, client, lane)
