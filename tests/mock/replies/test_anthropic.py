"""Anthropic Messages of the mock backend, read by Anthropic's own client."""

from collections.abc import Callable

import anthropic
import orjson
import pytest
from anthropic.types import Message, RedactedThinkingBlock, TextBlock, ThinkingBlock, ToolUseBlock

from busbar_fast.mock import Script, Stop
from busbar_fast.mock.content import REDACTED
from tests.mock.official import anthropic_client, ask

TARGET = b"/v1/messages"
STREAM = b'{"model":"m","max_tokens":64,"stream":true,"messages":[{"role":"user","content":"hi"}]}'


def create(script: Script) -> Message:
    answer = anthropic_client(script).messages.create(
        model="m", max_tokens=64, messages=[{"role": "user", "content": "hi"}]
    )
    return Message.model_validate(answer.model_dump(), strict=True)


def stream_final(script: Script) -> Message:
    with anthropic_client(script).messages.stream(
        model="m", max_tokens=64, messages=[{"role": "user", "content": "hi"}]
    ) as events:
        for _ in events:
            pass
        return events.get_final_message()


def event_names(script: Script) -> list[str]:
    names = []
    for frame in ask(TARGET, STREAM, script).frames:
        name, raw_document = frame.removesuffix(b"\n\n").split(b"\n")
        kind = orjson.loads(raw_document.removeprefix(b"data: "))["type"]
        assert name == f"event: {kind}".encode()
        names.append(kind)
    return names


@pytest.mark.parametrize("read", [create, stream_final])
def test_answer_is_read_with_text_usage_and_reason(read: Callable[[Script], Message]) -> None:
    """The client's own type holds what the script said, streamed or not."""
    answer = read(Script(usage_in=100, usage_out=18, cached=30, cache_write=20))
    (block,) = answer.content
    assert isinstance(block, TextBlock)
    assert block.text == "You said: hi"
    assert answer.model == "m"
    assert answer.stop_reason == "end_turn"
    assert answer.stop_sequence is None
    assert answer.usage.input_tokens == 50
    assert answer.usage.cache_read_input_tokens == 30
    assert answer.usage.cache_creation_input_tokens == 20
    assert answer.usage.output_tokens == 18
    assert answer.id.startswith("msg_01")
    assert len(answer.id) == 28


@pytest.mark.parametrize("read", [create, stream_final])
def test_answer_has_thinking_text_and_calls_in_order(read: Callable[[Script], Message]) -> None:
    """Blocks come in the order in which they are thought, said and called."""
    answer = read(Script(thinking=True, text="Checking.", tools=("tides", "moon"), args='{"port":"Brest"}'))
    thinking, text, first, second = answer.content
    assert isinstance(thinking, ThinkingBlock)
    assert "wants an answer" in thinking.thinking
    assert thinking.signature
    assert isinstance(text, TextBlock)
    assert isinstance(first, ToolUseBlock)
    assert isinstance(second, ToolUseBlock)
    assert (first.name, first.input) == ("tides", {"port": "Brest"})
    assert first.id.startswith("toolu_01")
    assert len(first.id) == 30
    assert first.id != second.id
    assert answer.stop_reason == "tool_use"
    assert answer.usage.output_tokens_details is not None
    assert answer.usage.output_tokens_details.thinking_tokens == 10


@pytest.mark.parametrize("read", [create, stream_final])
def test_secret_thinking_is_a_block_of_its_own(read: Callable[[Script], Message]) -> None:
    """What nobody may read comes whole, behind what was thought aloud."""
    thinking, secret, text = read(Script(thinking=True, redacted=True)).content
    assert thinking.type == "thinking"
    assert isinstance(secret, RedactedThinkingBlock)
    assert secret.data == REDACTED
    assert isinstance(text, TextBlock)


def test_stream_has_the_events_in_the_vendors_order() -> None:
    """A ping follows the opening of the first block, and nothing follows the stop."""
    script = Script(text="Checking.", tools=("tides",), args='{"a":1}')
    assert event_names(script) == [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_stream_start_is_a_skeleton() -> None:
    """The first event has no content, no reason and one token."""
    document = orjson.loads(ask(TARGET, STREAM).frames[0].partition(b"data: ")[2])
    message = document["message"]
    assert message["content"] == []
    assert message["stop_reason"] is None
    assert message["usage"]["output_tokens"] == 1


@pytest.mark.parametrize(
    ("stop", "word"),
    [
        (Stop.END, "end_turn"),
        (Stop.LENGTH, "max_tokens"),
        (Stop.SEQUENCE, "stop_sequence"),
        (Stop.TOOL, "tool_use"),
        (Stop.SAFETY, "refusal"),
        (Stop.REFUSAL, "refusal"),
    ],
)
def test_stop_has_its_word_in_answer_and_stream(stop: Stop, word: str) -> None:
    """Every neutral reason has a word of this dialect."""
    assert create(Script(stop=stop)).stop_reason == word
    assert stream_final(Script(stop=stop)).stop_reason == word


def test_stop_raw_is_written_as_it_is() -> None:
    """Reasons that we do not know can be played."""
    assert create(Script(stop_raw="pause_turn")).stop_reason == "pause_turn"


def test_stop_sequence_is_the_first_one_asked_for() -> None:
    """The matched sequence is named; without any in the request it is invented."""
    script = Script(stop=Stop.SEQUENCE)
    body = STREAM.replace(b'"stream":true', b'"stop_sequences":["END OF TIDE"]')
    assert orjson.loads(ask(TARGET, body, script).frames[0])["stop_sequence"] == "END OF TIDE"
    assert create(script).stop_sequence == "END"


def test_max_tokens_missing_is_refused() -> None:
    """This vendor needs a limit, except for counting."""
    body = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
    reply = ask(TARGET, body)
    assert reply.status == 400
    assert b"max_tokens" in reply.frames[0]


def test_tokens_are_counted() -> None:
    """The counter reads the same request."""
    client = anthropic_client(Script(usage_in=41))
    count = client.messages.count_tokens(model="m", messages=[{"role": "user", "content": "hi"}])
    assert count.input_tokens == 41


@pytest.mark.parametrize(
    ("status", "error_type"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ],
)
def test_status_raises_the_clients_exception(status: int, error_type: str) -> None:
    """Status and type are the vendor's, and the request id is in header and body."""
    with pytest.raises(anthropic.APIStatusError) as caught:
        create(Script(status=status, error="no luck"))
    assert caught.value.status_code == status
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["error"] == {"type": error_type, "message": "no luck"}
    assert caught.value.request_id == caught.value.body["request_id"]


@pytest.mark.parametrize(("should_retry", "value"), [(None, None), (True, "true"), (False, "false")])
def test_error_says_whether_to_try_again(should_retry: bool | None, value: str | None) -> None:
    """The header is there only if the script says so."""
    with pytest.raises(anthropic.APIStatusError) as caught:
        create(Script(status=429, should_retry=should_retry))
    assert caught.value.response.headers.get("x-should-retry") == value


def test_error_code_replaces_the_type() -> None:
    """Any type can be played."""
    with pytest.raises(anthropic.APIStatusError) as caught:
        create(Script(status=400, error_code="strange_error"))
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["error"]["type"] == "strange_error"


def test_failure_inside_the_stream_raises() -> None:
    """The client stops at the error event."""
    with pytest.raises(anthropic.APIStatusError, match="slow down"):
        stream_final(Script(fail_after=3, error="slow down"))
    assert event_names(Script(fail_after=3))[3:] == ["error"]


def test_stream_frames_are_the_vendors_bytes() -> None:
    """An event has every member that the vendor writes, in its order."""
    frames = ask(TARGET, STREAM, Script(usage_in=9, usage_out=4)).frames
    counts = (
        b'"usage":{"input_tokens":9,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,'
        b'"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":%d,'
        b'"service_tier":"standard"}}'
    )
    assert frames == [
        b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_01MockMockMockMockMockM1",'
        b'"type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,'
        + counts % 1
        + b"}\n\n",
        (
            b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
            b'"content_block":{"type":"text","text":""}}\n\n'
        ),
        b'event: ping\ndata: {"type":"ping"}\n\n',
        (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
            b'"delta":{"type":"text_delta","text":"You said: hi"}}\n\n'
        ),
        b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n',
        b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
        + counts % 4
        + b"\n\n",
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    ]


def test_error_is_the_vendors_bytes() -> None:
    """The request id has the vendor's shape."""
    assert ask(TARGET, STREAM, Script(status=500, error="no luck")).frames == [
        b'{"type":"error","error":{"type":"api_error","message":"no luck"},"request_id":"req_01MockMockMockMockMockM1"}'
    ]
