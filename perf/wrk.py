"""Runs wrk with our scripts and reads its summary line."""

import os
import subprocess
from dataclasses import dataclass
from typing import Final

from perf import shapes
from perf.figures import BenchError
from perf.sides import ROOT

PROGRAM: Final = "wrk"
PACKAGE: Final = "wrk"
_MARK: Final = "PERF "
_COUNTED: Final = ("failures", "connect", "read", "write", "timeout")


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of one run."""

    completed: int
    wall_s: float
    failures: tuple[str, ...]


def parse_summary(output: str) -> Summary:
    """Read the line that chat.lua prints; every kind of error counts as a failure."""
    line = next((line for line in output.splitlines() if line.startswith(_MARK)), None)
    if line is None:
        raise BenchError(f"wrk printed no summary: {output[-300:]!r}")
    counted, _, first_failure = line.removeprefix(_MARK).partition(" first_failure=")
    fields = dict(word.split("=", 1) for word in counted.split())
    failures = [f"wrk: {fields[name]} x {name} {first_failure}".strip() for name in _COUNTED if int(fields[name])]
    completed = int(fields["requests"])
    if completed == 0:
        failures.append("wrk: no request completed")
    return Summary(completed, int(fields["duration_us"]) / 1e6, tuple(failures))


def run(
    port: int,
    *,
    connections: int,
    seconds: int,
    fields: str = "",
    is_faithful: bool = True,
    payload: shapes.Payload = shapes.USUAL,
) -> Summary:
    """Load one side with checked JSON requests; `fields` are more lines for their heads."""
    script = ROOT / "perf" / "wrk" / "json.lua"
    command = [PROGRAM, "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script)]
    environment = os.environ | {
        "BUSBAR_TOKEN": shapes.TOKEN,
        "BUSBAR_MODEL": shapes.MODEL,
        "BUSBAR_EXPECT": payload.reply().decode() if is_faithful else "",
        "BUSBAR_PROMPT_BYTES": str(payload.prompt_bytes),
        "BUSBAR_IMAGE_BYTES": str(payload.image_bytes),
        "BUSBAR_REPLY_BYTES": str(payload.reply_bytes),
        "BUSBAR_FIELDS": fields,
    }
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{port}"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + 30,
    )
    if done.returncode != 0:
        raise BenchError(f"wrk ended with {done.returncode}: {done.stderr[-300:]}")
    return parse_summary(done.stdout)
