"""The engine in the test's loop: made of a deployment file, reloaded when the test says so."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from busbar_fast.config.load import Loaded, load
from busbar_fast.config.vocabulary import Vocabulary
from busbar_fast.dialects.registry import DIALECTS, MODEL_OPTIONS, SPECIAL_OPTIONS
from busbar_fast.gateway.engine import Engine
from busbar_fast.gateway.reload import Reloads
from busbar_fast.ir.report import FIELDS
from busbar_fast.reliability.policies.script import complaint_of_script
from busbar_fast.wire.listener import bind
from busbar_fast.wire.parsers import choose_parser
from tests.system.programs import chat
from tests.system.rawclient import Answer, RawClient, turns
from tests.system.serving import until


class Running:
    """An engine that serves, and the file it was made of."""

    def __init__(self, file: Path, text: str) -> None:
        self._file = file
        self.environ: dict[str, str] = {"UP_KEY": "k"}
        self.write(text)
        self.engine: Engine
        self.reads = 0
        self.may_read = threading.Event()
        self.may_read.set()
        self.settled: list[Loaded] = []
        self.settle_failure: Exception | None = None
        self.reloads: Reloads
        self.clients: list[RawClient] = []

    def write(self, text: str) -> None:
        """Write the deployment file."""
        self._file.write_text(text, encoding="utf-8")

    def load(self) -> Loaded:
        """Read the deployment file, when the test lets it be read."""
        self.reads += 1
        assert self.may_read.wait(5)
        vocabulary = Vocabulary(DIALECTS, MODEL_OPTIONS, complaint_of_script, FIELDS, SPECIAL_OPTIONS)
        return load(str(self._file), None, self.environ, vocabulary)

    def settle(self, loaded: Loaded) -> None:
        """Remember what came into force; fail if the test says so."""
        self.settled.append(loaded)
        if self.settle_failure is not None:
            raise self.settle_failure

    async def reload(self, text: str | None = None) -> bool:
        """Reload, with another text if there is one; return whether it came into force."""
        if text is not None:
            self.write(text)
        before = dict(self.engine.reloads)
        self.reloads.ask()
        await until(lambda: self.engine.reloads != before)
        return self.engine.reloads["ok"] > before["ok"]

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.engine.addresses[0][1]

    def connect(self) -> RawClient:
        """Open a connection."""
        client = RawClient(self.port)
        self.clients.append(client)
        return client

    def send_chat(self, model: str) -> RawClient:
        """Ask for a model on a connection of its own; return its client."""
        client = self.connect()
        client.send(chat(b'{"model":"%b"}' % model.encode()))
        return client

    async def ask(self, model: str) -> Answer:
        """Return the answer to a chat request."""
        client = self.send_chat(model)
        answer = await client.read_answer()
        client.close()
        return answer

    def counts(self, model: str) -> tuple[int, int, int]:
        """Return what a lane has answered and failed, and how many requests are on it."""
        state = self.engine.lanes[model].state
        return state.ok, state.err, state.inflight


@asynccontextmanager
async def running(folder: Path, text: str, **variables: str) -> AsyncIterator[Running]:
    """Run an engine; see that it leaves nothing behind."""
    made = Running(folder / "config.yaml", text)
    made.environ |= variables
    loaded = made.load()
    complaints = loaded.complaints
    assert [*complaints.errors, *complaints.unavailable] == []
    assert loaded.config is not None
    loop = asyncio.get_running_loop()
    faults: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, fault: faults.append(fault))
    parser = choose_parser(os.environ.get("BUSBAR_HTTP_PARSER"))
    engine = made.engine = Engine(loaded.config, loaded.inputs, loop, parser)
    made.reloads = Reloads(engine, made.load, made.settle)
    engine.open(bind("127.0.0.1", 0))
    try:
        yield made
    finally:
        made.may_read.set()
        made.reloads.cancel()
        engine.close()
        for client in made.clients:
            client.close()
        await turns()
    assert faults == [], repr(faults)
