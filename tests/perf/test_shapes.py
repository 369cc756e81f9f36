"""The bytes that make runs comparable have the sizes they claim, in Python and in the wrk scripts."""

import json
from pathlib import Path

import pytest

from perf import shapes

SCRIPTS = Path(__file__).parents[2] / "perf" / "wrk"


def test_request_and_reply_have_their_fixed_sizes() -> None:
    """The request has 86 bytes, the reply 235, and both are JSON."""
    assert (len(shapes.REQUEST), len(shapes.REPLY)) == (86, 235)
    assert json.loads(shapes.REQUEST)["model"] == json.loads(shapes.REPLY)["model"] == shapes.MODEL


def test_stream_is_67_frames_with_64_deltas_of_16_characters() -> None:
    """The role comes first, then the deltas, then the finish reason and the end mark."""
    frames = shapes.stream_frames()
    documents = [json.loads(frame.removeprefix(b"data: ")) for frame in frames[:-1]]
    deltas = [document["choices"][0]["delta"] for document in documents]
    assert len(frames) == shapes.FRAME_COUNT == 67
    assert [len(delta["content"]) for delta in deltas[1:-1]] == [16] * 64
    assert (deltas[0]["role"], documents[-1]["choices"][0]["finish_reason"]) == ("assistant", "stop")
    assert frames[-1] == b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("wishes", "user"),
    [
        ({}, None),
        ({"pace_ms": 5}, "perf-pace-ms=5"),
        ({"gap_ms": 1}, "perf-gap-ms=1"),
        ({"total_bytes": 7}, "perf-bytes=7"),
    ],
)
def test_stream_request_carries_its_wish_in_user(wishes: dict[str, int], user: str | None) -> None:
    """What the upstream shall do travels in a member that any gateway passes on."""
    document = json.loads(shapes.stream_request(**wishes))
    assert (document["stream"], document.get("user")) == (True, user)


@pytest.mark.parametrize(("script", "body"), [("json.lua", shapes.REQUEST), ("stream.lua", shapes.stream_request())])
def test_wrk_script_sends_the_same_body(script: str, body: bytes) -> None:
    """The scripts stand alone, so the body is written twice; here the two are held together."""
    template = body.replace(shapes.MODEL.encode(), b"%s").decode()
    assert f"'{template}'" in (SCRIPTS / script).read_text()


@pytest.mark.parametrize("payload", shapes.PAYLOADS, ids=lambda payload: payload.name)
def test_payload_knows_its_answer_and_its_size(payload: shapes.Payload) -> None:
    """A longer answer has so many bytes of text more; what is added counts what travels, base64 for pictures."""
    usual, due = json.loads(shapes.REPLY), json.loads(payload.reply())
    text = due["choices"][0]["message"].pop("content")
    assert usual["choices"][0]["message"].pop("content") == "Hi, all!"
    assert due == usual
    raw_bytes = len(payload.reply()) - len(shapes.REPLY) + len("Hi, all!")
    assert raw_bytes == (payload.reply_bytes or len("Hi, all!"))
    assert ("to the new day" in text) is bool(payload.reply_bytes)
    assert payload.added_kib == pytest.approx(
        {"prompt16k": 16, "prompt150k": 150, "image1m": 1365.33, "reply10k": 10}[payload.name], abs=0.01
    )


def test_call_declares_the_length_of_its_body() -> None:
    """The head ends where the body begins, and knows its length."""
    head, body = shapes.encode_call(8080, shapes.REQUEST).split(b"\r\n\r\n")
    assert body == shapes.REQUEST
    assert b"Content-Length: 86" in head.split(b"\r\n")
