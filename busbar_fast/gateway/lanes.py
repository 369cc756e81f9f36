"""Pools and their lanes: where requests for a name may go, and what each lane is made of."""

from dataclasses import dataclass, field

from busbar_fast.wire.pool import Origin


@dataclass(slots=True, eq=False)
class Lane:
    """One way to an upstream. `credit` belongs to the selection, `in_flight` to whoever holds the lane."""

    name: str
    origin: Origin
    weight: int = 1
    credit: int = 0
    in_flight: int = 0
    answered: int = 0
    failed: int = 0
    head: bytes = field(init=False)

    def __post_init__(self) -> None:
        host = self.origin.key.host.encode()
        self.head = b" HTTP/1.1\r\nHost: %b:%d\r\nContent-Type: application/json\r\n" % (host, self.origin.key.port)

    def __enter__(self) -> None:
        self.in_flight += 1

    def __exit__(self, *_: object) -> None:
        self.in_flight -= 1

    def encode_request(self, method: bytes, target: bytes, body: bytes) -> bytes:
        """Return a whole request for this lane."""
        return b"".join((method, b" ", target, self.head, b"Content-Length: %d\r\n\r\n" % len(body), body))


@dataclass(frozen=True, slots=True)
class LanePool:
    """A name that clients may put where a model stands."""

    name: str
    lanes: tuple[Lane, ...]
