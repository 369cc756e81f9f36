"""Who may call: finds the caller's token among the headers and compares it in a time that tells nothing.

Every token of the list is compared with every request, as digests of equal length, and the answers are combined without
an early end. Why a caller was refused is never told to anybody but the log at level debug.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from busbar_fast.wire.heads import Fields
from busbar_fast.wire.repeated import sole_value

if TYPE_CHECKING:
    from busbar_fast.gateway.governor import Governor  # brings SQLite
    from busbar_fast.governance.keys import Key

_PRINTABLE: Final = re.compile(rb"[\x20-\x7e]+")
_CARRIERS: Final[tuple[bytes, ...]] = (b"x-api-key", b"x-goog-api-key")
_BEARER: Final = b"bearer"


class Admission:
    """The rule of one configuration."""

    __slots__ = ("_admin_digest", "_digests", "_metrics_digest", "governor", "mode")

    def __init__(
        self,
        mode: str,
        tokens: Iterable[str] = (),
        metrics_token: str = "",
        governor: "Governor | None" = None,
        admin_token: str = "",
    ) -> None:
        self.mode = mode
        self.governor = governor
        self._admin_digest = _digest(admin_token) if admin_token else b""
        self._digests = [_digest(token) for token in tokens if token]
        self._metrics_digest = _digest(metrics_token) if metrics_token else b""

    @property
    def passes_on(self) -> bool:
        """Whether the caller's own credential goes to the provider."""
        return self.mode == "passthrough"

    @property
    def epoch(self) -> int:
        """Grows whenever the answers of this object may change."""
        return 0 if self.governor is None else self.governor.ring.epoch

    def find_key(self, token: bytes) -> "Key | None":
        """Return the virtual key that a token is the secret of, where there are any."""
        return None if self.governor is None else self.governor.find(token)

    def admits_admin(self, fields: Fields) -> bool:
        """Say whether a caller may manage keys; every carrier is compared, whatever the others say."""
        scheme, _, bearer = sole_value(fields, b"authorization").partition(b" ")
        shown = [bearer if scheme.lower() == _BEARER else b"", sole_value(fields, b"x-admin-token")]
        is_known = False
        for token in shown:
            is_same = hmac.compare_digest(hashlib.sha256(token).digest(), self._admin_digest or bytes(32))
            is_known |= is_same and bool(token)
        return is_known and bool(self._admin_digest)

    def admits(self, token: bytes) -> bool:
        """Say whether a caller with this token, which may be empty, is let in."""
        if self.governor is not None:
            return self.governor.find(token) is not None
        if self.mode != "token":
            return True
        digest = hashlib.sha256(token).digest()
        is_known = False
        for known in self._digests:
            is_known |= hmac.compare_digest(digest, known)
        return is_known and bool(token)

    def admits_scraper(self, token: bytes) -> bool:
        """Say whether a caller with this token may read the metrics, which show what every client does.

        Where they have a token of their own, it is the only one beside that of the operator, whatever the mode.
        """
        if not self._metrics_digest:
            return self.admits(token)
        digest = hashlib.sha256(token).digest()
        is_known = hmac.compare_digest(digest, self._metrics_digest)
        if self._admin_digest:
            is_known |= hmac.compare_digest(digest, self._admin_digest)
        return is_known


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def caller_token(fields: Fields, query: bytes = b"") -> bytes:
    """Return the token a caller sent, empty if there is none: the first usable carrier counts, right or wrong.

    A carrier that says two different things says nothing: no guess, and no other reading of whoever stands before us.
    `query` is given only where the vendor lets a key stand in the query.
    """
    scheme, _, token = sole_value(fields, b"authorization").partition(b" ")
    if scheme.lower() == _BEARER and _PRINTABLE.fullmatch(token):
        return token
    for carrier in _CARRIERS:
        token = sole_value(fields, carrier)
        if _PRINTABLE.fullmatch(token):
            return token
    return _token_in(query) if query else b""


def _token_in(query: bytes) -> bytes:
    """Return the token of a query, empty if there is none or there are several."""
    from urllib.parse import unquote_to_bytes  # noqa: PLC0415  few callers show a key there

    pairs = [pair.partition(b"=") for pair in query.split(b"&")]
    tokens = {unquote_to_bytes(value) for name, _, value in pairs if name == b"key"}
    token = tokens.pop() if len(tokens) == 1 else b""
    return token if _PRINTABLE.fullmatch(token) else b""
