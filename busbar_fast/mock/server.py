"""The socket half of the mock backend: plays the steps of a reply on an exchange.

It decides nothing: `router` says what to answer and `schedule` in which steps. `MockBackend.serve` is a responder for a
`Service`; a script given to it is the default that the request's own knobs are laid over.
"""

import asyncio
from collections.abc import Callable, Sequence

from busbar_fast.mock.memo import Memo
from busbar_fast.mock.reply import Reply
from busbar_fast.mock.schedule import Act, Step
from busbar_fast.mock.script import Script
from busbar_fast.wire.exchange import Exchange


class MockBackend:
    """Answers every request by the book, or by its script."""

    __slots__ = ("_memo", "_script", "served")

    def __init__(self, script: Callable[[int], Script | None] = lambda _number: None) -> None:
        self._script = script  # by the number of the request, counted from 0
        self._memo = Memo()
        self.served = 0

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request."""
        script = self._script(self.served)
        self.served += 1
        body = await exchange.read_body()
        head = exchange.head
        reply, steps = self._memo.play(head.method, head.target, head.fields, body, script)
        await play(exchange, reply, steps)


async def play(exchange: Exchange, reply: Reply, steps: Sequence[Step]) -> None:
    """Run the steps of a reply."""
    for step in steps:
        act = step.act
        if act is Act.SEND:
            exchange.write(step.payload)
            if exchange.is_congested:
                await exchange.drained()
        elif act is Act.WAIT:
            exchange.flush()
            await _wait(step.seconds)
        elif act is Act.HEAD:
            exchange.start(reply.status, reply.headers, step.length_bytes, close=step.close)
        elif act is Act.END:
            exchange.finish()
        elif act is Act.RAW:
            exchange.write_foreign(step.payload)
        elif act is Act.CUT:
            exchange.cut()
        elif act is Act.RESET:
            exchange.cut(abort=True)
        else:
            exchange.flush()
            await asyncio.get_running_loop().create_future()  # until the client has had enough


async def _wait(seconds: float) -> None:
    """Pause; also for no time at all, which lets the loop turn."""
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    handle = loop.call_later(seconds, over.set_result, None)
    try:
        await over
    finally:
        handle.cancel()
