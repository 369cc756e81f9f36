"""Frozen records: what the loader hands on. Knows nothing of what they hold.

A subclass lists its fields as annotations, with or without a default, and is built by keywords. Records compare and
hash by value, and `pack` turns a tree of them into plain values that `marshal` can write; `unpack` is its inverse.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Self, dataclass_transform

# HOT: a dataclass (frozen, slotted) writes and compiles its methods at import: 0.6 ms each, 14 ms for the 24 of the
# schema at every start, and 7 ms for dataclasses itself; 24 records cost 0.7 ms and this module 0.2 ms,
# `python -X importtime -c "import busbar_fast.config.schema"`, median of 15, CPython 3.11, 2026-11

_REQUIRED = object()
_kinds: dict[str, type["Record"]] = {}


class _Shape(type):
    """Makes slots of a record's annotations."""

    def __new__(cls, name: str, bases: tuple[type, ...], members: dict[str, Any]) -> Any:
        fields = tuple(field for field in members.get("__annotations__", ()) if not field.startswith("_"))
        members["_defaults"] = {field: members.pop(field, _REQUIRED) for field in fields}
        members["__slots__"] = fields
        return super().__new__(cls, name, bases, members)


@dataclass_transform(frozen_default=True, kw_only_default=True, eq_default=True)
class Record(metaclass=_Shape):
    """See the module."""

    _defaults: dict[str, Any]

    def __init_subclass__(cls) -> None:
        _kinds[cls.__name__] = cls

    def __init__(self, **values: Any) -> None:
        for field, default in self._defaults.items():
            value = values.pop(field, default)
            if value is _REQUIRED:
                raise TypeError(f"{type(self).__name__} needs {field}")
            object.__setattr__(self, field, value)
        if values:
            raise TypeError(f"{type(self).__name__} has no {', '.join(values)}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be set: records are frozen")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be deleted: records are frozen")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={getattr(self, k)!r}' for k in self._defaults)})"

    def with_(self, **changes: object) -> Self:
        """Return this record with other values for these fields."""
        return type(self)(**dict(zip(self._defaults, self._values(), strict=True)) | changes)

    def _values(self) -> tuple[object, ...]:
        return tuple([getattr(self, field) for field in self._defaults])

    def packed(self) -> list[object]:
        """Return the record's name and its values, packed."""
        return [type(self).__name__, *map(pack, self._values())]

    @classmethod
    def unpacked(cls, values: Iterable[Any]) -> Self:
        """Return a record of packed values."""
        return cls(**dict(zip(cls._defaults, map(unpack, values), strict=True)))


def pack(value: object) -> Any:
    """Return plain values for a tree of records, tuples, maps and scalars: a record becomes a list."""
    if isinstance(value, Record):
        return value.packed()
    if isinstance(value, Mapping):
        return {key: pack(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(map(pack, value))
    assert value is None or isinstance(value, str | int | float), value
    return value


def unpack(value: Any) -> Any:
    """Return the tree that `pack` was given. Raise KeyError or ValueError if the records have changed since."""
    if isinstance(value, list):
        return _kinds[value[0]].unpacked(value[1:])
    if isinstance(value, dict):
        return {key: unpack(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(map(unpack, value))
    return value
