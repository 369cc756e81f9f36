"""Fields that stood on several lines of one head.

They are joined with ", " (RFC 9110, 5.3); who must tell two lines from one asks here. This module must not know how a
head is parsed.
"""

from busbar_fast.wire.heads import Fields


class Repeated(bytes):
    """The joined value of a field that stood on more than one line; `values` are those of the lines, in order."""

    values: tuple[bytes, ...]


def join_values(before: bytes, value: bytes) -> Repeated:
    """Return the value of a field that has occurred before and occurs again."""
    joined = Repeated(before + b", " + value)
    joined.values = (*values_of(before), value)
    return joined


def sole_value(fields: Fields, name: bytes) -> bytes:
    """Return the value of a field that is to have one; empty if it is missing or its lines contradict each other."""
    value = fields.get(name, b"")
    if isinstance(value, Repeated):
        return value.values[0] if len(set(value.values)) == 1 else b""
    return value


def values_of(value: bytes) -> tuple[bytes, ...]:
    """Return the values of the lines that a field's value was joined from."""
    return value.values if isinstance(value, Repeated) else (value,)
