"""The demo as a newcomer meets it: a program of its own, its banner, its log, its end."""

import asyncio
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import openai
import orjson
import pytest

from busbar_fast import __version__
from tests.house.source import ROOT
from tests.system.clients import async_openai_client, openai_client

LIMIT_S = 15.0
LONGEST_REST_S = 3.1  # of the flaky lane after its first failure, and a little more
TURNS: Any = [{"role": "user", "content": "Hello"}]
SAID = "You said: Hello"
CURL = re.compile(r"curl .*?\\\n.*", re.MULTILINE)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "busbar_fast", *arguments]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1", **more}


class Demo:
    """A running demo."""

    def __init__(self, program: subprocess.Popen[str]) -> None:
        self.program = program
        assert program.stdout is not None
        self.banner = ""
        for line in program.stdout:
            self.banner += line
            if line.startswith("Real providers"):
                break
        found = re.search(r"http://127\.0\.0\.1:(\d+) ", self.banner)
        assert found, self.banner
        self.port = int(found[1])

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal; return the exit code and all that was logged."""
        self.program.send_signal(number)
        _, log = self.program.communicate(timeout=LIMIT_S)
        return self.program.returncode, log


@contextmanager
def demo(**more: str) -> Iterator[Demo]:
    """Run the demo on a free port; see that it is gone in the end."""
    with subprocess.Popen(
        command("demo", "--port", "0"),
        cwd=ROOT,
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        try:
            yield Demo(program)
        finally:
            program.kill()


def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command line that ends by itself."""
    return subprocess.run(
        command(*arguments), cwd=ROOT, env=environment(**more), capture_output=True, text=True, check=False, timeout=15
    )


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the clients from any proxy that the environment names."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_lines_work_as_printed() -> None:
    """The line in the README and the one in the banner are answered, and they are the same line."""
    with demo() as running:
        readme = CURL.search((ROOT / "README.md").read_text(encoding="utf-8"))
        banner = CURL.search(running.banner)
        assert readme
        assert banner
        lines = [readme[0].replace(":8080/", f":{running.port}/"), banner[0]]
        asked = [shlex.split(line.replace("\\\n", " ")) for line in lines]
        assert asked[0] == asked[1]
        for words in asked:
            done = subprocess.run(words, capture_output=True, check=True, timeout=10, env=environment())
            assert orjson.loads(done.stdout)["choices"][0]["message"]["content"] == SAID
        assert running.end()[0] == 0


def test_both_ways_to_watch_work_as_printed() -> None:
    """Issue: the page that the banner names is there, and so is the command."""
    with demo() as running:
        (page,) = re.findall(r"http://\S+/ui", running.banner)
        assert httpx.get(page).text.startswith("<!doctype html>")
        (line,) = re.findall(r"`busbar-fast (top .*)`", running.banner)
        done = subprocess.run(
            command(*line.split(), "--interval", "0.1"),
            capture_output=True,
            text=True,
            check=True,
            timeout=15,
            cwd=ROOT,
        )
        assert re.search(r"^demo +0 ", done.stdout, re.MULTILINE)
        assert running.end()[0] == 0


def test_sdk_snippet_of_the_banner_works() -> None:
    """The lines of Python in the banner print an answer when they are run as they stand."""
    with demo() as running:
        _, _, rest = running.banner.partition("  from openai")
        snippet = "from openai" + rest.partition("\n\n")[0].replace("\n  ", "\n")
        done = subprocess.run(
            [sys.executable, "-c", snippet], capture_output=True, text=True, check=True, timeout=15, env=environment()
        )
        assert done.stdout == SAID + "\n"
        assert running.end()[0] == 0


def test_failover_shows_in_the_log_only() -> None:
    """The client gets every answer, whole and streamed; the log tells of the flaky lane, and again after its rest."""
    with demo() as running:
        with openai_client(running.port) as client:
            for rest_s in (0.0, LONGEST_REST_S):
                time.sleep(rest_s)
                for _ in range(4):
                    answer = client.chat.completions.create(model="demo", messages=TURNS)
                    assert answer.choices[0].message.content == SAID
                    with client.chat.completions.create(model="demo", messages=TURNS, stream=True) as chunks:
                        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == SAID
            assert next(iter(client.models.list())).id == "demo"
        code, log = running.end()
        assert code == 0
        assert len(re.findall(r"lane flaky-\w+ answered 503", log)) >= 2
        assert not re.search(r"lane steady-\w+ answered", log)
        assert "Traceback" not in log


def test_asynchronous_client_is_served_too() -> None:
    """Many requests at once, whole and streamed, are all answered."""

    async def ask_all(port: int) -> list[str]:
        async with async_openai_client(port) as client:

            async def stream() -> str:
                chunks = await client.chat.completions.create(model="demo", messages=TURNS, stream=True)
                return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])

            async def ask() -> str:
                answer = await client.chat.completions.create(model="demo", messages=TURNS)
                return answer.choices[0].message.content or ""

            return list(await asyncio.gather(*(turn() for turn in [ask, stream] * 10)))

    with demo() as running:
        assert asyncio.run(ask_all(running.port)) == [SAID] * 20
        assert running.end()[0] == 0


def test_too_large_a_body_is_refused_in_words() -> None:
    """One byte above the product's own limit is the client library's error and not a broken connection."""
    with demo() as running, openai_client(running.port) as client:
        with pytest.raises(openai.APIStatusError, match="too large") as raised:
            client.post("/chat/completions", content=b" " * (32 * 1024 * 1024 + 1), cast_to=object)
        assert raised.value.status_code == 413
        assert (raised.value.request_id or "").startswith("req_")


def test_client_cannot_forge_log_lines() -> None:
    """What a client chose to call its model or path never begins a line of the log."""
    with demo() as running:
        with httpx.Client(base_url=f"http://127.0.0.1:{running.port}", timeout=10) as client:
            body = rb'{"model":"x\r\nFORGED \ud800","messages":[]}'
            assert client.post("/v1/chat/completions", content=body).status_code == 404
            assert client.get("/%0d%0aFORGED").status_code == 404
            assert client.get("/healthz").text == "ok"
        code, log = running.end()
        assert code == 0
        assert "FORGED" not in log
        assert "ERROR" not in log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_signal_ends_an_idle_demo(number: int) -> None:
    """Neither a stop nor Ctrl-C leaves a traceback, and the exit code says that all is well."""
    with demo() as running:
        code, log = running.end(number)
        assert code == 0
        assert "draining, requests in progress: 0" in log
        assert "Traceback" not in log


def test_second_signal_does_not_wait() -> None:
    """A request under way holds the first signal up, not the second."""
    with demo() as running, socket.create_connection(("127.0.0.1", running.port)) as client:
        client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{")
        with httpx.Client(timeout=10) as probe:  # answered only after the bytes above were read
            assert probe.get(f"http://127.0.0.1:{running.port}/livez").text == "ok"
        running.program.send_signal(signal.SIGTERM)
        assert running.program.stderr is not None
        assert "in progress: 1" in running.program.stderr.readline()
        assert running.program.poll() is None
        code, log = running.end()
        assert code == 0
        assert "Traceback" not in log
        assert client.recv(100) == b""


@pytest.mark.parametrize("parser", ["h11", "httptools"])
def test_parser_is_chosen_by_the_environment(parser: str) -> None:
    """Both parsers serve the demo."""
    with demo(BUSBAR_HTTP_PARSER=parser) as running:
        with openai_client(running.port) as client:
            answer = client.chat.completions.create(model="demo", messages=TURNS)
            assert answer.choices[0].message.content == SAID
        assert running.end()[0] == 0


def check_error_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """The program ended with 1 and one line that says why."""
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("[error] ")
    assert done.stderr.count("\n") == 1
    assert [word for word in words if word not in done.stderr] == []


def test_port_in_use_is_one_line() -> None:
    """The address is named, and why it cannot be had."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        check_error_line(run("demo", "--port", port), f"cannot listen on 127.0.0.1:{port}", "in use")


@pytest.mark.parametrize("host", ["256.0.0.1.invalid", "a" * 70 + ".invalid"])
def test_impossible_host_is_one_line(host: str) -> None:
    """A host that is nobody's is named."""
    check_error_line(run("demo", "--port", "0", "--host", host), f"cannot listen on {host}:0")


def test_unknown_parser_is_one_line() -> None:
    """The variable, its value and the values it may have are named."""
    done = run("demo", "--port", "0", BUSBAR_HTTP_PARSER="nginx")
    check_error_line(done, "BUSBAR_HTTP_PARSER", "httptools, h11", "'nginx'")


@pytest.mark.parametrize("port", ["65536", "-1", "http", "8_0", "٨٠", "999999999999"])
def test_bad_port_is_explained(port: str) -> None:
    """A port that is none is a mistake in the command line, said in words a person can use."""
    done = run("demo", f"--port={port}")
    assert done.returncode == 2
    assert "--port must be a number from 0 (any free port) to 65535" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "word"), [(("serve",), "serve"), (("demo", "--prot"), "--prot"), (("demo", "--port="), "--port")]
)
def test_wrong_command_line_is_explained(arguments: tuple[str, ...], word: str) -> None:
    """Config §3: what is missing or unknown is named, with a pointer to the help."""
    done = run(*arguments)
    assert done.returncode == 2
    assert "see busbar-fast --help" in done.stderr
    assert word in done.stderr


def test_help_and_version_speak_for_themselves() -> None:
    """Both print to the standard output and end well."""
    assert run("--version").stdout == f"busbar-fast {__version__} (pure)\n"
    general, special = run("--help"), run("demo", "--help")
    assert "busbar-fast demo [--host ADDRESS] [--port PORT]" in general.stdout
    assert special.stdout == general.stdout
    assert [done.returncode for done in (general, special)] == [0, 0]
