"""What a configured AWS credential is: a pair of access keys that sign, or an API key that is sent as it stands.

Only the text is read here; where it comes from is its caller's business, and so is the name of that place in a message
of ours. Neither a `repr` nor an error ever shows a value.
"""

import re
from dataclasses import dataclass, field

from busbar_fast.errors import BusbarError

_find_unsendable = re.compile(r"[^\x20-\x7e]").search


class BadCredential(BusbarError):
    """A credential that no request could be sent with; the text says why and never holds any of it."""


@dataclass(frozen=True, slots=True)
class AccessKeys:
    """A pair that signs requests; `token` is empty unless the pair is temporary."""

    access_key: bytes = field(repr=False)
    secret: bytes = field(repr=False)
    token: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key that is sent as `Authorization: Bearer`, without any signature."""

    key: bytes = field(repr=False)


def parse_credential(text: str) -> AccessKeys | ApiKey:
    """Return what `ACCESS:SECRET`, `ACCESS:SECRET:SESSION` or a text without a colon stands for.

    Whatever follows the second colon is the session token, further colons included; an empty one is none.
    """
    text = text.strip()
    if not text:
        raise BadCredential("it is empty")
    if _find_unsendable(text):
        raise BadCredential("it holds a character that no header may carry")
    access_key, colon, rest = text.encode().partition(b":")
    if not colon:
        return ApiKey(access_key)
    secret, _, token = rest.partition(b":")
    if not access_key:
        raise BadCredential("nothing stands before the first colon, where the access key id belongs")
    if not secret:
        raise BadCredential("nothing stands behind the first colon, where the secret access key belongs")
    return AccessKeys(access_key, secret, token)
