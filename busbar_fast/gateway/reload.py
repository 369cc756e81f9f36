"""A reload: read both files again while requests run, and swap the configuration if nothing is wrong with it.

The reading happens on a thread. Signals that come meanwhile collapse into one more reload.
"""

import asyncio
import logging
import os
from typing import TYPE_CHECKING

from busbar_fast.config.secrets import NoSecret
from busbar_fast.gateway.engine import Engine
from busbar_fast.gateway.narration import tell_warnings
from busbar_fast.observe.log import fields

if TYPE_CHECKING:
    from collections.abc import Callable

    from busbar_fast.config.load import Loaded  # brings YAML with it, which a warm start does not need

_log = logging.getLogger("busbar_fast.gateway")


class Reloads:
    """Asked for by a signal; done one at a time."""

    __slots__ = ("_engine", "_is_wanted", "_read", "_running", "_store")

    def __init__(self, engine: Engine, read: "Callable[[], Loaded]", store: "Callable[[Loaded], None]") -> None:
        self._engine = engine
        self._read = read
        self._store = store
        self._is_wanted = False
        self._running: asyncio.Task[None] | None = None

    def ask(self) -> None:
        """Reload now, or once more when the reload that runs is done."""
        self._is_wanted = True
        if self._running is None or self._running.done():
            self._running = asyncio.get_running_loop().create_task(self._run())

    def cancel(self) -> None:
        """Give up what is under way."""
        if self._running is not None:
            self._running.cancel()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._is_wanted:
            self._is_wanted = False
            loaded = await loop.run_in_executor(None, self._read)
            outcome = "ok" if self._apply(loaded) else "error"
            self._engine.reloads[outcome] += 1
            if outcome == "ok":
                await loop.run_in_executor(None, self._store, loaded)

    def _apply(self, loaded: "Loaded") -> bool:
        complaints = [*loaded.complaints.errors, *loaded.complaints.unavailable]
        if loaded.config is None or complaints:
            for complaint in complaints:
                _log.error("[error] %s", complaint)
            _log.error("the configuration was not reloaded; the running one stays")
            return False
        try:
            self._engine.replace(loaded.config, loaded.inputs)
        except (OSError, NoSecret) as error:  # a file that changed after it was checked
            _log.error("the configuration was not reloaded; the running one stays: %s", error)
            return False
        tell_warnings(loaded.complaints.warnings)
        _log.info("configuration reloaded", extra=fields(pid=os.getpid()))
        return True
