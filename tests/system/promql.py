"""As much of PromQL as tells which series and labels an expression names; whatever it does not know, it refuses."""

import re
from collections.abc import Iterator
from typing import NamedTuple

AGGREGATES = frozenset(("sum", "min", "max", "avg", "count", "topk", "bottomk"))
FUNCTIONS = frozenset(("rate", "increase", "histogram_quantile", "absent", "vector", "label_values"))
OPERATORS = frozenset(("and", "or", "unless"))
GROUPINGS = frozenset(("by", "without", "on", "ignoring"))
_TOKEN = re.compile(
    r"\s*(?:(?P<name>[A-Za-z_:][\w:]*)|(?P<text>\"(?:[^\"\\]|\\.)*\")|(?P<range>\[(?:\d+[smhd]|\$__rate_interval)\])"
    r"|(?P<number>\d+(?:\.\d+)?)|(?P<sign>=~|!~|!=|==|<=|>=|[-+*/=<>(){},]))"
)


class Selector(NamedTuple):
    """A series, and what its labels are compared with."""

    series: str
    matchers: tuple[tuple[str, str, str], ...]  # label, sign, text


class Expression:
    """What an expression names."""

    def __init__(self, text: str) -> None:
        self.selectors: list[Selector] = []
        self.groupings: list[str] = []  # every label that something is grouped or matched by
        self._tokens = list(_tokens(text))
        self._at = 0
        depth = 0
        while self._at < len(self._tokens):
            kind, word = self._take()
            depth += {"(": 1, ")": -1}.get(word, 0)
            assert depth >= 0, text
            assert word not in {"{", "}"}, text  # only behind a series
            if kind == "name":
                self._read_name(word)
        assert depth == 0, text

    def _take(self, *wanted: str) -> tuple[str, str]:
        token = self._tokens[self._at]
        self._at += 1
        assert not wanted or token[1] in wanted, token
        return token

    def _next(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _read_name(self, word: str) -> None:
        if word in GROUPINGS:
            self.groupings += self._read_labels()
        elif word in AGGREGATES:
            assert self._next() in {"(", "by", "without"}, word
        elif self._next() == "(":
            assert word in FUNCTIONS, word
        elif word not in OPERATORS:
            self.selectors.append(Selector(word, tuple(self._read_matchers())))

    def _read_labels(self) -> Iterator[str]:
        self._take("(")
        while self._next() != ")":
            yield self._take()[1]
            if self._next() != ")":
                self._take(",")
        self._take(")")

    def _read_matchers(self) -> Iterator[tuple[str, str, str]]:
        if self._next() != "{":
            return
        self._take("{")
        while self._next() != "}":
            label = self._take()[1]
            sign = self._take("=", "=~", "!=", "!~")[1]
            kind, text = self._take()
            assert kind == "text", text
            yield label, sign, text[1:-1]
            if self._next() != "}":
                self._take(",")
        self._take("}")


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Yield kind and text of each token."""
    at, text = 0, text.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        assert match, text[at:]
        at = match.end()
        assert match.lastgroup is not None
        yield match.lastgroup, match[match.lastgroup]
