"""The taxonomy of everything that can go wrong, as facts and not as prose.

Each class states three facts that callers decide by: `side` (whose fault it is), `retry` (may the same request be
tried again elsewhere) and `status` (what an HTTP client is told when nobody knows better). Nobody compares message
text. Foreign exceptions are converted where they enter, with the cause chained. This module imports nothing of ours.
"""

from enum import IntEnum


class Side(IntEnum):
    """Whose fault a failure is."""

    DOWNSTREAM = 1
    UPSTREAM = 2
    OURS = 3


class Retry(IntEnum):
    """Whether the request that failed may be sent again."""

    NO = 0
    IF_REUSED = 1
    YES = 2


class BusbarError(Exception):
    """Root of our errors; never raised itself."""

    side = Side.OURS
    retry = Retry.NO
    status = 500


class Refused(BusbarError):
    """The HTTP layer does not trust these bytes: a short plain answer, then close."""

    side = Side.DOWNSTREAM
    status = 400

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class BodyTooLarge(BusbarError):
    """A body passed its cap; the head was fine, so the answer may be a native one."""

    side = Side.DOWNSTREAM
    status = 413


class TooDeep(BusbarError):
    """A JSON document nests deeper than we are willing to read."""

    side = Side.DOWNSTREAM
    status = 400


class NotJson(BusbarError):
    """The bytes end or break in a way no JSON document does."""

    side = Side.DOWNSTREAM
    status = 400


class NotForm(BusbarError):
    """The bytes are no form of several parts, or one that two readers might read differently."""

    side = Side.DOWNSTREAM
    status = 400


class Misshapen(BusbarError):
    """A document has another shape than its dialect gives it; `param` is the member that is wrong, `reason` why."""

    side = Side.DOWNSTREAM
    status = 400

    def __init__(self, param: str, reason: str = "") -> None:
        super().__init__(f"{param}: {reason}" if reason else param)
        self.param = param
        self.reason = reason


class FaultReported(BusbarError):
    """An upstream's answer came with the status of a success and is an error: `payload` is the error."""

    side = Side.UPSTREAM
    retry = Retry.YES
    status = 502

    def __init__(self, payload: bytes) -> None:
        super().__init__("an answer is an error")
        self.payload = payload


class Overloaded(BusbarError):
    """We have more to do than we accept at once."""

    status = 503


class OutOfTime(BusbarError):
    """The time is over that the client gave its request; nobody who was asked is to blame."""

    status = 504


class ProcessEnds(BusbarError):
    """The process ends before an exchange does: what has begun is ended as if it broke off, and nobody is to blame."""

    status = 503


class ConnectFailed(BusbarError):
    """No connection to the upstream came about; not a byte of the request was sent."""

    side = Side.UPSTREAM
    retry = Retry.YES
    status = 502


class ConnectTimeout(ConnectFailed):
    """The connection did not come about in time."""

    status = 504


class UpstreamGone(BusbarError):
    """The upstream closed or reset the connection in the middle of an exchange."""

    side = Side.UPSTREAM
    retry = Retry.IF_REUSED
    status = 502


class UpstreamTimeout(BusbarError):
    """The upstream said nothing for too long."""

    side = Side.UPSTREAM
    retry = Retry.YES
    status = 504


class UpstreamGarbled(BusbarError):
    """The upstream's bytes are not HTTP that we are willing to pass on."""

    side = Side.UPSTREAM
    retry = Retry.YES
    status = 502


class LengthBroken(BusbarError):
    """An answer did not keep to the length it announced; the connection is cut so that the client can tell."""


class OutOfOrder(BusbarError):
    """A step was taken that the state does not allow: a bug of ours."""

    def __init__(self, phase: IntEnum, step: str) -> None:
        super().__init__(f"{step!r} is not possible in phase {phase.name}")


class PolicyFailed(BusbarError):
    """A routing policy gave no answer that could be used; the pool's `on_error` says what happens instead."""

    status = 503


class ScriptError(PolicyFailed):
    """A policy script asked for what its values do not allow, or for more than it may use."""


class ScriptRefused(BusbarError):
    """A policy script is not written in the language for them."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line} of the script: {reason}")
        self.line = line
        self.reason = reason
