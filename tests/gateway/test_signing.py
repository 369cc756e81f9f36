"""What a lane signs: the target as it goes out, the host of its base URL, and the same signer as long as it pays."""

import re

import pytest
from botocore.auth import _host_from_url

from busbar_fast.aws import sigv4
from busbar_fast.aws.credentials import AccessKeys
from busbar_fast.aws.endpoint import signed_host
from busbar_fast.aws.sigv4 import Place
from busbar_fast.config.schema import Health, Provider
from busbar_fast.dialects.registry import DIALECTS
from busbar_fast.gateway import signing
from busbar_fast.gateway.lanes import Access
from busbar_fast.gateway.signing import LaneSigner
from busbar_fast.gateway.targets import target_of
from tests.aws.peers import (
    AKID,
    ARN_PATH,
    BODY,
    BODY_HASH,
    COLON_PATH,
    EPOCH_S,
    HOST,
    SECRET,
    STAMP,
    VECTORS,
    Vector,
    botocore_signature,
)

SIGNED = next(name for name, facts in DIALECTS.items() if facts.region_labels)
PLACE = Place(b"eu-west-1", b"bedrock")


def signer(token: bytes = b"", host: str = HOST) -> LaneSigner:
    """Return the signer of a lane."""
    credential = AccessKeys(AKID.encode(), SECRET.encode(), token)
    return LaneSigner(credential, PLACE, host.encode(), b"application/json")


def signature_of(lines: bytes) -> str:
    """Return the signature among header lines."""
    (found,) = re.findall(rb"Signature=([0-9a-f]{64})\r\n", lines)
    return str(found.decode())


def own(target: str, host: str = HOST, stamp: str = STAMP, *extra: tuple[str, str]) -> str:
    """Return the vendor's signature for what a lane sends."""
    return botocore_signature(Vector(target, "", (("x-amz-content-sha256", BODY_HASH), *extra), host, stamp))


def provider(base_url: str, path: str = "") -> Provider:
    """Return a provider whose requests are signed."""
    return Provider(protocol=SIGNED, base_url=base_url, path=path, error_map={}, health=Health(), options={})


@pytest.mark.parametrize(
    ("model", "target"),
    [
        ("a:0", "/model/a%3A0/converse"),
        ("arn:aws/kiln-v1:0", "/model/arn%3Aaws%2Fkiln-v1%3A0/converse"),
        ("a b~é%41+", "/model/a%20b~%C3%A9%2541%2B/converse"),
        ("..", "/model/../converse"),
    ],
)
def test_lane_signs_the_path_that_it_sends(model: str, target: str) -> None:
    """aws-wire case 2: a name is encoded once on the wire, and what is signed is that, encoded once more."""
    made = target_of(provider(f"https://{HOST}"), model)
    assert made.path.decode() == target
    assert signature_of(signer()(made.path, BODY, EPOCH_S)) == own(target)


def test_lane_signs_what_the_vector_signs() -> None:
    """aws-wire cases 1 and 3: content type, host, hash and date are those of the vector, and nothing else is signed."""
    lines = signer()(COLON_PATH.encode(), BODY, EPOCH_S)
    assert signature_of(lines) == VECTORS["V5"].signature
    assert b"SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date, " in lines


@pytest.mark.parametrize(
    ("base_url", "host"),
    [
        (f"HTTPS://{HOST.upper()}", HOST),
        (f"https://{HOST}:443/pre/fix", HOST),
        (f"https://{HOST}:8443", f"{HOST}:8443"),
        ("http://127.0.0.1:80", "127.0.0.1"),
        ("http://LocalHost:9001/", "localhost:9001"),
        ("http://[::1]:8080", "[::1]:8080"),
    ],
)
def test_host_that_is_sent_is_the_one_that_is_signed(base_url: str, host: str) -> None:
    """aws-wire case 8: the line that lanes send, our text work on the URL and the vendor's all say the same host."""
    assert target_of(provider(base_url), "m").authority.decode() == host
    assert (signed_host(base_url), _host_from_url(base_url)) == (host, host)
    assert signature_of(signer(host=host)(b"/", BODY, EPOCH_S)) == own("/", host)


def test_query_of_an_operators_path_is_signed_sorted() -> None:
    """aws-wire case 10: the query goes out as the operator wrote it and is signed in order, nothing encoded twice."""
    made = target_of(provider(f"https://{HOST}", "/x/{model}/converse?b=2&a=x%2Fy&flag&a=1"), "m:0")
    assert made.path == b"/x/m%3A0/converse?b=2&a=x%2Fy&flag&a=1"
    assert signature_of(signer()(made.path, BODY, EPOCH_S)) == own(made.path.decode())


def test_each_attempt_has_its_own_date() -> None:
    """aws-wire case 9: the same signer signs the next second anew."""
    sign = signer()
    first, second = (sign(COLON_PATH.encode(), BODY, EPOCH_S + later_s) for later_s in (0, 1))
    assert b"X-Amz-Date: 20260304T050607Z\r\n" in first
    assert b"X-Amz-Date: 20260304T050608Z\r\n" in second
    assert signature_of(second) == own(COLON_PATH, HOST, "20260304T050608Z")


def test_session_token_is_sent_and_signed() -> None:
    """aws-wire case 5: a temporary pair shows its token as it stands."""
    lines = signer(b"Tok:+/%s==")(ARN_PATH.encode(), BODY, EPOCH_S)
    assert b"\r\nX-Amz-Security-Token: Tok:+/%s==\r\n" in lines
    assert signature_of(lines) == own(ARN_PATH, HOST, STAMP, ("x-amz-security-token", "Tok:+/%s=="))


def test_a_few_targets_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that comes again costs no new signer, and targets without end cost no memory."""
    made: list[bytes] = []
    original = sigv4.RequestSigner

    def record(credential: AccessKeys, place: Place, draft: sigv4.Draft, keys: sigv4.DerivedKeys) -> object:
        made.append(draft.target)
        return original(credential, place, draft, keys)

    monkeypatch.setattr(signing, "RequestSigner", record)
    sign = signer()
    targets = [b"/%d" % number for number in range(10)]
    for target in targets * 2:
        assert signature_of(sign(target, BODY, EPOCH_S)) == own(target.decode())
    assert made == [*targets, *targets[8:]]


def test_nothing_secret_shows() -> None:
    """aws-wire case 23: neither a lane's signer nor its access has key, secret or token in a repr."""
    sign = LaneSigner(AccessKeys(b"hush-id", b"hush-secret", b"hush-token"), PLACE, b"h", b"application/json")
    sign(b"/", BODY, EPOCH_S)
    access = Access(b"Host: h\r\n", "", "hush-id:hush-secret:hush-token", {"region": "eu-west-1"}, sign)
    assert "hush" not in f"{sign!r} {access!r} {access} {[access]}"
    assert f"{access!r}" == "<Access style='' is_signed=True>"
