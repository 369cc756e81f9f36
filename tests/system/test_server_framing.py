"""Where a request ends (operations §3.1): whatever two readers could read differently is refused, however it is cut."""

from collections import Counter

import pytest

from busbar_fast.wire.downstream import Downstream
from busbar_fast.wire.exchange import Exchange
from tests.system.rawclient import split_answers
from tests.system.serving import GET, LAST, SMUGGLED, TEXT, Serve, chunked_head, post
from tests.system.verdicts import check_refused, check_served

POST = b"POST /first HTTP/1.1\r\nHost: h\r\n"
CHUNKED = chunked_head()


async def show_fields(exchange: Exchange) -> None:
    """Read the body, then answer with the header fields as they are known now."""
    body = await exchange.read_body()
    shown = b"\n".join(name + b"=" + value for name, value in sorted(exchange.head.fields.items()))
    exchange.reply(200, TEXT, shown + b"\n" + body)


async def ignore_body(exchange: Exchange) -> None:
    """Answer without a look at the body."""
    exchange.reply(200, TEXT, b"seen")


async def test_pieces_are_read_as_they_were_sent(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the other tests rely on: the server reads every piece by itself, so every cut is a cut."""
    pieces: list[bytes] = []
    receive = Downstream.data_received

    def record(self: Downstream, data: bytes) -> None:
        pieces.append(data)
        receive(self, data)

    monkeypatch.setattr(Downstream, "data_received", record)
    async with serve() as site:
        await site.ask_cut_everywhere(LAST)
        wanted = [LAST, *(LAST[at : at + 1] for at in range(len(LAST)))]
        for at in range(1, len(LAST)):
            wanted += [LAST[:at], LAST[at:]]
        assert Counter(pieces) - Counter(wanted) == Counter(wanted) - Counter(pieces) == Counter()


BOTH_FRAMINGS = {
    "length first": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding first": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "length zero": b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
}


@pytest.mark.parametrize("rest", BOTH_FRAMINGS.values(), ids=BOTH_FRAMINGS)
async def test_length_beside_transfer_coding_is_refused(serve: Serve, rest: bytes) -> None:
    """Operations §13 case 15: both framings in either order are 400 and the request hidden behind is not executed."""
    await check_refused(serve, POST + rest, 400)


BAD_LENGTHS = {
    "twice": b"2\r\nContent-Length: 3",
    "twice and equal": b"2\r\nContent-Length: 2",
    "list": b"2, 2",
    "plus": b"+2",
    "minus": b"-1",
    "hexadecimal": b"0x2",
    "two words": b"2 3",
    "empty": b"",
    "overflow": b"99999999999999999999",
    "letters": b"two",
    "fraction": b"2.0",
    "underscore": b"1_0",
    "other digits": "٢".encode(),
}


@pytest.mark.parametrize("length", BAD_LENGTHS.values(), ids=BAD_LENGTHS)
async def test_bad_content_length_is_refused(serve: Serve, length: bytes) -> None:
    """Operations §13 case 16: a Content-Length that is not one plain number is 400."""
    await check_refused(serve, POST + b"Content-Length: " + length + b"\r\n\r\nab", 400)


async def test_leading_zeros_of_a_length_are_accepted(serve: Serve) -> None:
    """Operations §3.1: `Content-Length: 0002` means two."""
    await check_served(serve, POST + b"Content-Length: 0002\r\n\r\nab", b"ab")


CODINGS = {
    "gzip, chunked": (b"gzip, chunked", 501),
    "two fields gzip and chunked": (b"gzip\r\nTransfer-Encoding: chunked", 501),
    "two fields identity and chunked": (b"identity\r\nTransfer-Encoding: chunked", 400),
    "identity": (b"identity", 400),
    "comma first": (b",chunked", 400),
    "comma last": (b"chunked,", 400),
    "chunked twice": (b"chunked, chunked", 400),
    "two fields chunked": (b"chunked\r\nTransfer-Encoding: chunked", 400),
    "chunked, gzip": (b"chunked, gzip", 400),
    "xchunked": (b"xchunked", 400),
    "quoted": (b'"chunked"', 400),
    "parameter": (b"chunked;a=b", 400),
    "control byte": (b"\x0bchunked", 400),
    "empty": (b"", 400),
}


@pytest.mark.parametrize(("coding", "status"), CODINGS.values(), ids=CODINGS)
async def test_transfer_coding_other_than_chunked_is_refused(serve: Serve, coding: bytes, status: int) -> None:
    """Operations §13 case 17: a coding we could have known is 501, nonsense is 400."""
    await check_refused(serve, POST + b"Transfer-Encoding: " + coding + b"\r\n\r\n0\r\n\r\n", status)


async def test_transfer_coding_in_http_1_0_is_refused(serve: Serve) -> None:
    """Operations §13 case 17: HTTP/1.0 knows no chunks."""
    raw = b"POST /first HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    await check_refused(serve, raw, 400)


@pytest.mark.parametrize("coding", [b"chunked", b"CHUNKED", b" \tChunked  "])
async def test_chunked_in_any_case_is_served(serve: Serve, coding: bytes) -> None:
    """Operations §3.1: exactly `chunked`, in any case and with blanks around it, on HTTP/1.1."""
    raw = POST + b"Transfer-Encoding:" + coding + b"\r\n\r\n3\r\nabc\r\n00A\r\n0123456789\r\n0\r\n\r\n"
    await check_served(serve, raw, b"abc0123456789")


BAD_FIELDS = {
    "blank before the colon": b"A : b",
    "tab before the colon": b"A\t: b",
    "empty name": b": b",
    "name no token": b"A@: b",
    "name with a blank": b"A b: c",
    "name beyond ASCII": "Ä: b".encode(),
    "no colon": b"Ab",
    "control byte": b"A: b\x01c",
    "vertical tab": b"A: b\x0bc",
    "delete": b"A: b\x7fc",
    "NUL": b"A: b\0c",
    "folded by a blank": b"A: b\r\n c",
    "folded by a tab": b"A: b\r\n\tc",
    "folded and empty": b"A: b\r\n ",
    "bare LF": b"A: b\nC: d",
    "bare CR": b"A: b\rC: d",
    "CR CR LF": b"A: b\r\r\nC: d",
    "LF CR": b"A: b\n\rC: d",
}


@pytest.mark.parametrize("field", BAD_FIELDS.values(), ids=BAD_FIELDS)
async def test_malformed_field_is_refused(serve: Serve, field: bytes) -> None:
    """Operations §13 case 18: folding, bare line ends, control bytes and bad names are 400."""
    await check_refused(serve, b"GET /first HTTP/1.1\r\nHost: h\r\n" + field + b"\r\n\r\n", 400)


BAD_STARTS = {
    "blank before the first field": b"GET /first HTTP/1.1\r\n Host: h\r\nHost: h\r\n\r\n",
    "tab before the first field": b"GET /first HTTP/1.1\r\n\tA: b\r\nHost: h\r\n\r\n",
    "bare LF ends the request line": b"GET /first HTTP/1.1\nHost: h\r\n\r\n",
    "bare LF everywhere": b"GET /first HTTP/1.1\nHost: h\n\n",
    "bare CR ends the request line": b"GET /first HTTP/1.1\rHost: h\r\n\r\n",
    "bare LF ends the head": b"GET /first HTTP/1.1\r\nHost: h\r\n\n",
    "bare LF first": b"\nGET /first HTTP/1.1\r\nHost: h\r\n\r\n",
    "bare CR first": b"\rGET /first HTTP/1.1\r\nHost: h\r\n\r\n",
}


@pytest.mark.parametrize("raw", BAD_STARTS.values(), ids=BAD_STARTS)
async def test_malformed_start_is_refused(serve: Serve, raw: bytes) -> None:
    """Operations §13 case 18: a blank before the first field and bare line ends anywhere in the head are 400."""
    await check_refused(serve, raw, 400)


async def test_empty_lines_before_a_request_are_skipped(serve: Serve) -> None:
    """Operations §2: blank lines before the request are accepted, within the limits."""
    await check_served(serve, b"\r\n\r\n" + GET)


HOSTS = {
    "missing": b"",
    "two": b"Host: h\r\nHost: i\r\n",
    "two and equal": b"Host: h\r\nHost: h\r\n",
    "two and empty": b"Host:\r\nHost:\r\n",
    "blank inside": b"Host: a b\r\n",
    "slash": b"Host: a/b\r\n",
    "at sign": b"Host: a@b\r\n",
    "comma": b"Host: a,b\r\n",
    "beyond ASCII": "Host: ä\r\n".encode(),
}


@pytest.mark.parametrize("lines", HOSTS.values(), ids=HOSTS)
async def test_bad_host_is_refused(serve: Serve, lines: bytes) -> None:
    """Operations §13 case 19: no Host, two of them or one with a bad byte are 400 on HTTP/1.1."""
    await check_refused(serve, b"GET /first HTTP/1.1\r\n" + lines + b"\r\n", 400)


async def test_http_1_0_without_host_is_served(serve: Serve) -> None:
    """Operations §13 case 19: HTTP/1.0 needs no Host."""
    async with serve() as site:
        for received in await site.ask_cut_everywhere(b"GET /first HTTP/1.0\r\n\r\n"):
            assert [answer.body for answer in split_answers(received)] == [b"/first\n"]


BAD_CHUNKS = {
    "hexadecimal prefix": b"0x2\r\nab\r\n0\r\n\r\n",
    "plus": b"+2\r\nab\r\n0\r\n\r\n",
    "minus": b"-2\r\nab\r\n0\r\n\r\n",
    "blank behind": b"2 \r\nab\r\n0\r\n\r\n",
    "blank before": b" 2\r\nab\r\n0\r\n\r\n",
    "underscore": b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n",
    "overflow": b"ffffffffffffffff2\r\nab\r\n0\r\n\r\n",
    "no size": b"\r\nab\r\n0\r\n\r\n",
    "no digit": b"g\r\nab\r\n0\r\n\r\n",
    "bare LF behind the size": b"2\nab\r\n0\r\n\r\n",
    "bare CR behind the size": b"2\rab\r\n0\r\n\r\n",
    "no line end behind the payload": b"2\r\nab0\r\n\r\n",
    "bare LF behind the payload": b"2\r\nab\n0\r\n\r\n",
    "payload longer than its size": b"2\r\nabc\r\n0\r\n\r\n",
    "bare LF in an extension": b"2;a\n\r\nab\r\n0\r\n\r\n",
    "bare LF behind the last size": b"0\n\r\n",
    "trailer folded": b"0\r\nA: b\r\n c\r\n\r\n",
    "trailer without a colon": b"0\r\nab\r\n\r\n",
    "trailer with a blank before the colon": b"0\r\nA : b\r\n\r\n",
    "trailer with NUL": b"0\r\nA: \0\r\n\r\n",
    "bare LF behind a trailer": b"0\r\nA: b\n\r\n",
}


@pytest.mark.parametrize("body", BAD_CHUNKS.values(), ids=BAD_CHUNKS)
async def test_malformed_chunk_is_refused(serve: Serve, body: bytes) -> None:
    """Operations §13 case 20: a chunk size that is not plain hexadecimal and a line end that is not CRLF are 400."""
    await check_refused(serve, CHUNKED + body, 400, is_begun=True)


async def test_malformed_chunk_behind_an_answer_closes(serve: Serve) -> None:
    """Operations §3.1: a body that breaks after its request was answered ends the connection, nothing is executed."""
    raw = b"GET /first HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n"
    async with serve(ignore_body) as site:
        for received in await site.ask_cut_everywhere(raw, SMUGGLED):
            assert [answer.status for answer in split_answers(received)] in ([200], [400])
        assert set(site.targets) == {b"/first"}


async def test_chunk_extensions_are_ignored(serve: Serve) -> None:
    """Operations §13 case 20: `2;a=b` is a chunk of two."""
    await check_served(serve, CHUNKED + b'2;a=b\r\nab\r\n1;c;d="e f"\r\nc\r\n0;g\r\n\r\n', b"abc")


@pytest.mark.parametrize(("size", "status"), [(4096, 200), (4097, 400), (5120, 400)])
async def test_chunk_extensions_are_limited_per_body(serve: Serve, size: int, status: int) -> None:
    """Operations §13 case 20: extensions of one body may take 4096 bytes together."""
    half = size // 2
    first, second = b";" + b"x" * (half - 1), b";" + b"y" * (size - half - 1)
    raw = CHUNKED + b"2" + first + b"\r\nab\r\n1" + second + b"\r\nc\r\n0\r\n\r\n" + LAST
    async with serve() as site:
        for step in (len(raw), 61, 1000):
            pieces = [raw[at : at + step] for at in range(0, len(raw), step)]
            answers = split_answers(await site.ask(*pieces))
            assert answers[0].status == status
            assert answers[0].closes == (status == 400)
            assert len(answers) == (2 if status == 200 else 1)


async def test_trailers_are_discarded(serve: Serve) -> None:
    """Operations §13 case 21: a trailer sets neither Host nor a credential nor a length."""
    trailers = b"Host: evil\r\nx-admin-token: right\r\nContent-Length: 90\r\nTransfer-Encoding: gzip\r\nA: b\r\n"
    raw = CHUNKED + b"2\r\nab\r\n0\r\n" + trailers + b"\r\n"
    async with serve(show_fields) as site:
        for received in await site.ask_cut_everywhere(raw, LAST):
            first, last = split_answers(received)
            assert first.body == b"host=h\ntransfer-encoding=chunked\nab"
            assert last.body == b"connection=close\nhost=h\n"


@pytest.mark.parametrize(("count", "status"), [(32, 200), (33, 431)])
async def test_trailers_are_counted_separately(serve: Serve, count: int, status: int) -> None:
    """Operations §2: 32 trailers are accepted, one more is 431."""
    raw = CHUNKED + b"0\r\n" + b"A: b\r\n" * count + b"\r\n"
    async with serve() as site:
        for pieces in ([raw], [raw[:70], raw[70:]], [raw[at : at + 7] for at in range(0, len(raw), 7)]):
            client = await site.connected()
            await client.send_pieces(*pieces)
            answer = await client.read_answer()
            assert (answer.status, answer.closes) == (status, status == 431)
            client.close()


async def test_name_with_underscore_frames_nothing(serve: Serve) -> None:
    """Operations §13 case 22: beside `transfer_encoding: chunked` the length counts."""
    await check_served(serve, post(b"5\r\nabc", b"transfer_encoding: chunked"), b"5\r\nabc")
    await check_served(serve, post(b"ab", b"content_length: 90"), b"ab")


async def test_name_with_underscore_is_never_merged(serve: Serve) -> None:
    """Operations §3.1: `x_api_key` says nothing about `x-api-key`."""
    raw = b"GET /first HTTP/1.1\r\nHost: h\r\nx_api_key: evil\r\nx-api-key: good\r\n\r\n"
    async with serve(show_fields) as site:
        for received in await site.ask_cut_everywhere(raw, LAST):
            first, _ = split_answers(received)
            assert b"x-api-key=good" in first.body.split(b"\n")


async def test_bytes_beyond_ascii_in_a_value_are_opaque(serve: Serve) -> None:
    """Operations §3.1: bytes 0x80 to 0xFF in a header value arrive unchanged."""
    value = bytes(range(0x80, 0x100))
    raw = b"GET /first HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + value + b"\r\n\r\n"
    async with serve(show_fields) as site:
        for received in await site.ask_cut_everywhere(raw, LAST):
            first, _ = split_answers(received)
            assert b"authorization=Bearer " + value in first.body.split(b"\n")


BODIES = {
    "length": (b"Content-Length: 9", b"GET / HTT"),
    "chunked": (b"Transfer-Encoding: chunked", b"3\r\nabc\r\n0\r\nA: b\r\n\r\n"),
}


@pytest.mark.parametrize(("line", "body"), BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"DELETE"])
async def test_unasked_body_is_discarded(serve: Serve, method: bytes, line: bytes, body: bytes) -> None:
    """Operations §3.1: a body on GET, HEAD or DELETE is read and dropped, and the connection serves on."""
    raw = method + b" /first HTTP/1.1\r\nHost: h\r\n" + line + b"\r\n\r\n" + body
    async with serve(ignore_body) as site:
        for received in await site.ask_cut_everywhere(raw, LAST):
            first, last = split_answers(received, method)
            assert (first.status, first.closes) == (200, False)
            assert (last.status, last.closes) == (200, True)
        assert set(site.targets) == {b"/first", b"/last"}


@pytest.mark.parametrize("behind", [SMUGGLED, b"\0\x16garbage\r\n\r\n", b"x" * 3000], ids=["request", "binary", "long"])
async def test_bytes_behind_a_last_request_are_ignored(
    serve: Serve, behind: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Operations §13 case 27: after a request that says close nothing is answered, executed or complained about."""
    async with serve() as site:
        for received in await site.ask_cut_everywhere(LAST, behind):
            assert [answer.body for answer in split_answers(received)] == [b"/last\n"]
        assert set(site.targets) == {b"/last"}
        assert site.service.refusals == {}
    assert [record for record in caplog.records if record.name.startswith("busbar_fast")] == []


async def test_repeated_chunked_head_alone_in_its_segment_has_its_body_read(serve: Serve) -> None:
    """Operations §3.1: a head equal to the one before is framed again; its body is not taken for a request."""
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)
    async with serve() as site:
        received = await site.ask(CHUNKED, body, CHUNKED, body, CHUNKED + body, LAST)
        assert [answer.body for answer in split_answers(received)][:3] == [b"/first\n" + SMUGGLED] * 3
        assert site.targets == [b"/first", b"/first", b"/first", b"/last"]


@pytest.mark.parametrize("field", [b"Content-Length:%d", b"CONTENT-LENGTH:\t%d", b"content-length:  %d  "])
async def test_repeated_head_with_a_length_in_another_form_has_its_body_read(serve: Serve, field: bytes) -> None:
    """Operations §3.1: however the length is written, the body of a repeated head is not taken for a request."""
    head = POST + field % len(SMUGGLED) + b"\r\n\r\n"
    async with serve() as site:
        received = await site.ask(head, SMUGGLED, head, SMUGGLED, head + SMUGGLED, LAST)
        assert [answer.body for answer in split_answers(received)][:3] == [b"/first\n" + SMUGGLED] * 3
        assert site.targets == [b"/first", b"/first", b"/first", b"/last"]


async def test_repeated_head_with_another_length_is_framed_by_it(serve: Serve) -> None:
    """Operations §3.1: of a repeated head only the digits may differ, and they count."""
    requests = [post(b"x" * size) for size in (3, 5, 0, 12, 1)]
    zeros = POST + b"Content-Length: 0002\r\n\r\nab"
    async with serve() as site:
        received = await site.ask(*requests, zeros, LAST)
        sizes = [len(answer.body) - len(b"/first\n") for answer in split_answers(received)[:-1]]
        assert sizes == [3, 5, 0, 12, 1, 2]


@pytest.mark.parametrize("length", [b"+2", b"", b"2, 2", b"2\r\nContent-Length: 2"])
async def test_repeated_head_with_a_bad_length_is_refused(serve: Serve, length: bytes) -> None:
    """Operations §13 case 16: a bad length is 400 in a repeated head as well."""
    bad = POST + b"Content-Length: " + length + b"\r\n\r\nab"
    async with serve() as site:
        client = await site.connected()
        await client.send_pieces(post(b"ab"), post(b"cd"), bad + SMUGGLED)
        answers = split_answers(await client.read_all())
        assert [answer.status for answer in answers] == [200, 200, 400]
        assert site.targets == [b"/first", b"/first"]
