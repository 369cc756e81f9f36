"""`python -m perf.costs` over a gateway that calls a function too many for every request; how many is the first word.

It proves that the gate shuts. usage: python -m tests.perf.burdened_costs 30 --only json
"""

import sys
from collections.abc import Coroutine
from typing import Any

from busbar_fast.gateway.app import Gateway
from busbar_fast.wire.exchange import Exchange
from perf import costs

_serve = Gateway.serve


def burden() -> None:
    """Do nothing at all, which costs a call."""


def serve_burdened(gateway: Gateway, exchange: Exchange) -> Coroutine[Any, Any, None]:
    """Call for nothing, then serve."""
    for _ in range(int(sys.argv[1])):
        burden()
    return _serve(gateway, exchange)


if __name__ == "__main__":
    Gateway.serve = serve_burdened  # type: ignore[assignment,method-assign]
    sys.exit(costs.main(sys.argv[2:]))
