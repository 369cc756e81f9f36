"""Random programs of the ranking language, and a slow obvious twin that runs them.

Programs are well typed, so that the twin may be Python itself; what may still go wrong is a division by zero, an item
that is not there, the best of nothing, an order among what has none, and numbers that become too large.
"""

import ast
import builtins
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from hypothesis import strategies as st

from busbar_fast.reliability.policies.candidates import Candidate, RequestFacts
from busbar_fast.reliability.policies.script.functions import FUNCTIONS
from busbar_fast.reliability.policies.script.ordering import ORDERING

Draw = Callable[[st.SearchStrategy[Any]], Any]

TWINS: dict[str, Any] = {name: vars(builtins)[name] for name in (*FUNCTIONS, *ORDERING) if name in vars(builtins)} | {
    "lower": str.lower,
    "startswith": str.startswith,
    "endswith": str.endswith,
    "contains": str.__contains__,
    "coalesce": lambda *values: next((value for value in values if value is not None), None),
    "__builtins__": {},
}


class Writer:
    """Writes one program; `_loops` are the names that comprehensions and keys around have bound to a candidate."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._loops: list[str] = []
        self._listed = 0
        self._numbers: list[str] = []
        self._names = 0

    def program(self) -> str:
        """Return assignments and choices, and an expression at the end."""
        lines = [line for _ in range(self._draw(st.integers(0, 3))) for line in self._assignment()]
        return "\n".join([*lines, self._one(self._records, self._numbers_list, self._number, self._truth)(3)])

    def _assignment(self) -> list[str]:
        name = self._new_name("v")
        lines = [f"{name} = {self._number(3)}"]
        if self._draw(st.booleans()):
            lines = [f"if {self._truth(2)}:", f" {name} = {self._number(2)}", "else:", f" {name} = {self._number(2)}"]
        self._numbers.append(name)
        return lines

    def _new_name(self, letter: str) -> str:
        self._names += 1
        return f"{letter}{self._names}"

    def _one(self, *makers: Callable[[int], str]) -> Callable[[int], str]:
        return makers[self._draw(st.integers(0, len(makers) - 1))]

    def _of(self, *texts: str) -> str:
        return str(self._draw(st.sampled_from(texts)))

    def _number(self, depth: int) -> str:
        if depth == 0:
            return self._plain_number(depth)
        return self._one(
            self._plain_number,
            lambda d: f"({self._number(d - 1)} {self._of('+', '-', '*', '/', '//', '%')} {self._number(d - 1)})",
            lambda d: f"({self._of('-', '+')}{self._number(d - 1)})",
            lambda d: f"({self._number(d - 1)} if {self._truth(d - 1)} else {self._number(d - 1)})",
            lambda d: f"({self._number(d - 1)} {self._of('and', 'or')} {self._number(d - 1)})",
            lambda d: f"{self._of('abs', 'round', 'int', 'float')}({self._number(d - 1)})",
            lambda d: f"{self._of('sum', 'len', 'min', 'max')}({self._numbers_list(d - 1)})",
            lambda d: f"{self._of('min', 'max')}({self._number(d - 1)}, {self._number(d - 1)})",
            lambda d: f"{self._numbers_list(d - 1)}[{self._of('0', '-1', '2')}]",
            lambda d: f"coalesce({self._record(d - 1)}.cost_per_mtok, {self._number(d - 1)})",
        )(depth)

    def _plain_number(self, _depth: int) -> str:
        fields = [f"{loop}.{field}" for loop in self._loops for field in ("idx", "weight", "latency_ms")]
        return self._of(
            "0", "1", "7", "(-3)", "0.5", "1e3", "req.total_chars", "req.max_tokens", *fields, *self._numbers
        )

    def _text(self, depth: int) -> str:
        fields = [f"{loop}.{field}" for loop in self._loops for field in ("model", "provider")]
        plain = self._of("'gold'", "'A'", "''", "req.pool", *fields)
        if depth == 0:
            return plain
        return self._one(
            lambda _d: plain,
            lambda d: f"lower({self._text(d - 1)})",
            lambda d: f"coalesce({self._record(d - 1)}.tier, {self._text(d - 1)})",
        )(depth)

    def _truth(self, depth: int) -> str:
        if depth == 0:
            return self._of("True", "False", "req.stream", "(req.max_tokens is None)")
        orders = ("<", "<=", ">", ">=", "==", "!=")
        return self._one(
            lambda d: f"({self._number(d - 1)} {self._of(*orders)} {self._number(d - 1)})",
            lambda d: f"({self._text(d - 1)} {self._of(*orders)} {self._text(d - 1)})",
            lambda d: f"({self._number(d - 1)} {self._of(*orders)} {self._number(d - 1)} < {self._number(d - 1)})",
            lambda d: f"({self._text(d - 1)} {self._of('in', 'not in')} {self._text(d - 1)})",
            lambda d: f"({self._text(d - 1)} {self._of('in', 'not in')} {self._record(d - 1)}.tags)",
            lambda d: f"({self._number(d - 1)} in {self._numbers_list(d - 1)})",
            lambda d: f"({self._record(d - 1)} in {self._records(d - 1)})",
            lambda d: f"({self._record(d - 1)}.tier {self._of('is', 'is not')} None)",
            lambda d: f"(not {self._truth(d - 1)})",
            lambda d: f"({self._truth(d - 1)} {self._of('and', 'or')} {self._truth(d - 1)})",
            lambda d: f"{self._of('any', 'all')}({self._numbers_list(d - 1)})",
            lambda d: f"{self._of('startswith', 'endswith', 'contains')}({self._text(d - 1)}, {self._text(d - 1)})",
        )(depth)

    def _numbers_list(self, depth: int) -> str:
        if depth == 0 or self._listed == 2:
            return f"[{', '.join(self._number(0) for _ in range(self._draw(st.integers(0, 3))))}]"
        return self._one(
            lambda d: f"[{self._number(d - 1)}, {self._number(d - 1)}]",
            lambda d: f"({self._numbers_list(d - 1)} + {self._numbers_list(d - 1)})",
            lambda d: f"sorted({self._numbers_list(d - 1)}, reverse={self._truth(0)})",
            lambda d: self._comprehension(d, self._number),
        )(depth)

    def _comprehension(self, depth: int, element: Callable[[int], str]) -> str:
        source, name = self._records(depth - 1), self._new_name("c")
        self._loops.append(name)
        self._listed += 1
        conditions = "".join(f" if {self._truth(depth - 1)}" for _ in range(self._draw(st.integers(0, 2))))
        text = f"[{element(depth - 1)} for {name} in {source}{conditions}]"
        self._listed -= 1
        self._loops.pop()
        return text

    def _records(self, depth: int) -> str:
        if depth == 0 or self._listed == 2:
            return self._of("candidates", "[]")
        return self._one(
            lambda _d: "candidates",
            lambda d: f"sorted({self._records(d - 1)}, key={self._key(d - 1)}, reverse={self._truth(0)})",
            lambda d: f"({self._records(d - 1)} + {self._records(d - 1)})",
            lambda d: self._comprehension(d, lambda _depth: self._loops[-1]),
        )(depth)

    def _record(self, depth: int) -> str:
        plain = self._of("candidates[0]", "candidates[-1]", "candidates[1]", *self._loops)
        if depth == 0:
            return plain
        return self._one(lambda _d: plain, lambda d: f"{self._of('min', 'max')}(candidates, key={self._key(d - 1)})")(
            depth
        )

    def _key(self, depth: int) -> str:
        name = self._new_name("k")
        self._loops.append(name)
        parts = [self._number(depth), self._text(depth), f"{name}.cost_per_mtok"]
        text = f"lambda {name}: {self._of(parts[0], parts[1], f'[{parts[0]}, {parts[1]}]', parts[2])}"
        self._loops.pop()
        return text


@st.composite
def programs(draw: Draw) -> str:
    """Draw a program."""
    return Writer(draw).program()


def twin(source: str, facts: RequestFacts, candidates: Sequence[Candidate]) -> Any:
    """Return the value of the last expression of a program, as Python evaluates it."""
    names = TWINS | {
        "req": SimpleNamespace(**facts._asdict()),
        "candidates": [
            SimpleNamespace(**candidate._asdict() | {"tags": list(candidate.tags)}) for candidate in candidates
        ],
    }
    *statements, last = ast.parse(source).body
    exec(compile(ast.Module(statements, []), "program", "exec"), names)  # noqa: S102  made by the writer above
    assert isinstance(last, ast.Expr)
    return eval(compile(ast.Expression(last.value), "program", "eval"), names)  # noqa: S307  same


def plain(value: Any) -> Any:
    """Return a value of either side with its records as dicts."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    return vars(value) if isinstance(value, SimpleNamespace) else value
