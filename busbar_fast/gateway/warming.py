"""Loads what translates before anybody needs it, where a configuration names lanes of several dialects.

It takes some fifty milliseconds (msgspec, the neutral model, a translator for each dialect), which the first request
that moves from one dialect to another would have to wait for, and everybody else with it. On a thread and a while
after the start it delays nobody for longer than a few. Who has lanes of one dialect only is spared five megabytes
until a client of another dialect comes.
"""

import asyncio
import gc
import logging
from collections.abc import Callable, Iterable

from busbar_fast.dialects.dialect import Dialect
from busbar_fast.dialects.registry import translator
from busbar_fast.gateway.threads import on_thread
from busbar_fast.wire.wheel import Wheel

_log = logging.getLogger("busbar_fast.gateway")

_AFTER_S = 1.0  # the first requests after a start have the processor for themselves


def load_translators(dialects: Iterable[Dialect]) -> None:
    """Import what a translation between these needs."""
    import busbar_fast.gateway.translation  # noqa: F401, PLC0415  that is what this is for

    for dialect in dialects:
        translator(dialect)


class Warming:
    """See the module. `load` runs on a thread."""

    __slots__ = ("_dialects", "_load", "_loading", "_timer")

    def __init__(self, wheel: Wheel, load: Callable[[Iterable[Dialect]], None] = load_translators) -> None:
        self._timer = wheel.timer(self._begin)
        self._load = load
        self._dialects: frozenset[Dialect] = frozenset()
        self._loading: asyncio.Task[None] | None = None

    def prepare(self, dialects: Iterable[Dialect]) -> None:
        """Load what lanes of these dialects will need, unless they are all of one, or it is there already."""
        wanted = frozenset(dialects)
        if len(wanted) > 1 and not wanted <= self._dialects:
            self._dialects |= wanted
            self._timer.arm(_AFTER_S)

    def close(self) -> None:
        """Load no more."""
        self._timer.close()
        if self._loading is not None:
            self._loading.cancel()

    def _begin(self) -> None:
        self._loading = asyncio.ensure_future(self._run(self._dialects))

    async def _run(self, dialects: frozenset[Dialect]) -> None:
        try:
            await on_thread("warming", lambda: self._load(dialects))
        except Exception:  # noqa: BLE001  whoever needs it will say so again
            _log.exception("what translates could not be loaded")
        gc.freeze()  # modules stay, and need not be looked at by each full collection
