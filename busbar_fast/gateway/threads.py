"""Work on a thread that nobody waits for in the end: what never ends there holds up no request and no exit."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

Result = TypeVar("Result")


async def on_thread(name: str, work: Callable[[], Result]) -> Result:
    """Return what work returns or raise what it raises; a loop that ends meanwhile does not wait for it."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()

    def report(result: Result) -> None:
        if not done.done():
            done.set_result(result)

    def report_failure(failure: Exception) -> None:
        if not done.done():
            done.set_exception(failure)

    def run() -> None:
        with suppress(RuntimeError):  # the loop is closed, so nobody wants to know
            try:
                result = work()
            except Exception as failure:  # noqa: BLE001  raised where somebody waits for it
                loop.call_soon_threadsafe(report_failure, failure)
            else:
                loop.call_soon_threadsafe(report, result)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await done
