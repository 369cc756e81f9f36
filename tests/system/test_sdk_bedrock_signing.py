"""Signatures and AWS API keys over real sockets: what lanes sign is verified as AWS would do it."""

import logging
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import httpx
import pytest
import trustme
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from busbar_fast.aws.verify import Incoming, IssuedKey, Reason, Verifier, parse_stamp
from busbar_fast.gateway import lanes
from busbar_fast.mock.script import Script
from tests.system.engines import running
from tests.system.gateways import Backend, Received, script_of
from tests.system.origins import Peer, serving_upstream
from tests.system.sdk import LIMIT_S, TOKEN, Stand, in_thread
from tests.system.sdk_callers import converse_client, deployed
from tests.system.serving import Serve

AKID = "AKIDHARBOUR000000001"
SECRET = "harbour/Secret+Key0123456789abcdefghijkl"
SESSION = "FwoG:Tok+/en=="
TURNS: Any = [{"role": "user", "content": [{"text": "marée?"}]}]
SAID = "You said: marée?"
ARN = "arn:aws:bedrock:eu-west-1:111122223333:inference-profile/eu.kiln-v1:0"
RAW_ARN = b"arn%3Aaws%3Abedrock%3Aeu-west-1%3A111122223333%3Ainference-profile%2Feu.kiln-v1%3A0"
CONFIG = """
listen: 127.0.0.1:0
auth: {mode: token, client_tokens: [<token>]}
<more>
providers:
  vendor: {protocol: bedrock, base_url: "http://127.0.0.1:<port>", region: eu-west-1, api_key_env: AWS_KEY}
models:
  m: {provider: vendor, upstream_model: "<model>"}
"""
NAMES = ["kiln", "kiln.large-v1:0", ARN, "a b", "a%2Fb", "é/~._-"]
VERIFIER = Verifier(b"bedrock", {AKID: IssuedKey(SECRET.encode(), is_active=True)}.get)


def configured(model: str, more: str = "") -> str:
    return CONFIG.replace("<model>", model).replace("<more>", more)


def converse(made: Stand) -> tuple[str, str]:
    """Return what the client reads of a whole answer and of a stream."""
    with converse_client(made) as client:
        said = client.converse(modelId="m", messages=TURNS)["output"]["message"]["content"][0]["text"]
        events = list(client.converse_stream(modelId="m", messages=TURNS)["stream"])
    deltas = [event["contentBlockDelta"]["delta"]["text"] for event in events if "contentBlockDelta" in event]
    return str(said), "".join(deltas)


def own_signature(received: Received, token: str | None) -> str:
    """Return the signature that the vendor's own signer makes for what was received."""
    fields = {name.decode(): value.decode() for name, value in received.fields.items()}
    claim = fields.pop("authorization")
    signed = claim.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    request = AWSRequest("POST", f"http://{fields['host']}{received.target.decode()}", data=received.body)
    for name in signed:
        request.headers.add_header(name, fields[name])
    request.context["timestamp"] = fields["x-amz-date"]
    auth = SigV4Auth(Credentials(AKID, SECRET, token), "bedrock", "eu-west-1")
    return str(auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request))


def check_signed(received: Received, token: str | None = None) -> None:
    """A verifier admits the request, and the vendor's own signer makes the very same signature."""
    request = Incoming(received.method, received.target, list(received.fields.items()), received.body)
    verdict = VERIFIER.verify(request, int(time.time()))
    assert (verdict.reason, verdict.access_key) == (Reason.ADMITTED, AKID)
    claim = received.fields[b"authorization"].decode()
    names = "content-type;host;x-amz-content-sha256;x-amz-date" + (";x-amz-security-token" if token else "")
    assert f"SignedHeaders={names}," in claim
    assert "/eu-west-1/bedrock/aws4_request," in claim
    assert claim.endswith(f"Signature={own_signature(received, token)}")
    assert received.fields.get(b"x-amz-security-token") == (token.encode() if token else None)
    assert {b"amz-sdk-invocation-id", b"amz-sdk-request", b"x-api-key"} & set(received.fields) == set()


@pytest.mark.parametrize("token", [None, SESSION])
@pytest.mark.parametrize("model", NAMES)
async def test_what_a_lane_signs_is_verified(serve: Serve, tmp_path: Path, model: str, token: str | None) -> None:
    """aws-wire cases 2 to 5: path, host, body and date arrive as they were signed, whatever the model's name."""
    key = f"{AKID}:{SECRET}" + (f":{token}" if token else "")
    async with deployed(serve, tmp_path, configured(model), AWS_KEY=key) as made:
        assert await in_thread(lambda: converse(made)) == (SAID, SAID)
        whole, stream = made.received
        check_signed(whole, token)
        check_signed(stream, token)
        assert stream.target == whole.target + b"-stream"
        assert [received.body for received in made.received] == [sent.body for sent in made.sent]
        assert TOKEN.encode() not in b" ".join([*whole.fields.values(), *stream.fields.values()])
        assert whole.fields[b"host"] == stream.fields[b"host"]


@pytest.mark.parametrize("key", [f"{AKID}:{SECRET}:", f"{AKID}:{SECRET}\n", f" {AKID}:{SECRET}:{SESSION}\r\n"])
@pytest.mark.parametrize("source", ["api_key_env: AWS_KEY", "api_key: {file: <file>}"])
async def test_key_is_read_as_it_was_pasted(serve: Serve, tmp_path: Path, key: str, source: str) -> None:
    """aws-wire case 6: an empty third part is no token, and blanks and line ends around a key are none of it."""
    (tmp_path / "key").write_text(key, encoding="utf-8")
    (tmp_path / "key").chmod(0o600)
    text = configured("kiln:0").replace("api_key_env: AWS_KEY", source.replace("<file>", f"{tmp_path}/key"))
    async with deployed(serve, tmp_path, text, AWS_KEY=key) as made:
        assert await in_thread(lambda: converse(made)) == (SAID, SAID)
        for received in made.received:
            check_signed(received, SESSION if SESSION in key else None)


def reply_when_whole(peer: Peer) -> None:
    """Answer a request once its body is here."""
    head, _, body = bytes(peer.received).partition(b"\r\n\r\n")
    if body and f"Content-Length: {len(body)}".encode() in head.split(b"\r\n"):
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")


@pytest.mark.parametrize(
    ("base_url", "host", "path", "target"),
    [
        ("http://127.0.0.1:<port>", "127.0.0.1:<port>", "", b"/model/<arn>/converse"),
        ("HTTP://LOCALHOST:<port>/Pre/", "localhost:<port>", "", b"/Pre/model/<arn>/converse"),
        (
            "http://127.0.0.1:<port>/",
            "127.0.0.1:<port>",
            "/x/{model}/y?b=2&a=x%2Fy&flag&a=1",
            b"/x/<arn>/y?b=2&a=x%2Fy&flag&a=1",
        ),
    ],
)
async def test_bytes_on_the_wire_are_what_was_signed(
    tmp_path: Path, base_url: str, host: str, path: str, target: bytes
) -> None:
    """aws-wire cases 3, 8 and 10: path, Host, content type and body leave the gateway exactly as they were signed."""
    body = '{"messages":[{"role":"user","content":[{"text":"mar\\u00e9e 🌊"}]}] }'.encode()
    async with serving_upstream() as upstream:
        upstream.script = reply_when_whole
        text = configured(ARN).replace('"http://127.0.0.1:<port>"', f'"{base_url}", path: "{path}"')
        text = text.replace(', path: ""', "").replace("<port>", str(upstream.port)).replace("<token>", TOKEN)
        async with running(tmp_path, text, AWS_KEY=f"{AKID}:{SECRET}") as made, httpx.AsyncClient() as client:
            url = f"http://127.0.0.1:{made.port}/model/m/converse"
            got = await client.post(url, content=body, headers={"authorization": f"Bearer {TOKEN}"})
            assert (got.status_code, got.content) == (200, b"{}")
            head, _, sent = bytes((await upstream.peer()).received).partition(b"\r\n\r\n")
    request_line, *lines = head.split(b"\r\n")
    pairs = [line.split(b": ", 1) for line in lines]
    fields = {name.lower(): value for name, value in pairs}
    assert request_line == b"POST " + target.replace(b"<arn>", RAW_ARN) + b" HTTP/1.1"
    assert sent == body
    assert len(fields) == len(pairs)
    assert fields[b"host"] == host.replace("<port>", str(upstream.port)).encode()
    assert fields[b"content-type"] == b"application/json"
    check_signed(Received(0, b"POST", request_line.split(b" ")[1], fields, sent))


async def test_each_attempt_is_signed_anew(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """aws-wire cases 9 and 23: a second attempt has a date of its own, both verify, and no log shows a secret."""
    now_s = int(time.time())
    monkeypatch.setattr(lanes, "time", SimpleNamespace(time=iter((now_s, now_s + 7)).__next__))
    text = configured("kiln:0").rstrip() + (
        '\n  n: {provider: vendor, upstream_model: "kiln:1"}\npools:\n  p: {members: [{target: m}, {target: n}]}\n'
    )
    received: list[Received] = []
    caplog.set_level(logging.DEBUG)
    async with serve(Backend(0, script_of([Script(status=503), None]), received).serve) as backend:
        text = text.replace("<port>", str(backend.port)).replace("<token>", TOKEN)
        async with running(tmp_path, text, AWS_KEY=f"{AKID}:{SECRET}:{SESSION}") as made, httpx.AsyncClient() as client:
            url = f"http://127.0.0.1:{made.port}/model/p/converse"
            content = b'{"messages":[{"role":"user","content":[{"text":"hi"}]}]}'
            got = await client.post(url, content=content, headers={"authorization": f"Bearer {TOKEN}"})
            assert got.status_code == 200
            shown = f"{made.engine.config!r} {made.engine.lanes!r} {caplog.text} {caplog.records!r} {got.headers!r}"
    first, second = (request.fields[b"x-amz-date"] for request in received)
    assert (parse_stamp(first), parse_stamp(second)) == (now_s, now_s + 7)
    for request in received:
        check_signed(request, SESSION)
    assert "lane m answered 503: TRANSIENT" in caplog.text
    assert not [secret for secret in (SECRET, SESSION, AKID) if secret in shown + got.text]


async def test_a_changed_byte_is_noticed(serve: Serve, tmp_path: Path) -> None:
    """aws-wire case 14: the signature covers the body, so the checks of this module can fail."""
    async with deployed(serve, tmp_path, configured("kiln:0"), AWS_KEY=f"{AKID}:{SECRET}") as made:
        await in_thread(lambda: converse(made))
        got = made.last
        bodies = (got.body, got.body.replace(b"user", b"USER"))
        requests = [Incoming(got.method, got.target, list(got.fields.items()), body) for body in bodies]
        reasons = [VERIFIER.verify(request, int(time.time())).reason for request in requests]
        assert reasons == [Reason.ADMITTED, Reason.BODY_DIFFERS]


@pytest.mark.parametrize(("key", "value"), [("ABSK-api-key", "ABSK-api-key"), ("  ABSK-api-key ", "ABSK-api-key")])
async def test_key_without_colon_is_shown_as_it_is(serve: Serve, tmp_path: Path, key: str, value: str) -> None:
    """Bedrock case 10: an AWS API key goes up as a bearer token, and nothing is signed."""
    async with deployed(serve, tmp_path, configured("kiln:0"), AWS_KEY=key) as made:
        assert await in_thread(lambda: converse(made)) == (SAID, SAID)
        for received in made.received:
            assert received.fields[b"authorization"] == f"Bearer {value}".encode()
            assert {b"x-amz-date", b"x-amz-content-sha256"} & set(received.fields) == set()


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """Write what a gateway needs for TLS into the folder; return the file of the authority that clients trust."""
    made = trustme.CA()
    issued = made.issue_cert("127.0.0.1")
    (tmp_path / "cert.pem").write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    (tmp_path / "key.pem").write_bytes(issued.private_key_pem.bytes())
    (tmp_path / "key.pem").chmod(0o600)
    made.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return tmp_path / "ca.pem"


@pytest.mark.parametrize(("token", "script"), [(TOKEN, None), (TOKEN, Script(split=7)), ("wrong", None)])
async def test_client_shows_its_bearer_token_over_tls(
    serve: Serve,
    tmp_path: Path,
    authority: Path,
    monkeypatch: pytest.MonkeyPatch,
    token: str,
    script: Script | None,
) -> None:
    """Bedrock case 7: boto3 as shipped, with nothing but its bearer token in the environment, is served over TLS."""
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", token)
    tls = f"tls: {{cert_file: {tmp_path}/cert.pem, key_file: {tmp_path}/key.pem}}"

    def run(port: int) -> Any:
        client = boto3.client(
            "bedrock-runtime",
            region_name="eu-west-1",
            endpoint_url=f"https://127.0.0.1:{port}",
            verify=str(authority),
            config=Config(retries={"total_max_attempts": 1}, read_timeout=LIMIT_S),
        )
        try:
            return list(client.converse_stream(modelId="m", messages=TURNS)["stream"])
        except client.exceptions.AccessDeniedException as error:
            return error.response["Error"]["Message"]
        finally:
            client.close()

    async with deployed(serve, tmp_path, configured("kiln:0", tls), script, AWS_KEY=f"{AKID}:{SECRET}") as made:
        said = await in_thread(lambda: run(made.port))
        if token == TOKEN:
            texts = [event["contentBlockDelta"]["delta"]["text"] for event in said if "contentBlockDelta" in event]
            assert "".join(texts) == SAID
            check_signed(made.last)
        else:
            assert said == "The security token included in the request is invalid."
            assert made.received == []
