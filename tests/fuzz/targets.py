"""Everything of ours that reads what others wrote, with good inputs to start from and what must hold of any input.

A target takes an input and a source of chance. It lets through what its parser may raise; whatever else comes out is a
finding, and so is an `AssertionError` of its own: cut anywhere, an input means the same.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any, NamedTuple

from busbar_fast.aws.eventstream import FrameGarbled, FrameReader, FrameTooLarge, encode_event
from busbar_fast.aws.verify import Incoming, IssuedKey, Verifier
from busbar_fast.config.complaints import Complaints
from busbar_fast.config.guards import Exemptions
from busbar_fast.config.guards.verdicts import judge_base_url, judge_log_sink, judge_sink
from busbar_fast.config.tree import read_tree
from busbar_fast.dialects.asks import Ask, Operation
from busbar_fast.dialects.estimating import Estimator
from busbar_fast.dialects.forms import find_fields
from busbar_fast.dialects.registry import DIALECTS, speak, translator
from busbar_fast.errors import (
    FaultReported,
    Misshapen,
    NotForm,
    NotJson,
    Refused,
    TooDeep,
)
from busbar_fast.governance.drafts import BadDraft, read_changes, read_new
from busbar_fast.ir.report import Report
from busbar_fast.mock.script import Script
from busbar_fast.observe.spans import parse_parent
from busbar_fast.reliability.policies.script import complaint_of_script
from busbar_fast.wire.framing import MORE, ChunkedBody
from busbar_fast.wire.json_mend import missing_end
from busbar_fast.wire.json_scan import MAX_DEPTH, MemberScanner, find_members
from busbar_fast.wire.limits import Limits
from busbar_fast.wire.parsers import HeadParser, choose_parser
from busbar_fast.wire.proxied import ProxyHeader
from busbar_fast.wire.requests import RequestReader
from busbar_fast.wire.sse import SseSplitter, parse_event
from tests.dialects.vendors import CALLS, streamed, told
from tests.fuzz.mutations import pieces

Check = Callable[[bytes, Random], None]


class Target(NamedTuple):
    """See the module."""

    seeds: list[bytes]
    check: Check


HEADS = [
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nAuthorization: Bearer t\r\n\r\n{}",
    b"GET http://h/healthz?a=b HTTP/1.1\r\nHost: h\r\nConnection: close, x\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: h:80\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"\r\nOPTIONS * HTTP/1.0\r\n\r\nGET / HTTP/1.1\r\nHost: [::1]\r\n\r\n",
]
JSON = [
    b'{"model":"m","stream":true,"messages":[{"role":"user","content":"h\\u00e9\\"llo {\\\\}"}],"n":-1.5e3,"x":null}',
    b' { "a" : [ 1 , { "model" : "inner" } , [ ] ] , "mod\\u0065l" : "escaped" , "stream_options":{"include":true}} ',
    b'{"usage":{"prompt_tokens":1,"completion_tokens":2},"model":{"a":{"b":[[[[]]]]}}}',
]
NAMES = (b"model", b"stream", b"usage")
BAD = "bad"


def _heads(parser: HeadParser) -> Check:
    limits = Limits()

    def read(cuts: list[bytes]) -> list[object]:
        reader = RequestReader(limits, parser)
        said: list[object] = []
        try:
            for cut in cuts:
                head = reader.next_head(cut)
                while head is not None:
                    said.append((head.method, head.target, head.length, dict(head.fields)))
                    head = reader.next_head(b"")
        except Refused as refused:
            said.append(refused.status)
        return said

    def check(raw: bytes, chance: Random) -> None:
        assert read([raw]) == read(pieces(raw, chance))

    return check


def _chunks(raw: bytes, chance: Random) -> None:
    def read(cuts: list[bytes]) -> tuple[object, bytes]:
        body, parts, at = ChunkedBody(), list[bytes](), 0
        try:
            for cut in cuts:
                end = body.feed(cut, parts)
                if end != MORE:
                    return at + end, b"".join(parts)
                at += len(cut)
        except Refused as refused:
            return f"refused {refused.status}", b""
        return MORE, b"".join(parts)

    assert read([raw]) == read(pieces(raw, chance))


def _events(raw: bytes, chance: Random) -> None:
    def read(cuts: list[bytes]) -> list[tuple[bytes | None, bytes | None]]:
        splitter = SseSplitter()
        events = [event for cut in cuts for event in splitter.feed(cut)]
        parsed = map(parse_event, (*events, splitter.take_rest()))
        return [(event.name, event.payload) for event in parsed if event.payload is not None]  # the rest says nothing

    assert read([raw]) == read(pieces(raw, chance))


def _members(raw: bytes, chance: Random) -> None:
    def whole() -> object:
        try:
            return {name: spans for name, spans in find_members(raw, NAMES).items() if spans}
        except (NotJson, TooDeep):
            return BAD

    def cut() -> object:
        scanner = MemberScanner(NAMES)
        try:
            for piece in pieces(raw, chance):
                scanner.feed(piece)
            return {name: spans for name, spans in scanner.finish().items() if spans}
        except (NotJson, TooDeep):  # of several faults the one that is met first is told
            return BAD

    assert whole() == cut()
    with suppress(ValueError, RecursionError):
        document = json.loads(raw.decode("utf-8"))  # bytes would let half characters through
        if isinstance(document, dict) and raw.count(b"{") + raw.count(b"[") < MAX_DEPTH:
            assert whole() != BAD, "what is JSON was refused"


def _mend(raw: bytes, chance: Random) -> None:
    end = missing_end(raw, b'"last":1')
    if end:  # bytes that are no text are their sender's; clients read them as replaced
        assert json.loads((raw + end).decode("utf-8", "replace"))["last"] == 1
    try:
        document = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        return
    if isinstance(document, dict):
        beginning = raw[: chance.randint(0, len(raw))].lstrip(b" \t\r\n")
        assert missing_end(beginning, b'"last":1') is not None, "a beginning was not known as one"


def _frames(raw: bytes, chance: Random) -> None:
    def read(cuts: list[bytes]) -> list[object]:
        reader, said = FrameReader(), list[object]()
        try:
            for cut in cuts:
                reader.feed(cut)
                while (frame := reader.maybe_next()) is not None:
                    said.append((bytes(frame.payload), dict(frame.headers)))
        except (FrameGarbled, FrameTooLarge) as error:
            said.append(type(error))
        return said

    assert read([raw]) == read(pieces(raw, chance))


_SIGNED = (
    b"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261127/us-east-1/bedrock/aws4_request, "
    b"SignedHeaders=host;x-amz-date, Signature=" + b"0" * 64 + b"\n20261127T120000Z\nh\n/model/a%3Ab/converse?x=1"
)


def _signature(raw: bytes, chance: Random) -> None:  # noqa: ARG001  nothing is cut
    authorization, _, rest = raw.partition(b"\n")
    date, _, rest = rest.partition(b"\n")
    host, _, target = rest.partition(b"\n")
    verifier = Verifier(b"bedrock", lambda name: IssuedKey(b"secret", True) if name else None)
    headers = [(b"authorization", authorization), (b"x-amz-date", date), (b"host", host)]
    assert not verifier.verify(Incoming(b"POST", target, headers, b"{}"), 1795780800).is_admitted


_FORM = (
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n\x00\x01\r\n--b--\r\n'
)


def _form(raw: bytes, chance: Random) -> None:  # noqa: ARG001  nothing is cut
    with suppress(NotForm):
        for start, end in find_fields(raw, b"multipart/form-data; boundary=b", b"model"):
            assert 0 <= start <= end <= len(raw)


def _url(raw: bytes, chance: Random) -> None:  # noqa: ARG001  nothing is cut
    text = raw.decode("utf-8", "surrogateescape")
    for judge in (judge_base_url, judge_sink, judge_log_sink):
        judge(text, Exemptions())


def _yaml(raw: bytes, chance: Random) -> None:  # noqa: ARG001  nothing is cut
    read_tree(raw.decode("utf-8", "replace"), "fuzz.yaml", Complaints(), lambda scalar, *_: (scalar, scalar))


def _script(raw: bytes, chance: Random) -> None:  # noqa: ARG001  nothing is cut
    complaint_of_script(raw.decode("utf-8", "replace"))


def _proxied(version: int) -> Check:
    def read(cuts: list[bytes]) -> object:
        header = ProxyHeader(version)
        try:
            for cut in cuts:
                left = cut
                while left and not header.is_over:
                    left = left[header.feed(left[: header.wanted]) :]
        except Refused:
            return None
        return header.address if header.is_over else "more"

    def check(raw: bytes, chance: Random) -> None:
        assert read([raw]) == read(pieces(raw, chance))

    return check


def _draft(raw: bytes, chance: Random) -> None:  # noqa: ARG001  nothing is cut
    for read in (read_new, read_changes):
        with suppress(BadDraft, NotJson, TooDeep):
            read(raw)


def _parent(raw: bytes, chance: Random) -> None:  # noqa: ARG001  nothing is cut
    parent = parse_parent(raw)
    assert parent is None or (len(parent.trace_id), len(parent.span_id)) == (16, 8)


def _request(dialect: str) -> Target:
    reading, ask = translator(speak(dialect)), Ask(speak(dialect), Operation.CONVERSE)

    def check(raw: bytes, chance: Random) -> None:  # noqa: ARG001  nothing is cut
        with suppress(Misshapen, NotJson, TooDeep):
            reading.read_request(raw, ask, Report())

    document: dict[str, Any] = CALLS[dialect][1]
    return Target([json.dumps(document | more).encode() for more in ({}, _MORE, {"model": "m", "stream": True})], check)


# Members of every dialect at once: each reader knows some of them.
_MORE: dict[str, Any] = {
    "model": "m",
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}, "name": "f"}],
    "tool_choice": "auto",
    "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
    "temperature": 0.5,
    "stop": ["a"],
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
    "thinking": {"type": "enabled", "budget_tokens": 2000},
    "generationConfig": {"temperature": 1, "stopSequences": ["a"], "thinkingConfig": {"thinkingBudget": 1}},
    "inferenceConfig": {"maxTokens": 5},
    "toolConfig": {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {}}}}]},
}


def _answer(dialect: str) -> Target:
    reading = translator(speak(dialect))

    def check(raw: bytes, chance: Random) -> None:
        with suppress(Misshapen, NotJson, TooDeep, FaultReported):
            reading.read_answer(raw, Report())
        watch = speak(dialect).new_watch(b"application/json")
        for piece in pieces(raw, chance):
            watch.feed(piece)
        watch.maybe_usage()

    scripts = (Script(text="a"), Script(tools=("f",), thinking=True), Script(text="é\n", usage_in=3))
    return Target([told(dialect, script)[1] for script in scripts], check)


def _stream(dialect: str) -> Target:
    def check(raw: bytes, chance: Random) -> None:
        cuts = pieces(raw, chance)
        estimates = []
        for given in ([raw], cuts):
            estimator = Estimator(speak(dialect))
            for piece in given:
                estimator.feed(piece)
            estimates.append(estimator.tokens)
        assert estimates[0] == estimates[1]
        watch = speak(dialect).new_watch(_TYPES.get(dialect, b"text/event-stream"))
        ending = speak(dialect).new_ending(Ask(speak(dialect), Operation.CONVERSE, in_stream=True))
        for piece in cuts:
            watch.feed(piece)
            ending.feed(piece)
        assert watch.has_ended in (True, False)
        assert watch.fault is None or watch.fault.payload is not None
        watch.maybe_usage()
        ending.encode_break(None)

    scripts = (Script(text="abc"), Script(tools=("f",), thinking=True), Script(deltas=3, fail_after=1))
    return Target([streamed(dialect, script) for script in scripts], check)


_TYPES = {"bedrock": b"application/vnd.amazon.eventstream"}

TARGETS: dict[str, Target] = {
    "heads-httptools": Target(HEADS, _heads(choose_parser("httptools"))),
    "heads-h11": Target(HEADS, _heads(choose_parser("h11"))),
    "chunks": Target(
        [b"2\r\n{}\r\n0\r\n\r\n", b"5;a=b\r\nhello\r\n00\r\nT: x\r\n\r\n", b"A\r\n0123456789\r\n1\r\nx\r\n"], _chunks
    ),
    "events": Target([b"event: a\ndata: {}\n\ndata: x\r\n\r\n:c\nid: 1\n\n", b"data: a\rdata: b\r\rdata\n\n"], _events),
    "members": Target(JSON, _members),
    "mending": Target(JSON, _mend),
    "frames": Target([encode_event("chunk", b'{"a":1}') * 2, encode_event("metadata", b"{}")], _frames),
    "signatures": Target([_SIGNED], _signature),
    "forms": Target([_FORM], _form),
    "urls": Target([b"https://api.example.com:443/v1?a=b#c", b"http://[::ffff:10.0.0.1]/x", b"http://0x7f.1/"], _url),
    "yaml": Target(
        [b"a: {b: [1, 'c', \"d\"]}\ne: &x\n  f: |\n    g\nh: *x\n", b"providers: {p: {api_key: none}}\n"], _yaml
    ),
    "scripts": Target(
        [b"sorted(candidates, key=lambda c: (c.tier, -c.weight))", b"[c for c in candidates if c.idx]"], _script
    ),
    "proxy-1": Target([b"PROXY TCP4 203.0.113.7 10.0.0.1 12345 8080\r\n", b"PROXY UNKNOWN\r\n"], _proxied(1)),
    "proxy-2": Target([b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12)], _proxied(2)),
    "drafts": Target([b'{"name":"n","max_budget_cents":5,"budget_period":"daily","allowed_pools":["a"]}'], _draft),
    "traceparent": Target([b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"], _parent),
    **{f"request-{name}": _request(name) for name in DIALECTS},
    **{f"answer-{name}": _answer(name) for name in DIALECTS},
    **{f"stream-{name}": _stream(name) for name in DIALECTS},
}
