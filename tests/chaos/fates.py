"""What becomes of one request at a backend, drawn at random: the mock's script for it.

Knows no sockets. The same random source draws the same fates, so a backend can be given the same bad day again.
"""

from collections.abc import Callable
from random import Random
from typing import Any

from busbar_fast.mock.script import Script

# What vendors refuse with; those that speak of the client, of our key, of their money and of their own trouble.
STATUSES = (400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 502, 503, 529)
_TOO_LONG = "This model's maximum context length is exceeded: prompt is too long, too many tokens"
_MOST_FRAMES = 24
_SMALL_BYTES = 3000

Draw = Callable[[Random], dict[str, Any]]


def fate(chance: Random, share_of_failures: float) -> Script:
    """Return what becomes of the next request: an ordinary answer, or a failure for the given share of them."""
    knobs = _answer(chance)
    if chance.random() < share_of_failures:
        knobs |= chance.choice(_FAILURES)(chance)
    return Script(**knobs)


def _answer(chance: Random) -> dict[str, Any]:
    """Return the shape and the pace of a good answer."""
    knobs: dict[str, Any] = {"delta_chars": chance.choice((5, 16, 64))}
    kind = chance.random()
    if kind < 0.4:
        knobs |= {"deltas": chance.randint(8, _MOST_FRAMES)}
    elif kind < 0.42:
        knobs |= {"deltas": 3000, "delta_chars": 64}  # more than any buffer on the way holds
    if chance.random() < 0.3:
        knobs["delay_head_ms"] = chance.randint(1, 120)
    if chance.random() < 0.2 and knobs.get("deltas", 0) <= _MOST_FRAMES:
        knobs |= {"delay_first_ms": chance.randint(1, 80), "delay_frame_ms": chance.randint(1, 40)}
    if chance.random() < 0.2 and knobs.get("deltas", 0) <= _MOST_FRAMES:
        knobs["split"] = chance.choice((7, 100, 1000))
    if chance.random() < 0.15:
        knobs["keepalive"] = False
    if chance.random() < 0.15:
        knobs["late_length"] = True
    if chance.random() < 0.1:
        knobs |= {"usage_in": chance.randint(0, 9999), "usage_out": chance.randint(0, 9999)}
    return knobs


def _refusal(chance: Random) -> dict[str, Any]:
    knobs: dict[str, Any] = {"status": chance.choice(STATUSES)}
    if chance.random() < 0.5:
        knobs["retry_after_s"] = chance.randint(0, 3)
    return knobs


def _too_long(_chance: Random) -> dict[str, Any]:
    return {"status": 400, "error": _TOO_LONG, "error_code": "context_length_exceeded"}


def _silence(chance: Random) -> dict[str, Any]:
    """Return a pause longer than the gateway waits, before the head or inside the answer."""
    return {chance.choice(("delay_head_ms", "delay_first_ms")): chance.randint(600, 4000)}


def _break(chance: Random) -> dict[str, Any]:
    """Return an end in the middle."""
    return {chance.choice(("cut_at", "reset_at", "stall_at")): chance.randint(0, _SMALL_BYTES)}


def _error_inside(chance: Random) -> dict[str, Any]:
    return {"fail_after": chance.randint(0, 9), "status": chance.choice((429, 500, 503, 529))}


def _hanging_up(_chance: Random) -> dict[str, Any]:
    return {"refuse": True}


def _garbage(_chance: Random) -> dict[str, Any]:
    return {"garbage": True}


_FAILURES: tuple[Draw, ...] = (
    _refusal,
    _refusal,
    _refusal,
    _too_long,
    _silence,
    _break,
    _break,
    _error_inside,
    _hanging_up,
    _garbage,
)
