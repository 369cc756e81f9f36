"""Figures of a long run, taken at equal times: memory, files, requests; and whether memory has stopped growing."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from statistics import mean
from typing import NamedTuple

MOST_GROWTH = 0.02  # of memory, from the third quarter of a run to the last one
_FEWEST = 8  # samples that tell anything


class Sample(NamedTuple):
    """One moment."""

    at_s: float
    memory_mib: float
    descriptors: int
    answers: int

    def __str__(self) -> str:
        return f"{self.at_s:5.0f} s {self.memory_mib:7.1f} MiB {self.descriptors:5d} files {self.answers:8d} answers"


async def take(every_s: float, take_one: Callable[[float], Sample], kept: list[Sample], until_s: float) -> None:
    """Take samples until it is time to stop."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    while loop.time() + every_s <= until_s:
        await asyncio.sleep(every_s)
        kept.append(take_one(loop.time() - began_s))


def check_growth(samples: Sequence[Sample]) -> Iterator[str]:
    """Yield if memory still grew in the last half, its second quarter against its first."""
    if len(samples) < _FEWEST:
        return
    quarter = len(samples) // 4
    before = mean(sample.memory_mib for sample in samples[-2 * quarter : -quarter])
    after = mean(sample.memory_mib for sample in samples[-quarter:])
    if after > before * (1 + MOST_GROWTH):
        yield f"memory still grew in the last half: from {before:.1f} to {after:.1f} MiB"
