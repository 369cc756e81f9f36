"""The dialect as the gateway translates it."""

import json

from busbar_fast.dialects.gemini import DIALECT
from busbar_fast.dialects.gemini.translation import TRANSLATOR
from busbar_fast.dialects.registry import translator
from busbar_fast.ir.blocks import Text
from busbar_fast.ir.report import Report
from tests.dialects.gemini.translation.turns import (
    ARRAY,
    EVENTS,
    Recorder,
    asked,
    encoded,
    guarded,
    lost,
    read,
    reply_to,
    written,
)

ANSWER = {"candidates": [{"content": {"role": "model", "parts": [{"text": "Hi"}]}, "finishReason": "STOP"}]}


def test_the_registry_finds_it() -> None:
    """It says of itself what the configuration calls it."""
    assert translator(DIALECT) is TRANSLATOR
    assert TRANSLATOR.abilities.name == "gemini"


def test_an_array_is_a_document() -> None:
    """Events have their own type (gemini.md case 12)."""
    assert [TRANSLATOR.stream_type(ask) for ask in (EVENTS, ARRAY)] == [b"text/event-stream", b"application/json"]


def test_a_conversation_goes_both_ways() -> None:
    """A request, its answer and the same answer as a stream are read and written."""
    report = Report()
    assert written(read(asked()))["contents"] == [{"role": "user", "parts": [{"text": "hi"}]}]
    answer = TRANSLATOR.read_answer(encoded(ANSWER), report)
    assert answer.blocks == [Text("Hi")]
    shown = json.loads(TRANSLATOR.write_answer(answer, reply_to(), report))
    assert shown["candidates"][0]["content"] == ANSWER["candidates"][0]["content"]
    sink = Recorder()
    reader = TRANSLATOR.new_reader(sink, report)
    reader.feed(b"data: %b\n\n" % encoded(ANSWER))
    assert ("text", 0, "Hi") in sink.calls
    assert lost(report) == []


def test_each_form_of_a_stream_has_its_writer() -> None:
    """It depends on what was asked for."""
    streams = []
    for ask in (EVENTS, ARRAY):
        guard = guarded(ask)
        guard.text(0, "Hi")
        streams.append(guard.take())
    assert [stream[:6] for stream in streams] == [b"data: ", b'[{"can']
