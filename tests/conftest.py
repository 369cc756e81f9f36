"""What every test may ask for: the parser and the loop this run was started for.

`make test` runs the suite with the defaults and again with `BUSBAR_HTTP_PARSER=h11` and with `BUSBAR_LOOP=asyncio`.
"""

import os
from collections.abc import Iterator

import pytest

from tests.fakes import ProbeStrand

LOOPS = ("uvloop", "asyncio")
PARSERS = ("httptools", "h11")


def choice(variable: str, allowed: tuple[str, ...]) -> str:
    """Return the value of an environment variable, the first allowed one by default; a typing error ends the run."""
    value = os.environ.get(variable, allowed[0])
    if value not in allowed:
        raise pytest.UsageError(f"{variable} must be one of {', '.join(allowed)}, not {value!r}")
    return value


@pytest.fixture(scope="session")
def loop_kind() -> str:
    """Return which event loop this run is for."""
    return choice("BUSBAR_LOOP", LOOPS)


@pytest.fixture(scope="session")
def parser_kind() -> str:
    """Return which HTTP parser this run is for."""
    return choice("BUSBAR_HTTP_PARSER", PARSERS)


@pytest.fixture(autouse=True)
def forgotten_strands() -> Iterator[None]:
    """Let go of the strands that a test left waiting."""
    yield
    ProbeStrand.begun.clear()
