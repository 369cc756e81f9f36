"""`busbar-fast top` against a gateway, against nobody, and in a terminal of its own."""

import asyncio
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from busbar_fast.mock.script import Script
from busbar_fast.subcommand import Asked, Failed, Misused, Peer
from busbar_fast.top.command import Source, run
from busbar_fast.wire.exchange import Exchange
from busbar_fast.wire.limits import Limits
from tests.house.source import ROOT
from tests.system.fleets import failing, fleet
from tests.system.gateways import closed_port
from tests.system.governing import governed
from tests.system.programs import Deployment
from tests.system.serving import Serve, until

TOKENS = {"BUSBAR_TOKEN": "a-clients-token", "BUSBAR_METRICS_TOKEN": "a-scrapers-token"}
ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"


async def say(port: int, line: str = "", **environ: str) -> str:
    """Return what a line prints."""
    words = ["--url", f"http://127.0.0.1:{port}", "--interval", "0.1", *line.split()]
    return await asyncio.to_thread(run, words, environ)


async def look(port: int, **environ: str) -> Any:
    """Return what a look prints as JSON."""
    return json.loads(await say(port, "--json", **environ))


# Once


async def test_what_happened_is_shown(tmp_path: Path, serve: Serve) -> None:
    """Issue: lanes, their counts and breakers, and pools, as a table and as JSON."""
    async with fleet(tmp_path, serve, Script(), failing(500)) as made:
        port = made.site.port
        for _ in range(6):
            assert (await made.ask()).status == 200
        shown = await look(port)
        (pool,) = shown["pools"]
        assert (pool["name"], pool["total"], pool["failures"]) == ("pool", 6, 0)
        good, bad = shown["lanes"]
        assert (good["name"], good["provider"], good["ok"], good["breaker"]) == ("m0", "p0", 6, "closed")
        assert bad["err"] >= 1
        assert shown["totals"]["events"]["failovers"] == bad["err"]
        table = await say(port)
        assert "\x1b" not in table
        assert re.search(r"^pool +0 +0 +0 +- ", table, re.MULTILINE)
        assert re.search(r"^m0 +p0 +available +closed +0 ", table, re.MULTILINE)


async def test_rates_and_latency_are_those_of_the_traffic(tmp_path: Path, serve: Serve) -> None:
    """Issue: requests that come between the looks are a rate, and have a latency."""
    async with fleet(tmp_path, serve, Script()) as made:
        stopped = False

        async def ask_on() -> None:
            while not stopped:
                await made.ask()

        asking = asyncio.ensure_future(ask_on())
        shown = await look(made.site.port)
        stopped = True
        await asking
        (pool,), (lane,) = shown["pools"], shown["lanes"]
        assert pool["requests"] > 1
        assert 0 < pool["p50_s"] <= pool["p95_s"] <= pool["p99_s"]
        assert lane["attempts"] == pytest.approx(pool["requests"], rel=0.5)
        assert shown["totals"]["requests"] == pytest.approx(pool["requests"])


async def test_breakers_that_rest_are_shown(tmp_path: Path, serve: Serve) -> None:
    """Issue: what is out of service is seen, with how long, and how often."""
    trip = "breaker: {trip: {mode: consecutive, consecutive_n: 1}, base_cooldown_secs: 50}"
    async with fleet(tmp_path, serve, failing(500), pool=trip) as made:
        assert (await made.ask()).status != 200
        (lane,) = (await look(made.site.port))["lanes"]
        assert (lane["availability"], lane["breaker"], lane["trips"]) == ("breaker_open", "open", 1)
        assert lane["resting"]["pool"] > 30


async def test_spend_is_shown_by_key(tmp_path: Path, serve: Serve) -> None:
    """Issue: what keys spend, and what they have left."""
    rules = "price_per_request_cents: 3"
    async with governed(tmp_path, serve, Script(), rules=rules) as board:
        rich, poor = await board.mint(), await board.mint(max_budget_cents=4)
        for key in (rich, rich, poor):
            assert (await board.ask(key)).status == 200
        shown = await look(board.fleet.site.port, BUSBAR_TOKEN=rich["secret"])
        keys = [(key["id"], key["spend_cents"], key["remaining_cents"]) for key in shown["keys"]]
        assert keys == [(rich["id"], 6, None), (poor["id"], 3, 1)]
        assert shown["totals"]["spend_cents"] == 9


async def test_each_page_may_have_its_token(tmp_path: Path, serve: Serve) -> None:
    """Governance §1.1: `/metrics` may want a token of its own, and `top` says what it does without it."""
    top = "observability: {metrics_token: a-scrapers-token}\n"
    async with fleet(tmp_path, serve, Script(), top=top) as made:
        text = made.site._file.read_text().replace("{mode: none}", "{mode: token, client_tokens: [a-clients-token]}")
        assert await made.site.reload(text)
        port = made.site.port
        assert (await look(port, **TOKENS))["has_series"]
        named = {"MINE": TOKENS["BUSBAR_TOKEN"], "ITS": TOKENS["BUSBAR_METRICS_TOKEN"]}
        assert "requests 0/s" in await say(port, "--token-env MINE --metrics-token-env ITS", **named)
        alone = await say(port, BUSBAR_TOKEN=TOKENS["BUSBAR_TOKEN"])
        assert "/metrics lets this token not in" in alone
        assert re.search(r"^m0 +p0 +available ", alone, re.MULTILINE)
        with pytest.raises(Failed, match=r"401: this token is not let in$"):
            await say(port, BUSBAR_TOKEN="wrong")
        with pytest.raises(Failed, match=r"401: a token is needed$"):
            await say(port)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (404, b"not here", "answered 404 to /stats, and not as busbar-fast does"),
        (200, b"<html>", "answered 200 to /stats"),
        (200, b"[]", "answered 200 to /stats"),
        (200, b'{"pools": {}, "lanes": [{"model": "m"}]}', "answered 200 to /stats"),
        (200, b'{"pools": {}, "lanes": []}', "answered 200 to /metrics"),
        (200, b'\xff{"pools"', "answered 200 to /stats"),
        (200, b'{"pools":' * 100_000, "answered 200 to /stats"),
        (200, b"1" * 10_000, "answered 200 to /stats"),
    ],
)
async def test_who_is_no_busbar_is_told_apart(serve: Serve, status: int, body: bytes, words: str) -> None:
    """Issue: some other server is named as that."""

    async def answer(exchange: Exchange) -> None:
        exchange.reply(status, b"", body)

    async with serve(answer) as site:
        with pytest.raises(Failed, match=words):
            await say(site.port)


async def test_half_a_letter_is_printed_all_the_same(serve: Serve) -> None:
    """Whatever a name holds, what is printed can be."""
    said = json.dumps({"pools": {"a\ud800b": []}, "lanes": []}).encode()
    pages = {b"/stats": said, b"/metrics": b"busbar_connections 1\n"}

    async def answer(exchange: Exchange) -> None:
        exchange.reply(200, b"", pages[exchange.head.target])

    async with serve(answer) as site:
        shown = await say(site.port, "--json")
        assert json.loads(shown.encode())["pools"][0]["name"] == "a\ud800b"
        assert "a?b" in (await say(site.port)).encode().decode()


@pytest.mark.parametrize("url", ["http://u:hush@127.0.0.1:1/x?key=hush", "u:hush@127.0.0.1:1", "ftp://a@b:hush@c"])
def test_no_secret_of_the_url_is_shown(url: str) -> None:
    """Operations §6: what a URL says of a user, and its query, are in no message."""
    with pytest.raises((Failed, Misused)) as failed:
        run(["--url", url], {})
    assert "hush" not in str(failed.value)
    assert "***@" in str(failed.value)


async def test_a_kept_connection_that_was_closed_is_opened_again(serve: Serve) -> None:
    """Issue: a gateway hangs up on who is silent for long, and that is no failure."""
    pages = {b"/stats": b'{"pools": {}, "lanes": []}', b"/metrics": b"busbar_connections 1\n"}

    async def answer(exchange: Exchange) -> None:
        exchange.reply(200, b"", pages[exchange.head.target])

    async with serve(answer, Limits(keepalive_idle_timeout_s=1)) as site:
        source = Source(Peer("top", f"http://127.0.0.1:{site.port}", 5), "", "")
        await asyncio.to_thread(source.look)
        assert len(site.service.connections) == 1
        await until(lambda: not site.service.connections)
        assert (await asyncio.to_thread(source.look)).stats["lanes"] == []
        source.close()
    assert site.targets == [b"/stats", b"/metrics"] * 2


@pytest.mark.parametrize(
    ("line", "environ", "error", "words"),
    [
        ("", {"BUSBAR_URL": "<nobody>"}, Failed, "http://127.0.0.1:[0-9]+: Connection refused$"),
        ("", {"BUSBAR_TOKEN": "hu\nsh"}, Failed, "BUSBAR_TOKEN holds what cannot stand in a header$"),
        ("--token-env X", {"X": "\x7f"}, Failed, "X holds"),
        ("--url 127.0.0.1:8080", {}, Misused, "no URL"),
        ("--interval 0", {}, Misused, "from 0.1 to 3600 seconds"),
        ("--interval nan", {}, Misused, "from 0.1 to 3600 seconds"),
        ("--interval soon", {}, Misused, "--interval"),
        ("now", {}, Misused, "unrecognized"),
        ("--help", {}, Asked, "until q or Ctrl-C"),
    ],
)
def test_words_that_cannot_be_done(line: str, environ: dict[str, str], error: type[Exception], words: str) -> None:
    """Config §3: what is wrong is named."""
    filled = {name: value.replace("<nobody>", f"http://127.0.0.1:{closed_port()}") for name, value in environ.items()}
    with pytest.raises(error, match=words):
        run(line.split(), filled)


@pytest.mark.parametrize(("line", "code"), [("top --help", 0), ("top --url http://127.0.0.1:1", 1), ("top now", 2)])
def test_exit_codes(tmp_path: Path, line: str, code: int) -> None:
    """Config §3: 0 done, 1 not done, 2 a mistake on the command line."""
    done = Deployment(tmp_path).run(*line.split())
    assert done.returncode == code
    assert (bool(done.stdout), bool(done.stderr)) == (code == 0, code != 0)


async def test_the_program_prints_one_table_into_a_pipe(tmp_path: Path, serve: Serve) -> None:
    """Issue: what is no terminal gets plain text once."""
    async with fleet(tmp_path, serve, Script()) as made:
        url = f"http://127.0.0.1:{made.site.port}"
        folder = tmp_path / "program"
        folder.mkdir()
        done = await asyncio.to_thread(Deployment(folder).run, "top", "--url", url, "--interval", "0.1")
        assert (done.returncode, done.stderr) == (0, "")
        assert "\x1b" not in done.stdout
        assert re.search(r"^m0 +p0 +available ", done.stdout, re.MULTILINE)


# In a terminal


class Window:
    """A terminal with a program in it."""

    def __init__(self, child: "subprocess.Popen[bytes]", ours: int, theirs: int) -> None:
        self.child = child
        self._ours = ours
        self._theirs = theirs
        self._seen = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self._ours, 65536)
            except OSError:
                return
            if not piece:
                return
            self._seen += piece

    @property
    def seen(self) -> str:
        """Everything that was written to it."""
        return self._seen.decode()

    @property
    def frames(self) -> list[str]:
        """The screens it showed, each as plain lines."""
        return [re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", part) for part in self.seen.split("\x1b[H")[1:]]

    @property
    def mode(self) -> list[Any]:
        """How it treats what is typed."""
        return termios.tcgetattr(self._theirs)

    def press(self, keys: str) -> None:
        """Type something."""
        os.write(self._ours, keys.encode())

    def resize(self, columns: int, lines: int) -> None:
        """Make it another size; the kernel tells the program."""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    async def shows(self, text: str, *, frames: int = 1) -> None:
        """Wait until its last screen shows something and there were so many."""
        await until(
            lambda: (len(self.frames) >= frames and text in self.frames[-1]) or self.child.poll() is not None, 10
        )
        assert self.frames, self.seen
        assert text in self.frames[-1], self.seen

    def _has_shown(self, text: str, frames: int) -> bool:
        return len(self.frames) >= frames and text in self.frames[-1]

    async def ends(self) -> int:
        """Wait for the end of the program; return its exit code."""
        await until(lambda: self.child.poll() is not None, 10)
        return self.child.returncode


@contextmanager
def window(url: str, columns: int = 100, lines: int = 30, **environ: str) -> Iterator[Window]:
    """Run `top` in a terminal of its own."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    try:
        with subprocess.Popen(
            [sys.executable, "-m", "busbar_fast", "top", "--url", url, "--interval", "0.2"],
            cwd=ROOT,
            env={"PATH": os.environ.get("PATH", ""), "TERM": "xterm", **environ},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  so that keys become signals
        ) as child:
            try:
                yield Window(child, ours, theirs)
            finally:
                child.kill()
    finally:
        os.close(theirs)
        os.close(ours)


async def test_a_terminal_is_taken_over_and_given_back(tmp_path: Path, serve: Serve) -> None:
    """Issue: the other screen, numbers that move, and after q everything as it was."""
    async with fleet(tmp_path, serve, Script()) as made:
        with window(f"http://127.0.0.1:{made.site.port}") as seen:
            before = seen.mode
            await seen.shows("available")
            assert seen.mode[3] & (termios.ICANON | termios.ECHO) == 0
            assert "\x1b[32mavailable" in seen.seen
            assert (await made.ask()).status == 200
            await seen.shows("m0", frames=len(seen.frames) + 2)
            assert re.search(r"^pool .* 1\s*$", seen.frames[-1], re.MULTILINE), seen.frames[-1]
            assert seen.seen.count(ENTER) == 1
            assert LEAVE not in seen.seen
            seen.press("xQ")
            assert await seen.ends() == 0
            await until(lambda: seen.seen.endswith(LEAVE))
            assert seen.mode == before


@pytest.mark.parametrize(
    ("key", "number", "code"), [("\x03", 0, 0), ("", signal.SIGTERM, -15), ("", signal.SIGHUP, -1)]
)
async def test_every_end_gives_the_terminal_back(
    tmp_path: Path, serve: Serve, key: str, number: int, code: int
) -> None:
    """Issue: Ctrl-C is an end like q, other signals are what they always are, and none leaves the screen broken."""
    async with fleet(tmp_path, serve, Script()) as made:
        with window(f"http://127.0.0.1:{made.site.port}") as seen:
            before = seen.mode
            await seen.shows("available")
            seen.press(key) if key else seen.child.send_signal(number)
            assert await seen.ends() == code
            await until(lambda: seen.seen.endswith(LEAVE))
            assert seen.mode == before
            assert "Traceback" not in seen.seen


async def test_another_size_is_drawn_at_once(tmp_path: Path, serve: Serve) -> None:
    """Issue: a smaller window gets fewer columns and lines, without colours where nobody wants them."""
    async with fleet(tmp_path, serve, Script()) as made:
        with window(f"http://127.0.0.1:{made.site.port}", 130, NO_COLOR="1") as seen:
            await seen.shows("PROVIDER")
            seen.resize(60, 8)
            await seen.shows("more lines")
            last = seen.frames[-1].replace("\r", "").split("\n")
            assert len(last) == 8
            assert max(map(len, last)) <= 60
            assert "PROVIDER" not in seen.frames[-1]
            assert "\x1b[32m" not in seen.seen


async def test_a_gateway_that_goes_is_waited_for(tmp_path: Path, serve: Serve) -> None:
    """Issue: numbers stay, it is said that they are old, and they go on when it is back."""
    async with fleet(tmp_path, serve, Script()) as made:
        with window(f"http://127.0.0.1:{made.site.port}", 120) as seen:
            await seen.shows("available")
            text = made.site._file.read_text()
            assert await made.site.reload(text.replace("{mode: none}", "{mode: token, client_tokens: [t]}"))
            await seen.shows("401: a token is needed; these numbers are old")
            assert "available" in seen.frames[-1]
            assert await made.site.reload(text)
            await until(lambda: "numbers are old" not in seen.frames[-1])
            seen.press("q")
            assert await seen.ends() == 0


async def test_nobody_there_leaves_the_terminal_alone() -> None:
    """Issue: a first look that fails is a line on the screen one is on, and an exit code."""
    port = closed_port()
    with window(f"http://127.0.0.1:{port}") as seen:
        assert await seen.ends() == 1
        await until(lambda: "Connection refused" in seen.seen)
        assert ENTER not in seen.seen
