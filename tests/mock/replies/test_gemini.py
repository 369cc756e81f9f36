"""Gemini of the mock backend, read by Google's own client."""

import base64
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from google.genai import errors
from google.genai.types import BlockedReason, FinishReason, GenerateContentResponse, Part

from busbar_fast.mock import Script, Stop
from busbar_fast.mock.content import SIGNATURE
from tests.mock.official import ask, gemini_client

SSE = b"/v1/models/m:streamGenerateContent?alt=sse"
ARRAY = b"/v1/models/m:streamGenerateContent"
BODY = b'{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}'


def create(script: Script) -> GenerateContentResponse:
    return gemini_client(script).models.generate_content(model="m", contents="hi")


def stream(script: Script) -> list[GenerateContentResponse]:
    return list(gemini_client(script).models.generate_content_stream(model="m", contents="hi"))


def parts_of(answer: GenerateContentResponse) -> list[Part]:
    assert answer.candidates
    assert answer.candidates[0].content
    return answer.candidates[0].content.parts or []


def reason_of(answer: GenerateContentResponse) -> FinishReason | None:
    assert answer.candidates
    return answer.candidates[0].finish_reason


def test_answer_is_read_with_text_usage_and_reason() -> None:
    """The client's own type holds what the script said."""
    answer = create(Script(usage_in=31, usage_out=18, cached=10))
    assert answer.text == "You said: hi"
    assert answer.model_version == "m"
    assert answer.response_id is not None
    assert len(answer.response_id) == 16
    assert reason_of(answer) is FinishReason.STOP
    usage = answer.usage_metadata
    assert usage is not None
    assert (usage.prompt_token_count, usage.candidates_token_count, usage.total_token_count) == (31, 18, 49)
    assert usage.cached_content_token_count == 10


def test_thoughts_are_counted_beside_the_candidate() -> None:
    """On this wire thinking is no part of the candidate's tokens."""
    usage = create(Script(thinking=True, usage_in=31, usage_out=18)).usage_metadata
    assert usage is not None
    assert (usage.thoughts_token_count, usage.candidates_token_count, usage.total_token_count) == (10, 8, 49)


def test_answer_has_thought_text_and_calls_in_order() -> None:
    """Parts come in the order in which they are thought, said and called."""
    answer = create(Script(thinking=True, text="Checking.", tools=("tides", "moon"), args='{"port":"Brest"}'))
    thought, text, first, second = parts_of(answer)
    assert thought.thought
    assert "wants an answer" in (thought.text or "")
    assert text.text == "Checking."
    assert first.function_call
    assert second.function_call
    assert (first.function_call.name, first.function_call.args) == ("tides", {"port": "Brest"})
    assert first.function_call.id != second.function_call.id
    assert first.thought_signature
    assert reason_of(answer) is FinishReason.STOP


def test_signature_stands_on_the_last_part_where_no_call_is() -> None:
    """Thinking behind plain text is sealed at the end of it, in a stream on an empty part."""
    script = Script(thinking=True, delta_chars=16)
    signature = base64.b64decode(SIGNATURE)
    assert [part.thought_signature for part in parts_of(create(script))] == [None, signature]
    *parts, last = [part for chunk in stream(script) for part in parts_of(chunk)]
    assert {part.thought_signature for part in parts} == {None}
    assert (last.text, last.thought_signature) == ("", signature)


@pytest.mark.parametrize("read", [create, lambda script: stream(script)[-1]])
def test_answer_that_is_withheld_has_no_content(read: Callable[[Script], GenerateContentResponse]) -> None:
    """An unsafe answer is a candidate with nothing but its reason, an unsafe request has not even that."""
    unsafe = read(Script(stop=Stop.SAFETY, text=""))
    assert unsafe.candidates
    assert (unsafe.candidates[0].content, reason_of(unsafe), unsafe.text) == (None, FinishReason.SAFETY, None)
    blocked = read(Script(stop=Stop.REFUSAL, text=""))
    assert (blocked.candidates, blocked.text) == (None, None)
    assert blocked.prompt_feedback
    assert blocked.prompt_feedback.block_reason is BlockedReason.PROHIBITED_CONTENT


def test_calls_without_thinking_have_no_signature() -> None:
    """A signature belongs to a thought."""
    (part,) = parts_of(create(Script(tools=("tides",))))
    assert part.thought_signature is None


def test_stream_has_one_chunk_per_piece_and_a_last_one() -> None:
    """Identity is on every chunk, the reason and the answer's own count only on the last."""
    chunks = stream(Script(deltas=3, usage_in=31, usage_out=18))
    assert [len(chunk.text or "") for chunk in chunks] == [16, 16, 16, 0]
    assert [reason_of(chunk) for chunk in chunks] == [None, None, None, FinishReason.STOP]
    assert {(chunk.response_id, chunk.model_version) for chunk in chunks} == {("MockMockMockMoc1", "m")}
    counts = [chunk.usage_metadata and chunk.usage_metadata.total_token_count for chunk in chunks]
    assert counts == [31, 31, 31, 49]


def test_stream_has_thoughts_first_and_whole_calls() -> None:
    """Arguments are never cut into pieces."""
    chunks = stream(Script(thinking=True, text="Checking.", tools=("tides",), args='{"port":"Brest"}'))
    parts = [part for chunk in chunks for part in parts_of(chunk)]
    assert "".join(part.text or "" for part in parts if part.thought) == "The user wants an answer, so I give one."
    assert [part.text for part in parts if part.text and not part.thought] == ["Checking."]
    (call,) = [part.function_call for part in parts if part.function_call]
    assert call.args == {"port": "Brest"}


def test_stream_frames_are_bare_lines_with_crlf() -> None:
    """The client fails on anything else."""
    for frame in ask(SSE, BODY).frames:
        assert frame.startswith(b"data: {")
        assert frame.endswith(b"}\r\n\r\n")
        assert frame.count(b"\n") == 2


def test_array_is_one_json_document_with_the_same_chunks() -> None:
    """The first byte is a bracket, the last one too, and the elements are those of the event stream."""
    frames = ask(ARRAY, BODY).frames
    assert frames[0].startswith(b"[{")
    assert frames[-1] == b"]"
    events = [orjson.loads(frame.removeprefix(b"data: ")) for frame in ask(SSE, BODY).frames]
    assert orjson.loads(b"".join(frames)) == events


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        (Stop.END, FinishReason.STOP),
        (Stop.LENGTH, FinishReason.MAX_TOKENS),
        (Stop.SEQUENCE, FinishReason.STOP),
        (Stop.TOOL, FinishReason.STOP),
        (Stop.SAFETY, FinishReason.SAFETY),
        (Stop.REFUSAL, FinishReason.PROHIBITED_CONTENT),
    ],
)
def test_stop_has_its_word_in_answer_and_stream(stop: Stop, reason: FinishReason) -> None:
    """Every neutral reason has a word of this dialect."""
    assert reason_of(create(Script(stop=stop))) is reason
    assert reason_of(stream(Script(stop=stop))[-1]) is reason


def test_stop_raw_is_written_as_it_is() -> None:
    """Rare reasons can be played."""
    assert reason_of(create(Script(stop_raw="RECITATION"))) is FinishReason.RECITATION


@pytest.mark.parametrize(
    "contents",
    [
        b'{"parts":{"text":"hi"}}',
        b'[{"parts":[{"text":"hi"}]}]',
        b'[{"role":"user","parts":[{"text":"h"},{"text":"i"}]},{"role":"model","parts":[{"text":"x"}]}]',
    ],
)
def test_contents_of_any_form_are_echoed(contents: bytes) -> None:
    """Single objects count as lists, and a turn without a role is the user's."""
    assert b"You said: hi" in ask(b"/v1/models/m:generateContent", b'{"contents":%b}' % contents).frames[0]


@pytest.mark.parametrize("body", [b'{"contents":[]}', b'{"contents":"hi"}', b'{"generateContentRequest":7}'])
def test_contents_missing_or_wrong_are_refused(body: bytes) -> None:
    """Contents are a non-empty list of turns."""
    assert ask(b"/v1/models/m:countTokens", body).status == 400


def test_tokens_are_counted() -> None:
    """The counter reads plain contents, and a whole request in its member."""
    assert gemini_client(Script(usage_in=41)).models.count_tokens(model="m", contents="hi").total_tokens == 41
    nested = b'{"generateContentRequest":%b}' % BODY.replace(b"hi", b"12345678")
    document: dict[str, Any] = orjson.loads(ask(b"/v1/models/m:countTokens", nested).frames[0])
    assert document["totalTokens"] == 2


@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        (400, "INVALID_ARGUMENT", errors.ClientError),
        (401, "UNAUTHENTICATED", errors.ClientError),
        (403, "PERMISSION_DENIED", errors.ClientError),
        (404, "NOT_FOUND", errors.ClientError),
        (429, "RESOURCE_EXHAUSTED", errors.ClientError),
        (500, "INTERNAL", errors.ServerError),
        (503, "UNAVAILABLE", errors.ServerError),
        (504, "DEADLINE_EXCEEDED", errors.ServerError),
    ],
)
def test_status_raises_the_clients_exception(status: int, name: str, kind: type[errors.APIError]) -> None:
    """Code and name are the vendor's."""
    with pytest.raises(kind) as caught:
        create(Script(status=status, error="no luck"))
    assert (caught.value.code, caught.value.status, caught.value.message) == (status, name, "no luck")


def test_retry_after_is_a_detail_too() -> None:
    """This vendor says in the body when to come back."""
    reply = ask(SSE, BODY, Script(status=429, retry_after_s=7))
    (detail,) = orjson.loads(reply.frames[0])["error"]["details"]
    assert detail["retryDelay"] == "7s"


def test_bad_key_is_an_invalid_argument_with_its_detail() -> None:
    """The reason stands in the details, not in the status."""
    reply = ask(SSE, BODY, Script(status=400, error_code="API_KEY_INVALID"))
    error = orjson.loads(reply.frames[0])["error"]
    assert error["status"] == "INVALID_ARGUMENT"
    assert error["details"][0]["reason"] == "API_KEY_INVALID"


def test_failure_inside_the_stream_raises() -> None:
    """The client stops at the error frame."""
    with pytest.raises(errors.ServerError, match="slow down"):
        stream(Script(deltas=4, fail_after=2, error="slow down"))


@pytest.mark.parametrize("fail_after", [0, 2])
def test_failure_inside_the_array_is_its_last_element(fail_after: int) -> None:
    """The array stays one JSON document, also when the error is all it has."""
    frames = ask(ARRAY, BODY, Script(deltas=4, fail_after=fail_after)).frames
    *chunks, error = orjson.loads(b"".join(frames))
    assert len(chunks) == fail_after
    assert error["error"]["status"] == "UNAVAILABLE"


def test_frames_and_counts_are_the_vendors_bytes() -> None:
    """A chunk has every member that the vendor writes, in its order."""
    first, last = ask(SSE, BODY, Script(usage_in=9, usage_out=4)).frames
    tail = (
        b'"promptTokensDetails":[{"modality":"TEXT","tokenCount":9}]},'
        b'"modelVersion":"m","responseId":"MockMockMockMoc1"}'
    )
    assert first == (
        b'data: {"candidates":[{"content":{"parts":[{"text":"You said: hi"}],"role":"model"},"index":0}],'
        b'"usageMetadata":{"promptTokenCount":9,"totalTokenCount":9,' + tail + b"\r\n\r\n"
    )
    assert last == (
        b'data: {"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},"finishReason":"STOP","index":0}],'
        b'"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":4,"totalTokenCount":13,' + tail + b"\r\n\r\n"
    )
    assert ask(b"/v1/models/m:countTokens", BODY).frames == [
        b'{"totalTokens":1,"promptTokensDetails":[{"modality":"TEXT","tokenCount":1}]}'
    ]


def test_bad_key_is_the_vendors_document() -> None:
    """Clients recognise a bad key by these details."""
    reply = ask(SSE, BODY, Script(status=400, error_code="API_KEY_INVALID", error="no"))
    assert reply.frames == [
        (
            b'{"error":{"code":400,"message":"no","status":"INVALID_ARGUMENT","details":[{'
            b'"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com",'
            b'"metadata":{"service":"generativelanguage.googleapis.com"}}]}}'
        )
    ]
