"""What a policy costs one request, scripts next to the native ones: `python -m perf.micro.bench_script`."""

from functools import partial
from typing import TYPE_CHECKING

from busbar_fast.reliability.policies.candidates import Candidate, RequestFacts
from busbar_fast.reliability.policies.native import rank_cheapest
from busbar_fast.reliability.policies.order import decide
from busbar_fast.reliability.policies.script import Script
from busbar_fast.reliability.policies.webhook import encode_question, parse_answer
from perf.micro.stopwatch import print_table

if TYPE_CHECKING:
    from collections.abc import Callable

FACTS = RequestFacts("answer", "p", "answer", message_count=12, total_chars=9000, max_tokens=512, stream=True)

SCRIPTS = {
    "[]": "[]",
    "by cost": "sorted(candidates, key=lambda c: coalesce(c.cost_per_mtok, 1e9))",
    "by cost then latency": (
        "sorted(candidates, key=lambda c: [coalesce(c.cost_per_mtok, 1e9), coalesce(c.latency_ms, 1e9)])"
    ),
    "tagged ones by load, then the rest": (
        "fit = [c for c in candidates if c.context_max is None or c.context_max > req.total_chars / 3]\n"
        "if req.has_tools:\n"
        "    fit = [c for c in fit if 'tools' in c.tags]\n"
        "best = sorted(fit, key=lambda c: -coalesce(c.available_concurrency, 1000))\n"
        "best + [c for c in candidates if c not in best]\n"
    ),
}


def crowd(count: int) -> list[Candidate]:
    """Return that many members, no two alike."""
    return [
        Candidate(
            idx,
            f"model-{idx}",
            f"provider-{idx % 3}",
            context_max=8192 * (1 + idx % 4),
            cost_per_mtok=None if idx % 7 == 6 else float(idx * 7 % 5),
            latency_ms=100.0 + idx * 37 % 90,
            available_concurrency=idx * 5 % 8,
            tags=("tools",) if idx % 2 else (),
        )
        for idx in range(count)
    ]


def main() -> None:
    """Print one table."""
    few, many = crowd(5), crowd(40)
    rows: list[tuple[str, list[Callable[[], object]]]] = []
    for name, source in SCRIPTS.items():
        script = Script(source)
        rows.append((name, [partial(script.rank, FACTS, few), partial(script.rank, FACTS, many)]))
    rows += [
        ("native: cheapest", [partial(rank_cheapest, few), partial(rank_cheapest, many)]),
        ("native: what becomes of an order", [partial(decide, [4, 3, 2, 1, 0], few), partial(decide, [9, 1, 1], many)]),
        ("webhook: the question", [partial(encode_question, FACTS, few), partial(encode_question, FACTS, many)]),
        ("webhook: the answer", [partial(parse_answer, b'{"order":[4,3,2,1,0]}')] * 2),
        ("loading the longest of them", [partial(Script, source)] * 2),
    ]
    print_table("ns per call", ("5 members", "40 members"), rows)


if __name__ == "__main__":
    main()
