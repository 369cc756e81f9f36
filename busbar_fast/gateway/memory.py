"""Keeps the process below the memory it may take, so that it turns requests away before the kernel ends it.

Once a second the resident memory is read. As long as it is above the limit one request at a time is let in and the
others are shed: what runs can end, and memory that is never given back does not close the gateway for good.
"""

import logging
import os
from collections.abc import Callable
from typing import Final

from busbar_fast.observe.log import fields
from busbar_fast.wire.gate import Gate
from busbar_fast.wire.limits import Limits
from busbar_fast.wire.wheel import Wheel

_log = logging.getLogger("busbar_fast.gateway")

_EVERY_S: Final = 1.0
_MIB: Final = 1048576
_SHARE: Final = 0.9  # of what the kernel grants
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_OWN: Final = "/proc/self/statm"
_GRANTS: Final = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_NO_GRANT: Final = 1 << 60  # what the older kind of group says where there is none


def resident_bytes() -> int:
    """Return how much memory the process holds. Raise OSError where the system does not tell."""
    return int(_read(_OWN).split()[1]) * _PAGE_BYTES


def granted_bytes() -> int:
    """Return how much memory the kernel lets the process's group have, 0 if there is no such limit."""
    for path in _GRANTS:
        try:
            text = _read(path).strip()
        except OSError:
            continue
        return int(text) if text.isdigit() and int(text) < _NO_GRANT else 0
    return 0


def _read(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123  `pathlib` takes longer to import than all of this module
        return file.read()


class MemoryWatch:
    """See the module. It sets how many the gate lets in."""

    __slots__ = ("_gate", "_is_short", "_limit_bytes", "_limits", "_resident", "_timer")

    def __init__(self, gate: Gate, wheel: Wheel, resident: Callable[[], int] = resident_bytes) -> None:
        self._gate = gate
        self._resident = resident
        self._timer = wheel.timer(self._look)
        self._limit_bytes = 0.0
        self._is_short = False
        self._limits = Limits()

    def use(self, limits: Limits, soft_mib: int, granted: int) -> None:
        """Let in so many from now on, as long as memory stays below a limit: the one given, else most of the grant."""
        self._limits = limits
        self._limit_bytes = soft_mib * _MIB or granted * _SHARE
        self._is_short = False
        self._gate.resize(limits.max_inbound_concurrent, limits.inbound_queue_max_s)
        self._timer.disarm()
        if self._limit_bytes:
            self._look()

    def close(self) -> None:
        """Look no more."""
        self._timer.close()

    def _look(self) -> None:
        try:
            resident = self._resident()
        except OSError as error:
            _log.warning("memory is not watched: %s", error)
            return
        self._timer.arm(_EVERY_S)
        is_short = resident > self._limit_bytes
        if is_short == self._is_short:
            return
        self._is_short = is_short
        more = fields(resident_mib=resident // _MIB, limit_mib=int(self._limit_bytes / _MIB))
        if is_short:
            _log.warning("memory is short: requests are shed", extra=more)
            self._gate.resize(1, 0.0)
        else:
            _log.warning("memory is no longer short", extra=more)
            self._gate.resize(self._limits.max_inbound_concurrent, self._limits.inbound_queue_max_s)
