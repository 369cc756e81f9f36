"""What surrounds the clients: the gateway as a program, its backends as others, and what befalls them.

A backend that dies is killed, and comes back at the same port after a while.
"""

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from random import Random
from typing import IO

from tests.chaos.backends import SAYS_READY
from tests.chaos.deployments import CALM, ENVIRON, FIRST, SECOND, Ports, Variant, deployment
from tests.house.source import ROOT
from tests.system.programs import Deployment, Program

# Of what each backend does, so much goes wrong.
SHARES = (0.05, 0.4, 0.85)
_CALM_SHARE = 0.0
_CONFIGURED = "configuration reloaded"
# Below the ports that the kernel gives to outgoing connections: one of those must not take a dead backend's place.
_PORTS = range(20_000, 30_000)


class Backend:
    """One backend's port, and the program that is there at present."""

    def __init__(self, port: int, share: float, chance: Random) -> None:
        self.port = port
        self._share = share
        self._chance = chance
        self._child: subprocess.Popen[bytes] | None = None

    async def start(self, *, is_calm: bool = False) -> None:
        """Start it and wait until it serves."""
        words = [str(self.port), str(self._chance.random()), str(_CALM_SHARE if is_calm else self._share)]
        command = [sys.executable, "-m", "tests.chaos.backends", *words]
        self._child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)  # noqa: ASYNC220  it forks, no more
        said = await asyncio.to_thread(_line_of, self._child.stdout)
        assert said == SAYS_READY, f"the backend at {self.port} says {said!r}"

    def kill(self) -> None:
        """End it at once."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None


class World:
    """See the module."""

    def __init__(self, deployed: Deployment, program: Program, backends: Sequence[Backend], ports: Ports) -> None:
        self.program = program
        self.backends = backends
        self._deployed = deployed
        self._ports = ports
        self.reloads = 0
        self.deaths = 0

    async def reload(self, variant: Variant) -> None:
        """Put another deployment into force."""
        write(self._deployed, self._ports, variant)
        self.reloads += 1
        self.program.send(signal.SIGHUP)
        await self.program.says(_CONFIGURED, self.reloads)

    async def trouble(self, chance: Random, until_s: float) -> None:
        """Kill and revive backends, and change the deployment, until it is time to stop."""
        now = asyncio.get_running_loop().time
        variants = (SECOND, FIRST)
        while now() < until_s:
            await asyncio.sleep(chance.uniform(0.5, 1.5))
            if chance.random() < 0.5:
                await self.reload(variants[self.reloads % 2])
            else:
                backend = chance.choice(self.backends)
                backend.kill()
                self.deaths += 1
                await asyncio.sleep(chance.uniform(0.1, 0.8))
                await backend.start()

    async def calm_down(self) -> None:
        """Let every backend recover, and nobody be probed."""
        for backend in self.backends:
            backend.kill()
        await asyncio.gather(*(backend.start(is_calm=True) for backend in self.backends))
        await self.reload(CALM)

    @property
    def descriptors(self) -> int:
        """How many files and sockets the gateway has open."""
        return len(list(Path(f"/proc/{self.program.child.pid}/fd").iterdir()))


def write(deployed: Deployment, ports: Ports, variant: Variant) -> None:
    """Write the deployment file in one step."""
    draft = deployed.folder / "draft.yaml"
    draft.write_text(deployment(ports, variant), encoding="utf-8")
    draft.replace(deployed.config)


@contextmanager
def started(folder: Path, chance: Random) -> Iterator[World]:
    """Start the gateway; in the end it is gone, and so are the backends."""
    candidates = (port for port in chance.sample(_PORTS, len(_PORTS)) if _is_free(port))
    ports = Ports(*islice(candidates, len(Ports._fields)))
    backends = [Backend(port, share, chance) for port, share in zip(ports, SHARES, strict=False)]
    deployed = Deployment(folder)
    deployed.environ |= ENVIRON
    write(deployed, ports, FIRST)
    try:
        with deployed.start("--config", str(deployed.config)) as program:
            yield World(deployed, program, backends, ports)
    finally:
        for backend in backends:
            backend.kill()


def _is_free(port: int) -> bool:
    with socket.socket() as finder:
        finder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return finder.connect_ex(("127.0.0.1", port)) != 0


def _line_of(stream: IO[bytes] | None) -> bytes:
    assert stream is not None
    return stream.readline()
