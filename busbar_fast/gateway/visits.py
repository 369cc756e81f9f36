"""What the head of a request tells before any byte of its body: what is asked for, in which dialect, and by whom.

A client on a keep-alive connection repeats its head, so a visit is kept with it. It belongs to one topology and one
epoch of the keys: after a reload, which may have changed the tokens as well, or a change of any key the head is read
again.
"""

import re
from collections.abc import Sequence
from typing import Final

from busbar_fast.dialects.asks import Ask
from busbar_fast.dialects.dialect import Dialect
from busbar_fast.gateway.admission import Admission, caller_token
from busbar_fast.gateway.status import METRICS
from busbar_fast.gateway.topology import Topology
from busbar_fast.wire.heads import Fields, RequestHead
from busbar_fast.wire.repeated import sole_value

_ADMIN: Final = b"/admin"
_is_seconds: Final = re.compile(rb"[0-9]{1,9}(?:\.[0-9]{1,9})?").fullmatch


class Visit:
    """See the module."""

    __slots__ = (
        "ask",
        "dialect",
        "epoch",
        "governor",
        "is_admitted",
        "is_call",
        "key",
        "path",
        "time_limit_s",
        "token",
        "topology",
    )

    def __init__(
        self, head: RequestHead, topology: Topology, admission: Admission, dialects: Sequence[Dialect]
    ) -> None:
        path, _, query = head.target.partition(b"?")
        self.topology = topology
        self.path = path
        self.ask = find_ask(path, query, head, dialects)
        self.dialect = dialects[0] if self.ask is None else self.ask.dialect  # the first speaks for unclaimed paths
        self.token = caller_token(head.fields, query if self.dialect.has_key_in_query else b"")
        admits = admission.admits_scraper if path == METRICS else admission.admits
        self.epoch = admission.epoch
        self.governor = admission.governor
        self.key = admission.find_key(self.token)
        self.is_admitted = admits(self.token) and not is_admin(path)
        if self.governor is not None and not self.is_admitted and _is_signed(self.ask, head):
            self.is_admitted = True  # unless the signature turns out not to fit what comes behind this head
        self.time_limit_s = read_time_limit(self.dialect, head.fields)
        # Whether it goes to a lane: what most requests do is decided once for all that share this head.
        self.is_call = self.is_admitted and self.ask is not None and self.ask.is_call and head.method == b"POST"
        self.is_call = self.is_call and self.time_limit_s is not None


def _is_signed(ask: Ask | None, head: RequestHead) -> bool:
    """Say whether a caller signs a request in place of showing a secret, where its vendor does that."""
    if ask is None or not ask.is_call or not ask.dialect.aws_service or head.method != b"POST":
        return False
    from busbar_fast.aws.verify import is_signed  # noqa: PLC0415  there since the governor is

    return is_signed(sole_value(head.fields, b"authorization"))


def read_time_limit(dialect: Dialect, fields: Fields) -> float | None:
    """Return how many seconds a client gives its request, 0 if it does not say; None for what is no number of them."""
    name = dialect.time_limit_field
    if not name or not fields.get(name):
        return 0.0
    value = sole_value(fields, name)
    return float(value) or None if _is_seconds(value) else None


def is_admin(path: bytes) -> bool:
    """Say whether a path belongs to the management API, which lets nobody in who comes by this way."""
    return path == _ADMIN or path.startswith(_ADMIN + b"/")


def find_ask(path: bytes, query: bytes, head: RequestHead, dialects: Sequence[Dialect]) -> Ask | None:
    """Return what a dialect makes of the path; the one for everything else is asked last."""
    if is_admin(path):
        return None
    for dialect in (*dialects[1:], dialects[0]):
        ask = dialect.claim(path, query, head.fields)
        if ask is not None:
            return ask
    return None
