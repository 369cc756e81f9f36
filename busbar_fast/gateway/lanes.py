"""Lanes, and the pools that clients ask for as if they were models.

A lane is made of the configuration and replaced with it; what it has lived through is its `Life`, which the lane that
takes its place after a reload goes on with.
"""

from busbar_fast.wire.gate import Gate
from busbar_fast.wire.json_scan import encode_string
from busbar_fast.wire.pool import Origin

PATIENCE_S = 120.0  # how long a request waits for a lane that is full


class Life:
    """What a lane has lived through; outlives a reload."""

    __slots__ = ("answered", "failed", "gate")

    def __init__(self, max_concurrent: int | None = None) -> None:
        self.answered = 0
        self.failed = 0
        self.gate = Gate(max_concurrent or 0, PATIENCE_S)


class Lane:
    """One way to an upstream: where it is, how it is addressed, and what became of it so far."""

    __slots__ = ("_fields", "_path", "life", "name", "origin", "raw_model")

    def __init__(
        self, name: str, origin: Origin, path: bytes, fields: bytes, life: Life | None = None, model: str | None = None
    ) -> None:
        self.name = name
        self.origin = origin
        self.life = life or Life()
        self.raw_model = None if model is None else encode_string(model)  # None: the body's own is left alone
        self._path = path
        self._fields = b" HTTP/1.1\r\n%bContent-Length: " % fields

    def __repr__(self) -> str:
        return f"<Lane {self.name} in_flight={self.in_flight} answered={self.life.answered} failed={self.life.failed}>"

    @property
    def in_flight(self) -> int:
        """How many requests are on this lane."""
        return self.life.gate.inside

    def encode_request(self, method: bytes, body: bytes) -> bytes:
        """Return a whole request for this lane."""
        return b"".join((method, b" ", self._path, self._fields, b"%d\r\n\r\n" % len(body), body))


class Member:
    """A lane's place in a pool. `credit` belongs to the selection."""

    __slots__ = ("credit", "lane", "weight")

    def __init__(self, lane: Lane, weight: int = 1) -> None:
        self.lane = lane
        self.weight = weight
        self.credit = 0


class LanePool:
    """A name that clients may put where a model stands, and who serves it."""

    __slots__ = ("members", "name")

    def __init__(self, name: str, members: tuple[Member, ...]) -> None:
        self.name = name
        self.members = members
