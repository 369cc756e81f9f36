"""A terminal that is taken over for a while: another screen, keys as they are pressed, and everything given back."""

import os
import select
import signal
import sys
import termios
from collections.abc import Iterable
from contextlib import suppress
from types import FrameType
from typing import Any, Final, NoReturn, Self

_ENTER: Final = "\x1b[?1049h\x1b[?25l"  # the other screen, no cursor
_LEAVE: Final = "\x1b[?25h\x1b[?1049l"
_HOME, _CLEAR_LINE, _CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"
_ENDS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_USUAL_SIZE: Final = (80, 24)
_LOCAL, _SPECIAL = 3, 6  # places in what termios tells


class Ended(Exception):
    """Somebody wants an end; `number` is the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Terminal:
    """Standard output, and standard input where that is a terminal too."""

    def __init__(self) -> None:
        self._keys = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else -1
        self._before: list[Any] | None = None
        self._wakes, self._wake = -1, -1

    def __enter__(self) -> Self:
        self._wakes, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        if self._keys >= 0:
            self._before = termios.tcgetattr(self._keys)
        try:
            self._take_over()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _take_over(self) -> None:
        for number in _ENDS:
            signal.signal(number, _end)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)  # a new size ends the wait
        signal.signal(signal.SIGWINCH, lambda _number, _frame: None)
        if self._keys >= 0:
            mode = termios.tcgetattr(self._keys)
            mode[_LOCAL] &= ~(termios.ICANON | termios.ECHO)
            mode[_SPECIAL][termios.VSUSP] = b"\0"  # whoever stops us would find our screen in place of theirs
            termios.tcsetattr(self._keys, termios.TCSADRAIN, mode)
        _write(_ENTER)

    def __exit__(self, *_: object) -> None:
        for number in _ENDS:  # nothing may come between what is given back
            signal.signal(number, signal.SIG_IGN)
        with suppress(Ended):  # it may be gone
            _write(_LEAVE)
        if self._before is not None:
            with suppress(termios.error):
                termios.tcsetattr(self._keys, termios.TCSADRAIN, self._before)
        signal.set_wakeup_fd(-1)
        os.close(self._wakes)
        os.close(self._wake)
        for number in _ENDS:
            signal.signal(number, signal.SIG_DFL)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        try:
            columns, lines = os.get_terminal_size(sys.stdout.fileno())
        except OSError:
            columns = lines = 0
        return columns or _USUAL_SIZE[0], lines or _USUAL_SIZE[1]

    def show(self, lines: Iterable[str]) -> None:
        """Draw a screen over the one before."""
        _write(_HOME + f"{_CLEAR_LINE}\r\n".join(lines) + _CLEAR_LINE + _CLEAR_BELOW)

    def wait(self, seconds: float) -> str:
        """Wait for a key, a new size or the time to pass; return the key, if it was one."""
        watched = [self._wakes] if self._keys < 0 else [self._wakes, self._keys]
        ready, _, _ = select.select(watched, [], [], max(seconds, 0.0))
        if self._wakes in ready:
            os.read(self._wakes, 64)
        if self._keys in ready:
            typed = os.read(self._keys, 64)
            if not typed:  # nobody is there any more
                self._keys = -1
            return typed.decode("latin-1")
        return ""


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    raise Ended(number)


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:  # the terminal is gone
        raise Ended(signal.SIGHUP) from error
