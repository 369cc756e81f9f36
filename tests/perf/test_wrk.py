"""Reading wrk's summary line: any kind of error is a failure."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from perf import shapes, wrk
from perf.figures import BenchError

LINE = (
    "PERF requests={requests} duration_us=2000000 bytes=9 failures={failures} connect=0 read={read} write=0 timeout=0 "
    "p50_us=1 p99_us=2 first_failure={first}"
)


def summary(*, requests: int = 100, failures: int = 0, read: int = 0, first: str = "") -> wrk.Summary:
    """Return what is read from output with such a line between others."""
    line = LINE.format(requests=requests, failures=failures, read=read, first=first)
    return wrk.parse_summary(f"Running 2s test\n{line}\nTransfer/sec: 1\n")


def test_clean_summary_has_no_failures() -> None:
    """Requests and duration are read as they are."""
    assert summary() == wrk.Summary(100, 2.0, ())


def test_bad_answers_and_socket_errors_are_failures() -> None:
    """Each kind is counted and the first bad answer quoted, even if it looks like another field."""
    failures = summary(failures=3, read=2, first='503 {"error":"requests=0"}').failures
    assert len(failures) == 2
    assert "3 x failures" in failures[0]
    assert "503" in failures[0]


def test_nothing_completed_is_a_failure() -> None:
    """A side that never answers must not pass."""
    assert summary(requests=0).failures == ("wrk: no request completed",)


def test_missing_summary_is_an_error() -> None:
    """Output without our line comes from a broken script."""
    with pytest.raises(BenchError):
        wrk.parse_summary("Running 2s test\n")


class Ear(BaseHTTPRequestHandler):
    """Keeps the bodies that arrive, and answers what is due for the payload under test."""

    protocol_version = "HTTP/1.1"
    bodies: ClassVar[list[bytes]] = []
    reply = b""

    def do_POST(self) -> None:
        """Answer."""
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.reply)))
        self.end_headers()
        self.wfile.write(self.reply)

    def log_message(self, *_: object) -> None:
        """Be silent."""


@pytest.mark.parametrize("payload", [shapes.USUAL, *shapes.PAYLOADS], ids=lambda payload: payload.name)
def test_script_sends_what_the_payload_says(payload: shapes.Payload) -> None:
    """The program sends JSON of the size that was asked for, and takes no other answer than the one that is due."""
    assert shutil.which(wrk.PROGRAM), f"wrk is missing: apt-get install --yes {wrk.PACKAGE}"
    Ear.bodies, Ear.reply = [], payload.reply()
    with ThreadingHTTPServer(("127.0.0.1", 0), Ear) as server, ThreadPoolExecutor(1) as crew:
        crew.submit(server.serve_forever, 0.01)
        found = wrk.run(server.server_address[1], connections=1, seconds=1, payload=payload)
        server.shutdown()
    assert (found.failures, found.completed > 0) == ((), True)
    (body,) = set(Ear.bodies)
    document = json.loads(body)
    content = document["messages"][0]["content"]
    usual = json.loads(shapes.REQUEST)
    assert document["model"] == usual["model"]
    if payload.image_bytes:
        text, picture = content
        assert text["text"] == usual["messages"][0]["content"]
        assert len(picture["image_url"]["url"].partition(",")[2]) == payload.image_bytes * 4 // 3
    elif payload.prompt_bytes:
        assert len(json.dumps(content)) - 2 == payload.prompt_bytes
    else:
        assert content == usual["messages"][0]["content"]
    assert document.get("user") == (f"perf-reply={payload.reply_bytes}" if payload.reply_bytes else None)
