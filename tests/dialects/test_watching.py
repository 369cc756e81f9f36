"""Documents and events found while they go by, whole and cut anywhere, against a slow obvious twin."""

import json
from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar_fast.dialects.dialect import StreamFault, Usage
from busbar_fast.dialects.registry import speak
from busbar_fast.dialects.watching import (
    CAP_BYTES,
    TAIL_PIECES,
    DocumentWatch,
    EventWatch,
    is_event_stream,
    maybe_object,
    read_counts,
    text_of,
)
from busbar_fast.errors import NotJson
from busbar_fast.mock.script import Script
from busbar_fast.wire.json_scan import find_members
from busbar_fast.wire.sse import Event
from tests.dialects.vendors import streamed
from tests.dialects.watches import EVENTS
from tests.wire.twins import Fields, cut_at, events_by_the_book, every_cut

PROPERTY = settings(derandomize=True, deadline=None, max_examples=150)
USAGE = b'{"in_tokens":31,"out_tokens":18}'
FOUND = Usage(31, 18)
DONE = b"data: [DONE]\n\n"


def maybe_usage(raw: bytes) -> Usage | None:
    """Return what a usage value of the made-up dialect counts."""
    try:
        counts = read_counts(raw, (b"in_tokens", b"out_tokens"))
    except NotJson:
        return None
    return Usage(counts.get(b"in_tokens", 0), counts.get(b"out_tokens", 0)) if counts else None


class MadeUp(EventWatch):
    """A dialect that says `[DONE]` when all is said, and has a member `error` when something went wrong."""

    __slots__ = ()

    sign = b'_tokens"'
    path: ClassVar[tuple[bytes, ...]] = (b"usage",)

    def _read_event(self, event: Event, payload: bytes) -> None:
        if payload == b"[DONE]":
            self._has_ended = True
            return
        found = find_members(payload, (b"usage", b"error"))
        if b"error" in found:
            self._fault = self._fault or StreamFault((event.name or b"").decode(), payload)
        for start, end in found.get(b"usage", [])[-1:]:
            self._read_usage(payload[start:end])

    def _read_usage(self, raw: bytes) -> None:
        self._usage = maybe_usage(raw) or self._usage


class Pathless(MadeUp):
    """The same without usage in large events."""

    __slots__ = ()

    path = ()


class Nested(MadeUp):
    """The same with usage a level deeper in large events."""

    __slots__ = ()

    path = (b"usage", b"usage")


class Said(NamedTuple):
    """What a watch says."""

    usage: Usage | None
    has_ended: bool
    fault: StreamFault | None


NOTHING = Said(None, False, None)


def fed(watch: EventWatch, pieces: Iterable[bytes]) -> Said:
    """Return what a watch says once the pieces went by."""
    for piece in pieces:
        watch.feed(piece)
    return Said(watch.maybe_usage(), watch.has_ended, watch.fault)


def counted(pieces: Iterable[bytes]) -> Usage | None:
    """Return what the watch of a document says once the pieces went by."""
    watch = DocumentWatch(b"usage", maybe_usage)
    for piece in pieces:
        watch.feed(piece)
    assert (watch.has_ended, watch.fault, watch.is_between) == (True, None, False)
    return watch.maybe_usage()


def twin(stream: bytes) -> Said:
    """Return what a parser finds in the events of a stream; one without its empty line counts."""
    events, rest = events_by_the_book(stream)
    said = NOTHING
    for event in (*events, rest):
        said = twin_of_event(event, said)
    return said


def twin_of_event(event: Fields, said: Said) -> Said:
    """Return what is known with one more event."""
    if event.payload == b"[DONE]":
        return said._replace(has_ended=True)
    try:
        document = json.loads(event.payload or b"")
    except ValueError:
        return said
    if not isinstance(document, dict):
        return said
    if "error" in document and said.fault is None:
        said = said._replace(fault=StreamFault((event.name or b"").decode(), event.payload or b""))
    return said._replace(usage=usage_by_the_book(document.get("usage")) or said.usage)


def usage_by_the_book(usage: object) -> Usage | None:
    """Return what a decoded usage value counts."""
    counts = [usage.get(name) if isinstance(usage, dict) else None for name in ("in_tokens", "out_tokens")]
    sane = [count if type(count) is int and 0 <= count < 10**18 else None for count in counts]
    return None if sane == [None, None] else Usage(sane[0] or 0, sane[1] or 0)


# Small questions


@pytest.mark.parametrize(
    ("content_type", "is_stream"),
    [
        (b"text/event-stream", True),
        (b" Text/Event-Stream; charset=utf-8", True),
        (b"application/json", False),
        (b"", False),
    ],
)
def test_streams_are_told_by_their_type(content_type: bytes, is_stream: bool) -> None:
    """A parameter, a blank or another case does not hide a stream."""
    assert is_event_stream(content_type) is is_stream


@pytest.mark.parametrize(
    ("raw", "counts"),
    [
        (b'{"a":1,"b":0,"c":7}', {b"a": 1, b"b": 0}),
        (b'{"a":1,"a":2}', {b"a": 2}),
        (b'{"a":999999999999999999,"b":1000000000000000000}', {b"a": 10**18 - 1}),
        (b'{"a":-1,"b":1.0}', {}),
        (b'{"a":"1","b":null}', {}),
        (b'{"a":true,"b":[1]}', {}),
        (b"{}", {}),
    ],
)
def test_whole_numbers_count_and_nothing_else_does(raw: bytes, counts: dict[bytes, int]) -> None:
    """A count that is absent or odd is left out instead of being guessed, and of several the last one stands."""
    assert read_counts(raw, (b"a", b"b")) == counts


@pytest.mark.parametrize(
    ("raw", "span"),
    [(b'{"a":{}}', (5, 7)), (b'{"a":1,"a":{}}', (11, 13)), (b'{"a":{},"a":1}', None), (b'{"b":{}}', None)],
)
def test_last_member_must_be_an_object(raw: bytes, span: tuple[int, int] | None) -> None:
    """Parsers let the last of several win, so an object before it is none."""
    assert maybe_object(raw, b"a") == span


@pytest.mark.parametrize(("raw", "text"), [(b'{"a":"x"}', b"x"), (b'{"a":"x","a":null}', b""), (b'{"b":"x"}', b"")])
def test_text_is_what_stands_between_quotes(raw: bytes, text: bytes) -> None:
    """What is no string has no text."""
    assert text_of(raw, find_members(raw, (b"a",)).get(b"a")) == text


# Documents


@pytest.mark.parametrize(
    ("document", "usage"),
    [
        (b'{"a":"\xc3\xa9\\"usage\\":{","usage":%b}' % USAGE, FOUND),
        (b' {"usage":%b }\r\n' % USAGE, FOUND),
        (b'{"us\\u0061ge":%b,"a":[{"usage":{"in_tokens":1}}]}\r\n' % USAGE, FOUND),
        (b'{"usage":{"in_tokens":1},"usage":%b}' % USAGE, FOUND),
        (b'{"usage":%b,"usage":null}' % USAGE, FOUND),
        (b'{"usage":{"in_tokens" 1}}', None),
        (b'{"usage":null}', None),
        (b'{"usage":12}', None),
        (b'{"a":{"usage":%b}}' % USAGE, None),
        (b"[%b]" % USAGE, None),
        (b"<html>usage</html>", None),
        (b"{<html>}", None),
        (b"", None),
        (b"}{", None),
        (b'{"usage":%b}}' % USAGE, None),
        (b'{"usage":%b}{}' % USAGE, None),
        (b'{"usage":%b} x' % USAGE, None),
        (b'{"usage":%b,"a":%b1%b}' % (USAGE, b"[" * 200, b"]" * 200), None),
        (b'{"usage":%b' % USAGE, FOUND),
        (b'{"usage":{"in_tokens":31,"out_tokens":18', None),
    ],
)
def test_document_cut_anywhere_counts_the_same(document: bytes, usage: Usage | None) -> None:
    """The value is found at the root and nowhere else, whatever surrounds it and however it arrives."""
    for pieces in every_cut(document):
        assert counted(pieces) == usage


@pytest.mark.parametrize("piece_bytes", [1_000, 50_000, 200_000])
def test_huge_usage_is_not_kept(piece_bytes: int) -> None:
    """A value beyond the cap counts nothing, and one behind it is found."""
    padding = b" " * CAP_BYTES
    document = b'{"usage":{%b"in_tokens":1},"x":1,"usage":%b}' % (padding, USAGE)
    places = list(range(0, len(document), piece_bytes))
    assert counted(cut_at(document, places)) == FOUND
    assert counted(cut_at(document[: len(padding) + 30] + b"}", places)) is None
    fitting = b'{"usage":%b}' % USAGE.replace(b"}", padding[: -len(USAGE)] + b"}")
    assert counted(cut_at(fitting, places)) == FOUND


@pytest.mark.parametrize(
    ("document", "counted"),
    [
        (b'{"a":1,"usage":%b}', True),
        (b'{"usage" : %b } \n', True),
        (b'{"usage":{"in_tokens":9},"usage":%b}', True),
        (b'{"usage":%b,"b":[{"usage":{"in_tokens":7}}]}', True),
        (b'{"usage":%b,"b":{"usage":{"in_tokens":7}}}', True),
        (b'{"usage":%b,"b":"\\"usage\\":{}"}', True),
        (b'{"usage":%b,"us\\u0061ge":null}', True),
        (b'{"x":{"usage":%b}}', False),
        (b'{"x":"usage","y":1}%.0b', False),
        (b'"usage":%b}', False),
        (b"%.0b", False),
    ],
)
def test_a_whole_document_is_read_from_its_end(document: bytes, counted: bool) -> None:
    """Governance §7: what is read at once is what would be found piece by piece, wherever it stands."""
    raw = document % USAGE
    watch, patient = DocumentWatch(b"usage", maybe_usage), DocumentWatch(b"usage", maybe_usage)
    quick = DocumentWatch(b"usage", maybe_usage, lambda value: FOUND if value == USAGE else None)
    watch.feed_whole(raw)
    quick.feed_whole(raw)
    for at in range(len(raw)):
        patient.feed(raw[at : at + 1])
    assert watch.maybe_usage() == patient.maybe_usage() == quick.maybe_usage() == (FOUND if counted else None)


def test_many_usages_do_not_pile_up() -> None:
    """What was read is forgotten, also when a document consists of nothing else."""
    watch = DocumentWatch(b"usage", maybe_usage)
    watch.feed(b"{" + b'"usage":{"in_tokens":1},' * 1_000)
    assert watch._finder is not None
    root: Any = watch._finder._root
    assert root._scanner.found == {}
    watch.feed(b'"usage":%b}' % USAGE)
    assert watch.maybe_usage() == FOUND


# Streams


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize(
    ("stream", "usage", "has_ended"),
    [
        (b'data: {"usage":%b}\n\n' % USAGE, FOUND, False),
        (b'data:{"usage":%b}\n\ndata: {"usage":null}\n\n' % USAGE + DONE, FOUND, True),
        (b'data: {"usage":{"in_tokens":1}}\n\ndata: {"usage":%b}\n\ndata: {"usage":{}}\n\n' % USAGE, FOUND, False),
        (b': hello\n\nevent: x\nid: 7\ndata: {"usage":%b}\n: usage"\n\n' % USAGE, FOUND, False),
        (b'data: {\ndata: "usage":\ndata:  %b\ndata\ndata:\ndata: }\n\n' % USAGE, FOUND, False),
        (b'\n\n\ndata: {"us\\u0061ge":%b}\n\n\n\n' % USAGE, FOUND, False),
        (b'\xef\xbb\xbfdata: {"usage":%b}\n\n' % USAGE, FOUND, False),
        (b'data: {"usage":%b}}\n\ndata: {"x":"usage"}\n\n' % USAGE, None, False),
        (b'data: {"usage":%b}' % USAGE, FOUND, False),
        (b'data: {"usage":%b,"x\n\n' % USAGE, None, False),
        (b'data: {"usage":{"in_tokens" 1}}\n\n' + DONE, None, True),
        (b'data: {"usage":{"in_tokens":[' + b"[" * 200 + b"\n\n" + DONE[:-1], None, True),
        (b'{"usage":%b}\n\n' % USAGE, None, False),
        (DONE[:-2], None, True),
        (DONE + b": bye\n\n", None, True),
        (b"data: [DONE", None, False),
        (b"", None, False),
    ],
)
def test_stream_cut_anywhere_says_the_same(stream: bytes, usage: Usage | None, has_ended: bool, end: bytes) -> None:
    """OpenAI case 47: line ends of every kind, payloads of several lines and cuts anywhere give the same count."""
    stream = stream.replace(b"\n", end)
    assert twin(stream) == (usage, has_ended, None)
    for pieces in every_cut(stream):
        assert fed(MadeUp(), pieces) == (usage, has_ended, None)


def test_first_fault_stands_with_its_bytes_and_its_name() -> None:
    """Reliability §9: an error event inside a stream is kept as it came, and those behind it change nothing."""
    fault = b'{ "error" : {"code":1},"x":"\xc3\xa9" }'
    stream = b'event: oops\ndata: %b\n\ndata: {"error":2}\n\n' % fault + DONE
    for pieces in every_cut(stream):
        assert fed(MadeUp(), pieces) == (None, True, ("oops", fault))


def test_questions_in_the_middle_change_nothing() -> None:
    """Whoever asks early learns what is known by then, and asking reads nothing twice or too soon."""
    stream = b'data: {"usage":%b}\n\n' % USAGE + DONE
    for at in range(len(stream)):
        watch = MadeUp()
        early = fed(watch, [stream[:at]])
        assert early == twin(stream[:at])
        assert fed(watch, [stream[at:]]) == (FOUND, True, None)


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
def test_whole_events_without_the_sign_are_put_aside(end: bytes) -> None:
    """Nothing is read of a delta, and only the last pieces are kept until somebody asks."""
    watch = MadeUp()
    watch.feed(b'data: {"first":1}' + end)
    for _ in range(3 * TAIL_PIECES):
        watch.feed(b'data: {"text":"tide"}' + end)
        assert watch.is_between
    assert len(watch._tail) == TAIL_PIECES
    watch.feed(b"data: [DONE]" + end)
    assert watch.has_ended
    assert len(watch._tail) == 0
    watch.feed(b'data: {"error":1}' + end)
    assert watch.fault == ("", b'{"error":1}')


def test_large_pieces_are_split_before_they_are_put_aside() -> None:
    """What is kept of many events that came together are the last ones, not all of them."""
    watch = MadeUp()
    watch.feed(b": x\n\n" + b'data: {"text":"tide"}\n\n' * 1_000 + DONE)
    assert sum(map(len, watch._tail)) < 300
    assert watch.has_ended


def test_reading_stops_where_the_end_is_known() -> None:
    """What stands before the end of a stream needs no look, unless it may be a fault."""
    read: list[bytes] = []

    class Noting(MadeUp):
        __slots__ = ()

        def _read_event(self, event: Event, payload: bytes) -> None:
            read.append(payload)
            super()._read_event(event, payload)

    dull = [b"data: {}\n\n", b'data: {"a":1}\n\n', DONE]
    assert fed(Noting(), dull).has_ended
    assert read == [b"[DONE]"]
    read.clear()
    assert fed(Noting(), [b'data: "error"\n\n', *dull]) == (None, True, None)
    assert read == [b'"error"', b"{}", b'{"a":1}', b"[DONE]"]


def test_pieces_in_the_middle_of_an_event_are_not_put_aside() -> None:
    """A piece that ends like an event may be the end of one that began before."""
    watch = MadeUp()
    for piece, is_between in ((b'data: {"usage":', False), (USAGE + b"}\n\n", True)):
        watch.feed(piece)
        assert watch.is_between is is_between
    assert watch.maybe_usage() == FOUND


def large(size: int, usage: bytes = USAGE, line_end: bytes = b"\n") -> bytes:
    """Return an event of such a size with usage behind its text."""
    return b'data: {"text":"%b","usage":%b}' % (b"tide \\u00e9 " * (size // 12), usage) + 2 * line_end


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("piece_bytes", [1_000, CAP_BYTES, 10**6])
def test_event_of_any_size_is_counted(piece_bytes: int, line_end: bytes) -> None:
    """Responses §10: the last event repeats a whole answer, and the usage behind it counts, as do those around it."""
    before = b'data: {"usage":{"in_tokens":1}}' + 2 * line_end
    for stream in (before + large(500_000, line_end=line_end), large(500_000, b"null", line_end) + before):
        watch = MadeUp()
        said = fed(watch, cut_at(stream, list(range(0, len(stream), piece_bytes))))
        assert said == (FOUND if stream.startswith(before) else Usage(1, 0), True, None)
        held: Any = watch._splitter
        assert held.held_bytes <= CAP_BYTES


def test_large_event_may_end_at_any_cut() -> None:
    """The pair of line ends behind a large event is found also when the pieces part it, and what follows is read."""
    for line_end in (b"\n", b"\r\n", b"\r"):
        stream = large(2 * CAP_BYTES, line_end=line_end) + b'data: {"usage":{"out_tokens":4}}' + 2 * line_end
        end = stream.index(b"}}") + 2
        for at in range(end - 3, end + 12):
            watch = MadeUp()
            assert fed(watch, [stream[:at], stream[at:]]) == (Usage(0, 4), True, None)
            assert watch.is_between or line_end == b"\r"


def test_large_event_is_no_end_before_it_ends() -> None:
    """A stream that breaks off within a large event was not complete, and nothing of it is taken for an event."""
    stream = large(3 * CAP_BYTES)
    cut = stream.index(b'","usage"')
    assert fed(MadeUp(), [stream[:cut]]) == NOTHING
    assert fed(MadeUp(), [stream[:cut], stream[cut:-3]]) == (FOUND, False, None)


def test_last_line_of_a_large_event_is_no_event() -> None:
    """What is left of an event once it is too large is skipped, even if it looks like one of its own."""
    for line in (b'data: ["%b",\n', b'data: ["%b",\r\n', b": %b\n", b"x\ndata: %b\n"):
        stream = line % (b"x" * 2 * CAP_BYTES) + b'data: {"usage":%b}\n\n: ping\n\n' % USAGE
        for places in ([], list(range(0, len(stream), 10_007)), [stream.index(b"data: {")], [CAP_BYTES + 9]):
            watch = MadeUp()
            assert fed(watch, cut_at(stream, places)) == (None, True, None)
            assert watch.is_between


def test_large_event_of_large_lines_is_skipped_to_its_end() -> None:
    """However many lines are too large, the event they belong to ends where it ends."""
    line = b"data: %b\n" % (b"x" * 2 * CAP_BYTES)
    stream = 3 * line + b"\n" + b'data: {"usage":%b}\n\n' % USAGE
    for places in ([], list(range(0, len(stream), 30_011))):
        assert fed(MadeUp(), cut_at(stream, places)) == (FOUND, True, None)


def test_line_that_ends_where_it_grows_too_large_is_read() -> None:
    """The line end may be the last byte that is held when an event turns out to be too large."""
    for line_end in (b"\n", b"\r\n"):
        line = b'data: {"text":"%b","usage":%b}' % (b"x" * CAP_BYTES, USAGE) + line_end
        for pieces in ([line[:100], line[100:], line_end], [line[:-1], line[-1:], line_end]):
            watch = MadeUp()
            assert fed(watch, pieces) == (FOUND, True, None)
            assert watch.is_between


def test_usage_in_a_large_event_that_is_none_is_passed_over() -> None:
    """Odd values and malformed documents raise nothing."""
    for odd in (b'{"in_tokens" 1}', b"{]", b"[" * 200):
        assert fed(MadeUp(), [large(2 * CAP_BYTES, odd)]) == (None, True, None)


def test_dialect_without_a_path_reads_no_large_event() -> None:
    """Where usage may stand in several places, a large event says nothing but that it was there."""
    assert fed(Pathless(), [large(2 * CAP_BYTES)]) == (None, True, None)


def test_path_may_be_of_several_names() -> None:
    """Responses §10: usage stands in an object inside the event, and only what stands there counts."""
    deep = b'{"in_tokens":1,"a":{"usage":{"in_tokens":2}},"usage":%b,"b":[{"usage":3}]}' % USAGE
    stream = large(2 * CAP_BYTES, deep)
    for places in ([], list(range(0, len(stream), 10_007)), list(range(2 * CAP_BYTES, len(stream)))):
        assert fed(Nested(), cut_at(stream, places)) == (FOUND, True, None)


def test_stream_without_any_end_is_not_kept() -> None:
    """Anthropic case 53: what never ends is forgotten as it comes."""
    watch = MadeUp()
    assert fed(watch, [b"data: " + b"x" * 50_000] * 100) == NOTHING
    assert watch._splitter.held_bytes == 0


NAMES = st.sampled_from(["usage", "error", "x", 'in_tokens"', "\u00e9"])
COUNTS = st.one_of(st.integers(-2, 50), st.none(), st.just("7"), st.just(10**18))
USAGES = st.dictionaries(st.sampled_from(["in_tokens", "out_tokens", "hit", "total"]), COUNTS, max_size=4)
LEAVES = st.one_of(st.none(), st.just('"usage":{"in_tokens":9}'), st.just("\u0061\u00e9\U0001f642"), USAGES)
ANSWERS = st.dictionaries(NAMES, st.one_of(LEAVES, st.dictionaries(NAMES, LEAVES, max_size=3)), max_size=4)
SPELLINGS = st.sampled_from([(",", ":"), (", ", ": "), (" ,  ", "  :\t")])


@st.composite
def payloads(draw: st.DrawFn) -> bytes:
    """Return a payload, as one line or as several."""
    indent = draw(st.sampled_from([None, 1]))
    text = json.dumps(draw(ANSWERS), separators=draw(SPELLINGS), indent=indent, ensure_ascii=draw(st.booleans()))
    return draw(st.sampled_from([text.encode(), text.encode(), b"[DONE]", text.encode()[: len(text) // 2]]))


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Return a stream of some events with line ends of all kinds; the last one may be cut."""
    parts = []
    for payload in draw(st.lists(payloads(), max_size=5)):
        lines = [b"data: " + line for line in payload.split(b"\n")]
        lines = draw(st.sampled_from([[], [b"event: e"], [b": usage"], [b"id: 7", b""]])) + lines
        end = draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
        parts.append(b"".join(line + end for line in [*lines, b""]))
    stream = b"".join(parts)
    return stream[: len(stream) - draw(st.sampled_from([0, 0, 1, 2, 9]))]


@PROPERTY
@given(stream=streams(), places=st.lists(st.integers(0, 400), max_size=6))
def test_stream_agrees_with_the_twin(stream: bytes, places: list[int]) -> None:
    """Whatever the events hold, the watch finds what a parser would."""
    said = twin(stream)
    for pieces in ([stream], cut_at(stream, places), [bytes((byte,)) for byte in stream]):
        assert fed(MadeUp(), pieces) == said


@PROPERTY
@given(answer=ANSWERS, spelling=SPELLINGS, places=st.lists(st.integers(0, 300), max_size=6))
def test_document_agrees_with_the_twin(answer: dict[str, Any], spelling: tuple[str, str], places: list[int]) -> None:
    """However a document is spelt and cut, the watch counts what a parser would."""
    document = json.dumps(answer, separators=spelling).encode()
    usage = usage_by_the_book(answer.get("usage"))
    for pieces in ([document], cut_at(document, places), [bytes((byte,)) for byte in document]):
        assert counted(pieces) == usage


@PROPERTY
@given(
    noise=st.lists(
        st.sampled_from(
            [b'data: {"usage":', b'_tokens"', b"data:", b"{", b"}", b'"', b"\\", b"\n", b"\r", b"1", b"\xff"]
        )
    )
)
def test_no_bytes_make_a_watch_fail(noise: list[bytes]) -> None:
    """Malformed bytes are ignored, and cutting them elsewhere changes nothing."""
    stream = b"".join(noise)
    assert fed(MadeUp(), noise) == fed(MadeUp(), [stream])
    assert counted(noise) == counted([stream])


@pytest.mark.parametrize("dialect", ["responses", "anthropic", "openai", "cohere", "gemini"])
def test_event_that_is_torn_behind_a_brace_says_nothing(dialect: str) -> None:
    """Reliability §6: a stream that ends in the middle of its last event has not ended, whatever that is called."""
    stream = streamed(dialect, Script(deltas=2, fail_after=1))
    start = stream.rstrip().rfind(b"data: {") + len(b"data: ")
    ends = [at for at in range(start, len(stream)) if stream[at : at + 1] == b"}"]
    *torn, whole = ends
    for end in torn:
        watch = speak(dialect).new_watch(EVENTS)
        watch.feed(stream[: end + 1])
        assert (watch.has_ended, watch.fault) == (False, None), stream[start : end + 1]
    watch = speak(dialect).new_watch(EVENTS)
    watch.feed(stream[: whole + 1])
    assert watch.has_ended or watch.fault is not None


@pytest.mark.parametrize(
    ("dialect", "name", "ends"),
    [
        ("responses", "response.created", False),
        ("responses", "response.output_text.delta", False),
        ("responses", "response.completed", True),
        ("responses", "response.failed", True),
        ("anthropic", "content_block_delta", False),
        ("cohere", "content-delta", False),
        ("cohere", "message-end", True),
        ("responses", "", True),  # nobody can tell
        ("openai", "", True),
    ],
)
def test_event_too_large_to_be_read_is_known_by_its_name(dialect: str, name: str, ends: bool) -> None:
    """ADR 0009: one that is too large may have been the last one, unless its name says that it was not."""
    watch = speak(dialect).new_watch(EVENTS)
    head = f"event: {name}\n" if name else ""
    stream = f'{head}data: {{"type":"{name}","text":"{"x" * 200_000}"}}\n\n'.encode()
    for at in range(0, len(stream), 10_000):
        watch.feed(stream[at : at + 10_000])
    assert watch.has_ended is ends
