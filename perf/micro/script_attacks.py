"""Scripts that want more than they may have: to leave the language, to take all the time, to take all the memory.

The tests count their steps and their looks at the clock; `python -m perf.micro.script_attacks` prints how long each of
them really takes, to be loaded and to fail.
"""

from time import perf_counter

from busbar_fast.errors import ScriptError, ScriptRefused
from busbar_fast.reliability.policies.candidates import Candidate, RequestFacts
from busbar_fast.reliability.policies.script import Script

LONG = "x" * 8192

FACTS = RequestFacts(pool=LONG, ingress_protocol="p", requested_model=LONG, message_count=1, total_chars=10)
CROWD = [
    Candidate(idx, LONG, "p", tier=LONG, cost_per_mtok=1.0 / (idx + 1), latency_ms=5.0, tags=(LONG,) * 64)
    for idx in range(16)
]

# A list of 4096 items, as cheap as one can be had.
_MANY = "x = [{item}]\n" + "x = x + x\n" * 12

# Refused when they are loaded.
ESCAPES = {
    "classes of a value": "().__class__.__bases__[0].__subclasses__()",
    "globals of a function": "len.__globals__",
    "fields by a hidden name": "candidates[0].__dict__",
    "an import": "import os\nos.system('true')",
    "an import by function": "__import__('os').system('true')",
    "a file": "open('/etc/hostname').read()",
    "eval": "eval('1')",
    "exec": "exec('x = 1')",
    "getattr": "getattr(candidates, 'append')",
    "builtins by name": "__builtins__",
    "a function of its own": "def f(x):\n f(x)\nf(1)",
    "recursion by lambda": "(lambda f: f(f))(lambda f: f(f))",
    "a class": "class A:\n x = 1",
    "changing an input": "candidates[0].weight = 1",
    "a method that changes": "candidates.clear()",
    "swallowing errors": "try:\n 1 / 0\nexcept Exception:\n 1",
    "waiting": "await candidates",
    "yielding": "yield candidates",
    "an endless loop": "while True:\n 1",
    "a loop": "for c in candidates:\n 1",
    "three comprehensions": "[[[1 for c in candidates] for d in candidates] for e in candidates]",
    "three clauses": "[1 for c in candidates for d in candidates for e in candidates]",
    "a power": "2 ** 10 ** 9",
    "a shift": "1 << 10 ** 9",
    "a wide format": "f'{1:>999999999}'",
    "a wide format by method": "'{:>999999999}'.format(1)",
    "deep brackets": "(" * 5000 + ")" * 5000,
    "deep without brackets": "not " * 4000 + "1",
    "deep to the right": "1 if 1 else " * 1300 + "1",
    "deep to the left": "1" + "+1" * 8000,
    "many nodes": "[" + "1," * 8000 + "]",
    "a source of a megabyte": "x = 1\n" * 200_000,
    "a number of 16 KiB": "9" * 16_000,
    "a byte that ends texts": "x = 1\0",
    "half a character": "'\ud800'",
}

# Loaded, and ended by their own steps or by what values allow.
GREEDY = {
    "a million elements": _MANY.format(item=1) + "[[1 for d in x] for c in x]",
    "a sum for each key": _MANY.format(item=1) + "sorted(x, key=lambda c: sum(x))",
    "a key within a key": _MANY.format(item=1) + "sorted(x, key=lambda c: min(x, key=lambda d: c * d))",
    "any over everything": _MANY.format(item=0) + "[any(d for d in x) for c in x]",
    "doubling a list": _MANY.format(item=1) + "x = x + x\n" * 40 + "x",
    "lists of lists": "x = [1]\n" + "x = [x, x, x, x]\n" * 20 + "y = [x]\n" + "y = y + y\n" * 20 + "y",
    "big integers": "x = 3\n" + "x = x * x\n" * 100 + "x",
    "negative big integers": "x = -3\n" + "x = x * x * x\n" * 60 + "x",
    "big floats": "x = 1e300\n" + "x = x * x\n" * 10 + "x",
    "repeating a text": "'x' * 1000000000",
    "a wide format by operator": "'%999999999d' % 1",
    "repeating a list": "[0] * 1000000000",
    "joining texts": "x = 'x'\n" + "x = x + x\n" * 40,
    "rounding far away": "round(5, -1000000000)",
    "reading a long number": "int(req.pool)",
    "a text that grows": "lower(req.pool) + lower(req.pool)",
    "lower again and again": "[[lower(req.pool) for t in c.tags] for c in candidates]",
    "searching long texts": "[[contains(t, 'y') for t in c.tags] for c in candidates]",
    "searching for long texts": "[[lower(c.tier) in lower(t) for t in c.tags] for c in candidates]",
    "searching a long list": _MANY.format(item=1) + "[2 in x for c in x]",
    "long texts in a long list": _MANY.format(item="lower(req.pool)") + "[lower(req.pool) in x for c in x]",
    "sorting a long list": _MANY.format(item=1) + "[sorted(x) for c in x]",
    "sorting long texts": _MANY.format(item="lower(req.pool)") + "sorted(x)",
    "sorting by long lists": _MANY.format(item="[1, 1, 1, 1, 1, 1, 1, 2]") + "sorted(x)",
    "sorting by many long texts": "[[sorted(c.tags) for d in candidates] for c in candidates]",
    "the largest of long texts": "[[max(c.tags) for d in c.tags] for c in candidates]",
    "comparing long texts": "[[[lower(t) == req.pool, t == c.tier] for t in c.tags] for c in candidates]",
    "sorting records": "sorted(candidates)",
    "sorting what cannot be": "sorted([1, 'x', None])",
    "comparing lists": _MANY.format(item=1) + "x == x",
    "the best of nothing": "min([])",
    "division by zero": "1 / 0",
    "a variable too early": "x\nx = 1",
    "an item that is not there": "candidates[9223372036854775807]",
    "calling for a number": "sum([c.model for c in candidates])",
}

REPEATS = 5
BUDGETS = (20_000, 250_000)


def refusal_ms(source: str) -> float:
    """Return how long it takes to refuse a source."""
    began_s = perf_counter()
    try:
        Script(source)
    except ScriptRefused:
        return (perf_counter() - began_s) * 1000
    raise AssertionError(source)


def failure_ms(script: Script) -> float:
    """Return how long a script runs before it fails."""
    began_s = perf_counter()
    try:
        script.rank(FACTS, CROWD)
    except ScriptError:
        return (perf_counter() - began_s) * 1000
    raise AssertionError(script)


def main() -> None:
    """Print both tables, each time the shortest and the longest of a few."""
    print(f"{'refused at load, ms':34}{'best':>12}{'worst':>12}")
    for name, source in ESCAPES.items():
        times = [refusal_ms(source) for _ in range(REPEATS)]
        print(f"{name:34}{min(times):12.2f}{max(times):12.2f}", flush=True)
    print(f"\n{'ended while running, ms':34}" + "".join(f"{steps:>16,} steps" for steps in BUDGETS))
    for name, source in GREEDY.items():
        row = ""
        for steps in BUDGETS:
            script = Script(source, max_steps=steps)
            times = [failure_ms(script) for _ in range(REPEATS)]
            row += f"{f'{min(times):.2f} to {max(times):.2f}':>22}"
        print(f"{name:34}{row}", flush=True)


if __name__ == "__main__":
    main()
