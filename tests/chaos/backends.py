"""One backend as a program: the mock behind one port, its answers drawn at random.

It speaks all six dialects. `share` is the part of its requests that fail.
usage: python -m tests.chaos.backends PORT SEED SHARE
"""

import asyncio
import sys
from functools import partial
from random import Random

import uvloop

from busbar_fast.mock.server import MockBackend
from busbar_fast.wire.limits import Limits
from busbar_fast.wire.listener import Listener, bind
from busbar_fast.wire.parsers import choose_parser
from busbar_fast.wire.service import Service, new_wheel
from tests.chaos.fates import fate

LIFE_S = 900.0
SAYS_READY = b"ready\n"


async def serve(port: int, seed: str, share: float) -> None:
    """Serve until killed, or for a limited time when whoever started it is gone."""
    loop = asyncio.get_running_loop()
    chance = Random(seed)
    backend = MockBackend(lambda _number: fate(chance, share))
    service = Service(backend.serve, Limits(), new_wheel(loop.call_later), choose_parser(None))
    Listener(service, loop).serve(bind("127.0.0.1", port))
    sys.stdout.buffer.write(SAYS_READY)
    sys.stdout.flush()
    await asyncio.sleep(LIFE_S)


if __name__ == "__main__":
    uvloop.run(partial(serve, int(sys.argv[1]), sys.argv[2], float(sys.argv[3]))())
