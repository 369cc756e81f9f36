"""Bedrock Converse of the mock backend, read by boto3."""

import base64
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer
from botocore.exceptions import ClientError, EventStreamError

from busbar_fast.mock import Script, Stop
from busbar_fast.mock.content import REDACTED
from tests.mock.official import ask, bedrock_client, header_pairs

STREAM = b"/model/m/converse-stream"
BODY = b'{"messages":[{"role":"user","content":[{"text":"hi"}]}]}'
TURNS = [{"role": "user", "content": [{"text": "hi"}]}]


def create(script: Script, **members: object) -> Any:
    return bedrock_client(script).converse(modelId="arn:aws:bedrock:x/m:0", messages=TURNS, **members)


def stream(script: Script) -> list[dict[str, Any]]:
    return list(bedrock_client(script).converse_stream(modelId="m", messages=TURNS)["stream"])


def deltas_of(events: list[dict[str, Any]], index: int) -> list[dict[str, Any]]:
    found = [event["contentBlockDelta"] for event in events if "contentBlockDelta" in event]
    return [delta["delta"] for delta in found if delta["contentBlockIndex"] == index]


def test_answer_is_read_with_text_usage_and_reason() -> None:
    """The client's own parser gives what the script said."""
    answer = create(Script(usage_in=100, usage_out=18, cached=30, cache_write=20))
    assert answer["output"]["message"] == {"role": "assistant", "content": [{"text": "You said: hi"}]}
    assert answer["stopReason"] == "end_turn"
    assert answer["usage"] == {
        "inputTokens": 50,
        "outputTokens": 18,
        "totalTokens": 118,
        "cacheReadInputTokens": 30,
        "cacheWriteInputTokens": 20,
    }
    assert answer["metrics"]["latencyMs"] > 0
    assert len(answer["ResponseMetadata"]["RequestId"]) == 36


def test_answer_has_reasoning_text_and_calls_in_order() -> None:
    """Blocks come in the order in which they are thought, said and called."""
    answer = create(Script(thinking=True, text="Checking.", tools=("tides", "moon"), args='{"port":"Brest"}'))
    reasoning, text, first, second = answer["output"]["message"]["content"]
    assert "wants an answer" in reasoning["reasoningContent"]["reasoningText"]["text"]
    assert reasoning["reasoningContent"]["reasoningText"]["signature"]
    assert text == {"text": "Checking."}
    assert (first["toolUse"]["name"], first["toolUse"]["input"]) == ("tides", {"port": "Brest"})
    assert first["toolUse"]["toolUseId"] != second["toolUse"]["toolUseId"]
    assert len(first["toolUse"]["toolUseId"]) == 30
    assert answer["stopReason"] == "tool_use"


def test_answer_without_content_has_one_empty_text() -> None:
    """Who reads the first block finds one."""
    assert create(Script(text=""))["output"]["message"]["content"] == [{"text": ""}]


def test_stream_has_text_deltas_without_a_start() -> None:
    """Only tool blocks are opened, and usage comes last."""
    events = stream(Script(deltas=2, usage_in=31, usage_out=18))
    assert [next(iter(event)) for event in events] == [
        "messageStart",
        "contentBlockDelta",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
    ]
    assert events[0]["messageStart"]["role"] == "assistant"
    assert events[-2]["messageStop"]["stopReason"] == "end_turn"
    assert events[-1]["metadata"]["usage"] == {"inputTokens": 31, "outputTokens": 18, "totalTokens": 49}


def test_stream_numbers_reasoning_text_and_calls() -> None:
    """Blocks are numbered from 0 without a gap, and fragments join."""
    events = stream(Script(thinking=True, text="Checking.", tools=("tides", "moon"), args='{"port":"Brest"}'))
    reasoning = [delta["reasoningContent"] for delta in deltas_of(events, 0)]
    assert "".join(delta.get("text", "") for delta in reasoning) == "The user wants an answer, so I give one."
    assert [delta["signature"] for delta in reasoning if "signature" in delta] == [reasoning[-1]["signature"]]
    assert deltas_of(events, 1) == [{"text": "Checking."}]
    starts = [event["contentBlockStart"] for event in events if "contentBlockStart" in event]
    assert [(start["contentBlockIndex"], start["start"]["toolUse"]["name"]) for start in starts] == [
        (2, "tides"),
        (3, "moon"),
    ]
    assert "".join(delta["toolUse"]["input"] for delta in deltas_of(events, 2)) == '{"port":"Brest"}'
    stops = [event["contentBlockStop"]["contentBlockIndex"] for event in events if "contentBlockStop" in event]
    assert stops == [0, 1, 2, 3]


def test_secret_reasoning_is_a_block_of_its_own() -> None:
    """What nobody may read stands between what was thought aloud and what is said."""
    script = Script(thinking=True, redacted=True)
    _, secret, text = create(script)["output"]["message"]["content"]
    assert secret == {"reasoningContent": {"redactedContent": base64.b64decode(REDACTED)}}
    assert text == {"text": "You said: hi"}
    events = stream(script)
    assert deltas_of(events, 1) == [secret]
    assert deltas_of(events, 2) == [text]


GUARDED: dict[str, Any] = {"guardrailIdentifier": "gr-1", "guardrailVersion": "2"}


def test_what_was_asked_for_is_told_beside_the_usage() -> None:
    """Tier, latency and the trace of the guards are in an answer and at the end of a stream if they are asked for."""
    more: dict[str, Any] = {"performanceConfig": {"latency": "optimized"}, "serviceTier": {"type": "flex"}}
    told = create(Script(), guardrailConfig=GUARDED | {"trace": "enabled"}, **more)
    assert {name: told[name] for name in more} == more
    (word,) = told["trace"]["guardrail"]["inputAssessment"]["gr-1"]["wordPolicy"]["customWords"]
    assert word == {"match": "storm", "action": "BLOCKED", "detected": True}
    ended = list(
        bedrock_client(Script()).converse_stream(
            modelId="m", messages=TURNS, guardrailConfig=GUARDED | {"trace": "enabled"}, **more
        )["stream"]
    )[-1]["metadata"]
    assert {name: ended[name] for name in (*more, "trace")} == {name: told[name] for name in (*more, "trace")}
    untold = create(Script(), guardrailConfig=GUARDED | {"trace": "disabled"})
    assert {"trace", *more} & set(untold) == set()


def test_stream_frames_carry_headers_crcs_and_padding() -> None:
    """Each frame is one message of the vendor's parser, which checks both CRCs."""
    for frame in ask(STREAM, BODY, Script(deltas=80)).frames:
        buffer = EventStreamBuffer()
        buffer.add_data(frame)
        (message,) = list(buffer)
        assert list(message.headers) == [":event-type", ":content-type", ":message-type"]
        assert message.headers[":content-type"] == "application/json"
        assert message.headers[":message-type"] == "event"
        assert b'"p":"a' in message.payload


@pytest.mark.parametrize(
    ("stop", "word"),
    [
        (Stop.END, "end_turn"),
        (Stop.LENGTH, "max_tokens"),
        (Stop.SEQUENCE, "stop_sequence"),
        (Stop.TOOL, "tool_use"),
        (Stop.SAFETY, "content_filtered"),
        (Stop.REFUSAL, "content_filtered"),
    ],
)
def test_stop_has_its_word_in_answer_and_stream(stop: Stop, word: str) -> None:
    """Every neutral reason has a word of this dialect."""
    assert create(Script(stop=stop))["stopReason"] == word
    assert stream(Script(stop=stop))[-2]["messageStop"]["stopReason"] == word


def test_stop_raw_is_written_as_it_is() -> None:
    """Rare reasons can be played."""
    assert create(Script(stop_raw="guardrail_intervened"))["stopReason"] == "guardrail_intervened"


def test_stop_sequence_is_named_when_asked_for_by_path() -> None:
    """The matched sequence is the first one of the request, else invented."""
    script = Script(stop=Stop.SEQUENCE)
    paths = ["/stop_sequence"]
    named = create(script, additionalModelResponseFieldPaths=paths, inferenceConfig={"stopSequences": ["END OF TIDE"]})
    assert named["additionalModelResponseFields"] == {"stop_sequence": "END OF TIDE"}
    invented = create(script, additionalModelResponseFieldPaths=paths)
    assert invented["additionalModelResponseFields"] == {"stop_sequence": "END"}
    assert "additionalModelResponseFields" not in create(script)


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "ValidationException"),
        (401, "AccessDeniedException"),
        (402, "ServiceQuotaExceededException"),
        (403, "AccessDeniedException"),
        (404, "ResourceNotFoundException"),
        (408, "ModelTimeoutException"),
        (424, "ModelErrorException"),
        (429, "ThrottlingException"),
        (500, "InternalServerException"),
        (503, "ServiceUnavailableException"),
    ],
)
def test_status_raises_the_clients_exception(status: int, name: str) -> None:
    """The name is in a header, the text in the body."""
    with pytest.raises(ClientError) as caught:
        create(Script(status=status, error="no luck"))
    assert caught.value.response["Error"] == {"Code": name, "Message": "no luck"}
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_error_code_replaces_the_name() -> None:
    """Any exception can be played."""
    with pytest.raises(ClientError) as caught:
        create(Script(status=429, error_code="ModelNotReadyException"))
    assert caught.value.response["Error"]["Code"] == "ModelNotReadyException"


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "validationException"),
        (408, "modelStreamErrorException"),
        (429, "throttlingException"),
        (500, "internalServerException"),
        (503, "serviceUnavailableException"),
    ],
)
def test_failure_inside_the_stream_raises(status: int, name: str) -> None:
    """The client stops at the exception frame, whose name is a member of the union."""
    with pytest.raises(EventStreamError) as caught:
        stream(Script(fail_after=2, status=status, error="slow down"))
    assert caught.value.response["Error"] == {"Code": name, "Message": "slow down"}


def test_frames_and_error_headers_are_the_vendors_bytes() -> None:
    """Payloads are padded from the start of one alphabet, and an error names itself in a header."""
    buffer = EventStreamBuffer()
    buffer.add_data(b"".join(ask(STREAM, BODY, Script(deltas=60)).frames))
    paddings = [message.payload.rpartition(b'"p":"')[2].removesuffix(b'"}') for message in buffer]
    alphabet = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    assert all(alphabet.startswith(padding) for padding in paddings)
    assert {len(padding) for padding in paddings} == set(range(1, 63))
    assert dict(header_pairs(ask(STREAM, BODY, Script(status=429)))) == {
        b"Content-Type": b"application/json",
        b"x-amzn-requestid": b"5eed0000-5eed-4000-8000-00000000b00c",
        b"x-amzn-errortype": b"ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/",
    }


def test_tokens_are_counted() -> None:
    """The counter reads the same request one level deeper, and refuses one that is not there."""
    client = bedrock_client(Script(usage_in=41))
    assert client.count_tokens(modelId="m", input={"converse": {"messages": TURNS}})["inputTokens"] == 41
    bodies = (BODY, b'{"input":[]}', b'{"input":{"converse":[]}}', b'{"input":{"converse":{}}}')
    assert [ask(b"/model/m/count-tokens", body).status for body in bodies] == [400, 400, 400, 400]
