"""The porch as clients and probes meet it: the program itself with a stand-in for the engine.

Each test runs a copy of the three modules that start the program beside a `cli` of its own. That one says "loading"
when its import begins, by which time the door is open, and it goes on when the test lets it.
"""

import ast
import importlib.util
import os
import posix
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from busbar_fast import boot
from busbar_fast.wire.listener import bind
from tests.house.source import ROOT
from tests.system.rawclient import Answer, split_answer

LIMIT_S = 10.0
FAST = ("-I", "-S", "busbar_fast/__main__.py")
PAYLOAD = b"\x00opaque\xff"
POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"

# Says what it was given, as a Python literal on one line; tells each client what had been read from it.
ENGINE = """
import os, socket, sys
print("loading", flush=True)
os.read(0, 1)
{broken}
import importlib.util, threading

def say(**facts):
    print(repr(facts), flush=True)

def main(arguments, signals):
    say(main=arguments)

def rest_of(guest):
    try:
        return guest.recv(65536)
    except BlockingIOError:
        return None

def serve_handover(handover):
    door = socket.socket(fileno=handover.door)
    guests = [socket.socket(fileno=number) for number, _, _ in handover.parked]
    parked = [(peer, raw, rest_of(guest)) for guest, (_, peer, raw) in zip(guests, handover.parked)]
    queued = []
    while True:
        try:
            guest, _ = door.accept()
        except BlockingIOError:
            break
        guest.settimeout(5)
        queued.append(guest.recv(65536))
        guests.append(guest)
    for guest, said in zip(guests, [raw for _, raw, _ in parked] + queued):
        try:
            guest.sendall(b"engine:" + said)
        except OSError as error:
            print(error, file=sys.stderr)
        guest.close()
    say(
        parked=parked, queued=queued, signals=list(handover.signals), payload=handover.payload,
        arguments=handover.arguments, path=sys.path, interval=sys.getswitchinterval(),
        is_main=threading.current_thread() is threading.main_thread() and threading.active_count() == 1,
        finds_packages=importlib.util.find_spec("orjson") is not None,
        open_files=len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0,
    )
    os.read(0, 1)
    say(signals=list(handover.signals))
"""


class Program:
    """A started program."""

    def __init__(self, child: subprocess.Popen[bytes], port: int) -> None:
        self.child = child
        self.port = port

    def next_line(self) -> bytes:
        """Return the next line of its output; fail if there is none in time."""
        output = self.child.stdout
        assert output is not None
        assert select.select([output], [], [], LIMIT_S)[0], "the program says nothing"
        return output.readline()

    def next_facts(self) -> dict[str, Any]:
        """Return what the engine says next."""
        found = ast.literal_eval(self.next_line().decode())
        assert isinstance(found, dict)
        return found

    def go_on(self) -> None:
        """Let the engine take its next step."""
        assert self.child.stdin is not None
        self.child.stdin.write(b"!")
        self.child.stdin.flush()

    def hand_over(self) -> dict[str, Any]:
        """Let the engine finish loading; return what it was given."""
        self.go_on()
        return self.next_facts()

    def end(self) -> tuple[int, bytes]:
        """Wait for the end; return the exit code and what stands in the error output."""
        _, errors = self.child.communicate(timeout=LIMIT_S)
        return self.child.returncode, errors

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT_S)

    def ask(self, raw: bytes) -> bytes:
        """Send bytes on a connection of their own; return everything up to its end."""
        with self.connect() as client:
            client.sendall(raw)
            return read_all(client)

    def probe(self, path: str = "/healthz") -> Answer:
        """Return the answer to a probe; the porch has by then seen whatever was sent before."""
        return only_answer(self.ask(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode()))


def read_all(client: socket.socket) -> bytes:
    """Return everything that comes up to the end, which may be a reset."""
    pieces = []
    try:
        while piece := client.recv(65536):
            pieces.append(piece)
    except ConnectionResetError:
        pieces.append(b"")
    return b"".join(pieces)


def only_answer(raw: bytes) -> Answer:
    """Return the one answer that these bytes are; it has a date of today and ends the connection."""
    found = split_answer(raw, has_ended=True)
    assert found is not None
    answer, rest = found
    assert rest == b""
    assert answer.closes
    assert abs(time.mktime(time.strptime(answer.fields[b"date"].decode(), "%a, %d %b %Y %H:%M:%S GMT")) - utc()) < 60
    return answer


def utc() -> float:
    return time.mktime(time.gmtime())


class Site:
    """A copy of what starts the program, beside a stand-in for the engine, with a folder for its snapshot."""

    def __init__(self, folder: Path, broken: str = "") -> None:
        self.folder = folder
        self.port = free_port()
        self.config = folder / "config.yaml"
        self.config.write_bytes(b"listen: somewhere\n")
        package = folder / "busbar_fast"
        package.mkdir()
        for name in ("__init__.py", "__main__.py", "boot.py"):
            shutil.copy(ROOT / "busbar_fast" / name, package)
        (package / "cli.py").write_text(ENGINE.format(broken=broken))
        self.environ = {"BUSBAR_CACHE_DIR": str(folder / "cache"), "BUSBAR_CONFIG": str(self.config), "KEY": "x"}
        # The copy's own `store`: its fingerprint covers the code beside it.
        spec = importlib.util.spec_from_file_location("copied_boot", package / "boot.py")
        assert spec is not None
        assert spec.loader is not None
        self.boot: ModuleType = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.boot)

    @property
    def inputs(self) -> list[boot.Input]:
        """What the snapshot is made from."""
        return [("file", str(self.config), self.config.read_bytes()), ("env", "KEY", b"x"), ("env", "UNSET", None)]

    def store(self, host: str = "127.0.0.1", *, is_http: bool = True, has_lanes: bool = True) -> None:
        """Store a snapshot for the next start."""
        environ = {key.encode(): value.encode() for key, value in self.environ.items()}
        place = self.boot.snapshot_place(str(self.config), "", environ)
        facts = self.boot.PorchFacts(host, self.port, is_http=is_http, has_lanes=has_lanes)
        assert self.boot.store(place, self.inputs, facts, PAYLOAD)

    @contextmanager
    def run(self, *arguments: str, python: tuple[str, ...] = FAST, descriptors: int = 0) -> Iterator[Program]:
        """Start the program and wait until its engine is being loaded; see that it is gone in the end."""
        command = [sys.executable, *python, *arguments]
        if descriptors:
            command = ["/bin/sh", "-c", f'ulimit -n {descriptors} && exec "$@"', "sh", *command]
        with subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        ) as child:
            try:
                program = Program(child, self.port)
                assert program.next_line() == b"loading\n"
                yield program
            finally:
                child.kill()


def free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return a site with a snapshot."""
    made = Site(tmp_path)
    made.store()
    return made


# Probes


@pytest.mark.parametrize("path", ["/healthz", "/livez"])
def test_probe_is_answered_while_the_engine_loads(site: Site, path: str) -> None:
    """Design §5: health is known before the engine is there, in the words of operations §11."""
    with site.run() as program:
        for _ in range(3):
            answer = program.probe(path)
            assert (answer.status, answer.body) == (200, b"ok")
            assert answer.fields[b"content-type"] == b"text/plain; charset=utf-8"
            assert answer.fields[b"cache-control"] == b"no-store"
            assert answer.framing == (b"2", None)
        assert program.hand_over()["parked"] == []


def test_probe_without_lanes_is_not_ready_but_alive(site: Site) -> None:
    """Operations §11: with no lane there is no health, and the process lives all the same."""
    site.store(has_lanes=False)
    with site.run() as program:
        health, life = program.probe("/healthz"), program.probe("/livez")
        assert (health.status, health.body) == (503, b"no usable lanes")
        assert (life.status, life.body) == (200, b"ok")


def test_old_probe_is_answered(site: Site) -> None:
    """Operations §11: a probe in HTTP/1.0 needs no host."""
    with site.run() as program:
        assert only_answer(program.ask(b"GET /healthz HTTP/1.0\r\n\r\n")).status == 200


def test_probe_in_single_bytes_is_answered(site: Site) -> None:
    """Design §5: a head that comes byte by byte waits on the porch until it is whole."""
    with site.run() as program, program.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n":
            client.sendall(bytes([byte]))
            assert program.probe().status == 200
        assert only_answer(read_all(client)).body == b"ok"
        assert program.hand_over()["parked"] == []


def test_half_closed_probe_is_answered(site: Site) -> None:
    """Design §5: a probe that says nothing more after its head still wants its answer."""
    with site.run() as program, program.connect() as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        assert only_answer(read_all(client)).status == 200


# Parking


@pytest.mark.parametrize(
    "raw",
    [
        POST,
        b"HEAD /healthz HTTP/1.1\r\nHost: h\r\n\r\n",
        b"POST /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n" * 2,
        b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n" + POST,
        b"GET /healthz HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 3000,
        b"\x16\x03\x01\x02\x00",
        b"GET /he",
    ],
)
def test_whatever_is_no_probe_is_handed_over(site: Site, raw: bytes) -> None:
    """Design §5: a connection that the porch does not understand arrives at the engine with all its bytes."""
    with site.run() as program, program.connect() as client:
        client.sendall(raw)
        assert program.probe().status == 200
        assert program.hand_over()["parked"] == [("127.0.0.1", raw, None)]
        assert read_all(client) == b"engine:" + raw


def test_parked_connection_is_not_read_any_further(site: Site) -> None:
    """Design §5: the porch reads no more than a probe needs, the rest waits in the kernel."""
    body = b"0123456789" * 2000
    with site.run() as program, program.connect() as client:
        client.sendall(POST)
        assert program.probe().status == 200
        client.sendall(body)
        assert program.probe().status == 200
        assert program.hand_over()["parked"] == [("127.0.0.1", POST, body)]


def test_long_first_piece_is_split_and_complete(site: Site) -> None:
    """Design §5: of a request that comes at once the porch takes the start, and nothing is lost between the two."""
    raw = POST + b"0123456789" * 2000
    with site.run() as program, program.connect() as client:
        client.sendall(raw)
        assert program.probe().status == 200
        [(_, start, rest)] = program.hand_over()["parked"]
        assert len(start) <= 4096
        assert start + rest == raw


def test_silent_connection_is_handed_over(site: Site) -> None:
    """Design §5: who has not said anything yet may do so later."""
    with site.run() as program, program.connect() as client:
        assert program.probe().status == 200
        assert program.hand_over()["parked"] == [("127.0.0.1", b"", None)]
        assert read_all(client) == b"engine:"


def test_many_connections_are_handed_over_in_order(site: Site) -> None:
    """Design §5: two hundred clients of a slow start all reach the engine, first come first."""
    requests = [POST + b"%d" % number for number in range(200)]
    with site.run() as program, ExitStack() as stack:
        clients = [stack.enter_context(program.connect()) for _ in requests]
        for client, raw in reversed(list(zip(clients, requests, strict=True))):
            client.sendall(raw)
        assert program.probe().status == 200
        assert [raw for _, raw, _ in program.hand_over()["parked"]] == requests
        assert [read_all(client) for client in clients] == [b"engine:" + raw for raw in requests]


def reset(client: socket.socket) -> None:
    """Leave with a reset."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def test_client_that_leaves_in_silence_is_forgotten(site: Site) -> None:
    """Design §5: neither the close of somebody who said nothing nor a reset before the end of a head concerns us."""
    with site.run() as program:
        program.connect().close()
        reset(program.connect())
        with program.connect() as client:
            client.sendall(b"GET /he")
            assert program.probe().status == 200
            reset(client)
        assert program.probe().status == 200
        assert program.hand_over()["parked"] == []


def test_client_that_leaves_after_speaking_is_handed_over(site: Site) -> None:
    """Design §5: the engine notices by itself that a parked client or one in the middle of a head is gone."""
    with site.run() as program:
        for raw in (POST, b"GET /he"):
            with program.connect() as client:
                client.sendall(raw)
                assert program.probe().status == 200
        assert program.probe().status == 200
        assert [raw for _, raw, _ in program.hand_over()["parked"]] == [POST, b"GET /he"]


def test_more_clients_than_descriptors_wait_outside(site: Site) -> None:
    """Design §5: the porch leaves enough descriptors to load the engine, and who is not let in yet is not lost."""
    requests = [POST + b"%d" % number for number in range(60)]
    with site.run(descriptors=80) as program, ExitStack() as stack:
        clients = [stack.enter_context(program.connect()) for _ in requests]
        for client, raw in zip(clients, requests, strict=True):
            client.sendall(raw)
        given = program.hand_over()
        assert len(given["parked"]) <= 40
        assert [raw for _, raw, _ in given["parked"]] + given["queued"] == requests
        assert [read_all(client) for client in clients] == [b"engine:" + raw for raw in requests]


# The engine


def test_engine_gets_what_was_stored(site: Site) -> None:
    """Design §5: payload and arguments arrive, and the interpreter is as the engine expects it."""
    with site.run("--config", str(site.config)) as program:
        given = program.hand_over()
        assert given["payload"] == PAYLOAD
        assert given["arguments"] == ["--config", str(site.config)]
        assert given["interval"] == pytest.approx(0.005)
        assert given["is_main"]
        assert given["open_files"] <= 5  # the standard three, the door, the folder that is being listed
        program.go_on()
        assert program.next_facts() == {"signals": []}
        assert program.end() == (0, b"")


@pytest.mark.parametrize(
    "python",
    [FAST, ("-m", "busbar_fast"), ("busbar_fast/__main__.py",), ("busbar_fast",), ("-I", "busbar_fast/__main__.py")],
)
def test_each_way_to_start_leads_to_the_porch(site: Site, python: tuple[str, ...]) -> None:
    """Config §3: by path or by name, the modules are found, the packages too, and none of ours hides another."""
    with site.run(python=python) as program:
        assert program.probe().status == 200
        given = program.hand_over()
        assert given["finds_packages"]
        places = [os.path.realpath(site.folder / place) for place in given["path"]]
        assert str(site.folder.resolve()) in places
        assert str((site.folder / "busbar_fast").resolve()) not in places


def test_engine_that_fails_ends_the_program_with_a_line(tmp_path: Path) -> None:
    """Design §5: the reason stands in one readable line, the exit code is 1 and parked clients are let go."""
    site = Site(tmp_path, broken="import nothing_of_this_name")
    site.store()
    with site.run() as program, program.connect() as client:
        client.sendall(POST)
        assert program.probe().status == 200
        program.go_on()
        code, errors = program.end()
        assert code == 1
        reason = b"ModuleNotFoundError: No module named 'nothing_of_this_name'"
        assert errors == b"[error] the engine could not be loaded: " + reason + b"\n"
        assert read_all(client) == b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_signals_are_kept_and_shown(site: Site, number: int) -> None:
    """Operations §4: a stop that comes early is acted on by the engine, and health says so from that moment."""
    with site.run() as program:
        program.child.send_signal(number)
        wait_until(lambda: program.probe().status == 503)
        assert program.probe().body == b"draining"
        assert program.probe("/livez").body == b"ok"
        assert program.hand_over()["signals"] == [number]


def test_signals_are_kept_in_order_until_the_engine_takes_over(site: Site) -> None:
    """Design §5: no signal is lost or kills the process, before the handover or behind it."""
    with site.run() as program:
        program.child.send_signal(signal.SIGTERM)
        wait_until(lambda: program.probe().status == 503)
        program.child.send_signal(signal.SIGHUP)
        program.child.send_signal(signal.SIGINT)
        expected = [signal.SIGTERM, signal.SIGHUP, signal.SIGINT]
        assert program.hand_over()["signals"] == expected
        program.child.send_signal(signal.SIGHUP)
        program.go_on()
        assert program.next_facts() == {"signals": [*expected, signal.SIGHUP]}
        assert program.end() == (0, b"")


def test_hang_up_alone_is_no_stop(site: Site) -> None:
    """Operations §4: a reload that is asked for early leaves health as it is."""
    with site.run() as program:
        program.child.send_signal(signal.SIGHUP)
        assert program.probe().status == 200
        assert program.hand_over()["signals"] == [signal.SIGHUP]


def test_third_stop_ends_the_loading(site: Site) -> None:
    """Config §3: whoever has sent three stops waits no longer for the engine; the exit code is 130."""
    with site.run() as program:
        program.child.send_signal(signal.SIGTERM)
        wait_until(lambda: program.probe().status == 503)
        program.child.send_signal(signal.SIGINT)
        program.child.send_signal(signal.SIGTERM)
        assert program.end() == (130, b"")


def test_tls_waits_at_the_door(site: Site) -> None:
    """Design §5: with TLS the porch listens and accepts nobody, not even a probe in plain text."""
    site.store(is_http=False)
    raw = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
    with site.run() as program, program.connect() as client:
        client.sendall(raw)
        given = program.hand_over()
        assert (given["parked"], given["queued"]) == ([], [raw])
        assert read_all(client) == b"engine:" + raw


# Misses


def test_first_start_and_changed_file_are_for_the_full_loader(tmp_path: Path) -> None:
    """Design §5: without a valid snapshot nothing listens before the command line has had its say."""
    site = Site(tmp_path)
    for _ in range(2):
        with site.run("--config", str(site.config)) as program:
            with socket.socket() as client:
                assert client.connect_ex(("127.0.0.1", site.port)) != 0
            assert program.hand_over() == {"main": ["--config", str(site.config)]}
            assert program.end() == (0, b"")
        site.store()
        site.config.write_bytes(b"listen: elsewhere\n")


def test_other_arguments_are_for_the_command_line(site: Site) -> None:
    """Config §3: a snapshot changes nothing about what the other flags mean."""
    with site.run("--validate") as program:
        assert program.hand_over() == {"main": ["--validate"]}


def test_port_in_use_is_for_the_command_line(site: Site) -> None:
    """Config §2: whoever reports the port that cannot be had knows where it is written."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", site.port))
        taken.listen()
        with site.run() as program:
            assert program.hand_over() == {"main": []}


def test_host_name_is_for_the_command_line(site: Site) -> None:
    """Config §6: the porch resolves no names."""
    site.store("localhost")
    with site.run() as program:
        assert program.hand_over() == {"main": []}


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="there is no IPv6 here")
def test_address_of_version_6_is_bound(site: Site) -> None:
    """Config §6: a numeric address of either family is bound on the porch."""
    site.store("::1")
    with site.run() as program:
        with socket.create_connection(("::1", site.port), timeout=LIMIT_S) as client:
            client.sendall(b"GET /livez HTTP/1.1\r\nHost: [::1]\r\n\r\n")
            assert only_answer(read_all(client)).status == 200
        with socket.create_connection(("::1", site.port), timeout=LIMIT_S) as client:
            client.sendall(POST)
            assert program.hand_over()["arguments"] == []
            assert read_all(client) == b"engine:" + POST


# One process


def test_start_imports_small_modules_only() -> None:
    """Design §5: nothing is imported before the porch stands but what is built in or a small C module."""
    names = "import sys; before = set(sys.modules); sys.path.append(sys.argv[1]); import busbar_fast.boot; "
    command = [sys.executable, "-I", "-S", "-c", names + "print(*sorted(set(sys.modules) - before))", str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=LIMIT_S)
    assert set(done.stdout.split()) <= {"_socket", "busbar_fast", "busbar_fast.boot", "errno", "gc", "select", "time"}


def test_door_is_the_one_that_the_engine_would_open() -> None:
    """Operations §2: the porch sets the options that a listener sets, so accepted sockets are alike."""
    door = boot.open_door(boot.PorchFacts("127.0.0.1", 0, is_http=True, has_lanes=True))
    assert door is not None
    options = [(socket.SOL_SOCKET, socket.SO_REUSEADDR), (socket.SOL_SOCKET, socket.SO_KEEPALIVE)]
    names = ("TCP_NODELAY", "TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
    options += [(socket.IPPROTO_TCP, getattr(socket, name)) for name in names if hasattr(socket, name)]
    with bind("127.0.0.1", 0) as twin, socket.socket(fileno=door.detach()) as ours:
        assert [ours.getsockopt(*option) for option in options] == [twin.getsockopt(*option) for option in options]
        assert (os.get_blocking(ours.fileno()), ours.get_inheritable()) == (False, False)


class OddDoor:
    """A door at which accepting fails a few times, or waits for the test."""

    def __init__(self, door: socket.socket, failure: Exception | None = None) -> None:
        self._door = door
        self.failure = failure
        self.failures = 2 if failure else 0
        self.fileno = door.fileno
        self.port = int(door.getsockname()[1])
        self.is_asked = threading.Event()
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def _accept(self) -> tuple[int, Any]:
        self.is_asked.set()
        assert self.may_go_on.wait(LIMIT_S)
        if self.failure and self.failures:
            self.failures -= 1
            raise self.failure
        accepted, address = self._door.accept()
        return accepted.detach(), address


def porch_on(door: Any) -> boot.Porch:
    """Return a porch in this process."""
    return boot.Porch(door, boot.PorchFacts("", 0, is_http=True, has_lanes=True), [])


@contextmanager
def served(porch: boot.Porch) -> Iterator[list[bytes]]:
    """Serve a porch on a thread; the list holds in the end what had been read from those who were left on it."""
    left: list[bytes] = []
    thread = threading.Thread(target=porch.serve)
    thread.start()
    try:
        yield left
    finally:
        for guest, _, raw in porch.leave():
            left.append(raw)
            os.close(guest)
        thread.join(LIMIT_S)


def probe(port: int) -> Answer:
    """Return the answer of a porch in this process."""
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
        return only_answer(read_all(client))


def test_client_who_waits_already_is_greeted() -> None:
    """Design §5: before the engine competes for the interpreter, whoever is at the door gets an answer."""
    with bind("127.0.0.1", 0) as sock, socket.create_connection(sock.getsockname(), timeout=LIMIT_S) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
        porch = porch_on(sock)
        porch.greet()
        assert only_answer(read_all(client)).status == 200
        with served(porch) as left:
            assert probe(sock.getsockname()[1]).status == 200
        assert left == []


def test_lack_of_descriptors_is_waited_out() -> None:
    """Design §5: an accept that fails pauses the accepting instead of turning in circles, and nobody is lost by it."""
    with bind("127.0.0.1", 0) as sock, socket.create_connection(sock.getsockname()):
        door = OddDoor(sock, OSError(24, "Too many open files"))
        porch = porch_on(door)
        assert porch._turn(LIMIT_S)
        assert porch._poller.poll(0) == []
        assert porch._turn(0)
        with served(porch) as left:
            assert probe(door.port).status == 200
        assert (door.failures, left) == (0, [b""])


def test_porch_without_a_limit_of_descriptors_lets_clients_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Design §5: where the system counts no descriptors, it says -1, and that is no small number."""
    monkeypatch.setattr(boot, "posix", SimpleNamespace(**{**vars(posix), "sysconf": lambda _: -1}))
    with bind("127.0.0.1", 0) as sock, socket.create_connection(sock.getsockname()):
        porch = porch_on(sock)
        assert porch._turn(LIMIT_S)
        assert not porch._is_paused
        with served(porch) as left:
            assert probe(sock.getsockname()[1]).status == 200
        assert left == [b""]


def test_client_that_ends_in_the_middle_is_not_watched() -> None:
    """Design §5: the end of a parked client's bytes does not keep the porch busy."""
    with bind("127.0.0.1", 0) as sock, socket.create_connection(sock.getsockname()) as client:
        porch = porch_on(sock)
        client.sendall(b"GET /he")
        assert porch._turn(LIMIT_S)
        assert porch._poller.poll(0) == []
        client.shutdown(socket.SHUT_WR)
        assert porch._turn(LIMIT_S)
        assert porch._poller.poll(0) == []
        with served(porch) as left:
            assert probe(sock.getsockname()[1]).status == 200
        assert left == [b"GET /he"]


def test_porch_is_left_when_it_has_stopped() -> None:
    """Design §5: whoever is being let in while the bell rings is handed over like the others."""
    with bind("127.0.0.1", 0) as sock, socket.create_connection(sock.getsockname()), ExitStack() as stack:
        door = OddDoor(sock)
        door.may_go_on.clear()
        left = stack.enter_context(served(porch_on(door)))
        assert door.is_asked.wait(LIMIT_S)
        leaver = threading.Thread(target=stack.close)
        leaver.start()
        leaver.join(0.05)
        assert leaver.is_alive()
        door.may_go_on.set()
        leaver.join(LIMIT_S)
        assert left == [b""]


def test_porch_that_fell_down_can_be_left() -> None:
    """Design §5: the engine gets what is there even if the porch could not be served to the end."""
    with bind("127.0.0.1", 0) as sock, socket.create_connection(sock.getsockname()):
        porch = porch_on(OddDoor(sock, RuntimeError("a fault of ours")))
        with pytest.raises(RuntimeError):
            porch.serve()
        assert porch.leave() == []


class Poll:
    """The poller of a platform without epoll; remembers how long it was asked to wait."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self.register, self.unregister = self._poll.register, self._poll.unregister
        self.waits: list[float | None] = []

    def poll(self, wait_ms: float | None) -> list[tuple[int, int]]:
        """Wait for that many milliseconds."""
        self.waits.append(wait_ms)
        return self._poll.poll(wait_ms)


def test_porch_stands_without_epoll(monkeypatch: pytest.MonkeyPatch) -> None:
    """Design §5: where the platform has no epoll, poll does the same with other units."""
    poller = Poll()
    monkeypatch.setattr(boot, "_new_poller", lambda: poller)
    monkeypatch.setattr(boot, "_WAIT_UNITS", 1000)
    with bind("127.0.0.1", 0) as sock:
        door = OddDoor(sock, OSError(24, "Too many open files"))
        with served(porch_on(door)) as left:
            for _ in range(3):
                assert probe(door.port).status == 200
        assert (door.failures, left) == (0, [])
        assert set(poller.waits) == {None, 100.0}


def wait_until(is_so: Callable[[], bool]) -> None:
    """Ask again until something is so; fail if it does not come to that."""
    end_s = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < end_s
