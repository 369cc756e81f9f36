"""A gateway with virtual keys over mock backends, its operator, and callers who have a key."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from tests.system.fleets import Fleet, call_of, fleet
from tests.system.gateways import Fate
from tests.system.rawclient import Answer, RawClient
from tests.system.serving import Gate, Serve

ADMIN = "an-operators-token"
LOGIN = f"Authorization: Bearer {ADMIN}\r\n".encode()


class Reply(NamedTuple):
    """What an operator hears."""

    status: int
    document: Any
    fields: Mapping[bytes, bytes]
    body: bytes


class Board:
    """See the module."""

    def __init__(self, made: Fleet) -> None:
        self.fleet = made

    async def say(self, method: str, path: str, document: object = None, login: bytes = LOGIN) -> Reply:
        """Ask the management API; a document that is bytes is sent as it is."""
        body = document if isinstance(document, bytes) else b"" if document is None else orjson.dumps(document)
        client = self.fleet.site.connect()
        client.send(
            b"%b /admin%b HTTP/1.1\r\nHost: h\r\n%bContent-Length: %d\r\n\r\n%b"
            % (method.encode(), path.encode(), login, len(body), body)
        )
        got = await client.read_answer()
        client.close()
        return Reply(got.status, orjson.loads(got.body), got.fields, got.body)

    async def mint(self, **members: object) -> Any:
        """Make a key; return what is said of it."""
        got = await self.say("POST", "/keys", {"name": "n", **members})
        assert got.status == 201, got.body
        return got.document

    async def usage(self, key: Mapping[str, Any]) -> tuple[int, int, int]:
        """Return what a key has spent: cents, tokens, requests."""
        said = (await self.say("GET", f"/keys/{key['id']}/usage")).document
        return said["spend_cents"], said["tokens"], said["requests"]

    def send(
        self, key: Mapping[str, Any], model: str = "pool", *, dialect: str = "", stream: bool = False
    ) -> RawClient:
        """Send a request of a key on a connection of its own."""
        client = self.fleet.site.connect()
        line = b"Authorization: Bearer %b\r\n" % key["secret"].encode()
        client.send(call_of(dialect or self.fleet.dialect, model, stream=stream, fields=line))
        return client

    async def ask(
        self, key: Mapping[str, Any], model: str = "pool", *, dialect: str = "", stream: bool = False
    ) -> Answer:
        """Return the answer to a request of a key."""
        client = self.send(key, model, dialect=dialect, stream=stream)
        answer = await client.read_answer()
        client.close()
        return answer

    async def statuses(self, key: Mapping[str, Any], count: int, model: str = "pool") -> list[int]:
        """Return the statuses of requests that are all sent at once."""
        answers = await asyncio.gather(*(self.ask(key, model) for _ in range(count)))
        return sorted(answer.status for answer in answers)


@asynccontextmanager
async def governed(
    folder: Path,
    serve: Serve,
    *fates: Fate,
    dialect: str = "openai",
    rules: str = "",
    hold: Gate | None = None,
    **parts: str,
) -> AsyncIterator[Board]:
    """Run a gateway with virtual keys."""
    path = folder / "keys.db"
    top = f"governance: {{enabled: true, admin_token: {ADMIN}, db_path: '{path}'{rules and ', ' + rules}}}\n"
    parts["top"] = top + parts.get("top", "")
    async with fleet(folder, serve, *fates, dialect=dialect, hold=hold, **parts) as made:
        yield Board(made)
