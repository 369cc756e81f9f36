"""TLS with clients, as the program speaks it: versions, client certificates, material from anywhere, its renewal."""

import asyncio
import re
import signal
import ssl
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from busbar_fast.mock.script import Script
from busbar_fast.mock.server import MockBackend
from tests.system.gateways import closed_port
from tests.system.programs import FAST, PLAIN, Deployment, Program, chat, leave
from tests.system.serving import Serve, until

CONFIG = """
listen: 127.0.0.1:<listen>
auth: {mode: none}
providers:
  up: {protocol: openai, base_url: "http://127.0.0.1:<port>", api_key: none}
models:
  m: {provider: up}
limits: {tls_handshake_timeout_secs: 1}
"""
FILES = "tls: {cert_file: <folder>/cert.pem, key_file: <folder>/key.pem}\n"
MUTUAL = "tls: {cert_file: <folder>/cert.pem, key_file: <folder>/key.pem, client_ca_file: <folder>/ca.pem}\n"
LIVE = b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)
V1_2, V1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Site:
    """A deployment with TLS, and the authority that its clients trust."""

    def __init__(self, folder: Path) -> None:
        self.place = Deployment(folder)
        self.authority = trustme.CA()
        self.folder = folder
        self.issue()

    def issue(self, name: str = "localhost") -> None:
        """Write new material."""
        made = self.authority.issue_cert(name, "127.0.0.1")
        (self.folder / "cert.pem").write_bytes(b"".join(pem.bytes() for pem in made.cert_chain_pems))
        (self.folder / "key.pem").write_bytes(made.private_key_pem.bytes())
        (self.folder / "key.pem").chmod(0o600)

    def write(self, tls: str, *, port: int = 9, listen: int = 0) -> None:
        """Write the deployment file."""
        self.place.write(CONFIG + tls, listen=listen, port=port, folder=self.folder)

    @contextmanager
    def start(self, tls: str, *, port: int = 9, python: tuple[str, ...] = PLAIN) -> Iterator[Program]:
        """Start a gateway."""
        self.write(tls, port=port)
        with self.place.start(python=python) as program:
            yield program

    def context(self, *, only: ssl.TLSVersion | None = None, alpn: str = "http/1.1") -> ssl.SSLContext:
        """Return what a client of ours uses."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.authority.configure_trust(context)
        context.set_alpn_protocols([alpn])
        if only is not None:
            context.minimum_version = context.maximum_version = only
        return context


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return a site with material."""
    return Site(tmp_path)


async def connect(program: Program, context: ssl.SSLContext, port: int = 0) -> Streams:
    """Open a connection and shake hands."""
    return await asyncio.open_connection("127.0.0.1", port or program.port, ssl=context, server_hostname="localhost")


async def ask(program: Program, context: ssl.SSLContext, raw: bytes = LIVE) -> bytes:
    """Return the start of an answer, on a connection of its own."""
    reader, writer = await connect(program, context)
    try:
        writer.write(raw)
        return await reader.readuntil(b"\r\n\r\n")
    finally:
        writer.close()


async def is_served(program: Program, context: ssl.SSLContext) -> bool:
    """Say whether a client gets its answer; whoever is refused may learn of it by reading only."""
    try:
        return (await ask(program, context)).startswith(b"HTTP/1.1 200 ")
    except (OSError, asyncio.IncompleteReadError):
        return False


def session(streams: Streams) -> ssl.SSLObject:
    """Return what was agreed on."""
    found = streams[1].get_extra_info("ssl_object")
    assert isinstance(found, ssl.SSLObject)
    return found


def serial(streams: Streams) -> str:
    """Return which certificate was shown."""
    shown = session(streams).getpeercert()
    assert shown
    return str(shown["serialNumber"])


# Versions


@pytest.mark.parametrize("python", [PLAIN, FAST])
async def test_both_versions_are_served(site: Site, serve: Serve, python: tuple[str, ...]) -> None:
    """Operations §13 case 3: 1.2 with an ECDHE and AEAD suite, 1.3, ALPN `http/1.1`, and a request through it all."""
    async with serve(MockBackend().serve) as upstream:
        for _ in range(2):  # cold and warm
            with site.start(FILES, port=upstream.port, python=python) as program:
                await program.is_up()
                assert "tls=true mtls=false" in program.log
                for version, name in ((V1_2, "TLSv1.2"), (V1_3, "TLSv1.3")):
                    streams = await connect(program, site.context(only=version))
                    agreed = session(streams)
                    assert (agreed.version(), agreed.selected_alpn_protocol()) == (name, "http/1.1")
                    suite = (agreed.cipher() or ("",))[0]
                    assert "GCM" in suite or "CHACHA20" in suite
                    assert "ECDHE" in suite or version is V1_3
                    streams[1].write(chat(b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'))
                    assert b" 200 " in await streams[0].readline()
                    streams[1].close()
                assert await program.end() == 0
        await leave(upstream)


def outdated(context: ssl.SSLContext) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")


def without_forward_secrecy(context: ssl.SSLContext) -> None:
    context.maximum_version = V1_2
    context.set_ciphers("AES128-GCM-SHA256")


def without_authentication_of_records(context: ssl.SSLContext) -> None:
    context.maximum_version = V1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256")


@pytest.mark.parametrize("weaken", [outdated, without_forward_secrecy, without_authentication_of_records])
async def test_weak_clients_are_refused(site: Site, weaken: Callable[[ssl.SSLContext], None]) -> None:
    """Operations §13 case 3: a refused handshake ends that connection only, with a line at DEBUG."""
    site.place.environ["BUSBAR_LOG"] = "debug"
    with site.start(FILES) as program:
        await program.is_up()
        weak = site.context()
        weaken(weak)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await connect(program, weak)
        await program.says("DEBUG connection from 127.0.0.1 failed: ")
        assert await is_served(program, site.context())
        assert await program.end() == 0


async def test_reason_of_a_failed_handshake_is_told(site: Site) -> None:
    """Operations §1, §12 "TCP health check": one that connects and leaves is a line at DEBUG with a reason, no more."""
    site.place.environ["BUSBAR_LOG"] = "debug"
    with site.start(FILES) as program:
        await program.is_up()
        _, writer = await asyncio.open_connection("127.0.0.1", program.port)
        writer.close()
        await program.says("DEBUG connection from 127.0.0.1 failed: ")
        assert re.search(r"failed: \S", program.log)
        assert await is_served(program, site.context())
        assert await program.end() == 0
        assert " ERROR " not in program.log.replace(" ERROR `none`", "")


async def test_plain_http_is_not_answered(site: Site) -> None:
    """Operations §1: bytes that are no TLS end the connection before a byte of HTTP is read."""
    with site.start(FILES) as program:
        await program.is_up()
        client = program.connect()
        client.send(LIVE)
        assert b"HTTP" not in await client.read_all()
        assert await is_served(program, site.context())
        assert await program.end() == 0


async def test_client_of_http2_is_told(site: Site) -> None:
    """Operations §1: a client that offers only `h2` gets no ALPN result, and its preface gets 505 and a close."""
    with site.start(FILES) as program:
        await program.is_up()
        reader, writer = streams = await connect(program, site.context(alpn="h2"))
        assert session(streams).selected_alpn_protocol() is None
        writer.write(PREFACE)
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 505 ")
        assert b"\r\nConnection: close\r\n" in answer
        writer.close()
        assert await program.end() == 0


async def test_stalled_handshakes_are_cut(site: Site) -> None:
    """Operations §13 case 5: clients that shake half a hand are cut at the limit, and keep nobody else waiting."""
    with site.start(FILES) as program:
        await program.is_up()
        stalled = [program.connect() for _ in range(60)]
        for client in stalled[::2]:
            client.send(b"\x16\x03\x01\x02\x00\x01")
        assert await is_served(program, site.context())
        for client in stalled:
            assert await client.read_all() == b""
        assert await program.end() == 0


# Client certificates


@pytest.mark.parametrize("version", [V1_2, V1_3])
async def test_client_certificate_is_required(site: Site, version: ssl.TLSVersion) -> None:
    """Operations §13 case 4: none and a foreign one are refused, the right one is served next."""
    clients = trustme.CA()
    clients.cert_pem.write_to_path(str(site.folder / "ca.pem"))
    with site.start(MUTUAL) as program:
        await program.is_up()
        assert "tls=true mtls=true" in program.log
        for authority, served in ((None, False), (trustme.CA(), False), (site.authority, False), (clients, True)):
            context = site.context(only=version)
            if authority is not None:
                authority.issue_cert("client@example.org").configure_cert(context)
            assert await is_served(program, context) == served
        assert await program.end() == 0


async def test_bundle_may_hold_comments_and_intermediates(site: Site) -> None:
    """Operations §1: any authority of the bundle is trusted, also one whose own issuer is not in it."""
    middle = trustme.CA().create_child_ca()
    other = trustme.CA()
    bundle = "# Türkçe\n".encode() + middle.cert_pem.bytes() + b"\xff\n" + other.cert_pem.bytes()
    (site.folder / "ca.pem").write_bytes(bundle)
    with site.start(MUTUAL) as program:
        await program.is_up()
        for authority in (middle, other):
            context = site.context()
            authority.issue_cert("client@example.org").configure_cert(context)
            assert await is_served(program, context)
        assert not await is_served(program, site.context())
        assert await program.end() == 0


# Where material comes from


async def test_material_may_come_from_variables(site: Site) -> None:
    """Config §14 X12: `{env: NAME}` holds PEM text, and no file is needed."""
    clients = trustme.CA()
    site.place.environ |= {
        "CERT": (site.folder / "cert.pem").read_text(),
        "KEY": (site.folder / "key.pem").read_text(),
        "CLIENTS": clients.cert_pem.bytes().decode(),
    }
    for name in ("cert.pem", "key.pem"):
        (site.folder / name).unlink()
    for _ in range(2):  # the second start is a warm one
        with site.start("tls: {cert: {env: CERT}, key: {env: KEY}, client_ca: {env: CLIENTS}}\n") as program:
            await program.is_up()
            context = site.context()
            clients.issue_cert("client@example.org").configure_cert(context)
            assert await is_served(program, context)
            assert not await is_served(program, site.context())
            assert await program.end() == 0
            assert "PRIVATE" not in program.log


def join(folder: Path) -> None:
    joined = (folder / "key.pem").read_bytes() + (folder / "cert.pem").read_bytes()
    for name in ("cert.pem", "key.pem"):
        (folder / name).write_bytes(joined)


def write_as(folder: Path, form: PrivateFormat, encryption: KeySerializationEncryption) -> None:
    key = load_pem_private_key((folder / "key.pem").read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, form, encryption))


def keep(folder: Path) -> None:
    assert b"-----BEGIN EC PRIVATE KEY-----" in (folder / "key.pem").read_bytes()


def wrap(folder: Path) -> None:
    write_as(folder, PrivateFormat.PKCS8, NoEncryption())
    assert b"-----BEGIN PRIVATE KEY-----" in (folder / "key.pem").read_bytes()


@pytest.mark.parametrize("change", [keep, wrap, join])
async def test_each_form_of_a_key_is_taken(site: Site, change: Callable[[Path], None]) -> None:
    """Operations §1: SEC1, PKCS#8, and one file that holds the chain and the key."""
    change(site.folder)
    with site.start(FILES) as program:
        await program.is_up()
        assert await is_served(program, site.context())
        assert await program.end() == 0


async def test_rsa_key_is_taken(site: Site) -> None:
    """Operations §1: PKCS#1, the old form of an RSA key."""
    site.authority = trustme.CA(key_type=trustme.KeyType.RSA)
    made = site.authority.issue_cert("localhost", key_type=trustme.KeyType.RSA)
    (site.folder / "cert.pem").write_bytes(made.cert_chain_pems[0].bytes())
    (site.folder / "key.pem").write_bytes(made.private_key_pem.bytes())
    assert b"-----BEGIN RSA PRIVATE KEY-----" in made.private_key_pem.bytes()
    with site.start(FILES) as program:
        await program.is_up()
        assert await is_served(program, site.context())
        assert await program.end() == 0


def remove(folder: Path) -> None:
    (folder / "key.pem").unlink()


def empty(folder: Path) -> None:
    (folder / "key.pem").write_bytes(b"")


def garble(folder: Path) -> None:
    (folder / "key.pem").write_bytes(b"-----BEGIN PRIVATE KEY-----\nsecret-bytes\n-----END PRIVATE KEY-----\n")


def encrypt(folder: Path) -> None:
    write_as(folder, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))


def swap(folder: Path) -> None:
    (folder / "key.pem").write_bytes(trustme.CA().issue_cert("other").private_key_pem.bytes())


@pytest.mark.parametrize("damage", [remove, empty, garble, encrypt, swap])
def test_unusable_key_refuses_a_start(site: Site, damage: Callable[[Path], None]) -> None:
    """Operations §13 case 1: field and path are named, nobody is asked for a password, no byte of a key is shown."""
    damage(site.folder)
    site.write(FILES)
    for arguments in ((), ("--validate",)):
        done = site.place.run(*arguments)
        errors = [line for line in done.stderr.splitlines() if line.startswith("[error] ")]
        assert (done.returncode, len(errors)) == (1, 1)
        assert "tls.key_file" in errors[0]
        assert str(site.folder / "key.pem") in errors[0]
        assert "PRIVATE" not in done.stderr
        assert "secret-bytes" not in done.stderr
    assert (str(site.folder / "cert.pem") in errors[0]) == (damage is swap)


@pytest.mark.parametrize("name", ["cert", "client_ca"])
def test_unusable_certificates_refuse_a_start(site: Site, name: str) -> None:
    """Operations §13 case 1: every file that is unfit is named with its field, all at once."""
    (site.folder / "ca.pem").write_bytes(b"nothing")
    (site.folder / "cert.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n")
    site.write(MUTUAL)
    done = site.place.run()
    assert done.returncode == 1
    file = {"cert": "cert.pem", "client_ca": "ca.pem"}[name]
    assert any(f"tls.{name}_file: " in line and file in line for line in done.stderr.splitlines())


def test_typing_error_never_turns_client_certificates_off(site: Site) -> None:
    """Operations §13 case 2: `client_ca_fle` is an unknown key, with a hint."""
    site.write(MUTUAL.replace("client_ca_file", "client_ca_fle"))
    done = site.place.run()
    assert done.returncode == 1
    assert "tls.client_ca_fle: unknown key" in done.stderr
    assert "client_ca_file" in done.stderr


# Renewal


async def test_new_material_is_for_new_handshakes(site: Site, serve: Serve) -> None:
    """Operations §13 case 6: after SIGHUP the new certificate is shown while a running stream goes on unbroken."""
    async with serve(MockBackend(lambda _: Script(deltas=8, delay_frame_ms=60)).serve) as upstream:
        with site.start(FILES, port=upstream.port) as program:
            await program.is_up()
            reader, writer = old = await connect(program, site.context())
            writer.write(chat(b'{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}]}'))
            await reader.readuntil(b"data: ")
            site.issue()
            program.send(signal.SIGHUP)
            await program.says("configuration reloaded")
            new = await connect(program, site.context())
            assert serial(new) != serial(old)
            assert b"[DONE]" in await reader.readuntil(b"\r\n0\r\n\r\n")
            writer.write(LIVE)
            assert b" 200 " in await reader.readline()
            for streams in (old, new):
                streams[1].close()
            assert await program.end() == 0
        await leave(upstream)


@pytest.mark.parametrize("damage", [remove, garble, encrypt, swap])
async def test_broken_material_leaves_the_old(site: Site, damage: Callable[[Path], None]) -> None:
    """Operations §13 case 6: with a file that is broken the old certificate stays, and an error line names the file."""
    with site.start(FILES) as program:
        await program.is_up()
        before = await connect(program, site.context())
        damage(site.folder)
        program.send(signal.SIGHUP)
        await program.says("was not reloaded")
        assert f"{site.folder}/key.pem" in program.log
        after = await connect(program, site.context())
        assert serial(before) == serial(after)
        site.issue()
        program.send(signal.SIGHUP)
        await program.says("configuration reloaded")
        renewed = await connect(program, site.context())
        assert serial(renewed) != serial(before)
        for streams in (before, after, renewed):
            streams[1].close()
        assert await program.end() == 0


async def test_client_certificates_may_be_asked_for_later(site: Site) -> None:
    """Config §14 X9: a reload may add or drop the authority of clients, but not TLS itself, which is W24."""
    clients = trustme.CA()
    clients.cert_pem.write_to_path(str(site.folder / "ca.pem"))
    with site.start(FILES) as program:
        await program.is_up()
        for number, (tls, served) in enumerate(((MUTUAL, False), (FILES, True), ("", True)), start=1):
            site.write(tls)
            program.send(signal.SIGHUP)
            await program.says("configuration reloaded", number)
            assert await is_served(program, site.context()) == served
            assert program.log.count("path=tls id=W24") == (0 if tls else 1)
        assert await program.end() == 0


async def test_tls_is_not_turned_on_by_a_reload(site: Site) -> None:
    """Config §14 X9: a listener that began without TLS goes on without it, and says so at each reload."""
    with site.start("") as program:
        await program.is_up()
        for number in (1, 2):
            site.write(FILES)
            program.send(signal.SIGHUP)
            await program.says("configuration reloaded", number)
            assert program.log.count("path=tls id=W24") == number
            assert await program.get("/livez") == (200, b"ok")
        assert await program.end() == 0


async def test_files_are_looked_at_by_themselves(site: Site) -> None:
    """Operations §1: with `reload_interval_secs` a changed file is taken without any signal."""
    with site.start(FILES.replace("}", ", reload_interval_secs: 1}")) as program:
        await program.is_up()
        before = await connect(program, site.context())
        site.issue()
        await program.says("TLS material renewed")
        after = await connect(program, site.context())
        assert serial(after) != serial(before)
        for streams in (before, after):
            streams[1].close()
        assert await program.end() == 0


# Start and end


async def test_client_of_a_warm_start_waits_in_the_queue(site: Site) -> None:
    """Design §5: with TLS the porch only listens, and who came early is served when the engine is there."""
    listen = closed_port()
    site.write(FILES, listen=listen)
    assert site.place.run("--validate").returncode == 0
    go_on = site.place.delay_module("logging")
    with site.place.start() as program:
        await program.says("loading logging")
        early = asyncio.ensure_future(connect(program, site.context(), listen))
        go_on()
        reader, writer = await early
        writer.write(LIVE)
        assert b" 200 " in await reader.readline()
        writer.close()
        assert await program.end() == 0


async def test_changed_certificate_is_a_cold_start(site: Site) -> None:
    """Design §5: TLS files are inputs of the snapshot, so a start with other ones reads everything anew."""
    site.place.delay_module("yaml")()
    for is_cold in (True, False, True):
        if is_cold:
            site.issue()
        with site.start(FILES) as program:
            await program.is_up()
            assert ("loading yaml" in program.log) == is_cold
            assert await program.end() == 0


async def test_health_check_speaks_tls(site: Site) -> None:
    """Config §14 X2: `--healthcheck` learns of TLS from the file, and does not care who certified it."""
    listen = closed_port()
    site.write(FILES, listen=listen)
    with site.place.start() as program:
        await program.is_up()
        done = site.place.run("--healthcheck")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert await program.end() == 0
    assert site.place.run("--healthcheck").returncode == 1


async def test_health_check_is_not_asked_who_it_is(site: Site) -> None:
    """Config §14 X2: a gateway that wants a certificate of its clients lives, although the check has none to show."""
    listen = closed_port()
    trustme.CA().cert_pem.write_to_path(str(site.folder / "ca.pem"))
    site.write(MUTUAL, listen=listen)
    assert site.place.run("--healthcheck").returncode == 1
    with site.place.start() as program:
        await program.is_up()
        done = site.place.run("--healthcheck")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert await program.end() == 0


async def test_idle_connections_end_with_the_gateway(site: Site) -> None:
    """Operations §12: an idle connection over TLS holds nothing up when the gateway leaves."""
    with site.start(FILES) as program:
        await program.is_up()
        reader, writer = await connect(program, site.context())
        writer.write(LIVE)
        assert b" 200 " in await reader.readline()
        program.send(signal.SIGTERM)
        assert (await reader.read()).endswith(b"ok")
        writer.close()
        assert await program.ends() == 0
        await until(lambda: "busbar-fast ends" in program.log)


async def test_stream_gets_its_last_word_over_tls(site: Site, serve: Serve) -> None:
    """Operations §13 case 38: at a second signal a stream ends natively, over TLS as well, and the process with 0."""
    async with serve(MockBackend(lambda _: Script(stall_at=400)).serve) as upstream:
        with site.start(FILES, port=upstream.port) as program:
            await program.is_up()
            reader, writer = await connect(program, site.context())
            writer.write(chat(b'{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}]}'))
            await reader.readuntil(b"data: ")
            program.send(signal.SIGTERM)
            await program.says("draining in_progress=1")
            program.send(signal.SIGTERM)
            rest = await reader.readuntil(b"data: [DONE]\n\n\r\n0\r\n\r\n")
            assert b'"type":"server_error"' in rest
            writer.close()
            assert await program.ends() == 0
        await leave(upstream)
