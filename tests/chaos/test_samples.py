"""What counts as memory that still grows."""

import pytest

from tests.chaos.samples import Sample, check_growth


def samples(*memory_mib: float) -> list[Sample]:
    """Return samples with these amounts of memory."""
    return [Sample(float(at), mib, 10, at) for at, mib in enumerate(memory_mib)]


@pytest.mark.parametrize(
    ("memory_mib", "is_growing"),
    [
        ([60.0] * 8, False),
        ([40, 50, 58, 60, 60, 60, 60.5, 60.5], False),  # it settles
        ([60, 61, 60, 61, 60, 61, 60, 61], False),
        ([60, 60, 60, 60, 60, 61, 62, 63], True),
        ([40, 42, 44, 46, 48, 50, 52, 54], True),
        ([40, 80], False),  # too few to say
    ],
)
def test_growth_is_what_goes_on_to_the_end(memory_mib: list[float], is_growing: bool) -> None:
    """Issue "soak": the last half of a run is flat within two per cent."""
    assert bool(list(check_growth(samples(*memory_mib)))) is is_growing


def test_sample_is_one_line() -> None:
    """A run is read as it goes on."""
    assert str(Sample(9.6, 51.26, 90, 1925)) == "   10 s    51.3 MiB    90 files     1925 answers"
