"""Two looks at a gateway, as text of its pages."""

from typing import Any

from busbar_fast.top.figures import Look
from busbar_fast.top.scrape import Scrape

BOUNDS = ("0.1", "0.5", "1.0", "+Inf")


def lane(name: str, **members: Any) -> dict[str, Any]:
    """Return a lane as `/stats` tells of it."""
    usual = {
        "model": name,
        "provider": "up",
        "availability": "available",
        "breaker_state": "closed",
        "inflight": 0,
        "max_concurrent": None,
        "ok": 0,
        "err": 0,
        "dead_reason": "",
        "cells": {"": {"state": "closed", "streak": 0, "cooldown_remaining_s": 0}},
    }
    return usual | members


def cell(left_s: int = 0) -> dict[str, Any]:
    """Return a cell as `/stats` tells of it."""
    return {"state": "open" if left_s else "closed", "streak": 0, "cooldown_remaining_s": left_s}


def stats(*lanes: dict[str, Any], **pools: list[str]) -> dict[str, Any]:
    """Return the document of `/stats`."""
    return {"pools": pools, "lanes": list(lanes)}


def requests(pool: str, **outcomes: int) -> str:
    """Return what became of a pool's requests."""
    return "".join(
        f'busbar_requests_total{{ingress_protocol="d",outcome="{word}",pool="{pool}"}} {count}\n'
        for word, count in (
            {"ok": 0, "exhausted": 0, "error": 0, "client_error": 0, "client_closed": 0} | outcomes
        ).items()
    )


def histogram(name: str, pool: str, *counts: int, dialect: str = "d") -> str:
    """Return a histogram with so many observations in each bucket."""
    lines, total = "", 0
    for bound, count in zip(BOUNDS, counts, strict=True):
        total += count
        lines += f'{name}_bucket{{ingress_protocol="{dialect}",le="{bound}",pool="{pool}"}} {total}\n'
    return lines


def look(at_s: float, document: dict[str, Any], text: str | None) -> Look:
    """Return a look."""
    return Look(at_s, document, None if text is None else Scrape(text))
