"""Prometheus text as numbers by name and labels: the little of the format that a gateway writes. Pure."""

import re
from collections.abc import Iterator, Mapping
from math import isnan
from typing import Final

Labels = Mapping[str, str]

_match_line = re.compile(r"([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: -?\d+)?").fullmatch
_find_labels = re.compile(r'([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"').findall
MOST: Final = 1e18  # nothing that is counted comes near
_ESCAPES: Final = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


class NoScrape(Exception):
    """This is no exposition."""


class Scrape:
    """One reading of every series."""

    __slots__ = ("_families",)

    def __init__(self, text: str) -> None:
        """Read an exposition. Raise NoScrape."""
        self._families: dict[str, list[tuple[Labels, float]]] = {}
        for line in text.split("\n"):  # and nowhere else: a label may hold any other separator
            if line and not line.startswith("#"):
                name, labels, value = _read_line(line)
                self._families.setdefault(name, []).append((labels, value))

    def rows(self, name: str, **wanted: str) -> Iterator[tuple[Labels, float]]:
        """Yield the samples of a name whose labels have these values."""
        for labels, value in self._families.get(name, ()):
            if all(labels.get(label) == text for label, text in wanted.items()):
                yield labels, value

    def total(self, name: str, **wanted: str) -> float:
        """Return the sum of those samples, 0 if there are none."""
        return sum(value for _, value in self.rows(name, **wanted))

    def by(self, label: str, name: str, **wanted: str) -> dict[str, float]:
        """Return the sums of those samples by the value of one more label."""
        sums: dict[str, float] = {}
        for labels, value in self.rows(name, **wanted):
            key = labels.get(label, "")
            sums[key] = sums.get(key, 0.0) + value
        return sums

    def has(self, name: str) -> bool:
        """Say whether there is any sample of a name."""
        return name in self._families


def _read_line(line: str) -> tuple[str, Labels, float]:
    match = _match_line(line)
    if match is None:
        raise NoScrape(line)
    name, inside, number = match.groups()
    labels = {label: _unescape(text) for label, text in _find_labels(inside or "")}
    try:
        value, bound = float(number), float(labels.get("le", 0.0))
    except ValueError as error:
        raise NoScrape(line) from error
    if not abs(value) <= MOST or isnan(bound):
        raise NoScrape(line)
    return name, labels, value


def _unescape(text: str) -> str:
    return re.sub(r"\\.", lambda match: _ESCAPES.get(match[0], match[0]), text) if "\\" in text else text
