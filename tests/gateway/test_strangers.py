"""Bodies of callers who are not known yet: how many, how large together, and that room is given back."""

import pytest

from busbar_fast.errors import Overloaded
from busbar_fast.gateway.strangers import Strangers

MIB = 1024 * 1024


def test_number_is_bounded() -> None:
    """Governance §4, step 2: 64 bodies at a time, and one more whenever one is done."""
    strangers = Strangers()
    held = [strangers.hold(1) for _ in range(64)]
    with pytest.raises(Overloaded):
        strangers.hold(1)
    with held[0]:
        pass
    with strangers.hold(1), pytest.raises(Overloaded):
        strangers.hold(1)


def test_bytes_are_bounded() -> None:
    """Governance §4, step 2: 256 MiB together, those included that are announced and have not come."""
    strangers = Strangers()
    with strangers.hold(200 * MIB):
        with strangers.hold(56 * MIB), pytest.raises(Overloaded):
            strangers.hold(1)
        with pytest.raises(Overloaded):
            strangers.hold(57 * MIB)
    with strangers.hold(256 * MIB), pytest.raises(Overloaded):
        strangers.hold(1)
