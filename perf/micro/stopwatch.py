"""Times one call for the micro-benchmarks, and prints what it found."""

from collections.abc import Callable, Sequence
from timeit import Timer

_REPEATS = 100


def best_ns(call: Callable[[], object]) -> float:
    """Return the nanoseconds of one call in the quietest of many short rounds; a busy machine spoils any average."""
    timer = Timer(call)
    rounds, _ = timer.autorange()
    number = max(1, rounds // _REPEATS)
    return min(timer.repeat(_REPEATS, number)) / number * 1e9


def print_table(title: str, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[Callable[[], object]]]]) -> None:
    """Time every call of every row and print them, a column each, in nanoseconds per call."""
    print(f"{title:34}" + "".join(f"{column:>16}" for column in columns))
    for name, calls in rows:
        print(f"{name:34}" + "".join(f"{best_ns(call):16,.0f}" for call in calls), flush=True)
    print()
