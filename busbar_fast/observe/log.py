"""Log lines on stderr: `2026-01-31T12:00:00.123456Z LEVEL message key=value`, or one JSON object per line.

Modules log with the standard library. A record's fields come as `extra=fields(key=value)`; whatever is in them is
escaped, so a record is always one line.
"""

import logging
import sys
import time
from typing import IO

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
_QUOTED = frozenset(' "=')


def set_up(level: str | None, *, is_json: bool, stream: IO[str] | None = None) -> None:
    """Send every record of this level and above to stderr; a level that nobody understands means `info`."""
    stream = stream or sys.stderr
    handler_level = LEVELS.get((level or "info").strip().lower(), logging.INFO)
    sink = logging.StreamHandler(stream)
    sink.setFormatter(JsonLines() if is_json else TextLines(is_coloured=stream.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [sink]
    root.setLevel(handler_level)


def fields(**values: object) -> dict[str, dict[str, object]]:
    """Return what to pass as `extra` so that a record carries these fields."""
    return {"fields": values}


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
        words += [f"{name}={_value(value)}" for name, value in _fields(record).items()]
        if record.exc_info:
            words.append("\n" + self.formatException(record.exc_info))
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
        return json.dumps(line, ensure_ascii=False, default=str)


def _time(epoch_s: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(epoch_s))
    return f"{whole}.{int(epoch_s % 1 * 1e6):06}Z"


def _fields(record: logging.LogRecord) -> dict[str, object]:
    found = getattr(record, "fields", None)
    return found if isinstance(found, dict) else {}


def _value(value: object) -> str:
    text = _one_line(str(value).lower() if isinstance(value, bool) else str(value))
    if not text or not _QUOTED.isdisjoint(text):
        return '"' + text.replace('"', '\\"') + '"'
    return text


def _one_line(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
