"""A reload: read both files again while requests run, and swap the configuration if nothing is wrong with it.

The reading happens on a thread that nobody waits for: a file that never ends, or a folder that hangs, holds up neither
requests nor the end of the program. Signals that come meanwhile collapse into one more reload.
"""

import asyncio
import logging
import os
from typing import TYPE_CHECKING

from busbar_fast.config.secrets import NoSecret
from busbar_fast.gateway.engine import Engine
from busbar_fast.gateway.narration import tell_warnings
from busbar_fast.gateway.threads import on_thread
from busbar_fast.observe.log import fields

if TYPE_CHECKING:
    from collections.abc import Callable

    from busbar_fast.config.load import Loaded  # brings YAML with it, which a warm start does not need

_log = logging.getLogger("busbar_fast.gateway")


class Reloads:
    """Asked for by a signal; done one at a time. `settle` is told of each configuration that came into force."""

    __slots__ = ("_engine", "_is_over", "_is_wanted", "_read", "_running", "_settle")

    def __init__(self, engine: Engine, read: "Callable[[], Loaded]", settle: "Callable[[Loaded], None]") -> None:
        self._engine = engine
        self._read = read
        self._settle = settle
        self._is_wanted = False
        self._is_over = False
        self._running: asyncio.Task[None] | None = None

    def ask(self) -> None:
        """Reload now, or once more when the reload that runs is done."""
        self._is_wanted = not self._is_over
        if self._is_wanted and (self._running is None or self._running.done()):
            self._running = asyncio.get_running_loop().create_task(self._run())

    def cancel(self) -> None:
        """Give up what is under way, and reload no more."""
        self._is_over = True
        if self._running is not None:
            self._running.cancel()

    async def _run(self) -> None:
        while self._is_wanted:
            self._is_wanted = False
            try:
                outcome = "ok" if await self._reload() else "error"
            except Exception:  # noqa: BLE001  whatever it is, the next signal must find somebody who listens
                _log.exception("the reload broke off")
                outcome = "error"
            self._engine.reloads[outcome] += 1

    async def _reload(self) -> bool:
        loaded = await on_thread("reload", self._read)
        if not self._apply(loaded):
            return False
        try:
            await on_thread("reload", lambda: self._settle(loaded))
        except Exception:  # noqa: BLE001  the configuration is in force, whatever follows it
            _log.exception("the configuration was reloaded, and what follows a reload failed")
        return True

    def _apply(self, loaded: "Loaded") -> bool:
        complaints = [*loaded.complaints.errors, *loaded.complaints.unavailable]
        for complaint in complaints:
            _log.error("[error] %s", complaint)
        if loaded.config is None or complaints:
            _log.error("the configuration was not reloaded; the running one stays")
            return False
        try:
            self._engine.replace(loaded.config, loaded.inputs)
        except (OSError, NoSecret) as error:  # TLS material that OpenSSL refuses
            _log.error("[error] %s: %s", loaded.config.config_file, error)
            _log.error("the configuration was not reloaded; the running one stays")
            return False
        tell_warnings(loaded.complaints.warnings)
        _log.info("configuration reloaded", extra=fields(pid=os.getpid()))
        return True
