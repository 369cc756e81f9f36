"""The vendor's own signer and client, without a network, and the published vectors of the wire chapter."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.eventstream import EventStream
from botocore.parsers import EventStreamJSONParser
from hypothesis import strategies as st

from busbar_fast.aws.verify import Incoming

AKID = "AKIDHARBOUR000000001"
SECRET = "harbour/Secret+Key0123456789abcdefghijkl"
STAMP = "20260304T050607Z"
EPOCH_S = 1772600767
HOST = "bedrock-runtime.eu-west-1.amazonaws.com"
BODY = b'{"messages":[{"role":"user","content":[{"text":"tide?"}]}]}'
BODY_HASH = "3dcce392965972eacf52b77de6a0e5e7918fdddec00fb7fb200ec69ecffc1880"
COLON_PATH = "/model/kiln.large-v1%3A0/converse"
ARN_PATH = "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A111122223333%3Ainference-profile%2Feu.kiln-v1%3A0/converse-stream"


@dataclass(frozen=True)
class Vector:
    """One row of the table in chapter 2: what is signed beside content type and date, and the signature."""

    target: str
    signature: str
    extra: tuple[tuple[str, str], ...] = ()
    host: str = HOST
    stamp: str = STAMP

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Return the signed headers, sorted, their values as they are sent."""
        own = [("content-type", "application/json"), ("host", self.host), ("x-amz-date", self.stamp)]
        return sorted([*own, *self.extra])

    def incoming(self, akid: str = AKID) -> Incoming:
        """Return the request as a server receives it."""
        names = ";".join(name for name, _ in self.headers)
        claim = (
            f"AWS4-HMAC-SHA256 Credential={akid}/20260304/eu-west-1/bedrock/aws4_request, "
            f"SignedHeaders={names}, Signature={self.signature}"
        )
        return incoming("POST", self.target, [*self.headers, ("Authorization", claim)], BODY)


VECTORS = {
    "V1": Vector("/model/kiln.large-v1/converse", "01778f1e8206624ff6669796192578db7a5e7f361deb9d3d080da5df9a75eeb6"),
    "V2": Vector(COLON_PATH, "bc4729b4e9159a90c3ec91429296f9e29e559a13b7b992bff05adc108e10703d"),
    "V3": Vector(ARN_PATH, "460df66f5cf27b22ae7a788abe106b1eaa2e5f0b8aa1384de3cb152649ef20c3"),
    "V4": Vector(
        COLON_PATH,
        "083b03bf46fc6ad94ff9535b136dfb2799d6c0a5626a763a16f960ae0e257faa",
        (("x-amz-security-token", "Tok+/en=="),),
    ),
    "V5": Vector(
        COLON_PATH,
        "ad6af91733332da0e132296963ea6fd8997e6bda5ab8fc2f47ffa6c02773bb68",
        (("x-amz-content-sha256", BODY_HASH),),
    ),
    "V6": Vector(
        "/model/m/converse?b=2&a=x%2Fy&a=1", "3b85e91fca1c9a0e1e2ce2cdcada982bc20d72ceec2e2801c4a6417497418be1"
    ),
    "V7": Vector(
        "/model/m/converse",
        "6ec502f082d6d4a719a2a5085d7c9867ca18df97d006480668e1c4c3c3a34442",
        (("x-amz-note", "  a   b  "),),
    ),
    "V8": Vector(
        "/model/pool%20a/converse",
        "aee7ed11acf80ad26f5a1c37e928a36e4756208c382da489c6d879f39d10ac52",
        host="gw.local:8080",
    ),
}


def incoming(method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> Incoming:
    """Return a request as bytes."""
    pairs = [(name.encode(), value.encode()) for name, value in headers]
    return Incoming(method.encode(), target.encode(), pairs, body)


def botocore_signature(
    vector: Vector, body: bytes = BODY, secret: str = SECRET, place: tuple[str, str] = ("eu-west-1", "bedrock")
) -> str:
    """Return the vendor's signature over the target and headers of a vector, whatever signature that one has."""
    request = AWSRequest("POST", f"https://{vector.host}{vector.target}", data=body)
    for name, value in vector.headers:
        request.headers.add_header(name, value)
    request.context["timestamp"] = vector.stamp
    region, service = place
    auth = SigV4Auth(Credentials(AKID, secret), service, region)
    return str(auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request))


# What may stand in a target on the wire; no fragment ever does, and a line is no place for blanks.
_IN_TARGETS = st.characters(exclude_characters="#?&", exclude_categories=["Cc", "Cs", "Z"])
_PIECES = st.text(_IN_TARGETS, max_size=6)
# Blanks as the wire has them: the vendor's client would collapse others as well, ours leaves them (chapter 2).
_VALUES = st.text(st.one_of(st.sampled_from(" \t,;="), _IN_TARGETS), max_size=12)
PATHS = st.lists(st.one_of(_PIECES, st.sampled_from(["%3A", "%2F", ":", ".", "..", ""])), max_size=4).map(
    lambda segments: "/" + "/".join(segments)
)
QUERIES = st.lists(st.one_of(_PIECES, st.builds("{}={}".format, _PIECES, _PIECES)), max_size=4).map(
    lambda pairs: "?" + "&".join(pairs) if pairs else ""
)
# Names in any case, so that one header may well come twice.
HEADERS = st.lists(st.tuples(st.sampled_from(["X-Note", "x-note", "Content-Type", "A", "x-amz-z", "Zz"]), _VALUES))


class Signing:
    """The vendor's own signer, and a request for it to sign."""

    def __init__(
        self, method: str, target: str, headers: list[tuple[str, str]], body: bytes, token: str | None = None
    ) -> None:
        self.request = AWSRequest(method, f"https://{HOST}{target}", data=body)
        for name, value in headers:
            self.request.headers.add_header(name, value)
        self.auth = SigV4Auth(Credentials(AKID, SECRET, token), "bedrock", "eu-west-1")

    def signature(self, stamp: str = STAMP) -> str:
        """Return the signature over what was given."""
        self.request.context["timestamp"] = stamp
        canonical = self.auth.canonical_request(self.request)
        return str(self.auth.signature(self.auth.string_to_sign(self.request, canonical), self.request))

    def sent(self) -> Incoming:
        """Sign as of now, as a client does; return what the server gets."""
        self.auth.add_auth(self.request)
        target = self.request.url.removeprefix(f"https://{HOST}")
        return incoming(self.request.method, target, [("Host", HOST), *self.request.headers.items()], self.request.data)


class _EmptyReply:
    """A body for the vendor's client to read."""

    def stream(self, **_: Any) -> list[bytes]:
        return [b"{}"]


class Boto:
    """The vendor's client for a gateway that is not there: it signs, and its requests end up here."""

    def __init__(self, token: str | None = None) -> None:
        self._sent: list[Incoming] = []
        self._client = boto3.client(
            "bedrock-runtime",
            region_name="eu-west-1",
            endpoint_url="http://gw.local:8080",
            aws_access_key_id=AKID,
            aws_secret_access_key=SECRET,
            aws_session_token=token,
            config=Config(retries={"max_attempts": 1}, ignore_configured_endpoint_urls=True),
        )
        self._client.meta.events.register("before-send", self._on_send)

    def converse(self, model: str) -> Incoming:
        """Return the request that the client makes for a model."""
        self._client.converse(modelId=model, messages=[{"role": "user", "content": [{"text": "marée?"}]}])
        return self._sent.pop()

    def _on_send(self, request: Any, **_: Any) -> AWSResponse:
        url = urlsplit(request.url)
        headers = [
            (name, value.decode() if isinstance(value, bytes) else str(value))
            for name, value in request.headers.items()
        ]
        self._sent.append(incoming(request.method, url.path, [("Host", url.netloc), *headers], request.body))
        return AWSResponse(request.url, 200, {}, _EmptyReply())


class _Raw:
    """The body of a streamed answer, in pieces."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces

    def stream(self) -> Iterator[bytes]:
        yield from self._pieces


@cache
def _stream_shape() -> Any:
    """Return what the vendor's model says of a ConverseStream answer."""
    model = botocore.session.Session().get_service_model("bedrock-runtime")
    return model.operation_model("ConverseStream").get_event_stream_output()


def events_of(pieces: Sequence[bytes], seen: list[Any]) -> list[Any]:
    """Append the events that the vendor's client makes of these bytes; raise what it raises."""
    seen.extend(EventStream(_Raw(pieces), _stream_shape(), EventStreamJSONParser(), "ConverseStream"))
    return seen


def stream_exceptions() -> list[str]:
    """Return the names of the exceptions that may stand in such a stream."""
    return [name for name, shape in _stream_shape().members.items() if shape.metadata.get("exception")]
