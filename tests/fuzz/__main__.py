"""Hostile inputs for every parser of ours, as many as wanted; prints the slowest of each, and what was found.

usage: python -m tests.fuzz [--inputs N] [--only NAME ...] [--seed N]
Exit code 0: nothing found. 1: something.
"""

import argparse
import sys
import time
import traceback
from collections.abc import Sequence
from random import Random

from tests.fuzz.mutations import mutated
from tests.fuzz.targets import TARGETS, Target

_MOST_FINDINGS = 3  # of one target


def run(name: str, target: Target, inputs: int, seed: int) -> tuple[list[str], float]:
    """Give a target so many inputs; return what was found, and the seconds of the slowest input."""
    chance = Random(f"{name} {seed}")
    findings: list[str] = []
    slowest_s = 0.0
    for number in range(inputs):
        raw = mutated(target.seeds, chance)
        began_s = time.perf_counter()
        try:
            target.check(raw, chance)
        except Exception:  # noqa: BLE001  whatever it is, it is a finding
            findings.append(f"input {number} {raw!r}\n{traceback.format_exc()}")
            if len(findings) >= _MOST_FINDINGS:
                break
        slowest_s = max(slowest_s, time.perf_counter() - began_s)
    return findings, slowest_s


def main(argv: Sequence[str]) -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=20_000, help="for each target (%(default)s)")
    parser.add_argument("--only", nargs="*", default=list(TARGETS), choices=list(TARGETS), metavar="NAME")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000, help="to draw the same again")
    asked = parser.parse_args(argv)
    sys.stdout.write(f"fuzz: {asked.inputs} inputs each, --seed {asked.seed}\n")
    is_clean = True
    for name in asked.only:
        began_s = time.perf_counter()
        findings, slowest_s = run(name, TARGETS[name], asked.inputs, asked.seed)
        took_s = time.perf_counter() - began_s
        sys.stdout.write(f"{name:22} {took_s:7.1f} s, slowest {slowest_s * 1000:6.1f} ms, {len(findings)} findings\n")
        sys.stdout.flush()
        for text in findings:
            sys.stdout.write(f"FOUND {name}: {text}\n")
        is_clean = is_clean and not findings
    return 0 if is_clean else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
