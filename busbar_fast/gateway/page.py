"""The status page for people: a file of the package, the same for everybody, read when somebody first asks for it.

It holds no number and no name. Its script asks `/stats` and `/metrics` as any client does, with a token that a person
types in; the browser is told to run and load nothing else.
"""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path

_FILE = Path(__file__).resolve().parent.parent / "page" / "status.html"
_FIELDS = (
    b"Content-Type: text/html; charset=utf-8\r\n"
    b"Cache-Control: no-store\r\n"
    b"X-Content-Type-Options: nosniff\r\n"
    b"Referrer-Policy: no-referrer\r\n"
    b"Cross-Origin-Opener-Policy: same-origin\r\n"
    b"Content-Security-Policy: %b\r\n"
)
_find_inline = re.compile(rb"<(script|style)>(.*?)</\1>", re.DOTALL).findall


@cache
def read_page() -> tuple[bytes, bytes]:
    """Return header lines and body."""
    raw = _FILE.read_bytes()
    return _FIELDS % _policy(raw), raw


def _policy(raw: bytes) -> bytes:
    """Return what the page may do: run its own script, look its own way, ask the server it came from."""
    hashes: dict[bytes, list[bytes]] = {b"script": [], b"style": []}
    for kind, text in _find_inline(raw):
        hashes[kind].append(b"'sha256-%b'" % base64.b64encode(hashlib.sha256(text).digest()))
    rules = (
        b"default-src 'none'",
        b"script-src " + b" ".join(hashes[b"script"]),
        b"style-src " + b" ".join(hashes[b"style"]),
        b"connect-src 'self'",
        b"img-src data:",
        b"base-uri 'none'",
        b"form-action 'none'",
        b"frame-ancestors 'none'",
    )
    return b"; ".join(rules)
