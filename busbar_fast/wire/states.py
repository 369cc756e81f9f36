"""Every state of a connection and every step between two states.

`DownstreamPhase` is where a client connection stands, `AnswerPhase` where the answer of its current exchange stands,
`UpstreamPhase` where a connection to an upstream stands. A step is a table from phase to phase and is taken by
`self.phase = STEP[self.phase]`. What is absent from its table is impossible: taking such a step is a bug of ours and
fails loudly. This module knows neither bytes nor transports.

`IntEnum`, because a plain `Enum` hashes in Python and makes the look-up three times slower (CPython 3.11).
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import TypeVar

from busbar_fast.errors import OutOfOrder


class DownstreamPhase(IntEnum):
    """Where a client connection stands."""

    IDLE = 0  # between requests, nothing received
    HEAD = 1  # a head has begun
    EXCHANGE = 2  # a request is being answered
    DISCARDING = 3  # answered, but the request's body is still coming
    LINGERING = 4  # refused; our side is shut, input is thrown away for a moment
    CLOSING = 5  # the answer is on its way out, then the socket closes
    CLOSED = 6


class AnswerPhase(IntEnum):
    """Where the answer of an exchange stands."""

    PENDING = 0  # nothing said
    HELD = 1  # the head is written with the first body bytes
    STREAMING = 2  # the head is out
    DONE = 3
    CUT = 4  # given up: the connection is cut so that the client sees a truncation


class UpstreamPhase(IntEnum):
    """Where a connection to an upstream stands."""

    IDLE = 0
    AWAITING_HEAD = 1
    BODY = 2
    COMPLETE = 3  # the answer has been read to its end
    CLOSED = 4


P = TypeVar("P", bound=IntEnum)


class Step(dict[P, P]):
    """What happened, as a table from each phase in which it may happen to the phase it leads to."""

    __slots__ = ("name",)

    def __init__(self, name: str, table: Mapping[P, P]) -> None:
        super().__init__(table)
        self.name = name

    def __missing__(self, phase: P) -> P:
        raise OutOfOrder(phase, self.name)


_D = DownstreamPhase
BYTES_IN = Step("bytes in", {_D.IDLE: _D.HEAD})
HEAD_IN = Step("head in", {_D.IDLE: _D.EXCHANGE, _D.HEAD: _D.EXCHANGE})
ANSWERED = Step("answered", {_D.EXCHANGE: _D.IDLE})
BODY_OWED = Step("body owed", {_D.EXCHANGE: _D.DISCARDING})
BODY_DISCARDED = Step("body discarded", {_D.DISCARDING: _D.IDLE})
LINGER = Step(
    "linger",
    dict.fromkeys((_D.IDLE, _D.HEAD, _D.EXCHANGE, _D.DISCARDING), _D.LINGERING),
)
CLOSE = Step(
    "close",
    dict.fromkeys((_D.IDLE, _D.HEAD, _D.EXCHANGE, _D.DISCARDING, _D.LINGERING), _D.CLOSING),
)
CLIENT_GONE = Step(
    "client gone",
    dict.fromkeys((_D.IDLE, _D.HEAD, _D.EXCHANGE, _D.DISCARDING, _D.LINGERING, _D.CLOSING), _D.CLOSED),
)
DOWNSTREAM_STEPS = (BYTES_IN, HEAD_IN, ANSWERED, BODY_OWED, BODY_DISCARDED, LINGER, CLOSE, CLIENT_GONE)

_A = AnswerPhase
REPLY = Step("reply", {_A.PENDING: _A.DONE})
START = Step("start", {_A.PENDING: _A.HELD})
FIRST_PART = Step("first part", {_A.HELD: _A.STREAMING})
FINISH = Step("finish", {_A.HELD: _A.DONE, _A.STREAMING: _A.DONE})
CUT = Step("cut", dict.fromkeys((_A.PENDING, _A.HELD, _A.STREAMING), _A.CUT))
ANSWER_STEPS = (REPLY, START, FIRST_PART, FINISH, CUT)

_U = UpstreamPhase
BEGIN = Step("begin", {_U.IDLE: _U.AWAITING_HEAD})
ANSWER_IN = Step("answer in", {_U.AWAITING_HEAD: _U.BODY})
ANSWER_ENDED = Step("answer ended", {_U.BODY: _U.COMPLETE, _U.CLOSED: _U.CLOSED})
RELEASE = Step("release", {_U.COMPLETE: _U.IDLE})
UPSTREAM_GONE = Step("upstream gone", dict.fromkeys((_U.IDLE, _U.AWAITING_HEAD, _U.BODY, _U.COMPLETE), _U.CLOSED))
UPSTREAM_STEPS = (BEGIN, ANSWER_IN, ANSWER_ENDED, RELEASE, UPSTREAM_GONE)
