"""What all client connections of a process share: the responder, the limits, the wheel, and plain counters.

It owns no socket. The listener fills `on_connection_closed`; the responder is called once per request and must answer.
"""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from busbar_fast.clock import DateLine, now
from busbar_fast.wire.exchange import Exchange
from busbar_fast.wire.heads import HeadWriter
from busbar_fast.wire.limits import Limits
from busbar_fast.wire.parsers import HeadParser, choose_parser
from busbar_fast.wire.strand import Routine
from busbar_fast.wire.wheel import CallLater, Wheel

if TYPE_CHECKING:
    from busbar_fast.wire.downstream import Downstream

Responder = Callable[[Exchange], Routine]


class Service:
    """Process-lifetime state of the server side."""

    __slots__ = (
        "connections",
        "respond",
        "heads",
        "in_flight",
        "is_cutting",
        "is_leaving",
        "jitter",
        "limits",
        "on_connection_closed",
        "parser",
        "refusals",
        "requests",
        "wheel",
    )

    def __init__(self, respond: Responder, limits: Limits, wheel: Wheel, parser: HeadParser | None = None) -> None:
        self.respond = respond
        self.limits = limits
        self.wheel = wheel
        self.parser = parser or choose_parser()
        self.heads = HeadWriter(DateLine())
        self.jitter: Callable[[], float] = random.random  # spreads connection ages; nothing secret hangs on it
        self.on_connection_closed: Callable[[Downstream], None] = lambda _connection: None

        self.connections: set[Downstream] = set()
        self.is_leaving = False  # every answer says `Connection: close`
        self.is_cutting = False  # what is not over by now ends here, and not by its client's doing
        self.in_flight = 0
        self.requests = 0
        self.refusals: dict[int, int] = {}  # by status: what was no request that anybody serves

    def count_refusal(self, status: int) -> None:
        """Count one."""
        self.refusals[status] = self.refusals.get(status, 0) + 1


def new_wheel(call_later: CallLater) -> Wheel:
    """Return the wheel of a process on its loop's clock seam."""
    return Wheel(call_later, now)
