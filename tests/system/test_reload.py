"""A reload: what it changes, what it keeps, what it refuses, and that no request notices."""

import asyncio
import json
import logging
import signal
from pathlib import Path

import pytest

from busbar_fast.gateway import engine as engine_module
from busbar_fast.wire.exchange import Exchange
from tests.system.engines import running
from tests.system.gateways import closed_port
from tests.system.programs import FAST, PLAIN, Deployment, Program, Recorder, chat, leave
from tests.system.rawclient import RawClient
from tests.system.serving import TEXT, Gate, Serve, all_of, until

CONFIG = """
listen: 127.0.0.1:0
auth: {mode: none}
providers:
  up: {protocol: openai, base_url: "http://127.0.0.1:<port>", api_key_env: UP_KEY}
models:
  a: {provider: up, max_concurrent: 1}
  b: {provider: up}
pools:
  pool: {members: [{target: a}, {target: b}]}
"""


def config(port: int, *changes: tuple[str, str]) -> str:
    """Return the deployment with changes made to its text."""
    text = CONFIG
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text.replace("<port>", str(port))


def logged(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    """Return the messages of a level, with the path a record carries."""
    return [
        f"{getattr(record, 'fields', {}).get('path', '')} {record.getMessage()}".strip()
        for record in caplog.records
        if record.levelno == level and record.name.startswith("busbar_fast.gateway")
    ]


# What comes into force


async def test_new_names_are_served_and_old_ones_are_gone(tmp_path: Path, serve: Serve) -> None:
    """Config §14 X9: one swap replaces lanes and pools, limits included, and the counter says so."""
    async with serve(Recorder().serve) as upstream, running(tmp_path, config(upstream.port)) as site:
        assert (await site.ask("pool")).status == 200
        other = config(upstream.port, ("  b:", "  c:"), ("target: b", "target: c"), ("  pool:", "  team:"))
        assert await site.reload(other + "limits: {request_body_max_bytes: 65536}\n")
        assert [(await site.ask(name)).status for name in ("team", "a", "c")] == [200, 200, 200]
        assert [(await site.ask(name)).status for name in ("pool", "b")] == [404, 404]
        client = site.connect()
        client.send(chat(b'{"model":"a","x":"' + b"x" * 70000 + b'"}'))
        assert (await client.read_answer()).status == 413
        assert site.engine.reloads == {"ok": 1, "error": 0}
        assert [loaded.config for loaded in site.settled] == [site.engine.config]
        assert "c" in site.engine.config.models


async def test_new_key_and_variables_of_the_process_count(tmp_path: Path, serve: Serve) -> None:
    """Config §14 X9: keys are read again, and the environment is that of the running process."""
    recorder = Recorder()
    key = tmp_path / "key"
    key.write_text("one")
    change = ("api_key_env: UP_KEY", f"api_key: {{file: {key}}}")
    async with serve(recorder.serve) as upstream, running(tmp_path, config(upstream.port, change)) as site:
        for text in ("one", "two"):
            key.write_text(text)
            assert await site.reload()
            assert (await site.ask("a")).status == 200
        sent = [fields[b"authorization"] for _, _, fields, _ in recorder.seen]
        assert sent == [b"Bearer one", b"Bearer two"]
        assert not await site.reload(config(upstream.port, ("auth: {mode: none}", "auth: {mode: '${NOT_SET}'}")))


async def test_request_in_flight_finishes_on_the_old_one(tmp_path: Path, serve: Serve) -> None:
    """Config §14 X9: who was sent to the old upstream is answered by it, while the next goes to the new one."""
    gate = Gate()

    async def hold(exchange: Exchange) -> None:
        await exchange.read_body()
        await gate.wait()
        exchange.reply(200, TEXT, b"old")

    async with serve(hold) as old, serve(Recorder(b"new").serve) as new, running(tmp_path, config(old.port)) as site:
        client = site.send_chat("a")
        await until(lambda: gate.waiting == 1)
        assert await site.reload(config(new.port))
        assert (await site.ask("a")).body == b"new"
        gate.open()
        assert (await client.read_answer()).body == b"old"
        assert site.counts("a") == (1, 0, 0)


@pytest.mark.parametrize("status", [401, 402])
async def test_corrected_key_is_used_at_once(tmp_path: Path, serve: Serve, status: int) -> None:
    """Reliability §5: a lane that is down for its key or its account is back with the reload that changes the key."""
    hold = Gate()

    async def judge(exchange: Exchange) -> None:
        body = await exchange.read_body()
        is_bad = exchange.head.fields[b"authorization"] != b"Bearer good"
        if is_bad and b'"b"' in body:
            await hold.wait()
        exchange.reply(status if is_bad else 200, TEXT, b"{}")

    key = tmp_path / "key"
    key.write_text("bad")
    change = ("api_key_env: UP_KEY", f"api_key: {{file: {key}}}")
    async with serve(judge) as upstream, running(tmp_path, config(upstream.port, change)) as site:
        assert (await site.ask("a")).status in (401, 503)
        assert await site.reload()
        assert (await site.ask("a")).status == 503
        late = site.send_chat("b")
        await until(lambda: hold.waiting == 1)
        key.write_text("good")
        assert await site.reload()
        hold.open()
        assert (await late.read_answer()).status in (401, 503)
        assert [(await site.ask(name)).status for name in ("a", "b", "pool")] == [200] * 3
        assert {site.engine.lanes[name].state.dead_reason for name in "ab"} == {""}


# What is kept


KEPT = [
    (),
    (("max_concurrent: 1", "max_concurrent: 7"),),
    (("  b: {provider: up}", "  z: {provider: up}\n  b: {provider: up}"),),
    (("api_key_env: UP_KEY", "api_key: none"),),
    (("api_key_env: UP_KEY", "api_key_env: UP_KEY, auth: api-key, path: /other"),),
    (("  a: {provider: up", "  a: {provider: up, upstream_model: a"),),
    (("pools:\n  pool: {members: [{target: a}, {target: b}]}\n", ""),),
]
FRESH = [
    (("  a: {provider: up", "  a: {provider: up, upstream_model: other"),),
    (("http://127.0.0.1", "http://localhost"),),
    (("  up: {", "  new: {"), ("provider: up", "provider: new")),
]


@pytest.mark.parametrize(
    ("changes", "counts"), [*((change, (3, 0, 1)) for change in KEPT), *((change, (0, 0, 0)) for change in FRESH)]
)
async def test_lane_goes_on_while_it_is_the_same(
    tmp_path: Path, serve: Serve, changes: tuple[tuple[str, str], ...], counts: tuple[int, int, int]
) -> None:
    """Config §14 X9: counts go on while provider, base_url, protocol and upstream name are unchanged, else anew."""
    gate = Gate()

    async def hold_fourth(exchange: Exchange) -> None:
        await exchange.read_body()
        if len(upstream.targets) == 4:
            await gate.wait()
        exchange.reply(200, TEXT, b"")

    async with serve(hold_fourth) as upstream, running(tmp_path, config(upstream.port)) as site:
        for _ in range(3):
            await site.ask("a")
        client = site.send_chat("a")
        await until(lambda: gate.waiting == 1)
        assert await site.reload(config(upstream.port, *changes))
        assert site.counts("a") == counts
        gate.open()
        assert (await client.read_answer()).status == 200
        assert site.counts("a") == ((4, 0, 0) if counts[0] else (0, 0, 0))


async def test_lane_that_was_gone_starts_anew(tmp_path: Path, serve: Serve) -> None:
    """Config §14 X9: what is carried over comes from the configuration before, not from one before that."""
    async with serve(Recorder().serve) as upstream, running(tmp_path, config(upstream.port)) as site:
        await site.ask("b")
        assert site.counts("b") == (1, 0, 0)
        gone = config(upstream.port, ("  b: {provider: up}\n", ""), (", {target: b}", ""))
        assert await site.reload(gone)
        assert await site.reload(config(upstream.port))
        assert site.counts("b") == (0, 0, 0)


async def test_cap_takes_effect_at_once(tmp_path: Path, serve: Serve) -> None:
    """Config §14 X9: a higher cap lets in who waits, a lower one lets nobody in until enough have left."""
    gate = Gate()

    async def hold(exchange: Exchange) -> None:
        await exchange.read_body()
        await gate.wait()
        exchange.reply(200, TEXT, b"")

    async with serve(hold) as upstream, running(tmp_path, config(upstream.port)) as site:
        clients = [site.send_chat("a") for _ in range(3)]
        await until(lambda: gate.waiting == 1)
        assert await site.reload(config(upstream.port, ("max_concurrent: 1", "max_concurrent: 2")))
        await until(lambda: gate.waiting == 2)
        assert site.counts("a")[2] == 2
        assert await site.reload(config(upstream.port))
        for left in (1, 0):
            gate.open()
            await until(lambda: gate.waiting == site.counts("a")[2] == left)  # noqa: B023  awaited in this turn
        assert [answer.status for answer in await all_of(client.read_answer() for client in clients)] == [200] * 3
        assert await site.reload(config(upstream.port, (", max_concurrent: 1", "")))
        clients = [site.send_chat("a") for _ in range(5)]
        await until(lambda: gate.waiting == 5)
        gate.open()
        assert [answer.status for answer in await all_of(client.read_answer() for client in clients)] == [200] * 5


@pytest.mark.parametrize(
    ("change", "turn"),
    [
        (("auth:", "auth:"), "b"),
        (("  pool: {", "  twin: {members: [{target: b}]}\n  pool: {"), "b"),
        (("{target: b}", "{target: b, weight: 2}"), "b"),
        (("[{target: a}, {target: b}]", "[{target: b}, {target: a}]"), "b"),
        (("{target: a}, {target: b}", "{target: a, weight: 2}, {target: b}"), "a"),
        (("[{target: a}, {target: b}]", "[{target: a}, {target: b}, {target: c}]"), "a"),
    ],
)
async def test_rotation_restarts_with_other_members(
    tmp_path: Path, serve: Serve, change: tuple[str, str], turn: str
) -> None:
    """Config §14 X9: a pool whose members and weights are unchanged goes on with its turn, any other starts over."""
    recorder = Recorder()
    text = config(0, ("  b: {provider: up}", "  b: {provider: up}\n  c: {provider: up}"))
    async with serve(recorder.serve) as upstream:
        text = text.replace('127.0.0.1:0"', f'127.0.0.1:{upstream.port}"')
        async with running(tmp_path, text) as site:
            await site.ask("pool")
            assert await site.reload(text.replace(*change))
            await site.ask("pool")
        assert [body.split(b'"')[3].decode() for *_, body in recorder.seen] == ["a", turn]


# What is refused


async def test_mistakes_leave_everything_as_it_is(
    tmp_path: Path, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """Config §14 X9: every mistake is a line at ERROR with its path, and the running configuration is untouched."""
    async with serve(Recorder().serve) as upstream, running(tmp_path, config(upstream.port)) as site:
        before, lanes = site.engine.config, dict(site.engine.lanes)
        bad = config(upstream.port, ("target: b", "target: ghost"), ("provider: up, max", "provider: gone, max"))
        assert not await site.reload(bad + "limits: {max_headers: 0}\nbogus: 1\n")
        errors = logged(caplog, logging.ERROR)
        assert [line for line in errors[:-1] if not line.startswith(f"[error] {tmp_path}/config.yaml:")] == []
        for path in ("pools.pool.members[1].target", "models.a.provider", "limits.max_headers", "bogus"):
            assert sum(f": {path}: " in line for line in errors) == 1
        assert errors[-1] == "the configuration was not reloaded; the running one stays"
        assert site.engine.config is before
        assert site.engine.lanes == lanes
        assert (await site.ask("pool")).status == 200
        assert (site.engine.reloads, site.settled) == ({"ok": 0, "error": 1}, [])
        assert await site.reload(config(upstream.port))


@pytest.mark.parametrize("more", ["governance: {key_refresh_secs: 5}\n", "x: [\n", ""])
async def test_what_cannot_be_served_is_not_reloaded(tmp_path: Path, more: str) -> None:
    """Config §14 X9: keys that are not available yet, a file that is no YAML and one that is gone change nothing."""
    async with running(tmp_path, config(9)) as site:
        if more:
            site.write(config(9) + more)
        else:
            (tmp_path / "config.yaml").unlink()
        assert not await site.reload()
        assert site.engine.reloads == {"ok": 0, "error": 1}
        assert site.engine.config.listen.host == "127.0.0.1"


async def test_failure_of_the_swap_changes_nothing(
    tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Config §14 X9: what fails after the check fails before the first change."""

    def fail(*_: object) -> None:
        raise OSError("a file that changed")

    async with serve(Recorder().serve) as upstream, running(tmp_path, config(upstream.port)) as site:
        before, lanes = site.engine.config, dict(site.engine.lanes)
        with monkeypatch.context() as patch:
            patch.setattr(engine_module, "build", fail)
            assert not await site.reload(config(upstream.port, ("max_concurrent: 1", "max_concurrent: 5")))
        assert (site.engine.config, site.engine.lanes) == (before, lanes)
        assert f"[error] {tmp_path}/config.yaml: a file that changed" in logged(caplog, logging.ERROR)
        assert (await site.ask("a")).status == 200


async def test_fault_of_ours_does_not_end_the_reloading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Operations §1: a failed reload never stops the process, and the next signal is heard."""

    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    async with running(tmp_path, config(9)) as site:
        with monkeypatch.context() as patch:
            patch.setattr(engine_module, "build", fail)
            assert not await site.reload()
        assert "the reload broke off" in logged(caplog, logging.ERROR)
        assert await site.reload()


async def test_failure_behind_a_reload_is_no_failure_of_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Config §14 X9: what is in force counts as `ok`, and the log says what went wrong afterwards."""
    async with running(tmp_path, config(9)) as site:
        site.settle_failure = RuntimeError("a full disk")
        assert await site.reload(config(9, ("  b:", "  c:"), ("target: b", "target: c")))
        assert site.engine.reloads == {"ok": 1, "error": 0}
        assert "c" in site.engine.lanes
        (failure,) = logged(caplog, logging.ERROR)
        assert "what follows a reload failed" in failure


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ("listen: 127.0.0.1:1\n", "listen"),
        ("limits: {max_connections: 7}\n", "limits.max_connections"),
        ("governance: {db_path: elsewhere.db}\n", "governance.db_path"),
    ],
)
async def test_what_needs_a_restart_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, more: str, path: str
) -> None:
    """Config §9 W24: told at each reload while the process differs from the file, everything else comes into force."""
    text = config(9) + "limits: {max_connections: 5}\n"
    old, _, _ = more.partition(":")
    changed = "".join(line for line in text.splitlines(keepends=True) if not line.startswith(old)) + more
    async with running(tmp_path, text) as site:
        port = site.port
        for _ in range(2):
            assert await site.reload(changed.replace("  b: {", "  new: {provider: up}\n  b: {"))
        assert [line.split()[0] for line in logged(caplog, logging.WARNING)].count(path) == 2
        assert (site.port, "new" in site.engine.lanes) == (port, True)
        caplog.clear()
        assert await site.reload(text)
        assert [line for line in logged(caplog, logging.WARNING) if line.startswith(path)] == []


# When


async def test_signals_meanwhile_are_one_more_reload(tmp_path: Path) -> None:
    """Config §14 X9: however many signals come while a reload runs, one more follows."""
    async with running(tmp_path, config(9)) as site:
        site.may_read.clear()
        first = site.reads
        for _ in range(5):
            site.reloads.ask()
        await until(lambda: site.reads == first + 1)
        for _ in range(5):
            site.reloads.ask()
        site.may_read.set()
        await until(lambda: site.engine.reloads["ok"] == 2)
        assert site.reads == first + 2
        assert await site.reload()
        assert site.reads == first + 3


async def test_who_leaves_reloads_no_more(tmp_path: Path) -> None:
    """Config §12: once the end has begun nothing is reloaded, neither what was asked for before nor after."""
    async with running(tmp_path, config(9)) as site:
        before = site.engine.config
        site.may_read.clear()
        site.reloads.ask()
        await until(lambda: site.reads == 2)
        site.reloads.cancel()
        site.reloads.ask()
        site.may_read.set()
        await asyncio.get_running_loop().run_in_executor(None, site.may_read.wait)  # behind the reading
        assert (site.engine.reloads, site.reads) == ({"ok": 0, "error": 0}, 2)
        assert site.engine.config is before


# The program


class Load:
    """Requests without a pause on a number of connections, until told to stop."""

    def __init__(self, program: Program, connections: int) -> None:
        self._program = program
        self._is_over = False
        self.answered = 0
        self._asking = [asyncio.create_task(self._ask((b"pool", b"a", b"b")[n % 3])) for n in range(connections)]

    async def _ask(self, model: bytes) -> None:
        client = self._program.connect()
        while not self._is_over:
            client.send(chat(b'{"model":"%b"}' % model))
            answer = await client.read_answer()
            assert answer.status == 200, answer
            assert not answer.closes
            self.answered += 1
        client.close()

    async def goes_on(self, count: int) -> None:
        """Wait for so many more answers; fail with the first request that was not answered well."""
        wanted = self.answered + count
        await until(lambda: self.answered >= wanted or any(task.done() for task in self._asking))
        assert self.answered >= wanted, [task for task in self._asking if task.done()]

    async def ends(self) -> None:
        """Let each connection finish what it is at."""
        self._is_over = True
        await all_of(self._asking)


@pytest.mark.parametrize("python", [PLAIN, FAST])
async def test_no_request_is_dropped_by_reloads(tmp_path: Path, serve: Serve, python: tuple[str, ...]) -> None:
    """Config §14 X9: twenty busy connections notice nothing of reloads that change lanes, caps, pools and upstreams."""
    place = Deployment(tmp_path)
    place.environ["UP_KEY"] = "k"
    async with serve(Recorder(b"1").serve) as first, serve(Recorder(b"2").serve) as second:
        texts = [
            config(first.port),
            config(second.port, ("max_concurrent: 1", "max_concurrent: 3"), ("{target: b}", "{target: b, weight: 2}")),
            config(first.port, ("provider: up, max_concurrent: 1", "provider: up, upstream_model: x")),
        ]
        place.write(texts[0])
        with place.start(python=python) as program:
            await program.is_up()
            load = Load(program, 20)
            for turn in range(1, 7):
                await load.goes_on(25)
                place.write(texts[turn % 3])
                program.send(signal.SIGHUP)
                await load.goes_on(25)
                await program.says("configuration reloaded", turn)
            await load.ends()
            assert load.answered >= 300
            assert await program.end() == 0
            assert " ERROR [error]" not in program.log
        await leave(first)
        await leave(second)


async def test_reload_of_the_program_renews_what_hangs_on_it(tmp_path: Path) -> None:
    """Config §14 X9: a bad file is told and survived, a good one changes the log's form and the snapshot."""
    place = Deployment(tmp_path)
    place.environ["UP_KEY"] = "k"
    port = closed_port()
    text = config(9).replace("127.0.0.1:0", f"127.0.0.1:{port}")
    place.write(text)
    with place.start() as program:
        await program.is_up()
        (snapshot,) = place.snapshots
        first = snapshot.read_bytes()
        place.write(text + "bogus: 1\n")
        program.send(signal.SIGHUP)
        await program.says("was not reloaded")
        assert f" ERROR [error] {place.config}:11: bogus: " in program.log
        assert await program.get("/healthz") == (200, b"ok")
        assert snapshot.read_bytes() == first
        place.write(text + "observability: {log_format: json}\n")
        program.send(signal.SIGHUP)
        await program.says("configuration reloaded")
        await until(lambda: snapshot.read_bytes() != first)
        assert await program.end() == 0
        assert json.loads(program.log.splitlines()[-1])["msg"] == "busbar-fast ends"
    place.delay_module("yaml")  # which a warm start does not wait for
    with place.start() as program:
        await program.says("busbar-fast starts")
        assert await until_live(program, port)
        assert await program.end() == 0
        assert json.loads(program.log.splitlines()[0])["msg"] == "busbar-fast starts"


@pytest.mark.parametrize("stops", [(signal.SIGTERM,), (signal.SIGTERM, signal.SIGINT)])
async def test_reload_that_hangs_holds_no_end_up(tmp_path: Path, stops: tuple[int, ...]) -> None:
    """Config §12: a file that cannot be read to its end costs neither requests nor the exit code of a stop."""
    place = Deployment(tmp_path)
    place.environ["UP_KEY"] = "k"
    place.write(config(9).replace("127.0.0.1:0", f"127.0.0.1:{closed_port()}"))
    assert place.run("--validate").returncode == 0
    place.delay_module("yaml")  # which the reload is the first to need
    with place.start() as program:
        await program.is_up()
        program.send(signal.SIGHUP)
        await program.says("loading yaml")
        assert await program.get("/livez") == (200, b"ok")
        for stop in stops:
            program.send(stop)
        assert await program.ends() == 0


async def until_live(program: Program, port: int) -> bool:
    """Say whether the gateway at a port answers."""
    client: RawClient = program.connect(port)
    client.send(b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n")
    return (await client.read_answer()).status == 200
