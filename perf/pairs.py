"""What each of the 36 pairs of dialects costs, whole and streamed: `python -m perf.pairs [--rounds 3] [--count 200]`.

One client on one connection asks for lanes of every dialect in turns; the CPU time of the gateway's process tree is
divided by the answers. HAProxy passes the same requests to the same upstream in the same run. A pair on the diagonal is
passed through. Streams have 64 deltas of 16 characters, sent at once. Any answer that is no 200 ends the run.
"""

import argparse
import asyncio
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, cast

import uvloop

from busbar_fast.mock.router import answer
from busbar_fast.mock.script import Script
from perf import arithmetic, http_reply
from perf.caller import Caller
from perf.figures import BenchError
from perf.sides import ROOT, Haproxy, Ours, Running, Side

_TEXT: Final = "".join(f"token {number:09d} " for number in range(64))
SAID: Final = Script(text=_TEXT, delta_chars=16, usage_in=9, usage_out=64)
SHORT: Final = Script(text="Hi, all!", usage_in=9, usage_out=8)
_ASKED: Final = '"messages":[{"role":"user","content":"Say hello to the new day!!"}]'
_PARTS: Final = '"messages":[{"role":"user","content":[{"text":"Say hello to the new day!!"}]}]'
_CONTENTS: Final = '"contents":[{"role":"user","parts":[{"text":"Say hello to the new day!!"}]}]'
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_STREAMED: Final = re.compile(rb'"stream" ?: ?true|:streamGenerateContent|/converse-stream')


class Speech:
    """How one dialect asks."""

    def __init__(self, path: str, body: str, stream_path: str = "") -> None:
        self._path = path
        self._body = body
        self._stream_path = stream_path

    def body(self, model: str, *, in_stream: bool) -> bytes:
        """Return the body of a request."""
        named = f'"model":"{model}",' if "{}" not in self._path else ""
        wish = ',"stream":true' if in_stream and not self._stream_path else ""
        return f"{{{named}{self._body}{wish}}}".encode()

    def target(self, model: str, *, in_stream: bool) -> str:
        """Return the path of a request."""
        return (self._stream_path if in_stream and self._stream_path else self._path).replace("{}", model)


_GEMINI: Final = "/v1beta/models/{}:"
SPEECHES: Final[Mapping[str, Speech]] = {
    "openai": Speech("/v1/chat/completions", _ASKED),
    "responses": Speech("/v1/responses", '"input":"Say hello to the new day!!"'),
    "anthropic": Speech("/v1/messages", _ASKED + ',"max_tokens":99'),
    "gemini": Speech(_GEMINI + "generateContent", _CONTENTS, _GEMINI + "streamGenerateContent?alt=sse"),
    "bedrock": Speech("/model/{}/converse", _PARTS, "/model/{}/converse-stream"),
    "cohere": Speech("/v2/chat", _ASKED),
}


class Pairs(Ours):
    """The gateway with a lane of each dialect."""

    configuration = "pairs.yaml"


class Multilingual(Side):
    """The upstream: what the mock backend would say, worked out before anybody asks."""

    name = "upstream"
    is_faithful = False  # its answers are no one's yardstick

    def argv(self, listen: int, upstream: int, scratch: Path) -> Sequence[str]:  # noqa: ARG002  it is the last one
        """Start this module as an upstream."""
        return [sys.executable, "-m", "perf.pairs", "--upstream", str(listen)]


# The upstream


def _prepared(dialect: str, *, in_stream: bool) -> bytes:
    """Return the whole answer of a dialect as it goes over the wire."""
    speech = SPEECHES[dialect]
    target, body = speech.target("m", in_stream=in_stream).encode(), speech.body("m", in_stream=in_stream)
    reply = answer(b"POST", target, {}, body, SAID if in_stream else SHORT)
    if not in_stream:
        payload = b"".join(reply.frames)
        return b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (reply.headers, len(payload), payload)
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(frame), frame) for frame in reply.frames)
    return b"HTTP/1.1 200 OK\r\n%bTransfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n" % (reply.headers, chunks)


class Upstream(asyncio.Protocol):
    """One connection; finds the dialect by the path."""

    transport: asyncio.Transport

    def __init__(self, answers: Mapping[tuple[bytes, bool], bytes]) -> None:
        self._answers = answers
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Collect until a whole request is there, then answer it."""
        received = self._received = self._received + data
        head_end = received.find(b"\r\n\r\n")
        declared = _LENGTH.search(received, 0, head_end) if head_end > 0 else None
        if declared is None or len(received) < head_end + 4 + int(declared[1]):
            return
        self._received = b""
        place = received.split(b" ", 2)[1].split(b"?")[0].split(b":")[0].removesuffix(b"-stream")
        self.transport.write(self._answers[place, _STREAMED.search(received) is not None])


async def _serve(port: int) -> None:
    places = {
        dialect: speech.target("m", in_stream=False).split(":")[0].encode() for dialect, speech in SPEECHES.items()
    }
    answers = {
        (place, in_stream): _prepared(dialect, in_stream=in_stream)
        for dialect, place in places.items()
        for in_stream in (False, True)
    }
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Upstream(answers), "127.0.0.1", port)
    await server.serve_forever()


# The measurement


def _call(port: int, client: str, model: str, *, in_stream: bool) -> bytes:
    speech = SPEECHES[client]
    body = speech.body(model, in_stream=in_stream)
    head = f"POST {speech.target(model, in_stream=in_stream)} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _cost_us(side: Running, client: str, model: str, count: int, *, in_stream: bool) -> float:
    """Return the CPU time of one answer."""
    raw = _call(side.port, client, model, in_stream=in_stream)
    with Caller(side.port) as caller:
        caller.ask(raw)
        before = side.read_cpu()
        for _ in range(count):
            status, payload = caller.ask(raw)
            if status != http_reply.OK:
                raise BenchError(f"{client} at {model}: {status} {payload[:200]!r}")
        return side.read_cpu().since(before).used_ns / 1000 / count


def _measure(ours: Running, haproxy: Running, rounds: int, count: int, *, in_stream: bool) -> None:
    samples: dict[tuple[str, str], list[float]] = {}
    base: dict[str, list[float]] = {}
    for _ in range(rounds):
        for client in SPEECHES:
            base.setdefault(client, []).append(_cost_us(haproxy, client, "m", count, in_stream=in_stream))
            for lane in SPEECHES:
                cost = _cost_us(ours, client, f"to-{lane}", count, in_stream=in_stream)
                samples.setdefault((client, lane), []).append(cost)
    yardsticks = {client: arithmetic.median(costs) for client, costs in base.items()}
    costs = {pair: arithmetic.median(found) for pair, found in samples.items()}
    kind = "streams of 67 frames, at once" if in_stream else "whole answers"
    _say(f"\n{kind}: µs of CPU, and how many times HAProxy's")
    _say(f"{'client / lane':<14}" + "".join(f"{lane:>18}" for lane in SPEECHES) + f"{'HAProxy':>10}")
    for client, yardstick in yardsticks.items():
        cells = [f"{costs[client, lane]:>10,.0f} ({costs[client, lane] / yardstick:4.1f})" for lane in SPEECHES]
        _say(f"{client:<14}" + "".join(f"{cell:>18}" for cell in cells) + f"{yardstick:>10,.0f}")
    foreign = [costs[pair] / costs[pair[0], pair[0]] for pair in costs if pair[0] != pair[1]]
    _say(f"translated, in times of what the same client's passthrough costs: {min(foreign):.1f} to {max(foreign):.1f}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(argv: Sequence[str]) -> int:
    """Measure, or be the upstream."""
    parser = argparse.ArgumentParser(prog="python -m perf.pairs", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=200, help="answers a round")
    parser.add_argument("--upstream", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--pure", action="store_true", help="the gateway as written, nothing of it compiled")
    asked = parser.parse_args(argv)
    if asked.upstream:
        uvloop.run(_serve(asked.upstream))
    gateway = Pairs()
    if asked.pure:
        gateway.folder = ROOT
    if gateway.is_missing():
        sys.stdout.write("NOT MEASURED: make compiled, or --pure for the program as written\n")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        with (
            Running(Multilingual(), 0, scratch) as upstream,
            Running(gateway, upstream.port, scratch) as ours,
            Running(Haproxy(), upstream.port, scratch) as haproxy,
        ):
            for side, model in ((upstream, "m"), (ours, "to-openai"), (haproxy, "m")):
                side.wait_answer(_call(side.port, "openai", model, in_stream=False), None)
            for in_stream in (False, True):
                count = asked.count // 4 if in_stream else asked.count
                _measure(ours, haproxy, asked.rounds, max(1, count), in_stream=in_stream)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
