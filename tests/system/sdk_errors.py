"""What official clients raise, in one form: the same rows of errors are held against those of three vendors.

`hear` asks one question with one client and returns the error as `Heard`: the class of the SDK and what the SDK itself
shows of status, word, message and id. A question may be wrong in each of the ways that a client allows.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from anthropic import APIStatusError
from botocore.exceptions import ClientError
from google.genai.errors import APIError
from google.genai.types import CountTokensConfig, GenerateContentConfig, HttpOptions

from tests.system.sdk import POOL, TOKEN, Caller, Stand
from tests.system.sdk_callers import contents_caller, converse_client, messages_caller


class Official(NamedTuple):
    """One official client."""

    dialect: str
    kind: str

    @property
    def name(self) -> str:
        """What a test is called by."""
        return f"{self.dialect}-{self.kind}"


CLIENTS = [
    Official("anthropic", "sync"),
    Official("anthropic", "async"),
    Official("gemini", "sync"),
    Official("gemini", "async"),
    Official("bedrock", "sync"),  # the vendor has no other
]
EVERY_CLIENT = pytest.mark.parametrize("official", CLIENTS, ids=[one.name for one in CLIENTS])
BOTH_WAYS = pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and by whom; the options are the client's own."""

    model: str = POOL
    text: str = "hi"
    key: str = TOKEN
    depth: int = 0  # of lists inside each other, in a member that only the vendor would look at
    is_streamed: bool = False
    is_count: bool = False  # of tokens, instead of an answer
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def nest(self) -> Any:
        """The lists inside each other."""
        made: Any = []
        for _ in range(self.depth):
            made = [made]
        return made


@dataclass(frozen=True, slots=True)
class Heard:
    """What one client raised."""

    error: Any
    status: int
    word: str
    message: str
    raw_id: str | None  # as the client exposes it
    fields: Mapping[str, str]
    text: str  # all that a person would see of it

    @property
    def kind(self) -> str:
        """The name of the class."""
        return type(self.error).__name__


@asynccontextmanager
async def opened(made: Stand, official: Official, question: Question) -> AsyncIterator[Caller]:
    """Open a client as a question wants it."""
    if official.dialect == "anthropic":
        async with messages_caller(made, official.kind, key=question.key, **question.options) as messages:
            yield messages
    elif official.dialect == "gemini":
        async with contents_caller(made, official.kind, key=question.key, **question.options) as contents:
            yield contents
    else:
        with converse_client(made, bearer=question.key, **question.options) as client:
            yield Caller(client, official.kind)


async def ask(made: Stand, official: Official, question: Question, pieces: list[Any] | None = None) -> str:
    """Return the text that a client reads; `pieces` has those of a stream even if it breaks off."""
    async with opened(made, official, question) as caller:
        return await ask_with(caller, official, question, pieces)


async def ask_with(caller: Caller, official: Official, question: Question, pieces: list[Any] | None = None) -> str:
    """Do the same with a client that is open."""
    return await _ASK[official.dialect](caller, question, [] if pieces is None else pieces)


async def hear(made: Stand, official: Official, question: Question) -> Heard:
    """Return the error that a client raises at a question."""
    async with opened(made, official, question) as caller:
        return await hear_with(caller, official, question)


async def hear_with(caller: Caller, official: Official, question: Question) -> Heard:
    """Do the same with a client that is open."""
    try:
        said = await ask_with(caller, official, question)
    except APIStatusError as error:
        return _of_anthropic(error)
    except APIError as error:
        return _of_gemini(error)
    except ClientError as error:
        error.__cause__ = error.__context__ = None
        return _of_bedrock(error.with_traceback(None))  # whose frames would keep a connection open
    raise AssertionError(said)


async def caught(made: Stand, official: Official, question: Question, classes: Any, pieces: list[Any]) -> Any:
    """Return the error of these classes that a client raises, without the frames that would keep its connection."""
    try:
        said = await ask(made, official, question, pieces)
    except classes as error:
        error.__cause__ = error.__context__ = None
        return error.with_traceback(None)
    raise AssertionError(said)


def told_in(official: Official, pieces: list[Any]) -> tuple[str, bool]:
    """Return the text of a stream so far, and whether it has said that it is at its end."""
    if official.dialect == "anthropic":
        text = "".join(event.delta.text for event in pieces if event.type == "content_block_delta")
        return text, any(event.type == "message_stop" for event in pieces)
    if official.dialect == "gemini":
        whole = [chunk for chunk in pieces if chunk.candidates]  # one that broke off is closed without any
        reasons = [chunk.candidates[0].finish_reason for chunk in whole]
        return "".join(chunk.text for chunk in whole), any(reasons)
    deltas = [event["contentBlockDelta"]["delta"]["text"] for event in pieces if "contentBlockDelta" in event]
    return "".join(deltas), any("messageStop" in event for event in pieces)


async def _ask_anthropic(caller: Caller, question: Question, pieces: list[Any]) -> str:
    members: dict[str, Any] = {
        "model": question.model,
        "messages": [{"role": "user", "content": question.text}],
        "extra_body": {"odd": question.nest} if question.depth else None,
    }
    if question.is_count:
        return str((await caller.ask(lambda client: client.messages.count_tokens(**members))).input_tokens)
    members |= {"max_tokens": 64, "stream": question.is_streamed}
    if not question.is_streamed:
        message = await caller.ask(lambda client: client.messages.create(**members))
        return str(message.content[0].text)
    await caller.pieces(lambda client: client.messages.create(**members), pieces)
    return "".join(event.delta.text for event in pieces if event.type == "content_block_delta")


async def _ask_gemini(caller: Caller, question: Question, pieces: list[Any]) -> str:
    odd = HttpOptions(extra_body={"odd": question.nest}) if question.depth else None
    members: dict[str, Any] = {"model": question.model, "contents": question.text}
    if question.is_count:
        members["config"] = CountTokensConfig(http_options=odd)
        return str((await caller.ask(lambda client: client.models.count_tokens(**members))).total_tokens)
    members["config"] = GenerateContentConfig(http_options=odd)
    if not question.is_streamed:
        return str((await caller.ask(lambda client: client.models.generate_content(**members))).text)
    await caller.pieces(lambda client: client.models.generate_content_stream(**members), pieces)
    return "".join(chunk.text for chunk in pieces)


async def _ask_bedrock(caller: Caller, question: Question, pieces: list[Any]) -> str:
    turns: dict[str, Any] = {"messages": [{"role": "user", "content": [{"text": question.text}]}]}
    if question.depth:
        turns["additionalModelRequestFields"] = {"odd": question.nest}

    def run(client: Any) -> str:
        if question.is_count:
            return str(client.count_tokens(modelId=question.model, input={"converse": turns})["inputTokens"])
        if not question.is_streamed:
            said = client.converse(modelId=question.model, **turns)
            return str(said["output"]["message"]["content"][0]["text"])
        with closing(client.converse_stream(modelId=question.model, **turns)["stream"]) as stream:
            pieces.extend(stream)
        deltas = [event["contentBlockDelta"]["delta"] for event in pieces if "contentBlockDelta" in event]
        return "".join(delta["text"] for delta in deltas)

    return str(await caller.ask(run))


_ASK = {"anthropic": _ask_anthropic, "gemini": _ask_gemini, "bedrock": _ask_bedrock}


def _of_anthropic(error: APIStatusError) -> Heard:
    document: Any = error.body
    assert document["type"] == "error"
    assert document["request_id"] == error.request_id  # in head and body
    assert document["error"]["type"] == error.type
    assert error.status_code == error.response.status_code
    message = document["error"]["message"]
    return Heard(
        error,
        error.status_code,
        str(error.type),
        message,
        error.request_id,
        error.response.headers,
        f"{error.message} {error.response.text}",
    )


def _of_gemini(error: APIError) -> Heard:
    response: Any = error.response
    details: Any = error.details
    assert error.code == response.status_code == details["error"]["code"]
    return Heard(error, error.code, str(error.status), str(error.message), None, response.headers, str(error))


def _of_bedrock(error: ClientError) -> Heard:
    head = error.response["ResponseMetadata"]
    fields = head["HTTPHeaders"]
    told = error.response["Error"]
    assert fields["x-amzn-requestid"] == head["RequestId"]
    assert fields["x-amzn-errortype"].partition(":")[0] == told["Code"]
    return Heard(error, head["HTTPStatusCode"], told["Code"], told["Message"], head["RequestId"], fields, str(error))
