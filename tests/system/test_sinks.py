"""Sinks over real sockets: the request log's webhook, traces, `Server-Timing`, and ids of requests."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from busbar_fast.mock.script import Script
from busbar_fast.wire.exchange import Exchange
from tests.system.fleets import Fleet, failing, fleet
from tests.system.gateways import Fate, closed_port
from tests.system.programs import JSON
from tests.system.scrapes import parse
from tests.system.serving import Gate, Serve, until

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
FIVE = {"ts", "ingress_protocol", "pool", "outcome", "latency_ms"}


class Taker:
    """A sink: remembers what is posted to it, answers when the gate is open, with the status it is told."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.gate: Gate | None = None
        self.heads: list[dict[bytes, bytes]] = []
        self.bodies: list[bytes] = []

    async def serve(self, exchange: Exchange) -> None:
        """Take one post."""
        self.heads.append(dict(exchange.head.fields))
        self.bodies.append(await exchange.read_body())
        if self.gate is not None:
            await self.gate.wait()
        exchange.reply(self.status, JSON, b"{}")

    @property
    def records(self) -> list[dict[str, Any]]:
        """What was posted, as documents."""
        return [orjson.loads(body) for body in self.bodies]

    @property
    def spans(self) -> list[Span]:
        """What was posted, as spans."""
        found = []
        for body in self.bodies:
            message = ExportTraceServiceRequest()
            message.ParseFromString(body)
            found += [span for r in message.resource_spans for s in r.scope_spans for span in s.spans]
        return found


@asynccontextmanager
async def told(
    folder: Path, serve: Serve, taker: Taker, *fates: Fate, sink: str = "request_log_webhook_url", **parts: Any
) -> AsyncIterator[Fleet]:
    """Run a fleet that tells a sink; `more` are further settings of `observability`."""
    async with serve(taker.serve) as site:
        more = "".join(f", {text}" for text in (parts.pop("more", ""),) if text)
        top = (
            f"observability: {{{sink}: 'http://u%40:pa:ss@127.0.0.1:{site.port}/in?k=v'{more}}}\n"
            "security: {allow_sink_hosts: [127.0.0.1]}\n" + parts.pop("top", "")
        )
        async with fleet(folder, serve, *fates, top=top, **parts) as made:
            yield made


async def scrape(made: Fleet, name: str) -> float:
    """Return a series without labels."""
    client = made.site.connect()
    client.send(b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n")
    series = parse((await client.read_answer()).body)
    client.close()
    return series[name, ()]


def attributes(span: Span) -> dict[str, Any]:
    """Return what a span says."""
    return {a.key: getattr(a.value, str(a.value.WhichOneof("value"))) for a in span.attributes}


# The request log


async def test_every_counted_request_is_one_record(tmp_path: Path, serve: Serve) -> None:
    """Operations §13, case 58: five members by default; refusals and unknown models are told, unknown paths not."""
    taker = Taker()
    async with told(tmp_path, serve, taker, None) as made:
        assert (await made.ask()).status == 200
        client = made.site.connect()
        client.send(b"GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (await client.read_answer()).status == 404
        assert (await made.ask("nobody")).status == 404
        client = made.site.connect()
        client.send(b"PUT /v1/chat/completions HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (await client.read_answer()).status == 405
        await until(lambda: len(taker.bodies) == 3)
        assert all(set(record) == FIVE for record in taker.records)
        assert [(r["pool"], r["outcome"]) for r in taker.records] == [
            ("pool", "ok"),
            ("unresolved", "client_error"),
            ("unresolved", "client_error"),
        ]
        assert {r["ingress_protocol"] for r in taker.records} == {"openai"}
        assert taker.heads[0][b"authorization"] == b"Basic dUA6cGE6c3M="
        assert taker.heads[0][b"content-type"] == b"application/json"


async def test_details_are_told_on_demand(tmp_path: Path, serve: Serve) -> None:
    """Operations §9 "payload": request, key, lane, status, tokens and stream with `request_log_detail`."""
    taker = Taker()
    async with told(tmp_path, serve, taker, None, more="request_log_detail: true, token_metrics: true") as made:
        assert (await made.ask(stream=True, fields=b"x-request-id: mine.1\r\n")).status == 200
        assert (await made.ask(fields=b"x-request-id: not a word\r\n")).status == 200
        await until(lambda: len(taker.bodies) == 2)
        first, second = taker.records
        assert first["request_id"] == "mine.1"
        assert re.fullmatch("[0-9a-f]{32}", second["request_id"])
        assert (first["lane"], first["status"], first["stream"], second["stream"]) == ("m0", 200, True, False)
        assert first["tokens"]["output"] > 0
        assert first["key_id"] is None


async def test_one_record_too_many_is_dropped(tmp_path: Path, serve: Serve) -> None:
    """Operations §13, case 58: with as many under way as may be the next one is dropped and counted, nobody waits."""
    taker = Taker()
    gate = taker.gate = Gate()
    async with told(tmp_path, serve, taker, None, more="max_inflight_webhook_deliveries: 3") as made:
        assert await made.ask_often(5) == [200] * 5
        await until(lambda: len(taker.bodies) == 3)
        assert await scrape(made, "busbar_webhook_logs_dropped_total") == 2
        taker.gate = None
        gate.open()
        await made.ask()
        await until(lambda: len(taker.bodies) == 4)
        assert await scrape(made, "busbar_webhook_logs_dropped_total") == 2


async def test_failing_sink_gives_its_slots_back(
    tmp_path: Path, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """Operations §13, cases 47 and 58: failures free their slots; one warning a second, and no secret of the URL."""
    taker = Taker(500)
    with caplog.at_level(logging.WARNING, "busbar_fast.sinks"):
        async with told(tmp_path, serve, taker, None, more="max_inflight_webhook_deliveries: 1") as made:
            for count in range(1, 31):
                assert (await made.ask()).status == 200
                await until(lambda count=count: len(taker.bodies) == count)  # type: ignore[misc]
                await asyncio.sleep(0)
            assert await scrape(made, "busbar_webhook_logs_dropped_total") == 0
    warnings = [record for record in caplog.records if record.name == "busbar_fast.sinks"]
    assert 1 <= len(warnings) <= 3
    told_of = str(warnings[0].__dict__["fields"])
    assert "answered 500" in told_of
    assert "pa" not in told_of.replace("path", "")
    assert "k=v" not in told_of


async def test_sink_that_is_down_disturbs_nobody(tmp_path: Path, serve: Serve) -> None:
    """Operations §9 "effect on serving": nobody is there; requests are answered as ever."""
    top = (
        f"observability: {{request_log_webhook_url: 'http://127.0.0.1:{closed_port()}/'}}\n"
        "security: {allow_sink_hosts: [127.0.0.1]}\n"
    )
    async with fleet(tmp_path, serve, None, top=top) as made:
        assert await made.ask_often(10) == [200] * 10


async def test_last_record_arrives_before_the_end(tmp_path: Path, serve: Serve) -> None:
    """Operations §13, case 39: after SIGTERM the records of the last requests are sent before the process ends."""
    taker = Taker()
    async with told(tmp_path, serve, taker, None) as made:
        client = made.send()
        assert (await client.read_answer()).status == 200
        await made.site.engine.end(asyncio.Queue(), 15)
        assert len(taker.bodies) == 1


# Traces


async def test_spans_nest_below_the_callers(tmp_path: Path, serve: Serve) -> None:
    """Operations §13, case 57: ingress, forward and attempts nest under the `traceparent`, which no provider gets."""
    taker = Taker()
    async with told(
        tmp_path,
        serve,
        taker,
        failing(503),
        None,
        sink="otlp_endpoint",
        pool="route: cheapest",
        members=("{target: m0, cost_per_mtok: 1}, {target: m1, cost_per_mtok: 2}"),
    ) as made:
        fields = f"traceparent: 00-{TRACE}-{PARENT}-01\r\nx-request-id: r1\r\n".encode()
        assert (await made.ask(fields=fields)).status == 200
        assert all(b"traceparent" not in one.fields for one in made.received)
        await made.site.engine.end(asyncio.Queue(), 15)
        root, forward, first, second = taker.spans
        assert [span.trace_id.hex() for span in taker.spans] == [TRACE] * 4
        assert (root.name, root.parent_span_id.hex()) == ("openai_ingress", PARENT)
        assert (forward.name, forward.parent_span_id) == ("forward", root.span_id)
        assert [span.parent_span_id for span in (first, second)] == [forward.span_id] * 2
        assert attributes(root) == {
            "pool": "pool",
            "busbar.request_id": "r1",
            "busbar.stream": False,
            "busbar.outcome": "ok",
            "http.response.status_code": 200,
        }
        assert attributes(forward) == {"pool": "pool", "ingress": "openai"}
        said = attributes(first)
        assert said.pop("ttfb_ms") >= 0
        assert said == {
            "lane": "m0",
            "egress": "openai",
            "attempt": 1,
            "status": 503,
            "failure": "transient_upstream",
        }
        assert (attributes(second)["lane"], attributes(second)["status"]) == ("m1", 200)
        assert root.start_time_unix_nano <= forward.start_time_unix_nano <= first.start_time_unix_nano
        assert first.end_time_unix_nano <= second.end_time_unix_nano <= root.end_time_unix_nano
        assert taker.heads[0][b"content-type"] == b"application/x-protobuf"


async def test_who_is_not_traced_is_not_told_of(tmp_path: Path, serve: Serve) -> None:
    """Operations §8 "context": a caller that does not sample is heeded, unless callers are not listened to."""
    fields = f"traceparent: 00-{TRACE}-{PARENT}-00\r\n".encode()
    counts = []
    for more in ("", "accept_traceparent: false"):
        taker = Taker()
        async with told(tmp_path, serve, taker, None, sink="otlp_endpoint", more=more) as made:
            assert (await made.ask(fields=fields)).status == 200
            await made.site.engine.end(asyncio.Queue(), 15)
            counts.append([span.trace_id.hex() == TRACE for span in taker.spans])
    assert counts == [[], [False] * 3]


@pytest.mark.parametrize(
    ("dialect", "stream", "name"),
    [
        ("responses", False, "responses_ingress"),
        ("bedrock", False, "bedrock_converse"),
        ("bedrock", True, "bedrock_converse_stream"),
        ("anthropic", True, "anthropic_ingress"),
    ],
)
async def test_names_of_spans(tmp_path: Path, serve: Serve, dialect: str, stream: bool, name: str) -> None:
    """Operations §8 "Span": each way in has its name."""
    taker = Taker()
    async with told(tmp_path, serve, taker, None, sink="otlp_endpoint", dialect=dialect) as made:
        assert (await made.ask(stream=stream)).status == 200
        await made.site.engine.end(asyncio.Queue(), 15)
        assert taker.spans[0].name == name
        assert attributes(taker.spans[0])["busbar.stream"] is stream


@pytest.mark.parametrize(("path", "name"), [("/pool/v1/messages", "named"), ("/p0/m0/v1/messages", "adhoc")])
async def test_spans_of_paths_that_name_whom_they_are_for(tmp_path: Path, serve: Serve, path: str, name: str) -> None:
    """Operations §8 "Span": `named` and `adhoc`; the latter tells provider and model, which are configured words."""
    taker = Taker()
    async with told(tmp_path, serve, taker, None, sink="otlp_endpoint", dialect="anthropic") as made:
        client = made.site.connect()
        body = b'{"max_tokens":9,"messages":[{"role":"user","content":"hi"}]}'
        client.send(b"POST %b HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%b" % (path.encode(), len(body), body))
        answer = await client.read_answer()
        assert answer.status == 200, answer.body
        await made.site.engine.end(asyncio.Queue(), 15)
        said = attributes(taker.spans[0])
        assert taker.spans[0].name == name
        assert (said.get("provider"), said.get("model")) == (("p0", "m0") if name == "adhoc" else (None, None))


async def test_lost_spans_are_counted(tmp_path: Path, serve: Serve) -> None:
    """Operations §13, case 57: with nobody to take them requests are unaffected, and what was lost is counted."""
    top = f"observability: {{otlp_endpoint: 'http://127.0.0.1:{closed_port()}/v1/traces'}}\n"
    async with fleet(tmp_path, serve, None, top=top) as made:
        assert await made.ask_often(200) == [200] * 200  # three spans each, so that one batch is full
        await until(lambda: made.site.engine.shed.spans >= 512)
        assert await scrape(made, "busbar_spans_dropped_total") >= 512


async def test_reload_tells_another_sink(tmp_path: Path, serve: Serve) -> None:
    """Config.md X9: a reload that names another sink tells that one from then on; the old one gets what it is due."""
    first, second = Taker(), Taker()
    async with told(tmp_path, serve, first, None) as made, serve(second.serve) as site:
        assert (await made.ask()).status == 200
        text = (tmp_path / "config.yaml").read_text(encoding="utf-8")
        assert await made.site.reload(re.sub(r"127\.0\.0\.1:\d+/in", f"127.0.0.1:{site.port}/in", text))
        assert (await made.ask()).status == 200
        await until(lambda: len(second.bodies) == 1)
        assert len(first.bodies) == 1
        assert await made.site.reload(re.sub(r"observability: .*\n", "", text))
        assert (await made.ask()).status == 200
        assert made.site.engine.reloads == {"ok": 2, "error": 0}
    assert (len(first.bodies), len(second.bodies)) == (1, 1)


# What clients and the log are told


@pytest.mark.parametrize(("dialect", "stream"), [("openai", False), ("openai", True), ("anthropic", False)])
async def test_timing_is_shown_on_demand(tmp_path: Path, serve: Serve, dialect: str, stream: bool) -> None:
    """Operations §13, case 56: `Server-Timing` is absent by default, and what we took ourselves when it is on."""
    slow = Script(delay_head_ms=300)
    for top, is_shown in (("", False), ("observability: {emit_server_timing: true}", True)):
        async with fleet(tmp_path, serve, slow, dialect=dialect, top=top) as made:
            answer = await made.ask(stream=stream)
            assert answer.status == 200
            field = answer.fields.get(b"server-timing", b"")
            if not is_shown:
                assert field == b""
                continue
            match = re.fullmatch(rb"busbar;dur=([0-9]+\.[0-9]{3})", field)
            assert match is not None
            assert 0 <= float(match[1]) < 300  # not what the lane took


async def test_log_tells_requests_by_their_ids(tmp_path: Path, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """Operations §13, case 61: an inbound `x-request-id` is logged, never sent upstream, ignored at 129 characters."""
    with caplog.at_level(logging.DEBUG, "busbar_fast.gateway"):
        async with fleet(tmp_path, serve, None) as made:
            for name in ("a.b_c-1", "x" * 128, "x" * 129, "a b"):
                assert (await made.ask(fields=f"x-request-id: {name}\r\n".encode())).status == 200
            assert all(b"x-request-id" not in one.fields for one in made.received)
    names = [record.__dict__["fields"]["request"] for record in caplog.records if "answers" in record.getMessage()]
    assert names[:2] == ["a.b_c-1", "x" * 128]
    assert all(re.fullmatch("[0-9a-f]{32}", name) for name in names[2:])
    assert len(names) == 4


@pytest.mark.parametrize("sink", ["request_log_webhook_url", "otlp_endpoint"])
async def test_who_is_cut_at_the_end_is_told_of(tmp_path: Path, serve: Serve, sink: str) -> None:
    """Operations §13, case 39: a request that the drain limit cuts is the last one, and is recorded as well."""
    taker, top = Taker(), "shutdown: {drain_timeout_secs: 1}\n"
    async with told(tmp_path, serve, taker, Script(stall_at=0), sink=sink, top=top) as made:
        client = made.send()
        await until(lambda: len(made.received) == 1)
        await made.site.engine.end(asyncio.Queue(), 15)
        assert len(taker.bodies) == 1
        client.close()
