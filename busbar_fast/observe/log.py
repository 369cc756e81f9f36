"""Log lines on stderr: `2026-01-31T12:00:00.123456Z LEVEL message key=value`, or one JSON object per line.

Modules log with the standard library. A record's fields come as `extra=fields(key=value)`; whatever is in them is
escaped, so a record is always one line.

Nobody waits for the reader of stderr. A line is written when the kernel takes it at once; else it is held, and a thread
that lives as long as anything is held writes it when there is room. Beyond a bound lines are dropped and counted. At
the end of the process a slow reader gets a moment; then it is told how many lines it did not get, if it takes that.
"""

import logging
import select
import sys
import threading
import time
from collections import deque
from contextlib import AbstractContextManager, nullcontext
from os import write as write_raw
from typing import TextIO

_log = logging.getLogger("busbar_fast.observe")

TRACE = 5
LEVELS = {
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": TRACE,
}
_NAMES = {number: name.upper() for name, number in LEVELS.items()} | {logging.CRITICAL: "ERROR"}
_COLOURS = {logging.ERROR: "31", logging.CRITICAL: "31", logging.WARNING: "33", logging.INFO: "32"}
_QUOTED = frozenset(' "=')  # a value with one of these stands in quotation marks
_MOST_HELD = 8192  # lines
_SAME_S = 1.0
_LOOK_AGAIN_S = 1.0
_END_S = 1.0  # for a slow reader when the process ends
_LAST_LINE_S = 0.2
_MOST_SAME = 1024  # warnings that are remembered
# What poll promises: a pipe that is ready takes so much without blocking, POSIX pipe(7).
_PIECE_BYTES = select.PIPE_BUF


def set_up(level: str | None, *, is_json: bool, stream: TextIO | None = None) -> None:
    """Send every record of this level and above to stderr; a level that nobody understands means `info`."""
    stream = stream or sys.__stderr__
    if stream is None:  # closed before we were started
        return
    root = logging.getLogger()
    # A sink that is there already keeps what it holds.
    sinks = [sink for sink in root.handlers if isinstance(sink, Sink) and sink.stream is stream] or [Sink(stream)]
    sinks[0].setFormatter(JsonLines() if is_json else TextLines(is_coloured=stream.isatty()))
    root.handlers[:] = sinks
    root.setLevel(LEVELS.get((level or "info").strip().lower(), logging.INFO))


def fields(**values: object) -> dict[str, dict[str, object]]:
    """Return what to pass as `extra` so that a record carries these fields."""
    return {"fields": values}


class Sink(logging.Handler):
    """Writes lines to a stream that may be slow, stuck or gone; see the module."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.stream = stream
        self._number = stream.fileno()
        self._encoding = stream.encoding
        self._poller = select.poll()
        self._poller.register(self._number, select.POLLOUT)
        self._held: deque[bytes] = deque()
        self._is_torn = False  # a part of the first line is out
        self._is_waited_for = False  # by a thread
        self._dropped = 0
        self._warned = Warned()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, behind what is held, or hold it too. The caller has the lock."""
        if record.levelno == logging.WARNING and not self._warned.admits(record):
            return
        if len(self._held) >= _MOST_HELD:
            self.flush()
        if len(self._held) >= _MOST_HELD:
            self._dropped += 1
            return
        self._tell_dropped()
        self._hold(record)
        self.flush()
        if self._held and not self._is_waited_for:
            self._is_waited_for = True
            threading.Thread(target=self._wait_for_reader, name="log", daemon=True).start()

    def flush(self) -> None:
        """Write what the kernel takes at once."""
        held = self._held
        try:
            while held and self._poller.poll(0):
                self._write_first()
        except OSError:  # nobody reads any more, or the disk is full
            self._drop(len(held))

    def close(self) -> None:
        """Write what is taken in a moment, and tell how many lines were not."""
        with self._locked():
            self._flush_within(_END_S)
            self._drop(len(self._held) - self._is_torn)
            self._tell_dropped()
            self._flush_within(_LAST_LINE_S)
            self._held.clear()
        super().close()

    def _wait_for_reader(self) -> None:
        """Write what is held as it is taken, until nothing is; runs on a thread of its own."""
        poller = select.poll()
        poller.register(self._number, select.POLLOUT)
        may_tell = True
        while True:
            poller.poll(_LOOK_AGAIN_S * 1000)
            with self._locked():
                self.flush()
                if may_tell and not self._held:
                    may_tell = False  # where nobody reads any more this would go on for ever
                    self._tell_dropped()
                    self.flush()
                if not self._held:
                    self._is_waited_for = False
                    return

    def _locked(self) -> AbstractContextManager[object]:
        return self.lock or nullcontext()

    def _flush_within(self, limit_s: float) -> None:
        ends_s = time.monotonic() + limit_s
        self.flush()
        while self._held and (left_s := ends_s - time.monotonic()) > 0:
            self._poller.poll(left_s * 1000)
            self.flush()

    def _write_first(self) -> None:
        line = self._held[0]
        written = write_raw(self._number, line[:_PIECE_BYTES])
        self._is_torn = written < len(line)
        if self._is_torn:
            self._held[0] = line[written:]
        else:
            self._held.popleft()

    def _drop(self, count: int) -> None:
        """Drop the newest of what is held."""
        for _ in range(count):
            self._held.pop()
        self._dropped += count

    def _tell_dropped(self) -> None:
        if self._dropped:
            carried, self._dropped = fields(count=self._dropped), 0
            words = "log lines were dropped"
            self._hold(_log.makeRecord(_log.name, logging.WARNING, "", 0, words, (), None, extra=carried))

    def _hold(self, record: logging.LogRecord) -> None:
        self._held.append(f"{self.format(record)}\n".encode(self._encoding, "backslashreplace"))


class Warned:
    """Which warnings were given lately: the same one comes once a second at most, with how many went by since."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: dict[str, tuple[float, int]] = {}  # when it was given, and how many were not since

    def admits(self, record: logging.LogRecord) -> bool:
        """Say whether a warning is to be given; add to its fields how many like it were not."""
        carried = _fields(record)
        if "id" in carried:  # of a configuration: told whenever one is read
            return True
        words = f"{record.name} {record.getMessage()} {carried}"
        given_s, silent = self._last.get(words, (-_SAME_S, 0))
        if record.created - given_s < _SAME_S:
            self._last[words] = (given_s, silent + 1)
            return False
        if len(self._last) >= _MOST_SAME:
            self._last.clear()
        self._last[words] = (record.created, 0)
        if silent:
            record.__dict__["fields"] = {**carried, "suppressed": silent}
        return True


class TextLines(logging.Formatter):
    """Lines for people."""

    def __init__(self, *, is_coloured: bool) -> None:
        super().__init__()
        self._is_coloured = is_coloured

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        level = _NAMES.get(record.levelno, record.levelname)
        colour = _COLOURS.get(record.levelno) if self._is_coloured else None
        if colour is not None:
            level = f"\x1b[{colour}m{level}\x1b[0m"
        words = [_time(record.created), level, _one_line(record.getMessage())]
        carried = _fields(record)
        if record.exc_info:
            carried["error"] = self.formatException(record.exc_info)
        words += [f"{name}={_value(value)}" for name, value in carried.items()]
        return " ".join(words)


class JsonLines(logging.Formatter):
    """Lines for machines."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        import json  # noqa: PLC0415  3 ms of import that most starts do not pay

        line: dict[str, object] = {
            "ts": _time(record.created),
            "level": _NAMES.get(record.levelno, record.levelname).lower(),
            "msg": record.getMessage(),
        }
        line |= _fields(record)
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _time(epoch_s: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(epoch_s))
    return f"{whole}.{int(epoch_s % 1 * 1e6):06}Z"


def _fields(record: logging.LogRecord) -> dict[str, object]:
    found = getattr(record, "fields", None)
    return dict(found) if isinstance(found, dict) else {}


def _value(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if not text or not _QUOTED.isdisjoint(text) or not text.isprintable():
        return '"' + _one_line(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'
    return text


def _one_line(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
