"""Cohere v2 chat of the mock backend, read by Cohere's own client."""

from typing import Any

import orjson
import pytest
from cohere import V2ChatResponse, errors
from cohere.core.api_error import ApiError

from busbar_fast.mock import Script, Stop
from tests.mock.official import ask, cohere_client

TARGET = b"/v2/chat"
STREAM = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}'


def create(script: Script) -> V2ChatResponse:
    return cohere_client(script).chat(model="m", messages=[{"role": "user", "content": "hi"}])  # type: ignore[list-item]


def stream(script: Script) -> list[Any]:
    return list(
        cohere_client(script).chat_stream(
            model="m",
            messages=[{"role": "user", "content": "hi"}],  # type: ignore[list-item]
        )
    )


def kinds(events: list[Any]) -> list[str]:
    return [event.type for event in events]


def test_answer_is_read_with_text_usage_and_reason() -> None:
    """The client's own type holds what the script said."""
    answer = create(Script(usage_in=31, usage_out=18, cached=10))
    assert answer.message.content
    assert answer.message.content[0].type == "text"
    assert answer.message.content[0].text == "You said: hi"
    assert answer.finish_reason == "COMPLETE"
    assert answer.usage
    assert answer.usage.tokens
    assert (answer.usage.tokens.input_tokens, answer.usage.tokens.output_tokens) == (31, 18)
    assert answer.usage.billed_units
    assert answer.usage.billed_units.output_tokens == 18
    assert answer.usage.cached_tokens == 10
    assert len(answer.id) == 36


def test_answer_with_calls_has_a_plan_instead_of_content() -> None:
    """Text before calls is the tool plan."""
    message = create(Script(text="Checking.", tools=("tides", "moon"), args='{"port":"Brest"}')).message
    assert message.content is None
    assert message.tool_plan == "Checking."
    assert message.tool_calls
    first, second = message.tool_calls
    assert first.function
    assert (first.function.name, first.function.arguments) == ("tides", '{"port":"Brest"}')
    assert first.id.startswith("tides_")
    assert first.id != second.id


def test_answer_with_calls_only_has_neither_plan_nor_content() -> None:
    """Members without a value are left out."""
    document = orjson.loads(ask(TARGET, STREAM.replace(b"true", b"false"), Script(tools=("tides",))).frames[0])
    assert list(document["message"]) == ["role", "tool_calls"]
    assert document["finish_reason"] == "TOOL_CALL"


def test_answer_without_text_has_an_empty_list() -> None:
    """Nothing said is a list of nothing."""
    assert create(Script(text="")).message.content == []


def test_answer_with_thinking_has_it_first() -> None:
    """Thinking is a block before the text, and beside calls."""
    content = create(Script(thinking=True)).message.content
    assert content
    assert [block.type for block in content] == ["thinking", "text"]
    beside_calls = create(Script(thinking=True, tools=("tides",))).message
    assert beside_calls.content
    assert [block.type for block in beside_calls.content] == ["thinking"]


def test_stream_has_the_events_in_the_vendors_order() -> None:
    """Blocks are numbered from 0, usage comes with the end, and the terminator is last."""
    events = stream(Script(thinking=True, text="High water.", delta_chars=20, usage_in=31, usage_out=18))
    assert kinds(events) == [
        "message-start",
        "content-start",
        "content-delta",
        "content-delta",
        "content-end",
        "content-start",
        "content-delta",
        "content-end",
        "message-end",
    ]
    assert events[0].id
    assert [event.index for event in events[1:-1]] == [0, 0, 0, 0, 1, 1, 1]
    assert events[6].delta.message.content.text == "High water."
    assert events[-1].delta.finish_reason == "COMPLETE"
    assert events[-1].delta.usage.tokens.output_tokens == 18
    assert ask(TARGET, STREAM).frames[-1] == b"data: [DONE]\n\n"


def test_stream_of_calls_has_a_plan_and_numbered_calls() -> None:
    """Each call is opened with an empty text, and fragments join."""
    script = Script(text="Checking.", tools=("tides", "moon"), args='{"port":"Brest"}', delta_chars=9)
    events = stream(script)
    assert kinds(events) == [
        "message-start",
        "tool-plan-delta",
        *(["tool-call-start", "tool-call-delta", "tool-call-delta", "tool-call-end"] * 2),
        "message-end",
    ]
    assert events[1].delta.message.tool_plan == "Checking."
    assert events[2].delta.message.tool_calls.function.arguments == ""
    assert [event.index for event in events[2:-1]] == [0, 0, 0, 0, 1, 1, 1, 1]
    fragments = [event.delta.message.tool_calls.function.arguments for event in events[3:5]]
    assert "".join(fragments) == '{"port":"Brest"}'
    assert events[-1].delta.finish_reason == "TOOL_CALL"


@pytest.mark.parametrize(
    ("stop", "word"),
    [
        (Stop.END, "COMPLETE"),
        (Stop.LENGTH, "MAX_TOKENS"),
        (Stop.SEQUENCE, "STOP_SEQUENCE"),
        (Stop.TOOL, "TOOL_CALL"),
        (Stop.SAFETY, "ERROR"),
        (Stop.REFUSAL, "COMPLETE"),
    ],
)
def test_stop_has_its_word_in_answer_and_stream(stop: Stop, word: str) -> None:
    """Every neutral reason has a word of this dialect."""
    assert create(Script(stop=stop)).finish_reason == word
    assert stream(Script(stop=stop))[-1].delta.finish_reason == word


def test_stop_raw_is_written_as_it_is() -> None:
    """Words of the older dialect can be played."""
    assert create(Script(stop_raw="ERROR_TOXIC")).finish_reason == "ERROR_TOXIC"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.BadRequestError),
        (401, errors.UnauthorizedError),
        (403, errors.ForbiddenError),
        (404, errors.NotFoundError),
        (429, errors.TooManyRequestsError),
        (500, errors.InternalServerError),
        (503, errors.ServiceUnavailableError),
        (504, errors.GatewayTimeoutError),
    ],
)
def test_status_raises_the_clients_exception(status: int, kind: type[ApiError]) -> None:
    """The status says it all."""
    client = cohere_client(Script(status=status, error="no luck"))
    with pytest.raises(kind) as caught:
        client.chat(
            model="m",
            messages=[{"role": "user", "content": "hi"}],  # type: ignore[list-item]
            request_options={"max_retries": 0},
        )
    assert caught.value.body["message"] == "no luck"


@pytest.mark.parametrize(("status", "reason"), [(503, "ERROR"), (504, "TIMEOUT"), (408, "TIMEOUT")])
def test_failure_inside_the_stream_is_its_end(status: int, reason: str) -> None:
    """The reason and the text of the error are in the last event."""
    events = stream(Script(fail_after=2, status=status, error="slow down"))
    assert kinds(events) == ["message-start", "content-start", "message-end"]
    assert events[-1].delta.finish_reason == reason
    assert events[-1].delta.error == "slow down"


def test_stream_frames_are_the_vendors_bytes() -> None:
    """An event has every member that the vendor writes, in its order."""
    assert ask(TARGET, STREAM, Script(usage_in=9, usage_out=4)).frames == [
        (
            b'event: message-start\ndata: {"type":"message-start","id":"5eed0000-5eed-4000-8000-00000000c04e","delta":'
            b'{"message":{"role":"assistant","content":[],"tool_plan":"","tool_calls":[],"citations":[]}}}\n\n'
        ),
        (
            b'event: content-start\ndata: {"type":"content-start","index":0,"delta":'
            b'{"message":{"content":{"type":"text","text":""}}}}\n\n'
        ),
        (
            b'event: content-delta\ndata: {"type":"content-delta","index":0,"delta":'
            b'{"message":{"content":{"text":"You said: hi"}}}}\n\n'
        ),
        b'event: content-end\ndata: {"type":"content-end","index":0}\n\n',
        (
            b'event: message-end\ndata: {"type":"message-end","delta":{"finish_reason":"COMPLETE","usage":'
            b'{"billed_units":{"input_tokens":9,"output_tokens":4},"tokens":{"input_tokens":9,"output_tokens":4}}}}\n\n'
        ),
        b"data: [DONE]\n\n",
    ]


DOCUMENTS = b'"documents":["06:12",{"id":"d1","data":{"title":"Tables"}}]'


@pytest.mark.parametrize("index", [0, 1])
def test_each_document_is_cited(index: int) -> None:
    """A citation spans the whole text and names its document, in a stream at the end of the block it is about."""
    body = STREAM[:-1] + b"," + DOCUMENTS + b"}"
    script = Script(thinking=bool(index))
    span = {"start": 0, "end": 12, "text": "You said: hi"}
    place = {"content_index": index, "type": "TEXT_CONTENT"}
    first = {"type": "document", "id": "doc:0", "document": {"id": "doc:0", "text": "06:12"}}
    second = {"type": "document", "id": "d1", "document": {"id": "d1", "title": "Tables"}}
    cited = [{**span, "sources": [first], **place}, {**span, "sources": [second], **place}]
    whole = orjson.loads(ask(TARGET, body.replace(b"true", b"false"), script).frames[0])
    assert whole["message"]["citations"] == cited
    events = [orjson.loads(frame.split(b"data: ")[1]) for frame in ask(TARGET, body, script).frames[:-1]]
    assert [event["type"] for event in events[-6:]] == [
        "citation-start",
        "citation-end",
        "citation-start",
        "citation-end",
        "content-end",
        "message-end",
    ]
    starts = [event for event in events if event["type"] == "citation-start"]
    assert [(event["index"], event["delta"]["message"]["citations"]) for event in starts] == [
        (0, cited[0]),
        (1, cited[1]),
    ]


def test_calls_cite_nothing() -> None:
    """A plan is no answer that could be cited."""
    body = STREAM.replace(b"true", b"false")[:-1] + b"," + DOCUMENTS + b"}"
    reply = ask(TARGET, body, Script(text="I will look.", tools=("tides",)))
    assert "citations" not in orjson.loads(reply.frames[0])["message"]


def test_document_without_data_is_refused() -> None:
    """What is neither a text nor an object with data is 400."""
    reply = ask(TARGET, STREAM[:-1] + b',"documents":[{"id":"d1"}]}')
    assert (reply.status, b"documents: each must be" in reply.frames[0]) == (400, True)


def test_log_probabilities_come_when_asked_for() -> None:
    """Each piece is a token with its probability, in a stream beside its own delta."""
    body = STREAM[:-1] + b',"logprobs":true}'
    row = {"text": "You said: hi", "token_ids": [12], "logprobs": [-0.8125]}
    assert orjson.loads(ask(TARGET, body.replace(b'm":true', b'm":false')).frames[0])["logprobs"] == [row]
    events = [orjson.loads(frame.split(b"data: ")[1]) for frame in ask(TARGET, body).frames[:-1]]
    assert [event["logprobs"] for event in events if "logprobs" in event] == [row]
