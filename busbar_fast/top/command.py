"""The words of `busbar-fast top`, and its loop: look, compare, draw, wait."""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from busbar_fast.subcommand import DEFAULT_URL, EXIT_CODES, Failed, Parser, Peer, read_token
from busbar_fast.top.figures import Figures, Look, compare, is_stats
from busbar_fast.top.scrape import NoScrape, Scrape
from busbar_fast.top.screen import Frame, draw
from busbar_fast.top.terminal import Terminal

_COMMAND: Final = "busbar-fast top"
_TIMEOUT_S: Final = 5.0
_SHORTEST_S, _LONGEST_S = 0.1, 3600.0
_TOKEN, _METRICS_TOKEN = "BUSBAR_TOKEN", "BUSBAR_METRICS_TOKEN"
_OK, _UNAUTHORIZED = 200, 401
_EPILOG: Final = f"""\
in a terminal it draws anew with every look, until q or Ctrl-C; elsewhere it looks twice and prints one table.
the address is --url, else BUSBAR_URL, else {DEFAULT_URL}; the token is that of a client, or a virtual key.
{EXIT_CODES}"""


def run(words: Sequence[str], environ: Mapping[str, str] = os.environ) -> str:
    """Do what these words ask for; return what is left to print. Raise Failed, Misused, Asked or terminal.Ended."""
    asked: argparse.Namespace = _new_parser().parse_args(words)
    token = read_token(environ, asked.token_env)
    source = Source(
        Peer(_COMMAND, asked.url or environ.get("BUSBAR_URL", "") or DEFAULT_URL, _TIMEOUT_S),
        token,
        read_token(environ, asked.metrics_token_env) or token,
    )
    try:
        before = source.look()
        if asked.json or asked.once or sys.stdout is None or not sys.stdout.isatty():
            time.sleep(asked.interval)
            figures = compare(before, source.look())
            return encode(figures) if asked.json else "\n".join(draw(figures, source.url, Frame())) + "\n"
        with Terminal() as terminal:
            _follow(source, terminal, asked.interval, is_coloured="NO_COLOR" not in environ)
        return ""
    finally:
        source.close()


def _new_parser() -> Parser:
    parser = Parser(
        _COMMAND,
        description="Watch a running gateway: lanes, breakers, rates, latency and spend.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EPILOG,
    )
    parser.add_argument("--url", default="", help="where the gateway is")
    parser.add_argument("--token-env", default=_TOKEN, metavar="NAME", help=f"variable with the token ({_TOKEN})")
    parser.add_argument(
        "--metrics-token-env",
        default=_METRICS_TOKEN,
        metavar="NAME",
        help=f"variable with the token for /metrics, should it have one of its own ({_METRICS_TOKEN})",
    )
    parser.add_argument("--interval", type=_interval, default=1.0, metavar="S", help="seconds between two looks (1)")
    parser.add_argument("--once", action="store_true", help="print one table and end, in a terminal as well")
    parser.add_argument("--json", action="store_true", help="print one JSON document and end")
    return parser


def _interval(text: str) -> float:
    seconds = float(text)
    if not _SHORTEST_S <= seconds <= _LONGEST_S:
        raise argparse.ArgumentTypeError(f"{text} is not from {_SHORTEST_S} to {_LONGEST_S:.0f} seconds")
    return seconds


class Source:
    """A gateway that is looked at."""

    def __init__(self, peer: Peer, token: str, metrics_token: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._peer = peer
        self._token = token
        self._metrics_token = metrics_token
        self._clock = clock

    @property
    def url(self) -> str:
        """Where it is."""
        return self._peer.url

    def close(self) -> None:
        """Let go of it."""
        self._peer.close()

    def look(self) -> Look:
        """Return what both pages say now. Raise Failed."""
        status, raw = self._peer.ask("GET", "/stats", _login(self._token))
        if status == _UNAUTHORIZED:
            raise Failed(f"{self.url}: 401: {'this token is not let in' if self._token else 'a token is needed'}")
        stats = _read_stats(raw) if status == _OK else None
        if stats is None:
            raise Failed(f"{self.url}: answered {status} to /stats, and not as busbar-fast does")
        status, raw = self._peer.ask("GET", "/metrics", _login(self._metrics_token))
        return Look(self._clock(), stats, None if status == _UNAUTHORIZED else self._read_scrape(status, raw))

    def _read_scrape(self, status: int, raw: bytes) -> Scrape:
        with suppress(NoScrape, UnicodeDecodeError):
            if status == _OK:
                return Scrape(raw.decode())
        raise Failed(f"{self.url}: answered {status} to /metrics, and not as busbar-fast does")


def _login(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def _read_stats(raw: bytes) -> Mapping[str, Any] | None:
    """Return the document of `/stats`, None if it is something else."""
    try:
        stats = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return stats if is_stats(stats) else None


def _follow(source: Source, terminal: Terminal, interval_s: float, *, is_coloured: bool) -> None:
    """Draw look after look until somebody presses q. A gateway that is away for a while is waited for."""
    before: Look | None = None
    after = source.look()
    figures, notice = compare(before, after), ""
    due_s = time.monotonic() + interval_s
    while True:
        columns, lines = terminal.size
        terminal.show(draw(figures, source.url, Frame(columns, lines, is_coloured), notice))
        if "q" in terminal.wait(due_s - time.monotonic()).lower():
            return
        if time.monotonic() < due_s:  # a new size, or some other key
            continue
        due_s = time.monotonic() + interval_s
        try:
            before, after = after, source.look()
            figures, notice = compare(before, after), ""
        except Failed as failed:
            notice = f"{failed}; these numbers are old"


def encode(figures: Figures) -> str:
    """Return figures as JSON."""
    document = figures._asdict() | {
        "totals": figures.totals._asdict(),
        **{name: [row._asdict() for row in getattr(figures, name)] for name in ("pools", "lanes", "keys")},
    }
    said = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    return said.encode("utf-8", "backslashreplace").decode()  # half a surrogate pair is written as JSON has it
