"""Dialects that have only what a base class gives them."""

from collections.abc import Callable
from typing import TypeVar, cast

from busbar_fast.dialects.dialect import Dialect

D = TypeVar("D", bound=Dialect)


def bare(base: Callable[[], D]) -> D:
    """Return a dialect that lacks whatever each must have of its own."""
    missing: frozenset[str] = getattr(base, "__abstractmethods__")  # noqa: B009  mypy does not know it
    return cast("D", type("Bare", (cast("type", base),), dict.fromkeys(missing))())
