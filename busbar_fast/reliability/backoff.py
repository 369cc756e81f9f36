"""How long a cell rests after a failure: doubled with each failure in a row, capped, and never the same twice.

The draw spreads lanes that failed together, so that they are not tried again together, and does so at the cap too.
Chance comes in as a number from 0 up to 1.
"""

_LEAST_S = 1.0
_SPREAD = 0.10
_MOST_DOUBLINGS = 64  # beyond every cap, and small enough for a float


def cooldown_s(base_s: float, longest_s: float, streak: int, chance: float) -> float:
    """Return the rest after the failure that makes the streak this long."""
    centre_s = min(base_s * 2.0 ** min(streak, _MOST_DOUBLINGS), longest_s)
    spread_s = max(centre_s * _SPREAD, _LEAST_S)
    lowest_s = max(centre_s / 2, _LEAST_S)
    from_s = min(centre_s, longest_s - spread_s) - spread_s
    return min(max(from_s + 2 * spread_s * chance, lowest_s), longest_s)


def honoured_s(retry_after_s: float, longest_s: float) -> float:
    """Return how much of an upstream's Retry-After is waited for."""
    return min(max(retry_after_s, 0.0), longest_s)
