"""Arguments of a call that the vendor's cloud streams value by value, each with its place, put together again."""

import re
from itertools import pairwise
from typing import Any, Final

from msgspec import Raw

from busbar_fast.dialects.gemini.translation.fields import Fields
from busbar_fast.dialects.members import write

_find_steps: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\[\"((?:[^\"\\]|\\.)*)\"\]").finditer
_MOST_ITEMS: Final = 4096  # a list is not filled up to a place beyond this


class PartialArgs:
    """One call that grows."""

    def __init__(self) -> None:
        self._root: dict[str, Any] = {}

    def add(self, piece: Fields) -> None:
        """Set the value that a piece brings; more of a text is put behind what is there."""
        steps = _steps(piece.maybe_text("jsonPath") or "")
        if not steps or not isinstance(steps[0], str):
            return
        place: Any = self._root
        for step, following in pairwise(steps):
            inner = _get(place, step)
            if not isinstance(inner, dict if isinstance(following, str) else list):
                inner = {} if isinstance(following, str) else []
                _set(place, step, inner)
            place = inner
        text = piece.maybe_text("stringValue")
        if text is None:
            _set(place, steps[-1], _value(piece))
        else:
            before = _get(place, steps[-1])
            _set(place, steps[-1], (before if isinstance(before, str) else "") + text)

    def encoded(self) -> str:
        """Return the arguments as JSON."""
        return write(self._root).decode()


def _steps(path: str) -> list[str | int]:
    """Return the steps of a path from the root; none if it does not begin there."""
    if not path.startswith("$"):
        return []
    return [_step(found) for found in _find_steps(path)]


def _step(found: "re.Match[str]") -> str | int:
    name, number, single, double = found.groups()
    if number is not None:
        return int(number[:9])
    return next(part for part in (name, single, double) if part is not None)


def _value(piece: Fields) -> Raw | None:
    """Return a number or a yes or no as it was written; null is what is left."""
    return piece.raw("numberValue") or piece.raw("boolValue") or None


def _get(place: Any, step: Any) -> Any:
    if isinstance(place, dict):
        return place.get(step)
    return place[step] if step < len(place) else None


def _set(place: Any, step: Any, value: Any) -> None:
    if isinstance(place, dict):
        place[step] = value
    elif step < _MOST_ITEMS:
        place.extend([None] * (step + 1 - len(place)))
        place[step] = value
