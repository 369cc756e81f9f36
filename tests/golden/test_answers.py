"""Answers of every kind from every lane for every client, whole and streamed: what arrives is what was said.

The lanes' answers are those of the mock backend, which stands for the vendors; the SDKs' own types judge both sides.
"""

import json
from itertools import product
from typing import Any

import pytest

from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.collecting import Collector
from busbar_fast.dialects.guard import Guard
from busbar_fast.dialects.preparing import prepare_answer
from busbar_fast.dialects.registry import DIALECTS, speak, translator
from busbar_fast.dialects.spelling import Spelling
from busbar_fast.dialects.translator import Reply
from busbar_fast.ir.answers import Answer, Reason
from busbar_fast.ir.blocks import Text, Thinking, ToolUse
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import Request
from busbar_fast.mock.script import Script, Stop
from tests.dialects.vendors import streamed, told
from tests.golden.sdk_types import ANSWERS, check_stream

PAIRS = list(product(DIALECTS, DIALECTS))
ARGS = '{"port":"Brest","ids":[1,2.5,null,true],"deep":{"é":"\\\\n"}}'
SCRIPTS = {
    "a text": Script(text="Seven metres."),
    "one letter": Script(text="a"),
    "bytes of every length": Script(text='é 漢 🌊 "quoted" \\ \t'),
    "lines": Script(text="one\ntwo\r\n\nthree\u2028four"),
    "what looks like an event": Script(text='data: {"error":1}\n\nevent: error\n\n[DONE]'),
    "a long text": Script(text="wave " * 2000, delta_chars=64),
    "many pieces": Script(deltas=80, delta_chars=3),
    "one call": Script(tools=("tide_at",), args=ARGS),
    "several calls": Script(tools=("tide_at", "wind_at", "sun_at"), args=ARGS),
    "a call without arguments": Script(tools=("now",), args="{}"),
    "numbers that are too large": Script(tools=("f",), args='{"id":12345678901234567890123}'),
    "long arguments": Script(tools=("f",), args=json.dumps({"text": "wave " * 500})),
    "a thought and a text": Script(text="Seven.", thinking=True),
    "a thought and a call": Script(tools=("tide_at",), thinking=True, args=ARGS),
    "an answer that is cut": Script(text="Seven", stop=Stop.LENGTH),
    "an answer that was held back": Script(text="S", stop=Stop.SAFETY),
    "tokens": Script(text="a", usage_in=31, usage_out=18),
    "tokens from a cache": Script(text="a", usage_in=31, usage_out=18, cached=11),
    "very many tokens": Script(text="a", usage_in=2_000_000, usage_out=1_000_000),
    "an answer of one token": Script(text="a", usage_in=1, usage_out=1),
}


def reply_of(dialect: str, *, in_stream: bool) -> Reply:
    """Return what the form of an answer depends on."""
    ask = Ask(speak(dialect), Operation.CONVERSE, name="m", in_stream=in_stream)
    return Reply(Request(dialect, include_usage=True), ask, "m", 1700000000, lambda: 318)


def said(found: Answer) -> list[tuple[str, Any]]:
    """Return what an answer says; what is not meant to be read is left out."""
    facts: list[tuple[str, Any]] = []
    for block in found.blocks:
        if isinstance(block, Text) and block.text:
            if facts and facts[-1][0] == "text":
                facts[-1] = ("text", facts[-1][1] + block.text)
            else:
                facts.append(("text", block.text))
        elif isinstance(block, ToolUse):
            facts.append(("call", (block.name, json.loads(bytes(block.args)))))
    return facts


def thought(found: Answer) -> str:
    """Return what was thought."""
    return "".join(block.text for block in found.blocks if isinstance(block, Thinking))


# Where a vendor has no word for a reason: what its clients read in its place (IR §7).
NEAREST: dict[Reason, dict[str, Reason]] = {
    Reason.SAFETY: {"anthropic": Reason.REFUSAL, "cohere": Reason.ERROR},
    Reason.REFUSAL: {
        "openai": Reason.END_TURN,
        "responses": Reason.END_TURN,
        "cohere": Reason.END_TURN,
        "gemini": Reason.SAFETY,
        "bedrock": Reason.SAFETY,
    },
    Reason.ERROR: {
        "anthropic": Reason.END_TURN,
        "openai": Reason.END_TURN,
        "responses": Reason.END_TURN,
        "bedrock": Reason.END_TURN,
        "gemini": Reason.OTHER,
    },
}


def check_same(given: Answer, got: Answer) -> None:
    """See that a client has what the lane said: words, calls, the reason, and what it cost."""
    assert said(got) == said(given)
    assert got.stop.reason is NEAREST.get(given.stop.reason, {}).get(got.source, given.stop.reason)
    assert (got.usage.total_input, got.usage.output) == (given.usage.total_input, given.usage.output)
    ids = [block.id for block in got.blocks if isinstance(block, ToolUse)]
    assert len(set(ids)) == len(ids)
    assert thought(got) in (thought(given), "")


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize(("lane", "client"), PAIRS)
def test_answer_arrives_as_it_was_told(lane: str, client: str, name: str) -> None:
    """IR §11 "golden corpus", case 39: whole answers, by the SDKs' types on both sides."""
    _, raw = told(lane, SCRIPTS[name])
    ANSWERS[lane](json.loads(raw))
    reading, writing = translator(speak(lane)), translator(speak(client))
    given = reading.read_answer(raw, Report())
    reply = reply_of(client, in_stream=False)
    prepared = prepare_answer(given, writing.abilities, Spelling(writing.abilities, "salt"), reply.model, Report())
    written = writing.write_answer(prepared, reply, Report())
    ANSWERS[client](json.loads(written))
    check_same(given, writing.read_answer(written, Report()))


@pytest.mark.parametrize("size", [0, 13])
@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize(("lane", "client"), PAIRS)
def test_stream_arrives_as_it_was_told(lane: str, client: str, name: str, size: int) -> None:
    """IR §11 "golden corpus", cases 39, 42: streams, at once and in crumbs, by the SDKs' types on both sides."""
    stream = streamed(lane, SCRIPTS[name])
    if not size:
        assert check_stream(lane, stream)
    given = collected(lane, stream, size)
    writer = translator(speak(client)).new_writer(reply_of(client, in_stream=True), Report())
    writer.spelling = Spelling(translator(speak(client)).abilities, "salt")
    guard = Guard(writer)
    feed(translator(speak(lane)).new_reader(guard, Report()), stream, size)
    written = guard.take()
    assert not guard.has_broken_off
    if not size:
        assert check_stream(client, written)
    check_same(given, collected(client, written, 0))


def collected(dialect: str, stream: bytes, size: int) -> Answer:
    """Return what a stream says as a whole."""
    collector = Collector(dialect)
    feed(translator(speak(dialect)).new_reader(collector, Report()), stream, size)
    assert collector.is_complete
    return collector.answer()


def feed(reader: Any, stream: bytes, size: int) -> None:
    """Feed a stream in pieces of a size, or at once."""
    for at in range(0, len(stream), size or len(stream)):
        reader.feed(stream[at : at + (size or len(stream))])
    reader.end()


SAYING = "Höch 🌊 is the tide"


def test_cited_part_survives_another_way_of_counting() -> None:
    """IR case 49: from characters to bytes and back, behind letters of two bytes and of four."""
    openai, gemini = translator(speak("openai")), translator(speak("gemini"))
    start, end = SAYING.index("tide"), len(SAYING)
    cited = {"type": "url_citation", "url_citation": {"url": "https://t.example/a", "title": "T"}}
    cited["url_citation"] |= {"start_index": start, "end_index": end}  # type: ignore[operator]
    message = {"role": "assistant", "content": SAYING, "annotations": [cited]}
    document = {"id": "c", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}

    def moved(body: bytes, lane: Any, client: Any, name: str) -> bytes:
        reply = reply_of(name, in_stream=False)
        abilities = client.abilities
        prepared = prepare_answer(
            lane.read_answer(body, Report()), abilities, Spelling(abilities, "salt"), "m", Report()
        )
        return bytes(client.write_answer(prepared, reply, Report()))

    there = moved(json.dumps(document).encode(), openai, gemini, "gemini")
    (support,) = json.loads(there)["candidates"][0]["groundingMetadata"]["groundingSupports"]
    assert SAYING.encode()[support["segment"]["startIndex"] : support["segment"]["endIndex"]].decode() == "tide"
    back = json.loads(moved(there, gemini, openai, "openai"))["choices"][0]["message"]
    assert (back["content"], back["annotations"]) == (SAYING, [cited])
