"""How a reply is played on a connection: a list of steps that a server executes without deciding anything.

Bytes in the steps are payload; the server adds the framing that `HEAD` asks for. Faults count bytes of payload, so a
fault at 0 comes right after the head. A fault beyond the end of the payload never happens; one exactly at the end
happens before the message is finished. The server leaves the loop a turn at every `WAIT`, also at one of 0 seconds:
that is what lets the pieces of `split` leave in separate writes.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from busbar_fast.mock.reply import Reply
from busbar_fast.mock.script import Script


class Act(IntEnum):
    """What the server does."""

    WAIT = 1  # pause for `seconds`
    HEAD = 2  # send the status line and headers
    SEND = 3  # send `payload` in one write, framed as the head said
    RAW = 4  # put `payload` on the connection as it is, without a head
    CUT = 5  # close the connection now, the message unfinished
    RESET = 6  # abort the connection
    STALL = 7  # send nothing more and keep the connection open
    END = 8  # finish the message


@dataclass(frozen=True, slots=True)
class Step:
    """One step; only the fields that its act names above mean anything.

    `length_bytes` belongs to `HEAD`: the length to announce, or None for a payload without an announced length.
    `close` belongs to `HEAD` too: announce that the connection closes after this message, and close it at `END`.
    """

    act: Act
    payload: bytes = b""
    seconds: float = 0.0
    length_bytes: int | None = None
    close: bool = False


GARBAGE: Final = b"\x16\x03\x01 this is not HTTP\r\n\r\n"

_TURN: Final = Step(Act.WAIT)


def schedule(reply: Reply, script: Script) -> list[Step]:
    """Return the steps that play the reply with the faults of the script."""
    steps = _wait(script.delay_head_ms)
    if script.refuse:
        return [*steps, Step(Act.CUT)]
    if script.garbage:
        return [*steps, Step(Act.RAW, payload=GARBAGE), Step(Act.CUT)]
    length_bytes = None if reply.is_stream or script.late_length else sum(map(len, reply.frames))
    steps.append(Step(Act.HEAD, length_bytes=length_bytes, close=not script.keepalive))
    budget, ending = _find_ending(script)
    for number, frame in enumerate(reply.frames):
        if budget is not None and budget <= 0:
            break
        steps += _wait(script.delay_frame_ms if number else script.delay_first_ms)
        piece = frame if budget is None else frame[:budget]
        steps += _send(piece, script.split)
        if budget is not None:
            budget -= len(frame)
    steps.append(Step(Act.END) if budget is None or budget > 0 else Step(ending))
    return steps


def _find_ending(script: Script) -> tuple[int | None, Act]:
    """Return after how many bytes the payload breaks off, if it does, and how."""
    if script.cut_at is not None:
        return script.cut_at, Act.CUT
    if script.reset_at is not None:
        return script.reset_at, Act.RESET
    return script.stall_at, Act.STALL


def _wait(delay_ms: int) -> list[Step]:
    return [Step(Act.WAIT, seconds=delay_ms / 1000)] if delay_ms else []


def _send(frame: bytes, split: int | None) -> list[Step]:
    """Return the writes of one frame: a single one, or pieces with a turn of the loop after each."""
    if split is None:
        return [Step(Act.SEND, payload=frame)]
    steps: list[Step] = []
    for at in range(0, len(frame), split):
        steps += (Step(Act.SEND, payload=frame[at : at + split]), _TURN)
    return steps
