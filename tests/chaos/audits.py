"""What has to be true of the gateway when all is quiet: nothing is held, the counters agree, everybody is served again.

Each audit yields what is wrong; knows the pages of the gateway and the ledger of the clients, and nothing inside.
"""

import asyncio
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import orjson

from busbar_fast.reliability.lanes import DEFAULT
from perf.procfs import read_resident_mib
from tests.chaos.clients import ANSWER_S, Connection, Ledger
from tests.chaos.deployments import BUDGET, EVERYBODY, LANES, POOLS, TOKEN
from tests.chaos.speech import NAMES, Call, Outcome, Violation, judge
from tests.chaos.worlds import World

QUIET_S = 12.0  # longer than the longest stream with the longest silence
RECOVERY_S = 10.0  # longer than the longest rest of a lane
MOST_GROWTH_MIB = 16.0  # a gateway settles at about 10 above what it has after a short warm-up
_SPARE_DESCRIPTORS = 2
_OUTCOMES = {200: "ok", 503: "exhausted"}
_AT_ONCE = 16
_FEWEST_ROUNDS = 5  # on a machine that is too busy for the time
_SAMPLE = re.compile(r"^(\w+)\{?([^}]*)\}? (\S+)$", re.MULTILINE)
_BUG = re.compile(r"Traceback|\bERROR\b|\bCRITICAL\b|[Ee]xception|never retrieved|never awaited|Error:")


async def page(world: World, path: str) -> bytes:
    """Return a page of the gateway."""
    answer = await world.program.ask(
        f"GET {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n".encode()
    )
    assert answer.status == 200, answer
    return answer.body


async def lanes(world: World) -> list[dict[str, Any]]:
    """Return what is shown of each lane."""
    return list(orjson.loads(await page(world, "/stats"))["lanes"])


class Metrics:
    """The counters at one moment."""

    def __init__(self, text: str) -> None:
        self._samples = _SAMPLE.findall(text)

    def total(self, name: str, label: str = "") -> int:
        """Return the sum over all samples of a name, of those with a label where one is given."""
        return int(sum(float(value) for found, labels, value in self._samples if found == name and label in labels))


async def metrics(world: World) -> Metrics:
    """Return the counters."""
    return Metrics((await page(world, "/metrics")).decode())


async def become_quiet(world: World) -> AsyncIterator[str]:
    """Wait until no request runs; yield what goes on in spite of that no client waits for anything."""
    deadline_s = asyncio.get_running_loop().time() + QUIET_S
    while True:
        held = [f"{lane['model']}: {lane['inflight']} in flight" for lane in await lanes(world) if lane["inflight"]]
        running = (await metrics(world)).total("busbar_requests_in_flight")
        if not held and not running:
            break
        if asyncio.get_running_loop().time() > deadline_s:
            for text in (*held, f"{running} requests in progress"):
                yield f"after {QUIET_S} s of quiet: {text}"
            break
        await asyncio.sleep(0.2)


def check_lanes(shown: list[dict[str, Any]]) -> Iterator[str]:
    """Yield what is wrong with lanes that nobody uses: permits and trials that are held, a budget that is overdrawn."""
    for lane in shown:
        name = lane["model"]
        if lane["inflight"]:
            yield f"{name}: {lane['inflight']} permits are held"
        if lane["max_concurrent"] is not None and lane["free_slots"] != lane["max_concurrent"]:
            yield f"{name}: {lane['free_slots']} of {lane['max_concurrent']} permits are free"
        if lane["at_capacity"]:
            yield f"{name}: at capacity"
        for pool, cell in lane["cells"].items():
            if cell["state"] == "half_open":
                yield f"{name} in {pool}: a trial is held"
        if name.endswith("-limited") and not 0 <= lane["budget"] <= BUDGET:
            yield f"{name}: a budget of {lane['budget']}"


def check_counters(found: Metrics, ledger: Ledger, world: World) -> Iterator[str]:
    """Yield where the gateway's counters contradict each other or what clients saw."""
    counts, strangers = ledger.counts, ledger.counts["strangers"]
    due = counts["answers due"] - strangers
    settled = found.total("busbar_requests_total")
    durations = found.total("busbar_request_duration_seconds_count")
    most = due + sum(counts[f"vanished in {stage}"] for stage in ("body", "waiting", "answer"))
    if settled != durations:
        yield f"{settled} outcomes, but {durations} durations"
    if not due <= settled <= most:
        yield f"{settled} requests counted, but clients made from {due} to {most}"
    for outcome, seen in _seen(ledger).items():
        if (counted := found.total("busbar_requests_total", f'outcome="{outcome}"')) < seen:
            yield f"{counted} requests counted as {outcome}, but clients saw {seen}"
    served = found.total("busbar_requests_total", 'outcome="ok"')
    attempts = found.total("busbar_upstream_attempts_total")
    failures = found.total("busbar_upstream_failures_total")
    if attempts < served or failures > attempts:
        yield f"{attempts} attempts, {failures} of them failed, for {served} answers"
    if (refused := found.total("busbar_auth_failures_total")) != strangers:
        yield f"{refused} callers refused, but {strangers} strangers came"
    for outcome, wanted in (("ok", world.reloads), ("error", 0)):
        if (made := found.total("busbar_config_reloads_total", f'outcome="{outcome}"')) != wanted:
            yield f"{made} reloads were {outcome}, not {wanted}"


def _seen(ledger: Ledger) -> Counter[str]:
    """Return how many answers of each outcome clients read; who is not let in has none."""
    seen: Counter[str] = Counter()
    for status, count in ledger.statuses.items():
        is_fault = 400 <= status < 500
        seen[_OUTCOMES.get(status, "client_error" if is_fault else "error")] += count
    seen["client_error"] -= ledger.counts["strangers"]
    return seen


async def check_recovery(world: World, ledger: Ledger) -> AsyncIterator[str]:
    """Yield who is not served by backends in good health within the time that the longest rest takes."""
    deadline_s = asyncio.get_running_loop().time() + RECOVERY_S
    # A lane by itself has the default breaker, whose rests are longer than a run.
    resting = {lane["model"] for lane in await lanes(world) if lane["cells"][DEFAULT]["cooldown_remaining_s"]}
    spent = {lane["model"] for lane in await lanes(world) if lane["budget"] == 0}
    due = [
        Call(name, model, b"", in_stream=in_stream, closes=True)
        for name in NAMES
        for model in (EVERYBODY, *(f"{name}-{rest}" for rest in (*POOLS, *LANES)))
        for in_stream in (False, True)
        if model not in spent | resting
    ]
    said: list[str] = []
    few = asyncio.Semaphore(_AT_ONCE)
    rounds = 0
    while due:
        texts = await asyncio.gather(*(_maybe_complaint(world, ledger, call, few) for call in due))
        due, said = [call for call, text in zip(due, texts, strict=True) if text], [text for text in texts if text]
        rounds += 1
        if rounds >= _FEWEST_ROUNDS and asyncio.get_running_loop().time() > deadline_s:
            break
        await asyncio.sleep(0.2)
    for call, text in zip(due, said, strict=True):
        yield f"{call.model} does not serve {call.dialect} again: {text}"


async def _maybe_complaint(world: World, ledger: Ledger, call: Call, few: asyncio.Semaphore) -> str:
    """Return what came instead of a good answer, nothing if one came."""
    async with few:
        return await _complaint(world, ledger, call._replace(nonce=ledger.next_nonce()))


async def _complaint(world: World, ledger: Ledger, call: Call) -> str:
    connection = await Connection.open(world.program.port)
    try:
        await connection.send(b"".join(call.encode()))
        ledger.counts["answers due"] += 1
        async with asyncio.timeout(ANSWER_S):
            answer = await connection.read_answer()
        ledger.statuses[answer.status] += 1
        return "" if judge(call, answer) is Outcome.WHOLE else f"{answer.status} {answer.body[:300]!r}"
    except (Violation, AssertionError, TimeoutError) as error:
        return repr(error)
    finally:
        connection.close()


async def check_leaving(world: World, ledger: Ledger) -> AsyncIterator[str]:
    """Tell the gateway to end while it serves; yield what becomes of a request then, if that is not a good answer."""
    calls = [Call(name, f"{name}-first", ledger.next_nonce(), in_stream=True) for name in NAMES * 4]
    opened = [await Connection.open(world.program.port) for _ in calls]
    for connection, call in zip(opened, calls, strict=True):
        await connection.send(b"".join(call.encode()))
    await page(world, "/stats")  # whoever came before this one has been heard
    world.program.send(signal.SIGTERM)
    for connection, call in zip(opened, calls, strict=True):
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await connection.read_answer()
            if judge(call, answer) is not Outcome.WHOLE:
                yield f"while leaving, {call.model} answers {answer.status} {answer.body[:300]!r}"
        except (Violation, AssertionError, TimeoutError) as error:
            yield f"while leaving, {call.model}: {error!r}"
        connection.close()
    if code := await world.program.ends():
        yield f"the gateway ended with {code}"


async def check_descriptors(world: World, before: int) -> AsyncIterator[str]:
    """Yield if more stays open than at the start, once idle connections have had time to go."""
    for _ in range(20):
        if world.descriptors <= before + _SPARE_DESCRIPTORS:
            return
        await asyncio.sleep(0.25)
    yield f"{world.descriptors} files are open, at the start it were {before}"


def resident_mib(world: World) -> float:
    """Return the gateway's memory."""
    return read_resident_mib(world.program.child.pid)


def check_memory(before_mib: float, after_mib: float) -> Iterator[str]:
    """Yield if memory has grown."""
    if after_mib - before_mib > MOST_GROWTH_MIB:
        yield f"memory grew from {before_mib:.1f} to {after_mib:.1f} MiB"


def check_log(text: str) -> Iterator[str]:
    """Yield the first lines of a log that tell of a fault of ours."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if _BUG.search(line):
            yield "the log says: " + "\n    ".join(lines[number : number + 30])
            return
