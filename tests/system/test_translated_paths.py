"""Lanes of another dialect where the way to them, the size of their answers or the end of the process is unusual."""

import asyncio
import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from busbar_fast.mock.script import Script
from tests.system.fleets import call_of, failing, fleet
from tests.system.rawclient import Answer
from tests.system.scrapes import GET, parse
from tests.system.serving import Gate, Serve, until

TOOL = {"type": "function", "function": {"name": "tide_at", "parameters": {"type": "object", "properties": {}}}}
CALL = {"id": "call_of/ours:1", "type": "function", "function": {"name": "tide_at", "arguments": '{"port":"Brest"}'}}
TURNS = [
    {"role": "system", "content": "be kind"},
    {"role": "user", "content": "How high?"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": CALL["id"], "content": "7.1 m"},
]
COUNTED = "observability: {token_metrics: true}"


def chat(**more: Any) -> bytes:
    """Return a request of OpenAI with members that no other vendor knows."""
    document = {"model": "pool", "messages": TURNS, "tools": [TOOL], "logit_bias": {"50256": -100}, **more}
    body = json.dumps(document).encode()
    return b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


@pytest.mark.parametrize("way", ["fallback_pool:spare", "{action: least_bad}"])
async def test_lane_of_last_resort_is_spoken_to_in_its_own_words(tmp_path: Path, serve: Serve, way: str) -> None:
    """Reliability case 67, IR case 62, anthropic case 68: translated both ways, ids mapped, the unknown gone."""
    script = Script(tools=("tide_at",), args='{"port":"Ouessant"}')
    fates = (failing(), script) if "spare" in way else ([failing(), script],)
    pools = "  spare: {members: [{target: m1}]}" if "spare" in way else ""
    pool = f"on_exhausted: {way}"
    async with fleet(
        tmp_path, serve, *fates, dialect="anthropic", members="{target: m0}", pool=pool, pools=pools
    ) as made:
        client = made.site.connect()
        client.send(chat())
        got = await client.read_answer()
        client.close()
        assert got.status == 200
        assert len(made.received) == 2
        sent = made.received[1].document
    assert (sent["system"], "logit_bias" in sent) == ([{"type": "text", "text": "be kind"}], False)
    (use,) = sent["messages"][1]["content"]
    (result,) = sent["messages"][2]["content"]
    assert (use["input"], use["id"]) == ({"port": "Brest"}, result["tool_use_id"])
    assert re.fullmatch(r"[a-zA-Z0-9_-]+", use["id"])
    message = json.loads(got.body)["choices"][0]["message"]
    (call,) = message["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"port": "Ouessant"}
    assert re.fullmatch(r"call_[a-zA-Z0-9_-]{1,35}", call["id"])


async def test_answer_too_large_to_translate_costs_nobody_anything(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 63: 33 MiB of a good answer are a 500; no tokens count, and the lane is not blamed."""
    script = Script(body_bytes=33 << 20, usage_in=5, usage_out=7)
    async with fleet(tmp_path, serve, script, dialect="anthropic", top=COUNTED) as made:
        client = made.site.connect()
        client.send(chat())
        got = await client.read_answer()
        client.send(GET % b"/metrics")
        series = parse((await client.read_answer()).body)
        client.close()
        assert (got.status, "error" in json.loads(got.body)) == (500, True)
        assert made.counts("m0") == (1, 0, 0)
        assert made.state("m0").cells["pool"].streak == 0
    tokens = [value for (name, _), value in series.items() if name == "busbar_tokens_total"]
    assert (len(tokens), sum(tokens)) == (4, 0.0)  # of a pool and a lane by itself


async def test_same_dialect_is_never_translated(tmp_path: Path, serve: Serve) -> None:
    """IR cases 23, 63: passed through the counter stays at 0; hops to another dialect count, by their pair."""
    async with fleet(tmp_path, serve, failing(), None, dialect="anthropic") as made:
        counts = []
        for dialect in ("anthropic", "openai"):
            client = made.site.connect()
            client.send(call_of(dialect, "pool"))
            assert (await client.read_answer()).status == 200
            client.send(GET % b"/metrics")
            series = parse((await client.read_answer()).body)
            client.close()
            counts.append({pairs: value for (name, pairs), value in series.items() if "translations" in name and value})
    assert counts[0] == {}
    assert len(counts[1]) == 1
    assert next(iter(counts[1])) == (("from", "openai"), ("to", "anthropic"))


async def test_end_of_the_process_lets_streams_finish_and_turns_waiters_away(tmp_path: Path, serve: Serve) -> None:
    """Reliability case 88: at SIGTERM a stream ends well, who waits for a permit gets 503, and nobody is blamed."""
    hold = Gate()
    pool = "on_exhausted: {action: queue, max_ms: 30000}"
    async with fleet(tmp_path, serve, None, hold=hold, model="max_concurrent: 1", pool=pool) as made:
        streaming = made.send(stream=True)
        await until(lambda: hold.waiting == 1)
        waiting = made.send(stream=True)
        await until(lambda: len(made.site.engine._gateway.line) == 1)
        stops: asyncio.Queue[int] = asyncio.Queue()
        ending = asyncio.ensure_future(made.site.engine.end(stops, signal.SIGTERM))
        refused: Answer = await waiting.read_answer()
        assert (refused.status, "error" in json.loads(refused.body)) == (503, True)
        hold.open()
        answer = await streaming.read_answer()
        await asyncio.wait_for(ending, 10)
        assert (answer.status, answer.body[-14:]) == (200, b"data: [DONE]\n\n")
        assert made.counts("m0") == (1, 0, 0)
        assert made.state("m0").cells["pool"].streak == 0
