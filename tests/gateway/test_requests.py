"""What a request asks for: how a model is read out of a body, and named anew in it."""

import pytest

from busbar_fast.dialects.registry import speak
from busbar_fast.gateway.lanes import Access, Lane, new_state
from busbar_fast.gateway.requests import read_model
from busbar_fast.wire.json_scan import find_members, insertion

SPOKEN = speak("openai")


@pytest.mark.parametrize(
    ("body", "name", "named"),
    [
        (b'{"model":"a"}', "a", b'{"model":"up"}'),
        (b'{"model":"up"}', "up", b'{"model":"up"}'),
        (b'{"model":"a","model":"b"}', "b", b'{"model":"up","model":"up"}'),
        (b'{"model":1,"model":"b"}', "b", b'{"model":"up","model":"up"}'),
        (b'{"model":"b","model":1}', None, b'{"model":"up","model":"up"}'),
        (b'{"\\u006dodel":"b"}', "b", b'{"\\u006dodel":"up"}'),
        (b'{"x":{"model":"b"},"y":["model"]}', None, b'{"model":"up","x":{"model":"b"},"y":["model"]}'),
        (b'{"model":null}', None, b'{"model":"up"}'),
        (b'{"model":"\\ud83d\\ude00"}', "\U0001f600", b'{"model":"up"}'),
        (b"{}", None, b'{"model":"up"}'),
    ],
)
def test_model_is_read_and_named_wherever_it_stands(body: bytes, name: str | None, named: bytes) -> None:
    """Config §14 X5: of several the last counts, every one is replaced, whatever it held; a missing one is added."""
    spans = find_members(body, (b"model",)).get(b"model", [])
    assert read_model(body, spans) == name
    assert Lane(new_state("a"), None, "/", SPOKEN, model="up").shape(body, spans) == named  # type: ignore[arg-type]
    assert Lane(new_state("a"), None, "/", SPOKEN).shape(body, spans) is body  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "shaped"),
    [
        (b'{"model":"a"}', b'{"u":1,"model":"up"}'),
        (b'{"x":1,"model":"a","model":"b"}', b'{"u":1,"x":1,"model":"up","model":"up"}'),
        (b'{"stream":true}', b'{"u":1,"model":"up","stream":true}'),
    ],
)
def test_model_is_named_and_usage_asked_for_in_one_go(body: bytes, shaped: bytes) -> None:
    """OpenAI §9.4: both edits go into the client's own bytes; a lane that cannot be asked gets the model only."""
    spans = find_members(body, (b"model",)).get(b"model", [])
    edits = [insertion(body, b"u", b"1")]
    lane = Lane(new_state("a"), None, "/", SPOKEN, model="up")  # type: ignore[arg-type]
    spared = Lane(new_state("a"), None, "/", SPOKEN, Access(options={"stream_usage": False}), model="up")  # type: ignore[arg-type]
    assert lane.shape(body, spans, edits) == shaped
    assert lane.shape(body, spans, []) == lane.shape(body, spans) == shaped.replace(b'"u":1,', b"")
    assert spared.shape(body, spans, edits) == lane.shape(body, spans)
    unnamed = Lane(new_state("a"), None, "/", SPOKEN)  # type: ignore[arg-type]
    assert unnamed.shape(body, spans, edits) == body.replace(b"{", b'{"u":1,')
