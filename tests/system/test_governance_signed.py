"""Callers who sign for a virtual key: stock boto3, and hands that sign too much, too little or too late."""

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from busbar_fast.mock.script import Script
from tests.system.engines import running
from tests.system.fleets import config_of
from tests.system.governing import Board, governed
from tests.system.rawclient import Answer, turns
from tests.system.sdk import Stand, in_thread
from tests.system.sdk_callers import REGION, converse_client
from tests.system.serving import Serve


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return where the files of one gateway are."""
    return tmp_path


GOOD = Script(usage_in=31, usage_out=18)
BODY = b'{"messages":[{"role":"user","content":[{"text":"hi"}]}]}'
TURNS = [{"role": "user", "content": [{"text": "hi"}]}]


class Place:
    """As much of a stand as a client of boto3 needs."""

    def __init__(self, port: int) -> None:
        self.origin = f"http://127.0.0.1:{port}"
        self.sent: list[Any] = []


def pair_of(key: Mapping[str, Any]) -> tuple[str, str]:
    """Return the AWS credential of a key."""
    return key["aws_access_key_id"], key["aws_secret_access_key"]


async def converse(port: int, pair: tuple[str, str], model: str = "pool", *, stream: bool = False) -> Any:
    """Ask by stock boto3, which signs."""

    def ask() -> Any:
        with converse_client(cast("Stand", Place(port)), None, pair) as client:
            if not stream:
                return client.converse(modelId=model, messages=TURNS)
            return list(client.converse_stream(modelId=model, messages=TURNS)["stream"])

    return await in_thread(ask)


async def refusal(port: int, pair: tuple[str, str], model: str = "pool") -> tuple[int, str]:
    """Return how boto3 is refused."""
    with pytest.raises(ClientError) as caught:
        await converse(port, pair, model)
    said = caught.value.response
    return said["ResponseMetadata"]["HTTPStatusCode"], said["Error"]["Code"]


@pytest.mark.parametrize("lane", ["bedrock", "openai"])
async def test_stock_boto3_signs_for_a_key(folder: Path, serve: Serve, lane: str) -> None:
    """Governance cases 39, 43, 44, bedrock case 6: let in, charged like any caller, also with a colon, in streams."""
    async with governed(folder, serve, GOOD, dialect=lane) as board:
        key = await board.mint(issue_aws_credential=True, max_budget_cents=3)
        port = board.fleet.site.port
        got = await converse(port, pair_of(key))
        assert got["usage"]["inputTokens"] == 31
        events = await converse(port, pair_of(key), stream=True)
        assert any("metadata" in event for event in events)
        assert await board.usage(key) == (2, 98, 2)
        assert await refusal(port, pair_of(key), "no:body") == (404, "ResourceNotFoundException")
        await converse(port, pair_of(key))
        assert await refusal(port, pair_of(key)) == (400, "ServiceQuotaExceededException")


async def test_who_signs_is_held_to_the_key(folder: Path, serve: Serve) -> None:
    """Governance cases 44 and 52: names, and that the key is switched on and there."""
    async with governed(folder, serve, GOOD, dialect="bedrock") as board:
        key = await board.mint(issue_aws_credential=True, allowed_pools=["m0"])
        port, path = board.fleet.site.port, f"/keys/{key['id']}"
        assert await refusal(port, pair_of(key)) == (403, "AccessDeniedException")
        await converse(port, pair_of(key), "m0")
        await board.say("PATCH", path, {"enabled": False})
        assert await refusal(port, pair_of(key), "m0") == (403, "AccessDeniedException")
        await board.say("PATCH", path, {"enabled": True})
        await converse(port, pair_of(key), "m0")
        await board.say("DELETE", path)
        assert await refusal(port, pair_of(key), "m0") == (403, "AccessDeniedException")


def signed(port: int, pair: tuple[str, str], body: bytes = BODY, *, skew_s: int = 0, **fields: str) -> dict[str, str]:
    """Return the header fields of a signed request."""
    request = AWSRequest("POST", f"http://127.0.0.1:{port}/model/pool/converse", headers=fields, data=body)
    auth = SigV4Auth(Credentials(*pair), "bedrock", REGION)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + skew_s))
    request.context["timestamp"] = stamp
    request.headers["X-Amz-Date"] = stamp
    canonical = auth.canonical_request(request)
    text = auth.string_to_sign(request, canonical)
    request.headers["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={auth.scope(request)}, "
        f"SignedHeaders={auth.signed_headers(auth.headers_to_sign(request))}, Signature={auth.signature(text, request)}"
    )
    return dict(request.headers.items())


async def send(board: Board, fields: Mapping[str, str], body: bytes = BODY) -> Answer:
    """Send a request as it is."""
    client = board.fleet.site.connect()
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if name.lower() != "content-length")
    head = f"POST /model/pool/converse HTTP/1.1\r\nHost: 127.0.0.1:{board.fleet.site.port}\r\n{lines}"
    client.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    answer = await client.read_answer()
    client.close()
    return answer


Change = Callable[[dict[str, str]], None]


@pytest.mark.parametrize(
    ("change", "body", "skew_s", "status"),
    [
        (None, BODY, 0, 200),
        (None, BODY.replace(b"hi", b"ho"), 0, 403),
        (None, BODY, 290, 200),
        (None, BODY, 330, 403),
        (None, BODY, -330, 403),
        (lambda f: f.update({"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}), BODY, 0, 403),
        (lambda f: f.update({"X-Amz-Content-SHA256": "0" * 64}), BODY, 0, 403),
        (lambda f: f.update({"Authorization": f["Authorization"].replace("host;", "")}), BODY, 0, 403),
        (
            lambda f: f.update({"Authorization": f["Authorization"].replace("host;x-amz-date", "x-amz-date;host")}),
            BODY,
            0,
            403,
        ),
        (lambda f: f.update({"Authorization": f["Authorization"][:-2] + "00"}), BODY, 0, 403),
        (lambda f: f.update({"Authorization": "AWS4-HMAC-SHA256 nonsense"}), BODY, 0, 403),
    ],
)
async def test_signatures_are_judged(
    folder: Path, serve: Serve, change: Change | None, body: bytes, skew_s: int, status: int
) -> None:
    """Governance cases 40, 41, 43: the body, the time, the hash and the list of headers are bound."""
    async with governed(folder, serve, GOOD, dialect="bedrock") as board:
        key = await board.mint(issue_aws_credential=True)
        fields = signed(board.fleet.site.port, pair_of(key), skew_s=skew_s)
        if change is not None:
            change(fields)
        got = await send(board, fields, body)
        assert got.status == status
        assert (await board.usage(key))[2] == (1 if status == 200 else 0)


async def test_refusals_of_signatures_look_the_same(folder: Path, serve: Serve) -> None:
    """Governance case 42: an unknown key, a wrong signature and a key that is switched off."""
    async with governed(folder, serve, GOOD, dialect="bedrock") as board:
        good, off = [await board.mint(issue_aws_credential=True) for _ in range(2)]
        await board.say("PATCH", f"/keys/{off['id']}", {"enabled": False})
        pairs = [("AKIANOBODY0000000000", "x" * 40), (pair_of(good)[0], "x" * 40), pair_of(off)]
        answers = [await send(board, signed(board.fleet.site.port, pair)) for pair in pairs]
        broken = await send(board, signed(board.fleet.site.port, pairs[0], b"{"), b"{")
    assert {(answer.status, answer.body) for answer in answers} == {(403, answers[0].body)}
    assert broken.status == 403  # before anybody reads the body


async def test_signatures_count_only_where_the_vendor_signs(folder: Path, serve: Serve) -> None:
    """Governance §4: on other paths, and without virtual keys, a signature is no credential."""
    async with governed(folder, serve, GOOD) as board:
        key = await board.mint(issue_aws_credential=True)
        line = f"Authorization: {signed(board.fleet.site.port, pair_of(key))['Authorization']}\r\n"
        client = board.fleet.site.connect()
        client.send(f"GET /v1/models HTTP/1.1\r\nHost: h\r\n{line}\r\n".encode())
        assert (await client.read_answer()).status == 401
        client.close()
        client = board.fleet.site.connect()
        client.send(f"GET /model/pool/converse HTTP/1.1\r\nHost: h\r\n{line}\r\n".encode())
        assert (await client.read_answer()).status == 403
        client.close()
    text = config_of([1], "bedrock").replace("mode: none", "mode: token, client_tokens: [a-token]")
    async with running(folder, text) as site:
        await asyncio.sleep(0)
        assert await refusal(site.port, ("AKIA0", "x")) == (403, "AccessDeniedException")


async def test_bodies_of_strangers_are_bounded(folder: Path, serve: Serve) -> None:
    """Governance §4, step 2: with 64 bodies on their way the next caller who signs must come back."""
    async with governed(folder, serve, GOOD, dialect="bedrock") as board:
        key = await board.mint(issue_aws_credential=True)
        port = board.fleet.site.port
        lines = "".join(
            f"{name}: {value}\r\n"
            for name, value in signed(port, pair_of(key)).items()
            if name.lower() != "content-length"
        )
        start = f"POST /model/pool/converse HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        head = f"{start}{lines}Content-Length: {len(BODY)}\r\n\r\n".encode()
        waiting = [board.fleet.site.connect() for _ in range(64)]
        for client in waiting:
            client.send(head)
            await turns()
        late = board.fleet.site.connect()
        late.send(head)
        answer = await late.read_answer()
        assert (answer.status, answer.fields[b"retry-after"]) == (503, b"1")
        assert (await board.ask(key, dialect="openai")).status == 200
        waiting[0].send(BODY)
        assert (await waiting[0].read_answer()).status == 200
        again = board.fleet.site.connect()
        again.send(head + BODY)
        assert (await again.read_answer()).status == 200
