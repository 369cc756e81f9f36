"""Everything fails in every way at random, under load, and the gateway has to give each client an answer.

The gateway is the real program. Behind it stand backends that refuse, stall, break off, lie and die; before it clients
of all six dialects, some of which vanish. In the end nothing may be held, lost or leaked. Prints its counts.
With `--sample` it prints figures all the while, and memory must have stopped growing in the last half: a soak.
usage: python -m tests.chaos [--seconds N] [--clients N] [--seed N] [--sample N]
Exit code 0: no violation. 1: at least one. 2: the run did not take place.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from random import Random

from tests.chaos import audits
from tests.chaos.clients import Client, Ledger
from tests.chaos.samples import Sample, check_growth, take
from tests.chaos.worlds import World, started

_WARM_UP_SHARE = 0.3
_COUNTED = ("upstream_attempts", "upstream_failures", "failovers", "breaker_trips", "admission_denied")
_KEPT_LOG = Path(tempfile.gettempdir()) / "busbar-chaos.log"


class Run:
    """One run."""

    def __init__(self, world: World, asked: argparse.Namespace) -> None:
        self.world = world
        self.ledger = Ledger()
        self._asked = asked
        self._chance = Random(asked.seed)
        self._samples: list[Sample] = []

    async def all(self) -> None:
        """Warm up, go on, calm down, and look at what is left."""
        world, ledger, seconds = self.world, self.ledger, self._asked.seconds
        await world.program.is_up()
        await asyncio.gather(*(backend.start() for backend in world.backends))
        descriptors = world.descriptors
        await self._load(seconds * _WARM_UP_SHARE)
        await self._find(audits.become_quiet(world))
        before_mib = audits.resident_mib(world)
        await self._load(seconds * (1 - _WARM_UP_SHARE), self._asked.sample)
        self._blame(*check_growth(self._samples))
        await world.calm_down()
        await self._find(audits.become_quiet(world))
        self._blame(*audits.check_lanes(await audits.lanes(world)))
        await self._find(audits.check_recovery(world, ledger))
        await self._find(audits.become_quiet(world))
        found = await audits.metrics(world)
        self._blame(*audits.check_lanes(await audits.lanes(world)))
        self._blame(*audits.check_counters(found, ledger, world))
        await self._find(audits.check_descriptors(world, descriptors))
        after_mib = audits.resident_mib(world)
        self._blame(*audits.check_memory(before_mib, after_mib))
        _say(f"memory: {before_mib:.1f} MiB after warming up, {after_mib:.1f} MiB in the end")
        for name in _COUNTED:
            _say(f"{name}: {found.total(f'busbar_{name}_total')}")
        await self._find(audits.check_leaving(world, ledger))
        self._blame(*audits.check_log(world.program.log))

    async def _load(self, seconds: float, sample_s: float = 0.0) -> None:
        """Let all clients work for a while, and look at the gateway every so many seconds."""
        until_s = asyncio.get_running_loop().time() + seconds
        world, ledger = self.world, self.ledger
        chances = [Random(self._chance.random()) for _ in range(self._asked.clients)]
        async with asyncio.TaskGroup() as group:
            group.create_task(world.trouble(self._chance, until_s))
            if sample_s:
                group.create_task(take(sample_s, self._take_sample, self._samples, until_s))
            for chance in chances:
                group.create_task(Client(world.program.port, ledger, chance).run(until_s))

    def _take_sample(self, at_s: float) -> Sample:
        world = self.world
        sample = Sample(at_s, audits.resident_mib(world), world.descriptors, self.ledger.counts["answers due"])
        _say(str(sample))
        return sample

    async def _find(self, complaints: AsyncIterator[str]) -> None:
        async for text in complaints:
            self._blame(text)

    def _blame(self, *texts: str) -> None:
        for text in texts:
            self.ledger.blame(text)

    def report(self) -> None:
        """Print what happened."""
        ledger = self.ledger
        _say(f"requests: {ledger.counts['answers due']} answers due, at most {ledger.peak} at once")
        for name, count in sorted(ledger.counts.items()):
            _say(f"  {name}: {count}")
        _say("statuses: " + ", ".join(f"{status}: {count}" for status, count in sorted(ledger.statuses.items())))
        _say(f"reloads: {self.world.reloads}, deaths of backends: {self.world.deaths}")
        for text in ledger.violations:
            _say(f"VIOLATION {text}")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=100.0, help="how long clients work (%(default)s)")
    parser.add_argument("--clients", type=int, default=250, help="how many at once (%(default)s)")
    parser.add_argument("--sample", type=float, default=0.0, help="print figures every so many seconds, and judge them")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000, help="to draw the same again")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """Run, report, judge."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leave through the contexts that stop the programs
    asked = _parse(argv)
    _say(f"chaos: {asked.seconds:g} s, {asked.clients} clients, --seed {asked.seed}")
    with tempfile.TemporaryDirectory(prefix="busbar-chaos-") as scratch:
        folder = Path(scratch)
        with started(folder, Random(asked.seed)) as world:
            run = Run(world, asked)
            asyncio.run(run.all())
            run.report()
            if run.ledger.counts["violations"]:
                _KEPT_LOG.write_text(world.program.log, encoding="utf-8")
                _say(f"the log of the gateway: {_KEPT_LOG}")
    return 1 if run.ledger.counts["violations"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
