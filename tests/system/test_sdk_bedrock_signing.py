"""Signatures and AWS API keys over real sockets: what lanes sign is verified as AWS would do it."""

import time
from pathlib import Path
from typing import Any

import boto3
import pytest
import trustme
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from busbar_fast.aws.verify import Incoming, IssuedKey, Reason, Verifier
from busbar_fast.mock.script import Script
from tests.system.gateways import Received
from tests.system.sdk import LIMIT_S, TOKEN, Stand, in_thread
from tests.system.sdk_callers import converse_client, deployed
from tests.system.serving import Serve

AKID = "AKIDHARBOUR000000001"
SECRET = "harbour/Secret+Key0123456789abcdefghijkl"
SESSION = "FwoG:Tok+/en=="
TURNS: Any = [{"role": "user", "content": [{"text": "marée?"}]}]
SAID = "You said: marée?"
ARN = "arn:aws:bedrock:eu-west-1:111122223333:inference-profile/eu.kiln-v1:0"
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
