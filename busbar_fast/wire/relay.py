"""An answer passed on unchanged: one upstream's bytes to one client, framed anew only where the client needs it.

`relay` passes pieces on as they come. `relay_whole` is for documents, of which nobody can use a part: it keeps what is
small until its end has come, so that the client never gets the beginning of something that breaks off.
"""

from typing import Protocol

from busbar_fast.wire.exchange import Exchange
from busbar_fast.wire.framing import read_length
from busbar_fast.wire.heads import CHUNKED, UNTIL_CLOSE
from busbar_fast.wire.upstream import Upstream

HELD_BYTES = 65536  # a document up to this size is kept until its end


class Source(Protocol):
    """Where the parts of a body come from."""

    async def next_part(self) -> bytes | None:
        """Return the next bytes of the body without any framing; None at the end."""


async def relay(upstream: Upstream, exchange: Exchange, status: int, fields: bytes) -> None:
    """Answer with the upstream's body under a head of our own. The upstream's head has been read.

    The answer begins with the first piece of the body: an upstream that fails before leaves the exchange untouched.
    """
    assert upstream.head is not None
    length = upstream.head.length
    if length >= 0 and upstream.view is not None and upstream.view.is_edited:
        length = UNTIL_CLOSE  # what is announced need not be what comes out
    whole = upstream.maybe_whole()
    if whole is not None:
        exchange.reply(status, fields, whole)
    elif exchange.head.method == b"HEAD":
        declared = upstream.head.fields.get(b"content-length")
        exchange.start(status, fields, None if declared is None else read_length(declared))
        exchange.finish()
    elif length >= 0 or (length == CHUNKED and exchange.takes_chunks):
        piece = await upstream.next_raw()
        exchange.start(status, fields, length if length >= 0 else None)
        if piece is not None:
            exchange.write_framed(piece)
            await upstream.pour(exchange)
        exchange.finish(is_framed=True)
    else:
        await relay_parts(upstream, exchange, status, fields)


async def relay_parts(source: Source, exchange: Exchange, status: int, fields: bytes) -> None:
    """Answer with a body of unknown length, part by part; nothing is said before the first of them is there."""
    part = await source.next_part()
    exchange.start(status, fields)
    await _copy(source, exchange, part)


async def relay_whole(source: Source, exchange: Exchange, status: int, fields: bytes) -> None:
    """Answer with a document; one that breaks off before more than HELD_BYTES of it leaves the exchange untouched."""
    held: list[bytes] = []
    size = 0
    while size <= HELD_BYTES:
        part = await source.next_part()
        if part is None:
            exchange.reply(status, fields, b"".join(held))
            return
        held.append(part)
        size += len(part)
    exchange.start(status, fields)
    await _copy(source, exchange, b"".join(held))


async def _copy(source: Source, exchange: Exchange, part: bytes | None) -> None:
    """Write this part, if there is one, and all that follow it."""
    while part is not None:
        exchange.write(part)
        if exchange.is_congested:
            await exchange.drained()
        part = await source.next_part()
    exchange.finish()
