"""Reading credentials, and never showing them."""

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar_fast.aws.credentials import AccessKeys, ApiKey, BadCredential, parse_credential
from busbar_fast.errors import BusbarError

PROPERTY = settings(derandomize=True, deadline=None, max_examples=200)
SENDABLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=20)
PART = SENDABLE.filter(lambda text: ":" not in text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A:S", AccessKeys(b"A", b"S")),
        ("A:S:T", AccessKeys(b"A", b"S", b"T")),
        ("A:S:", AccessKeys(b"A", b"S")),
        ("A:S:T:u:", AccessKeys(b"A", b"S", b"T:u:")),
        ("A:S::", AccessKeys(b"A", b"S", b":")),
        ("A:/+=:/+=", AccessKeys(b"A", b"/+=", b"/+=")),
        ("A:S: ", AccessKeys(b"A", b"S")),
        ("a" * 9000 + ":S", AccessKeys(b"a" * 9000, b"S")),
        ("A:S\n", AccessKeys(b"A", b"S")),
        (" \tA:S:T\r\n", AccessKeys(b"A", b"S", b"T")),
        ("A", ApiKey(b"A")),
        (" ABSKkey== \n", ApiKey(b"ABSKkey==")),
    ],
)
def test_credential_is_read(text: str, expected: AccessKeys | ApiKey) -> None:
    """aws-wire case 6: two colons split a credential, an empty token is none, space around is dropped."""
    assert parse_credential(text) == expected


@pytest.mark.parametrize("text", ["", "  \n", ":", ":S", "A:", "A::T", "::", "::T"])
def test_credential_without_a_part_is_refused(text: str) -> None:
    """aws-wire case 6: neither the access key id nor the secret may be empty."""
    with pytest.raises(BadCredential):
        parse_credential(text)


@pytest.mark.parametrize("bad", ["\0", "\n", "\r", "\x1b", "\x7f", "\x80", "é", "\u2028", "\ud800", "🌊"])
@pytest.mark.parametrize("form", ["A{}x:S:T", "A:S{}x:T", "A:S:T{}x", "A{}x"])
def test_character_that_no_header_carries_is_refused(form: str, bad: str) -> None:
    """aws-wire case 5: a control or non-ASCII character is an error at start, never an unsigned request."""
    with pytest.raises(BadCredential):
        parse_credential(form.format(bad))


@pytest.mark.parametrize("text", [":tide", "tide:", "tide:\n:t", "ti\x00de:tide", "tide\x7f"])
def test_error_holds_no_part_of_the_value(text: str) -> None:
    """aws-wire case 23: the message of a refusal says why and shows nothing."""
    with pytest.raises(BadCredential) as caught:
        parse_credential(text)
    assert "tide" not in str(caught.value)
    assert str(caught.value)


@PROPERTY
@given(access_key=PART, secret=PART, token=st.one_of(st.just(""), SENDABLE))
def test_any_credential_is_read_back(access_key: str, secret: str, token: str) -> None:
    """What is put together with colons comes apart the same way, colons in the token included."""
    text = f"{access_key}:{secret}:{token}"
    assert parse_credential(text) == AccessKeys(access_key.encode(), secret.encode(), token.encode())


@PROPERTY
@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Any text is a credential that headers can carry or one of our errors."""
    try:
        credential = parse_credential(text)
    except BusbarError:
        return
    parts = (
        [credential.key]
        if isinstance(credential, ApiKey)
        else [credential.access_key, credential.secret, credential.token]
    )
    assert all(0x20 <= byte < 0x7F for part in parts for byte in part)


def test_repr_shows_no_value() -> None:
    """aws-wire case 23: printing a credential gives nothing away, and neither does printing a copy."""
    shown = [AccessKeys(b"tide-id", b"tide-secret", b"tide-token"), ApiKey(b"tide-key")]
    assert "tide" not in f"{shown}"
    assert "tide" not in f"{pickle.loads(pickle.dumps(shown))}"  # noqa: S301  our own copy
