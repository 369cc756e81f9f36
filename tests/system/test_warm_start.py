"""The second start: from a snapshot, behind the porch, with the real engine; test_porch knows the porch by itself."""

import marshal
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from busbar_fast.cli import _unpack
from busbar_fast.config.complaints import Complaint, Mark
from busbar_fast.config.record import pack
from busbar_fast.config.schema import Config, Limits
from tests.house.source import ROOT
from tests.system.gateways import closed_port
from tests.system.programs import FAST, LIMIT_S, PLAIN, Deployment, Program, Recorder, chat, leave
from tests.system.serving import Serve

CONFIG = """
listen: 127.0.0.1:<listen>
auth: {mode: none}
providers:
  up: {protocol: openai, base_url: "http://127.0.0.1:<port>", api_key_env: UP_KEY}
models:
  a: {provider: up}
pools:
  pool: {members: [{target: a}]}
"""
LOADS = "loading yaml"
ASK = chat(b'{"model":"pool"}')
TOLD = re.compile(r"(?:Z |\[warn\] )(.*)")


@pytest.fixture
def place(tmp_path: Path) -> Deployment:
    """Return a deployment whose programs say when they read YAML."""
    made = Deployment(tmp_path)
    made.environ["UP_KEY"] = "k"
    made.delay_module("yaml")()
    made.write(CONFIG, listen=0, port=9)
    return made


def told(program: Program) -> list[str]:
    """Return what was logged up to the listening, without times and ports."""
    lines = program.log.partition("busbar listening")[0].splitlines()
    return [found[1] for line in lines if (found := TOLD.search(line))]


async def live(place: Deployment, python: tuple[str, ...] = PLAIN) -> Program:
    """Start a gateway, see that it serves, and end it."""
    with place.start(python=python) as program:
        await program.is_up()
        assert await program.get("/healthz") == (200, b"ok")
        assert await program.end() == 0
    return program


async def is_warm(place: Deployment) -> bool:
    """Say whether a start needs no YAML."""
    return LOADS not in (await live(place)).log


async def test_a_crash_leaves_no_memory_behind(place: Deployment) -> None:
    """Operations §6 "core dumps": the limit is nothing, soft and hard, cold and warm."""
    for _ in range(2):
        with place.start() as program:
            await program.is_up()
            limits = Path(f"/proc/{program.child.pid}/limits").read_text(encoding="ascii")  # noqa: ASYNC240
            assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)


async def test_port_is_shared_where_that_is_wanted(place: Deployment) -> None:
    """Config X24 `server.reuse_port`: two gateways listen on one port, cold and warm; without it the second fails."""
    port = closed_port()
    for more, is_shared in (("server: {reuse_port: true}\n", True), ("", False)):
        place.write(CONFIG + more, listen=port, port=9)
        with place.start() as first:
            await first.is_up()
            with place.start() as second:  # which has a snapshot
                if is_shared:
                    await second.is_up()
                    assert await second.end() == 0
                else:
                    assert await second.ends() == 1
                    assert "cannot listen" in second.log
            assert await first.get("/healthz") == (200, b"ok")


@pytest.mark.parametrize("python", [PLAIN, FAST])
async def test_second_start_is_a_warm_one(place: Deployment, python: tuple[str, ...]) -> None:
    """Design §5: the first start writes a snapshot, the second stands on it and tells exactly the same."""
    first = await live(place, python)
    (snapshot,) = place.snapshots
    written = snapshot.stat()
    second = await live(place, python)
    assert told(first) == told(second)
    assert (LOADS in first.log, LOADS in second.log) == (python == PLAIN, False)
    assert place.snapshots == [snapshot]
    assert (snapshot.stat().st_ino, snapshot.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
    assert snapshot.stat().st_mode & 0o777 == 0o600


async def test_validation_makes_the_first_start_warm(place: Deployment) -> None:
    """Design §5: `--validate` writes the snapshot too, so that an image can be built warm."""
    assert place.run("--validate").returncode == 0
    assert await is_warm(place)


def change_file(place: Deployment) -> None:
    place.config.write_text(place.config.read_text(encoding="utf-8") + "# more\n", encoding="utf-8")


def change_variable(place: Deployment) -> None:
    place.environ["UP_KEY"] = "other"


def unset_variable(place: Deployment) -> None:
    del place.environ["UP_KEY"]


def add_catalog(place: Deployment) -> None:
    (place.folder / "providers.yaml").write_text("{}", encoding="utf-8")


def add_level(place: Deployment) -> None:
    place.environ["BUSBAR_LOG"] = "bogus"


@pytest.mark.parametrize("change", [change_file, change_variable, unset_variable, add_catalog, add_level])
async def test_any_change_is_a_cold_start(place: Deployment, change: Callable[[Deployment], None]) -> None:
    """Design §5: a changed file, a changed variable and a catalog that appeared are noticed, and then remembered."""
    assert not await is_warm(place)
    change(place)
    assert not await is_warm(place)
    assert await is_warm(place)


async def test_snapshot_holds_no_secret(place: Deployment) -> None:
    """Design §5: neither keys nor values of variables are on the disk, and a warm start has them all the same."""
    place.environ |= {"UP_KEY": "key-secret", "NAME": "name-secret"}
    place.write(CONFIG.replace("mode: none", "mode: none, client_tokens: ['${NAME}']"), listen=0, port=9)
    await live(place)
    assert b"key-secret" not in place.snapshots[0].read_bytes()
    assert b"name-secret" not in place.snapshots[0].read_bytes()


async def test_start_without_a_place_for_snapshots(place: Deployment) -> None:
    """Operations §12: a cache folder that cannot be written never prevents a start."""
    place.environ |= {"BUSBAR_CACHE_DIR": "/proc/nowhere", "BUSBAR_LOG": "debug"}
    for _ in range(2):
        program = await live(place)
        assert LOADS in program.log
        assert program.log.splitlines()[1].partition("Z ")[2].startswith("INFO busbar-fast starts")


# While the engine loads


def slow(place: Deployment, port: int, more: str = "") -> tuple[int, Callable[[], None]]:
    """Prepare a warm start whose engine waits; return where it will listen, and what lets the engine go on."""
    listen = closed_port()
    place.write(CONFIG + more, listen=listen, port=port)
    assert place.run("--validate").returncode == 0
    (place.folder / "delayed").rename(place.folder / "given-way")
    (place.folder / "gate").unlink()
    return listen, place.delay_module("logging")


async def ask_porch(program: Program, listen: int, path: str = "/healthz") -> tuple[int, bytes]:
    """Return what a probe is told."""
    client = program.connect(listen)
    client.send(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    answer = await client.read_answer()
    return answer.status, answer.body


async def test_early_clients_are_all_answered(place: Deployment, serve: Serve) -> None:
    """Design §5: two hundred requests that come while the engine loads are answered, and so are probes beside them."""
    recorder = Recorder()
    async with serve(recorder.serve) as upstream:
        listen, go_on = slow(place, upstream.port)
        with place.start() as program:
            await program.says("loading logging")
            clients = [program.connect(listen) for _ in range(200)]
            for number, client in enumerate(clients):
                client.send(ASK[:60] if number % 2 else ASK)
            for path in ("/healthz", "/livez", "/healthz"):
                assert await ask_porch(program, listen, path) == (200, b"ok")
            assert "busbar listening" not in program.log
            go_on()
            for client in clients[1::2]:
                client.send(ASK[60:])
            for client in clients:
                answer = await client.read_answer()
                assert (answer.status, answer.body) == (200, b'{"id":"x"}')
            assert await ask_porch(program, listen) == (200, b"ok")
            clients[0].send(ASK)
            assert (await clients[0].read_answer()).status == 200
            assert await program.end() == 0
        assert len(recorder.seen) == 201
        await leave(upstream)


@pytest.mark.parametrize("limit", ["max_connections", "max_connections_per_ip"])
async def test_limits_count_for_early_clients(place: Deployment, serve: Serve, limit: str) -> None:
    """Config §14 X13: of those who came while the engine loaded the first are served, and who is too many is closed."""
    async with serve(Recorder().serve) as upstream:
        listen, go_on = slow(place, upstream.port, f"limits: {{{limit}: 3}}\n")
        with place.start() as program:
            await program.says("loading logging")
            clients = [program.connect(listen) for _ in range(5)]
            for client in clients:
                client.send(ASK)
            assert await ask_porch(program, listen) == (200, b"ok")
            go_on()
            for client in clients[3:]:
                assert await client.read_all() == b""
            for client in clients[:3]:
                assert (await client.read_answer()).status == 200
            late = program.connect(listen)
            late.send(ASK)
            if limit == "max_connections_per_ip":
                assert await late.read_all() == b""
            for client in clients[:3]:
                client.close()
            if limit == "max_connections":
                assert (await late.read_answer()).status == 200
                late.close()
            assert await program.end() == 0
        await leave(upstream)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_stop_on_the_porch_is_acted_on(place: Deployment, serve: Serve, number: int) -> None:
    """Design §5: a stop while the engine loads is known to probes at once, and who waits is answered before the end."""
    async with serve(Recorder().serve) as upstream:
        listen, go_on = slow(place, upstream.port)
        with place.start() as program:
            await program.says("loading logging")
            client = program.connect(listen)
            client.send(ASK)
            assert await ask_porch(program, listen) == (200, b"ok")
            program.send(number)
            await until_draining(program, listen)
            go_on()
            assert (await client.read_answer()).closes
            client.close()
            assert await program.ends() == 0
            assert program.log.count("busbar-fast ends") == 1
        await leave(upstream)


async def until_draining(program: Program, listen: int) -> None:
    """Ask until the porch has heard of the signal."""
    while await ask_porch(program, listen) != (503, b"draining"):
        assert program.child.poll() is None


async def test_reload_on_the_porch_is_acted_on(place: Deployment) -> None:
    """Design §5: a reload that was asked for while the engine loads is done as soon as it is there."""
    listen, go_on = slow(place, 9)
    with place.start() as program:
        await program.says("loading logging")
        place.write(CONFIG.replace("  a: {", "  new: {provider: up}\n  a: {"), listen=listen, port=9)
        program.send(signal.SIGHUP)
        assert await ask_porch(program, listen) == (200, b"ok")
        go_on()
        await program.says("configuration reloaded")
        assert b'"new"' in (await program.get("/v1/models"))[1]
        assert await program.end() == 0


# Snapshots that nobody understands

DAMAGE = """
import marshal, sys
from busbar_fast import boot
with open(sys.argv[1], "r+b") as file:
    fingerprint, names, facts, _ = marshal.loads(file.read()[len(boot._MAGIC) + boot._HASH_BYTES :])
    body = marshal.dumps((fingerprint, names, facts, bytes.fromhex(sys.argv[2])), 2)
    file.seek(0)
    file.truncate()
    file.write(boot._MAGIC + boot._hash(body) + body)
assert boot.load(sys.argv[1])
"""
CONFIG_RECORD = Config(
    providers={},
    models={},
    pools={},
    dialects={},
    limits=Limits(reasoning_effort_budgets={}),
    config_file="c",
    catalog_file="",
)
WARNING = Complaint(mark=Mark(file="f"), path=("a", 0), reason="r", id="W1")
GOOD: Any = (pack(CONFIG_RECORD), pack((WARNING,)))
ODD = [
    b"",
    b"\x00opaque\xff",
    marshal.dumps(None),
    marshal.dumps(GOOD)[:-3],
    marshal.dumps(GOOD[:1]),
    marshal.dumps((*GOOD, None)),
    marshal.dumps((GOOD[0], 1)),
    marshal.dumps((GOOD[0], "text")),
    marshal.dumps((GOOD[1], GOOD[1])),
    marshal.dumps(([], ())),
    marshal.dumps((["Gone"], ())),
    marshal.dumps(([1], ())),
    marshal.dumps(([["Config"]], ())),
    marshal.dumps((["Config", 1], ())),
    marshal.dumps((["Tls", ["Secret", "none", ""]], ())),
    marshal.dumps((["Mark", "f", 1], ())),
    marshal.dumps(([*GOOD[0], 1], ())),
]


def test_whole_payload_comes_back() -> None:
    """Design §5: what is stored is what is found."""
    assert _unpack(marshal.dumps(GOOD)) == (CONFIG_RECORD, [WARNING])


@pytest.mark.parametrize("payload", ODD)
def test_odd_payload_is_none(payload: bytes) -> None:
    """Design §5: a payload that cannot be used, in whatever way, counts as no snapshot."""
    assert _unpack(payload) is None


def damage(place: Deployment, payload: bytes) -> None:
    """Put another payload into the snapshot, which holds in every other respect."""
    words = [sys.executable, "-c", DAMAGE, str(place.snapshots[0]), payload.hex()]
    subprocess.run(words, cwd=ROOT, env={**place.environ, "PYTHONPATH": ""}, check=True, timeout=LIMIT_S)


@pytest.mark.parametrize("payload", [ODD[1], ODD[12]])
async def test_start_goes_on_without_its_snapshot(place: Deployment, serve: Serve, payload: bytes) -> None:
    """Design §5: with the door open and a client inside, the files are read after all, and the snapshot is renewed."""
    async with serve(Recorder().serve) as upstream:
        listen, go_on = slow(place, upstream.port)
        (snapshot,) = place.snapshots
        damage(place, payload)
        before = snapshot.read_bytes()
        with place.start() as program:
            await program.says("loading logging")
            client = program.connect(listen)
            client.send(ASK)
            assert await ask_porch(program, listen) == (200, b"ok")
            go_on()
            assert (await client.read_answer()).status == 200
            assert "[error]" not in program.log
            assert program.log.count("busbar-fast starts") == 1
            assert await program.end() == 0
        assert snapshot.read_bytes() != before
        await leave(upstream)


LIGHT = """
import sys, asyncio
import busbar_fast.cli
heavy = sys.argv[1].split()
sys.exit(" ".join(name for name in sys.modules if name.split(".")[0] in heavy or name in heavy) or 0)
"""


def test_engine_is_light() -> None:
    """Design §5: what a warm start imports is what it needs, so neither YAML nor guards, nor the mock backend."""
    heavy = "yaml cryptography orjson difflib secrets tempfile busbar_fast.config.load busbar_fast.config.guards "
    heavy += "busbar_fast.config.reading busbar_fast.mock busbar_fast.demo busbar_fast.wire.tls prometheus_client "
    heavy += "busbar_fast.gateway.page calendar pathlib urllib.parse"
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, heavy], cwd=ROOT, capture_output=True, text=True, check=False, timeout=LIMIT_S
    )
    assert done.stderr == ""


QUIET = """
import gc, sys
from busbar_fast import boot
collected = []
gc.callbacks.append(lambda phase, _: collected.append(phase))
boot.load_engine()
sys.exit(f"{len(collected)} collections, {gc.isenabled()}" if collected or not gc.isenabled() else 0)
"""


def test_nothing_is_collected_while_the_engine_loads() -> None:
    """Design §5: what a start makes stays, so nobody looks through it; what comes later is collected."""
    command = [sys.executable, "-c", QUIET]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert done.stderr == ""


async def test_taken_port_of_a_warm_start_is_explained(place: Deployment) -> None:
    """Config §6.1: where the porch cannot stand, the command line says why."""
    listen, go_on = slow(place, 9)
    go_on()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", listen))
        taken.listen()
        done = place.run()
        assert done.returncode == 1
        assert f"[error] cannot listen on 127.0.0.1:{listen}: Address already in use" in done.stderr
