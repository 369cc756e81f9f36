"""What one request costs in bytecode: a number that does not depend on the machine's mood, and may not grow unnoticed.

Counted are the instructions that Python executes in modules of the product between two moments, a hundred requests
apart on connections that are open already; what C code does in between, and tests and the standard library, is not.
`pytest -s tests/system/test_costs.py` prints the table. Whoever makes a request dearer on purpose raises its limit
here, in the change that does it; whoever makes it cheaper lowers it.
"""

import gc
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from busbar_fast.governance.keys import Held, Key, digest_of
from busbar_fast.governance.store import Store
from busbar_fast.ir.tool_names import fitting
from busbar_fast.mock.script import Script
from busbar_fast.wire.wheel import Wheel
from tests.dialects.vendors import streamed, told
from tests.house.source import ROOT
from tests.system.doors import Keeper
from tests.system.engines import running
from tests.system.origins import serving_upstream
from tests.system.rawclient import RawClient
from tests.system.serving import post

ROUNDS = 40
HEAD_ROOM = 1.02
PRODUCT = str(ROOT / "busbar_fast") + "/"
SECRET = "sk-bb-costs"
CONFIG = """
listen: 127.0.0.1:0
<head>
providers: {up: {protocol: <lane>, base_url: "http://127.0.0.1:<port>", api_key_env: UP_KEY}}
models: {first: {provider: up, upstream_model: a}, second: {provider: up, upstream_model: b}}
pools: {pool: {members: [{target: first, weight: 5}, {target: second}]}}
"""
TOKENS = "auth: {mode: token, client_tokens: [a-clients-token]}"
KEYS = 'governance: {enabled: true, admin_token: an-operators-token, db_path: "<folder>/keys.db"}'
SCRIPT = Script(text="Say hello to the new day!!", usage_in=9, usage_out=8)
LONG = Script(text="token 000000000 " * 64, delta_chars=16, usage_in=9, usage_out=64)

# Instructions of one request: what it is, the lane's dialect, whether it is streamed, with keys; and the limit.
SHAPES: dict[str, tuple[str, bool, bool, int]] = {
    "whole": ("openai", False, False, 3175),
    "whole, with keys": ("openai", False, True, 5085),
    "whole, translated": ("anthropic", False, False, 9025),
    "stream": ("openai", True, False, 9150),
    "stream, with keys": ("openai", True, True, 38350),
    "stream, translated": ("anthropic", True, False, 73330),
}


class Meter:
    """Counts instructions of the product, but for what the timers take: that goes by time and not by requests."""

    def __init__(self) -> None:
        self.instructions = 0
        self._is_turning = False

    def _pass_by(self, _frame: FrameType, event: str, _argument: Any) -> Any:
        """Count again when the timers have had their turn."""
        self._is_turning = event != "return"
        return self._pass_by

    def trace(self, frame: FrameType, event: str, _argument: Any) -> Any:
        """Be told by the interpreter."""
        if event == "opcode":
            self.instructions += 1
        elif event == "call":
            if self._is_turning or not frame.f_code.co_filename.startswith(PRODUCT):
                return None
            if frame.f_code is Wheel.turn.__code__:
                return self._pass_by(frame, event, None)
            frame.f_trace_opcodes = True
            frame.f_trace_lines = False
        return self.trace

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count for a while, in which no garbage is collected."""
        before = sys.gettrace()
        gc.collect()
        gc.disable()
        sys.settrace(self.trace)
        try:
            yield
        finally:
            sys.settrace(before)
            gc.enable()


def answer_of(lane: str, *, in_stream: bool) -> tuple[bytes, ...]:
    """Return what the upstream says, a stream in as many pieces as it has events."""
    if not in_stream:
        _, body = told(lane, SCRIPT)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        return (head + body,)
    frames = [frame + b"\n\n" for frame in streamed(lane, LONG).split(b"\n\n") if frame]
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = [b"%x\r\n%b\r\n" % (len(frame), frame) for frame in frames]
    return (head + chunks[0], *chunks[1:-1], chunks[-1] + b"0\r\n\r\n")


async def ask_often(client: RawClient, request: bytes, count: int) -> None:
    """Ask one after the other on one connection."""
    for _ in range(count):
        client.send(request)
        answer = await client.read_answer(b"POST")
        assert answer.status == 200, answer.body


async def cost_of(folder: Path, name: str) -> float:
    """Return the instructions of one request of this shape."""
    lane, in_stream, has_keys, _ = SHAPES[name]
    if has_keys:
        store = Store(str(folder / "keys.db"))
        store.open(0, 0)
        key = Key("vk_costs", "costs", ("pool",), 2**40, "total", 2**32 - 1, 2**32 - 1)
        store.insert(Held(key, digest_of(SECRET.encode()))).result()
        store.close()
    body: dict[str, Any] = {"model": "pool", "messages": [{"role": "user", "content": "Say hello!"}]}
    body |= {"stream": True} if in_stream else {}
    token = SECRET if has_keys else "a-clients-token"
    line = b"Authorization: Bearer %b" % token.encode()
    request = post(json.dumps(body).encode(), line, target=b"/v1/chat/completions")
    async with serving_upstream() as upstream:
        upstream.script = Keeper(*answer_of(lane, in_stream=in_stream))
        text = CONFIG.replace("<head>", KEYS if has_keys else TOKENS).replace("<lane>", lane)
        text = text.replace("<port>", str(upstream.port)).replace("<folder>", str(folder))
        async with running(folder, text) as site:
            client = site.connect()
            await ask_often(client, request, 20)
            meter = Meter()
            rounds = ROUNDS // 4 if in_stream else ROUNDS
            with meter.running():
                await ask_often(client, request, rounds)
            client.close()
    return meter.instructions / rounds


@pytest.mark.parametrize("name", SHAPES)
async def test_request_costs_no_more_than_it_did(tmp_path: Path, name: str) -> None:
    """Issue "regression gate": instructions of one request, within two per cent of what they were."""
    limit = SHAPES[name][-1]
    cost = await cost_of(tmp_path, name)
    print(f"{name:24}{cost:10,.0f} instructions, limit {limit * HEAD_ROOM:,.0f}")  # noqa: T201  the table
    assert cost <= limit * HEAD_ROOM, f"{name}: {cost:.0f} instructions, {limit} before; see the top of this file"
    assert cost >= limit * 0.9, f"{name}: {cost:.0f} instructions only, {limit} before: lower the limit"


def busy(count: int) -> int:
    """Do what costs something."""
    return sum(number for number in range(count))


def test_meter_counts_the_product_alone() -> None:
    """Issue "regression gate": the same each time, more for more work, and nothing for what is not ours."""
    counts = []
    for times in (1, 1, 3):
        meter = Meter()
        with meter.running():
            busy(1000)
            for _ in range(times):
                fitting("files.read")
        counts.append(meter.instructions)
    assert counts[0] == counts[1] > 10
    assert counts[2] == 3 * counts[0]
