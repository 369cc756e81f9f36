"""A few hostile inputs for every parser, the same each time; `python -m tests.fuzz` gives them as many as one likes."""

import pytest

from tests.fuzz.__main__ import run
from tests.fuzz.targets import TARGETS

INPUTS = 300
MOST_S = 2.0  # for one input, on a machine that is busy


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_is_found(name: str) -> None:
    """Operations, issue "fuzz": nothing but errors of our own, cut anywhere the same, and in no time."""
    findings, slowest_s = run(name, TARGETS[name], INPUTS, seed=1)
    assert findings == []
    assert slowest_s < MOST_S
