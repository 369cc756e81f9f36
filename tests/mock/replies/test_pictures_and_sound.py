"""Verdicts, pictures and sound of the mock backend, read by the official client."""

from typing import Any

import openai
import orjson
import pytest

from busbar_fast.mock import Script
from tests.mock.official import ask, openai_client


def test_verdicts_are_read() -> None:
    """One for each input, in their order."""
    got = openai_client(Script()).moderations.create(model="m", input=["tide", "violence"])
    assert [row.flagged for row in got.results] == [False, True]
    assert [len(openai_client(Script()).moderations.create(model="m", input="x").results)] == [1]
    assert ask(b"/v1/moderations", b'{"model":"m"}').status == 400


def test_pictures_are_read() -> None:
    """As many as were asked for, with what they used."""
    client = openai_client(Script())
    got = client.images.generate(model="m", prompt="tide", n=3)
    assert len(got.data or []) == 3
    assert got.usage is not None
    assert got.usage.output_tokens == 3
    assert len(client.images.edit(model="m", prompt="tide", image=b"picture", n=2).data or []) == 2
    assert ask(b"/v1/images/generations", b'{"model":"m","n":11}').status == 400


def test_sound_is_measured() -> None:
    """A form has the sound in it; one without is refused, and what is no form as well."""
    client = openai_client(Script())
    assert client.audio.transcriptions.create(model="m", file=("a.wav", bytes(70))).text == "70 bytes"
    with pytest.raises(openai.BadRequestError):
        client.post("/audio/transcriptions", cast_to=object, body={"model": "m"}, files={"x": b"y"})
    kind = b"multipart/form-data; boundary=b"
    assert ask(b"/v1/audio/translations", b"no form", content_type=kind).status == 400


@pytest.mark.parametrize(("form", "kind"), [("mp3", b"audio/mpeg"), ("wav", b"audio/wav"), ("odd", b"audio/mpeg")])
def test_sound_is_made(form: str, kind: bytes) -> None:
    """Bytes that depend on the text, of the type that was asked for."""
    got = ask(b"/v1/audio/speech", orjson.dumps({"model": "m", "input": "hi", "voice": "v", "response_format": form}))
    assert (got.status, b"".join(got.frames)) == (200, b"hi" * 32)
    assert kind in got.headers


def test_sound_may_be_events() -> None:
    """The last of them says what was used."""
    body: Any = {"model": "m", "input": "hi", "voice": "v", "stream_format": "sse"}
    got = ask(b"/v1/audio/speech", orjson.dumps(body))
    assert b"text/event-stream" in got.headers
    assert orjson.loads(got.frames[-1].removeprefix(b"data: "))["usage"]["output_tokens"] == 4
    assert ask(b"/v1/audio/speech", b'{"model":"m","input":""}').status == 400
