"""The clients of OpenAI and Cohere against a gateway as it is configured: names, paths and keys of the providers."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import cohere
import openai
import pytest

from busbar_fast import __version__
from tests.system import sdk_chat, sdk_cohere, sdk_responses
from tests.system.sdk import OWN_KEY, TOKEN, Caller, Stand, check_openai_refusal, openai_caller
from tests.system.sdk_callers import KINDS, deployed
from tests.system.serving import Serve

CONFIG = """
listen: 127.0.0.1:0
auth: {mode: token, client_tokens: [<token>]}
providers:
  chat: {protocol: openai, base_url: "http://127.0.0.1:<port>", api_key_env: UP_KEY}
  chat-too:
    protocol: openai
    base_url: "http://127.0.0.1:<port>"
    path: "/openai/deployments/d/chat/completions?api-version=2026-10-21"
    auth: api-key
    api_key_env: UP_KEY
  responses: {protocol: responses, base_url: "http://127.0.0.1:<port>/front", api_key_env: UP_KEY}
  responses-too:
    protocol: responses
    base_url: "http://127.0.0.1:<port>"
    path: "/openai/v1/responses?api-version=preview"
    auth: api-key
    api_key_env: UP_KEY
  cohere: {protocol: cohere, base_url: "http://127.0.0.1:<port>/front", api_key_env: UP_KEY}
  cohere-too:
    protocol: cohere
    base_url: "http://127.0.0.1:<port>"
    path: "/models/v2/chat?api-version=1"
    auth: api-key
    api_key_env: UP_KEY
models:
  "chat/large": {provider: chat}
  chat-own: {provider: chat-too, upstream_model: d}
  "responses/large": {provider: responses}
  responses-own: {provider: responses-too, upstream_model: d}
  "cohere/large": {provider: cohere}
  cohere-own: {provider: cohere-too, upstream_model: d}
"""


class Vendor(NamedTuple):
    """One client: how it asks, and where its question goes."""

    caller: Any
    asking: Any
    name: str
    path: bytes
    own_path: bytes


VENDORS = {
    "chat": Vendor(
        openai_caller,
        sdk_chat,
        "chat",
        b"/v1/chat/completions",
        b"/openai/deployments/d/chat/completions?api-version=2026-10-21",
    ),
    "responses": Vendor(
        openai_caller,
        sdk_responses,
        "responses",
        b"/front/v1/responses",
        b"/openai/v1/responses?api-version=preview",
    ),
    "cohere": Vendor(
        sdk_cohere.cohere_caller, sdk_cohere, "cohere", b"/front/v2/chat", b"/models/v2/chat?api-version=1"
    ),
}

Visit = Callable[..., AbstractAsyncContextManager[tuple[Stand, Caller]]]


@pytest.fixture(params=VENDORS)
def vendor(request: pytest.FixtureRequest) -> Vendor:
    """Return a client of each vendor."""
    return VENDORS[request.param]


@pytest.fixture(params=KINDS)
def visit(request: pytest.FixtureRequest, serve: Serve, tmp_path: Path, vendor: Vendor) -> Visit:
    """Return what opens a gateway with a client of one kind."""

    @asynccontextmanager
    async def open_both(**options: Any) -> AsyncIterator[tuple[Stand, Caller]]:
        async with (
            deployed(serve, tmp_path, CONFIG) as site,
            vendor.caller(site, request.param, **options) as caller,
        ):
            yield site, caller

    return open_both


def check_fields(site: Stand, accept: bytes, name: bytes, key: str) -> None:
    """A provider got its own host, our name, its key in its own way, and nothing else."""
    backend = site.front.backends[0]
    assert backend is not None
    assert site.last.fields == {
        b"host": b"127.0.0.1:%d" % backend.port,
        b"content-type": b"application/json",
        b"accept": accept,
        b"accept-encoding": b"identity",
        b"user-agent": b"busbar-fast/" + __version__.encode(),
        name: key.encode(),
    }


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_provider_by_the_book(visit: Visit, vendor: Vendor, *, streamed: bool) -> None:
    """OpenAI case 4 and Cohere case 3: a model that the provider calls the same leaves the body as it was."""
    async with visit() as (site, caller):
        said = await vendor.asking.text_of(caller, streamed=streamed, model=f"{vendor.name}/large")
        assert said == vendor.asking.SAID
        assert (site.last.target, site.last.body) == (vendor.path, site.sent[-1].body)
        accept = vendor.asking.EVENTS if streamed else vendor.asking.JSON
        check_fields(site, accept, b"authorization", f"Bearer {OWN_KEY}")


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("prefix", ["", "{}-too/"], ids=["name", "provider"])
async def test_provider_of_its_own_ways(visit: Visit, vendor: Vendor, prefix: str, *, streamed: bool) -> None:
    """OpenAI case 60, Responses §1 and Cohere §2: path, query and the way to show a key are the provider's."""
    name = prefix.format(vendor.name) + f"{vendor.name}-own"
    async with visit() as (site, caller):
        assert await vendor.asking.text_of(caller, streamed=streamed, model=name) == vendor.asking.SAID
        assert (site.last.target, site.last.document["model"]) == (vendor.own_path, "d")
        assert site.last.body == site.sent[-1].body.replace(f'"{name}"'.encode(), b'"d"')
        accept = vendor.asking.EVENTS if streamed else vendor.asking.JSON
        check_fields(site, accept, b"api-key", OWN_KEY)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_model_of_another_provider(visit: Visit, vendor: Vendor, *, streamed: bool) -> None:
    """Reliability §1: a model that is asked of a provider which has another one is 400, in words for a missing one."""
    name = f"elsewhere/{vendor.name}-own"
    async with visit() as (site, caller):
        if vendor.name == "cohere":
            error = await sdk_cohere.refused(caller, cohere.BadRequestError, streamed=streamed, model=name)
            message = f"model '{name}' not found, make sure the correct model ID was used"
            sdk_cohere.check_own(error, 400, message)
        else:
            error = await vendor.asking.refused(caller, openai.BadRequestError, streamed=streamed, model=name)
            check_openai_refusal(error, 400, "invalid_request_error")
            message = f"The model `{name}` does not exist or you do not have access to it."
            assert error.body["message"] == message
        assert site.received == []


async def test_token_is_the_configured_one(visit: Visit, vendor: Vendor) -> None:
    """Governance §1.4: of the configured tokens alone any lets a client in."""
    async with visit(api_key=TOKEN[:-1]) as (site, caller):
        kind = cohere.UnauthorizedError if vendor.name == "cohere" else openai.AuthenticationError
        error = await vendor.asking.refused(caller, kind, model=f"{vendor.name}-own")
        assert (error.status_code, site.received) == (401, [])
