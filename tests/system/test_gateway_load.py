"""The gateway at its limit of requests at once: who waits, who is turned away, and who is never asked to wait."""

import asyncio

import orjson
import pytest

from busbar_fast.mock.script import Script
from busbar_fast.wire.limits import Limits
from tests.system.gateways import Front, gateway_over
from tests.system.rawclient import Answer, RawClient
from tests.system.serving import Serve, until

SLOW = Script(delay_head_ms=700)
BODY = b'{"model":"demo","messages":[{"role":"user","content":"hi"}]}'
CHAT = b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"


async def sent(front: Front, request: bytes) -> RawClient:
    client = await front.site.connected()
    client.send(request)
    return client


def check_shed(got: Answer) -> None:
    """The answer is a native 503 that says when to come back."""
    assert got.status == 503
    assert got.fields[b"retry-after"] == b"1"
    assert orjson.loads(got.body)["error"]["type"] == "server_error"


async def test_excess_waits_for_its_turn(serve: Serve, parser_kind: str) -> None:
    """Operations §2: above `max_inbound_concurrent` a request waits and is answered when its turn comes."""
    limits = Limits(max_inbound_concurrent=1, inbound_queue_max_s=8.0)
    async with gateway_over(serve, parser_kind, SLOW, limits=limits) as front:
        clients = [await sent(front, CHAT) for _ in range(2)]
        answers = await asyncio.gather(*(client.read_answer(b"POST") for client in clients))
        assert [got.status for got in answers] == [200, 200]
        for client in clients:
            client.close()


@pytest.mark.parametrize("patience_s", [0.0, 0.2])
async def test_excess_is_shed(serve: Serve, parser_kind: str, patience_s: float) -> None:
    """Operations §13 case 12: one runs, the second gets 503 with `Retry-After: 1`, and `/healthz` answers meanwhile."""
    limits = Limits(max_inbound_concurrent=1, inbound_queue_max_s=patience_s)
    async with gateway_over(serve, parser_kind, SLOW, limits=limits) as front:
        running = await sent(front, CHAT)
        await until(lambda: front.in_flight == [1])
        second = await sent(front, CHAT)
        probe = await sent(front, HEALTH)
        assert (await probe.read_answer()).body == b"ok"
        check_shed(await second.read_answer(b"POST"))
        assert front.in_flight == [1]
        assert (await running.read_answer(b"POST")).status == 200
        for client in (running, second, probe):
            client.close()
