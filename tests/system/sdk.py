"""The ground that official clients are tested on: a gateway with a pool of two lanes per dialect over two backends.

A `Stand` is what a test holds: where the gateway listens, what the backends received, what the client wrote. The lanes
know the model by a name that the client never says, and have a key that it must never see. A client that blocks runs in
a thread while the gateway runs in the test's loop; a `Caller` lets one test drive both kinds.
"""

import asyncio
import inspect
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx2
import openai
import orjson
from openai import AsyncOpenAI, OpenAI

from busbar_fast.gateway.admission import Admission
from busbar_fast.reliability.breaker import BreakerSettings
from busbar_fast.reliability.pools import Action, OnExhausted, PoolSettings
from busbar_fast.wire.limits import Limits
from tests.system.gateways import Fate, Front, Received, Shape, gateway_over
from tests.system.serving import Gate, Serve, all_of, until

POOL = "pool"  # as clients call the model
MODEL = "vendor-large-2026-07"  # as the lanes call it
TOKEN = "sk-caller-4711"  # of a client that is let in
OWN_KEY = "sk-lane-0815"  # of the lanes
DIALECTS = ("openai", "responses", "anthropic", "gemini", "bedrock", "cohere")
LANES = tuple(f"{dialect}-{letter}" for dialect in DIALECTS for letter in "ab")
LIMIT_S = 10.0
LEAST_BAD = PoolSettings(on_exhausted=OnExhausted(Action.LEAST_BAD))  # in the end one lane is asked again, and heard
# A lane rests a second after each failure, so that a test may wait for it; the default is half a minute.
FORGIVING = BreakerSettings(base_cooldown_s=1.0, max_cooldown_s=1.0)
# A picture of one red dot.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8Dwn4EIwDiqkL4KAcT9GO0R4R8gAAAAAElFTkSuQmCC"
# What no client may read in an answer that the gateway words itself.
INTERNAL_WORDS = ("lane", "pool", "upstream", "proxy", "gateway", "busbar", "127.0.0.1", MODEL, OWN_KEY)

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Sent:
    """One request as a client wrote it; names of fields are lower case."""

    method: str
    path: str
    fields: dict[str, str]
    body: bytes


class Stand:
    """See the module."""

    def __init__(self, front: Front) -> None:
        self.front = front
        self.port = front.site.port
        self.origin = f"http://127.0.0.1:{self.port}"
        self.sent: list[Sent] = []

    @property
    def received(self) -> list[Received]:
        """What both backends received, in this order."""
        return self.front.received

    @property
    def last(self) -> Received:
        """What a backend received last."""
        return self.received[-1]

    @property
    def visits(self) -> tuple[int, int]:
        """How often each backend was asked."""
        numbers = [request.backend for request in self.received]
        return numbers.count(0), numbers.count(1)

    def counts(self, dialect: str) -> list[tuple[int, int]]:
        """Return for each lane of a dialect how often it answered and how often it failed."""
        lanes = [lane for lane in self.front.lanes if lane.name.startswith(f"{dialect}-")]
        return [(lane.state.ok, lane.state.err) for lane in lanes]

    def note(self, request: Any) -> None:
        """Keep what a client of httpx or httpx2 is about to send; meant as its event hook."""
        fields = {name.lower(): value for name, value in request.headers.items()}
        self.sent.append(Sent(request.method, request.url.raw_path.decode(), fields, request.read()))

    async def note_soon(self, request: Any) -> None:
        """Do the same for an asynchronous client."""
        self.note(request)


@asynccontextmanager
async def stand(
    serve: Serve,
    parser: str,
    *fates: Fate,
    admission: Admission | None = None,
    limits: Limits | None = None,
    hold: Gate | None = None,
    wait_s: float = 300.0,
    settings: PoolSettings | None = None,
    breaker: BreakerSettings = BreakerSettings(),  # noqa: B008  a record, never changed
) -> AsyncIterator[Stand]:
    """Run a gateway; without fates both backends answer by the book, and a single one is the fate of both."""
    shape = Shape(
        pool=POOL,
        dialects=DIALECTS,
        model=MODEL,
        key=OWN_KEY,
        admission=admission or Admission("token", ["another-token", TOKEN]),
        limits=limits or Limits(),
        hold=hold,
        wait_s=wait_s,
        settings=settings,
        breaker=breaker,
    )
    both = fates * 2 if len(fates) == 1 else fates or (None, None)
    async with gateway_over(serve, parser, *both, shape=shape) as front:
        yield Stand(front)


def shown_wait(status: int, value: str) -> str | None:
    """Return what a client reads of a backend's `Retry-After`: at these statuses alone it means to come again."""
    return value if status in {429, 503, 529} else None


def is_first_rest(value: str | None) -> bool:
    """Whether a `Retry-After` of ours is the rest of a lane after its first failure: 30 s, a tenth more or less."""
    return value is not None and 26 <= int(value) <= 33


class Caller:
    """One client of an SDK, blocking or not; what is asked of it is a function of the client."""

    def __init__(self, client: Any, kind: str) -> None:
        self.client = client
        self.is_blocking = kind == "sync"

    async def ask(self, question: Callable[[Any], Any]) -> Any:
        """Return the answer to a question, or raise what the client raises."""
        if self.is_blocking:
            return await in_thread(lambda: question(self.client))
        answer = question(self.client)
        return await answer if inspect.isawaitable(answer) else answer

    async def pieces(self, question: Callable[[Any], Any], pieces: list[Any] | None = None) -> list[Any]:
        """Return the pieces of a streamed answer; a list that is given has those before a break as well."""
        pieces = [] if pieces is None else pieces
        if self.is_blocking:
            await in_thread(lambda: pieces.extend(question(self.client)))
            return pieces
        stream = question(self.client)
        if inspect.isawaitable(stream):
            stream = await stream
        async for piece in stream:
            pieces.append(piece)
        return pieces


@asynccontextmanager
async def openai_caller(site: Stand, kind: str, **options: Any) -> AsyncIterator[Caller]:
    """Open OpenAI's client; it checks answers against its own types and tries nothing twice unless told to."""
    fixed = {"api_key": TOKEN, "base_url": f"{site.origin}/v1", "max_retries": 0, "timeout": LIMIT_S}
    chosen = {**fixed, "_strict_response_validation": True, **options}
    if kind == "sync":
        http = httpx2.Client(event_hooks={"request": [site.note]})
        with OpenAI(http_client=http, **chosen) as client:  # closes its transport as well
            yield Caller(client, kind)
    else:
        async_http = httpx2.AsyncClient(event_hooks={"request": [site.note_soon]})
        async with AsyncOpenAI(http_client=async_http, **chosen) as async_client:
            yield Caller(async_client, kind)


class Visit:
    """Opens a stand together with a client of one kind on it; `caller` is `openai_caller` or the like."""

    def __init__(
        self, serve: Serve, parser: str, kind: str, caller: Callable[..., AbstractAsyncContextManager[Caller]]
    ) -> None:
        self._serve = serve
        self._parser = parser
        self._kind = kind
        self._caller = caller

    @asynccontextmanager
    async def __call__(
        self,
        *fates: Fate,
        admission: Admission | None = None,
        limits: Limits | None = None,
        hold: Gate | None = None,
        wait_s: float = 300.0,
        breaker: BreakerSettings = BreakerSettings(),  # noqa: B008  a record, never changed
        **options: Any,
    ) -> AsyncIterator[tuple[Stand, Caller]]:
        """Open both; the options are the client's."""
        async with (
            stand(
                self._serve,
                self._parser,
                *fates,
                admission=admission,
                limits=limits,
                hold=hold,
                wait_s=wait_s,
                breaker=breaker,
            ) as site,
            self._caller(site, self._kind, **options) as caller,
        ):
            yield site, caller


async def in_thread(ask: Callable[[], _Answer]) -> _Answer:
    """Return what a blocking client returns or raises."""
    return await asyncio.to_thread(ask)


async def all_at_once(hold: Gate, asks: Sequence[Awaitable[Any]]) -> list[Any]:
    """Return the answers to questions that are all at the backends, behind `hold`, before the first is answered."""
    answers = asyncio.ensure_future(all_of(asks))
    await until(lambda: hold.waiting == len(asks))
    hold.open()
    return await answers


def renamed(body: bytes) -> bytes:
    """Return a client's body as a lane gets it: with the model as the lane calls it, and every other byte the same."""
    old = orjson.dumps(POOL)
    assert body.count(old) == 1, body
    return body.replace(old, orjson.dumps(MODEL))


def check_passed_on(site: Stand, target: bytes, accept: bytes, credential: str = OWN_KEY, **more: bytes) -> Any:
    """What was sent last came to a backend with another model and another key; return it as JSON.

    This is for vendors whose keys are bearer tokens and whose model stands in the body. `more` are the further fields
    that a backend gets, with an underscore for each hyphen of their names.
    """
    sent, got = site.sent[-1], site.last
    assert sent.fields["authorization"] == f"Bearer {TOKEN}"
    assert (got.method, got.target, got.body) == (b"POST", target, renamed(sent.body))
    fields = {
        b"host": b"h",
        b"content-type": b"application/json",
        b"accept": accept,
        b"authorization": b"Bearer " + credential.encode(),
        **{name.replace("_", "-").encode(): value for name, value in more.items()},
    }
    assert got.fields == fields, got.fields
    return got.document


def check_openai_refusal(
    error: openai.APIStatusError, status: int, kind: str, code: str | None = None, param: str | None = None
) -> None:
    """A refusal is the gateway's own: OpenAI's envelope of four members, neutral words, an id of its own."""
    assert error.status_code == status, error.response.text
    body = orjson.loads(error.response.content)
    assert (set(body), error.body) == ({"error"}, body["error"]), body
    expected = {"message": body["error"]["message"], "type": kind, "param": param, "code": code}
    assert body["error"] == expected, body
    assert (error.type, error.code, error.param) == (kind, code, param)
    assert expected["message"] in error.message
    assert error.response.headers["content-type"] == "application/json"
    assert error.request_id is not None
    assert re.fullmatch("req_[0-9a-f]{32}", error.request_id), error.request_id
    check_neutral(error.response.text)


def check_neutral(text: str) -> None:
    """Nothing in a text tells that there is anybody between client and vendor."""
    assert [word for word in INTERNAL_WORDS if word in text.lower()] == []
