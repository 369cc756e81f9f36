"""A gateway in production: what it logs at its start, what it sends upstream, how it chooses, how it ends."""

import asyncio
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from busbar_fast import __version__
from busbar_fast.config.guards import denylist
from busbar_fast.mock.script import Script
from busbar_fast.mock.server import MockBackend
from busbar_fast.wire.exchange import Exchange
from tests.house.source import ROOT
from tests.system.gateways import closed_port
from tests.system.programs import FAST, PLAIN, Deployment, Program, Recorder, chat, leave
from tests.system.rawclient import RawClient
from tests.system.serving import TEXT, Gate, Serve, until

CONFIG = """
listen: 127.0.0.1:0
auth: {mode: none}
<more>
providers:
  up: {protocol: openai, base_url: "http://127.0.0.1:<port>", api_key_env: UP_KEY}
models:
  a: {provider: up, max_concurrent: 2, upstream_model: "vendor/a"}
  b: {provider: up}
pools:
  both: {members: [{target: a}, {target: b}]}
"""
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z (ERROR|WARN|INFO|DEBUG|TRACE) \S.*")
RAW_W1 = "auth.mode: `none`"


@pytest.fixture
def place(tmp_path: Path) -> Deployment:
    """Return a deployment whose upstream is nobody."""
    made = Deployment(tmp_path)
    made.environ["UP_KEY"] = "key-secret"
    made.write(CONFIG, port=9, more="")
    return made


# The log of a start


def without_raw(log: str) -> list[str]:
    """Return the lines of a log but those that no log setting hides."""
    return [line for line in log.splitlines() if not line.startswith("[warn] ")]


@pytest.mark.parametrize("python", [PLAIN, FAST])
async def test_start_is_told_in_order(place: Deployment, python: tuple[str, ...]) -> None:
    """Config §12: version first, then lanes, pools and guard, and the door last, each a line of the one form."""
    with place.start(python=python) as program:
        await program.is_up()
        assert await program.end() == 0
    lines = without_raw(program.log)
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    told = [line.split("Z ", 1)[1] for line in lines]
    assert told[0] == f"INFO busbar-fast starts version={__version__} build=pure config={place.config}"
    assert "INFO lane model=a provider=up base_url=http://127.0.0.1:9 cap=2" in told
    assert "INFO lane model=b provider=up base_url=http://127.0.0.1:9 cap=none" in told
    assert "INFO pool pool=both members=a,b cap=none on_exhausted=reject" in told
    assert f"INFO metadata guard on=true entries={len(denylist())} allowed=0" in told
    at = next(number for number, line in enumerate(told) if line.startswith("INFO busbar listening "))
    assert told[at] == f"INFO busbar listening listen=127.0.0.1:{program.port} tls=false mtls=false"
    assert [line.split(" ", 1)[0] for line in told[at:]] == ["INFO"] * len(told[at:])
    assert told[-1] == "INFO busbar-fast ends"


async def test_start_names_sinks_guards_and_the_database(place: Deployment) -> None:
    """Config §12: where what it hears goes to, with nothing of a user in it, how much is denied, where keys lie."""
    place.write(
        CONFIG,
        port=9,
        more=f"""
security: {{blocked_metadata_hosts: [10.9.9.9], allow_metadata_hosts: [metadata.internal]}}
observability:
  request_log_webhook_url: "https://user:hush@records.example.net/in?key=hush"
  otlp_endpoint: "http://user:hush@localhost:4318/v1/traces"
governance: {{enabled: true, admin_token: t, db_path: '{place.folder}/keys.db'}}
""",
    )
    with place.start() as program:
        await program.is_up()
        assert await program.end() == 0
    told = [line.split("Z ", 1)[1] for line in without_raw(program.log)]
    listening = next(number for number, line in enumerate(told) if line.startswith("INFO busbar listening "))
    for line in (
        f"INFO metadata guard on=true entries={len(denylist()) + 1} allowed=1",
        f"INFO governance db_path={place.folder}/keys.db",
        "INFO sink of=request_log url=https://***@records.example.net/in?***",
        "INFO sink of=traces url=http://***@localhost:4318/v1/traces",
    ):
        assert line in told[:listening], told
    assert "hush" not in program.log


@pytest.mark.parametrize("by", ["file", "variable"])
async def test_json_log_is_one_object_per_line(place: Deployment, by: str) -> None:
    """Config §14 X17: every record of a life is an object with `ts`, `level` and `msg`."""
    if by == "file":
        place.write(CONFIG, port=9, more="observability: {log_format: json}")
    else:
        place.environ["BUSBAR_LOG_FORMAT"] = "json"
    with place.start() as program:
        await program.says("busbar listening")
        assert await program.end() == 0
    records = [json.loads(line) for line in without_raw(program.log)]
    assert all(list(record)[:3] == ["ts", "level", "msg"] for record in records)
    assert (records[0]["msg"], records[0]["version"]) == ("busbar-fast starts", __version__)
    assert records[-1]["msg"] == "busbar-fast ends"


@pytest.mark.parametrize(
    ("variables", "levels"),
    [
        ({"RUST_LOG": "error"}, "ERROR"),
        ({"RUST_LOG": "trace", "BUSBAR_LOG": "error"}, "ERROR"),
        ({"RUST_LOG": "error", "BUSBAR_LOG": ""}, "ERROR"),
        ({"BUSBAR_LOG": "WARN"}, "ERROR"),
        ({"RUST_LOG": "bogus"}, "ERROR INFO WARN"),
        ({"RUST_LOG": "error", "BUSBAR_LOG": "bogus"}, "ERROR INFO WARN"),
    ],
)
async def test_level_comes_from_the_environment(place: Deployment, variables: dict[str, str], levels: str) -> None:
    """Operations case 60, governance case 2: `BUSBAR_LOG` wins over `RUST_LOG`; a word that is no level is W20."""
    place.environ |= variables
    listen = closed_port()
    place.write(CONFIG.replace("127.0.0.1:0", f"127.0.0.1:{listen}"), port=9, more="")
    with place.start() as program:
        await program.says(RAW_W1)
        await until(lambda: is_listening(listen))
        assert await program.end() == 0
    lines = without_raw(program.log)
    assert {line.split()[1] for line in lines} == set(levels.split())
    assert ("id=W20" in program.log) == ("bogus" in variables.values())


@pytest.mark.parametrize(("auth", "path"), [("auth: {mode: none}", "auth.mode"), ("", "auth")])
async def test_open_door_is_told_whatever_the_level(place: Deployment, auth: str, path: str) -> None:
    """Config §9 W1: on raw stderr even where the log shows errors only, and as an error in the log."""
    place.environ["BUSBAR_LOG"] = "error"
    place.write(CONFIG.replace("auth: {mode: none}", auth), port=9, more="")
    for _ in range(2):  # the second start is a warm one
        with place.start() as program:
            await program.says("id=W1")
        lines = program.log.splitlines()
        assert lines[0].startswith("[warn] ")
        assert f": {path}: " in lines[0] or lines[0].endswith(f": {path}")
        assert " ERROR " in lines[1]
        assert f"path={path} id=W1" in lines[1]


async def test_secrets_are_never_logged(place: Deployment, serve: Serve) -> None:
    """Config §1: at trace level, over a start, a request and a reload, no key, token or body text appears."""
    (place.folder / "key").write_text("file-secret\n")
    place.environ |= {"BUSBAR_LOG": "trace", "TOKEN": "env-secret"}
    recorder = Recorder()
    async with serve(recorder.serve) as upstream:
        more = "x-more: '${TOKEN}'"
        text = CONFIG.replace("{mode: none}", "{mode: none, client_tokens: [tok-secret]}")
        text = text.replace("  a: {", "  c: {provider: other}\n  a: {")
        other = (
            f"  other: {{protocol: openai, base_url: 'http://127.0.0.1:9', api_key: {{file: {place.folder}/key}}}}\n"
        )
        place.write(text.replace("providers:\n", f"providers:\n{other}"), port=upstream.port, more=more)
        with place.start() as program:
            await program.is_up()
            assert (await program.chat(b'{"model":"a","text":"body-secret"}')).status == 200
            assert (await program.chat(b'{"model":"c","text":"body-secret"}')).status == 503
            program.send(signal.SIGHUP)
            await program.says("configuration reloaded")
            place.write("providers: {up: {api_key: 'tok-secret', base_url: 'https://u:pw-secret@h'}}")
            program.send(signal.SIGHUP)
            await program.says("was not reloaded")
            assert await program.end() == 0
        assert "DEBUG" in program.log
        assert "secret" not in program.log.replace(str(place.folder), "")
        assert recorder.seen[0][2][b"authorization"] == b"Bearer key-secret"
        await leave(upstream)


async def test_reader_of_the_log_that_is_stuck_slows_nobody(place: Deployment, serve: Serve) -> None:
    """Operations §13 case 59: with a log that nobody reads, requests are answered and the end comes as ever."""
    listen = closed_port()
    place.environ["BUSBAR_LOG"] = "trace"
    async with serve(Recorder().serve) as upstream:
        place.write(CONFIG.replace("127.0.0.1:0", f"127.0.0.1:{listen}"), port=upstream.port, more="")
        words = [sys.executable, *PLAIN]
        with subprocess.Popen(words, cwd=ROOT, env=place.environ, stderr=subprocess.PIPE) as child:  # noqa: ASYNC220  starts at once
            assert child.stderr is not None
            try:
                size = fcntl.fcntl(child.stderr, fcntl.F_GETPIPE_SZ)
                await until(lambda: is_listening(listen))
                client = RawClient(listen)
                for _ in range(size // 40):
                    client.send(chat(b'{"model":"a"}'))
                    assert (await client.read_answer()).status == 200
                client.close()
                child.send_signal(signal.SIGTERM)
                await until(lambda: child.poll() == 0)
            finally:
                child.kill()
            log = child.stderr.read()
            assert size // 2 < len(log) <= size
        await leave(upstream)


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "2>&1 | true"])
async def test_log_that_goes_nowhere_is_no_reason_to_fail(place: Deployment, redirection: str) -> None:
    """Operations §10: without a stderr, on a full disk and with a broken pipe the gateway serves all the same."""
    listen = closed_port()
    place.write(CONFIG.replace("127.0.0.1:0", f"127.0.0.1:{listen}"), port=9, more="")
    run = f"echo $$ > {place.folder}/pid; exec {sys.executable} -m busbar_fast"
    script = f"(sh -c '{run}'; echo $? > {place.folder}/code) {redirection}"
    words = ["/bin/sh", "-c", script]
    with subprocess.Popen(words, cwd=ROOT, env=place.environ) as shell:  # noqa: ASYNC220  starts at once
        try:
            await until(lambda: is_listening(listen))
            client = RawClient(listen)
            client.send(b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n")
            assert (await client.read_answer()).status == 200
            client.close()
        finally:
            os.kill(int((place.folder / "pid").read_text()), signal.SIGTERM)
        await until(lambda: shell.poll() is not None)
    assert (place.folder / "code").read_text() == "0\n"


def is_listening(port: int) -> bool:
    """Say whether somebody listens on a port."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    return any(row[3] == "0A" and row[1].endswith(f":{port:04X}") for row in rows)


# What goes upstream


@contextmanager
def over(place: Deployment, text: str, **values: object) -> Iterator[Program]:
    """Start a gateway over a deployment file."""
    place.write(text, **values)
    with place.start() as program:
        yield program


async def test_names_lead_to_lanes_and_the_model_is_rewritten(place: Deployment, serve: Serve) -> None:
    """Config §14 X5: pools and models are asked for by name, and the upstream is told its own, wherever it stands."""
    recorder = Recorder()
    async with serve(recorder.serve) as upstream:
        with over(place, CONFIG, port=upstream.port, more="") as program:
            await program.is_up()
            listed = json.loads((await program.get("/v1/models"))[1])
            assert [model["id"] for model in listed["data"]] == ["both", "a", "b"]
            for body in (
                b'{"model":"a","x":{"model":"a"}}',
                b' {"model" : "b","n":1e400,"model":"a"}',
                b'{"m\\u006fdel":"\\u0061"}',
                b'{"model":"b"}',
                b'{"model":"both"}',
                b'{"model":"both"}',
            ):
                answer = await program.chat(body)
                assert (answer.status, answer.body) == (200, b'{"id":"x"}')
            assert (await program.chat(b'{"model":"vendor/a"}')).status == 400
            assert await program.end() == 0
        assert [body for *_, body in recorder.seen] == [
            b'{"model":"vendor/a","x":{"model":"a"}}',
            b' {"model" : "vendor/a","n":1e400,"model":"vendor/a"}',
            b'{"m\\u006fdel":"vendor/a"}',
            b'{"model":"b"}',
            b'{"model":"vendor/a"}',
            b'{"model":"b"}',
        ]
        await leave(upstream)


PROVIDERS = """
listen: 127.0.0.1:0
auth: {mode: none}
providers:
  plain: {protocol: openai, base_url: "http://127.0.0.1:<port>/", api_key_env: UP_KEY}
  once: {protocol: openai, base_url: "http://localhost:<port>/x/v1/", auth: bearer, api_key: {env: UP_KEY}}
  azure: {protocol: openai, base_url: "http://127.0.0.1:<port>", auth: api-key, api_key_env: UP_KEY,
          path: "/openai/deployments/{model}/chat?api-version=2024-10-21&a=%20"}
  custom: {protocol: openai, base_url: "http://127.0.0.1:<port>/v1", auth: x-api-key, api_key_env: UP_KEY, path: /ask}
  open: {protocol: openai, base_url: "http://127.0.0.1:<port>", api_key: none}
  unset: {protocol: openai, base_url: "http://127.0.0.1:<port>", api_key_env: NOT_SET}
  broken: {protocol: openai, base_url: "http://127.0.0.1:<port>", api_key_env: BROKEN_KEY}
models:
  plain-m: {provider: plain}
  once-m: {provider: once}
  azure-m: {provider: azure, upstream_model: "gpt 4/ö"}
  custom-m: {provider: custom}
  open-m: {provider: open}
  unset-m: {provider: unset}
  broken-m: {provider: broken}
"""


async def test_path_credential_and_host_follow_the_provider(place: Deployment, serve: Serve) -> None:
    """Config §5: each way to spell a base URL, a path and a credential, and the fields that are always ours."""
    recorder = Recorder()
    place.environ |= {"UP_KEY": "  k-1 \t", "BROKEN_KEY": "k\r\nX-Injected: 1"}
    async with serve(recorder.serve) as upstream:
        with over(place, PROVIDERS, port=upstream.port) as program:
            await program.is_up()
            raw = b'{"model":"%b-m"}'
            for name in (b"plain", b"once", b"azure", b"custom", b"open", b"unset", b"broken"):
                body = raw % name
                request = chat(body).replace(
                    b"Host: h\r\n", b"Host: h\r\nAuthorization: Bearer mine\r\nUser-Agent: me\r\n"
                )
                assert (await program.ask(request)).status == 200
            assert await program.end() == 0
        port = upstream.port
        seen = {body.split(b'"')[3]: (target, fields) for _, target, fields, body in recorder.seen}
        ways = {name: (target, fields[b"host"]) for name, (target, fields) in seen.items()}
        here = b"127.0.0.1:%d" % port
        assert ways == {
            b"plain-m": (b"/v1/chat/completions", here),
            b"once-m": (b"/x/v1/chat/completions", b"localhost:%d" % port),
            "gpt 4/ö".encode(): (b"/openai/deployments/gpt%204%2F%C3%B6/chat?api-version=2024-10-21&a=%20", here),
            b"custom-m": (b"/v1/ask", here),
            b"open-m": (b"/v1/chat/completions", here),
            b"unset-m": (b"/v1/chat/completions", here),
            b"broken-m": (b"/v1/chat/completions", here),
        }
        sent = {
            name: {field: value for field, value in fields.items() if value.endswith(b"k-1") or b"auth" in field}
            for name, (_, fields) in seen.items()
        }
        assert sent == {
            b"plain-m": {b"authorization": b"Bearer k-1"},
            b"once-m": {b"authorization": b"Bearer k-1"},
            "gpt 4/ö".encode(): {b"api-key": b"k-1"},
            b"custom-m": {b"x-api-key": b"k-1"},
            b"open-m": {},
            b"unset-m": {},
            b"broken-m": {},
        }
        for _, fields in seen.values():
            assert fields[b"user-agent"] == b"busbar-fast/" + __version__.encode()
            assert fields[b"content-type"] == b"application/json"
            assert b"x-injected" not in fields
        await leave(upstream)


# Lanes


async def wait_at(gate: Gate, exchange: Exchange) -> None:
    """Answer with the model when the test opens."""
    body = await exchange.read_body()
    await gate.wait()
    exchange.reply(200, TEXT, body)


CAPS = """
listen: 127.0.0.1:0
auth: {mode: none}
providers:
  up: {protocol: openai, base_url: "http://127.0.0.1:<port>", api_key: none}
models:
  one: {provider: up, max_concurrent: 1}
  two: {provider: up, max_concurrent: 1}
  never: {provider: up}
pools:
  pool: {members: [{target: one}, {target: two}, {target: never, weight: 0}]}
  drained: {members: [{target: never, weight: 0}]}
"""


async def test_full_lane_is_skipped_then_waited_for(place: Deployment, serve: Serve) -> None:
    """Config §6.2 `max_concurrent`: a full lane is passed over while another has room, else requests wait in order."""
    gate = Gate()
    async with serve(lambda exchange: wait_at(gate, exchange)) as upstream:
        with over(place, CAPS, port=upstream.port) as program:
            await program.is_up()
            clients: list[RawClient] = []
            for number in range(6):
                clients.append(program.connect())
                clients[-1].send(chat(b'{"model":"pool","n":%d}' % number))
                await until(lambda: gate.waiting == min(len(clients), 2))
                assert await program.get("/livez") == (200, b"ok")
            bodies: list[bytes] = []
            for _ in range(3):
                assert gate.waiting == 2
                gate.open()
                done, waiting = clients[:2], clients[2:]
                bodies += [(await client.read_answer()).body for client in done]
                clients = waiting
                await until(lambda: gate.waiting == min(len(clients), 2))  # noqa: B023  same
            assert sorted(body.split(b'"n":')[1] for body in bodies) == [b"%d}" % number for number in range(6)]
            assert [b'"n":%d}' % (number // 2 * 2) in b"".join(bodies[number // 2 * 2 :][:2]) for number in range(6)]
            assert all(
                b'"one"' in bodies[n] + bodies[n + 1] and b'"two"' in bodies[n] + bodies[n + 1] for n in (0, 2, 4)
            )
            assert await program.end() == 0
        await leave(upstream)


async def test_drained_member_is_never_picked(place: Deployment, serve: Serve) -> None:
    """Config §6.3 `weight`: a member of weight 0 is never picked, and a pool of such members has nobody."""
    recorder = Recorder()
    async with serve(recorder.serve) as upstream:
        with over(place, CAPS, port=upstream.port) as program:
            await program.is_up()
            for _ in range(6):
                assert (await program.chat(b'{"model":"pool"}')).status == 200
            refused = await program.chat(b'{"model":"drained"}')
            assert (refused.status, refused.fields[b"retry-after"]) == (503, b"2")
            assert (await program.chat(b'{"model":"never"}')).status == 200
            assert await program.end() == 0
        asked = [body.split(b'"')[3] for *_, body in recorder.seen]
        assert sorted(asked) == [b"never"] + [b"one"] * 3 + [b"two"] * 3
        await leave(upstream)


@pytest.mark.parametrize("python", [PLAIN, FAST])
async def test_gateway_without_models_is_not_healthy(place: Deployment, python: tuple[str, ...]) -> None:
    """Operations §11: no lane is 503 `no usable lanes` on `/healthz`, while the process lives and is ready."""
    place.write("listen: 127.0.0.1:0\nproviders: {}\nmodels: {}\n")
    for _ in range(2):
        with place.start(python=python) as program:
            await program.is_up()
            assert await program.get("/healthz") == (503, b"no usable lanes")
            assert await program.get("/livez") == (200, b"ok")
            assert await program.get("/readyz") == (200, b"ok")
            assert program.log.count("id=W14") >= 1
            assert await program.end() == 0


# The end

STREAM = Script(deltas=5, delay_frame_ms=60)


@contextmanager
def leaving(place: Deployment, port: int, delay_s: int = 0, drain_s: int = 10) -> Iterator[Program]:
    """Start a gateway that leaves as it is told."""
    more = f"shutdown: {{readiness_delay_secs: {delay_s}, drain_timeout_secs: {drain_s}}}"
    with over(place, CONFIG, port=port, more=more) as program:
        yield program


async def begin_stream(program: Program) -> RawClient:
    """Ask for a stream; return its client when the first frame is there."""
    client = program.connect()
    client.send(chat(b'{"model":"a","stream":true,"messages":[{"role":"user","content":"x"}]}'))
    await client.read_until(b"data: ")
    return client


async def is_refused(program: Program) -> bool:
    """Say whether nobody listens any more, by the time that a door takes to close."""
    for _ in range(100):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", program.port)
        except ConnectionRefusedError:
            return True
        writer.close()
        await asyncio.sleep(0.01)
    return False


async def test_readiness_goes_before_the_door_closes(place: Deployment, serve: Serve) -> None:
    """Operations §13 case 37: 503 at once, still served for the delay, then refused, a stream completes, exit 0."""
    async with serve(MockBackend(lambda _: Script(deltas=6, delay_frame_ms=300)).serve) as upstream:
        with leaving(place, upstream.port, delay_s=1) as program:
            await program.is_up()
            stream = await begin_stream(program)
            program.send(signal.SIGTERM)
            await program.says("not ready any more")
            for path in ("/readyz", "/healthz"):
                assert await program.get(path) == (503, b"draining")
            assert await program.get("/livez") == (200, b"ok")
            late = await program.ask(b"GET /v1/models HTTP/1.1\r\nHost: h\r\n\r\n")
            assert late.status == 200
            assert late.closes
            await program.says("draining in_progress=1")
            assert await is_refused(program)
            assert (await stream.read_all()).endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
            assert await program.ends() == 0
        await leave(upstream)


async def test_interrupt_has_no_delay(place: Deployment, serve: Serve) -> None:
    """Config §12: on SIGINT the listeners close at once, and what runs is finished."""
    async with serve(MockBackend(lambda _: STREAM).serve) as upstream:
        with leaving(place, upstream.port, delay_s=60) as program:
            await program.is_up()
            stream = await begin_stream(program)
            program.send(signal.SIGINT)
            await program.says("draining in_progress=1")
            assert await is_refused(program)
            assert b"[DONE]" in await stream.read_all()
            assert await program.ends() == 0
            assert "not ready any more" not in program.log
        await leave(upstream)


LAST_WORDS = b"data: [DONE]\n\n\r\n0\r\n\r\n"


async def test_drain_limit_ends_streams(place: Deployment, serve: Serve) -> None:
    """Operations §13 case 38: an endless stream ends with an in-band error at the limit, and the process with 0."""
    async with serve(MockBackend(lambda _: Script(stall_at=400)).serve) as upstream:
        with leaving(place, upstream.port, drain_s=1) as program:
            await program.is_up()
            stream = await begin_stream(program)
            assert await program.end() == 0
            rest = await stream.read_all()
            assert b'"type":"server_error"' in rest
            assert rest.endswith(LAST_WORDS)
        await leave(upstream)


@pytest.mark.parametrize("phase", ["not ready any more", "draining in_progress=1"])
async def test_second_signal_ends_at_once(place: Deployment, serve: Serve, phase: str) -> None:
    """Config §12: a second signal ends streams and the process at once, with 0, from the delay as from the drain."""
    async with serve(MockBackend(lambda _: Script(stall_at=400)).serve) as upstream:
        with leaving(place, upstream.port, delay_s=60 if "ready" in phase else 0, drain_s=60) as program:
            await program.is_up()
            stream = await begin_stream(program)
            program.send(signal.SIGTERM)
            await program.says(phase)
            began_s = time.monotonic()
            assert await program.end(signal.SIGINT) == 0
            assert time.monotonic() - began_s < 3.0  # the first part of it is a moment for last words
            assert (await stream.read_all()).endswith(LAST_WORDS)
        await leave(upstream)


async def test_stop_during_a_cold_start_is_acted_on(place: Deployment) -> None:
    """Config §12: a signal that comes while the configuration is read ends the gateway when it is there, with 0."""
    go_on = place.delay_module("yaml")
    with place.start() as program:
        await program.says("loading yaml")
        program.send(signal.SIGHUP)
        program.send(signal.SIGTERM)
        go_on()
        assert await program.ends() == 0
        assert "draining" in program.log


async def test_third_signal_kills(place: Deployment) -> None:
    """Config §3: the third SIGINT or SIGTERM ends a process with 130 that does not get any further by itself."""
    place.delay_module("yaml")
    with place.start() as program:
        await program.says("loading yaml")

        looks = count()

        def is_killed() -> bool:
            if next(looks) % 200 == 0:  # two at once would count as one
                program.send(signal.SIGTERM)
            return program.child.poll() is not None

        await until(is_killed)
        assert program.child.returncode == 130
