"""Two gateways behind HAProxy that knows connections only: rolling restarts under load, and one that is killed."""

import asyncio
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from busbar_fast.mock.script import Script
from busbar_fast.mock.server import MockBackend
from tests.house.source import ROOT
from tests.system.gateways import closed_port
from tests.system.programs import Deployment, Program, chat
from tests.system.rawclient import Answer, RawClient
from tests.system.serving import Serve, until

CONFIG = """
listen: 127.0.0.1:<listen>
auth: {mode: none}
shutdown: {readiness_delay_secs: 1}
providers:
  up: {protocol: openai, base_url: "http://127.0.0.1:<port>", api_key: none}
models:
  m: {provider: up}
"""
CLIENTS = 16
ASK = chat(b'{"model":"m","messages":[{"role":"user","content":"hi"}]}')
HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")


class Load:
    """Clients that ask one thing after the other, each on a connection that it keeps as long as it may."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answers = 0
        self.failures: list[str] = []
        self.is_over = False

    async def run(self) -> None:
        """Ask until it is over."""
        await asyncio.gather(*(self._ask_on() for _ in range(CLIENTS)))

    async def _ask_on(self) -> None:
        client: RawClient | None = None
        while not self.is_over:
            client = client or RawClient(self.port)
            answer = await self._ask(client)
            if answer is None or answer.closes:
                client.close()
                client = None
            await asyncio.sleep(0.001)
        if client is not None:
            client.close()

    async def _ask(self, client: RawClient) -> Answer | None:
        try:
            client.send(ASK)
            answer = await client.read_answer()
        except (AssertionError, OSError, TimeoutError) as error:
            self.failures.append(f"{type(error).__name__}: {error}")
            return None
        if answer.status == 200:
            self.answers += 1
        else:
            self.failures.append(f"{answer.status}: {answer.body!r}")
        return answer


@contextmanager
def balancing(folder: Path, *ports: int) -> Iterator[int]:
    """Run HAProxy as it is shipped, before gateways at these ports, looking ten times as often; return its port."""
    assert HAPROXY, "haproxy is missing: apt-get install --yes haproxy"
    port = closed_port()
    text = (ROOT / "docker/haproxy.cfg").read_text(encoding="utf-8")
    for old, new in (
        ("bind :8080", f"bind 127.0.0.1:{port}"),
        ("inter 1s", "inter 100ms"),
        ("gateway-one:8080", f"127.0.0.1:{ports[0]}"),
        ("gateway-two:8080", f"127.0.0.1:{ports[1]}"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    file = folder / "haproxy.cfg"
    file.write_text(text, encoding="utf-8")
    with (folder / "haproxy.log").open("wb") as log:
        child = subprocess.Popen([HAPROXY, "-db", "-f", file], stdout=log, stderr=log)
    try:
        yield port
    finally:
        child.kill()
        child.wait()


class Pair:
    """Two deployments with a port each."""

    def __init__(self, folder: Path, upstream: int) -> None:
        self.ports = (closed_port(), closed_port())
        self.places = []
        for number, port in enumerate(self.ports):
            (folder / str(number)).mkdir()
            place = Deployment(folder / str(number))
            place.write(CONFIG, listen=port, port=upstream)
            self.places.append(place)


@asynccontextmanager
async def loaded(folder: Path, pair: Pair, programs: list[Program]) -> AsyncIterator[Load]:
    """Put clients before two gateways that are up, once the balancer has seen both."""
    for program in programs:
        await program.is_up()
    with balancing(folder, *pair.ports) as port:
        await asyncio.sleep(0.5)  # until it has asked both for the first time
        load = Load(port)
        running = asyncio.ensure_future(load.run())
        try:
            await until(lambda: load.answers > 200)
            yield load
        finally:
            load.is_over = True
            await running


async def test_rolling_restart_fails_nobody(tmp_path: Path, serve: Serve) -> None:
    """Operations §13, case 64: both gateways are replaced under load, one after the other: no request fails."""
    async with serve(MockBackend().serve) as upstream:
        pair = Pair(tmp_path, upstream.port)
        with ExitStack() as stack:
            programs = [stack.enter_context(place.start()) for place in pair.places]
            async with loaded(tmp_path, pair, programs) as load:
                for old, place in zip(programs, pair.places, strict=True):
                    assert await old.end() == 0
                    before = load.answers
                    await stack.enter_context(place.start()).is_up()
                    await until(lambda before=before: load.answers > before + 400)  # type: ignore[misc]
                assert load.failures == []


async def test_killed_gateway_takes_only_its_own_along(tmp_path: Path, serve: Serve) -> None:
    """Operations §12 "L4 balancer": one dies at once: who waited for it fails, nobody who comes later does."""
    async with serve(MockBackend(lambda _number: Script(delay_head_ms=20)).serve) as upstream:
        pair = Pair(tmp_path, upstream.port)
        with pair.places[0].start() as first, pair.places[1].start() as second:
            async with loaded(tmp_path, pair, [first, second]) as load:
                first.send(signal.SIGKILL)
                await until(lambda: first.child.poll() is not None)
                await asyncio.sleep(0.5)  # until what it was to answer has failed
                failed, before = len(load.failures), load.answers
                assert failed <= CLIENTS
                await until(lambda: load.answers > before + 400)
                assert len(load.failures) == failed
