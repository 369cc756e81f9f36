"""Verifying: vectors, the vendor's client, and everything that must be refused."""

import os
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate
from hmac import digest

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar_fast.aws.canonical import encode_stamp, payload_hash
from busbar_fast.aws.sigv4 import Place, derive_key
from busbar_fast.aws.verify import (
    Incoming,
    IssuedKey,
    Reason,
    Verdict,
    Verifier,
    is_signed,
    parse_date,
    parse_stamp,
)
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
    Boto,
    Signing,
    Vector,
    botocore_signature,
)

ISSUED = {
    AKID: IssuedKey(SECRET.encode(), is_active=True),
    "AKIDASLEEP": IssuedKey(SECRET.encode(), is_active=False),
    "AKIDOTHER": IssuedKey(b"another secret", is_active=True),
}
SCOPE = "20260304/eu-west-1/bedrock/aws4_request"
V2 = VECTORS["V2"]
CREDENTIAL = f"Credential={AKID}/{SCOPE}"
NAMES = "SignedHeaders=content-type;host;x-amz-date"
SIGNATURE = f"Signature={V2.signature}"


def verdict(request: Incoming, now_s: int = EPOCH_S) -> Verdict:
    """Return the verdict of a verifier that knows our keys."""
    return Verifier(b"bedrock", ISSUED.get).verify(request, now_s)


def reason(request: Incoming, now_s: int = EPOCH_S) -> Reason:
    """Return the reason alone, checking that only the right one admits."""
    given_verdict = verdict(request, now_s)
    assert given_verdict.is_admitted is (given_verdict.reason is Reason.ADMITTED)
    return given_verdict.reason


def with_header(request: Incoming, name: str, value: str | None) -> Incoming:
    """Return the request with one header set, or without it."""
    kept = [pair for pair in request.headers if pair[0].lower() != name.lower().encode()]
    return replace(request, headers=kept if value is None else [*kept, (name.encode(), value.encode())])


def header(request: Incoming, name: bytes) -> str:
    """Return the value of a header."""
    return next(value for key, value in request.headers if key.lower() == name).decode()


def claiming(edit: Callable[[str], str], request: Incoming | None = None) -> Incoming:
    """Return a good request whose Authorization header was edited."""
    request = request or V2.incoming()
    return with_header(request, "Authorization", edit(header(request, b"authorization")))


def signed(vector: Vector, place: tuple[str, str] = ("eu-west-1", "bedrock")) -> Incoming:
    """Return the request of a vector with the vendor's signature for what it now says."""
    request = replace(vector, signature=botocore_signature(vector, place=place)).incoming()
    return claiming(lambda claim: claim.replace("eu-west-1/bedrock", "/".join(place)), request)


def at(boto: Incoming) -> int:
    """Return the time at which the vendor's client signed."""
    signed_s = parse_stamp(header(boto, b"x-amz-date").encode())
    assert signed_s is not None
    return signed_s


@pytest.mark.parametrize("name", VECTORS)
def test_request_of_a_vector_is_admitted(name: str) -> None:
    """aws-wire cases 1, 10 and 11: each published signature verifies, whatever it signs."""
    assert verdict(VECTORS[name].incoming()) == Verdict(Reason.ADMITTED, AKID)


def test_bearer_is_not_for_the_verifier() -> None:
    """aws-wire case 18: only our algorithm at the start of the header leads here."""
    assert [is_signed(value) for value in (b"AWS4-HMAC-SHA256 x", b" \tAWS4-HMAC-SHA256 x")] == [True, True]
    others = (b"Bearer AWS4-HMAC-SHA256", b"", b"aws4-hmac-sha256 x", b"AWS4-ECDSA-P256-SHA256 x")
    assert [is_signed(value) for value in others] == [False] * 4


@pytest.mark.parametrize("token", [None, "Tok+/en=="])
def test_vendors_client_is_admitted(token: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """aws-wire case 12: a boto3 client verifies for pool names of any shape, with a session token or without."""
    for variable in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    boto = Boto(token)
    for model in ("kiln", "pool a", "kiln.v1:0", "arn:aws:x:eu-west-1:1:inference-profile/eu.kiln-v1:0", "é+~%2F"):
        request = boto.converse(model)
        names = [name.lower() for name, _ in request.headers]
        assert (b"x-amz-security-token" in names) is (token is not None)
        assert {b"amz-sdk-invocation-id", b"amz-sdk-request"} <= set(names)
        assert b"x-amz-content-sha256" not in names
        assert reason(request, at(request)) is Reason.ADMITTED


@settings(derandomize=True, deadline=None, max_examples=300)
@given(
    path=PATHS,
    query=QUERIES,
    headers=HEADERS,
    body=st.binary(max_size=60),
    token=st.sampled_from([None, "Tok+/en=="]),
    declares=st.booleans(),
)
def test_any_request_that_the_vendor_signs_is_admitted(
    path: str, query: str, headers: list[tuple[str, str]], body: bytes, token: str | None, *, declares: bool
) -> None:
    """aws-wire cases 12 and 13: odd paths, queries, headers and bodies verify, with and without token and hash."""
    declared = [("X-Amz-Content-SHA256", payload_hash(body).decode())] if declares else []
    request = Signing("POST", path + query, [*headers, *declared], body, token).sent()
    assert verdict(request, at(request)) == Verdict(Reason.ADMITTED, AKID)
    assert reason(replace(request, body=body + b" "), at(request)) is (
        Reason.BODY_DIFFERS if declares else Reason.MISMATCH
    )


@pytest.mark.parametrize("spelling", [BODY_HASH, BODY_HASH.upper()])
def test_declared_hash_of_the_body_is_admitted(spelling: str) -> None:
    """aws-wire case 13: a client may declare the hash in either case, and sign it as the vendor does."""
    assert reason(signed(replace(V2, extra=(("x-amz-content-sha256", spelling),)))) is Reason.ADMITTED


def test_declared_hash_in_capitals_may_be_signed_in_small_letters() -> None:
    """aws-wire case 13: a client that declares capitals but signs what the standard asks for is admitted, too."""
    request = with_header(V2.incoming(), "X-Amz-Content-Sha256", BODY_HASH.upper())
    assert reason(request) is Reason.ADMITTED


@pytest.mark.parametrize(
    "declared",
    [
        "0" * 64,
        BODY_HASH[:-1],
        "",
        "UNSIGNED-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    ],
)
def test_declared_hash_of_anything_else_is_refused(declared: str) -> None:
    """aws-wire case 13: a wrong hash, an unsigned and a streamed payload are refused, signed or not."""
    assert reason(signed(replace(V2, extra=(("x-amz-content-sha256", declared),)))) is Reason.BODY_DIFFERS
    assert reason(with_header(V2.incoming(), "X-Amz-Content-Sha256", declared)) is Reason.BODY_DIFFERS


def test_flipped_body_byte_or_signature_digit_is_refused() -> None:
    """aws-wire case 14: nothing but the signed body and the whole signature will do."""
    good = V2.incoming()
    assert reason(replace(good, body=BODY[:-1] + b" ")) is Reason.MISMATCH
    assert reason(replace(good, body=b"")) is Reason.MISMATCH
    assert reason(replace(good, method=b"PUT")) is Reason.MISMATCH
    for digit in range(64):
        flipped = V2.signature[:digit] + format(int(V2.signature[digit], 16) ^ 1, "x") + V2.signature[digit + 1 :]
        assert reason(replace(V2, signature=flipped).incoming()) is Reason.MISMATCH
    for signature in (V2.signature[:-1], V2.signature + "0", V2.signature.upper(), "é"):
        assert reason(replace(V2, signature=signature).incoming()) is Reason.MISMATCH


def test_any_region_and_one_service() -> None:
    """aws-wire case 14: the region is the client's choice, the service is not."""
    assert reason(signed(V2, ("ap-south-1", "bedrock"))) is Reason.ADMITTED
    assert reason(signed(V2, ("eu-west-1", "s3"))) is Reason.FOREIGN_SCOPE
    assert reason(claiming(lambda claim: claim.replace("eu-west-1", "ap-south-1"))) is Reason.MISMATCH


@pytest.mark.parametrize(
    ("skew_s", "expected"),
    [
        (-301, Reason.SKEWED),
        (-300, Reason.ADMITTED),
        (0, Reason.ADMITTED),
        (300, Reason.ADMITTED),
        (301, Reason.SKEWED),
    ],
)
def test_window_is_five_minutes_both_ways(skew_s: int, expected: Reason) -> None:
    """aws-wire case 15: exactly 300 seconds early or late is fine, one more is not."""
    assert reason(V2.incoming(), EPOCH_S + skew_s) is expected


def test_scope_of_another_day_is_refused() -> None:
    """aws-wire case 15: the date of the scope is the date of the stamp, also around midnight."""
    assert reason(claiming(lambda claim: claim.replace("/20260304/", "/20260305/"))) is Reason.BAD_DATE
    assert reason(claiming(lambda claim: claim.replace("/20260304/", "/2026030/"))) is Reason.BAD_DATE


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("content-type;x-amz-date", Reason.BAD_HEADERS),
        ("content-type;host", Reason.BAD_DATE),
        ("content-type;host;x-amz-absent;x-amz-date", Reason.BAD_HEADERS),
        ("content-type;host;x-amz-date;", Reason.BAD_HEADERS),
        ("host;content-type;x-amz-date", Reason.MISMATCH),
        ("content-type;host;host;x-amz-date", Reason.MISMATCH),
        ("host;x-amz-date", Reason.MISMATCH),
        ("Content-Type;host;x-amz-date", Reason.BAD_HEADERS),
    ],
)
def test_list_of_signed_headers_must_be_right(names: str, expected: Reason) -> None:
    """aws-wire case 16: host and date are signed, all are present, sorted, and as many as were signed."""
    request = claiming(lambda claim: claim.replace("content-type;host;x-amz-date", names))
    assert reason(request) is expected


def test_absent_signed_header_is_refused() -> None:
    """aws-wire case 16: a header that was signed may not get lost on the way."""
    assert reason(with_header(V2.incoming(), "Content-Type", None)) is Reason.BAD_HEADERS
    assert reason(with_header(V2.incoming(), "Host", None)) is Reason.BAD_HEADERS
    assert reason(with_header(V2.incoming(), "X-Amz-Date", None)) is Reason.BAD_DATE
    assert reason(with_header(V2.incoming(), "Content-Type", "text/plain")) is Reason.MISMATCH


@pytest.mark.parametrize(
    "claim",
    [
        f"AWS4-HMAC-SHA256 {SIGNATURE},{NAMES},{CREDENTIAL}",
        f"AWS4-HMAC-SHA256  Extra=1, {CREDENTIAL} ,\t{NAMES}, Extra=2,, {SIGNATURE}",
        f" AWS4-HMAC-SHA256\t{CREDENTIAL}, {NAMES}, {SIGNATURE} ".replace("=", " = "),
    ],
)
def test_sections_come_in_any_order(claim: str) -> None:
    """aws-wire case 17: order, blanks and sections that we do not know make no difference."""
    assert reason(with_header(V2.incoming(), "Authorization", claim)) is Reason.ADMITTED


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (f", {SIGNATURE}", ""),
        (V2.signature, ""),
        (f"{NAMES}, ", ""),
        ("content-type;host;x-amz-date", ""),
        (f"{CREDENTIAL}, ", ""),
        ("/eu-west-1", ""),
        ("/aws4_request", "/aws4_request/more"),
        ("aws4_request", "aws4_requests"),
        (AKID, ""),
        (AKID, "é"),
        ("eu-west-1", ""),
        ("/bedrock/", "//"),
        ("20260304", ""),
        ("AWS4-HMAC-SHA256", "aws4-hmac-sha256"),
        ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512"),
        ("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256"),
        ("AWS4-HMAC-SHA256", "Bearer"),
        ("Signature=", "Signature=0, Signature="),
        ("Credential=", "Credential=a/b/c/d/aws4_request, Credential="),
    ],
)
def test_malformed_claim_is_refused(old: str, new: str) -> None:
    """aws-wire case 17: a claim lacks no section, repeats none, and has a scope of five parts, none empty."""
    assert old in header(V2.incoming(), b"authorization")
    assert reason(claiming(lambda claim: claim.replace(old, new, 1))) is Reason.MALFORMED


def test_request_without_a_claim_is_refused() -> None:
    """aws-wire case 17: no Authorization header is no claim, nor are two, whole or half a claim each."""
    good = V2.incoming()
    assert reason(with_header(good, "Authorization", None)) is Reason.MALFORMED
    twice = [*good.headers, (b"authorization", header(good, b"authorization").encode())]
    assert reason(replace(good, headers=twice)) is Reason.MALFORMED
    start, comma, end = header(good, b"authorization").encode().partition(b",")
    halves = [*with_header(good, "Authorization", start.decode()).headers, (b"Authorization", end)]
    assert comma
    assert reason(replace(good, headers=halves)) is Reason.MALFORMED


@pytest.mark.parametrize("name", ["X-Amz-Signature", "x-amz-signature", "X%2DAmz-Signature"])
def test_presigned_url_is_refused(name: str) -> None:
    """A signature in the query is not supported, also beside one in the header."""
    good = V2.incoming()
    assert reason(replace(good, target=good.target + f"?a=1&{name}=0".encode())) is Reason.PRESIGNED


@pytest.mark.parametrize(
    ("akid", "secret", "expected"),
    [
        (AKID, SECRET, Reason.ADMITTED),
        ("AKIDUNKNOWN", SECRET, Reason.UNKNOWN_KEY),
        ("AKIDUNKNOWN", "0" * 40, Reason.UNKNOWN_KEY),
        ("AKIDASLEEP", SECRET, Reason.INACTIVE_KEY),
        ("AKIDASLEEP", "wrong", Reason.MISMATCH),
        ("AKIDOTHER", SECRET, Reason.MISMATCH),
        (AKID, "wrong", Reason.MISMATCH),
    ],
)
def test_every_key_costs_the_same(akid: str, secret: str, expected: Reason, monkeypatch: pytest.MonkeyPatch) -> None:
    """aws-wire case 19: unknown, inactive and wrong keys are refused after the same work as a good one."""
    work: list[str] = []

    def derive(secret: bytes, date: bytes, place: Place) -> bytes:
        work.append("derive")
        return derive_key(secret, date, place)

    def compare(ours: bytes, theirs: bytes) -> bool:
        work.append("compare")
        return ours == theirs

    def count(key: bytes, text: bytes, name: str) -> bytes:
        work.append("hmac")
        return digest(key, text, name)

    monkeypatch.setattr("busbar_fast.aws.verify.derive_key", derive)
    monkeypatch.setattr("busbar_fast.aws.verify.compare_digest", compare)
    monkeypatch.setattr("busbar_fast.aws.sigv4.digest", count)
    request = replace(V2, signature=botocore_signature(V2, secret=secret)).incoming()
    assert reason(claiming(lambda claim: claim.replace(AKID, akid), request)) is expected
    assert sorted(work) == ["compare", "compare", "derive", *["hmac"] * 5]


@pytest.mark.parametrize(
    ("stamp", "epoch_s"),
    [
        (STAMP, EPOCH_S),
        ("20260304T050660Z", EPOCH_S + 53),
        ("20261231T235960Z", 1798761600),
        ("20240229T000000Z", 1709164800),
        ("20261330T000000Z", None),
        ("20260230T000000Z", None),
        ("20260304T240000Z", None),
        ("20260304T056000Z", None),
        ("20260304T050661Z", None),
        ("00000304T050607Z", None),
        ("20260304T05060Z", None),
        ("20260304T0506070Z", None),
        ("20260304T050607", None),
        ("20260304t050607z", None),
        ("2026-03-04T05:06", None),
        ("+0260304T050607Z", None),
        ("2026030\u0664T050607Z", None),
        ("", None),
    ],
)
def test_stamp_must_be_a_real_time(stamp: str, epoch_s: int | None) -> None:
    """aws-wire case 20: sixteen ASCII characters of a real date and time, second 60 included."""
    assert parse_stamp(stamp.encode()) == epoch_s
    if epoch_s is None:
        assert reason(signed(replace(V2, stamp=stamp))) is Reason.BAD_DATE
    elif stamp.startswith("20260304"):
        assert reason(signed(replace(V2, stamp=stamp)), epoch_s) is Reason.ADMITTED


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.integers(min_value=0, max_value=4102444799))
def test_any_second_is_read_back(epoch_s: int) -> None:
    """Both ways to write a second are read as that second."""
    assert parse_stamp(encode_stamp(epoch_s)) == epoch_s
    assert parse_date(formatdate(epoch_s, usegmt=True).encode()) == epoch_s
    assert parse_date(formatdate(epoch_s).encode()) == epoch_s


@pytest.mark.parametrize(
    "date",
    [
        "Wed, 04 Xxx 2026 05:06:07 GMT",
        "Wed, 32 Mar 2026 05:06:07 GMT",
        "Wed, 04 Mar 2026 05:06:07 +0100",
        "Wednesday, 04-Mar-26 05:06:07 GMT",
        "Wed Mar  4 05:06:07 2026",
        "",
    ],
)
def test_other_dates_are_not_read(date: str) -> None:
    """A date of another format, zone or calendar is none."""
    assert parse_date(date.encode()) is None


class Dated(Vector):
    """A request that tells its time by `Date` and no header of AWS's own."""

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Return the signed headers."""
        return [("content-type", "application/json"), ("date", "Wed, 04 Mar 2026 05:06:07 GMT"), ("host", HOST)]


def test_date_header_counts_without_a_stamp_only() -> None:
    """A signed `Date` takes the place of an absent stamp and is ignored beside one."""
    request = signed(Dated(COLON_PATH, ""))
    assert reason(request) is Reason.ADMITTED
    assert reason(request, EPOCH_S + 301) is Reason.SKEWED
    assert reason(claiming(lambda claim: claim.replace("date;", ""), request)) is Reason.BAD_DATE
    assert reason(with_header(request, "X-Amz-Date", STAMP)) is Reason.BAD_DATE
    assert reason(with_header(V2.incoming(), "Date", "Thu, 01 Jan 1970 00:00:00 GMT")) is Reason.ADMITTED


@pytest.mark.parametrize("forwarded", [HOST, f" {HOST} , proxy.internal"])
def test_forwarded_host_counts_if_it_is_trusted(forwarded: str) -> None:
    """Behind a proxy that replaces Host the forwarded one is verified, but only where that was configured."""
    request = with_header(with_header(V2.incoming(), "Host", "10.0.0.1"), "X-Forwarded-Host", forwarded)
    trusting = Verifier(b"bedrock", ISSUED.get, trusts_forwarded_host=True)
    assert trusting.verify(request, EPOCH_S).reason is Reason.ADMITTED
    assert reason(request) is Reason.MISMATCH
    assert trusting.verify(V2.incoming(), EPOCH_S).reason is Reason.ADMITTED


def test_path_is_verified_as_received() -> None:
    """The decoded form of a path is another path."""
    assert reason(replace(V2.incoming(), target=b"/model/kiln.large-v1:0/converse")) is Reason.MISMATCH


def test_unsigned_headers_are_ignored() -> None:
    """What a client adds after signing changes nothing."""
    request = with_header(V2.incoming(), "Amz-Sdk-Request", "attempt=1")
    assert reason(with_header(request, "X-Forwarded-Host", "evil.example")) is Reason.ADMITTED


def test_repeated_signed_header_is_joined() -> None:
    """aws-wire case 11: two signed headers of one name are one value, in the order they came."""
    extra = (("x-amz-note", "b  c"), ("x-amz-note", " d"))
    request = signed(replace(V2, extra=extra))
    edited = claiming(lambda claim: claim.replace("x-amz-note;x-amz-note", "x-amz-note"), request)
    assert reason(edited) is Reason.ADMITTED
    assert reason(replace(edited, headers=list(edited.headers)[::-1])) is Reason.MISMATCH


def test_nothing_secret_shows() -> None:
    """aws-wire case 23: neither key, verdict nor request shows a secret or what a client sent."""
    request = with_header(V2.incoming(), "X-Amz-Security-Token", "to-ken")
    verifier = Verifier(b"bedrock", ISSUED.get)
    shown = f"{ISSUED!r} {request!r} {verifier!r} {verdict(request)!r}"
    assert not any(secret in shown for secret in (SECRET, "to-ken", V2.signature, BODY.decode()))


@settings(derandomize=True, deadline=None, max_examples=300)
@given(
    at_byte=st.integers(min_value=0, max_value=10_000),
    flip=st.integers(min_value=1, max_value=255),
    part=st.sampled_from(["target", "authorization", "x-amz-date", "host", "content-type", "body"]),
)
def test_any_changed_byte_is_refused(at_byte: int, flip: int, part: str) -> None:
    """Whatever byte of a signed request changes, it is refused without an exception, blanks excepted."""
    good = V2.incoming()

    def changed(value: bytes) -> bytes:
        place = at_byte % len(value)
        return value[:place] + bytes((value[place] ^ flip,)) + value[place + 1 :]

    if part == "target":
        bad = replace(good, target=changed(good.target))
    elif part == "body":
        bad = replace(good, body=changed(good.body))
    else:
        headers = [(name, changed(value) if name.lower().decode() == part else value) for name, value in good.headers]
        bad = replace(good, headers=headers)
    spoken = [b"".join(value.split()) for name, value in bad.headers]
    is_same = bad.target == good.target and bad.body == good.body
    is_same = is_same and spoken == [b"".join(value.split()) for _, value in good.headers]
    assert verdict(bad).is_admitted is is_same


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    target=st.binary(max_size=30),
    headers=st.lists(
        st.tuples(
            st.sampled_from([b"authorization", b"x-amz-date", b"host", b"date", b"x-amz-content-sha256"]),
            st.one_of(
                st.binary(max_size=40),
                st.sampled_from([value for _, value in V2.incoming().headers]),
            ),
        ),
        max_size=6,
    ),
    body=st.binary(max_size=10),
)
def test_any_request_gets_a_verdict(target: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """Nonsense is refused like anything else and raises nothing."""
    assert not verdict(Incoming(b"POST", target, headers, body)).is_admitted


def test_body_hash_is_that_of_the_received_bytes() -> None:
    """What is compared with the declared hash is the hash of the bytes that came."""
    assert payload_hash(V2.incoming().body).decode() == BODY_HASH
