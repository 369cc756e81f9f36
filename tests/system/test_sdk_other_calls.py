"""Official clients asking for what is no conversation, through the gateway over two mock backends (OpenAI §13).

What is sent arrives with another model and another key, what is answered is the backend's to the byte, and a lane that
fails is followed by the next.
"""

from typing import Any

import openai
import pytest

from busbar_fast.mock.router import answer
from busbar_fast.mock.script import Script
from tests.system.rawclient import split_answers
from tests.system.sdk import MODEL, OWN_KEY, POOL, TOKEN, Caller, Visit, check_passed_on, openai_caller
from tests.system.sdk_callers import contents_caller
from tests.system.sdk_cohere import cohere_caller
from tests.system.serving import Serve, post

CLOSE = b"Connection: close"
SOUND = bytes(range(256)) * 400
DOWN = Script(status=503)
# The client's own types know neither packed vectors nor verdicts on fewer matters than its vendor's.
LENIENT: Any = {"_strict_response_validation": False}
in_both_ways = pytest.mark.parametrize("kind", ["sync", "async"])


@in_both_ways
@pytest.mark.parametrize("form", ["float", "base64", None])
async def test_embeddings(serve: Serve, parser_kind: str, kind: str, form: Any) -> None:
    """OpenAI case 66, same dialect: texts and tokens go through, the encoding stays what was asked for."""
    async with Visit(serve, parser_kind, kind, openai_caller)(None, None, **LENIENT) as (site, caller):
        more = {} if form is None else {"encoding_format": form}
        got = await caller.ask(lambda client: client.embeddings.create(model=POOL, input=["one", "two"], **more))
        sent = check_passed_on(site, b"/v1/embeddings", b"*/*")
        assert sent["encoding_format"] == (form or "base64")  # what the client asks for by itself
        assert [len(row.embedding) for row in got.data] == [8, 8] if form != "base64" else [44, 44]
        assert got.usage.total_tokens == got.usage.prompt_tokens > 0


@in_both_ways
async def test_a_lane_that_fails_is_followed_by_the_next(serve: Serve, parser_kind: str, kind: str) -> None:
    """OpenAI §13: routing and failover are those of conversations."""
    async with Visit(serve, parser_kind, kind, openai_caller)(DOWN, None, **LENIENT) as (site, caller):
        for _ in range(2):
            got = await caller.ask(lambda client: client.moderations.create(model=POOL, input="no violence"))
            assert got.results[0].flagged
        check_passed_on(site, b"/v1/moderations", b"*/*")
        assert site.visits == (1, 2)
        assert site.counts("openai") == [(0, 1), (2, 0)]


@in_both_ways
async def test_pictures(serve: Serve, parser_kind: str, kind: str) -> None:
    """OpenAI §13: pictures are painted, and changed by a form with files in it."""
    async with Visit(serve, parser_kind, kind, openai_caller)(None, None) as (site, caller):
        got = await caller.ask(lambda client: client.images.generate(model=POOL, prompt="a pier", n=2))
        assert len(got.data) == 2
        check_passed_on(site, b"/v1/images/generations", b"*/*")
        await caller.ask(lambda client: client.images.edit(model=POOL, prompt="at night", image=[SOUND, b"two"]))
        check_form(site, b"/v1/images/edits")


def check_form(site: Any, target: bytes) -> None:
    """A form came to a backend with another model, every other byte the same, under its own type."""
    sent, got = site.sent[-1], site.last
    assert (got.target, got.body.count(MODEL.encode())) == (target, 1)
    assert got.body == sent.body.replace(b"\r\n\r\n%b\r\n" % POOL.encode(), b"\r\n\r\n%b\r\n" % MODEL.encode())
    assert got.fields[b"content-type"].decode() == sent.fields["content-type"]
    assert got.fields[b"authorization"] == b"Bearer " + OWN_KEY.encode()


@in_both_ways
@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # the vendor's word for one of the two
@pytest.mark.parametrize("task", ["transcriptions", "translations"])
async def test_what_was_said(serve: Serve, parser_kind: str, kind: str, task: str) -> None:
    """OpenAI §13: sound is sent in a form; the next lane gets the same one."""
    async with Visit(serve, parser_kind, kind, openai_caller)(DOWN, None) as (site, caller):
        got = await caller.ask(lambda client: getattr(client.audio, task).create(model=POOL, file=("a.wav", SOUND)))
        assert got.text == f"{len(SOUND)} bytes"
        check_form(site, f"/v1/audio/{task}".encode())
        assert site.visits == (1, 1)


@in_both_ways
async def test_speech(serve: Serve, parser_kind: str, kind: str) -> None:
    """OpenAI §13: sound comes back as it is, and may be a stream of events."""
    async with Visit(serve, parser_kind, kind, openai_caller)(None, None) as (site, caller):
        got = await caller.ask(lambda client: client.audio.speech.create(model=POOL, voice="alloy", input="hello"))
        assert got.content == b"hello" * 32
        assert got.response.headers["content-type"] == "audio/mpeg"
        check_passed_on(site, b"/v1/audio/speech", b"*/*")
        events = await caller.ask(
            lambda client: client.audio.speech.create(model=POOL, voice="alloy", input="hello", stream_format="sse")
        )
        assert events.content == b"".join(answer(b"POST", b"/v1/audio/speech", {}, site.last.body).frames)


@in_both_ways
async def test_a_refusal_is_the_vendors(serve: Serve, parser_kind: str, kind: str) -> None:
    """OpenAI §13: what the vendor refuses is relayed as it is, and hurts no lane."""
    async with Visit(serve, parser_kind, kind, openai_caller)(None, None) as (site, caller):
        with pytest.raises(openai.BadRequestError) as caught:
            await caller.ask(lambda client: client.embeddings.create(model=POOL, input=[1, 2]))
        assert caught.value.param == "input"
        assert site.visits == (1, 0)
        assert all(failed == 0 for _, failed in site.counts("openai"))


async def test_a_form_that_two_might_read_differently_goes_nowhere(serve: Serve, parser_kind: str) -> None:
    """OpenAI §13: a form has to say its model plainly, once for all readers."""
    body = (
        b'--b\r\nContent-Disposition: form-data; name="model"; name="x"\r\n\r\npool\r\n--b--\r\n',
        b'--b\nContent-Disposition: form-data; name="model"\n\npool\n--b--\n',
        b'--b\r\nContent-Disposition: form-data; name="other"\r\n\r\npool\r\n--b--\r\n',
    )
    async with Visit(serve, parser_kind, "async", openai_caller)() as (site, _):
        for form in body:
            kind = b"Content-Type: multipart/form-data; boundary=b"
            raw = post(
                form, CLOSE, kind, b"Authorization: Bearer %b" % TOKEN.encode(), target=b"/v1/audio/translations"
            )
            client = site.front.site.connect()
            client.send(raw)
            (got,) = split_answers(await client.read_all())
            assert got.status == 400
        assert site.received == []


@pytest.mark.parametrize(
    "kinds",
    [
        (b"Content-Type: application/x-www-form-urlencoded",),
        (b"Content-Type: application/json", b"Content-Type: multipart/form-data; boundary=b"),
        (b"Content-Type: text/plain",),
        (),
    ],
)
async def test_what_was_read_as_json_is_sent_as_json(serve: Serve, parser_kind: str, kinds: tuple[bytes, ...]) -> None:
    """OpenAI §13: a body that is two things at once must not name another model to whoever reads the other one."""
    body = b'{"input":"&model=dear&","model":"pool"}'
    async with Visit(serve, parser_kind, "async", openai_caller)() as (site, _):
        client = site.front.site.connect()
        line = b"Authorization: Bearer %b" % TOKEN.encode()
        client.send(post(body, CLOSE, line, *kinds, target=b"/v1/embeddings"))
        (got,) = split_answers(await client.read_all())
        assert got.status == 200
        assert (site.last.fields[b"content-type"], site.last.document["model"]) == (b"application/json", MODEL)


@in_both_ways
async def test_gemini_embeds(serve: Serve, parser_kind: str, kind: str) -> None:
    """Gemini §1: one text or many; requests of a batch name the model that the path names."""
    async with Visit(serve, parser_kind, kind, contents_caller)(None, None) as (site, caller):
        got = await ask_gemini(caller, ["one", "two"])
        assert [len(row.values) for row in got.embeddings] == [8, 8]
        assert site.last.target == f"/v1beta/models/{MODEL}:batchEmbedContents".encode()
        assert [one["model"] for one in site.last.document["requests"]] == [f"models/{MODEL}"] * 2
        assert site.last.fields[b"x-goog-api-key"] == OWN_KEY.encode()


async def ask_gemini(caller: Caller, texts: list[str]) -> Any:
    """Return vectors."""
    return await caller.ask(lambda client: client.models.embed_content(model=POOL, contents=texts))


@in_both_ways
async def test_cohere_embeds_and_reranks(serve: Serve, parser_kind: str, kind: str) -> None:
    """Cohere §1: both operations go to lanes of this vendor."""
    async with Visit(serve, parser_kind, kind, cohere_caller)(None, None) as (site, caller):
        got = await caller.ask(
            lambda client: client.embed(model=POOL, texts=["one"], input_type="search_query", embedding_types=["float"])
        )
        assert len(got.embeddings.float_[0]) == 8
        assert site.last.target == b"/v2/embed"
        ranked = await caller.ask(lambda client: client.rerank(model=POOL, query="q", documents=["a", "b"], top_n=1))
        assert [row.index for row in ranked.results] == [0]
        assert (site.last.target, site.last.document["model"]) == (b"/v2/rerank", MODEL)
