"""OpenAI Chat Completions of the mock backend, read by OpenAI's own client."""

import openai
import orjson
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessageFunctionToolCall

from busbar_fast.mock import Script, Stop
from tests.mock.official import ask, openai_client

TARGET = b"/v1/chat/completions"
STREAM = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}'


def create(script: Script) -> ChatCompletion:
    answer = openai_client(script).chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    return ChatCompletion.model_validate(answer.model_dump(), strict=True)


def stream(script: Script, *, include_usage: bool = False) -> list[ChatCompletionChunk]:
    chunks = openai_client(script).chat.completions.create(
        model="m",
        messages=[{"role": "user", "content": "hi"}],
        stream=True,
        stream_options={"include_usage": include_usage},
    )
    return [ChatCompletionChunk.model_validate(chunk.model_dump(), strict=True) for chunk in chunks]


def test_answer_is_read_with_text_usage_and_reason() -> None:
    """The client's own type holds what the script said."""
    answer = create(Script(usage_in=31, usage_out=18, cached=10))
    assert answer.model == "m"
    assert answer.id.startswith("chatcmpl-")
    assert len(answer.id) == 38
    assert answer.choices[0].message.content == "You said: hi"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (31, 18, 49)
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == 10


def test_answer_with_calls_has_no_content() -> None:
    """Calls carry ids of the vendor's shape and arguments as text."""
    answer = create(Script(tools=("tides", "moon"), args='{"port":"Brest"}'))
    message = answer.choices[0].message
    assert message.content is None
    assert answer.choices[0].finish_reason == "tool_calls"
    calls = [call for call in message.tool_calls or [] if isinstance(call, ChatCompletionMessageFunctionToolCall)]
    assert [call.function.name for call in calls] == ["tides", "moon"]
    assert [call.function.arguments for call in calls] == ['{"port":"Brest"}'] * 2
    assert len({call.id for call in calls}) == 2
    assert all(call.id.startswith("call_") and len(call.id) == 29 for call in calls)


def test_answer_with_thinking_has_reasoning_content() -> None:
    """Compatible servers put thinking beside the content."""
    answer = create(Script(thinking=True))
    assert answer.choices[0].message.model_extra
    assert "wants an answer" in answer.choices[0].message.model_extra["reasoning_content"]
    assert answer.usage is not None
    assert answer.usage.completion_tokens_details is not None
    assert answer.usage.completion_tokens_details.reasoning_tokens == 10


def test_cache_write_is_counted_when_scripted() -> None:
    """The write count is a detail of the prompt."""
    document = orjson.loads(ask(TARGET, STREAM.replace(b"true", b"false"), Script(cache_write=4)).frames[0])
    assert document["usage"]["prompt_tokens_details"]["cache_write_tokens"] == 4


def test_refusal_takes_the_place_of_the_content() -> None:
    """A refusal ends normally and has a member of its own, also in a stream."""
    script = Script(stop=Stop.REFUSAL, text="I will not do this.")
    message = create(script).choices[0].message
    assert message.content is None
    assert message.refusal == "I will not do this."
    chunks = stream(script)
    assert "".join(chunk.choices[0].delta.refusal or "" for chunk in chunks) == "I will not do this."
    assert chunks[-1].choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    ("stop", "word"),
    [
        (Stop.END, "stop"),
        (Stop.LENGTH, "length"),
        (Stop.SEQUENCE, "stop"),
        (Stop.TOOL, "tool_calls"),
        (Stop.SAFETY, "content_filter"),
    ],
)
def test_stop_has_its_word_in_answer_and_stream(stop: Stop, word: str) -> None:
    """Every neutral reason has a word of this dialect."""
    assert create(Script(stop=stop)).choices[0].finish_reason == word
    assert stream(Script(stop=stop))[-1].choices[0].finish_reason == word


def test_stop_raw_is_written_as_it_is() -> None:
    """Unknown words of compatible servers can be played."""
    assert b'"finish_reason":"eos"' in ask(TARGET, STREAM, Script(stop_raw="eos")).frames[-2]


def test_stream_has_role_deltas_finish_and_terminator() -> None:
    """The order is the vendor's, each chunk repeats the identity, and the role comes once."""
    chunks = stream(Script(deltas=3))
    assert [chunk.choices[0].delta.role for chunk in chunks] == ["assistant", None, None, None, None]
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, None, None, None, "stop"]
    assert [len(chunk.choices[0].delta.content or "") for chunk in chunks] == [0, 16, 16, 16, 0]
    assert len({(chunk.id, chunk.created, chunk.model, chunk.object) for chunk in chunks}) == 1
    assert ask(TARGET, STREAM).frames[-1] == b"data: [DONE]\n\n"


def test_stream_without_opt_in_has_no_usage() -> None:
    """Who did not ask sees no usage member at all."""
    assert b'"usage"' not in b"".join(ask(TARGET, STREAM).frames)


def test_stream_with_opt_in_ends_with_the_usage_chunk() -> None:
    """Usage is null on every chunk but the last one, which has no choice."""
    chunks = stream(Script(usage_in=31, usage_out=18), include_usage=True)
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 49
    body = STREAM.replace(b'"stream":true', b'"stream":true,"stream_options":{"include_usage":true}')
    frames = ask(TARGET, body).frames
    assert all(b'"usage":null' in frame for frame in frames[:-2])


def test_stream_of_calls_opens_each_before_its_fragments() -> None:
    """Id and name come once, fragments join to the arguments."""
    chunks = stream(Script(tools=("tides", "moon"), args='{"port":"Brest"}', delta_chars=5))
    deltas = [delta for chunk in chunks for delta in chunk.choices[0].delta.tool_calls or []]
    for number, name in enumerate(("tides", "moon")):
        own = [delta for delta in deltas if delta.index == number]
        assert [delta.id is not None for delta in own] == [True, False, False, False, False]
        assert own[0].function is not None
        assert own[0].function.name == name
        joined = "".join(delta.function.arguments or "" for delta in own if delta.function)
        assert joined == '{"port":"Brest"}'


def test_stream_helper_accumulates_the_answer() -> None:
    """The client's own accumulator ends with text, thinking and call."""
    script = Script(text="Checking.", tools=("tides",), args='{"port":"Brest"}', thinking=True)
    with openai_client(script).chat.completions.stream(
        model="m", messages=[{"role": "user", "content": "hi"}]
    ) as events:
        for _ in events:
            pass
        final = events.get_final_completion()
    message = final.choices[0].message
    assert message.content == "Checking."
    assert message.tool_calls
    assert message.tool_calls[0].function.arguments == '{"port":"Brest"}'
    assert message.model_extra
    assert "wants an answer" in message.model_extra["reasoning_content"]


@pytest.mark.parametrize(
    ("status", "kind", "error_type", "code"),
    [
        (400, openai.BadRequestError, "invalid_request_error", None),
        (401, openai.AuthenticationError, "authentication_error", "invalid_api_key"),
        (403, openai.PermissionDeniedError, "permission_error", None),
        (404, openai.NotFoundError, "not_found_error", None),
        (429, openai.RateLimitError, "rate_limit_error", "rate_limit_exceeded"),
        (500, openai.InternalServerError, "server_error", None),
        (503, openai.InternalServerError, "server_error", None),
    ],
)
def test_status_raises_the_clients_exception(
    status: int, kind: type[openai.APIStatusError], error_type: str, code: str | None
) -> None:
    """Status, type and code are the vendor's."""
    with pytest.raises(kind) as caught:
        create(Script(status=status, error="no luck"))
    assert isinstance(caught.value.body, dict)
    assert caught.value.body == {"message": "no luck", "type": error_type, "param": None, "code": code}
    assert caught.value.request_id is not None


def test_quota_is_type_and_code() -> None:
    """An exhausted quota says so twice."""
    with pytest.raises(openai.RateLimitError) as caught:
        create(Script(status=429, error_code="insufficient_quota"))
    assert caught.value.code == caught.value.type == "insufficient_quota"


def test_failure_inside_the_stream_raises() -> None:
    """The client stops at the error chunk."""
    with pytest.raises(openai.APIError, match="slow down"):
        stream(Script(fail_after=2, error="slow down"))


def test_stream_frames_are_the_vendors_bytes() -> None:
    """A chunk has every member that the vendor writes, in its order."""
    start, delta, finish, _ = ask(TARGET, STREAM).frames
    envelope = (
        b'data: {"id":"chatcmpl-MockMockMockMockMockMockMock1","object":"chat.completion.chunk","created":1760000000,'
        b'"model":"m","service_tier":"default","system_fingerprint":"fp_mock000001","choices":[{"index":0,"delta":'
    )
    assert start == (
        envelope + b'{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}]}\n\n'
    )
    assert delta == envelope + b'{"content":"You said: hi"},"logprobs":null,"finish_reason":null}]}\n\n'
    assert finish == envelope + b'{},"logprobs":null,"finish_reason":"stop"}]}\n\n'


def test_each_choice_says_the_same() -> None:
    """As many choices come as were asked for, in a stream one after the other."""
    body = b'{"model":"m","n":3,"messages":[{"role":"user","content":"hi"}]}'
    whole = orjson.loads(ask(TARGET, body).frames[0])
    assert [(choice["index"], choice["message"]["content"]) for choice in whole["choices"]] == [
        (0, "You said: hi"),
        (1, "You said: hi"),
        (2, "You said: hi"),
    ]
    frames = ask(TARGET, body.replace(b'"n":3', b'"n":2,"stream":true')).frames
    chunks = [orjson.loads(frame[6:])["choices"][0] for frame in frames[:-1]]
    assert [(chunk["index"], chunk["finish_reason"]) for chunk in chunks] == [
        (0, None),
        (0, None),
        (0, "stop"),
        (1, None),
        (1, None),
        (1, "stop"),
    ]


@pytest.mark.parametrize("member", [b'"n":0', b'"n":129', b'"n":"2"', b'"logprobs":true,"top_logprobs":21'])
def test_impossible_numbers_are_refused(member: bytes) -> None:
    """Numbers beyond the vendor's bounds are 400 and named."""
    reply = ask(TARGET, b'{"model":"m",%b,"messages":[{"role":"user","content":"hi"}]}' % member)
    assert reply.status == 400
    assert orjson.loads(reply.frames[0])["error"]["param"] in {"n", "top_logprobs"}


def test_log_probabilities_come_when_asked_for() -> None:
    """Each piece is a token with its probability, in a stream beside its own delta, and so is a refusal."""
    body = b'{"model":"m","logprobs":true,"top_logprobs":1,"messages":[{"role":"user","content":"hi"}]}'
    row = {"token": "You said: hi", "logprob": -0.8125, "bytes": list(b"You said: hi")}
    found = orjson.loads(ask(TARGET, body).frames[0])["choices"][0]["logprobs"]
    assert found == {"content": [{**row, "top_logprobs": [row]}], "refusal": None}
    frames = ask(TARGET, body.replace(b'"logprobs"', b'"stream":true,"logprobs"')).frames
    parts = [orjson.loads(frame[6:])["choices"][0]["logprobs"] for frame in frames[:-1]]
    assert parts == [None, found, None]
    script = Script(stop=Stop.REFUSAL, text="no")
    refusal = orjson.loads(ask(TARGET, body, script).frames[0])["choices"][0]["logprobs"]
    assert (refusal["content"], [part["token"] for part in refusal["refusal"]]) == (None, ["no"])


@pytest.mark.parametrize("tools", [[{"type": "custom", "custom": {"name": "patch"}}], [], "odd", [5]])
def test_tool_of_free_text_is_called_with_free_text(tools: object) -> None:
    """A tool that the request declares as custom gets the member `input` of its arguments, any other all of them."""
    script = Script(tools=("patch",), args='{"input":"*** a\\n+b"}')
    asked = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": tools}
    whole = orjson.loads(ask(TARGET, orjson.dumps(asked), script).frames[0])["choices"][0]["message"]["tool_calls"]
    frames = ask(TARGET, orjson.dumps(asked | {"stream": True}), script).frames[:-1]
    deltas = [orjson.loads(frame.removeprefix(b"data: "))["choices"][0]["delta"] for frame in frames]
    pieces = [piece for delta in deltas for piece in delta.get("tool_calls", [])]
    kind = "custom" if tools and tools not in ("odd", [5]) else "function"
    member, given = ("input", "*** a\n+b") if kind == "custom" else ("arguments", script.args)
    assert whole == [{"id": pieces[0]["id"], "type": kind, kind: {"name": "patch", member: given}}]
    assert pieces[0] == {"index": 0, "id": pieces[0]["id"], "type": kind, kind: {"name": "patch", member: ""}}
    assert "".join(piece[kind][member] for piece in pieces) == given
