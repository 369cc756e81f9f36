"""What the pages are made of: which lanes whose eyes may see, and how far a cell is from serving."""

import json
from typing import Any

import pytest

from busbar_fast.dialects.registry import DIALECTS, speak
from busbar_fast.gateway.lanes import Lane, new_state
from busbar_fast.gateway.offers import pool_of
from busbar_fast.gateway.status import encode_stats, severity
from busbar_fast.gateway.topology import Topology
from busbar_fast.reliability.breaker import BreakerSettings, Cell, Trip
from busbar_fast.wire.limits import UpstreamLimits
from busbar_fast.wire.parsers import choose_parser
from busbar_fast.wire.pool import OriginKey, Pool
from tests.fakes import FakeLoop

EAGER = BreakerSettings(trip=Trip.CONSECUTIVE, consecutive_n=1)


async def dial(*_: object) -> Any:
    """Reach nobody."""
    raise AssertionError


@pytest.fixture
def topology() -> Topology:
    """Return lanes in an order of their own, and pools that share one of them."""
    upstreams = Pool(dial, FakeLoop().new_wheel(), choose_parser(), UpstreamLimits())
    origin = upstreams.origin(OriginKey(is_tls=False, host="h", port=80))
    dialect = speak(next(iter(DIALECTS)))
    z, a, m = (Lane(new_state(name, "up"), origin, "/", dialect) for name in "zam")
    return Topology([z, a, m], [pool_of("two", [m, z]), pool_of("one", [z])])


def shown(topology: Topology, *allowed: str) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return the pools that are shown, and of each lane the cells."""
    page = json.loads(encode_stats(topology, frozenset(allowed)))
    return page["pools"], {lane["model"]: list(lane["cells"]) for lane in page["lanes"]}


def test_everything_is_shown_in_the_order_of_the_file(topology: Topology) -> None:
    """Reliability §12: whoever is not limited sees every pool with its members, and every lane with its cells."""
    pools, lanes = shown(topology)
    assert list(pools.items()) == [("two", ["m", "z"]), ("one", ["z"])]
    assert list(lanes.items()) == [("z", ["", "two", "one"]), ("a", [""]), ("m", ["", "two"])]
    assert encode_stats(topology) == encode_stats(topology, ())


@pytest.mark.parametrize(
    ("allowed", "pools", "lanes"),
    [
        (["one"], {"one": ["z"]}, {"z": ["", "one"]}),
        (["two"], {"two": ["m", "z"]}, {"z": ["", "two"], "m": ["", "two"]}),
        (["one", "a"], {"one": ["z"]}, {"z": ["", "one"], "a": [""]}),
        (["m"], {}, {"m": [""]}),
        (["gone"], {}, {}),
    ],
)
def test_limited_eyes_see_their_own(
    topology: Topology, allowed: list[str], pools: dict[str, list[str]], lanes: dict[str, list[str]]
) -> None:
    """Reliability case 84: a limit shows its pools, lanes reached through them or by name, no other pool's cell."""
    assert shown(topology, *allowed) == (pools, lanes)


def test_worst_cell_of_a_lane_is_shown(topology: Topology) -> None:
    """Reliability case 84: rest and streak of a lane are those of its worst cell."""
    cells = topology.lanes["z"].state.cells
    cells["one"].streak = 7
    page = json.loads(encode_stats(topology))
    (lane,) = [lane for lane in page["lanes"] if lane["model"] == "z"]
    assert (lane["streak"], lane["cells"]["two"]["streak"], lane["cells"]["one"]["streak"]) == (7, 0, 7)


def test_severity_of_a_cell() -> None:
    """Operations §7: 0 closed, even while it rests softly; 2 open and resting; 1 once the rest is over or on trial."""
    cell = Cell(BreakerSettings(), lambda: 0.5)
    cell.fail(0.0, retry_after_s=900)
    assert severity(cell, 1.0) == 0
    cell = Cell(EAGER, lambda: 0.5)
    cell.fail(0.0)
    assert [severity(cell, now_s) for now_s in (0.0, 29.9, 30.0)] == [2, 2, 1]
    cell.admit()
    assert severity(cell, 31.0) == 1
    cell.condemn(31.0)
    assert [severity(cell, now_s) for now_s in (32.0, 1830.9, 1831.0)] == [2, 2, 1]
