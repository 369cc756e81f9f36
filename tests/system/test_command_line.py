"""The programs of the command line that end by themselves: their output, their exit codes, what they leave alone."""

import itertools
import os
import pty
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from busbar_fast import __version__
from busbar_fast.config.guards import denylist
from tests.house.source import ROOT
from tests.system.gateways import closed_port
from tests.system.programs import FAST, LIMIT_S, PLAIN, Deployment
from tests.system.serving import until

GOOD = """
listen: 127.0.0.1:0
auth: {mode: none}
providers:
  up: {protocol: openai, base_url: "http://127.0.0.1:9", api_key_env: UP_KEY}
models:
  a: {provider: up}
  b: {provider: up, max_concurrent: 3}
pools:
  both: {members: [{target: a}, {target: b}]}
"""
QUIET = GOOD.replace("auth: {mode: none}\n", "auth: {mode: token, client_tokens: [tok-secret]}\n")
LATER = GOOD + "governance: {key_refresh_secs: 5, admin_token: adm-secret}\n"


@pytest.fixture
def place(tmp_path: Path) -> Deployment:
    """Return a deployment that can be started."""
    made = Deployment(tmp_path)
    made.environ["UP_KEY"] = "key-secret"
    made.write(GOOD)
    return made


def check_end(done: subprocess.CompletedProcess[str], code: int, output: str = "") -> None:
    """The program ended with a code and wrote this to stdout."""
    assert (done.returncode, done.stdout) == (code, output), done.stderr


# Words


@pytest.mark.parametrize("python", [PLAIN, FAST])
@pytest.mark.parametrize("flag", ["--help", "-h", "--version", "-V"])
def test_help_and_version_touch_no_file(place: Deployment, python: tuple[str, ...], flag: str) -> None:
    """Config §3: with a deployment file that is not there both print to stdout and end with 0."""
    place.environ |= {"BUSBAR_CONFIG": "/nowhere/c.yaml", "BUSBAR_PROVIDERS": "/nowhere/p.yaml"}
    done = place.run(flag, "--bogus", python=python)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: " if flag in {"--help", "-h"} else f"busbar-fast {__version__} (pure)\n")
    assert not place.snapshots


@pytest.mark.parametrize("python", [PLAIN, FAST])
@pytest.mark.parametrize("words", ["--bogus", "serve", "--config", "--validate --providers=", "--config x y"])
def test_unknown_words_end_with_two(place: Deployment, python: tuple[str, ...], words: str) -> None:
    """Config §3: stderr names the argument and points to the help."""
    done = place.run(*words.split(), python=python)
    check_end(done, 2)
    assert done.stderr.count("\n") == 1
    assert words.rsplit(maxsplit=1)[-1].rstrip("=") in done.stderr
    assert "--help" in done.stderr


@pytest.mark.parametrize("arguments", ["--help", "--version", "--validate", "--print-metadata-blocklist"])
def test_output_that_cannot_be_written_is_a_line(place: Deployment, arguments: str) -> None:
    """Config §3: on a full disk a command says so in one line on stderr and ends with 1."""
    place.write(QUIET)
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, *PLAIN, arguments],
            cwd=ROOT,
            env=place.environ,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )
    assert done.stderr.splitlines()[-1] == "[error] cannot write to stdout: No space left on device"
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize("redirection", ["2>/dev/full", ">/dev/full 2>/dev/full", "2>&-"])
def test_mistakes_that_nobody_can_read_have_their_codes(place: Deployment, redirection: str) -> None:
    """Config §3: a stderr that takes nothing changes no exit code."""
    place.write("bogus: 1\n")
    for arguments, code in (("--validate", 1), ("--bogus", 2), ("", 1)):
        script = f"exec {sys.executable} -m busbar_fast {arguments} {redirection}"
        done = subprocess.run(["/bin/sh", "-c", script], cwd=ROOT, env=place.environ, check=False, timeout=LIMIT_S)
        assert done.returncode == code


def test_path_cannot_play_with_the_terminal(place: Deployment) -> None:
    """Config §3: control characters and line ends of what was asked for are shown, not obeyed."""
    for flag in ("--validate", "--healthcheck"):
        done = place.run(flag, "--config", "/nowhere/\x1b[2J\nFORGED")
        check_end(done, 1)
        assert r"/nowhere/\x1b[2J\nFORGED" in done.stderr
        assert done.stderr.count("\n") == 1


# --validate


@pytest.mark.parametrize("python", [PLAIN, FAST])
def test_valid_configuration_is_summed_up(place: Deployment, python: tuple[str, ...]) -> None:
    """Config §14 X2: counts and both paths on stdout, each warning on stderr, exit 0."""
    done = place.run("--validate", python=python)
    lines = ["ok: 1 providers, 2 models, 1 pools", f"config {place.config}", "catalog inside the package"]
    check_end(done, 0, "\n".join(lines) + "\n")
    warnings = done.stderr.splitlines()
    assert all(line.startswith(f"[warn] {place.config}:") for line in warnings)
    assert any(": auth.mode: " in line for line in warnings)


def test_validation_needs_no_port_and_no_network(place: Deployment) -> None:
    """Config §14 X2: a port that is taken and an upstream that no name leads to are no mistakes of the file."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        text = GOOD.replace("127.0.0.1:0", f"127.0.0.1:{taken.getsockname()[1]}")
        place.write(text.replace("http://127.0.0.1:9", "https://nobody.invalid"))
        assert place.run("--validate").returncode == 0


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (GOOD, 1, "[warn] auth.mode"),
        (QUIET, 0, ""),
        (LATER, 1, "[warn] governance.key_refresh_secs"),
        (GOOD + "bogus: 1\n", 1, "[error] bogus"),
    ],
)
def test_strict_validation_fails_on_warnings(place: Deployment, text: str, code: int, words: str) -> None:
    """Config §14 X2: under `--strict` a warning is as bad as an error, and so is what is not available yet."""
    place.write(text)
    done = place.run("--validate", "--strict")
    assert done.returncode == code
    assert bool(done.stdout) == (code == 0)
    assert [word for word in words.split() if word not in done.stderr] == []


def test_keys_of_later_versions_are_valid(place: Deployment) -> None:
    """Config §14 X2: right settings that this version cannot serve yet are warnings of a check, each by name."""
    place.write(LATER)
    done = place.run("--validate")
    assert done.returncode == 0
    assert done.stdout.startswith("ok: 1 providers, 2 models, 1 pools\n")
    assert "[warn] " in done.stderr
    assert "governance.key_refresh_secs: not available yet" in done.stderr
    assert not place.snapshots


def test_keys_of_later_versions_refuse_a_start(place: Deployment) -> None:
    """Config §12: what cannot be served is refused by name before anything is bound."""
    place.write(LATER)
    done = place.run()
    check_end(done, 1)
    assert all(line.startswith("[error] ") for line in done.stderr.splitlines())
    assert "governance.key_refresh_secs: not available yet" in done.stderr
    assert "adm-secret" not in done.stderr


def test_a_policy_script_is_compiled_when_the_file_is_read(place: Deployment) -> None:
    """Config §6.3: a script that leaves its language is an error of path and line, a good one is none."""
    pool = GOOD.replace("both: {members", "both: {route: script, policy: {script_file: rank.py}, members")
    place.write(pool.replace("rank.py", str(place.config.with_name("rank.py"))))
    for source, code, words in (
        ("order = []\nwhile True:\n    order", 1, "script_file: line 2 of the script: not allowed in a script: loops"),
        ("sorted(candidates, key=lambda c: c.weight)", 0, ""),
    ):
        place.config.with_name("rank.py").write_text(source, encoding="utf-8")
        done = place.run("--validate")
        assert done.returncode == code
        assert words in done.stderr
        assert "Traceback" not in done.stderr


BAD = """
listen: nowhere
bogus: 1
providers:
  up: {protocol: openai, base_url: "http://169.254.169.254", api_key_env: UP_KEY}
models:
  a: {provider: gone}
pools:
  p: {members: [{target: ghost}]}
"""


@pytest.mark.parametrize("arguments", [(), ("--validate",), ("--strict",), ("--validate", "--strict")])
def test_every_mistake_is_a_line(place: Deployment, arguments: tuple[str, ...]) -> None:
    """Operations §13 case 60: all mistakes at once, one line each, exit 1, no traceback."""
    place.write(BAD)
    done = place.run(*arguments)
    check_end(done, 1)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("[warn] ")]
    assert all(line.startswith(f"[error] {place.config}:") for line in lines)
    for path in ("listen", "bogus", "providers.up.base_url", "models.a.provider", "pools.p.members[0].target"):
        assert sum(f": {path}: " in line for line in lines) == 1, done.stderr
    assert not place.snapshots


def test_strict_start_fails_on_warnings(place: Deployment) -> None:
    """Config §14 X2: `--strict` alone applies to a start."""
    done = place.run("--strict")
    check_end(done, 1)
    assert "auth.mode" in done.stderr


def test_missing_files_are_named(place: Deployment) -> None:
    """Config §2: the path, the reason of the system and the variable that names another."""
    place.environ["BUSBAR_CONFIG"] = "/nowhere/c.yaml"
    done = place.run()
    check_end(done, 1)
    assert [word for word in ("/nowhere/c.yaml", "No such file", "BUSBAR_CONFIG") if word not in done.stderr] == []
    done = place.run("--config", str(place.config), "--providers", "/nowhere/p.yaml")
    check_end(done, 1)
    assert [word for word in ("/nowhere/p.yaml", "No such file", "BUSBAR_PROVIDERS") if word not in done.stderr] == []


def test_flag_wins_over_variable(place: Deployment) -> None:
    """Config §2: `--config` is looked at before `BUSBAR_CONFIG`, and an empty variable is unset."""
    place.environ |= {"BUSBAR_CONFIG": "/nowhere/c.yaml", "BUSBAR_PROVIDERS": ""}
    assert place.run("--validate", f"--config={place.config}").returncode == 0


def write_weak_certificate(folder: Path) -> None:
    """Write a certificate with a key that is in order and too short."""
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505  that is the point
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256())
    (folder / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@pytest.mark.skipif(ssl.create_default_context().security_level < 2, reason="this OpenSSL takes short keys")
@pytest.mark.parametrize("arguments", [(), ("--validate",)])
def test_key_that_only_openssl_refuses_is_a_line(place: Deployment, arguments: tuple[str, ...]) -> None:
    """Config §14 X2: exit 0 means that this environment starts, so OpenSSL has its say in a check as well."""
    write_weak_certificate(place.folder)
    place.write(GOOD + f"tls: {{cert_file: {place.folder}/cert.pem, key_file: {place.folder}/key.pem}}\n")
    done = place.run(*arguments)
    check_end(done, 1)
    assert done.stderr.splitlines()[-1].startswith(f"[error] {place.config}: tls: ")
    assert "KEY_TOO_SMALL" in done.stderr


# --print-metadata-blocklist


def test_blocklist_is_built_in_then_the_operators(place: Deployment) -> None:
    """Config §3: built-ins, then additions, on stdout; what is allowed is not subtracted and stands on stderr."""
    place.write(
        GOOD
        + "security:\n  blocked_metadata_hosts: [meta.example, 10.9.8.7]\n"
        + "  allow_metadata_hosts: [169.254.169.254]\n  allow_all_metadata: true\n"
    )
    done = place.run("--print-metadata-blocklist")
    check_end(done, 0, "\n".join([*denylist(), "meta.example", "10.9.8.7"]) + "\n")
    allowed = done.stderr.splitlines()
    assert len(allowed) == 2
    assert "169.254.169.254" in allowed[0]
    assert "everything" in allowed[1]


def remove(place: Deployment) -> None:
    place.config.unlink()


def garble(place: Deployment) -> None:
    place.config.write_bytes(b"security: {blocked_metadata_hosts: [tok-secret\n\xff")


def misplace(place: Deployment) -> None:
    place.write("security: {blocked_metadata_hosts: tok-secret}\n")


@pytest.mark.parametrize("damage", [remove, garble, misplace])
def test_blocklist_without_a_file_says_so(place: Deployment, damage: Callable[[Deployment], None]) -> None:
    """Config §3: with a file that is missing or invalid only the built-ins, a note, nothing of the file, exit 0."""
    damage(place)
    done = place.run("--print-metadata-blocklist")
    check_end(done, 0, "\n".join(denylist()) + "\n")
    assert "missing" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "tok-secret" not in done.stderr


def test_blocklist_needs_no_variable_of_other_sections(place: Deployment) -> None:
    """Config §3: a variable that is not set elsewhere in the file does not hide the operator's additions."""
    place.write("models: ${NOT_SET}\nsecurity: {blocked_metadata_hosts: [meta.example]}\n")
    assert place.run("--print-metadata-blocklist").stdout.endswith("\nmeta.example\n")


# --healthcheck


@pytest.mark.parametrize("listen", ["127.0.0.1", "0.0.0.0", "localhost"])  # noqa: S104  the wildcard is the point
async def test_health_of_a_running_gateway(place: Deployment, listen: str) -> None:
    """Config §14 X2: exit 0 and silence when `/livez` says 200, a wildcard address included."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    place.write(GOOD.replace("127.0.0.1:0", f"{listen}:{port}"))
    assert place.run("--healthcheck").returncode == 1
    with place.start() as program:
        await program.is_up()
        done = place.run("--healthcheck")
        check_end(done, 0)
        assert done.stderr == ""
        assert await program.end() == 0


def test_health_of_nobody(place: Deployment) -> None:
    """Config §14 X2: exit 1 and a line with the address when nobody answers there, or somebody else does."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{silent.getsockname()[1]}"
        place.write(GOOD.replace("127.0.0.1:0", listen))
        done = place.run("--healthcheck")
        check_end(done, 1)
        assert done.stderr == f"[error] {listen}: Connection refused\n"
        silent.listen()
        other = threading.Thread(target=refuse_one, args=(silent,))
        other.start()
        done = place.run("--healthcheck")
        other.join()
        check_end(done, 1)
        assert done.stderr.startswith(f"[error] {listen}: answered ")
        assert "503" in done.stderr


def refuse_one(door: socket.socket) -> None:
    """Answer one request with 503, in two pieces."""
    client, _ = door.accept()
    with client:
        client.recv(1000)
        client.sendall(b"HTTP/1.")
        client.sendall(b"1 503 No\r\n\r\n")


def test_health_of_an_unusable_file(place: Deployment) -> None:
    """Config §14 X2: only `listen` and `tls` are read, and a mistake there is a line."""
    place.write("listen: ${NOT_SET}\n")
    done = place.run("--healthcheck")
    check_end(done, 1)
    assert "NOT_SET" in done.stderr
    remove(place)
    done = place.run("--healthcheck")
    check_end(done, 1)
    assert str(place.config) in done.stderr


def test_health_of_an_impossible_name(place: Deployment) -> None:
    """Config §14 X2: a host that no name can be is a line."""
    place.write(GOOD.replace("127.0.0.1:0", f"{'a' * 70}.invalid:80"))
    done = place.run("--healthcheck")
    check_end(done, 1)
    assert done.stderr == f"[error] {'a' * 70}.invalid:80: no such host name is possible\n"


PATIENCE = "import sys; from busbar_fast import cli; cli._LIVE_LIMIT_S = 0.5; cli.main(sys.argv[1:], [])"


def test_health_check_waits_for_no_file(place: Deployment) -> None:
    """Config §14 X2: its five seconds are for the reading of the file as well."""
    remove(place)
    os.mkfifo(place.config)
    done = place.run("--healthcheck", python=("-c", PATIENCE))
    check_end(done, 1)
    assert done.stderr.startswith("[error] ")
    assert done.stderr.count("\n") == 1


# Signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("arguments", ["", "demo --port 0"])
async def test_early_stop_is_acted_on(place: Deployment, arguments: str, number: int) -> None:
    """Config §12: a stop before anything is loaded is one like any other, for the demo as well."""
    go_on = place.delay_module("logging")
    with place.start(*arguments.split()) as program:
        await program.says("loading logging")
        program.send(number)
        go_on()
        assert await program.ends() == 0
        assert "draining" in program.log


async def test_early_reload_is_acted_on(place: Deployment) -> None:
    """Config §14 X9: a reload that is asked for before anything is loaded ends nothing."""
    go_on = place.delay_module("logging")
    with place.start() as program:
        await program.says("loading logging")
        program.send(signal.SIGHUP)
        go_on()
        await program.says("configuration reloaded")
        assert await program.end() == 0


async def test_demo_ends_with_its_terminal(place: Deployment) -> None:
    """Config §12: a reload of nothing is none, so a hang-up ends the demo, early or late."""
    go_on = place.delay_module("logging")
    for is_early in (True, False):
        with place.start("demo", "--port", "0") as program:
            await program.says("loading logging" if is_early else "curl")
            program.send(signal.SIGHUP)
            go_on()
            assert await program.ends() == -signal.SIGHUP


HANGING = """
import sys, threading
from busbar_fast import boot
boot.main([])
threading.Thread(target=threading.Event().wait).start()
sys.stderr.write("over\\n")
"""


async def test_third_stop_ends_an_end_that_hangs(place: Deployment) -> None:
    """Config §3: when the loop is gone and something holds the process up, the third stop is still heard."""
    with place.start(python=("-c", HANGING)) as program:
        await program.is_up()
        program.send(signal.SIGTERM)
        await program.says("over\n")
        looks = itertools.count()

        def is_killed() -> bool:
            if next(looks) % 100 == 0:  # two at once count as one
                program.send(signal.SIGTERM)
            return program.child.poll() is not None

        await until(is_killed)
        assert program.child.returncode == 130


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_command_can_be_interrupted(place: Deployment, number: int) -> None:
    """Config §3: what ends by itself ends at any signal as well, before and after it was loaded."""
    go_on = place.delay_module("logging")
    with place.start("--validate") as program:
        await program.says("loading logging")
        program.send(number)
        go_on()
        assert await program.ends() == -number
    (place.folder / "gate").unlink()
    (place.folder / "delayed").rename(place.folder / "given-way")
    place.delay_module("yaml")
    with place.start("--validate") as program:
        await program.says("loading yaml")
        assert await program.end(number) == -number


# Standard descriptors


COMBINATIONS = [closed for size in (1, 2, 3) for closed in itertools.combinations(range(3), size)]


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
async def test_signal_that_asks_for_nothing_is_ignored(place: Deployment, number: int) -> None:
    """Operations §4: signals that other programs reopen their logs for do not end this one."""
    with place.start() as program:
        await program.is_up()
        program.send(number)
        assert await program.get("/livez") == (200, b"ok")
        assert await program.end() == 0


@pytest.mark.parametrize("closed", COMBINATIONS)
async def test_closed_descriptors_are_no_reason_to_fail(place: Deployment, closed: tuple[int, ...]) -> None:
    """Operations §10: whichever of the standard three are missing, the gateway serves and ends with 0."""
    listen = closed_port()
    place.write(GOOD.replace("127.0.0.1:0", f"127.0.0.1:{listen}"))
    closing = " ".join(f"{number}>&-" for number in closed)
    words = ["/bin/sh", "-c", f"exec {sys.executable} -m busbar_fast {closing}"]
    null = subprocess.DEVNULL
    with subprocess.Popen(  # noqa: ASYNC220  starts at once
        words, cwd=ROOT, env=place.environ, stdin=null, stdout=null, stderr=null
    ) as child:
        try:
            await until(lambda: is_listening(listen) or child.poll() is not None)
            child.send_signal(signal.SIGTERM)
            await until(lambda: child.poll() is not None)
        finally:
            child.kill()
    assert child.returncode == 0


def is_listening(port: int) -> bool:
    """Say whether somebody listens on a port."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


# The terminal


async def test_person_at_a_terminal_is_greeted(place: Deployment) -> None:
    """Config §12: a terminal gets a banner with name, version, address, counts and where to look; a file does not."""
    ours, theirs = pty.openpty()
    words = [sys.executable, *PLAIN]
    with subprocess.Popen(words, cwd=ROOT, env=place.environ, stderr=theirs) as child:  # noqa: ASYNC220  as above
        os.close(theirs)
        os.set_blocking(ours, False)
        shown = bytearray()
        try:
            await until(lambda: b"--help" in read_more(ours, shown) or child.poll() is not None)
            child.send_signal(signal.SIGTERM)
            await until(lambda: bool(read_more(ours, shown)) and child.poll() is not None)
        finally:
            child.kill()
            os.close(ours)
    _, _, banner = shown.decode().partition(f"busbar-fast {__version__} on http://127.0.0.1:")
    assert banner
    assert [word for word in ("pools: 1", "models: 2", "/stats", "docs/config.md") if word not in banner] == []
    assert child.returncode == 0
    with place.start() as program:
        await program.is_up()
        assert await program.end() == 0
        assert all(line.startswith(("20", "[warn] ")) for line in program.log.splitlines())


def read_more(descriptor: int, read: bytearray) -> bytearray:
    """Return what came on a descriptor so far."""
    try:
        read += os.read(descriptor, 65536)
    except OSError:  # nothing new, or the other side is gone
        return read
    return read


# The door


def test_taken_port_is_named(place: Deployment) -> None:
    """Config §6.1: a bind failure names the address and the reason of the system."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        place.write(GOOD.replace("127.0.0.1:0", listen))
        for _ in range(2):  # the second finds a snapshot
            done = place.run()
            check_end(done, 1)
            assert f"[error] cannot listen on {listen}: Address already in use" in done.stderr.splitlines()


@pytest.mark.parametrize("host", ["nobody.invalid", "192.0.2.1"])
def test_address_of_somebody_else_is_named(place: Deployment, host: str) -> None:
    """Config §6.1: a name that leads nowhere and an address that is not ours are told in one line."""
    place.write(GOOD.replace("127.0.0.1:0", f"{host}:0"))
    done = place.run()
    check_end(done, 1)
    assert done.stderr.splitlines()[-1].startswith(f"[error] cannot listen on {host}:0: ")


async def test_free_port_is_logged(place: Deployment) -> None:
    """Config §6.1: port 0 is a free port, and the log says which."""
    with place.start() as program:
        await program.is_up()
        assert program.port > 0
        assert await program.get("/livez") == (200, b"ok")
        assert await program.end(signal.SIGINT) == 0
