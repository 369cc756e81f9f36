"""Repeated fields: joined for everybody, told apart for who asks."""

import pytest

from busbar_fast.wire.heads import Fields
from busbar_fast.wire.repeated import Repeated, join_values, sole_value, values_of


def test_lines_of_a_field_are_joined_and_remembered() -> None:
    """A field of several lines reads as a list to everybody, and tells its lines apart to who asks."""
    joined = join_values(join_values(b"a", b"b, c"), b"a")
    assert joined == b"a, b, c, a"
    assert hash(joined) == hash(b"a, b, c, a")
    assert isinstance(joined, Repeated)
    assert joined.values == (b"a", b"b, c", b"a")


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ({}, b""),
        ({b"x": b""}, b""),
        ({b"x": b"a, a"}, b"a, a"),
        ({b"x": join_values(b"a", b"a")}, b"a"),
        ({b"x": join_values(join_values(b"a, b", b"a, b"), b"a, b")}, b"a, b"),
        ({b"x": join_values(b"a", b"b")}, b""),
        ({b"x": join_values(b"a", b"A")}, b""),
        ({b"x": join_values(b"", b"a")}, b""),
        ({b"x": join_values(join_values(b"a", b"a"), b"b")}, b""),
    ],
)
def test_field_that_is_to_have_one_value(fields: Fields, value: bytes) -> None:
    """Governance §1.2: a line that is repeated to the byte says one thing, lines that differ say nothing."""
    assert sole_value(fields, b"x") == value


def test_lines_of_a_value() -> None:
    """A value that stood on one line is its only one."""
    assert values_of(b"a, b") == (b"a, b",)
    assert values_of(join_values(b"a", b"b")) == (b"a", b"b")
