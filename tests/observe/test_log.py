"""Log records as lines: their form, what is escaped, and which of them appear."""

import json
import logging
import os
import re
import select
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext, suppress
from tempfile import TemporaryFile
from typing import Any, TextIO, cast

import pytest

from busbar_fast.observe import log
from busbar_fast.observe.log import TRACE, Sink, fields, set_up

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z [A-Z]+ .*")
_log = logging.getLogger("busbar_fast.test")


class Stream:
    """A file that the log writes to."""

    def __init__(self, file: TextIO, *, is_terminal: bool = False) -> None:
        self._file = file
        self._is_terminal = is_terminal
        self.encoding = file.encoding

    def fileno(self) -> int:
        return self._file.fileno()

    def isatty(self) -> bool:
        return self._is_terminal

    @property
    def text(self) -> str:
        """What was written so far."""
        self._file.seek(0)
        return self._file.read()


Lines = Callable[..., Stream]


@pytest.fixture(autouse=True)
def root() -> Iterator[logging.Logger]:
    """Return the root logger; it is put back afterwards."""
    found = logging.getLogger()
    before = found.handlers[:], found.level
    yield found
    found.handlers[:] = before[0]
    found.setLevel(before[1])


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Return what sets the log up on a file."""
    with ExitStack() as stack:

        def start(level: str | None = None, *, is_json: bool = False, is_terminal: bool = False) -> Stream:
            file = stack.enter_context(TemporaryFile("w+", encoding="utf-8"))
            stream = Stream(file, is_terminal=is_terminal)
            set_up(level, is_json=is_json, stream=cast("Any", stream))
            return stream

        yield start


def at(epoch_s: float, stream: Stream, message: str = "m") -> str:
    """Log a record of a certain time; return its line."""
    record = _log.makeRecord("n", logging.INFO, "f", 1, message, (), None)
    record.created = epoch_s
    logging.getLogger().handle(record)
    return stream.text


def test_line_has_time_level_message_and_fields(lines: Lines) -> None:
    """Config §12: UTC with microseconds, the level, the message, then `key=value` in the order they were given."""
    stream = lines()
    _log.info("hello %s", "you", extra=fields(b=1, a="x", on=True, off=False, none=None))
    line = stream.text
    assert LINE.fullmatch(line.rstrip("\n"))
    assert line.endswith("Z INFO hello you b=1 a=x on=true off=false none=None\n")


@pytest.mark.parametrize(
    ("epoch_s", "shown"),
    [
        (0.0, "1970-01-01T00:00:00.000000Z"),
        (1769860800.5, "2026-01-31T12:00:00.500000Z"),
        (1769860800.03125, "2026-01-31T12:00:00.031250Z"),
        (1769860799.9999998, "2026-01-31T11:59:59.999999Z"),
    ],
)
def test_time_is_utc_to_the_microsecond(lines: Lines, epoch_s: float, shown: str) -> None:
    """Config §12: the time never rounds up into a second that has not begun."""
    assert at(epoch_s, lines()).startswith(f"{shown} INFO m")
    assert json.loads(at(epoch_s, lines(is_json=True)))["ts"] == shown


@pytest.mark.parametrize(
    ("level", "seen"),
    [
        (None, "info warn error"),
        ("", "info warn error"),
        ("trace", "trace debug info warn error"),
        ("debug", "debug info warn error"),
        ("INFO", "info warn error"),
        (" Warn ", "warn error"),
        ("error", "error"),
        ("bogus", "info warn error"),
        ("warning", "info warn error"),
        ("busbar=debug", "info warn error"),
    ],
)
def test_level_is_one_bare_word(lines: Lines, level: str | None, seen: str) -> None:
    """Operations §13 case 60: any case of the five words, and anything else behaves as info."""
    stream = lines(level, is_json=True)
    for number, name in ((TRACE, "trace"), (10, "debug"), (20, "info"), (30, "warn"), (40, "error")):
        _log.log(number, name)
    records = [json.loads(line) for line in stream.text.splitlines()]
    assert [record["level"] for record in records] == [record["msg"] for record in records] == seen.split()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("", '""'),
        ("plain/x:1", "plain/x:1"),
        ("two words", '"two words"'),
        ('a"b', r'"a\"b"'),
        ("a=b", '"a=b"'),
        (r"a\b", r"a\b"),
        ("a b\\", r'"a b\\"'),
        ("a\nb", r'"a\nb"'),
        ("a\r\n\x1b[31mb", r'"a\r\n\x1b[31mb"'),
        ("\x85\u2028", r'"\x85\u2028"'),
        ("\ud800", r'"\ud800"'),
        ("müller", "müller"),
    ],
)
def test_value_is_told_from_what_surrounds_it(lines: Lines, value: str, shown: str) -> None:
    """Config §12: whatever a value holds, the record is one line and the value ends where it seems to."""
    stream = lines()
    _log.info("m", extra=fields(k=value))
    assert stream.text.endswith(f"INFO m k={shown}\n")


@pytest.mark.parametrize("is_json", [False, True])
@pytest.mark.parametrize("text", ["a\nERROR x", "a\r\n", "\u2028", "\x1b[2J", "\x85", "\x9b31m", "\ud800", "\x00\x7f"])
def test_message_cannot_begin_a_line(lines: Lines, text: str, is_json: bool) -> None:
    """Operations §13 case 48: a text that a client chose gives one escaped line in either form."""
    stream = lines(is_json=is_json)
    _log.info("name %s", text, extra=fields(text=text))
    line = stream.text
    assert line.endswith("\n")
    assert line[:-1].isprintable()


@pytest.mark.parametrize("is_json", [False, True])
def test_failure_with_its_traceback_is_one_line(lines: Lines, is_json: bool) -> None:
    """Config §12: also what the loop reports about a fault of ours is one line."""
    stream = lines(is_json=is_json)
    try:
        raise ValueError("bad\nthing")
    except ValueError:
        _log.exception("it broke", extra=fields(a=1))
    line = stream.text
    assert line.count("\n") == 1
    assert line.index("it broke") < line.index("Traceback") < line.index("ValueError: bad")


def test_json_record_is_one_object(lines: Lines) -> None:
    """Config §14 X17: `ts`, `level`, `msg`, then the fields with their types."""
    stream = lines(is_json=True)
    _log.warning("m %d", 1, extra=fields(n=2, on=True, what=ValueError("x")))
    record = json.loads(stream.text)
    assert list(record) == ["ts", "level", "msg", "n", "on", "what"]
    assert (record["level"], record["msg"], record["n"], record["on"], record["what"]) == ("warn", "m 1", 2, True, "x")


def test_colour_is_for_terminals(lines: Lines) -> None:
    """Config §12: a level has a colour on a terminal only, and one without a colour has none there either."""
    plain = lines("debug")
    _log.error("m")
    assert "\x1b" not in plain.text
    coloured = lines("debug", is_terminal=True)
    _log.error("m")
    _log.debug("m")
    first, second = coloured.text.splitlines()
    assert "\x1b[31mERROR\x1b[0m m" in first
    assert "\x1b" not in second


def test_setting_up_again_replaces_the_sink(lines: Lines) -> None:
    """Config §14 X9: a reload may change the form, and no record appears twice."""
    old, new = lines(), lines(is_json=True)
    _log.info("m")
    assert old.text == ""
    assert new.text.count("\n") == 1


# A reader that is slow, stuck or gone


class Pipe:
    """A pipe that the log writes to."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        self._begun = b""

    def fileno(self) -> int:
        return self.writing

    def isatty(self) -> bool:
        return False

    def read_messages(self) -> list[str]:
        """Return the messages that can be read now; a part of a line waits for the rest of it."""
        os.set_blocking(self.reading, False)
        with logging.getLogger().handlers[0].lock or nullcontext(), suppress(BlockingIOError):  # nobody writes more
            while True:
                self._begun += os.read(self.reading, 1 << 20)
        whole, end, self._begun = self._begun.rpartition(b"\n")
        return [json.loads(line)["msg"] for line in (whole + end).splitlines()]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """Return a pipe with nobody at its end."""
    made = Pipe()
    set_up("info", is_json=True, stream=cast("Any", made))
    yield made
    os.close(made.reading)
    for sink in logging.getLogger().handlers:
        sink.close()
    os.close(made.writing)


def test_stuck_reader_keeps_nobody_waiting(pipe: Pipe) -> None:
    """Operations §13 case 59: lines that a full pipe does not take are held, in order, until there is room."""
    wanted = [f"{number} " + "x" * 200 for number in range(2000)]
    for message in wanted:
        _log.info(message)
    read = pipe.read_messages()
    assert 100 < len(read) < len(wanted)
    _log.info("more")
    assert read + wait_for(pipe, "more") == [*wanted, "more"]


def test_lines_beyond_the_bound_are_counted(pipe: Pipe) -> None:
    """Operations §13 case 59: what was dropped is reported when lines are taken again."""
    count = 20000
    for number in range(count):
        _log.info("%d %s", number, "x" * 50)
    _log.info("more")
    read = wait_for(pipe, "log lines were dropped")
    numbered = [int(message.split()[0]) for message in read if message[0].isdigit()]
    assert numbered == list(range(len(numbered)))
    assert 8192 < len(numbered) < count


def wait_for(pipe: Pipe, last: str) -> list[str]:
    """Read until a message has come; return all that came."""
    read: list[str] = []
    while last not in read:
        select.select([pipe.reading], [], [], 5.0)
        read += pipe.read_messages()
    return read


def test_what_is_held_comes_without_another_record(pipe: Pipe) -> None:
    """Operations §10: a reader that was slow gets what was held, and how much was not, when it reads again."""
    count = 12000
    for number in range(count):
        _log.info("%d %s", number, "x" * 50)
    read = wait_for(pipe, "log lines were dropped")
    numbered = [int(message.split()[0]) for message in read if message[0].isdigit()]
    assert numbered == list(range(len(numbered)))
    assert 8192 < len(numbered) < count
    _log.info("again")
    assert wait_for(pipe, "again") == ["again"]


def read_until(pipe: Pipe, last: str, may_begin: threading.Event) -> list[str]:
    """Read, when that may begin, until a message has come, whoever writes meanwhile; return all that came."""
    assert may_begin.wait(5.0)
    read = b""
    while f'"msg": "{last}"'.encode() not in read or not read.endswith(b"\n"):
        assert select.select([pipe.reading], [], [], 5.0)[0]
        read += os.read(pipe.reading, 1 << 20)
    return [json.loads(line)["msg"] for line in read.splitlines()]


def test_end_waits_a_moment_for_a_slow_reader(pipe: Pipe) -> None:
    """Operations §10: what is held at the end is written as long as it is taken."""
    wanted = [f"{number} " + "x" * 200 for number in range(2000)]
    for message in wanted:
        _log.info(message)
    may_begin = threading.Event()
    may_begin.set()
    reading = ThreadPoolExecutor(1).submit(read_until, pipe, wanted[-1], may_begin)
    logging.getLogger().handlers[0].close()
    assert reading.result(5.0) == wanted


def test_end_does_not_wait_for_a_stuck_reader(pipe: Pipe) -> None:
    """Operations §10: who reads too late finds whole lines, and is told of the others if there was room for that."""
    for _ in range(2000):
        _log.info("x" * 200)
    began_s = time.monotonic()
    logging.getLogger().handlers[0].close()
    assert 1.0 <= time.monotonic() - began_s < 3.0
    first = pipe.read_messages()
    assert 100 < len(first) < 2000
    assert set(first) == {"x" * 200}


def test_end_tells_how_many_lines_are_lost(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Operations §10: a reader that comes back at the last moment learns how many lines it did not get."""
    sink, is_last = logging.getLogger().handlers[0], threading.Event()
    assert isinstance(sink, Sink)
    tell = sink._tell_dropped

    def tell_and_let_read() -> None:
        tell()
        is_last.set()

    for _ in range(2000):
        _log.info("x" * 200)
    monkeypatch.setattr(log, "_END_S", 0.0)
    monkeypatch.setattr(log, "_LAST_LINE_S", 5.0)
    monkeypatch.setattr(sink, "_tell_dropped", tell_and_let_read)
    reading = ThreadPoolExecutor(1).submit(read_until, pipe, "log lines were dropped", is_last)
    sink.close()
    read = reading.result(5.0)
    assert 1 < len(read) < 2000


def test_long_line_arrives_in_one_piece(pipe: Pipe) -> None:
    """Operations §10: a line that is longer than what a pipe takes at once is held in the middle and goes on there."""
    messages = ["y" * 50000, "z" * 50000, "end"]
    for message in messages:
        _log.info(message)
    assert wait_for(pipe, "end") == messages


def test_reader_that_is_gone_disturbs_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    """Operations §10: a broken pipe is no error of whoever logs."""
    pipe = Pipe()
    set_up("info", is_json=True, stream=cast("Any", pipe))
    os.close(pipe.reading)
    for _ in range(3):
        _log.info("m")
    logging.getLogger().handlers[0].close()
    assert capsys.readouterr().err == ""
    os.close(pipe.writing)


def test_setting_up_again_keeps_what_is_held(pipe: Pipe) -> None:
    """Config §14 X9: a reload changes form and level without a line lost or doubled."""
    count = 1000
    for number in range(count):
        _log.info("%d %s", number, "x" * 200)
    read = pipe.read_messages()
    assert len(read) < count
    set_up("error", is_json=True, stream=cast("Any", pipe))
    while len(read) <= count:
        _log.info("not seen")
        _log.error("more")
        read += pipe.read_messages()
    assert [message.split()[0] for message in read[: count + 1]] == [*map(str, range(count)), "more"]


def test_same_warning_comes_once_a_second(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    """Operations §10 "rate limit": with how many were left out; other fields are another warning, errors all count."""
    moments = iter((10.0, 10.1, 10.2, 10.3, 10.4, 11.05, 12.2, 12.3))
    monkeypatch.setattr("logging.time.time", lambda: next(moments))
    stream = lines()
    for lane in ("a", "a", "a", "b"):
        _log.warning("lane out of service", extra=fields(lane=lane))
    _log.error("lane out of service", extra=fields(lane="a"))
    _log.warning("lane out of service", extra=fields(lane="a"))
    _log.warning("lane out of service", extra=fields(lane="a"))
    _log.error("lane out of service", extra=fields(lane="a"))
    said = [line.split(" ", 1)[1] for line in stream.text.splitlines()]
    assert said == [
        "WARN lane out of service lane=a",
        "WARN lane out of service lane=b",
        "ERROR lane out of service lane=a",
        "WARN lane out of service lane=a suppressed=2",
        "WARN lane out of service lane=a",
        "ERROR lane out of service lane=a",
    ]


def test_warnings_about_a_configuration_are_told_each_time(lines: Lines) -> None:
    """Operations §10 "rate limit": two reloads within a second have the same to say."""
    stream = lines()
    for _ in range(2):
        _log.warning("this change takes effect at the next start", extra=fields(path="tls", id="W24"))
    assert len(stream.text.splitlines()) == 2


def test_warnings_that_differ_are_not_kept_for_ever(lines: Lines) -> None:
    """Operations §10 "rate limit": what is remembered is bounded, and nothing is lost by it."""
    stream = lines()
    for number in range(3000):
        _log.warning("number %d", number)
    assert len(stream.text.splitlines()) == 3000
