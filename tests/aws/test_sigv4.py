"""Signing: the published vectors, the vendor's signer, the cache of derived keys."""

import re
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar_fast.aws import sigv4
from busbar_fast.aws.canonical import canonical_request, canonical_value, encode_stamp, payload_hash, string_to_sign
from busbar_fast.aws.credentials import AccessKeys
from busbar_fast.aws.sigv4 import DerivedKeys, Draft, Place, RequestSigner, derive_key, encode_signature
from busbar_fast.aws.verify import IssuedKey, Verifier
from tests.aws.peers import (
    AKID,
    BODY,
    BODY_HASH,
    COLON_PATH,
    EPOCH_S,
    HEADERS,
    HOST,
    PATHS,
    QUERIES,
    SECRET,
    STAMP,
    VECTORS,
    Signing,
    Vector,
    botocore_signature,
    incoming,
)

PLACE = Place(b"eu-west-1", b"bedrock")
KEYS = AccessKeys(AKID.encode(), SECRET.encode())
JSON = (b"Content-Type", b"application/json")


def draft(target: str = COLON_PATH, host: str = HOST, *extra: tuple[bytes, bytes]) -> Draft:
    """Return a request to sign."""
    return Draft(b"POST", target.encode(), [(b"Host", host.encode()), JSON, *extra])


def signed(lines: bytes) -> dict[str, str]:
    """Return header lines by name."""
    *whole, rest = lines.decode().split("\r\n")
    assert rest == ""
    return dict(line.split(": ", 1) for line in whole)


def signature_of(lines: bytes) -> str:
    """Return the signature in header lines."""
    return signed(lines)["Authorization"].rpartition("Signature=")[2]


def signature_over(vector: Vector) -> bytes:
    """Return our signature over exactly the headers of a vector."""
    rows = [(name.encode(), canonical_value([value.encode()])) for name, value in vector.headers]
    canonical = canonical_request(b"POST", vector.target.encode(), rows, payload_hash(BODY))
    text = string_to_sign(STAMP.encode(), b"20260304/eu-west-1/bedrock/aws4_request", canonical)
    return encode_signature(derive_key(SECRET.encode(), b"20260304", PLACE), text)


@pytest.mark.parametrize("name", VECTORS)
def test_signature_matches_vector(name: str) -> None:
    """aws-wire case 1: each published signature comes out bit for bit."""
    assert signature_over(VECTORS[name]).decode() == VECTORS[name].signature


def test_signature_matches_the_example_of_aws() -> None:
    """aws-wire case 1: AWS's own published example comes out bit for bit."""
    headers = [
        (b"content-type", b"application/x-www-form-urlencoded; charset=utf-8"),
        (b"host", b"iam.amazonaws.com"),
        (b"x-amz-date", b"20150830T123600Z"),
    ]
    target = b"/?Action=ListUsers&Version=2010-05-08"
    canonical = canonical_request(b"GET", target, headers, payload_hash(b""))
    text = string_to_sign(b"20150830T123600Z", b"20150830/us-east-1/iam/aws4_request", canonical)
    key = derive_key(b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", b"20150830", Place(b"us-east-1", b"iam"))
    assert encode_signature(key, text) == b"5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"


def test_signer_reproduces_the_vector_with_the_body_hash() -> None:
    """aws-wire cases 1 and 2: the signer sends what the fifth vector signs, and its header lines are complete."""
    lines = RequestSigner(KEYS, PLACE, draft(), DerivedKeys()).sign(BODY, EPOCH_S)
    assert signed(lines) == {
        "X-Amz-Date": STAMP,
        "X-Amz-Content-Sha256": BODY_HASH,
        "Authorization": (
            f"AWS4-HMAC-SHA256 Credential={AKID}/20260304/eu-west-1/bedrock/aws4_request, "
            "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date, "
            f"Signature={VECTORS['V5'].signature}"
        ),
    }


def test_session_token_is_signed_and_sent() -> None:
    """aws-wire case 5: a temporary pair sends its token and signs it, percent signs and all."""
    keys = AccessKeys(AKID.encode(), SECRET.encode(), b"Tok%b+/en==")
    headers = signed(RequestSigner(keys, PLACE, draft(), DerivedKeys()).sign(BODY, EPOCH_S))
    assert headers["X-Amz-Security-Token"] == "Tok%b+/en=="
    names = "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token, "
    assert names in headers["Authorization"]
    extra = (("x-amz-content-sha256", BODY_HASH), ("x-amz-security-token", "Tok%b+/en=="))
    assert headers["Authorization"].endswith(botocore_signature(Vector(COLON_PATH, "", extra)))


def test_headers_of_the_draft_are_signed_in_order() -> None:
    """aws-wire case 11: headers before, between and behind our own are signed too, repeated ones as one."""
    extra = [(b"X-Amz-Note", b" b  c "), (b"X-Amz-Copy", b"1"), (b"A", b"x\ty"), (b"x-amz-note", b"d")]
    lines = RequestSigner(KEYS, PLACE, draft(COLON_PATH, HOST, *extra), DerivedKeys()).sign(BODY, EPOCH_S)
    theirs = (
        ("a", "x y"),
        ("x-amz-content-sha256", BODY_HASH),
        ("x-amz-copy", "1"),
        ("x-amz-note", "b c"),
        ("x-amz-note", "d"),
    )
    assert signature_of(lines) == botocore_signature(Vector(COLON_PATH, "", theirs))


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    model=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
    body=st.binary(max_size=200),
    token=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=40),
    secret=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40),
    epoch_s=st.integers(min_value=0, max_value=4102444799),
    region=st.sampled_from(["eu-west-1", "us-gov-west-1", "ap-southeast-2"]),
    host=st.sampled_from([HOST, "gw.local:8080", "127.0.0.1:9"]),
)
def test_vendor_computes_our_signature(
    model: str, body: bytes, token: str, secret: str, epoch_s: int, region: str, host: str
) -> None:
    """aws-wire case 4: the vendor's recomputation from what we send gives our signature for 200 random requests."""
    place = Place(region.encode(), b"bedrock")
    target = f"/model/{quote(model, safe='')}/converse"
    keys = AccessKeys(AKID.encode(), secret.encode(), token.encode())
    headers = signed(RequestSigner(keys, place, draft(target, host), DerivedKeys()).sign(body, epoch_s))
    sent = [("x-amz-content-sha256", headers["X-Amz-Content-Sha256"])]
    if token:
        sent.append(("x-amz-security-token", headers["X-Amz-Security-Token"]))
    received = Vector(target, "", tuple(sent), host, headers["X-Amz-Date"])
    theirs = botocore_signature(received, body, secret, (region, "bedrock"))
    assert headers["Authorization"].endswith(f"Signature={theirs}")


@settings(derandomize=True, deadline=None, max_examples=300)
@given(
    method=st.sampled_from(["POST", "GET", "PUT"]),
    path=PATHS,
    query=QUERIES,
    headers=HEADERS,
    body=st.binary(max_size=60),
    token=st.one_of(st.just(""), st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20)),
)
def test_any_request_is_signed_as_the_vendor_signs_it(
    method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes, token: str
) -> None:
    """aws-wire cases 4, 10 and 11: odd paths, queries and headers are signed byte for byte as the vendor does it."""
    fields = [(b"Host", HOST.encode()), *((name.encode(), value.encode()) for name, value in headers)]
    keys = AccessKeys(AKID.encode(), SECRET.encode(), token.encode())
    plan = Draft(method.encode(), (path + query).encode(), fields)
    lines = signed(RequestSigner(keys, PLACE, plan, DerivedKeys()).sign(body, EPOCH_S))
    ours = [("Host", HOST), *headers, ("X-Amz-Date", STAMP), ("X-Amz-Content-SHA256", lines["X-Amz-Content-Sha256"])]
    ours += [("X-Amz-Security-Token", token)] if token else []
    theirs = Signing(method, path + query, ours, body)
    assert lines["Authorization"].endswith(f"Signature={theirs.signature()}")
    assert lines.get("X-Amz-Security-Token", "") == token
    names = theirs.auth.signed_headers(theirs.auth.headers_to_sign(theirs.request))
    assert f"SignedHeaders={names}, " in lines["Authorization"]


def test_two_attempts_differ_in_date_and_both_verify() -> None:
    """aws-wire case 9: a second attempt a while later carries its own date and is as good as the first."""
    signer = RequestSigner(KEYS, PLACE, draft(), DerivedKeys())
    verifier = Verifier(b"bedrock", {AKID: IssuedKey(SECRET.encode(), is_active=True)}.get)
    attempts = [signed(signer.sign(BODY, EPOCH_S + later_s)) for later_s in (0, 7)]
    fixed = [("Host", HOST), ("Content-Type", "application/json")]
    verdicts = [
        verifier.verify(incoming("POST", COLON_PATH, [*fixed, *headers.items()], BODY), EPOCH_S + 7)
        for headers in attempts
    ]
    assert attempts[0]["X-Amz-Date"] != attempts[1]["X-Amz-Date"]
    assert [verdict.is_admitted for verdict in verdicts] == [True, True]


def test_signer_follows_the_date() -> None:
    """The key of yesterday does not sign at midnight."""
    signer = RequestSigner(KEYS, PLACE, draft(), DerivedKeys())
    midnight_s = 1772668800
    for epoch_s in (midnight_s - 1, midnight_s, midnight_s - 1):
        stamp = encode_stamp(epoch_s).decode()
        vector = Vector(COLON_PATH, "", (("x-amz-content-sha256", BODY_HASH),), HOST, stamp)
        assert signature_of(signer.sign(BODY, epoch_s)) == botocore_signature(vector)


def test_key_is_derived_once_per_secret_date_and_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a new combination costs the four HMACs, and the cache keeps a fixed number of keys."""
    derived: list[tuple[bytes, bytes, Place]] = []

    def record(secret: bytes, date: bytes, place: Place) -> bytes:
        derived.append((secret, date, place))
        return derive_key(secret, date, place)

    monkeypatch.setattr(sigv4, "derive_key", record)
    keys = DerivedKeys()
    other = [(b"s", b"20260304", PLACE), (b"t", b"20260304", PLACE), (b"s", b"20260305", PLACE)]
    other += [(b"s", b"20260304", Place(b"us-east-1", b"bedrock")), (b"s", b"20260304", Place(b"eu-west-1", b"s3"))]
    for combination in other * 3:
        assert keys.key(*combination) == derive_key(*combination)
    assert derived == other
    for number in range(100):
        keys.key(b"%d" % number, b"20260304", PLACE)
    keys.key(b"99", b"20260304", PLACE)
    assert len(derived) == len(other) + 100
    keys.key(*other[0])
    assert derived[-1] == other[0]
    assert len(keys._keys) == 64


@pytest.mark.parametrize(
    "wrong", [Draft(b"POST", b"/", [JSON]), Draft(b"POST", b"/", [(b"Host", b"h"), (b"A", b"b\nc")])]
)
def test_draft_that_cannot_be_signed_is_a_bug(wrong: Draft) -> None:
    """Without Host, or with a value that ends its line, there is nothing right to sign."""
    with pytest.raises(AssertionError):
        RequestSigner(KEYS, PLACE, wrong, DerivedKeys())


def test_nothing_secret_shows() -> None:
    """aws-wire case 23: neither secret nor token stands in a repr."""
    keys = AccessKeys(b"AKID", b"hush-hush", b"to-ken")
    signer = RequestSigner(keys, PLACE, draft(), DerivedKeys())
    signer.sign(BODY, EPOCH_S)
    shown = " ".join(map(repr, (keys, signer, signer._keys)))
    assert re.search("hush-hush|to-ken", shown) is None
