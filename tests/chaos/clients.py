"""Clients of every kind: patient and slow ones, some that keep a connection and some that vanish at any moment.

A client draws what it does from its own source of chance, judges what it gets, and writes both into the ledger.
"""

import asyncio
import socket
import struct
from collections import Counter
from contextlib import suppress
from random import Random

from tests.chaos.deployments import EVERYBODY, LANES, NOWHERE, POOLS
from tests.chaos.speech import NAMES, Call, Violation, check_owner, judge, judge_cut
from tests.system.rawclient import Answer, Truncated, split_answer

ANSWER_S = 30.0  # far longer than any answer takes by the deployment's limits, for the sake of busy machines
_PATIENCE_S = 1.0  # of a client that leaves in the middle of an answer
_SLOW_BUFFER_BYTES = 4096
_LAST_CHUNK = b"\r\n0\r\n\r\n"
_MOST_SHOWN = 20
_NOT_LET_IN = (400, 401, 403)  # one vendor calls a bad key an invalid argument
_STRANGER = "nobody-knows-this"


class Ledger:
    """What all clients did and got, and every violation. Nonces come from here, so that no two are the same."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.violations: list[str] = []
        self.running = 0
        self.peak = 0

    def next_nonce(self) -> bytes:
        """Return a nonce."""
        self.counts["asked"] += 1
        return b"nonce%09d" % self.counts["asked"]

    def blame(self, text: str) -> None:
        """Note a violation."""
        self.counts["violations"] += 1
        if len(self.violations) < _MOST_SHOWN:
            self.violations.append(text)


class Connection:
    """One connection to the gateway; it reads strictly and notices whatever comes unasked."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_slow: bool) -> None:
        self._reader = reader
        self._writer = writer
        self._is_slow = is_slow
        self.held = b""

    @classmethod
    async def open(cls, port: int, *, is_slow: bool = False) -> "Connection":
        """Connect; a slow reader takes little at a time and makes pauses."""
        sock = socket.socket()
        sock.setblocking(False)
        if is_slow:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SLOW_BUFFER_BYTES)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        limit = _SLOW_BUFFER_BYTES if is_slow else 1 << 20
        return cls(*await asyncio.open_connection(sock=sock, limit=limit), is_slow=is_slow)

    async def send(self, raw: bytes) -> None:
        """Send; a gateway that has closed shows when the answer is read."""
        with suppress(ConnectionError):
            self._writer.write(raw)
            await self._writer.drain()

    async def receive(self) -> bool:
        """Receive once; return whether anything came."""
        piece = b""
        with suppress(ConnectionError):
            piece = await self._reader.read(1 << 14)
        self.held += piece
        if self._is_slow:
            await asyncio.sleep(0.003)
        return bool(piece)

    async def read_answer(self) -> Answer:
        """Return the next answer; raise Truncated if the connection ends before it does."""
        has_ended = False
        while True:
            if has_ended or self._may_be_whole():
                found = split_answer(self.held, b"POST", has_ended=has_ended)
                if found is not None:
                    answer, self.held = found
                    return answer
                if has_ended:
                    raise Truncated("no answer at all")
            has_ended = not await self.receive()

    def _may_be_whole(self) -> bool:
        head, mark, _ = self.held.partition(b"\r\n\r\n")
        is_chunked = b"\r\nTransfer-Encoding: chunked" in head
        return bool(mark) and (not is_chunked or self.held.endswith(_LAST_CHUNK))

    @property
    def status(self) -> int:
        """The status of an answer that has begun, 0 if none has."""
        return int(self.held[9:12]) if b"\r\n\r\n" in self.held else 0

    def close(self, *, is_reset: bool = False) -> None:
        """Leave, in good order or with a reset."""
        sock = self._writer.get_extra_info("socket")
        if is_reset and sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._writer.transport.abort()
        self._writer.close()


class Client:
    """One client, see the module."""

    def __init__(self, port: int, ledger: Ledger, chance: Random) -> None:
        self._port = port
        self._ledger = ledger
        self._chance = chance

    async def run(self, until_s: float) -> None:
        """Make one connection after another until it is time to stop."""
        now = asyncio.get_running_loop().time
        while now() < until_s:
            await asyncio.sleep(self._chance.uniform(0, 0.3))
            connection = await Connection.open(self._port, is_slow=self._chance.random() < 0.06)
            try:
                for left in reversed(range(self._chance.randint(1, 6))):
                    if not await self._visit(connection, is_last=left == 0) or now() >= until_s:
                        break
            finally:
                connection.close()

    async def _visit(self, connection: Connection, *, is_last: bool) -> bool:
        """Make one request, or begin one; return whether the connection can be used once more."""
        ledger = self._ledger
        ledger.running += 1
        ledger.peak = max(ledger.peak, ledger.running)
        try:
            if self._chance.random() < 0.17:
                await self._vanish(connection)
                return False
            return await self._ask(connection, self._draw(closes=is_last and self._chance.random() < 0.5))
        finally:
            ledger.running -= 1

    def _draw(self, *, closes: bool = False) -> Call:
        """Return a request."""
        chance = self._chance
        dialect = chance.choice(NAMES)
        in_stream = chance.random() < 0.5
        return Call(
            dialect,
            self._draw_model(dialect),
            self._ledger.next_nonce(),
            in_stream,
            in_array=in_stream and dialect == "gemini" and chance.random() < 0.5,
            session=chance.randint(1, 9) if chance.random() < 0.4 else None,
            closes=closes,
            filling=chance.randint(70_000, 300_000) if chance.random() < 0.03 else 0,
        )

    def _draw_model(self, dialect: str) -> str:
        kind = self._chance.random()
        if kind < 0.15:
            return EVERYBODY
        if kind < 0.3:
            return f"{dialect}-{self._chance.choice((*LANES, NOWHERE))}"
        return f"{dialect}-{self._chance.choice(POOLS)}"

    async def _ask(self, connection: Connection, call: Call) -> bool:
        """Make a request and judge the answer; return whether the connection lives on."""
        kind = self._chance.random()
        if kind < 0.03:
            return await self._expect(connection, call._replace(token="wrong"), _NOT_LET_IN)
        if kind < 0.06:
            return await self._expect(connection, call._replace(model=_STRANGER), (404,))
        head, body = call.encode()
        if kind < 0.15:
            await self._dribble(connection, head + body)
        else:
            await connection.send(head + body)
        return await self._judge(connection, call)

    async def _expect(self, connection: Connection, call: Call, statuses: tuple[int, ...]) -> bool:
        """Make a request that has to be refused."""
        refused = self._ledger.counts["native errors"]
        await connection.send(b"".join(call.encode()))
        self._ledger.counts["strangers"] += statuses == _NOT_LET_IN
        lives = await self._judge(connection, call, statuses)
        if self._ledger.counts["native errors"] == refused:
            self._ledger.blame(f"{call}: was let in")
        return lives

    async def _dribble(self, connection: Connection, raw: bytes) -> None:
        """Send a request in pieces."""
        cuts = sorted(self._chance.sample(range(1, len(raw)), 3))
        for start, end in zip((0, *cuts), (*cuts, len(raw)), strict=True):
            await connection.send(raw[start:end])
            await asyncio.sleep(0.002)

    async def _judge(self, connection: Connection, call: Call, statuses: tuple[int, ...] = ()) -> bool:
        """Read the answer to a request that was sent; return whether the connection lives on."""
        ledger = self._ledger
        ledger.counts["answers due"] += 1
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await connection.read_answer()
                outcome = judge(call, answer)
            self._note(answer.status, outcome)
            if statuses and answer.status not in statuses:
                raise Violation(f"{answer.status} instead of {statuses}")
            if answer.closes:
                await connection.receive()
            if connection.held:
                raise Violation(f"something behind the answer: {connection.held[:200]!r}")
        except Truncated:
            return self._judge_cut(connection, call)
        except TimeoutError:
            ledger.blame(f"{call}: no whole answer within {ANSWER_S} s, but {connection.held[-200:]!r}")
            return False
        except (Violation, AssertionError) as error:
            ledger.blame(f"{call}: {error}")
            return False
        return not answer.closes

    def _judge_cut(self, connection: Connection, call: Call) -> bool:
        try:
            self._note(connection.status, judge_cut(call, connection.status, connection.held))
        except Violation as error:
            self._ledger.blame(f"{call}: {error}")
        return False

    def _note(self, status: int, outcome: str) -> None:
        self._ledger.counts[outcome] += 1
        self._ledger.statuses[status] += 1

    async def _vanish(self, connection: Connection) -> None:
        """Leave in the middle: of the head, of the body, while waiting, or of the answer."""
        chance, ledger = self._chance, self._ledger
        call = self._draw()
        head, body = call.encode()
        stage = chance.choice(("head", "body", "waiting", "answer", "answer"))
        ledger.counts[f"vanished in {stage}"] += 1
        if stage == "head":
            await connection.send(head[: chance.randrange(1, len(head) - 4)])
        elif stage == "body":
            await connection.send(head + body[: chance.randrange(len(body))])
        else:
            await connection.send(head + body)
        if stage == "answer":
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE_S):
                    for _ in range(chance.randint(1, 4)):
                        await connection.receive()
        else:
            await asyncio.sleep(chance.uniform(0, 0.4))
        try:
            check_owner(call, connection.held)
        except Violation as error:
            ledger.blame(f"{call}: {error}")
        connection.close(is_reset=chance.random() < 0.5)
