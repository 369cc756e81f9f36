"""Where bodies end: lengths, chunks with every split against a twin, and the refusals."""

import re
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from busbar_fast.errors import Refused, UpstreamGarbled
from busbar_fast.wire.framing import (
    LAST_CHUNK,
    MORE,
    Body,
    ChunkedBody,
    LengthBody,
    UntilCloseBody,
    check_coding,
    encode_chunk,
    is_between_chunks,
    read_length,
    request_body_of,
    request_length,
    response_body_of,
    response_length,
)
from busbar_fast.wire.heads import CHUNKED, UNTIL_CLOSE, Fields
from busbar_fast.wire.looks import Look, chunk_payload
from tests.wire.twins import cut_at, every_cut

PROPERTY = settings(derandomize=True, deadline=None, max_examples=250, suppress_health_check=[HealthCheck.too_slow])


class Decoded(NamedTuple):
    """A whole chunked body: its payload, where it ends, how many trailers it has."""

    payload: bytes
    end: int
    trailers: int


def decoded_by_the_book(body: bytes) -> Decoded | None:
    """Return what a chunked body says (RFC 9112, 7.1), read from its start; None if it is not whole or not valid."""
    at, payload, extensions = 0, b"", 0
    while True:
        line, found, _ = body[at:].partition(b"\r\n")
        match = re.fullmatch(rb"([0-9A-Fa-f]{1,15})(|;[^\x00-\x08\x0a-\x1f\x7f]*)", line)
        if not found or match is None:
            return None
        at += len(line) + 2
        extensions += len(match[2])
        size = int(match[1], 16)
        if extensions > 4096:
            return None
        if size == 0:
            break
        if body[at + size : at + size + 2] != b"\r\n":
            return None
        payload += body[at : at + size]
        at += size + 2
    return trailers_by_the_book(body, at, payload)


def trailers_by_the_book(body: bytes, at: int, payload: bytes) -> Decoded | None:
    """Return the whole body, its trailers being valid and in bounds."""
    start = at
    for count in range(33):
        line, found, _ = body[at:].partition(b"\r\n")
        at += len(line) + 2
        if not found or at - start > 8192:
            return None
        if not line:
            return Decoded(payload, at, count)
        if re.fullmatch(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00-\x08\x0a-\x1f\x7f]*", line) is None:
            return None
    return None


def fed(pieces: list[bytes]) -> tuple[bytes, int] | int | None:
    """Return payload and end of a chunked body, the status of a refusal, or None if it has not ended."""
    parts: list[bytes] = []
    body, at = ChunkedBody(), 0
    silent = ChunkedBody()
    for piece in pieces:
        try:
            end = body.feed(piece, parts)
        except Refused as refusal:
            with pytest.raises(Refused):
                silent.feed(piece, None)
            return refusal.status
        assert silent.feed(piece, None) == end
        assert (silent.travels_to, silent.withheld) == (body.travels_to, body.withheld)
        if end != MORE:
            return b"".join(parts), at + end
        at += len(piece)
    return None


class Passage(NamedTuple):
    """What travels on of a body: the framing where it stands, the bytes, their payload, and whether it has ended."""

    body: ChunkedBody
    passed: bytes
    payload: bytes
    is_whole: bool


def relayed(pieces: list[bytes]) -> Passage:
    """Pass a body on as it comes: neither its end nor what is behind, and nothing of a piece that is refused."""
    body, passed, parts, end = ChunkedBody(), b"", list[bytes](), MORE
    for piece in pieces:
        if is_between_chunks(body) and Look().fits(piece):
            passed += piece
            parts.append(chunk_payload(piece))
            continue
        front, payload = body.withheld, list[bytes]()
        try:
            end = body.feed(piece, payload)
        except Refused:
            body.rewind()
            break
        passed += (front + piece)[: len(front) + body.travels_to]
        parts += payload
        if end != MORE:
            break
    return Passage(body, passed, b"".join(parts), end != MORE)


CHUNKS = [
    b"5\r\nhello\r\n", b"1\r\n\r\r\n", b"2\r\n\r\n\r\n", b"A\r\n0123456789\r\n", b"a\r\n0\r\n\r\n56789\r\n",
    b"001\r\nx\r\n",
    b"1;a=b\r\ny\r\n", b"1;\r\nz\r\n", b'2;q="\xff"\r\nab\r\n', b"7\r\n3\r\nabc\r\n\r\n",
]  # fmt: skip
ENDS = [
    b"0\r\n\r\n",
    b"000\r\n\r\n",
    b"0;x\r\n\r\n",
    b"0\r\nA: b\r\n\r\n",
    b"0\r\nA:\r\nContent-Length: 5\r\n\r\n",
    b"0\r\n",
]
NOISE = [
    b"", b"\r\n", b"\r", b"\n", b"0", b"5", b"hello", b";", b"-1\r\n", b"+2\r\n", b"0x2\r\n", b"2 \r\n", b"g\r\n", b" ",
    b"1_0\r\n",
    b"fffffffffffffffff\r\n", b"fffffffffffffff\r\n", b"0\r\n : x\r\n\r\n", b"0\r\nA\r\n\r\n", b"0\r\nA: \x01\r\n\r\n",
    b"3\nabc\r\n",
    b"0\r\nA: b\n\r\n", b"0\r\n\tx\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"1;\x00\r\nx\r\n",
    b"1;a\rb\r\nx\r\n", b"3\r\nab\r\n\r\n",
]  # fmt: skip
bodies = st.builds(
    lambda chunks, end, rest: b"".join([*chunks, end, rest]),
    st.lists(st.sampled_from(CHUNKS), max_size=4),
    st.sampled_from(ENDS),
    st.sampled_from([b"", b"GET ", b"\r\n", b"0\r\n\r\n"]),
)
hostile = st.lists(st.sampled_from(CHUNKS + ENDS + NOISE * 2), max_size=6).map(b"".join)


@PROPERTY
@given(body=bodies | hostile)
@example(body=b"5\r\nhello\r\n0\r\n\r\n")
@example(body=b"10\r\n\r\n")
@example(body=b"a\r\n0\r\n\r\n56789\r\n0\r\n\r\n")
def test_chunked_body_agrees_with_the_twin_for_every_split(body: bytes) -> None:
    """Operations §3.1, case 32: whole, cut in two anywhere or in bytes, the verdict on a body is the book's."""
    book = decoded_by_the_book(body)
    whole = fed([body])
    assert [fed(pieces) for pieces in every_cut(body)] == [whole] * max(2, len(body) + 1)
    if book is None:
        assert not isinstance(whole, tuple)
    else:
        assert whole == (book.payload, book.end)


@PROPERTY
@given(body=bodies | hostile, places=st.lists(st.integers(0, 60), max_size=8))
def test_chunked_body_cut_at_several_places_agrees_with_the_twin(body: bytes, places: list[int]) -> None:
    """Cuts that fall together with others, or leave pieces empty, change nothing."""
    assert fed(cut_at(body, places)) == fed([body])


@PROPERTY
@given(body=bodies, places=st.lists(st.integers(0, 60), max_size=8))
@example(body=b"5\r\nhello\r\n0;x\r\nA: b\r\n\r\n", places=[])
def test_what_a_relay_passes_on_is_the_same_body_without_its_end(body: bytes, places: list[int]) -> None:
    """Operations §3.1, case 21: the bytes in front of the last chunk and a last chunk are a whole valid body."""
    book = decoded_by_the_book(body)
    for pieces in (*every_cut(body), cut_at(body, places)):
        passage = relayed(pieces)
        assert passage.is_whole is (book is not None)
        assert body.startswith(passage.passed)
        if book is not None:
            ended = passage.passed + LAST_CHUNK
            assert decoded_by_the_book(ended) == Decoded(book.payload, len(ended), 0)


@PROPERTY
@given(body=bodies | hostile, cut=st.integers(0, 80), places=st.lists(st.integers(0, 60), max_size=8), rest=st.binary())
@example(body=b"1\r\nx\r\n5\r\nhello\r\nzz", cut=19, places=[11], rest=b"end")
@example(body=b"10\r\n", cut=1, places=[], rest=b"")
def test_what_was_passed_on_can_be_ended_anywhere(body: bytes, cut: int, places: list[int], rest: bytes) -> None:
    """Reliability §9: wherever a body breaks off or is refused, what was passed on is completed to a valid one."""
    for pieces in (*every_cut(body[:cut]), cut_at(body[:cut], places)):
        passage = relayed(pieces)
        completion = passage.body.completion(rest, b"\n")
        if completion is None:  # a chunk was announced that is too large to be filled up
            assert b"fffffffffffffff\r\n" in body
            continue
        ended = passage.passed + completion + LAST_CHUNK
        book = decoded_by_the_book(ended)
        assert book is not None
        assert book.end == len(ended)
        assert book.payload.rstrip(b"\n") == (passage.payload + rest).rstrip(b"\n")


@pytest.mark.parametrize(
    "start",
    [b"-", b"+2", b"0x", b"2 ", b" 2", b"_", b"\r", b"\n", b"2\n", b"2\r\r", b"2\rx", b"g", b"f" * 16, b";", b"2;\x00"],
)
def test_bad_size_is_refused_at_once(start: bytes) -> None:
    """Operations §3.1, case 20: signs, hex marks, blanks, bare line ends and overflow are refused as they come."""
    assert fed([start]) == 400
    assert fed([b"1\r\nx\r\n" + start]) == 400
    assert fed([bytes((byte,)) for byte in start]) == 400


@pytest.mark.parametrize("behind", [b"x", b"\n", b"\rx", b"\r\r", b"0\r\n\r\n", b" \r\n"])
def test_chunk_that_is_not_closed_is_refused(behind: bytes) -> None:
    """Operations §3.1, case 20: behind the announced bytes comes a line end and nothing else."""
    assert fed([b"2\r\nab" + behind]) == 400
    assert fed([b"2\r\na", b"b", *(bytes((byte,)) for byte in behind)]) == 400


@pytest.mark.parametrize(("size", "is_fine"), [(4096, True), (4097, False), (5120, False), (100_000, False)])
def test_extensions_are_limited(size: int, is_fine: bool) -> None:
    """Operations §3.1, case 20: 4096 bytes of extensions pass, more are refused, in one chunk or in many."""
    one = b"1;" + b"a" * (size - 1) + b"\r\nx\r\n"
    many = b"".join(
        b"1;" + b"a" * (step - 1) + b"\r\nx\r\n" for step in [1024] * (size // 1024) + [size % 1024] if step
    )
    for body in (one, many):
        for pieces in ([body], [body[:1], body[1:]], [body[at : at + 7] for at in range(0, len(body), 7)]):
            assert (fed([*pieces, LAST_CHUNK]) != 400) is is_fine


@pytest.mark.parametrize("step", [1, 3, 100_000])
def test_trailers_are_limited(step: int) -> None:
    """Operations §2: 32 trailers and 8 KiB of them pass, more are a 431."""
    fine = b"0\r\n" + b"A: b\r\n" * 32 + b"\r\n"
    many = b"0\r\n" + b"A: b\r\n" * 33 + b"\r\n"
    largest = b"0\r\nA: " + b"b" * (8192 - 7) + b"\r\n\r\n"
    large = b"0\r\nA: " + b"b" * (8192 - 6) + b"\r\n\r\n"
    endless = b"0\r\n" + b"b" * 9000
    found = [
        fed([body[at : at + step] for at in range(0, len(body), step)])
        for body in (fine, many, largest, large, endless)
    ]
    assert found == [(b"", len(fine)), 431, (b"", len(largest)), 431, 431]


def test_end_begins_where_it_says() -> None:
    """Half a size line and the last chunk are kept back, wherever they began; everything before travels on."""
    body = ChunkedBody()
    found = []
    for piece in (b"1\r\nx\r\n1", b"0", b"\r\n0123456789abcdef\r", b"\n1\r\nx\r\n0", b"\r", b"\nA: b", b"\r\n\r\nrest"):
        end = body.feed(piece, None)
        found.append((body.travels_to, body.withheld, end))
    assert found == [(6, b"1", MORE), (-1, b"10", MORE), (19, b"", MORE), (7, b"0", MORE), (-1, b"0\r", MORE),
                     (-2, b"", MORE), (0, b"", 4)]  # fmt: skip


@pytest.mark.parametrize(
    ("start", "completion"),
    [
        (b"", b"3\r\nend\r\n"),
        (b"5\r\nhello\r\n", b"3\r\nend\r\n"),
        (b"5\r\nh", b"end\n\r\n"),
        (b"5\r\nhel", b"en\r\n1\r\nd\r\n"),
        (b"5\r\nhello", b"\r\n3\r\nend\r\n"),
        (b"5\r\nhello\r", b"\n3\r\nend\r\n"),
        (b"5\r\nhello\r\n7", b"3\r\nend\r\n"),
        (b"5\r\nhello\r\n0\r\nA: b", b"3\r\nend\r\n"),
    ],
)
def test_body_that_broke_off_is_completed(start: bytes, completion: bytes) -> None:
    """Reliability §9: a chunk that was announced is filled up, what is open is closed, the payload comes last."""
    body = ChunkedBody()
    assert body.feed(start, None) == MORE
    assert body.completion(b"end", b"\n") == completion


def test_chunk_too_large_to_fill_is_not_completed() -> None:
    """What an upstream announced and never sent must not become a flood of our own."""
    body = ChunkedBody()
    assert body.feed(b"10001\r\nx", None) == MORE
    assert body.completion(b"end", b"\n") == b"end" + b"\n" * 65533 + b"\r\n"
    body = ChunkedBody()
    assert body.feed(b"10002\r\nx", None) == MORE
    assert body.completion(b"end", b"\n") is None


def test_piece_that_is_refused_can_be_taken_back() -> None:
    """A body goes on behind the piece before: what was half read of the refused one counts for nothing."""
    body, parts = ChunkedBody(), list[bytes]()
    assert body.feed(b"5\r\nhe", parts) == MORE
    with pytest.raises(Refused):
        body.feed(b"llo\r\n3\r\nabcde", [])
    body.rewind()
    assert body.feed(b"llo\r\n0\r\n\r\n", parts) == 10
    assert parts == [b"he", b"llo"]


def test_what_was_taken_back_counts_for_no_limit() -> None:
    """Operations §2: extensions and trailers of a piece that is read once more are counted once."""
    body = ChunkedBody(extension_cap=8)
    piece = b"1;abcde\r\nx\r\n0\r\n" + b"X-Sum: 1\r\n" * 20
    for _ in range(3):
        assert body.feed(piece, None) == MORE
        body.rewind()
    assert body.feed(piece + b"\r\n", None) == len(piece) + 2


@pytest.mark.parametrize(
    ("start", "is_between"),
    [
        (b"", True),
        (b"5\r\nhello\r\n", True),
        (b"5", False),
        (b"5\r\nhe", False),
        (b"5\r\nhello", False),
        (b"5\r\nhello\r", False),
        (b"0\r\n", False),
    ],
)
def test_place_between_chunks_is_known(start: bytes, is_between: bool) -> None:
    """Only where a chunk may begin does a piece that looks like one count as one."""
    body = ChunkedBody()
    body.feed(start, None)
    assert is_between_chunks(body) is is_between
    assert not is_between_chunks(LengthBody(5))
    assert not is_between_chunks(None)


@pytest.mark.parametrize("length", [0, 1, 5, 9])
def test_body_of_a_known_length(length: int) -> None:
    """The body ends after exactly so many bytes, for every split, and what is behind stays."""
    stream = b"hello world"
    for pieces in every_cut(stream):
        for is_kept in (True, False):
            parts: list[bytes] = []
            body, at, end = LengthBody(length), 0, MORE
            for piece in pieces:
                assert body.ends_within(len(piece)) is (length <= at + len(piece))
                end = body.feed(piece, parts if is_kept else None)
                if end != MORE:
                    break
                at += len(piece)
            assert at + end == length
            assert b"".join(parts) == (stream[:length] if is_kept else b"")


def test_body_until_the_connection_closes() -> None:
    """Everything belongs to the body, and only the end of the connection ends it."""
    parts: list[bytes] = []
    body = UntilCloseBody()
    assert [body.feed(b"ab", parts), body.feed(b"0\r\n\r\n", parts), body.feed(b"x", None)] == [MORE] * 3
    assert parts == [b"ab", b"0\r\n\r\n"]


@pytest.mark.parametrize(
    ("length", "kind", "may_stop"),
    [
        (0, LengthBody, False),
        (7, LengthBody, False),
        (CHUNKED, ChunkedBody, False),
        (UNTIL_CLOSE, UntilCloseBody, True),
    ],
)
def test_kind_of_body(length: int, kind: type[Body], may_stop: bool) -> None:
    """Each length has its machine, and only one of them may end with the connection."""
    for body in (response_body_of(length), *(() if length == UNTIL_CLOSE else (request_body_of(length),))):
        assert type(body) is kind
        assert body.is_complete_at_eof is may_stop
        assert is_between_chunks(body) is (length == CHUNKED)


def test_upstream_may_pad_its_chunks() -> None:
    """Operations §3.1: the cap on extensions guards us from clients; an answer is cut only for one absurd line."""
    padded = b"1;%b\r\nx\r\n" % (b"p" * 100)
    body = response_body_of(CHUNKED)
    assert all(body.feed(padded, None) == MORE for _ in range(100))
    with pytest.raises(Refused):
        body.feed(b"1;%b" % (b"p" * 5000), None)


@pytest.mark.parametrize(
    ("value", "length"),
    [(b"0", 0), (b"7", 7), (b"0002", 2), (b"9" * 18, 10**18 - 1), (b"0" * 18, 0), (b"0" * 17 + b"1", 1)],
)
def test_length_is_read(value: bytes, length: int) -> None:
    """Operations §3.1: up to 18 digits are a length, leading zeros among them."""
    assert read_length(value) == length
    assert response_length(b"GET", 200, {b"content-length": value}) == length


@pytest.mark.parametrize(
    "value", [b"", b" 2", b"2 ", b"+2", b"-1", b"0x2", b"2, 2", b"1e3", b"\xb2", b"\xd9\xa1", b"0" * 19, b"9" * 19]
)
def test_bad_length_is_refused(value: bytes) -> None:
    """Operations §3.1, case 16: anything but digits is the client's or the upstream's fault."""
    with pytest.raises(Refused) as caught:
        read_length(value)
    assert caught.value.status == 400
    for status in (200, 204):
        with pytest.raises(UpstreamGarbled):
            response_length(b"HEAD", status, {b"content-length": value})


@pytest.mark.parametrize(
    ("minor", "fields", "expected"),
    [
        (1, {}, 0),
        (0, {}, 0),
        (1, {b"content-length": b"5"}, 5),
        (0, {b"content-length": b"5"}, 5),
        (1, {b"transfer-encoding": b"Chunked"}, CHUNKED),
        (0, {b"transfer-encoding": b"chunked"}, 400),
        (1, {b"transfer-encoding": b"chunked", b"content-length": b"5"}, 400),
        (1, {b"transfer-encoding": b"gzip, chunked"}, 501),
        (0, {b"transfer-encoding": b"gzip, chunked"}, 400),
    ],
)
def test_length_of_a_request(minor: int, fields: Fields, expected: int) -> None:
    """Operations §3.1, cases 15 and 17: one length or one coding, and no coding in HTTP/1.0."""
    if expected < 400:
        assert request_length(minor, fields) == expected
    else:
        with pytest.raises(Refused) as caught:
            request_length(minor, fields)
        assert caught.value.status == expected


@pytest.mark.parametrize(
    "coding", [b"gzip, chunked", b"x-gzip,deflate , Chunked", b"br, zstd, chunked", b"GZIP,chunked"]
)
def test_coding_that_we_lack(coding: bytes) -> None:
    """Operations §3.1, case 17: a coding that exists and is followed by `chunked` is not implemented."""
    with pytest.raises(Refused) as caught:
        check_coding(coding)
    assert caught.value.status == 501


@pytest.mark.parametrize(
    "coding",
    [b"", b"gzip", b"identity", b"identity, chunked", b",chunked", b"chunked,", b"chunked, chunked", b"xchunked",
     b"chunked gzip", b"chunked, gzip", b"gzip;q=1, chunked", b"chunked\x0b", b'"chunked"'],
)  # fmt: skip
def test_coding_that_is_nonsense(coding: bytes) -> None:
    """Operations §3.1, case 17: everything else is refused."""
    with pytest.raises(Refused) as caught:
        check_coding(coding)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("method", "status", "fields", "length"),
    [
        (b"GET", 200, {}, UNTIL_CLOSE),
        (b"GET", 200, {b"transfer-encoding": b"CHUNKED"}, CHUNKED),
        (b"HEAD", 200, {b"content-length": b"5"}, 0),
        (b"HEAD", 200, {b"transfer-encoding": b"chunked"}, 0),
        (b"HEAD", 200, {}, 0),
        (b"POST", 204, {b"content-length": b"5"}, 0),
        (b"GET", 304, {b"content-length": b"5"}, 0),
        (b"GET", 100, {}, 0),
        (b"GET", 404, {b"content-length": b"0"}, 0),
    ],
)
def test_length_of_an_answer(method: bytes, status: int, fields: Fields, length: int) -> None:
    """Answers to HEAD, interim ones, 204 and 304 have no body, whatever their fields announce."""
    assert response_length(method, status, fields) == length


@pytest.mark.parametrize("status", [200, 204])
@pytest.mark.parametrize("coding", [b"gzip", b"gzip, chunked", b"chunked, chunked", b"identity", b""])
def test_answer_with_ambiguous_framing_is_garbled(status: int, coding: bytes) -> None:
    """An upstream whose framing can be read in two ways is not relayed, body or not."""
    with pytest.raises(UpstreamGarbled):
        response_length(b"GET", status, {b"transfer-encoding": coding})
    with pytest.raises(UpstreamGarbled):
        response_length(b"GET", status, {b"transfer-encoding": b"chunked", b"content-length": b"5"})


@given(payload=st.binary(max_size=40))
@PROPERTY
def test_encoded_chunk_is_read_back(payload: bytes) -> None:
    """A payload becomes one chunk, and nothing becomes none, which would end the body."""
    raw = encode_chunk(payload)
    assert (raw == b"") is (payload == b"")
    assert decoded_by_the_book(raw + LAST_CHUNK) == Decoded(payload, len(raw) + 5, 0)
