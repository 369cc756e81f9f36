"""TLS material: is each piece what it should be, and do key and certificate belong together.

The standard loader cannot say which of two files is bad, and asks on the terminal for the password of an encrypted key.
So each piece is read and checked by itself first. No byte of a key ever reaches a complaint.
"""

from collections.abc import Callable
from typing import Any

from busbar_fast.config.cross import Draft
from busbar_fast.config.inputs import Inputs
from busbar_fast.config.schema import Secret, Tls
from busbar_fast.config.secrets import reveal_raw

_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
_CHAIN = "a PEM chain was expected, the leaf first"
_AUTHORITIES = "a PEM bundle of one or more authorities was expected"
_ENCRYPTED = (b"-----BEGIN ENCRYPTED PRIVATE KEY-----", b"Proc-Type: 4,ENCRYPTED")


class _Unfit(Exception):
    """A piece is not what it should be; the text says what was expected."""


def check_tls(draft: Draft, tls: Tls) -> None:
    """Note everything that would keep TLS from starting."""
    leaf = _check(draft, "cert", tls.cert, _read_chain)
    key = _check(draft, "key", tls.key, _read_key)
    if tls.client_ca.kind != "none":
        _check(draft, "client_ca", tls.client_ca, _read_authorities)
    if leaf is not None and key is not None and leaf != key:
        reason = f"{tls.key.source} is not the key of the certificate in {tls.cert.source}"
        draft.error(_path(draft, "key"), reason)


def _path(draft: Draft, name: str) -> tuple[str, ...]:
    return ("tls", f"{name}_file") if draft.has("tls", f"{name}_file") else ("tls", name)


def _check(draft: Draft, name: str, secret: Secret, read: Callable[[bytes], bytes]) -> bytes | None:
    """Return the public key of a piece; None if it is unfit, which is noted."""
    if secret.kind == "none":
        return None  # missing, and noted
    path = _path(draft, name)
    try:
        found = _read_piece(secret, draft.inputs, read)
    except _Unfit as unfit:
        draft.error(path, str(unfit), secret.source)
    else:
        if name == "key" and secret.kind == "file" and draft.inputs.is_open_to_all(secret.source):
            draft.warn("W16", path, f"every user of this machine can read {secret.source}")
        return found
    return None


def why_unfit(tls: Tls, inputs: Inputs) -> str:
    """Return what is wrong with the first piece that is not what it should be, and which; nothing if all are."""
    for secret, read in ((tls.cert, _read_chain), (tls.key, _read_key), (tls.client_ca, _read_authorities)):
        try:
            if secret.kind != "none":
                _read_piece(secret, inputs, read)
        except _Unfit as unfit:
            return f"{secret.source} {unfit}"
    return ""


def _read_piece(secret: Secret, inputs: Inputs, read: Callable[[bytes], bytes]) -> bytes:
    """Return what `read` makes of a piece. Raise _Unfit."""
    try:
        raw = inputs.read(secret.source) if secret.kind == "file" else reveal_raw(secret, inputs)
    except OSError as error:
        raise _Unfit(f"cannot be read: {error.strerror or error}") from error
    if not raw:
        raise _Unfit("is empty" if secret.kind == "file" else "is not set or empty")
    return read(raw)


def _read_chain(raw: bytes) -> bytes:
    return _public(_read_certificates(raw, _CHAIN)[0].public_key)


def _read_certificates(raw: bytes, wanted: str) -> list[Any]:
    from cryptography import x509  # noqa: PLC0415  30 ms of import that a gateway without TLS does not pay

    if _CERTIFICATE not in raw:
        raise _Unfit(f"holds no certificate; {wanted}")
    try:
        return list(x509.load_pem_x509_certificates(raw))
    except ValueError as error:
        raise _Unfit(f"holds a certificate that cannot be read; {wanted}") from error


def _read_authorities(raw: bytes) -> bytes:
    from cryptography import x509  # noqa: PLC0415  as above

    for certificate in _read_certificates(raw, _AUTHORITIES):
        try:
            may_sign = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except x509.ExtensionNotFound:
            may_sign = certificate.issuer == certificate.subject
        except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
            may_sign = False
        if may_sign:
            return raw
    raise _Unfit(f"holds no certificate authority; {_AUTHORITIES}")


def _read_key(raw: bytes) -> bytes:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415  as above
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415  as above

    if any(sign in raw for sign in _ENCRYPTED):
        raise _Unfit("is encrypted; a key without a password was expected")
    try:
        key = load_pem_private_key(raw, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _Unfit("holds no key that can be read; PEM in PKCS#8, PKCS#1 or SEC1 form was expected") from None
    return _public(key.public_key)


def _public(read_key: Callable[[], Any]) -> bytes:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415  as above
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415  as above

    try:
        return bytes(read_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _Unfit("holds a kind of key that is not supported") from error
