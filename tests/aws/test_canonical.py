"""The canonical forms: paths, queries, header values, requests and stamps."""

import hashlib
from urllib.parse import quote

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.utils import normalize_url_path
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar_fast.aws.canonical import (
    canonical_query,
    canonical_request,
    canonical_uri,
    canonical_value,
    encode_stamp,
    payload_hash,
    string_to_sign,
)
from tests.aws.peers import ARN_PATH, BODY, BODY_HASH, EPOCH_S, STAMP, VECTORS, botocore_signature

PROPERTY = settings(derandomize=True, deadline=None, max_examples=200)
PRINTABLE = st.characters(min_codepoint=0x21, max_codepoint=0x7E)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"/model/a%3A0/converse", b"/model/a%253A0/converse"),
        (b"/model/a:0/converse", b"/model/a%3A0/converse"),
        (b"/model/p%2Fq/converse", b"/model/p%252Fq/converse"),
        (b"/model/pool%20a/converse", b"/model/pool%2520a/converse"),
        (b"/model/a-b_c.d~e/converse", b"/model/a-b_c.d~e/converse"),
        (b"/model/\xc3\xa9\xff", b"/model/%C3%A9%FF"),
        (b"/", b"/"),
        (b"", b"/"),
    ],
)
def test_path_is_encoded_once_more(path: bytes, expected: bytes) -> None:
    """aws-wire case 2: what the wire already encodes is encoded again, slashes and the unreserved are left."""
    assert canonical_uri(path) == expected


def test_id_is_encoded_twice_in_all() -> None:
    """aws-wire case 2: colon and slash of a model id go out as `%3A` and `%2F`, signed as `%253A` and `%252F`."""
    wire = b"/model/%b/converse" % quote("arn:aws/kiln-v1:0", safe="").encode()
    assert wire == b"/model/arn%3Aaws%2Fkiln-v1%3A0/converse"
    assert canonical_uri(wire) == b"/model/arn%253Aaws%252Fkiln-v1%253A0/converse"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"//", b"/"),
        (b"/a//b", b"/a/b"),
        (b"/a/./b/", b"/a/b/"),
        (b"/a/../b", b"/b"),
        (b"/../a", b"/a"),
        (b"/a/..", b"/"),
        (b"/a/b/..", b"/a"),
        (b"/a/.b/..c", b"/a/.b/..c"),
    ],
)
def test_dot_segments_do_not_count(path: bytes, expected: bytes) -> None:
    """Dot segments and empty segments are left out of what is signed, as the vendor does."""
    assert canonical_uri(path) == expected


@PROPERTY
@given(st.lists(st.sampled_from(["a", ".", "..", "/", "//", "%3A", ":", "~", "é", "+", " "]), max_size=8))
def test_any_path_is_canonical_as_the_vendor_has_it(parts: list[str]) -> None:
    """Our canonical path is the vendor's for any mix of dots, slashes and odd characters."""
    path = "/" + "".join(parts)
    assert canonical_uri(path.encode()).decode() == quote(normalize_url_path(path), safe="/~")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"", b""),
        (b"b=2&a=x%2Fy&a=1", b"a=1&a=x%2Fy&b=2"),
        (b"flag&a=1", b"a=1&flag="),
        (b"a-=1&a=2", b"a=2&a-=1"),
        (b"a=b=c", b"a=b=c"),
        (b"a=x/y&b=%2f", b"a=x/y&b=%2f"),
    ],
)
def test_query_is_sorted_and_otherwise_kept(query: bytes, expected: bytes) -> None:
    """aws-wire case 10: pairs are sorted by key and value, a bare key gets `=`, nothing is encoded twice."""
    assert canonical_query(query) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([b"  a   b  "], b"a b"),
        ([b"\ta \t b\t"], b"a b"),
        ([b"a", b" b "], b"a,b"),
        ([b"a\xa0\xa0b"], b"a\xa0\xa0b"),
        ([b'"a  b"'], b'"a b"'),
        ([b""], b""),
        ([], b""),
    ],
)
def test_value_is_trimmed_collapsed_and_joined(values: list[bytes], expected: bytes) -> None:
    """aws-wire case 11: blanks and tabs collapse, other bytes stay, repeated headers are joined by a comma."""
    assert canonical_value(values) == expected


def test_request_has_the_documented_shape() -> None:
    """A canonical request is the method, path, query, headers, their names and the hash, a line each."""
    headers = [(b"host", b"h"), (b"x-amz-date", b"d")]
    text = canonical_request(b"POST", b"/a%3A?b&a=1", headers, b"hash")
    assert text == b"POST\n/a%253A\na=1&b=\nhost:h\nx-amz-date:d\n\nhost;x-amz-date\nhash"


@PROPERTY
@given(
    segments=st.lists(st.text(PRINTABLE.filter(lambda c: c not in "/?#"), max_size=8), max_size=4),
    query=st.lists(st.tuples(st.text("ab%=-", max_size=3), st.text("ab%2F", max_size=3)), max_size=4),
    note=st.text(st.sampled_from("ab \t,"), max_size=12),
    body=st.binary(max_size=40),
)
def test_any_request_is_canonical_as_the_vendor_has_it(
    segments: list[str], query: list[tuple[str, str]], note: str, body: bytes
) -> None:
    """Our canonical request is the vendor's, character by character."""
    target = "/" + "/".join(segments)
    if query:
        target += "?" + "&".join(f"{key}={value}" for key, value in query)
    request = AWSRequest("POST", f"https://h.example{target}", {"X-Note": note, "X-Amz-Date": STAMP}, body)
    request.context["timestamp"] = STAMP
    theirs = SigV4Auth(Credentials("a", "s"), "bedrock", "eu-west-1").canonical_request(request)
    headers = [(b"host", b"h.example"), (b"x-amz-date", STAMP.encode()), (b"x-note", canonical_value([note.encode()]))]
    assert canonical_request(b"POST", target.encode(), headers, payload_hash(body)).decode() == theirs


def test_hash_of_the_body_matches_vector() -> None:
    """The body of the vectors has the published length and hash."""
    assert len(BODY) == 59
    assert payload_hash(BODY).decode() == BODY_HASH


def test_string_to_sign_names_time_scope_and_hash() -> None:
    """The string to sign is the algorithm, the stamp, the scope and the hash of the canonical request."""
    hashed = hashlib.sha256(b"text").hexdigest().encode()
    assert string_to_sign(b"stamp", b"d/r/s", b"text") == b"AWS4-HMAC-SHA256\nstamp\nd/r/s\n" + hashed


@pytest.mark.parametrize(
    ("epoch_s", "stamp"), [(EPOCH_S, STAMP.encode()), (0, b"19700101T000000Z"), (1709251199, b"20240229T235959Z")]
)
def test_stamp_is_utc_in_basic_format(epoch_s: int, stamp: bytes) -> None:
    """A stamp has sixteen characters and counts in UTC."""
    assert encode_stamp(epoch_s) == stamp


@pytest.mark.parametrize("name", VECTORS)
def test_vendor_agrees_with_vector(name: str) -> None:
    """The installed botocore still produces the published vectors, so the properties here compare with the truth."""
    assert botocore_signature(VECTORS[name]) == VECTORS[name].signature


def test_arn_path_of_the_vectors_is_one_segment() -> None:
    """No slash of an ARN is left bare in the path."""
    assert ARN_PATH.count("/") == 3
