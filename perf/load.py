"""The load generators that wrk cannot be, each a bounded run in a process of its own that prints one JSON line.

usage: python -m perf.load streams --port P --connections 8 --count 500 [--pace-ms 5]
       python -m perf.load latency --targets direct=P1,ours=P2 --rounds 7 --count 500 [--stream]
       python -m perf.load hold --port P --connections 1000      (holds until its standard input ends)
       python -m perf.load slow --port P --bytes 209715200 --stall-s 1 --rate-mib 100 [--connections 100]
Every mode checks every answer; failures are listed in the JSON and the exit code stays 0, so that the caller decides.
"""

import argparse
import gc
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, cast

from perf import arithmetic, http_reply, shapes, streams
from perf.caller import Caller

PERCENTS: Final = {"p50": 50.0, "p99": 99.0, "p99.9": 99.9}
_STREAM_PAYLOAD = b"".join(shapes.stream_frames())
_FIRST_FRAME = b"data: "
_READ_BYTES = 65_536
_ROUND_S = 8.0  # a round that takes longer ends early, but not before the fewest requests that make a percentile
_FEWEST = 50
_GAP_MS = 1  # after the first frame: an upstream busy with the next ones would keep the side from a CPU


@dataclass(frozen=True, slots=True)
class Target:
    """Who is timed: where it listens, and what each request needs in its head if it writes answers anew."""

    port: int
    rival_fields: str | None = None

    def check(self, answer: tuple[int, bytes], *, is_stream: bool) -> None:
        """Refuse any other answer than 200 with what the upstream said."""
        status, payload = answer
        if self.rival_fields is None:
            is_right = payload == (_STREAM_PAYLOAD if is_stream else shapes.REPLY)
        else:
            is_right = shapes.holds_stream(payload) if is_stream else shapes.holds_reply(payload)
        if status != http_reply.OK or not is_right:
            raise http_reply.BadReplyError(f"status {status}: {payload[:80]!r}")


def _time_one(caller: Caller, request: bytes, target: Target, *, is_stream: bool) -> float:
    """Return microseconds to the whole JSON answer, or to the first frame of a stream; the rest is checked untimed."""
    started_ns = time.perf_counter_ns()
    caller.send(request)
    if not is_stream:
        answer = caller.receive_rest()
        took_ns = time.perf_counter_ns() - started_ns
    else:
        received = caller.receive_until(_FIRST_FRAME)
        took_ns = time.perf_counter_ns() - started_ns
        answer = caller.receive_rest(received)
    target.check(answer, is_stream=is_stream)
    return took_ns / 1000


def _time_round(target: Target, count: int, *, is_stream: bool) -> list[float]:
    """Time so many requests on one connection, or fewer where a round would take too long.

    Each round has a connection of its own, because some sides close one that rests while others have their turns.
    """
    body = shapes.stream_request(gap_ms=_GAP_MS) if is_stream else shapes.REQUEST
    request = shapes.encode_call(target.port, body, fields=target.rival_fields or "")
    ends_s = time.monotonic() + _ROUND_S
    timings: list[float] = []
    with Caller(target.port) as caller:
        _time_one(caller, request, target, is_stream=is_stream)  # opens the way and does not count
        while len(timings) < count and (len(timings) < _FEWEST or time.monotonic() < ends_s):
            timings.append(_time_one(caller, request, target, is_stream=is_stream))
    return timings


def _time_rounds(
    targets: Mapping[str, Target], rounds: int, count: int, *, is_stream: bool
) -> Iterator[tuple[str, list[float]]]:
    for number, name in arithmetic.turns(list(targets), rounds + 1):
        timings = _time_round(targets[name], count, is_stream=is_stream)
        if number > 0:  # the first round warms up
            yield name, timings


def measure_latency(targets: Mapping[str, Target], rounds: int, count: int, *, is_stream: bool) -> Mapping[str, object]:
    """Time single requests on a kept connection, targets taking turns."""
    gc.disable()
    found: dict[str, dict[str, list[float]]] = {percent: {name: [] for name in targets} for percent in PERCENTS}
    failures = []
    try:
        for name, timings in _time_rounds(targets, rounds, count, is_stream=is_stream):
            for percent, rank in PERCENTS.items():
                found[percent][name].append(arithmetic.percentile(timings, rank))
    except (OSError, http_reply.BadReplyError) as wrong:
        failures.append(repr(wrong))
    return {f"{percent}_us": by_target for percent, by_target in found.items()} | {"failures": failures}


def hold_connections(port: int, connections: int) -> None:
    """Open connections, use each once, say so, then keep them until standard input ends."""
    request = shapes.encode_call(port, shapes.REQUEST)
    failures: list[str] = []
    with ExitStack() as stack:
        try:
            for _ in range(connections):
                Target(port).check(stack.enter_context(Caller(port)).ask(request), is_stream=False)
        except (OSError, http_reply.BadReplyError) as wrong:
            failures.append(repr(wrong))
        _say({"failures": failures})
        sys.stdin.read()


def read_slowly(port: int, total_bytes: int, stall_s: float, rate_mib: float) -> Mapping[str, object]:
    """Read one long stream: nothing at first, then at a steady rate; return how many payload bytes came."""
    request = shapes.encode_call(port, shapes.stream_request(total_bytes=total_bytes))
    counter = http_reply.PayloadCounter()
    failures = []
    started_s = time.monotonic()
    try:
        with Caller(port, timeout_s=30, receive_buffer_bytes=_READ_BYTES) as caller:
            caller.send(request)
            time.sleep(stall_s)
            resumed_s = time.monotonic()
            while not counter.ended:
                counter.feed(caller.receive(_READ_BYTES))
                ahead_s = counter.payload_bytes / (rate_mib * 1024 * 1024) - (time.monotonic() - resumed_s)
                if ahead_s > 0.002:  # shorter naps cost more than they slow down
                    time.sleep(ahead_s)
    except (OSError, http_reply.BadReplyError) as wrong:
        failures.append(repr(wrong))
    if not failures and counter.payload_bytes != total_bytes:
        failures.append(f"{counter.payload_bytes} bytes of {total_bytes}")
    return {"failures": failures, "bytes": counter.payload_bytes, "wall_s": time.monotonic() - started_s}


def read_slowly_together(
    connections: int, port: int, total_bytes: int, stall_s: float, rate_mib: float
) -> Mapping[str, object]:
    """Let so many clients read slowly, each its own stream on a thread of its own; the failures of all."""
    with ThreadPoolExecutor(connections) as crew:
        runs = [crew.submit(read_slowly, port, total_bytes, stall_s, rate_mib) for _ in range(connections)]
    outcomes = [run.result() for run in runs]
    failures = [failure for outcome in outcomes for failure in cast("Sequence[str]", outcome["failures"])]
    return {"failures": failures}


def _say(outcome: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(outcome) + "\n")
    sys.stdout.flush()


def _parse_targets(text: str) -> dict[str, int]:
    return {name: int(port) for name, _, port in (pair.partition("=") for pair in text.split(","))}


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m perf.load")
    parser.add_argument("mode", choices=("streams", "latency", "hold", "slow"))
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--targets", type=_parse_targets, default={})
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pace-ms", type=int, default=0)
    parser.add_argument("--limit-s", type=float, default=60.0)
    parser.add_argument("--bytes", type=int, default=1 << 20)
    parser.add_argument("--stall-s", type=float, default=1.0)
    parser.add_argument("--rate-mib", type=float, default=100.0)
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--fields", default="", help="more lines for the head of each request")
    parser.add_argument("--loose", action="store_true", help="the side writes every frame anew")
    parser.add_argument("--rivals", type=json.loads, default={}, help="such targets, each with its lines, as JSON")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> None:
    """Run one mode."""
    asked = _parse(argv)
    if asked.mode == "streams":
        _say(
            streams.run(
                asked.port,
                shapes.encode_call(asked.port, shapes.stream_request(pace_ms=asked.pace_ms), fields=asked.fields),
                streams.Tally(asked.count, asked.connections, is_loose=asked.loose),
                limit_s=asked.limit_s,
            )
        )
    elif asked.mode == "latency":
        targets = {name: Target(port, asked.rivals.get(name)) for name, port in asked.targets.items()}
        _say(measure_latency(targets, asked.rounds, asked.count, is_stream=asked.stream))
    elif asked.mode == "hold":
        hold_connections(asked.port, asked.connections)
    else:
        _say(read_slowly_together(asked.connections, asked.port, asked.bytes, asked.stall_s, asked.rate_mib))


if __name__ == "__main__":
    main(sys.argv[1:])
