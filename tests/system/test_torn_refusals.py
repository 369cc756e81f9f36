"""A refusal whose body breaks off: the client still gets an error that its dialect knows."""

from pathlib import Path

import pytest

from busbar_fast.mock.script import Script
from tests.chaos.speech import NAMES, Call, Outcome, judge
from tests.system.fleets import fleet
from tests.system.serving import Serve


@pytest.mark.parametrize("dialect", NAMES)
@pytest.mark.parametrize("at", [0, 15])
@pytest.mark.parametrize("status", [400, 404, 422])
async def test_torn_refusal_is_worded_anew(tmp_path: Path, serve: Serve, dialect: str, at: int, status: int) -> None:
    """Reliability §8, client fault: a body that is cut short is replaced by a native one, and nobody is blamed."""
    async with fleet(tmp_path, serve, Script(status=status, cut_at=at), None, dialect=dialect) as made:
        answer = await made.ask()
        assert answer.status == (404 if status == 404 else 400)
        assert judge(Call(dialect, "pool", b"nonce000000001"), answer) is Outcome.REFUSED
        assert (made.counts("m0"), made.asked) == ((0, 0, 1), "0")
