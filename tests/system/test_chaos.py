"""A short run of chaos: everything fails at random, and each client still gets its answer."""

import asyncio
import sys

import pytest

from tests.house.source import ROOT

LIMIT_S = 100.0  # a run takes about 8 s on a machine that has nothing else to do


@pytest.mark.timeout(120)
async def test_short_chaos_violates_nothing() -> None:
    """Every request gets an answer or a native error, and in the end nothing is held, lost or leaked."""
    words = ("--seconds", "3", "--clients", "60", "--seed", "7")
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.chaos",
        *words,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            said, _ = await child.communicate()
    finally:
        if child.returncode is None:
            child.terminate()
            await child.wait()
    text = said.decode()
    assert child.returncode == 0, text
    assert "VIOLATION" not in text
    assert int(text.partition("whole answers: ")[2].partition("\n")[0]) > 50, text
