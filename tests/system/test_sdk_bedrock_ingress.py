"""Signatures of the official AWS client, boto3, checked as they come in over real sockets.

The responder here does what the wire chapter says of an inbound request, in its order: body, signature, answer. The
gateway itself checks no signatures yet, for want of keys that could have made them.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from busbar_fast.aws.verify import Incoming, IssuedKey, Reason, Verifier, is_signed
from busbar_fast.dialects.faults import Fault, Kind
from busbar_fast.dialects.registry import speak
from busbar_fast.errors import BodyTooLarge
from busbar_fast.mock.router import answer
from busbar_fast.wire.exchange import Exchange
from busbar_fast.wire.limits import Limits
from tests.system.sdk import LIMIT_S, in_thread
from tests.system.serving import Serve, Site

AKID = "AKIDHARBOUR000000001"
SECRET = "harbour/Secret+Key0123456789abcdefghijkl"
ISSUED = {
    AKID: IssuedKey(SECRET.encode(), is_active=True),
    "AKIDASLEEP0000000001": IssuedKey(SECRET.encode(), is_active=False),
    "AKIDOTHER00000000001": IssuedKey(b"another secret", is_active=True),
}
RAW_ID = b"5eed0000-5eed-4000-8000-00000000b00c"
ARN = "arn:aws:bedrock:eu-west-1:111122223333:inference-profile/eu.kiln-v1:0"
NAMES = ["kiln", "kiln.large-v1:0", "family/kiln", "a pool", ARN, "100%", "a%2Fb", "é~+"]
HASH = "X-Amz-Content-SHA256"
# Changes a request: before it is signed, or before it is sent.
Change = Callable[[Any], None]


class Door:
    """A server that lets in whoever signs well; see the module."""

    def __init__(self) -> None:
        self.reasons: list[Reason] = []
        self.bodies: list[bytes] = []  # as the one gets them who answers
        self._verifier = Verifier(b"bedrock", ISSUED.get)

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request."""
        head = exchange.head
        try:
            body = await exchange.read_body()
        except BodyTooLarge:
            self._refuse(exchange, Kind.TOO_LARGE)
            return
        if is_signed(head.fields.get(b"authorization", b"")):
            request = Incoming(head.method, head.target, head.fields.items(), body)
            verdict = self._verifier.verify(request, int(time.time()))
            self.reasons.append(verdict.reason)
            if not verdict.is_admitted:
                self._refuse(exchange, Kind.UNAUTHENTICATED)
                return
        self.bodies.append(body)
        reply = answer(head.method, head.target, head.fields, body)
        exchange.reply(reply.status, reply.headers, b"".join(reply.frames))

    def _refuse(self, exchange: Exchange, kind: Kind) -> None:
        refusal = speak("bedrock").encode_fault(Fault(kind), None, RAW_ID)
        exchange.reply(refusal.status, refusal.fields, refusal.body)


@contextmanager
def client(site: Site, akid: str = AKID, secret: str = SECRET, token: str | None = None) -> Iterator[Any]:
    """Open boto3's client as it is shipped, but that it tries once."""
    made = boto3.client(
        "bedrock-runtime",
        region_name="eu-west-1",
        endpoint_url=f"http://127.0.0.1:{site.port}",
        aws_access_key_id=akid,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(retries={"total_max_attempts": 1}, read_timeout=LIMIT_S, connect_timeout=LIMIT_S),
    )
    try:
        yield made
    finally:
        pools = made._endpoint.http_session._manager.pools  # which are not closed with the client
        for key in pools.keys():  # noqa: SIM118  no mapping
            pools[key].close()
        made.close()


def said(made: Any, name: str = "kiln", text: str = "marée?") -> str:
    """Return what the client reads of a whole answer and of a stream."""
    ask: Any = {"modelId": name, "messages": [{"role": "user", "content": [{"text": text}]}]}
    whole = made.converse(**ask)["output"]["message"]["content"][0]["text"]
    events = list(made.converse_stream(**ask)["stream"])
    streamed = "".join(event["contentBlockDelta"]["delta"]["text"] for event in events if "contentBlockDelta" in event)
    assert whole == streamed
    return str(whole)


def refusal(made: Any, text: str = "marée?") -> tuple[Any, dict[str, str]]:
    """Return the client's error, and what of the answer's head does not follow the clock."""
    with pytest.raises(ClientError) as caught:
        made.converse(modelId="kiln", messages=[{"role": "user", "content": [{"text": text}]}])
    head = caught.value.response["ResponseMetadata"]
    fields = {name: value for name, value in head["HTTPHeaders"].items() if name != "date"}
    return (head["HTTPStatusCode"], caught.value.response["Error"]), fields


DENIED = (
    403,
    {"Code": "AccessDeniedException", "Message": "The security token included in the request is invalid."},
)


@pytest.mark.parametrize("token", [None, "FwoG:Tok+/en=="])
async def test_signatures_of_the_client_are_admitted(serve: Serve, token: str | None) -> None:
    """aws-wire case 12: names with a blank, a colon and a slash verify as the parser hands them over."""
    door = Door()
    async with serve(door.serve) as site:

        def run() -> list[str]:
            with client(site, token=token) as made:
                return [said(made, name) for name in NAMES]

        assert await in_thread(run) == ["You said: marée?"] * len(NAMES)
        assert door.reasons == [Reason.ADMITTED] * 2 * len(NAMES)


@pytest.mark.parametrize("text", ["hi", "Marée haute \U0001f30a", "x" * 70_000])
async def test_body_is_the_same_behind_the_check(serve: Serve, text: str) -> None:
    """aws-wire case 22: who answers gets the bytes that the client sent and signed."""
    door = Door()
    sent: list[bytes] = []
    async with serve(door.serve) as site:

        def run() -> str:
            with client(site) as made:
                made.meta.events.register("before-send.*", lambda request, **_: sent.append(request.body))
                return said(made, text=text)

        assert await in_thread(run) == f"You said: {text}"
        assert door.bodies == sent
        assert len(sent) == 2


def declare(spell: Callable[[str], str]) -> Change:
    """Return a change that declares the hash of the body, spelt in some way."""

    def change(request: Any) -> None:
        request.headers[HASH] = spell(sha256(request.body).hexdigest())

    return change


async def changed(serve: Serve, event: str, change: Change) -> tuple[Door, Any]:
    """Return the server and the client's text or error for a request that was changed."""
    door = Door()
    async with serve(door.serve) as site:

        def run() -> Any:
            with client(site) as made:
                made.meta.events.register(f"{event}.bedrock-runtime.*", lambda request, **_: change(request))
                try:
                    return said(made)
                except made.exceptions.AccessDeniedException as error:
                    return error.response["Error"]

        return door, await in_thread(run)


@pytest.mark.parametrize("spell", [str, str.upper])
async def test_declared_hash_is_admitted(serve: Serve, spell: Callable[[str], str]) -> None:
    """aws-wire case 13: a client that declares the hash of its body, in small letters or capitals, is let in."""
    door, text = await changed(serve, "before-sign", declare(spell))
    assert (text, door.reasons) == ("You said: marée?", [Reason.ADMITTED] * 2)


@pytest.mark.parametrize("declared", ["0" * 64, "UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"])
async def test_declared_hash_of_something_else_is_refused(serve: Serve, declared: str) -> None:
    """aws-wire case 13: a hash that is not the body's, or stands for none, is refused although it is well signed."""
    door, error = await changed(serve, "before-sign", declare(lambda _hash: declared))
    assert (error, door.reasons, door.bodies) == (DENIED[1], [Reason.BODY_DIFFERS], [])


def flip_body(request: Any) -> None:
    """Change one byte of the body."""
    request.body = request.body.replace(b"user", b"uses")


def flip_signature(request: Any) -> None:
    """Change one digit of the signature."""
    claim = request.headers["Authorization"]
    claim = claim if isinstance(claim, str) else claim.decode()
    request.headers["Authorization"] = claim[:-1] + ("0" if claim[-1] != "0" else "1")


@pytest.mark.parametrize("change", [flip_body, flip_signature])
async def test_change_behind_the_signature_is_refused(serve: Serve, change: Change) -> None:
    """aws-wire case 14: what was changed on the way is refused and never handled."""
    door, error = await changed(serve, "before-send", change)
    assert (error, door.reasons, door.bodies) == (DENIED[1], [Reason.MISMATCH], [])


async def test_bearer_is_not_checked_as_a_signature(serve: Serve) -> None:
    """aws-wire case 18: a bearer token on the same route never meets the verifier, whatever it looks like."""

    def show(request: Any) -> None:
        request.headers["Authorization"] = "Bearer AWS4-HMAC-SHA256"

    door, text = await changed(serve, "before-send", show)
    assert (text, door.reasons) == ("You said: marée?", [])


@pytest.mark.parametrize(
    ("akid", "secret", "reason"),
    [
        ("AKIDUNKNOWN000000001", SECRET, Reason.UNKNOWN_KEY),
        ("AKIDUNKNOWN000000001", "0" * 40, Reason.UNKNOWN_KEY),
        ("AKIDASLEEP0000000001", SECRET, Reason.INACTIVE_KEY),
        ("AKIDOTHER00000000001", SECRET, Reason.MISMATCH),
        (AKID, "wrong", Reason.MISMATCH),
        ("AKID,SLEEP/=", SECRET, Reason.MALFORMED),
    ],
)
async def test_whoever_is_not_let_in_reads_the_same(serve: Serve, akid: str, secret: str, reason: Reason) -> None:
    """aws-wire case 19: status, head and body of a refusal tell nothing of its reason."""
    door = Door()
    async with serve(door.serve) as site:

        def run() -> Any:
            with client(site, akid, secret) as made:
                return refusal(made)

        shown, fields = await in_thread(run)
        assert shown == DENIED
        assert fields == {
            "content-type": "application/json",
            "x-amzn-requestid": RAW_ID.decode(),
            "x-amzn-errortype": "AccessDeniedException",
            "content-length": str(len(speak("bedrock").encode_fault(Fault(Kind.UNAUTHENTICATED), None, RAW_ID).body)),
        }
        assert (door.reasons, door.bodies) == ([reason], [])


@pytest.mark.parametrize("akid", [AKID, "AKIDUNKNOWN000000001"])
async def test_large_body_is_refused_before_anything_is_checked(serve: Serve, akid: str) -> None:
    """aws-wire case 21: a body above the cap is refused whoever signed it, and nobody looks at the signature."""
    door = Door()
    async with serve(door.serve, Limits(request_body_max_bytes=4096)) as site:

        def run() -> Any:
            with client(site, akid) as made:
                return refusal(made, "x" * 8192)

        (status, error), _ = await in_thread(run)
        assert (status, error["Code"]) == (413, "ValidationException")
        assert (door.reasons, door.bodies) == ([], [])


async def test_length_beyond_all_bounds_is_refused_unread(serve: Serve) -> None:
    """aws-wire case 21: a declared length above the cap is answered although no byte of the body has come."""
    door = Door()
    async with serve(door.serve) as site:
        head = (
            b"POST /model/kiln/converse HTTP/1.1\r\nHost: h\r\nAuthorization: AWS4-HMAC-SHA256 Credential=x\r\n"
            b"Content-Length: 1099511627776\r\n\r\n"
        )
        got = await site.ask(head)
        assert got.startswith(b"HTTP/1.1 413 ")
        assert b"\r\nConnection: close\r\n" in got
        assert (door.reasons, door.bodies) == ([], [])
