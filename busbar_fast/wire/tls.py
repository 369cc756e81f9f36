"""TLS contexts for both sides: certificates of upstreams are always verified, clients meet TLS 1.2 and 1.3 only.

Importing this costs 20 ms, which a gateway without TLS does not pay: whoever needs a context imports it then.
"""

import os
import ssl
import tempfile
from typing import NoReturn

_ALPN = ["http/1.1"]
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2; those of 1.3 are all of this kind


def new_client_context(ca_file: str | None = None) -> ssl.SSLContext:
    """Return a context that verifies certificates and host names; `ca_file` replaces the system's trust store."""
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(_ALPN)
    return context


def new_server_context(chain: bytes, key: bytes, authorities: bytes = b"") -> ssl.SSLContext:
    """Return a context of PEM material; with authorities every client must show a certificate of one of them.

    Raise ssl.SSLError when the material does not fit together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(_ALPN)
    # OpenSSL takes a chain and its key from files only.
    with tempfile.NamedTemporaryFile() as both:
        os.fchmod(both.fileno(), 0o600)
        both.write(key + b"\n" + chain)
        both.flush()
        context.load_cert_chain(both.name, password=_refuse_password)
    if authorities:
        context.load_verify_locations(cadata=authorities.decode("ascii", "replace"))
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _refuse_password() -> NoReturn:
    """Keep OpenSSL from asking on the terminal."""
    raise ValueError("the key is encrypted")
