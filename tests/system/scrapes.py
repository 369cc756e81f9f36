"""The pages a gateway shows of itself, scrape by scrape: what moved between two of them, and nothing else."""

import json
import re
from collections.abc import Awaitable, Callable

from prometheus_client.parser import text_string_to_metric_families

from tests.system.doors import House, read
from tests.system.serving import post

GET = b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n"
# Of the scrape itself, or of the clock, or no counters.
MOVING = ("busbar_connections", "busbar_requests_in_flight", "busbar_lane_state", "_sum", "_bucket")

MISNAMED = "busbar_key_tokens_total"  # a gauge that keeps the name it has elsewhere

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]
Sample = tuple[str, dict[str, str]]

DUO = """listen: 127.0.0.1:0
auth: <auth>
<more>
providers:
  up: {protocol: openai, base_url: "http://127.0.0.1:<port>", api_key_env: UP_KEY}
models:
  zeta: {provider: up, max_concurrent: 2}
  alpha: {provider: up, upstream_model: "vendor/a"}
  "odd \\"na\\\\me é": {provider: up}
pools:
  duo: {members: [{target: zeta}, {target: alpha}]}
  "a/b": {members: [{target: alpha, weight: 3}]}
"""
NAMES = ("zeta", "alpha", 'odd "na\\me é', "duo", "a/b")


def duo(port: int, auth: str = "{mode: none}", more: str = "") -> str:
    """Return a deployment of a pool of two lanes at one port."""
    return DUO.replace("<port>", str(port)).replace("<auth>", auth).replace("<more>", more)


class Watch:
    """The series of a gateway, scrape by scrape."""

    def __init__(self, house: House, *lines: bytes) -> None:
        self._house = house
        self._lines = b"".join(line + b"\r\n" for line in lines)

    async def page(self, path: bytes) -> bytes:
        """Return a page."""
        raw = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n%b\r\n" % self._lines) % path
        seen = read(await self._house.say(raw), "GET")
        assert seen.status == 200
        return seen.body

    async def scrape(self) -> Series:
        """Return every series with its value."""
        return parse(await self.page(b"/metrics"))

    async def stats(self) -> dict[str, dict[str, object]]:
        """Return what is shown of each lane, by its name."""
        return {lane["model"]: lane for lane in json.loads(await self.page(b"/stats"))["lanes"]}

    async def moved_by(self, act: Callable[[], Awaitable[object]]) -> list[Sample]:
        """Return which counters something moves by one; any other move fails."""
        before = await self.scrape()
        await act()
        after = await self.scrape()
        moved: list[Sample] = []
        for key, value in after.items():
            name, labels = key
            if not name.endswith(MOVING) and value != before.get(key, 0.0):
                assert value == before.get(key, 0.0) + 1, key
                moved.append((name, dict(labels)))
        return moved


def parse(raw: bytes) -> Series:
    """Return the series of an exposition, checked as strictly as the format is written down."""
    text = raw.decode()
    assert text.endswith("\n")
    series: Series = {}
    for family in text_string_to_metric_families(text):
        assert family.type in {"counter", "gauge", "histogram"}
        assert family.documentation
        for sample in family.samples:
            key = sample.name, tuple(sorted(sample.labels.items()))
            assert key not in series
            is_counter = sample.name.endswith("_total") and sample.name != MISNAMED
            assert (family.type == "counter") == is_counter
            series[key] = sample.value
    names = re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE)
    assert len(set(names)) == len(names)
    assert all(name.startswith("busbar_") for name in names)
    return series


def requests(pool: str, outcome: str, dialect: str = "openai") -> list[Sample]:
    """Return what one request moves in any case."""
    who = {"ingress_protocol": dialect, "pool": pool}
    ends = [("busbar_requests_total", {**who, "outcome": outcome}), ("busbar_request_duration_seconds_count", who)]
    return ends if outcome == "client_closed" else [*ends, ("busbar_time_to_first_byte_seconds_count", who)]


def attempt(pool: str, lane: str) -> Sample:
    """Return what one request to a lane moves."""
    return "busbar_upstream_attempts_total", {"pool": pool, "lane": lane}


def failover(pool: str, reason: str) -> Sample:
    """Return what one move to another lane moves."""
    return "busbar_failovers_total", {"pool": pool, "reason": reason}


def failure(pool: str, lane: str, disposition: str = "transient_upstream") -> Sample:
    """Return what one failure of a lane moves."""
    return "busbar_upstream_failures_total", {"pool": pool, "lane": lane, "disposition": disposition}


def trip(pool: str, lane: str) -> Sample:
    """Return what one trip of a lane moves."""
    return "busbar_breaker_trips_total", {"pool": pool, "lane": lane}


def abort(pool: str, reason: str) -> Sample:
    """Return what one stream that ends in the middle moves."""
    return "busbar_streams_aborted_total", {"pool": pool, "reason": reason}


def in_order(samples: list[Sample]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return samples so that lists of them can be compared."""
    return sorted((name, sorted(labels.items())) for name, labels in samples)


async def check_moves(watch: Watch, act: Callable[[], Awaitable[object]], *samples: Sample) -> None:
    """Something moves these counters by one and no others."""
    assert in_order(await watch.moved_by(act)) == in_order(list(samples))


async def ask(house: House, model: str, status: int, *lines: bytes) -> None:
    """Ask for a model; see with which status that ends."""
    body = json.dumps({"model": model}).encode()
    raw = post(body, b"Connection: close", *lines, target=b"/v1/chat/completions")
    assert read(await house.say(raw)).status == status


async def send(house: House, raw: bytes, status: int) -> None:
    """Send a request that ends its connection; see with which status that ends."""
    assert read(await house.say(raw)).status == status
