"""Asking for the usage of a stream, and hiding it from who did not ask."""

import json
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar_fast.dialects.dialect import Refusal
from busbar_fast.dialects.openai_chat.stream import OPTIONS, UsageStripper, is_usage_wanted, usage_edits
from busbar_fast.errors import NotJson, UpstreamGarbled
from busbar_fast.wire.framing import encode_chunk
from busbar_fast.wire.json_scan import find_members, splice
from tests.dialects.openai_chat.official import Wire
from tests.wire.twins import cut_at, every_cut, fields_by_the_book, lines_by_the_book

PROPERTY = settings(derandomize=True, deadline=None, max_examples=200)

INCLUDED = b'{"include_usage":true}'


def asking(body: bytes) -> bytes:
    """Return a request that asks for usage."""
    return splice(body, usage_edits(body, find_members(body, (OPTIONS,)).get(OPTIONS, [])))


def is_wanted(body: bytes) -> bool:
    """Return whether the client asks for usage."""
    return is_usage_wanted(body, find_members(body, (OPTIONS,)).get(OPTIONS, []))


# Requests.


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (b'{"model":"m","stream":true}', b'{"stream_options":%b,"model":"m","stream":true}' % INCLUDED),
        (b' {\n "stream": true }', b' {"stream_options":%b,\n "stream": true }' % INCLUDED),
        (b"{}", b'{"stream_options":%b}' % INCLUDED),
        (
            b'{"stream_options":{"include_usage":false,"x":1},"stream":true}',
            b'{"stream_options":{"include_usage":true,"x":1},"stream":true}',
        ),
        (
            b'{"stream":true,"stream_options": { "include_obfuscation" : false } }',
            b'{"stream":true,"stream_options": {"include_usage":true, "include_obfuscation" : false } }',
        ),
        (b'{"stream_options":{}}', b'{"stream_options":%b}' % INCLUDED),
        (b'{"stream_options":{ }}', b'{"stream_options":{"include_usage":true }}'),
        (b'{"stream_options":null}', b'{"stream_options":%b}' % INCLUDED),
        (b'{"stream_options":{"include_usage":true}}', b'{"stream_options":{"include_usage":true}}'),
        (b'{"stream_options":{"include_usage":null}}', b'{"stream_options":{"include_usage":true}}'),
        (
            b'{"stream_options":{"include_usage":false,"include_\\u0075sage":0}}',
            b'{"stream_options":{"include_usage":true,"include_\\u0075sage":true}}',
        ),
        (b'{"stream_opti\\u006fns":{"x":1}}', b'{"stream_opti\\u006fns":{"include_usage":true,"x":1}}'),
        (
            b'{"stream_options":{"x":1},"a":2,"stream_options":null}',
            b'{"stream_options":{"include_usage":true,"x":1},"a":2,"stream_options":%b}' % INCLUDED,
        ),
        (b'{"stream_options":"all"}', b'{"stream_options":"all"}'),
        (b'{"stream_options":[]}', b'{"stream_options":[]}'),
        (b'{"a":{"stream_options":{}}}', b'{"stream_options":%b,"a":{"stream_options":{}}}' % INCLUDED),
    ],
)
def test_request_asks_for_usage(body: bytes, sent: bytes) -> None:
    """OpenAI case 38: the option is merged or put right behind the brace, siblings stay and no key is doubled."""
    assert asking(body) == sent


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (b'{"stream_options":{"include_usage":true}}', True),
        (b'{"stream_options":{"x":1,"include_us\\u0061ge" : true }}', True),
        (b'{"stream_options":{"include_usage":false,"include_usage":true}}', True),
        (b'{"stream_options":null,"stream_options":{"include_usage":true}}', True),
        (b'{"stream_options":{"include_usage":true},"stream_options":{}}', False),
        (b'{"stream_options":{"include_usage":true,"include_usage":1}}', False),
        (b'{"stream_options":{"include_usage":false}}', False),
        (b'{"stream_options":{"include_usage":"true"}}', False),
        (b'{"stream_options":{}}', False),
        (b'{"stream_options":null}', False),
        (b'{"stream_options":true}', False),
        (b'{"include_usage":true}', False),
    ],
)
def test_client_asks_with_a_literal_true(body: bytes, *, wanted: bool) -> None:
    """OpenAI §9.4: who asks sees the usage, and of several options the last one counts."""
    assert is_wanted(body) is wanted


@pytest.mark.parametrize("options", [b'{"a" 1}', b"{,}", b'{"include_usage":true,}', b'{"include_usage" true}'])
def test_options_that_are_no_json_are_refused(options: bytes) -> None:
    """A body that looked fine from outside may still be none."""
    body = b'{"stream_options":%b}' % options
    with pytest.raises(NotJson):
        is_wanted(body)
    with pytest.raises(NotJson):
        asking(body)


OPTION_VALUES: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.dictionaries(
        st.sampled_from(["include_usage", "include_obfuscation", "x \u00e9"]),
        st.one_of(st.booleans(), st.none(), st.just({"include_usage": False})),
    ),
)
BODIES = st.dictionaries(st.sampled_from(["stream_options", "stream", "a"]), OPTION_VALUES)
SPELLINGS = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " :")])


def pairs_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the members of an object none of which may be doubled."""
    assert len({name for name, _ in pairs}) == len(pairs)
    return dict(pairs)


@PROPERTY
@given(body=BODIES, spelling=SPELLINGS)
def test_request_says_the_same_and_asks_for_usage(body: dict[str, Any], spelling: tuple[str, str]) -> None:
    """A parser reads the client's request with one more option, and once it is asked for it is wanted."""
    raw = json.dumps(body, separators=spelling).encode()
    options = body.get("stream_options") or {}
    assert is_wanted(raw) is (options.get("include_usage") is True)
    sent = asking(raw)
    assert json.loads(sent, object_pairs_hook=pairs_once) == body | {
        "stream_options": options | {"include_usage": True}
    }
    assert is_wanted(sent)
    assert asking(sent) == sent


# Streams.

HEAD = b'"id":"chatcmpl-1","object":"chat.completion.chunk","created":1760001000,"model":"m"'
TEXT = HEAD + b',"choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":null}]'
ALONE = b'{%b,"choices":[],"usage":{"prompt_tokens":31,"completion_tokens":18,"total_tokens":49}}' % HEAD
DONE = b"data: [DONE]\n\n"


def stripped(pieces: list[bytes]) -> bytes:
    """Return what the client gets."""
    stripper = UsageStripper()
    return b"".join([*(stripper.feed(piece) for piece in pieces), stripper.finish()])


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize(
    ("stream", "shown"),
    [
        # as the vendor writes it, with and without padding
        (b'data: {%b,"usage":null}\n\n' % TEXT, b"data: {%b}\n\n" % TEXT),
        (b'data: {%b,"usage":null,"obfuscation":"ab3"}\n\n' % TEXT, b'data: {%b,"obfuscation":"ab3"}\n\n' % TEXT),
        # alone
        (b"data: %b\n\n%b" % (ALONE, DONE), DONE),
        (b'data: {"usage":{}}\n\n', b""),
        (b'data: {"usage":{},"choices": [\t] }\n\n', b""),
        (b'data: {"choices":null,"usage":{},"error":null}\n\n', b""),
        (b'event: x\nid: 1\n: y\ndata:{"choices":[],\ndata: "usage":{"prompt_tokens":1}}\n\n', b""),
        # not alone
        (b'data: {"choices":[],"usage":null}\n\n', b'data: {"choices":[]}\n\n'),
        (b'data: {"choices":[{}],"usage":{"a":{"b":[1]}},"x":1}\n\n', b'data: {"choices":[{}],"x":1}\n\n'),
        (b'data:{"usage":{},"choices":[{}]}\n\n', b'data:{"choices":[{}]}\n\n'),
        (b'data: {"error":{"message":"no"},"usage":{}}\n\n', b'data: {"error":{"message":"no"}}\n\n'),
        (b'data: {"usage":null}\n\n', b"data: {}\n\n"),
        (b'data: {"choices":[{}] , "usage" : null }\n\n', b'data: {"choices":[{}]  }\n\n'),
        (b'data: {"us\\u0061ge":{},"choices":[1]}\n\n', b'data: {"choices":[1]}\n\n'),
        (b'data: {"us\\u0061ge":1,"choices":[1],"usage":null}\n\n', b'data: {"choices":[1]}\n\n'),
        (b'data: {"usage":{},"choices":[1],"usage":null}\n\n', b'data: {"choices":[1]}\n\n'),
        # in several lines
        (
            b'event: x\ndata: {"choices":[1],\ndata:"usage":{\n: y\ndata: "a":1},\ndata: "b":2}\nid: 7\n\n',
            b'event: x\ndata: {"choices":[1],\ndata:"b":2}\nid: 7\n\n',
        ),
        (b'data\ndata: {"choices":[1]\ndata: ,"usage":null}\n\n', b'data\ndata: {"choices":[1]\ndata: }\n\n'),
        (b'data: {"a":{"b":1\ndata: ,"usage":null}}\n\n', b'data: {"a":{"b":1\ndata: ,"usage":null}}\n\n'),
        (b'event: x\ndata: {"choices":[1],"usage":null}\n\n', b'event: x\ndata: {"choices":[1]}\n\n'),
    ],
)
def test_usage_is_taken_out(stream: bytes, shown: bytes, end: bytes) -> None:
    """OpenAI cases 36 and 47: chunks of usage alone go, members go bytewise, wherever the stream is cut."""
    stream, shown = stream.replace(b"\n", end), shown.replace(b"\n", end)
    before, after = b": hello" + end * 2, b'data: {"x":1}' + end * 2
    for pieces in every_cut(before + stream + after):
        assert stripped(pieces) == before + shown + after


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize(
    "stream",
    [
        b"data: {%b}\n\n" % TEXT,
        b"data: {%b}\n\n" % (TEXT % b'\\"usage\\":null'),
        b"data: {%b}\n\n" % (TEXT % b'\\u0061,\\"usage\\":null}'),
        b'data: {"choices":[{"delta":{"usage":{"a":1}}}]}\n\n',
        b'data: {"choices":[{"x":1,"usage":null}]}\n\n',
        b'data: {"choices":[{"usage":null,"x":1,"usage":null}]}\n\n',
        b'data: {"x,\\"usage":null}\n\n',
        b'data: {"a":"usage"}\n\ndata: ["usage"]\n\ndata: "usage"\n\n',
        b'data: {"usage":{"a":1}\n\n',
        b'data: {"usage":{"a":1}]\n\n',
        b'data: {"usage":1,"a":%b1%b}\n\n' % (b"[" * 200, b"]" * 200),
        b': "usage":null\n\nevent: "usage"\n\n"usage":null\n\nDATA: {"usage":null}\n\n',
        b"\n\n\n: \n\ndata:\n\ndata\n\nid: 7\n\n",
        DONE,
        b"",
    ],
)
@pytest.mark.parametrize("rest", [b"", b"data: x", b"data: {"])
def test_everything_else_is_untouched(stream: bytes, rest: bytes, end: bytes) -> None:
    """OpenAI case 39: text that only contains the word, members further down and broken events stay as they are."""
    stream = stream.replace(b"\n", end) + rest
    for pieces in every_cut(stream):
        assert stripped(pieces) == stream


@pytest.mark.parametrize(
    ("rest", "shown"),
    [
        (b"data: " + ALONE, b""),
        (b"data: %b\n" % ALONE, b""),
        (b'data: {%b,"usage":null}' % TEXT, b"data: {%b}" % TEXT),
        (b'data: {%b,"usage":null}\r' % TEXT, b"data: {%b}\r" % TEXT),
        (b'data: {%b,"usage":{"promp' % TEXT, b'data: {%b,"usage":{"promp' % TEXT),
    ],
)
def test_event_without_its_end_is_stripped_too(rest: bytes, shown: bytes) -> None:
    """Some clients read an event that the end of the stream cut off, so it holds no usage either."""
    for pieces in every_cut(DONE + rest):
        assert stripped(pieces) == DONE + shown


def test_untouched_event_is_not_copied() -> None:
    """A piece that is one event without usage goes on as the same object."""
    stripper = UsageStripper()
    assert stripper.feed(DONE) == DONE
    piece = b"data: {%b}\n\n" % TEXT
    assert stripper.feed(piece) is piece


def test_events_are_whole_where_nothing_is_held_back() -> None:
    """Whole chunks may pass by the stripper only between events, not at a CR whose LF may still come."""
    stripper = UsageStripper()
    assert not stripper.is_between, "there may be a byte order mark"
    for piece, is_between in ((b"data: 1\n\n", True), (b"da", False), (b"ta: 2\r\r", False), (b": x\n\n", True)):
        stripper.feed(piece)
        assert stripper.is_between is is_between


def test_event_without_end_is_refused_at_the_cap() -> None:
    """OpenAI case 48: what never ends is not kept for ever."""
    stripper = UsageStripper(cap_bytes=8)
    with pytest.raises(UpstreamGarbled):
        stripper.feed(b"data: {%b" % TEXT)


def test_client_reads_a_stripped_stream() -> None:
    """OpenAI case 36: the vendor's client sees every choice and no usage."""
    stream = b"".join(
        b"data: %b\n\n" % payload
        for payload in (
            b'{%b,"usage":null}' % (TEXT % b"The tide "),
            b'{%b,"usage":{"prompt_tokens":31,"completion_tokens":1,"total_tokens":32}}' % (TEXT % b"turns."),
            ALONE,
            b"[DONE]",
        )
    )
    stripper = UsageStripper()
    pieces = [*(stripper.feed(piece) for piece in cut_at(stream, [100, 300, 500])), stripper.finish()]
    answer = Refusal(200, b"Content-Type: text/event-stream\r\n", b"")
    wire = Wire(answer, pieces=pieces)
    chunks = list(wire.client.chat.completions.create(model="m", messages=[], stream=True))
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["The tide ", "turns."]
    assert [chunk.usage for chunk in chunks] == [None, None]
    assert not any("usage" in (chunk.model_extra or {}) or "usage" in chunk.model_fields_set for chunk in chunks)


class Member(NamedTuple):
    """One member of a chunk, as it is spelled; `empty` says that it holds nothing for a client."""

    raw: bytes
    is_empty: bool = False


CHOICES = [
    Member(b'"choices":[]', is_empty=True),
    Member(b'"choices": [ ]', is_empty=True),
    Member(b'"choices":[{"delta":{"content":"\\"usage\\":null \\u0061 \xc3\xa9"},"usage":null}]'),
    Member(b'"choices":[{"usage":{"x":1}},{}]'),
]
OTHERS = [Member(b'"id":"usage"'), Member(b'"obfuscation":"x7"'), Member(b'"a":{"usage":null,"b":[1]}')]
USAGES = [
    Member(b'"usage":null'),
    Member(b'"usage": null'),
    Member(b'"us\\u0061ge":{"prompt_tokens":1}', is_empty=True),
    Member(b'"usage" : {"prompt_tokens":1,"x":{"usage":2}}', is_empty=True),
]
SEPARATORS = [b",", b", ", b",\t ", b",\ndata:", b",\ndata: ", b",\n: usage\ndata: "]


@st.composite
def events(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Return an event and what the client should get for it, made of the same members."""
    choices = draw(st.sampled_from(CHOICES))
    others = draw(st.lists(st.sampled_from(OTHERS), unique=True, max_size=2))
    usages = draw(st.lists(st.sampled_from(USAGES), max_size=2))
    members = draw(st.permutations([choices, *others, *usages]))
    separator = draw(st.sampled_from(SEPARATORS))
    start = draw(st.sampled_from([b"data: {", b"data:{", b"id: 1\ndata: {", b": usage\ndata: {"]))
    finish = draw(st.sampled_from([b"}", b"}", b" } "])) + b"\n\n"
    kept = [member.raw for member in members if member not in usages]
    raw = start + separator.join(member.raw for member in members) + finish
    shown = start + separator.join(kept) + finish if usages else raw
    last = [member for member in members if member in usages][-1:]
    if last and last[0].is_empty and choices.is_empty:
        shown = b""
    end = draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
    return raw.replace(b"\n", end), shown.replace(b"\n", end)


def edited(event: bytes) -> bytes | None:
    """Return what becomes of a chunk that is an event, as far as its look tells."""
    chunk = encode_chunk(event)
    return UsageStripper().maybe_edit(chunk, chunk.index(b"\n") + 1)


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
@pytest.mark.parametrize("padding", [b"", b',"obfuscation":"x7"'])
@pytest.mark.parametrize("said", [b'"choices":[{"delta":{"content":"a"}}]', b'"choices":[]', b'"x":"\\n"'])
def test_usual_chunk_is_known_by_its_look(said: bytes, padding: bytes, end: bytes) -> None:
    """OpenAI case 47: a back end that was asked writes a usage of null into every chunk, last but for its padding."""
    assert edited(b'data: {%b,"usage":null%b}%b' % (said, padding, end)) == b"data: {%b%b}%b" % (said, padding, end)


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"a":1}\n\n',
        b'data: {"usage":null}\n\n',
        b'data: {"a":1,"usage":{"x":1}}\n\n',
        b'data: {"a":1,"usage":null,"b":2}\n\n',
        b'data: {"a":1,"usage":null}',
        b'data: {"a":1,"usage":null}\r\r',
        b'data: {"usage":1,"usage":null}\n\n',
        b'data: {"us\\u0061ge":1,"usage":null}\n\n',
        b'data: {"a":1,\ndata: "b":2,"usage":null}\n\n',
        b'data: {"a":1,\rdata: "b":2,"usage":null}\n\n',
        b'data: {"a":1}\n\ndata: {"a":1,"usage":null}\n\n',
        b': {"a":1,"usage":null}\n\n',
        b'usage"',
    ],
)
def test_other_chunks_take_a_closer_look(event: bytes) -> None:
    """What is not one whole event with that one member is left to who reads it."""
    assert edited(event) is None


@PROPERTY
@given(chunk=events())
def test_look_and_reading_agree(chunk: tuple[bytes, bytes]) -> None:
    """Where the look tells what becomes of a chunk, reading it tells the same."""
    raw, shown = chunk
    assert edited(raw) in (None, shown)


@PROPERTY
@given(chunks=st.lists(events(), max_size=4), places=st.lists(st.integers(0, 600), max_size=6))
def test_stream_is_the_one_built_without_usage(chunks: list[tuple[bytes, bytes]], places: list[int]) -> None:
    """What is left is byte for byte the stream of a back end that writes no usage, wherever it is cut."""
    stream = b"".join(raw for raw, _ in chunks)
    shown = b"".join(shown for _, shown in chunks)
    for pieces in ([stream], cut_at(stream, places), [bytes((byte,)) for byte in stream]):
        assert stripped(pieces) == shown


def payloads(stream: bytes) -> list[Any]:
    """Return the payloads of a stream by the standard's own algorithm, decoded where they are JSON."""
    found: list[Any] = []
    block: list[bytes] = []
    for line in lines_by_the_book(stream)[0]:
        if line:
            block.append(line)
            continue
        payload = fields_by_the_book(block).payload
        block = []
        if payload is not None:
            try:
                found.append(json.loads(payload))
            except ValueError:
                found.append(payload)
    return found


def twin(document: Any) -> Any:
    """Return a decoded payload without its usage, None if it is nothing but usage."""
    if not isinstance(document, dict) or "usage" not in document:
        return document
    if isinstance(document["usage"], dict) and all(document.get(name) in (None, []) for name in ("choices", "error")):
        return None
    return {name: value for name, value in document.items() if name != "usage"}


NAMES = st.sampled_from(["usage", "choices", "error", "x", 'usage"', "\u00e9"])
VALUES: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.just([]), st.just([{"usage": None}]), st.just({"usage": {}}), st.just(',"usage":null}')
)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=4).filter(
    lambda document: isinstance(document.get("choices"), list | None)
)


@PROPERTY
@given(
    documents=st.lists(st.one_of(DOCUMENTS, st.just("usage")), max_size=4),
    spelling=SPELLINGS,
    indent=st.sampled_from([None, 2]),
    places=st.lists(st.integers(0, 300), max_size=6),
)
def test_stream_reads_as_the_twin_says(
    documents: list[Any], spelling: tuple[str, str], indent: int | None, places: list[int]
) -> None:
    """A client that parses every event finds what a slow strip of the parsed documents leaves."""
    texts = [json.dumps(document, separators=spelling, indent=indent).encode() for document in documents]
    stream = b"".join(b"data: %b\n\n" % text.replace(b"\n", b"\ndata: ") for text in texts)
    expected = [twin(document) for document in documents if twin(document) is not None]
    assert payloads(stripped(cut_at(stream, places))) == expected


@PROPERTY
@given(noise=st.lists(st.sampled_from([b"data: ", b'{"usag', b'e":', b"{", b"}", b'"', b"\\", b"\n", b"\r", b"\xff"])))
def test_no_bytes_make_the_stripper_fail(noise: list[bytes]) -> None:
    """Bytes of any kind come out, and cutting them elsewhere changes nothing."""
    stream = b"".join(noise)
    assert stripped(noise) == stripped([stream])
    if b"usage" not in stream:
        assert stripped(noise) == stream
