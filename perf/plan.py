"""How much to measure: three plans, each bounded in rounds, counts and seconds."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Plan:
    """Rounds and sizes of every row."""

    name: str
    rounds: int
    rungs: tuple[int, ...]
    rung_s: int  # wrk counts in whole seconds
    burst_streams: int
    paced: tuple[tuple[int, int, int], ...]  # (connections, pace in ms, streams)
    payload_rounds: int
    crowd_rounds: int
    crowd: int  # streams at once
    latency_count: int
    first_token_count: int
    idle_connections: int
    slow_bytes: int
    slow_rate_mib: float
    starts: int


_MIB: Final = 1024 * 1024

QUICK: Final = Plan(
    name="quick",
    rounds=3,
    rungs=(1, 8),
    rung_s=1,
    burst_streams=600,
    paced=((8, 1, 80),),
    payload_rounds=1,
    crowd_rounds=1,
    crowd=1000,
    latency_count=2000,
    first_token_count=200,
    idle_connections=1000,
    slow_bytes=200 * _MIB,
    slow_rate_mib=150.0,
    starts=5,
)
DEFAULT: Final = Plan(
    name="default",
    rounds=5,
    rungs=(1, 8, 64, 256),
    rung_s=1,
    burst_streams=1500,
    paced=((8, 1, 120), (64, 5, 320)),
    payload_rounds=3,
    crowd_rounds=1,
    crowd=1000,
    latency_count=4000,
    first_token_count=600,
    idle_connections=1000,
    slow_bytes=200 * _MIB,
    slow_rate_mib=60.0,
    starts=9,
)
FULL: Final = Plan(
    name="full",
    rounds=9,
    rungs=(1, 8, 64, 256, 1024),
    rung_s=3,
    burst_streams=4000,
    paced=((8, 1, 320), (64, 5, 800)),
    payload_rounds=7,
    crowd_rounds=3,
    crowd=1000,
    latency_count=10_000,
    first_token_count=2000,
    idle_connections=1000,
    slow_bytes=200 * _MIB,
    slow_rate_mib=20.0,
    starts=21,
)
