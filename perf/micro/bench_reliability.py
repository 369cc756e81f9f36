"""What choosing a lane and praising it costs a healthy request: `python -m perf.micro.bench_reliability`."""

from functools import partial
from random import random
from typing import TYPE_CHECKING

from busbar_fast.reliability.affinity import sticky_index
from busbar_fast.reliability.attempts import Attempts
from busbar_fast.reliability.breaker import BreakerSettings, Cell
from busbar_fast.reliability.lanes import LaneState
from busbar_fast.reliability.pools import Pool, PoolMember
from busbar_fast.reliability.selection import select
from perf.micro.stopwatch import print_table

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = (1, 5, 20)
SESSION = b"0b0e3c52-7a8f-4b0e-9a53-2f1f6a2d8c11"


def new_pool(size: int, *, max_concurrent: int | None = None) -> Pool:
    """Return a pool of that many healthy lanes."""
    settings = BreakerSettings()
    lanes = [LaneState(f"m{number}", "p", random, settings) for number in range(size)]
    for lane in lanes:
        lane.limit(max_concurrent)
    return Pool("pool", [PoolMember(lane, lane.cell("pool", settings), 1 + lanes.index(lane) % 3) for lane in lanes])


def request(pool: Pool) -> None:
    """Choose a lane, succeed there, and give everything back."""
    attempt = Attempts(pool, 1000.0).maybe_attempt(1000.0)
    assert attempt is not None
    with attempt:
        attempt.commit(1000.2, 200.0)


def hop(pool: Pool) -> None:
    """Leave one lane without a verdict and succeed on another."""
    attempts = Attempts(pool, 1000.0)
    for is_last in (False, True):
        attempt = attempts.maybe_attempt(1000.0)
        assert attempt is not None
        with attempt:
            if is_last:
                attempt.commit(1000.2, 200.0)


def failures(cell: Cell) -> None:
    """Fail and succeed, as a lane in trouble does."""
    cell.fail(1000.0)
    cell.succeed(1000.0)


def main() -> None:
    """Print the tables."""
    pools = [new_pool(size) for size in SIZES]
    columns = [f"{size} members" for size in SIZES]
    several = pools[1:]
    rows: list[tuple[str, list[Callable[[], object]]]] = [
        ("select", [partial(select, pool, 1000.0) for pool in pools]),
        ("request: select to close", [partial(request, pool) for pool in pools]),
        ("same, with permits", [partial(request, new_pool(size, max_concurrent=8)) for size in SIZES]),
    ]
    print_table("ns per call", columns, rows)
    print_table("ns per call", columns[1:], [("one hop, then success", [partial(hop, pool) for pool in several])])
    cell = Cell(BreakerSettings(threshold=1.0), random)
    single: list[tuple[str, list[Callable[[], object]]]] = [
        ("cell: a failure and a success", [partial(failures, cell)]),
        ("sticky member of a session", [partial(sticky_index, SESSION, 5)]),
    ]
    print_table("ns per call", ("",), single)


if __name__ == "__main__":
    main()
