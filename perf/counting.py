"""Counts what one request costs in things that do not depend on how busy a machine is: calls, instructions, memory.

The gateway runs whole in this process, on uvloop, with a configuration of its own and real sockets on loopback. One
thread plays both of its ends and moves one piece at a time: it writes, and goes on when the gateway has nothing left to
do. So every request takes the same way through the code, and the figure is the median of a few dozen of them, which
leaves out the ticks of timers and of the thread that stores. `costs.py` compares the figures with the limits.
"""

import asyncio
import functools
import gc
import logging
import os
import socket
import statistics
import sys
import tempfile
import threading
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import BuiltinFunctionType, FrameType
from typing import Any, Final

import uvloop

from busbar_fast.config.load import load
from busbar_fast.config.vocabulary import Vocabulary
from busbar_fast.dialects.registry import DIALECTS, MODEL_OPTIONS, SPECIAL_OPTIONS
from busbar_fast.gateway.engine import Engine
from busbar_fast.ir.report import FIELDS
from busbar_fast.mock.router import answer
from busbar_fast.reliability.policies.script import complaint_of_script
from busbar_fast.wire.listener import bind
from busbar_fast.wire.parsers import choose_parser
from perf import http_reply, pairs, shapes, upstream
from perf.figures import BenchError
from perf.sides import Governed, Ours, Side, free_port

_PATIENCE_S: Final = 10.0
_ANSWER_BYTES: Final = 1 << 18
_WARM_UP: Final = 12  # requests; whatever is made once is made by then


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of request: who serves it, what asks, how the upstream answers, and what the client must get."""

    name: str
    title: str
    side: type[Side]
    body: bytes
    pieces: Sequence[bytes]
    payload: bytes  # or a part of it
    requests: int


@dataclass(frozen=True, slots=True)
class Costs:
    """What one request costs."""

    calls: int  # of functions written in Python, resumed coroutines included
    native_calls: int  # of functions written in C
    instructions: int  # of byte code
    peak_bytes: int  # allocated at once, beyond what there was before


def _spoken(*, in_stream: bool) -> list[bytes]:
    """Return the pieces in which an upstream of another dialect answers."""
    speech = pairs.SPEECHES["anthropic"]
    target = speech.target("m", in_stream=in_stream).encode()
    script = pairs.SAID if in_stream else pairs.SHORT
    reply = answer(b"POST", target, {}, speech.body("m", in_stream=in_stream), script)
    if not in_stream:
        payload = b"".join(reply.frames)
        return [b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (reply.headers, len(payload), payload)]
    chunks = [b"%x\r\n%b\r\n" % (len(frame), frame) for frame in reply.frames]
    return [b"HTTP/1.1 200 OK\r\n%bTransfer-Encoding: chunked\r\n\r\n" % reply.headers, *chunks, b"0\r\n\r\n"]


def _translated(name: str, title: str, requests: int, *, in_stream: bool) -> Shape:
    body = pairs.SPEECHES["openai"].body("to-anthropic", in_stream=in_stream)
    payload = b"data: [DONE]\n\n" if in_stream else b'"content":"Hi, all!"'
    return Shape(name, title, pairs.Pairs, body, _spoken(in_stream=in_stream), payload, requests)


def _with_usage() -> list[bytes]:
    """Return the stream as vendors write it who were asked for usage: in every frame, null until the last one."""
    *frames, end = shapes.stream_frames()
    usage = b',"usage":{"prompt_tokens":9,"completion_tokens":64,"total_tokens":73}}\n\n'
    told = frames[0].partition(b'"choices":')[0] + b'"choices":[]' + usage
    frames = [frame.removesuffix(b"}\n\n") + b',"usage":null}\n\n' for frame in frames]
    written = [b"%x\r\n%b\r\n" % (len(frame), frame) for frame in (*frames, told, end)]
    return [upstream.STREAM_HEAD, *written, b"0\r\n\r\n"]


@functools.cache
def all_shapes() -> tuple[Shape, ...]:
    """Return every kind of request that is counted."""
    whole = (shapes.REQUEST, [upstream.JSON_ANSWER], shapes.REPLY, 50)
    frames = [upstream.STREAM_HEAD, *upstream.WRITES]
    told = b"".join(shapes.stream_frames())
    return (
        Shape("json", "JSON, passed through", Ours, *whole),
        Shape("stream", "stream of 67 frames, passed through", Ours, shapes.stream_request(), frames, told, 12),
        _translated("json-translated", "JSON, openai to anthropic and back", 50, in_stream=False),
        _translated("stream-translated", "stream of 64 deltas, anthropic to openai", 8, in_stream=True),
        Shape("json-keys", "JSON, passed through, with virtual keys", Governed, *whole),
        Shape(
            "stream-keys",
            "stream of 67 frames, with virtual keys",
            Governed,
            shapes.stream_request(),
            _with_usage(),
            told,
            8,
        ),
    )


def _prompt(connection: socket.socket) -> socket.socket:
    """Return a connection that sends each piece at once and does not wait for ever."""
    connection.settimeout(_PATIENCE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


class Ends:
    """Both ends of the gateway, on a thread of their own: the client that asks and the upstream that answers."""

    def __init__(self, shape: Shape, loop: asyncio.AbstractEventLoop, port: int, listener: socket.socket) -> None:
        self._shape = shape
        self._loop = loop
        self._listener = listener
        self._client = _prompt(socket.create_connection(("127.0.0.1", port)))
        self._client.setblocking(False)
        self._upstream: socket.socket | None = None
        self._idle = threading.Lock()
        self._idle.acquire()
        self._request = shapes.encode_call(port, shape.body)
        self._asked = memoryview(bytearray(_ANSWER_BYTES))
        self._received = memoryview(bytearray(_ANSWER_BYTES))
        self._got = 0

    def close(self) -> None:
        """Leave both connections."""
        self._client.close()
        if self._upstream is not None:
            self._upstream.close()

    def ask(self) -> None:
        """Take one request from its first byte to its last; the answer is not looked at yet."""
        self._got = 0
        self._client.sendall(self._request)
        if self._upstream is None:
            self._listener.settimeout(_PATIENCE_S)
            self._upstream = _prompt(self._listener.accept()[0])
        self.settle()
        if not self._upstream.recv_into(self._asked):
            raise BenchError(f"{self._shape.name}: the gateway left its upstream")
        for piece in self._shape.pieces:
            self._upstream.sendall(piece)
            self.settle()
        self._receive()

    def _receive(self) -> None:
        """Read what has come; one read may find only a part of it."""
        while True:
            try:
                came = self._client.recv_into(self._received[self._got :])
            except BlockingIOError:
                return
            if not came:
                raise BenchError(f"{self._shape.name}: the gateway left its client")
            self._got += came

    def check(self) -> None:
        """Refuse an answer that is not what the upstream said."""
        received = self._received[: self._got].tobytes()
        whole = http_reply.maybe_payload(received)
        if whole is None or whole[0] != http_reply.OK or self._shape.payload not in whole[1]:
            raise BenchError(f"{self._shape.name}: wrong answer {received[:300]!r}")

    def settle(self) -> None:
        """Wait until the gateway has dealt with everything sent to it so far.

        What we sent is in its socket by now, so it is dealt with before the third turn of its loop that starts after
        this. No step of the way is a function in Python, and so none of them is counted.
        """
        again: Any = self._loop.call_soon
        self._loop.call_soon_threadsafe(again, again, again, self._idle.release)
        self._await_idle()

    def switch(self, setter: Callable[[Any], None], hook: Any) -> None:
        """Have the gateway's thread set a hook of the interpreter."""
        self._loop.call_soon_threadsafe(setter, hook)
        self.settle()

    def _await_idle(self) -> None:
        if not self._idle.acquire(timeout=_PATIENCE_S):
            raise BenchError(f"{self._shape.name}: the gateway is busy after {_PATIENCE_S} s")


class Tally:
    """What the hooks of the interpreter have seen."""

    def __init__(self) -> None:
        self.calls = 0
        self.native_calls = 0
        self.instructions = 0
        self.names: Counter[str] = Counter()

    def on_call(self, frame: FrameType, event: str, callee: Any) -> None:  # noqa: ARG002  the interpreter's signature
        """Count a call."""
        if event == "call":
            self.calls += 1
        elif event == "c_call":
            self.native_calls += 1

    def on_named_call(self, frame: FrameType, event: str, callee: Any) -> None:
        """Count a call by its name."""
        if event == "call":
            self.names[f"{_place(frame)} {frame.f_code.co_qualname}"] += 1
        elif event == "c_call":
            self.names[f"{_place(frame)} {frame.f_code.co_qualname} → {_native_name(callee)}"] += 1

    def on_frame(self, frame: FrameType, event: str, argument: Any) -> Callable[..., Any]:  # noqa: ARG002
        """Ask for every instruction of a function that begins or is resumed."""
        frame.f_trace_lines = False
        frame.f_trace_opcodes = True
        return self._on_instruction

    def _on_instruction(self, frame: FrameType, event: str, argument: Any) -> Callable[..., Any]:  # noqa: ARG002
        if event == "opcode":
            self.instructions += 1
        return self._on_instruction


def _place(frame: FrameType) -> str:
    """Return the last two parts of a file's path: enough to find it, and no name of a machine."""
    return "/".join(Path(frame.f_code.co_filename).parts[-2:])


def _native_name(callee: Any) -> str:
    if isinstance(callee, BuiltinFunctionType) and callee.__self__ is not None:
        owner = callee.__self__ if isinstance(callee.__self__, type) else type(callee.__self__)
        return f"{owner.__name__}.{callee.__name__}"
    return str(getattr(callee, "__qualname__", callee))


def _differences(ends: Ends, requests: int, read: Callable[[], int]) -> list[int]:
    """Return by how much a counter grew with each request."""
    found = []
    for _ in range(requests):
        before = read()
        ends.ask()
        found.append(read() - before)
        ends.check()
    return found


def _peaks(ends: Ends, requests: int) -> Iterator[int]:
    for _ in range(requests):
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        ends.ask()
        yield tracemalloc.get_traced_memory()[1] - before
        ends.check()


def _middle(values: Iterable[int]) -> int:
    return statistics.median_low(values)


def _count(ends: Ends, shape: Shape) -> Costs:
    """Count each thing in requests of its own, so that no hook sees the other ones."""
    for _ in range(_WARM_UP):
        ends.ask()
        ends.check()
    tally, requests = Tally(), shape.requests
    tracemalloc.start()
    try:
        list(_peaks(ends, _WARM_UP))  # what grows by doubling has grown
        peak_bytes = _middle(_peaks(ends, requests))
    finally:
        tracemalloc.stop()
    ends.switch(sys.setprofile, tally.on_call)
    both = _differences(ends, requests, lambda: (tally.calls << 32) + tally.native_calls)
    ends.switch(sys.setprofile, None)
    ends.switch(sys.settrace, tally.on_frame)
    instructions = _differences(ends, requests, lambda: tally.instructions)
    ends.switch(sys.settrace, None)
    calls, native_calls = (value >> 32 for value in both), (value & 0xFFFF_FFFF for value in both)
    return Costs(_middle(calls), _middle(native_calls), _middle(instructions), peak_bytes)


def _name_calls(ends: Ends, shape: Shape) -> dict[str, int]:
    """Return how often each function is called for one request; what happens less often than every time is left out."""
    for _ in range(_WARM_UP):
        ends.ask()
    tally = Tally()
    ends.switch(sys.setprofile, tally.on_named_call)
    for _ in range(shape.requests):
        ends.ask()
    ends.switch(sys.setprofile, None)
    return {name: count // shape.requests for name, count in tally.names.items() if count >= shape.requests}


@contextmanager
def _served(shape: Shape, loop: asyncio.AbstractEventLoop, upstream_port: int, scratch: Path) -> Iterator[Engine]:
    """Serve with the configuration of the shape's side."""
    file = shape.side().argv(free_port(), upstream_port, scratch)[-1]
    environment = {"BUSBAR_PERF_TOKEN": shapes.TOKEN}
    vocabulary = Vocabulary(DIALECTS, MODEL_OPTIONS, complaint_of_script, FIELDS, SPECIAL_OPTIONS)
    loaded = load(file, None, environment, vocabulary)
    assert loaded.config is not None, loaded.complaints
    engine = Engine(loaded.config, loaded.inputs, loop, choose_parser())
    try:
        engine.open(bind("127.0.0.1", 0))
        yield engine
    finally:
        engine.close()


Counted = Callable[[Ends, Shape], Any]


async def _play(shape: Shape, count: Counted, scratch: Path) -> Any:
    loop = asyncio.get_running_loop()
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        _served(shape, loop, listener.getsockname()[1], scratch) as engine,
    ):
        ends = Ends(shape, loop, engine.addresses[0][1], listener)
        try:
            return await loop.run_in_executor(None, count, ends, shape)
        finally:
            ends.close()


def _run(shape: Shape, count: Counted) -> Any:
    silent = logging.NullHandler()
    logging.getLogger("busbar_fast").addHandler(silent)
    gc.collect()
    gc.disable()
    try:
        with tempfile.TemporaryDirectory(prefix="busbar-costs-") as scratch:
            return uvloop.run(_play(shape, count, Path(scratch)), debug=False)
    finally:
        gc.enable()
        logging.getLogger("busbar_fast").removeHandler(silent)


def count_costs(shape: Shape) -> Costs:
    """Return what one request of this shape costs."""
    costs = _run(shape, _count)
    assert isinstance(costs, Costs)
    return costs


def name_calls(shape: Shape) -> dict[str, int]:
    """Return which functions one request of this shape calls, and how often."""
    names = _run(shape, _name_calls)
    assert isinstance(names, dict)
    return names


def is_undisturbed() -> bool:
    """Whether nothing in this process adds to what is counted: a debugger, a coverage run, the loop's debug mode."""
    return sys.gettrace() is None and sys.getprofile() is None and not os.environ.get("PYTHONASYNCIODEBUG")
