"""Runs scripts for the tests of their language."""

from typing import Any

from busbar_fast.reliability.policies.candidates import Candidate
from busbar_fast.reliability.policies.script.compiling import compile_tree
from busbar_fast.reliability.policies.script.grammar import check_grammar
from busbar_fast.reliability.policies.script.reading import read_script
from busbar_fast.reliability.policies.script.run import UNSET, Run

MANY = 250_000


def evaluate(source: str, *inputs: Any, steps: int = MANY) -> Any:
    """Return the result of a script over these values of req, candidates and ctx, without any limit of time."""
    return run(source, *inputs, steps=steps).result


def spent(source: str, *inputs: Any) -> int:
    """Return how many steps a script takes."""
    return MANY - run(source, *inputs).left


def run(source: str, *inputs: Any, steps: int = MANY) -> Run:
    """Return a run of a script that has come to its end."""
    tree = read_script(source)
    check_grammar(tree)
    program = compile_tree(tree)
    variables = [*inputs, *[UNSET] * (program.slots - len(inputs))]
    made = Run(variables, steps, lambda: 0.0, 1.0)
    program.run(made)
    return made


def record(candidate: Candidate) -> dict[str, Any]:
    """Return a candidate as a script sees it."""
    return candidate._asdict() | {"tags": list(candidate.tags)}
