"""What translates is loaded ahead, on a thread."""

import asyncio
import logging
from collections.abc import Iterable
from pathlib import Path

import pytest

from busbar_fast.dialects.dialect import Dialect
from busbar_fast.dialects.registry import DIALECTS, speak
from busbar_fast.gateway.warming import Warming
from tests.fakes import FakeLoop
from tests.system.programs import Deployment
from tests.system.serving import until

CONFIG = """
listen: 127.0.0.1:0
providers:
  one: {protocol: openai, base_url: "http://127.0.0.1:9", api_key: none}
  two: {protocol: <second>, base_url: "http://127.0.0.1:9", api_key: none}
models: {a: {provider: one}, b: {provider: two}}
"""
ALL = [speak(name) for name in DIALECTS]


class Loads:
    """What was loaded, and when."""

    def __init__(self, *, is_broken: bool = False) -> None:
        self.loop = FakeLoop()
        self.loaded: list[frozenset[Dialect]] = []
        self.is_broken = is_broken
        self.warming = Warming(self.loop.new_wheel(), self._load)

    def _load(self, dialects: Iterable[Dialect]) -> None:
        self.loaded.append(frozenset(dialects))
        if self.is_broken:
            raise ModuleNotFoundError("not here")


async def test_lanes_of_several_dialects_are_prepared_for() -> None:
    """Design §4.7: a second after the start, once, and again when a reload brings another dialect."""
    loads = Loads()
    loads.warming.prepare(ALL[:2])
    loads.loop.advance(0.9)
    assert loads.loaded == []
    loads.loop.advance(0.2)
    await until(lambda: loads.loaded == [frozenset(ALL[:2])])
    loads.warming.prepare(ALL[1::-1])
    loads.loop.advance(5)
    loads.warming.prepare(ALL[:3])
    loads.loop.advance(1.1)
    await until(lambda: loads.loaded == [frozenset(ALL[:2]), frozenset(ALL[:3])])
    assert loads.loaded[1] > loads.loaded[0]


async def test_lanes_of_one_dialect_need_nothing() -> None:
    """Design §4.7: nothing heavy is loaded before it is needed, and nothing is begun after the end."""
    loads = Loads()
    loads.warming.prepare([ALL[0]] * 3)
    loads.loop.advance(5)
    loads.warming.prepare(ALL)
    loads.warming.close()
    loads.loop.advance(5)
    assert loads.loaded == []


async def test_failure_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """Design §4.7: what cannot be loaded ahead ends nothing."""
    caplog.set_level(logging.ERROR)
    loads = Loads(is_broken=True)
    loads.warming.prepare(ALL)
    loads.loop.advance(1.1)
    await until(lambda: bool(caplog.records))
    assert caplog.records[0].getMessage() == "what translates could not be loaded"
    loads.warming.close()


@pytest.mark.parametrize(("second", "is_loaded"), [("anthropic", True), ("openai", False)])
async def test_program_loads_ahead_what_its_lanes_call_for(tmp_path: Path, second: str, is_loaded: bool) -> None:
    """Design §4.7: nobody has asked for a translation, and what it needs is in the process's memory or is not."""
    place = Deployment(tmp_path)
    place.write(CONFIG, second=second)
    with place.start() as program:
        maps = Path(f"/proc/{program.child.pid}/maps")
        await program.says("listening")
        await asyncio.sleep(2)
        assert ("msgspec" in maps.read_text(encoding="ascii")) is is_loaded  # noqa: ASYNC240
        assert await program.end() == 0
