"""A request on its way to a lane of another dialect: what every kind of it has in common.

A crossing belongs to one attempt: it is made from what the client wrote, never from what was written for another lane.
What was read of the request is kept with the request. What is lost on the way is counted, logged and, where the pool
wants it, told or refused.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from busbar_fast.dialects.dialect import StreamFault, Usage
from busbar_fast.dialects.faults import Fault, Kind
from busbar_fast.errors import BusbarError, Misshapen, NotJson, Side, TooDeep
from busbar_fast.gateway.answers import Source
from busbar_fast.gateway.lanes import Lane
from busbar_fast.gateway.offers import Tolerance
from busbar_fast.gateway.requests import Request
from busbar_fast.ir.report import WORDS, Action, Entry, Report
from busbar_fast.wire.heads import ResponseHead

_LOSSES: Final = (Action.DROPPED, Action.CLAMPED, Action.TRUNCATED)
_LONGEST_VALUE: Final = 1000  # the whole line stays below 1 KiB

_Neutral = TypeVar("_Neutral")


class Refused(BusbarError):
    """A request that cannot be translated for this lane: `fault` is what its client is told."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.side = Side.DOWNSTREAM
        self.status = 400
        self.fault = fault


class Crossed(Protocol):
    """An answer on its way back; the same to `dispatch` as an `Answer`."""

    fault: StreamFault | None  # that the lane reported after the answer had begun
    has_stopped: bool  # without saying that it is complete
    stopped_by: str  # what the abort is counted as

    @property
    def keepalive_s(self) -> float:
        """After how long a silence the client's vendor would show a sign of life."""

    @property
    def is_between(self) -> bool:
        """Whether the client has whole events only."""

    async def give(self) -> None:
        """Give the client the answer. Raise what the lane did wrong while another one may still be asked."""


class _Read(NamedTuple):
    """A request as it was understood, and what of it was not."""

    neutral: Any
    entries: list[Entry]


class Crossing(ABC, Generic[_Neutral]):
    """See the module. `body` is the request as the lane gets it. Raise Refused if there is none."""

    __slots__ = ("_names", "_report", "body", "lane", "neutral", "request", "tolerance")

    def __init__(self, request: Request, lane: Lane, tolerance: Tolerance) -> None:
        self.request = request
        self.lane = lane
        self.tolerance = tolerance
        self._report = Report()
        self._names = request.status.name_of(request.dialect), request.status.name_of(lane.dialect)
        if self.is_foreign:
            request.status.count_translation(*self._names)
        try:
            self.neutral = self._read()
            self.body = self._write_request()
        except Misshapen as error:
            raise Refused(Fault(Kind.MALFORMED, str(error), param=error.param or None)) from error
        except NotJson as error:
            raise Refused(Fault(Kind.MALFORMED)) from error
        except TooDeep as error:
            raise Refused(Fault(Kind.MALFORMED, "The request body is nested too deeply.")) from error
        loud = {entry.field for entry in self._report.entries if entry.action in _LOSSES}
        if tolerance.on_lossy != "reject":
            loud.intersection_update(tolerance.reject_on)
        if loud:
            raise Refused(Fault(Kind.MALFORMED, f"This model does not support: {', '.join(sorted(loud))}."))
        request.status.count_losses(*self._names, self._report, is_logged=tolerance.on_lossy != "allow")

    @property
    def is_foreign(self) -> bool:
        """Whether the lane speaks another dialect than the client; else only the request had to be written anew."""
        return self.lane.dialect is not self.request.dialect

    @property
    def model(self) -> str:
        """What the lane calls its model."""
        return self.lane.traits.model or self.request.name

    @property
    def losses_line(self) -> bytes:
        """The header line that tells a client what was lost of its request, where the pool tells it."""
        if not self.tolerance.shows_losses:
            return b""
        source, target = self._names
        value = f"from={source};to={target}"
        for action in Action:
            fields = {entry.field: None for entry in self._report.entries if entry.action is action}
            for number, field in enumerate(fields):
                more = f",{field}" if number else f";{WORDS[action]}={field}"
                value += more if len(value) + len(more) <= _LONGEST_VALUE else ""
        return b"x-busbar-translation: %b\r\n" % value.encode()

    def count_losses(self, report: Report) -> None:
        """Count what was lost of the answer."""
        source, target = self._names
        self.request.status.count_losses(target, source, report, is_logged=self.tolerance.on_lossy != "allow")

    @abstractmethod
    def new_answer(
        self,
        source: Source,
        head: ResponseHead,
        *,
        begin_well: Callable[[], None],
        count: Callable[[Usage], None],
    ) -> Crossed:
        """Return the lane's answer as the client gets it."""

    @abstractmethod
    def _read_request(self, report: Report) -> _Neutral:
        """Read what the client wrote."""

    @abstractmethod
    def _write_request(self) -> bytes:
        """Write it for the lane."""

    def _read(self) -> _Neutral:
        """Read what the client wrote, once for all lanes."""
        read = self.request.read
        if not isinstance(read, _Read):
            report = Report()
            read = self.request.read = _Read(self._read_request(report), report.entries)
        self._report.entries.extend(read.entries)
        neutral: _Neutral = read.neutral  # one request has one kind of reader
        return neutral
