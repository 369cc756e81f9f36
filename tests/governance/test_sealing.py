"""Secrets in a database, sealed."""

from base64 import b64encode

import pytest

from busbar_fast.governance.sealing import BadSeal, Sealer, is_sealed, parse_key

KEY = bytes(range(32))
SECRET = "dXFT56MHwzhxLWC+buxv/vypKtpwloGL9g50I7TG"


@pytest.mark.parametrize("text", [KEY.hex(), KEY.hex().upper(), b64encode(KEY).decode()])
def test_a_key_is_read(text: str) -> None:
    """Governance §2: as digits or as base64."""
    assert parse_key(text) == KEY


@pytest.mark.parametrize(
    "text", ["", "secret", "0" * 63, "x" * 64, b64encode(bytes(16)).decode(), b64encode(KEY).decode()[:-2] + "!="]
)
def test_what_is_no_key_is_said(text: str) -> None:
    """Governance §2: nothing weaker is taken, and the text is not repeated."""
    with pytest.raises(BadSeal) as caught:
        parse_key(text)
    assert not text or text not in str(caught.value)


def test_a_sealed_secret_opens_for_its_owner_alone() -> None:
    """Governance §2: under the same key, for the same owner, and each time it looks different."""
    sealer = Sealer(KEY)
    sealed = sealer.seal(SECRET, "AKIA1")
    assert is_sealed(sealed)
    assert SECRET not in sealed
    assert sealed != sealer.seal(SECRET, "AKIA1")
    assert sealer.open(sealed, "AKIA1") == SECRET
    for other, owner, text in (
        (sealer, "AKIA2", sealed),
        (Sealer(bytes(32)), "AKIA1", sealed),
        (Sealer(), "AKIA1", sealed),
        (sealer, "AKIA1", sealed[:-4] + "AAA="),
        (sealer, "AKIA1", "sealed:1:!"),
        (sealer, "AKIA1", "sealed:1:"),
    ):
        with pytest.raises(BadSeal):
            other.open(text, owner)


def test_without_a_key_nothing_is_sealed() -> None:
    """Governance §2: sealing is for whoever asks for it; what was not sealed reads as it is."""
    assert (Sealer().seal(SECRET, "AKIA1"), Sealer().is_active) == (SECRET, False)
    assert (Sealer(KEY).open(SECRET, "AKIA1"), Sealer(KEY).is_active) == (SECRET, True)
