"""What passes between a client and an upstream of its own dialect: the same bytes, but for the model and the key."""

from itertools import product
from pathlib import Path

import pytest

from busbar_fast.aws.eventstream import encode_event
from tests.system.doors import BY_NAME, DOORS, MODEL, Door, House, chunked, cuts, read, six_doors
from tests.system.serving import chunked_head, post

CLOSE = b"Connection: close"
EVERY_DOOR = pytest.mark.parametrize("door", DOORS, ids=[door.name for door in DOORS])
IN_BODY = [door for door in DOORS if door.minimal != b"{}"]
GEMINI, BEDROCK = BY_NAME["gemini"], BY_NAME["bedrock"]

# Whatever a JSON encoder would have changed: `%b` is the model, the other names of this kind are somebody else's.
ODD = (
    rb' {"zeta" : 1e400 ,"n":-0.0,"big":123456789012345678901234567890,"f":1.50E+02,'
    b"\r\n\t"
    rb'"esc\"aped\u00e9":"\ud83d\ude00\/", "dup":1,"dup":[ ],"unknown":{"model":"mine","stream":true,"x":[{"model":1}]}'
    + ',"é":"日本\U0001f600\x7f"'.encode()
    + rb',"temperature":0.10, "messages" : [ ] %b } '
    b"\n"
)
MEMBERS = [
    (b',"model":%b', 1),
    (rb', "\u006dodel"%b'.replace(b"%b", b" :\t%b\r\n"), 1),
    (b',"model":%b,"model":%b', 2),
    (b',"stream":false,"model":%b,"n":0', 1),
]


def odd_body(member: bytes, model: bytes) -> bytes:
    """Return the odd body with such a member, as often as it takes a model."""
    return ODD.replace(b"%b", member.replace(b"%b", b'"%b"' % model))


def check_last(house: House, body: bytes) -> None:
    """The last request came with this body; a comparison of large ones is not printed, that would take minutes."""
    came = house.keeper.bodies[-1]
    is_same = came == body
    assert is_same, (len(came), len(body), came[:800])


# The request


@pytest.mark.parametrize("door", IN_BODY, ids=[door.name for door in IN_BODY])
@pytest.mark.parametrize(("member", "times"), MEMBERS)
async def test_only_the_model_differs(tmp_path: Path, door: Door, member: bytes, times: int) -> None:
    """Reliability §6: an unmodified body is sent byte for byte, except for the root's `model`, wherever it stands."""
    asked, wanted = odd_body(member, door.model), odd_body(member, MODEL)
    assert asked.count(door.model) == times
    async with six_doors(tmp_path) as house:
        assert (await house.ask(door, body=asked)).status == 200
        check_last(house, wanted)
        streamed = asked.replace(b"{", b'{"stream":true,', 1)
        assert (await house.ask(door, body=streamed, target=door.stream)).status == 200
        check_last(house, wanted.replace(b"{", b'{"stream":true,', 1))


@pytest.mark.parametrize("door", [GEMINI, BEDROCK], ids=["gemini", "bedrock"])
async def test_model_in_the_path_leaves_the_body_alone(tmp_path: Path, door: Door) -> None:
    """Reliability §1: where the path says the model, nothing in the body is touched or added."""
    async with six_doors(tmp_path) as house:
        for target, upstream in ((door.target, door.upstream), (door.stream, door.upstream_stream)):
            assert (await house.ask(door, body=odd_body(b"", b""), target=target)).status == 200
            check_last(house, odd_body(b"", b""))
            assert house.keeper.heads[-1].startswith(b"POST %b HTTP/1.1\r\n" % upstream)


async def test_model_that_the_body_need_not_name(tmp_path: Path) -> None:
    """Bedrock and Gemini take the name from the path, so a `model` that a body has besides decides nothing."""
    async with six_doors(tmp_path) as house:
        odd = odd_body(b',"model":%b', b"somebody")
        assert (await house.ask(BEDROCK, body=odd)).status == 200
        check_last(house, odd)
        assert (await house.ask(GEMINI, body=odd)).status == 200
        check_last(house, odd_body(b',"model":%b', b"models/" + MODEL))


@EVERY_DOOR
@pytest.mark.parametrize("is_chunked", [False, True])
async def test_body_in_any_pieces_is_the_same(tmp_path: Path, door: Door, is_chunked: bool) -> None:
    """Operations §13 case 32: byte by byte and cut in two within each character, with a length and in chunks."""
    member = b',"model":%b' if door in IN_BODY else b""
    body, wanted = odd_body(member, door.model), odd_body(member, MODEL)
    head = chunked_head(target=door.target) if is_chunked else post(body, target=door.target)[: -len(body)]
    sent = chunked(body, 7) if is_chunked else body
    characters = sent.index("日".encode()) if not is_chunked else len(sent) // 2
    async with six_doors(tmp_path) as house:
        client = house.connect()
        for pieces in cuts(sent, range(characters, characters + 12)):
            await client.send_pieces(head, *pieces)
            assert (await client.read_answer(b"POST")).body == b"{}"
        assert set(house.keeper.bodies) == {wanted}
        lengths = {b"\r\nContent-Length: %d\r\n" % len(wanted) in raw for raw in house.keeper.heads}
        assert lengths == {True}
        assert not any(b"ransfer-" in raw for raw in house.keeper.heads)


@pytest.mark.parametrize("door", [BY_NAME["openai"], BY_NAME["anthropic"]], ids=["openai", "anthropic"])
async def test_request_cut_in_two_anywhere_is_the_same(tmp_path: Path, door: Door) -> None:
    """Operations §13 case 32: head and body fed in two pieces, cut at every place, give one and the same request."""
    body = odd_body(b',"model":%b', door.model)
    raw = post(body, b"X-Filler: 1", target=door.target)
    async with six_doors(tmp_path) as house:
        client = house.connect()
        for pieces in cuts(raw):
            await client.send_pieces(*pieces)
            assert (await client.read_answer(b"POST")).status == 200
        assert set(house.keeper.bodies) == {odd_body(b',"model":%b', MODEL)}
        assert len(set(house.keeper.heads)) == 1


@EVERY_DOOR
@pytest.mark.parametrize("is_chunked", [False, True])
async def test_large_body_is_the_same(tmp_path: Path, door: Door, is_chunked: bool) -> None:
    """Reliability §6: also a body that is sent apart from its head arrives as it was, the model first or last."""
    async with six_doors(tmp_path) as house:
        for size, template in product(
            (65535, 65536, 65537, 1_000_003), (b'{"model":"%b","x":"%b"}', b'{"x":"%b","model":"%b"}')
        ):
            filler = ("é" * (size // 2)).encode()[: size - 40].rsplit(b"\xc3", 1)[0]
            first = template.startswith(b'{"m')
            asked, wanted = (
                template % ((name, filler) if first else (filler, name))
                for name in (door.model, b"models/" + MODEL if door is GEMINI else MODEL)
            )
            wanted = asked if door is BEDROCK else wanted
            head = chunked_head(CLOSE, target=door.target) if is_chunked else post(asked, CLOSE, target=door.target)
            client = house.connect()
            raw = head + chunked(asked, 4099) if is_chunked else head
            assert await client.send_large(raw) == len(raw)
            assert read(await client.read_all()).status == 200
            check_last(house, wanted)


# The answer

TEXT_JSON = (
    rb' {"id" : "x","n":1e400,"dup":1,"dup":[ ],"s":"\ud83d\ude00' + 'é日\U0001f600"'.encode() + rb',"u":null}' + b"\n"
)
EVENTS = (
    b': hello\n\nevent: a\r\ndata: {"x" : 1.0}\r\n\r\ndata:no blank\ndata\nid: 7\nretry: 10\n\n'
    + 'data: {"s":"é日\U0001f600"}\n\n'.encode()
    + b"%b\n\n"
    + b"data: unterminated"
)
ENDS = {  # by which a stream says that its answer is complete
    "openai": b"data: [DONE]",
    "responses": b'event: response.completed\ndata: {"type" : "response.completed"}',
    "anthropic": b'event: message_stop\ndata: {"type" : "message_stop"}',
    "cohere": b"data: [DONE]",
    "gemini": b'data: {"candidates" : [{"finishReason" : "STOP"}]}',
}
FRAMES = b"".join(
    encode_event("contentBlockDelta", f'{{"delta":{{"text":"{text}"}},"contentBlockIndex":0}}'.encode())
    for text in ("é", "日\U0001f600")
) + encode_event("messageStop", b'{"stopReason" : "end_turn"}')
TRAILERS = b"Set-Cookie: a=b\r\nX-Tail: 1\r\n\r\n"


def stream_of(door: Door) -> tuple[bytes, bytes]:
    """Return type and bytes of a stream of this dialect."""
    if door is BEDROCK:
        return b"application/vnd.amazon.eventstream", FRAMES
    return b"text/event-stream; charset=utf-8", EVENTS % ENDS[door.name]


def answer_head(kind: bytes, *lines: bytes) -> bytes:
    """Return the head of an upstream's answer."""
    more = b"".join(line + b"\r\n" for line in lines)
    return b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n%b\r\n" % (kind, more)


def framed(kind: bytes, body: bytes, framing: str) -> bytes:
    """Return an answer in one of the ways to say where it ends."""
    if framing == "length":
        return answer_head(kind, b"Content-Length: %d" % len(body)) + body
    if framing == "close":
        return answer_head(kind) + body
    raw = answer_head(kind, b"Transfer-Encoding: chunked", b"Trailer: X-Tail") + chunked(body, 11)
    if framing == "odd chunks":
        raw = raw.replace(b"\r\nb\r\n", b"\r\n000B;ext=1\r\n")
    return raw.removesuffix(b"\r\n") + TRAILERS if framing != "chunks" else raw


FRAMINGS = ["length", "close", "chunks", "trailers", "odd chunks"]


async def check_answers(house: House, door: Door, kind: bytes, body: bytes, framing: str, *, in_stream: bool) -> None:
    """An answer arrives as it was: whole, byte by byte, and cut in two around its characters."""
    raw = framed(kind, body, framing)
    house.keeper.closes = framing == "close"
    asked = post(
        door.minimal.replace(b"}", b',"stream":true}') if in_stream and door in IN_BODY else door.minimal,
        CLOSE,
        target=door.stream if in_stream else door.target,
    )
    at = len(raw) - len(body)
    whole, single, *halves = [(raw,), *cuts(raw, range(at, at + 12, 2))]
    old = asked.replace(b"HTTP/1.1", b"HTTP/1.0")
    plays = [(whole, asked), (whole, old), (single, asked), *((half, asked) for half in halves)]
    for pieces, request in plays:
        house.keeper.pieces = pieces
        seen = read(await house.say(request))
        assert (seen.status, seen.body) == (200, body)
        assert seen.value("content-type") == kind.decode()
        assert seen.names == sorted({"content-type", door.id_field} - {""})


@EVERY_DOOR
async def test_document_arrives_as_it_was(tmp_path: Path, door: Door) -> None:
    """Reliability §8: a document of the same dialect is relayed byte for byte, however it is framed and cut."""
    async with six_doors(tmp_path) as house:
        for framing in FRAMINGS:
            await check_answers(house, door, b"application/json", TEXT_JSON, framing, in_stream=False)


@EVERY_DOOR
async def test_stream_arrives_as_it_was(tmp_path: Path, door: Door) -> None:
    """Reliability §8: events and frames are relayed byte for byte, comments, blanks and odd ends included."""
    kind, body = stream_of(door)
    async with six_doors(tmp_path) as house:
        for framing in FRAMINGS:
            await check_answers(house, door, kind, body, framing, in_stream=True)


@EVERY_DOOR
async def test_answer_cut_in_two_anywhere_is_the_same(tmp_path: Path, door: Door) -> None:
    """Reliability §8: a chunked stream with trailers, cut at every place of head, chunks and trailers, stays itself."""
    kind, body = stream_of(door)
    raw = framed(kind, body, "trailers")
    async with six_doors(tmp_path) as house:
        client = house.connect()
        asked = post(door.minimal, target=door.stream)
        for pieces in cuts(raw):
            house.keeper.pieces = pieces
            client.send(asked)
            answer = await client.read_answer(b"POST")
            assert answer.body == body
            assert set(answer.fields) - {b"date", b"transfer-encoding", b"content-type"} <= {door.id_field.encode()}


@EVERY_DOOR
async def test_what_is_no_json_arrives_as_well(tmp_path: Path, door: Door) -> None:
    """Reliability §8: nobody reads the body on its way, so a broken or a large one is the client's to judge."""
    async with six_doors(tmp_path) as house:
        bodies = (b"", b"\0\xff\xfe", b"<html>no JSON</html>", b"x" * 300_000)
        for framing, body in product(("length", "chunks", "close"), bodies):
            house.keeper.pieces = (framed(b"text/odd", body, framing),)
            house.keeper.closes = framing == "close"
            assert (await house.ask(door)).body == body


# Gemini's array

ARRAY = GEMINI.stream.replace(b"?alt=sse", b"")
PAYLOADS = [rb'{"a" : 1e400 }', '{"s":"é日\U0001f600"}'.encode(), b'{"candidates":[{"finishReason":"STOP"}]}']
ARRAY_EVENTS = b": hi\n\ndata:  " + PAYLOADS[0] + b"\n\nevent: x\ndata: %b\r\n\r\ndata: %b" % tuple(PAYLOADS[1:])


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_array_holds_the_payloads_as_they_were(tmp_path: Path, framing: str) -> None:
    """Reliability §8: without `alt=sse` events, in whatever case that is said, become one array byte for byte."""
    raw = framed(b"Text/Event-Stream; Charset=utf-8", ARRAY_EVENTS, framing)
    wanted = b"[ " + b",\r\n".join(PAYLOADS) + b"]"  # of two blanks in front, one belongs to the event
    async with six_doors(tmp_path) as house:
        house.keeper.closes = framing == "close"
        for pieces in [(raw,), *cuts(raw)]:
            house.keeper.pieces = pieces
            seen = await house.ask(GEMINI, target=ARRAY)
            assert (seen.status, seen.value("content-type")) == (200, "application/json")
            assert seen.body == wanted
        assert {head.split(b" ", 2)[1] for head in house.keeper.heads} == {GEMINI.upstream_stream}


async def test_answer_that_was_no_stream_is_an_array_of_one(tmp_path: Path) -> None:
    """Reliability §8: a document where a stream was wanted is the only element, and an error stays what it is."""
    async with six_doors(tmp_path) as house:
        house.keeper.pieces = (framed(b"application/json", TEXT_JSON, "chunks"),)
        assert (await house.ask(GEMINI, target=ARRAY)).body == b"[" + TEXT_JSON + b"]"
        array = b' [{"candidates":[]} ]'  # of a back end that knows no events
        house.keeper.pieces = (framed(b"application/json", array, "chunks"),)
        assert (await house.ask(GEMINI, target=ARRAY)).body == array
        house.keeper.pieces = (framed(b"application/json", b'[{"error":1}]', "length").replace(b"200 OK", b"400 X"),)
        seen = await house.ask(GEMINI, target=ARRAY)
        assert (seen.status, seen.body) == (400, b'[{"error":1}]')
