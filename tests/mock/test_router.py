"""Finding the dialect, refusing in its shape, and the knobs that change a whole reply."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.mock import Script, answer
from tests.mock.official import ask, header_pairs

CHAT = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
CHAT_STREAM = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}'
MESSAGES = b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}'
CONTENTS = b'{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}'
CONVERSE = b'{"messages":[{"role":"user","content":[{"text":"hi"}]}]}'
INPUT = b'{"model":"m","input":"hi"}'

PLACES = [
    (b"/v1/chat/completions", CHAT),
    (b"/v1/responses", INPUT),
    (b"/v1/messages", MESSAGES),
    (b"/v1beta/models/m:generateContent", CONTENTS),
    (b"/model/m/converse", CONVERSE),
    (b"/v2/chat", CHAT),
]
STREAM_PLACES = [
    (b"/v1/chat/completions", CHAT_STREAM),
    (b"/v1/responses", b'{"model":"m","stream":true,"input":"hi"}'),
    (b"/v1/messages", b'{"model":"m","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"hi"}]}'),
    (b"/v1beta/models/m:streamGenerateContent?alt=sse", CONTENTS),
    (b"/v1beta/models/m:streamGenerateContent", CONTENTS),
    (b"/model/m/converse-stream", CONVERSE),
    (b"/v2/chat", CHAT_STREAM),
]


def document_of(frames: list[bytes]) -> Any:
    (body,) = frames
    return orjson.loads(body)


def error_shape(document: Any) -> str:
    """Name the dialect whose error envelope this is."""
    if isinstance(document, list):
        return "gemini array"
    if document.get("type") == "error":
        return "anthropic"
    error = document.get("error")
    if isinstance(error, dict):
        return "gemini" if isinstance(error["code"], int) else "openai"
    return "cohere" if "id" in document else "bedrock"


@pytest.mark.parametrize(
    ("target", "body"),
    [
        *PLACES,
        (b"/chat/completions", CHAT),
        (b"/openai/deployments/d/chat/completions?api-version=1", CHAT),
        (b"/api/paas/v4/chat/completions", CHAT),
        (b"/responses", INPUT),
        (b"/v1/messages?beta=true", MESSAGES),
        (b"/models/m:generateContent", CONTENTS),
        (b"/v1/models/m:generateContent?key=k", CONTENTS),
        (b"/v1/tunedModels/m:generateContent", CONTENTS),
        (b"/v1/projects/p/locations/l/publishers/google/models/m:generateContent", CONTENTS),
        (b"/prefix/v2/chat", CHAT),
    ],
)
def test_request_on_known_path_is_answered(target: bytes, body: bytes) -> None:
    """Every operation is found below any prefix, and the prompt comes back."""
    reply = ask(target, body)
    assert reply.status == 200
    assert not reply.is_stream
    assert (b"Content-Type", b"application/json") in header_pairs(reply)
    assert b"You said: hi" in reply.frames[0]


@pytest.mark.parametrize(("target", "body"), STREAM_PLACES)
def test_stream_on_known_path_is_answered_in_frames(target: bytes, body: bytes) -> None:
    """Streaming is asked for by body or by path, and nothing is sent in one piece."""
    reply = ask(target, body)
    assert reply.status == 200
    assert reply.is_stream
    assert len(reply.frames) > 1
    assert b"You said: hi" in b"".join(reply.frames)


@pytest.mark.parametrize(("target", "body"), [*PLACES, *STREAM_PLACES])
def test_answer_without_text_is_complete_nonetheless(target: bytes, body: bytes) -> None:
    """An empty text leaves out the text block and nothing else."""
    empty = ask(target, body, Script(text="", usage_in=3, usage_out=4))
    spoken = ask(target, body, Script(text="Low water.", usage_in=3, usage_out=4))
    assert empty.status == 200
    assert b"Low water." in b"".join(spoken.frames)
    assert sum(map(len, empty.frames)) < sum(map(len, spoken.frames))
    assert len(empty.frames) < len(spoken.frames) or not empty.is_stream


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        (b"/v1/chat/completions", b"text/event-stream; charset=utf-8"),
        (b"/v1beta/models/m:streamGenerateContent?alt=sse", b"text/event-stream; charset=utf-8"),
        (b"/v1beta/models/m:streamGenerateContent", b"application/json"),
        (b"/v1beta/models/m:streamGenerateContent?xalt=sse", b"application/json"),
        (b"/model/m/converse-stream", b"application/vnd.amazon.eventstream"),
    ],
)
def test_stream_has_its_content_type(target: bytes, kind: bytes) -> None:
    """Three framings, three types; an array is plain JSON."""
    bodies = dict(STREAM_PLACES)
    body = bodies.get(target, CONTENTS)
    assert dict(header_pairs(ask(target, body)))[b"Content-Type"] == kind


@pytest.mark.parametrize(
    ("target", "model"),
    [
        (b"/v1/models/a%20b:generateContent", "a b"),
        (b"/v1/models/openai/gpt-4o:generateContent", "openai/gpt-4o"),
        (b"/v1/models/ft:x:generateContent", "ft:x"),
        (b"/v1/models/%2541:generateContent", "%41"),
    ],
)
def test_model_in_path_is_decoded_once(target: bytes, model: str) -> None:
    """The model stands between the folder and the last colon."""
    assert document_of(ask(target, CONTENTS).frames)["modelVersion"] == model


def test_deployment_in_path_names_the_model() -> None:
    """An Azure path serves a body without a model."""
    body = b'{"messages":[{"role":"user","content":"hi"}]}'
    assert document_of(ask(b"/openai/deployments/d/chat/completions", body).frames)["model"] == "d"


@pytest.mark.parametrize(
    ("target", "shape"),
    [
        (b"/", "openai"),
        (b"/v1/nope", "openai"),
        (b"/v1beta/models/m:generateAnswer", "gemini"),
        (b"/v1/models/m:predict", "gemini"),
        (b"/model/m/invoke", "bedrock"),
        (b"/v1/messages/batches", "anthropic"),
        (b"/v1/chat", "cohere"),
        (b"/v2/classify", "cohere"),
    ],
)
def test_unknown_path_is_not_found_in_a_plausible_shape(target: bytes, shape: str) -> None:
    """A path that no operation owns gets the 404 of the dialect it looks like."""
    reply = ask(target, b"{}")
    assert reply.status == 404
    assert error_shape(document_of(reply.frames)) == shape


SHAPES = ("openai", "openai", "anthropic", "gemini", "bedrock", "cohere")
SHAPED_PLACES = list(zip(PLACES, SHAPES, strict=True))


@pytest.mark.parametrize(("place", "shape"), SHAPED_PLACES)
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"text"', b"\xff", b"{}"])
def test_body_unusable_is_a_bad_request_in_the_dialects_shape(
    place: tuple[bytes, bytes], shape: str, body: bytes
) -> None:
    """No JSON, no object, or an object without turns is a 400."""
    reply = ask(place[0], body)
    assert reply.status == 400
    assert error_shape(document_of(reply.frames)) == shape


@pytest.mark.parametrize(("place", "shape"), SHAPED_PLACES)
@pytest.mark.parametrize("method", [b"GET", b"PUT", b"DELETE"])
def test_other_method_is_not_allowed_in_the_dialects_shape(
    place: tuple[bytes, bytes], shape: str, method: bytes
) -> None:
    """The answer names the method that is allowed."""
    reply = answer(method, place[0], {}, b"")
    assert reply.status == 405
    assert error_shape(document_of(reply.frames)) == shape
    assert (b"Allow", b"POST") in header_pairs(reply)


@pytest.mark.parametrize(("place", "shape"), SHAPED_PLACES)
def test_knob_unknown_is_a_bad_request_that_names_it(place: tuple[bytes, bytes], shape: str) -> None:
    """A misspelt knob never passes silently."""
    reply = ask(*place, x_mock=b"colour=red")
    assert reply.status == 400
    assert error_shape(document_of(reply.frames)) == shape
    assert b"colour" in reply.frames[0]


@pytest.mark.parametrize(("place", "shape"), SHAPED_PLACES)
@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 408, 413, 429, 500, 503, 504, 529])
def test_status_scripted_is_answered_in_the_dialects_shape(place: tuple[bytes, bytes], shape: str, status: int) -> None:
    """An error of any status, even 200, with text and Retry-After, comes before the body is looked at."""
    reply = answer(b"POST", place[0], {}, b"junk", Script(status=status, error="slow down", retry_after_s=7))
    assert reply.status == status
    assert error_shape(document_of(reply.frames)) == shape
    assert b"slow down" in reply.frames[0]
    assert (b"Retry-After", b"7") in header_pairs(reply)


def test_status_without_text_names_itself() -> None:
    """An error always has a message, and no Retry-After unless asked for."""
    reply = ask(b"/v2/chat", CHAT, Script(status=418))
    assert b"418" in reply.frames[0]
    assert b"Retry-After" not in dict(header_pairs(reply))


def test_status_for_an_array_is_an_array_of_one() -> None:
    """Who asked for a JSON array gets the error in one."""
    reply = ask(b"/v1/models/m:streamGenerateContent", CONTENTS, Script(status=503))
    assert document_of(reply.frames)[0]["error"]["status"] == "UNAVAILABLE"


@pytest.mark.parametrize("place", PLACES)
def test_bytes_gives_a_json_body_of_that_size(place: tuple[bytes, bytes]) -> None:
    """The text is stretched until the body has exactly the size."""
    for size in (1200, 1201, 50_000):
        reply = ask(*place, x_mock=b"bytes=%d" % size)
        assert reply.status == 200
        assert len(reply.frames[0]) == size
        orjson.loads(reply.frames[0])


def test_bytes_gives_the_reply_of_the_load_test() -> None:
    """A chat answer fits into 235 bytes."""
    body = b'{"model":"mock-small","messages":[{"role":"user","content":"Say something short."}]}'
    assert len(ask(b"/v1/chat/completions", body, x_mock=b"bytes=235").frames[0]) == 235


@pytest.mark.parametrize("place", PLACES)
def test_bytes_too_few_is_refused_with_the_least_size(place: tuple[bytes, bytes]) -> None:
    """The refusal says which size would do, and that size does."""
    reply = ask(*place, x_mock=b"bytes=10")
    assert reply.status == 400
    least = int(reply.frames[0].partition(b"at least ")[2].split()[0])
    assert len(ask(*place, x_mock=b"bytes=%d" % least).frames[0]) == least
    assert ask(*place, x_mock=b"bytes=%d" % (least - 1)).status == 400


@pytest.mark.parametrize(("target", "body"), STREAM_PLACES)
def test_bytes_for_a_stream_is_refused(target: bytes, body: bytes) -> None:
    """Only JSON answers have a size to ask for."""
    assert ask(target, body, x_mock=b"bytes=2000").status == 400


def test_deltas_give_the_stream_of_the_load_test() -> None:
    """Sixty-four deltas of sixteen characters are sixty-seven frames: role, deltas, finish, terminator."""
    reply = ask(b"/v1/chat/completions", CHAT_STREAM, Script(deltas=64))
    assert len(reply.frames) == 67
    assert all(frame.startswith(b"data: ") and frame.endswith(b"\n\n") for frame in reply.frames)


@pytest.mark.parametrize(("target", "body"), STREAM_PLACES)
def test_failure_inside_the_stream_follows_whole_frames(target: bytes, body: bytes) -> None:
    """The frames before the error are those of the good stream."""
    good = ask(target, body).frames
    broken = ask(target, body, Script(fail_after=1, status=429, error="slow down"))
    assert broken.status == 200
    assert broken.frames[:1] == good[:1]
    assert b"slow down" in b"".join(broken.frames[1:])
    assert broken.frames != good


@pytest.mark.parametrize(("target", "body"), STREAM_PLACES)
def test_failure_beyond_the_stream_never_happens(target: bytes, body: bytes) -> None:
    """A stream that is shorter than the knob ends well."""
    assert ask(target, body, Script(fail_after=1000)).frames == ask(target, body).frames


@pytest.mark.parametrize(("target", "body"), PLACES)
def test_failure_of_a_stream_is_a_plain_error_without_one(target: bytes, body: bytes) -> None:
    """A JSON answer cannot fail half-way, so it fails as a whole."""
    assert ask(target, body, Script(fail_after=2)).status == 503
    assert ask(target, body, Script(fail_after=2, status=500)).status == 500


def test_split_into_too_many_pieces_is_refused() -> None:
    """A schedule never holds millions of steps."""
    assert ask(b"/v2/chat", CHAT, x_mock=b"bytes=1000000;split=1").status == 200
    reply = ask(b"/v2/chat", CHAT, x_mock=b"bytes=1000001;split=1")
    assert reply.status == 400
    assert b"split" in reply.frames[0]


def test_request_repeated_too_deep_is_refused() -> None:
    """What the answer would repeat must fit the encoder."""
    metadata = b"[" * 400 + b"]" * 400
    assert ask(b"/v1/responses", b'{"model":"m","input":"hi","metadata":%b}' % metadata).status == 400


KEYS = st.sampled_from(
    ["model", "messages", "contents", "input", "content", "parts", "role", "text", "stream", "max_tokens", "tools"]
)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["user", "m", "", "é"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


@given(
    place=st.sampled_from([target for target, _ in [*PLACES, *STREAM_PLACES]]) | st.binary(max_size=40),
    body=DOCUMENTS.map(orjson.dumps) | st.binary(max_size=40),
    knobs=st.binary(max_size=20)
    | st.sampled_from([b"", b"tools=t;thinking=1", b"stop=stop_sequence", b"fail_after=1"]),
)
def test_whatever_is_sent_gets_a_whole_reply(place: bytes, body: bytes, knobs: bytes) -> None:
    """Nothing that a client sends raises, and every refusal is JSON."""
    reply = answer(b"POST", place, {b"x-mock": knobs}, body)
    assert reply.frames
    assert all(reply.frames)
    assert reply.is_stream or orjson.loads(reply.frames[0])
    assert reply.status == 200 or not reply.is_stream


def test_script_of_the_header_is_handed_on_for_playing() -> None:
    """The reply carries the knobs of both sources."""
    reply = ask(b"/v1/chat/completions", CHAT, Script(split=3), x_mock=b"cut_at=9")
    assert reply.script == Script(split=3, cut_at=9)


def test_script_of_the_server_survives_a_refused_knob() -> None:
    """A bad header does not disturb how the server was told to fail."""
    assert ask(b"/v1/chat/completions", CHAT, Script(refuse=True), x_mock=b"x=1").script == Script(refuse=True)


@pytest.mark.parametrize(("target", "body"), [*PLACES, *STREAM_PLACES])
def test_same_request_gives_the_same_reply(target: bytes, body: bytes) -> None:
    """Ids and times are part of the answer's determinism."""
    assert ask(target, body) == ask(target, body)


@pytest.mark.parametrize(
    ("target", "body", "count"),
    [
        (b"/v1/messages/count_tokens", b'{"model":"m","messages":[{"role":"user","content":"12345678"}]}', 2),
        (b"/v1/models/m:countTokens", b'{"contents":{"parts":{"text":"12345678"}}}', 2),
    ],
)
def test_count_tokens_answers_the_estimate_or_the_knob(target: bytes, body: bytes, count: int) -> None:
    """Two dialects count tokens without generating."""
    assert count in document_of(ask(target, body).frames).values()
    assert 77 in document_of(ask(target, body, Script(usage_in=77)).frames).values()
