"""Looks at answers while their bytes go by: one JSON document, or a stream of events that each hold one.

Dialects say where usage stands, how it reads, and what an event means; this finds the values and the events, however
the bytes are cut. Nothing here raises, builds a document, or keeps more than a bounded part of an answer.

Theory of operation. Whole events without the dialect's sign are put aside, the last few of them, and read only when
somebody asks how the stream ended. The others are read at once. An event of more than CAP_BYTES, such as one with a
picture in it, is not kept: its last line is read as it comes, for the usage in it, and since whatever else it says
stays unknown it may have been the last one.
"""

import re
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import ClassVar, Final, Protocol

from busbar_fast.dialects.dialect import StreamFault, Usage, Watch
from busbar_fast.errors import NotJson, TooDeep
from busbar_fast.wire.json_scan import MemberScanner, Span, find_members, is_object
from busbar_fast.wire.sse import Event, SseSplitter, parse_event

CAP_BYTES: Final = 64 * 1024  # of one event, or of one usage
TAIL_PIECES: Final = 8
_ASIDE_BYTES: Final = 4096  # of a piece that is put aside without being split
_DOCUMENT: Final = b"application/json"
_EVENT_STREAM: Final = b"text/event-stream"
_PREFIX: Final = b"data:"
_SPACE: Final = b" \t\r\n"
_COUNT_DIGITS: Final = 18  # more is no count, and the sum of a few still fits 64 bits

_BACKSLASH: Final = ord("\\")
_match_last_object: Final = re.compile(
    rb"%b:%b(\{[^{}\"]*+(?:(?:\{[^{}]*+\}|\"[^\"\\{}]*+\")[^{}\"]*+)*+\})%b\}%b\Z" % ((rb"[ \t\r\n]*+",) * 4)
).match
_find_line_end: Final = re.compile(rb"[\r\n]").search

TakeValue = Callable[[bytes], None]
ReadUsage = Callable[[bytes], Usage | None]


def is_event_stream(content_type: bytes) -> bool:
    """Say whether a content type is that of an event stream."""
    if content_type.startswith(_DOCUMENT):
        return False  # as most are
    return content_type.lstrip()[: len(_EVENT_STREAM)].lower() == _EVENT_STREAM


def read_counts(document: bytes, names: Collection[bytes], start: int = 0, end: int | None = None) -> dict[bytes, int]:
    """Return the named counts of the object in this range; what is no count, such as null, is left out.

    Raise NotJson or TooDeep.
    """
    counts: dict[bytes, int] = {}
    for name, spans in find_members(document, names, start, end).items():
        value_start, value_end = spans[-1]
        raw = document[value_start:value_end]
        if raw.isdigit() and len(raw) <= _COUNT_DIGITS:
            counts[name] = int(raw)
    return counts


def maybe_object(document: bytes, name: bytes, start: int = 0, end: int | None = None) -> Span | None:
    """Return where the last member of this name is in the object in this range, if it is an object itself.

    Raise NotJson or TooDeep.
    """
    spans = find_members(document, (name,), start, end).get(name)
    return spans[-1] if spans and is_object(document, spans[-1]) else None


def text_of(document: bytes, spans: list[Span] | None) -> bytes:
    """Return what stands between the quotes of the last of these values; nothing if it is no string."""
    if not spans:
        return b""
    start, end = spans[-1]
    return document[start + 1 : end - 1] if document[start] == ord('"') else b""


class _Sink(Protocol):
    """Takes values that arrive in parts."""

    def begin(self) -> None:
        """Expect a new value."""

    def feed(self, part: bytes) -> None:
        """Take the next part of it."""

    def end(self) -> None:
        """The value is whole."""


class _Value:
    """The end of a chain: keeps a value and hands it over."""

    __slots__ = ("_raw", "_take")

    def __init__(self, take: TakeValue) -> None:
        self._raw = bytearray()
        self._take = take

    def begin(self) -> None:
        self._raw.clear()

    def feed(self, part: bytes) -> None:
        self._raw += part[: CAP_BYTES + 1 - len(self._raw)]

    def end(self) -> None:
        if len(self._raw) <= CAP_BYTES:
            self._take(bytes(self._raw))


class _Member:
    """One link of a chain: reads an object and hands the value of one member on. Raises NotJson and TooDeep."""

    __slots__ = ("_base", "_name", "_scanner", "_sink")

    def __init__(self, name: bytes, sink: _Sink) -> None:
        self._name = name
        self._sink = sink
        self.begin()

    def begin(self) -> None:
        self._scanner = MemberScanner((self._name,))
        self._base = 0  # the offset of the next part

    def feed(self, part: bytes) -> None:
        base = self._base
        self._scanner.feed(part)
        self._base = base + len(part)
        # What has been handed on is forgotten, or a document of nothing but such members would fill the memory.
        for start, end in self._scanner.found.pop(self._name, ()):
            self._hand_on(part, start - base, end - base)
            self._sink.end()
        start_of_open = self._scanner.open_start
        if start_of_open is not None:
            self._hand_on(part, start_of_open - base, len(part))

    def end(self) -> None:
        self._scanner.finish()

    def _hand_on(self, part: bytes, start: int, end: int) -> None:
        if start >= 0:
            self._sink.begin()
        self._sink.feed(part[max(start, 0) : end])


class ValueFinder:
    """Finds the value at a path in a document that arrives in pieces, and hands it over as soon as it is whole."""

    __slots__ = ("_root", "is_sound")

    def __init__(self, path: tuple[bytes, ...], take: TakeValue) -> None:
        self.is_sound = True
        self._root: _Sink = _Value(take)
        for name in reversed(path):
            self._root = _Member(name, self._root)

    def feed(self, piece: bytes) -> None:
        """Read the next piece; nothing more is found once the document has proved malformed."""
        if self.is_sound:
            try:
                self._root.feed(piece)
            except (NotJson, TooDeep):
                self.is_sound = False


def _last_object(document: bytes, after: int) -> bytes:
    """Return the value of the last member of a whole object, if its key ends there and it is an object; else nothing.

    A key and its colon can stand in no string, whose quotes would have backslashes before them, and what only one brace
    follows is a member of the outermost object.
    """
    # HOT: 0.8 µs in place of 4.4, perf/micro/bench_watch.py, CPython 3.11, 2026-11
    match = _match_last_object(document, after)
    return b"" if match is None else match[1]


def _key_end(document: bytes, name: bytes) -> int:
    """Return where the last key of this name ends, 0 if there is none."""
    at = document.rfind(b'"' + name + b'"')
    return at + len(name) + 2 if at > 0 and document[at - 1] != _BACKSLASH else 0


class DocumentWatch(Watch):
    """Looks at one JSON document; one that proves malformed has no usage.

    `read_usual` reads usage that looks like most, and nothing else: all the bytes it is given.
    """

    __slots__ = ("_finder", "_has_begun", "_is_sound", "_is_whole", "_name", "_read", "_read_usual", "_usage")

    def __init__(self, name: bytes, read: ReadUsage, read_usual: ReadUsage | None = None) -> None:
        self._name = name
        self._read = read
        self._read_usual = read_usual
        self._finder: ValueFinder | None = None
        self._is_sound = True
        self._has_begun = False
        self._is_whole = False  # nothing but space may follow
        self._usage: Usage | None = None

    def feed(self, piece: bytes) -> None:
        if not self._has_begun and piece.startswith(b"{") and piece.endswith(b"}"):
            self._is_whole = self._read_whole(piece)
        elif self._is_whole and piece.strip(_SPACE):
            self._is_sound = False
        self._has_begun = self._has_begun or piece != b""
        if not self._is_whole:
            if self._finder is None:
                self._finder = ValueFinder((self._name,), self._take)
            self._finder.feed(piece)

    def feed_whole(self, document: bytes) -> None:
        after = _key_end(document, self._name)
        if after and self._read_usual is not None and document[after : after + 1] == b":" and document.endswith(b"}}"):
            # HOT: what is usual to its last byte is the last member: one pattern instead of two, 0.7 µs fewer, as above
            self._usage = self._read_usual(document[after + 1 : -1])
            if self._usage is not None:
                return
        last = _last_object(document, after) if after else b""
        if last:
            self._take(last)
        else:
            self.feed(document)

    def maybe_usage(self) -> Usage | None:
        return self._usage if self._is_sound and (self._finder is None or self._finder.is_sound) else None

    def _read_whole(self, document: bytes) -> bool:
        """Read a document that has most likely come in one piece; return whether it has."""
        # HOT: a third of what it takes to be ready for any cut, perf/micro/bench_exchange.py, 3.11, 2026-11
        try:
            spans = find_members(document, (self._name,)).get(self._name, [])
        except (NotJson, TooDeep):
            return False
        for start, end in spans:
            self._take(document[start:end])
        return True

    def _take(self, raw: bytes) -> None:
        if len(raw) <= CAP_BYTES:
            self._usage = self._read(raw) or self._usage


def _is_whole(event: bytes) -> bool:
    """Say whether an event without its empty line has all of its payload: a name alone says nothing."""
    payload = parse_event(event).payload
    if payload is None or not payload.startswith(b"{"):
        return payload is not None
    try:
        find_members(payload, ())
    except (NotJson, TooDeep):
        return False
    return True


class EventWatch(Watch):
    """Looks at an event stream. A dialect says what an event means and where usage stands in one of any size."""

    __slots__ = ("_fault", "_has_ended", "_is_skipping", "_large", "_may_end", "_splitter", "_tail", "_usage")

    ends: tuple[bytes, ...] = (b"\n\n", b"\r\n\r\n")
    path: ClassVar[tuple[bytes, ...]] = ()
    last_names: ClassVar[frozenset[bytes]] = frozenset()  # of the events that end a stream, where events have names
    fault_signs: ClassVar[tuple[bytes, ...]] = (b"error",)  # one of them stands in any event that is a fault

    def __init__(self) -> None:
        self._splitter = SseSplitter(3 * CAP_BYTES)  # more than it is ever given to keep
        self._large: ValueFinder | None = None  # reads the line that made an event too large
        self._is_skipping = False  # the rest of an event that was too large
        self._may_end = True  # which may have been the last one
        self._tail: deque[bytes] = deque(maxlen=TAIL_PIECES)  # whole events that were put aside
        self._usage: Usage | None = None
        self._has_ended = False
        self._fault: StreamFault | None = None

    # What a dialect says

    @abstractmethod
    def _read_event(self, event: Event, payload: bytes) -> None:
        """Take what an event says. May raise NotJson and TooDeep."""

    @abstractmethod
    def _read_usage(self, raw: bytes) -> None:
        """Take the value at the path, whatever it is. May raise NotJson and TooDeep."""

    # What is asked

    @property
    def is_between(self) -> bool:
        return self._splitter.is_between and self._large is None and not self._is_skipping

    def maybe_usage(self) -> Usage | None:
        self._read_rest()
        return self._usage

    @property
    def has_ended(self) -> bool:
        self._read_tail()
        self._read_rest()
        return self._has_ended

    @property
    def fault(self) -> StreamFault | None:
        self._read_tail()
        self._read_rest()
        return self._fault

    def feed(self, piece: bytes) -> None:
        if len(piece) <= _ASIDE_BYTES and piece.rfind(self.sign) < 0 and piece.endswith(self.ends) and self.is_between:
            self._tail.append(piece)
            return
        for at in range(0, len(piece), CAP_BYTES):
            part = piece[at : at + CAP_BYTES]
            if self._large is None:
                self._feed_part(part)
            else:
                self._feed_large(self._large, part)

    # Within

    def _feed_part(self, part: bytes) -> None:
        """Read the events that end in this part, which is so short that an event is too large only if none does."""
        events = self._splitter.feed(part)
        if events and self._is_skipping:
            del events[0]
            self._is_skipping = False
        for event in events:
            if event.rfind(self.sign) < 0:
                self._tail.append(event)
            else:
                self._read_faults()
                self._read(event)
        if self._splitter.held_bytes > CAP_BYTES:
            self._begin_large(self._splitter.take_rest())

    def _begin_large(self, start: bytes) -> None:
        """Go on with the last line of an event of which this is the start."""
        text = start.rstrip(b"\r\n")
        line = text[max(text.rfind(b"\n"), text.rfind(b"\r")) + 1 :]
        name = parse_event(start).name
        self._may_end = name is None or not self.last_names or name in self.last_names
        large = self._large = ValueFinder(self.path, self._take_large)
        large.is_sound = self.path != () and line.startswith(_PREFIX) and not self._is_skipping
        self._feed_large(large, line[len(_PREFIX) :] + start[len(text) :])

    def _feed_large(self, large: ValueFinder, part: bytes) -> None:
        """Read more of the line; behind its end the event goes on as if it were a comment, and is skipped."""
        line_end = _find_line_end(part)
        if line_end is None:
            large.feed(part)
            return
        large.feed(part[: line_end.start()])
        self._large = None
        self._is_skipping = True
        self._has_ended = self._has_ended or self._may_end
        self._feed_part(b":" + part[line_end.start() :])

    def _take_large(self, raw: bytes) -> None:
        with suppress(NotJson, TooDeep):
            self._read_usage(raw)

    def _read(self, event: bytes) -> None:
        parsed = parse_event(event)
        if parsed.payload is not None:
            try:
                self._read_event(parsed, parsed.payload)
            except (NotJson, TooDeep):
                return

    def _read_rest(self) -> None:
        """Read what has come of an event without its empty line, as most clients would."""
        if self._large is None and not self._is_skipping and self._splitter.held_bytes:
            self._read_faults()
            rest = self._splitter.take_rest()
            self._splitter.feed(rest)
            if _is_whole(rest):
                self._read(rest)

    def _read_tail(self) -> None:
        """Read what was put aside, from its end and only until it is known how the stream ended."""
        self._read_faults()
        if self._tail:
            for event in reversed(self._take_tail()):
                if self._has_ended:
                    return
                self._read(event)

    def _read_faults(self) -> None:
        """Read all that was put aside if a fault may be there, so that the first one is found first."""
        if self._tail and self._fault is None:
            text = b"".join(self._tail)
            if any(text.rfind(sign) >= 0 for sign in self.fault_signs):
                for event in self._take_tail():
                    self._read(event)

    def _take_tail(self) -> list[bytes]:
        text = b"".join(self._tail)
        self._tail.clear()
        return SseSplitter(len(text), is_at_start=False).feed(text)
