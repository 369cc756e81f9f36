"""The program itself, started as operators start it, with a deployment in a folder of its own.

What it logs goes to a file, so a test may look as often as it likes. Every program is gone when its `with` is left; one
that ended with a traceback fails the test.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from busbar_fast.wire.exchange import Exchange
from tests.conftest import LOOPS, choice
from tests.house.source import ROOT
from tests.system.rawclient import Answer, RawClient
from tests.system.serving import Site, until

LIMIT_S = 15.0
PLAIN = ("-m", "busbar_fast")
FAST = ("-I", "-S", str(ROOT / "busbar_fast" / "__main__.py"))
_LISTENING = re.compile(r"busbar listening listen=(?:\[::1\]|[\d.]+):(\d+) ")
# Stands before a module, and gives way to it.
DELAYED = """
import importlib, os, sys, time
os.write(2, b"loading {name}\\n")
while not os.path.exists({gate!r}):
    time.sleep(0.001)
sys.path.remove({folder!r})
del sys.modules["{name}"]
importlib.invalidate_caches()
importlib.import_module("{name}")
"""
JSON = b"Content-Type: application/json\r\n"


class Program:
    """A gateway that was started."""

    def __init__(self, child: subprocess.Popen[bytes], log_file: Path) -> None:
        self.child = child
        self._log_file = log_file
        self.clients: list[RawClient] = []

    @property
    def log(self) -> str:
        """Everything it wrote to stderr so far."""
        return self._log_file.read_text(encoding="utf-8")

    @property
    def port(self) -> int:
        """Where it listens."""
        found = _LISTENING.search(self.log)
        assert found, self.log
        return int(found[1])

    async def says(self, text: str, times: int = 1) -> None:
        """Wait until it has logged something so often; fail if it ends before that."""
        await until(lambda: self.log.count(text) >= times or self.child.poll() is not None, LIMIT_S)
        assert self.log.count(text) >= times, self.log

    async def is_up(self) -> "Program":
        """Wait until it listens."""
        await self.says("busbar listening")
        return self

    def connect(self, port: int = 0) -> RawClient:
        """Open a connection."""
        client = RawClient(port or self.port)
        self.clients.append(client)
        return client

    async def ask(self, raw: bytes) -> Answer:
        """Send a request on a connection of its own; return the answer."""
        client = self.connect()
        client.send(raw)
        return await client.read_answer()

    async def chat(self, body: bytes) -> Answer:
        """Send a chat request."""
        return await self.ask(chat(body))

    async def get(self, path: str) -> tuple[int, bytes]:
        """Return status and body of what stands at a path."""
        answer = await self.ask(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        return answer.status, answer.body

    def send(self, number: int) -> None:
        """Send a signal."""
        self.child.send_signal(number)

    async def ends(self) -> int:
        """Wait for the end; return the exit code."""
        await until(lambda: self.child.poll() is not None, LIMIT_S)
        return self.child.returncode

    async def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; return the exit code."""
        self.send(number)
        return await self.ends()


class Deployment:
    """A deployment file, the folder it lies in, and the environment that programs get."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config.yaml"
        self._starts = 0
        self.environ = {
            "PATH": os.environ.get("PATH", ""),
            "BUSBAR_CACHE_DIR": str(folder / "cache"),
            "BUSBAR_CONFIG": str(self.config),
            "PYTHONUNBUFFERED": "1",
        }
        if choice("BUSBAR_LOOP", LOOPS) == "asyncio":
            self.hide_module("uvloop")
        if "BUSBAR_HTTP_PARSER" in os.environ:
            self.environ["BUSBAR_HTTP_PARSER"] = os.environ["BUSBAR_HTTP_PARSER"]

    def write(self, text: str, **values: Any) -> None:
        """Write the deployment file; `<name>` in it stands for a value."""
        for name, value in values.items():
            text = text.replace(f"<{name}>", str(value))
        self.config.write_text(text, encoding="utf-8")

    def hide_module(self, name: str) -> None:
        """Make a module impossible to import, for programs that look at PYTHONPATH."""
        folder = self.folder / "hidden"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.py").write_text(f"raise ModuleNotFoundError({name!r})\n", encoding="utf-8")
        self.environ["PYTHONPATH"] = str(folder)

    def delay_module(self, name: str) -> Callable[[], None]:
        """Make the import of a module say so and wait; return what lets it go on."""
        folder, gate = self.folder / "delayed", self.folder / "gate"
        folder.mkdir()
        (folder / f"{name}.py").write_text(DELAYED.format(name=name, gate=str(gate), folder=str(folder)))
        self.environ["PYTHONPATH"] = os.pathsep.join([str(folder), *filter(None, [self.environ.get("PYTHONPATH")])])
        return gate.touch

    @property
    def snapshots(self) -> list[Path]:
        """What is stored for the next start."""
        return list((self.folder / "cache").glob("*.snapshot"))

    def run(self, *arguments: str, python: tuple[str, ...] = PLAIN) -> subprocess.CompletedProcess[str]:
        """Run a command line that ends by itself."""
        done = subprocess.run(
            [sys.executable, *python, *arguments],
            cwd=ROOT,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    @contextmanager
    def start(self, *arguments: str, python: tuple[str, ...] = PLAIN) -> Iterator[Program]:
        """Start a gateway; see that it is gone in the end."""
        self._starts += 1
        log_file = self.folder / f"log-{self._starts}"
        with (
            log_file.open("wb") as log,
            subprocess.Popen(
                [sys.executable, *python, *arguments], cwd=ROOT, env=self.environ, stdout=log, stderr=log
            ) as child,
        ):
            program = Program(child, log_file)
            try:
                yield program
            finally:
                child.kill()
                for client in program.clients:
                    client.close()
        assert "Traceback" not in program.log, program.log


class Recorder:
    """An upstream that answers everything with one JSON text and remembers what it was asked."""

    def __init__(self, answer: bytes = b'{"id":"x"}') -> None:
        self.seen: list[tuple[bytes, bytes, dict[bytes, bytes], bytes]] = []  # method, target, fields, body
        self._answer = answer

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request."""
        body = await exchange.read_body()
        head = exchange.head
        self.seen.append((head.method, head.target, dict(head.fields), body))
        exchange.reply(200, JSON, self._answer)


def chat(body: bytes) -> bytes:
    """Return a chat request."""
    return b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


async def leave(site: Site) -> None:
    """Wait until nobody is connected to an upstream any more, which a program that ended no longer is."""
    await until(lambda: not site.service.connections)
