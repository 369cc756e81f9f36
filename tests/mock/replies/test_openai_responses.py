"""OpenAI Responses of the mock backend, read by OpenAI's own client."""

from typing import Any

import openai
import orjson
import pytest
from openai.types.responses import Response, ResponseFunctionToolCall, ResponseOutputMessage, ResponseReasoningItem

from busbar_fast.mock import Script, Stop
from tests.mock.official import ask, openai_client

TARGET = b"/v1/responses"
STREAM = b'{"model":"m","stream":true,"input":"hi"}'


def create(script: Script) -> Response:
    answer = openai_client(script).responses.create(model="m", input="hi")
    return Response.model_validate(answer.model_dump(), strict=True)


def documents(script: Script) -> list[dict[str, Any]]:
    """Return the events of a stream, checking their frames on the way."""
    found = []
    for frame in ask(TARGET, STREAM, script).frames:
        name, raw_document = frame.removesuffix(b"\n\n").split(b"\n")
        document = orjson.loads(raw_document.removeprefix(b"data: "))
        assert name == f"event: {document['type']}".encode()
        found.append(document)
    return found


def stream_final(script: Script) -> Response:
    with openai_client(script).responses.stream(model="m", input="hi") as events:
        for _ in events:
            pass
        return events.get_final_response()


def test_answer_is_read_with_text_usage_and_status() -> None:
    """The client's own type holds what the script said."""
    answer = create(Script(usage_in=31, usage_out=18, cached=10, cache_write=5))
    assert answer.output_text == "You said: hi"
    assert answer.status == "completed"
    assert answer.incomplete_details is None
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (31, 18, 49)
    assert answer.usage.input_tokens_details.cached_tokens == 10
    assert answer.usage.input_tokens_details.cache_write_tokens == 5
    assert len(answer.id) == 53
    assert len(answer.output[0].id or "") == 52


def test_answer_repeats_the_request() -> None:
    """Settings of the request come back, and defaults for those it left out."""
    answer = openai_client(Script()).responses.create(
        model="m", input="hi", instructions="Be brief.", temperature=0.5, parallel_tool_calls=False
    )
    assert answer.instructions == "Be brief."
    assert answer.temperature == 0.5
    assert answer.parallel_tool_calls is False
    assert answer.tool_choice == "auto"
    assert answer.tools == []


def test_answer_has_reasoning_message_and_calls_in_order() -> None:
    """Items come in the order in which they are thought, said and called."""
    answer = create(Script(thinking=True, text="Checking.", tools=("tides",), args='{"port":"Brest"}'))
    reasoning, message, call = answer.output
    assert isinstance(reasoning, ResponseReasoningItem)
    assert reasoning.content
    assert "wants an answer" in reasoning.content[0].text
    assert reasoning.encrypted_content
    assert isinstance(message, ResponseOutputMessage)
    assert isinstance(call, ResponseFunctionToolCall)
    assert (call.name, call.arguments, call.status) == ("tides", '{"port":"Brest"}', "completed")
    assert call.call_id.startswith("call_")
    assert answer.usage is not None
    assert answer.usage.output_tokens_details.reasoning_tokens == 10


@pytest.mark.parametrize(
    ("script", "status", "reason"),
    [
        (Script(stop=Stop.END), "completed", None),
        (Script(stop=Stop.SEQUENCE), "completed", None),
        (Script(stop=Stop.TOOL), "completed", None),
        (Script(stop=Stop.LENGTH), "incomplete", "max_output_tokens"),
        (Script(stop=Stop.SAFETY), "incomplete", "content_filter"),
        (Script(stop_raw="max_messages"), "incomplete", "max_messages"),
    ],
)
def test_stop_is_a_status_with_its_reason(script: Script, status: str, reason: str | None) -> None:
    """The last event of a stream is named by the status that the answer has."""
    answer = create(script)
    assert answer.status == status
    assert (answer.incomplete_details and answer.incomplete_details.reason) == reason
    last = documents(script)[-1]
    assert last["type"] == f"response.{status}"
    assert last["response"]["status"] == status


def test_refusal_is_a_part_of_its_own() -> None:
    """A refusal completes, in the answer and in the stream."""
    script = Script(stop=Stop.REFUSAL, text="I will not do this.")
    for answer in (create(script), stream_final(script)):
        (message,) = answer.output
        assert isinstance(message, ResponseOutputMessage)
        (part,) = message.content
        assert part.type == "refusal"
        assert part.refusal == "I will not do this."
        assert answer.status == "completed"
    assert [event["type"] for event in documents(script)[4:6]] == ["response.refusal.delta"] * 2


def test_stream_has_every_event_of_every_item() -> None:
    """The list of events is the vendor's, numbered from 0 without a gap."""
    script = Script(thinking=True, text="Checking.", tools=("tides",), args='{"port":"Brest"}', delta_chars=20)
    events = documents(script)
    assert [event["type"].removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    indexes = [event["output_index"] for event in events if event["type"] == "response.output_item.added"]
    assert indexes == [0, 1, 2]


def test_stream_begins_empty_and_in_progress() -> None:
    """The first two events carry the skeleton of the response."""
    for event in documents(Script())[:2]:
        assert event["response"]["status"] == "in_progress"
        assert event["response"]["output"] == []
        assert event["response"]["usage"] is None


def test_stream_items_begin_empty_and_keep_their_ids() -> None:
    """An item is added without its content, and its id is the same in the final output."""
    events = documents(Script(thinking=True, text="Checking.", tools=("tides",)))
    added = [event["item"] for event in events if event["type"] == "response.output_item.added"]
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert [item.get("content", item.get("arguments")) for item in added] == [[], [], ""]
    assert [item.get("status") for item in added] == [None, "in_progress", "in_progress"]
    assert [item["id"] for item in added] == [item["id"] for item in done]
    assert events[-1]["response"]["output"] == done


def test_stream_helper_accumulates_the_answer() -> None:
    """The client's own helper ends with the very answer that is given without a stream."""
    script = Script(thinking=True, text="Checking.", tools=("tides",), args='{"port":"Brest"}', usage_in=31)
    final, whole = stream_final(script), create(script)
    assert final.output_text == "Checking."
    assert final.usage == whole.usage
    assert [item.type for item in final.output] == [item.type for item in whole.output]


@pytest.mark.parametrize(
    "turns",
    [
        "hi",
        [{"role": "user", "content": "hi"}],
        [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
        [{"role": "user", "content": "hi"}, {"type": "function_call_output", "call_id": "c", "output": "x"}],
    ],
)
def test_input_of_any_form_is_echoed(turns: object) -> None:
    """Texts, plain turns and typed items are understood."""
    body = orjson.dumps({"model": "m", "input": turns})
    assert b"You said: hi" in ask(TARGET, body).frames[0]


def test_input_missing_is_refused_unless_instructions_are_given() -> None:
    """One of the two is needed."""
    assert ask(TARGET, b'{"model":"m"}').status == 400
    assert ask(TARGET, b'{"model":"m","input":7}').status == 400
    assert ask(TARGET, b'{"model":"m","instructions":"hi"}').status == 200


def test_status_raises_the_clients_exception() -> None:
    """Errors are those of the other OpenAI dialect."""
    with pytest.raises(openai.RateLimitError, match="slow down"):
        create(Script(status=429, error="slow down"))


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (Script(fail_after=4), "server_error"),
        (Script(fail_after=4, status=429), "rate_limit_exceeded"),
        (Script(fail_after=4, status=400), "invalid_prompt"),
        (Script(fail_after=4, error_code="context_length_exceeded"), "context_length_exceeded"),
    ],
)
def test_failure_inside_the_stream_is_a_failed_response(script: Script, code: str) -> None:
    """The numbering goes on, the identity stays, and nothing follows."""
    events = documents(script)
    assert [event["sequence_number"] for event in events] == [0, 1, 2, 3, 4]
    assert events[-1]["type"] == "response.failed"
    assert events[-1]["response"]["status"] == "failed"
    assert events[-1]["response"]["error"]["code"] == code
    assert events[-1]["response"]["id"] == events[0]["response"]["id"]


def test_failure_before_the_first_event_is_an_error_event() -> None:
    """Nothing that has begun can fail, so the error stands alone, flat as the client needs it."""
    (event,) = documents(Script(fail_after=0, error="slow down"))
    assert (event["type"], event["sequence_number"], event["message"]) == ("error", 0, "slow down")
    assert "error" not in event


def test_answer_is_the_vendors_document() -> None:
    """The response object has every member that the vendor writes, and ids of its shape."""
    document = orjson.loads(ask(TARGET, b'{"model":"m","input":"hi"}', Script(tools=("tides",), usage_in=1)).frames[0])
    assert document.pop("output")[0]["id"] == "fc_" + "5eed" * 11 + "5ee1"
    assert document.pop("usage")["total_tokens"] == 8
    assert document == {
        "id": "resp_" + "5eed" * 11 + "5ee1",
        "object": "response",
        "created_at": 1_760_000_000,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "model": "m",
        "instructions": None,
        "max_output_tokens": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "user": None,
    }


def test_log_probabilities_come_when_asked_for() -> None:
    """Each piece is a token with its probability, in the part, in its own delta and at the end of the text."""
    body = b'{"model":"m","input":"hi","stream":%b,"top_logprobs":1,"include":["message.output_text.logprobs"]}'
    row = {"token": "You said: hi", "logprob": -0.8125, "bytes": list(b"You said: hi")}
    rows = [{**row, "top_logprobs": [row]}]
    whole = orjson.loads(ask(TARGET, body % b"false").frames[0])
    assert whole["output"][0]["content"][0]["logprobs"] == rows
    events = [orjson.loads(frame.split(b"data: ")[1]) for frame in ask(TARGET, body % b"true").frames]
    found = {event["type"]: event["logprobs"] for event in events if "logprobs" in event}
    assert found == {"response.output_text.delta": rows, "response.output_text.done": rows}
    parts = {event["type"]: event["part"]["logprobs"] for event in events if "part" in event}
    assert parts == {"response.content_part.added": [], "response.content_part.done": rows}


def test_too_many_alternatives_are_refused() -> None:
    """A number beyond the vendor's bounds is 400 and named."""
    body = b'{"model":"m","input":"hi","top_logprobs":21,"include":["message.output_text.logprobs"]}'
    reply = ask(TARGET, body)
    assert (reply.status, orjson.loads(reply.frames[0])["error"]["param"]) == (400, "top_logprobs")


@pytest.mark.parametrize("tools", [[{"type": "custom", "name": "patch"}], [], "odd", [5]])
def test_tool_of_free_text_is_called_with_free_text(tools: Any) -> None:
    """A tool that the request declares as custom gets the member `input` of its arguments, any other all of them."""
    script = Script(tools=("patch",), args='{"input":"*** a\\n+b"}')
    body = orjson.dumps({"model": "m", "input": "hi", "tools": tools})
    (whole,) = orjson.loads(ask(TARGET, body, script).frames[0])["output"]
    asked = orjson.dumps({"model": "m", "input": "hi", "tools": tools, "stream": True})
    frames = [frame.split(b"data: ")[1] for frame in ask(TARGET, asked, script).frames]
    events = {document["type"]: document for document in map(orjson.loads, frames)}
    assert events["response.output_item.done"]["item"] == whole
    if tools and tools not in ("odd", [5]):
        assert (whole["type"], whole["input"]) == ("custom_tool_call", "*** a\n+b")
        assert events["response.custom_tool_call_input.delta"]["delta"] == whole["input"]
        assert events["response.output_item.added"]["item"]["input"] == ""
    else:
        assert (whole["type"], whole["arguments"]) == ("function_call", script.args)
