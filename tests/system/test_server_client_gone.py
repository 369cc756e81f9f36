"""A client that leaves ends what was begun for it (operations §3.3, case 33), at every stage of a request."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from busbar_fast.wire.exchange import Exchange
from busbar_fast.wire.limits import Limits
from tests.system.rawclient import RawClient, turns
from tests.system.serving import GET, TEXT, Gate, Serve, chunked_head, post, soon, until

PIECE = b"x" * 65536

Stage = Callable[[Exchange], Awaitable[None]]


class Witness:
    """A responder that runs one stage and notes when it began and when it was undone."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.begun = 0
        self.undone = 0

    async def __call__(self, exchange: Exchange) -> None:
        """Run the stage."""
        self.begun += 1
        try:
            await self._stage(exchange)
        finally:
            self.undone += 1


async def wait_for_nothing(exchange: Exchange) -> None:
    """Wait for a future that nobody completes, as for an upstream's head."""
    del exchange
    await Gate().wait()


async def wait_for_a_source(exchange: Exchange) -> None:
    """Wait for a source that never wakes us."""
    await exchange.wait_for(object())


async def read_then_wait(exchange: Exchange) -> None:
    """Read a part of the body, then wait for something else."""
    await exchange.next_part()
    await Gate().wait()


async def read_everything(exchange: Exchange) -> None:
    """Wait for the whole body."""
    await exchange.read_body()


async def answer_then_wait(exchange: Exchange) -> None:
    """Send a part of an answer, then wait."""
    exchange.start(200, TEXT)
    exchange.write(b"part")
    await Gate().wait()


async def stream(exchange: Exchange) -> None:
    """Stream in small parts for ever."""
    exchange.start(200, TEXT)
    while True:
        exchange.write(b"part")
        await asyncio.sleep(0.001)


async def flood(exchange: Exchange) -> None:
    """Stream as fast as the client takes it."""
    exchange.start(200, TEXT)
    while True:
        exchange.write(PIECE)
        await exchange.drained()


async def reply_then_wait(exchange: Exchange) -> None:
    """Answer at once, and go on with work of our own."""
    exchange.reply(200, TEXT, b"done")
    await Gate().wait()


async def start_then_wait(exchange: Exchange) -> None:
    """Announce an answer whose head is still held back."""
    exchange.start(200, TEXT)
    await Gate().wait()


STAGES: dict[str, tuple[Stage, bytes]] = {
    "before the body is asked for": (wait_for_nothing, post(b"x" * 99)[:-50]),
    "body not begun": (read_everything, post(b"x" * 99)[:-99]),
    "waiting for an invitation": (read_everything, post(b"x" * 99, b"Expect: 100-continue")[:-99]),
    "middle of the body": (read_everything, post(b"x" * 99)[:-50]),
    "middle of a chunk": (read_everything, chunked_head() + b"9\r\nabc"),
    "between chunks": (read_everything, chunked_head() + b"3\r\nabc\r\n"),
    "body read in part": (read_then_wait, post(b"x" * 99)[:-50]),
    "body not read and held": (wait_for_nothing, post(b"x" * 200_000)[:-10]),
    "waiting for a future": (wait_for_nothing, GET),
    "waiting for a source": (wait_for_a_source, GET),
    "waiting with a whole body": (wait_for_nothing, post(b"abc")),
    "answer announced": (start_then_wait, GET),
    "answer begun": (answer_then_wait, GET),
    "answer complete, responder not": (reply_then_wait, GET),
    "streaming": (stream, GET),
    "client does not read": (flood, GET),
    "requests pending": (wait_for_nothing, GET * 4),
    "requests pending and reading paused": (wait_for_nothing, GET * 40),
    "second request": (wait_for_nothing, GET),
}

LEAVINGS: dict[str, Callable[[RawClient], None]] = {
    "FIN": RawClient.finish_sending,
    "close": RawClient.close,
    "RST": RawClient.reset,
}


@pytest.mark.parametrize("leave", LEAVINGS.values(), ids=LEAVINGS)
@pytest.mark.parametrize(("stage", "raw"), STAGES.values(), ids=STAGES)
async def test_departure_undoes_the_exchange(
    serve: Serve, stage: Stage, raw: bytes, leave: Callable[[RawClient], None]
) -> None:
    """Operations §13 case 33: whatever the responder waits for, its clean-up has run within 100 ms."""
    witness = Witness(stage)
    async with serve(witness) as site:
        client = await site.connected()
        await client.send_pieces(raw)
        await until(lambda: witness.begun == 1)
        await asyncio.sleep(0.02)
        assert witness.undone == 0
        leave(client)
        assert await soon(lambda: witness.undone == 1)
        assert site.service.in_flight == 0
        await site.is_idle()
        assert (witness.begun, witness.undone) == (1, 1)


@pytest.mark.parametrize("leave", LEAVINGS.values(), ids=LEAVINGS)
async def test_departure_is_noticed_within_a_turn_of_the_loop(serve: Serve, leave: Callable[[RawClient], None]) -> None:
    """Operations §13 case 33: while reading goes on, nothing but the loop itself stands between FIN and clean-up."""
    witness = Witness(wait_for_nothing)
    async with serve(witness) as site:
        client = await site.connected()
        await client.send_pieces(GET)
        leave(client)
        await turns()
        assert witness.undone == 1
        assert site.service.in_flight == 0


@pytest.mark.parametrize("leave", LEAVINGS.values(), ids=LEAVINGS)
@pytest.mark.parametrize(
    "start", [b"", b"G", GET[:-2], b"\r\n", GET], ids=["silent", "a byte", "head", "blank", "idle"]
)
async def test_departure_between_requests_needs_no_answer(
    serve: Serve, start: bytes, leave: Callable[[RawClient], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Operations §13 case 33: a client that leaves before its head is complete starts nothing and leaves nothing."""
    async with serve() as site:
        client = await site.connected()
        await client.send_pieces(start)
        leave(client)
        await site.is_idle()
        assert site.targets == ([b"/first"] if start == GET else [])
        assert site.service.refusals == {}
    assert [record for record in caplog.records if record.name.startswith("busbar_fast")] == []


@pytest.mark.parametrize("leave", LEAVINGS.values(), ids=LEAVINGS)
async def test_departure_during_an_unread_body_ends_the_connection(
    serve: Serve, leave: Callable[[RawClient], None]
) -> None:
    """Operations §13 case 33: a body that nobody needs any more and that stops coming holds nothing."""

    async def ignore_body(exchange: Exchange) -> None:
        exchange.reply(200, TEXT, b"seen")

    async with serve(ignore_body) as site:
        client = await site.connected()
        client.send(post(b"x" * 99).replace(b"POST", b"GET")[:-50])
        assert (await client.read_answer()).status == 200
        leave(client)
        await site.is_idle()
        assert site.service.in_flight == 0


async def test_half_close_behind_a_request_that_is_answered_at_once_is_served(serve: Serve) -> None:
    """Operations §3.3: an answer that was complete before the FIN is delivered, however large."""

    async def large(exchange: Exchange) -> None:
        exchange.reply(200, TEXT, PIECE * 40)

    async with serve(large) as site:
        client = await site.connected(receive_buffer_bytes=8192)
        client.send(GET)
        client.finish_sending()
        await asyncio.sleep(0.2)
        answer = await client.read_answer()
        assert len(answer.body) == 40 * len(PIECE)


async def test_departure_of_one_client_leaves_others_alone(serve: Serve) -> None:
    """Operations §13 case 33: only the exchange of the client that left is undone."""
    gate = Gate()

    async def gated(exchange: Exchange) -> None:
        await gate.wait()
        exchange.reply(200, TEXT, b"done")

    async with serve(gated, Limits()) as site:
        clients = [await site.connected() for _ in range(10)]
        for client in clients:
            client.send(GET)
        await until(lambda: gate.waiting == 10)
        for client in clients[::2]:
            client.reset()
        await until(lambda: gate.waiting == 5)
        assert site.service.in_flight == 5
        gate.open()
        for client in clients[1::2]:
            assert (await client.read_answer()).body == b"done"
        assert site.service.in_flight == 0
