"""Make the picture of the status page for the manual: `python -m tests.system.picture docs/images/status-page.png`.

A gateway of its own over mock backends, one of them out of service and one without a free permit, some traffic and two
keys that spend; then a headless Chromium looks at it.
"""

import asyncio
import itertools
import math
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import uvloop

from busbar_fast.mock.script import Script
from busbar_fast.wire.limits import Limits
from tests.system.browser import browsing
from tests.system.engines import running
from tests.system.fleets import Fleet
from tests.system.gateways import Backend
from tests.system.governing import ADMIN, Board
from tests.system.serving import serving

WIDTH, HEIGHT = 1180, 890
LOOKS = 24  # of the page, two seconds each
TURN_S = 0.25
_DELAYS_MS = (90, 110, 120, 140, 160, 210, 400)
CONFIG = """
listen: 127.0.0.1:0
governance: {enabled: true, admin_token: <admin>, db_path: ':memory:', price_per_1k_tokens_cents: 1}
observability: {status_page: true, token_metrics: true}
providers:
  mistral: {protocol: openai, base_url: 'http://127.0.0.1:<good>', api_key_env: UP_KEY}
  groq: {protocol: openai, base_url: 'http://127.0.0.1:<bad>', api_key_env: UP_KEY}
  workshop: {protocol: openai, base_url: 'http://127.0.0.1:<slow>', api_key_env: UP_KEY}
models:
  small-at-mistral: {provider: mistral, max_concurrent: 50}
  small-at-groq: {provider: groq, max_concurrent: 50}
  large-here: {provider: workshop, max_concurrent: 2}
pools:
  answer:
    members: [{target: small-at-mistral}, {target: small-at-groq}]
    breaker: {trip: {mode: consecutive, consecutive_n: 3}, base_cooldown_secs: 40}
  think: {members: [{target: large-here}]}
"""


def prompt(number: int) -> Script:
    """Return an answer that takes about as long as a small model's."""
    return Script(delay_head_ms=_DELAYS_MS[number % len(_DELAYS_MS)], usage_in=900, usage_out=160)


def slow(_number: int) -> Script:
    """Return an answer that takes its time."""
    return Script(delay_head_ms=2500, usage_in=2000, usage_out=900)


def down(_number: int) -> Script:
    """Return the answer of somebody who cannot serve."""
    return Script(status=503)


async def keep_busy(board: Board, keys: list[Mapping[str, Any]]) -> None:
    """Ask on and on, now more and now less."""
    asking: set[asyncio.Task[Any]] = set()
    for turn in itertools.count():
        for number in range(round(6 + 4 * math.sin(turn / 9))):
            asking.add(asyncio.create_task(board.ask(keys[number if number < len(keys) else 1], "answer")))
        if turn % 5 == 0:
            asking.add(asyncio.create_task(board.ask(keys[0], "think")))
        await asyncio.sleep(TURN_S)
        asking = {task for task in asking if not task.done()}


async def shoot(folder: Path) -> bytes:
    """Return the picture."""
    backends: dict[str, Callable[[int], Script]] = {"good": prompt, "bad": down, "slow": slow}
    text = CONFIG.replace("<admin>", ADMIN)
    async with AsyncExitStack() as stack:
        for number, (name, script) in enumerate(backends.items()):
            site = await stack.enter_async_context(serving("httptools", Backend(number, script, []).serve, Limits()))
            text = text.replace(f"<{name}>", str(site.port))
        board = Board(Fleet(await stack.enter_async_context(running(folder, text)), [], "openai"))
        keys = [await board.mint(max_budget_cents=900), await board.mint(), await board.mint(max_budget_cents=410)]
        busy = asyncio.create_task(keep_busy(board, keys))
        async with browsing(folder) as browser:
            url = f"http://127.0.0.1:{board.fleet.site.port}/ui"
            page = await browser.open(url, width=WIDTH, height=HEIGHT)
            await page.wait_for("#login")
            await page.fill_in("#token", str(keys[0]["secret"]))
            await page.wait_for("#lanes tbody tr")
            await page.pass_time(LOOKS * 2)
            picture = await page.shoot()
        busy.cancel()
    return picture


def main() -> None:
    """Write the picture where the command line says."""
    (target,) = map(Path, sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        target.write_bytes(runner.run(shoot(Path(folder))))


if __name__ == "__main__":
    main()
