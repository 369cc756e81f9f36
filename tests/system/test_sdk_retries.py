"""What the official clients of three vendors try again by themselves, how long they wait, and what they leave alone."""

from collections.abc import Callable
from typing import Any

import pytest
from anthropic._base_client import BaseClient
from botocore.retries.standard import ExponentialBackoff
from google.genai.types import HttpRetryOptions

from busbar_fast.mock.script import Script
from tests.system.sdk import LEAST_BAD, shown_wait, stand
from tests.system.sdk_errors import BOTH_WAYS, CLIENTS, EVERY_CLIENT, Official, Question, ask, hear
from tests.system.serving import Serve

# Two more tries than the first, without a wait of the client's own making.
OPTIONS: dict[str, dict[str, Any]] = {
    "anthropic": {"max_retries": 2},
    "gemini": {"retry_options": HttpRetryOptions(attempts=3, initial_delay=0.001, jitter=0)},
    "bedrock": {"retries": {"mode": "standard", "total_max_attempts": 3}},
}
ANTHROPIC = pytest.mark.parametrize("official", CLIENTS[:2], ids=[one.name for one in CLIENTS[:2]])


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return how long clients would wait before each retry, where a header can tell them; none of them really waits."""
    wanted: list[float] = []
    for owner, name in ((BaseClient, "_calculate_retry_timeout"), (ExponentialBackoff, "delay_amount")):
        monkeypatch.setattr(owner, name, _noting(getattr(owner, name), wanted))
    return wanted


def _noting(reckon: Callable[..., float], wanted: list[float]) -> Callable[..., float]:
    """Return what notes how long a client would wait and lets it go on at once."""

    def note(*arguments: Any) -> float:
        wanted.append(reckon(*arguments))
        return 0.0

    return note


def check_waits(official: Official, waits: list[float], told: list[range]) -> None:
    """Anthropic's client waits as long as it is told, boto3 five seconds more than it would, Google's as it likes.

    All that is told here is longer than those five seconds.
    """
    if official.dialect == "gemini":
        assert waits == []
        return
    assert len(waits) == len(told)
    if official.dialect == "anthropic":
        assert all(had_s in seconds for had_s, seconds in zip(waits, told, strict=True)), waits
    else:
        assert all(5.0 <= had_s <= 7.0 for had_s in waits), waits


@EVERY_CLIENT
@BOTH_WAYS
@pytest.mark.parametrize("status", [429, 500])
async def test_client_tries_again_and_is_served(
    serve: Serve, parser_kind: str, waits: list[float], official: Official, status: int, *, is_streamed: bool
) -> None:
    """Reliability §7: a client told by the gateway to come again does so, and a lane that merely rests serves it."""
    question = Question(is_streamed=is_streamed, options=OPTIONS[official.dialect])
    async with stand(serve, parser_kind, [Script(status=status), None]) as made:
        assert await ask(made, official, question) == "You said: hi"
        check_waits(official, waits, [range(27, 34)])
        assert (len(made.sent), len(made.received)) == (2, 3)  # each backend has failed once
        assert made.sent[0].body == made.sent[1].body


@EVERY_CLIENT
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_client_tries_again_what_it_hears_from_a_backend(
    serve: Serve, parser_kind: str, waits: list[float], official: Official, status: int
) -> None:
    """Anthropic §12, Gemini §15, Bedrock §11: what the last lane said is tried again, after as long as it said."""
    # Both lanes fail and the first is asked again; at the next try both have to rest, and the second is the least bad.
    script = Script(status=status, retry_after_s=40)
    async with stand(serve, parser_kind, [script, script, None], [script, None], settings=LEAST_BAD) as made:
        assert await ask(made, official, Question(options=OPTIONS[official.dialect])) == "You said: hi"
        if shown_wait(status, "40"):
            check_waits(official, waits, [range(40, 41)])
        assert (len(made.sent), made.visits) == (2, (2, 2))


@EVERY_CLIENT
@BOTH_WAYS
async def test_client_gives_up_in_the_end(
    serve: Serve, parser_kind: str, waits: list[float], official: Official, *, is_streamed: bool
) -> None:
    """Anthropic §12, Gemini §15, Bedrock §11: after its last try the client raises what it was told last."""
    # Backends that said when to come again are left alone until then.
    question = Question(is_streamed=is_streamed, options=OPTIONS[official.dialect])
    async with stand(serve, parser_kind, Script(status=429, retry_after_s=50)) as made:
        heard = await hear(made, official, question)
        soon = range(40, 51)  # some of the time has passed by then
        assert heard.status == 503
        assert int(heard.fields["retry-after"]) in soon
        check_waits(official, waits, [soon, soon])
        assert (len(made.sent), made.visits) == (3, (1, 1))


@EVERY_CLIENT
@BOTH_WAYS
@pytest.mark.parametrize("status", [400, 404, 413, 422])
async def test_client_leaves_its_own_mistakes_alone(
    serve: Serve, parser_kind: str, waits: list[float], official: Official, status: int, *, is_streamed: bool
) -> None:
    """Anthropic §12, Gemini §15, Bedrock §11: what is wrong is asked once by the client and once by the gateway."""
    question = Question(is_streamed=is_streamed, options=OPTIONS[official.dialect])
    async with stand(serve, parser_kind, Script(status=status)) as made:
        assert (await hear(made, official, question)).status == status
        assert (len(made.sent), made.visits, waits) == (1, (1, 0), [])


@EVERY_CLIENT
async def test_client_does_not_knock_twice_with_a_wrong_key(
    serve: Serve, parser_kind: str, waits: list[float], official: Official
) -> None:
    """Anthropic §11, Gemini §14, Bedrock §2: no client repeats a request whose token is refused."""
    async with stand(serve, parser_kind) as made:
        heard = await hear(made, official, Question(key="sk-wrong", options=OPTIONS[official.dialect]))
        assert heard.status == {"anthropic": 401, "gemini": 400, "bedrock": 403}[official.dialect]
        assert (len(made.sent), made.received, waits) == (1, [], [])


@EVERY_CLIENT
async def test_time_out_of_the_gateway_is_retried_as_the_vendor_has_it(
    serve: Serve, parser_kind: str, waits: list[float], official: Official
) -> None:
    """Bedrock §10: 504 is tried again by its clients, and the 408 of Bedrock is not."""
    question = Question(options=OPTIONS[official.dialect])
    async with stand(serve, parser_kind, [Script(delay_head_ms=30_000), None], wait_s=0.5) as made:
        if official.dialect == "bedrock":
            heard = await hear(made, official, question)
            assert (heard.status, heard.kind, len(made.sent)) == (408, "ModelTimeoutException", 1)
        else:
            assert await ask(made, official, question) == "You said: hi"
            assert (len(made.sent), len(waits)) == (2, official.dialect == "anthropic")
        assert made.visits[0] >= 1


@ANTHROPIC
@pytest.mark.parametrize(("status", "should_retry", "tries"), [(429, False, 1), (529, False, 1), (400, True, 3)])
async def test_word_of_the_backend_decides_about_retries(
    serve: Serve,
    parser_kind: str,
    waits: list[float],
    official: Official,
    status: int,
    tries: int,
    *,
    should_retry: bool,
) -> None:
    """Anthropic §9: `x-should-retry` of the backend reaches the client, which obeys it against its own habit."""
    script = Script(status=status, should_retry=should_retry)
    async with stand(serve, parser_kind, script, settings=LEAST_BAD) as made:
        heard = await hear(made, official, Question(options=OPTIONS["anthropic"]))
        assert heard.status == status
        assert heard.fields["x-should-retry"] == ("true" if should_retry else "false")
        assert (len(made.sent), len(waits)) == (tries, tries - 1)
        assert [sent.fields["x-stainless-retry-count"] for sent in made.sent] == ["0", "1", "2"][:tries]
