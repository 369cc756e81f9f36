"""A policy script: read, checked and compiled once, then run for each request.

It runs on the event loop. What protects other requests is the number of steps, a look at the clock every few hundred
of them, and the allowance that all of its runs share. Hot: perf/micro/bench_script.py.
"""

from collections.abc import Sequence
from typing import Final

from busbar_fast import clock
from busbar_fast.clock import Now
from busbar_fast.errors import ScriptRefused
from busbar_fast.reliability.policies.candidates import COUNTED, HEADROOM, Candidate, Order, RequestFacts
from busbar_fast.reliability.policies.script.allowance import Allowance
from busbar_fast.reliability.policies.script.compiling import compile_tree
from busbar_fast.reliability.policies.script.grammar import check_grammar
from busbar_fast.reliability.policies.script.limits import (
    CANDIDATE_FIELDS,
    CONTEXT_FIELDS,
    DEFAULT_STEPS,
    LONGEST_S,
    REQUEST_FIELDS,
    RESERVE_S,
)
from busbar_fast.reliability.policies.script.reading import read_script
from busbar_fast.reliability.policies.script.run import UNSET, Run
from busbar_fast.reliability.policies.script.values import Value

_DEFAULT_TIMEOUT_MS: Final = 150


class Script:
    """One script with its limits. Raise ScriptRefused for a source that is not in the language."""

    __slots__ = (
        "_allowance",
        "_longest_s",
        "_max_steps",
        "_now",
        "_of_candidate",
        "_of_request",
        "_order_slot",
        "_program",
        "_spare",
        "needs_counts",
        "needs_headroom",
        "steps",
    )

    def __init__(
        self,
        source: str,
        *,
        max_steps: int = DEFAULT_STEPS,
        timeout_ms: int = _DEFAULT_TIMEOUT_MS,
        now: Now = clock.now,
    ) -> None:
        tree = read_script(source)
        check_grammar(tree)
        program = compile_tree(tree)
        self._program = program.run
        self._order_slot = program.order_slot
        # HOT: records of what is read and no more save 4 µs of 26, perf/micro/bench_script.py, 3.11, 2026-11
        read = program.fields | {"idx"}
        self._of_request = [(name, at) for at, name in enumerate(REQUEST_FIELDS) if name in read]
        self._of_candidate = [(name, at) for at, name in enumerate(CANDIDATE_FIELDS) if name in read]
        self._spare: list[Value] = [UNSET] * program.slots
        self._max_steps = max_steps
        self._longest_s = min(timeout_ms / 1000, LONGEST_S - RESERVE_S)
        self._now = now
        self._allowance = Allowance()
        self.needs_counts = not COUNTED.isdisjoint(read)  # what a body holds may matter
        self.needs_headroom = HEADROOM in read  # so may what is left of the caller's rate
        self.steps = 0  # of the last run that came to its end

    def rank(self, facts: RequestFacts, candidates: Sequence[Candidate]) -> Order:
        """Return what the script ranks, None if it abstains. Raise ScriptError if it fails or takes too long.

        So it does when the runs before this one have left it no time.
        """
        began_s = self._now()
        may_take_s = self._allowance.begin(began_s)
        try:
            return self._rank(facts, candidates, began_s + min(self._longest_s, may_take_s - RESERVE_S))
        finally:
            self._allowance.end(self._now())

    def _rank(self, facts: RequestFacts, candidates: Sequence[Candidate], until_s: float) -> Order:
        variables = self._spare.copy()
        variables[0] = {name: facts[at] for name, at in self._of_request}
        variables[1] = [self._record_of(candidate) for candidate in candidates]
        variables[2] = dict(zip(CONTEXT_FIELDS, (facts.pool, None), strict=True))
        run = Run(variables, self._max_steps, self._now, until_s)
        self._program(run)
        self.steps = self._max_steps - run.left
        result = run.result
        if result is UNSET and self._order_slot is not None:
            result = variables[self._order_slot]
        return _order_of(result)

    def _record_of(self, candidate: Candidate) -> dict[str, Value]:
        record: dict[str, Value] = {name: candidate[at] for name, at in self._of_candidate}
        if "tags" in record:
            record["tags"] = list(candidate.tags)
        return record


def _order_of(result: Value) -> Order:
    """Return the `idx` of what a script returned; what names no candidate is passed over."""
    if type(result) is not list:
        return None
    order = []
    for item in result:
        if type(item) is int:
            order.append(item)
        elif type(item) is dict and "idx" in item:
            order.append(item["idx"])
    return order or None


def complaint_of_script(source: str) -> str:
    """Return why a source is no script, or nothing."""
    try:
        Script(source)
    except ScriptRefused as error:
        return str(error)
    return ""
