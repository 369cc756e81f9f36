"""The command line: what was asked for is done here, from the first check to the exit code. The only place that prints.

A start without a snapshot comes through `main`, one from the porch through `serve_handover`; both end in the same run.
What only some commands need is imported by them.
"""

import asyncio
import atexit
import gc
import logging
import marshal
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TextIO

from busbar_fast import __version__, boot
from busbar_fast import options as words
from busbar_fast.config.complaints import Complaint
from busbar_fast.config.inputs import Inputs
from busbar_fast.config.record import pack, unpack
from busbar_fast.config.schema import Config, Listen
from busbar_fast.config.secrets import NoSecret
from busbar_fast.errors import BusbarError
from busbar_fast.gateway.certificates import new_context
from busbar_fast.gateway.engine import Engine, Parked
from busbar_fast.gateway.narration import build, tell_listening, tell_start, tell_warnings
from busbar_fast.gateway.reload import Reloads
from busbar_fast.observe.log import fields, set_up
from busbar_fast.wire.listener import bind
from busbar_fast.wire.parsers import HeadParser, choose_parser

if TYPE_CHECKING:
    from busbar_fast.config.glimpse import Door
    from busbar_fast.config.load import Loaded

_log = logging.getLogger("busbar_fast")

# What a connection begins with that comes for nobody but itself.
_FOR_NOBODY = {"off": b"", "v1": b"PROXY UNKNOWN\r\n", "v2": b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"}
_LIVE = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_LIVE_LIMIT_S = 5.0
_WELL = b"HTTP/1.1 200 "

BANNER = """
busbar-fast {version} on {origin}   (Ctrl-C ends it)

  pools: {pools}   models: {models}   what can be asked for: {origin}/v1/models
  live numbers: {origin}/stats   for Prometheus: {origin}/metrics
  manual: busbar-fast --help, and docs/config.md beside the source

"""


class Start(NamedTuple):
    """What a gateway starts with. `signals` came before anybody could act on them."""

    config: Config
    warnings: Iterable[Complaint]
    inputs: Inputs
    door: socket.socket
    options: words.Options
    signals: list[int]
    parked: Iterable[Parked] = ()


def main(arguments: list[str], signals: list[int]) -> None:
    """Run the command line; ends the process with its exit code. Signals are being noted in a list."""
    try:
        options = words.read_options(arguments)
    except words.Usage as usage:
        _complain(f"busbar-fast: {usage}; see busbar-fast --help")
        sys.exit(2)
    servers = {words.RUN: _run_gateway, words.DEMO: _run_demo}
    if options.action in servers:
        servers[options.action](options, signals)
        return
    _let_signals_end(signals)
    commands: dict[int, Callable[[words.Options], None]] = {
        words.VALIDATE: _validate,
        words.HEALTHCHECK: _check_health,
        words.BLOCKLIST: _print_blocklist,
        words.KEYS: _manage_keys,
        words.TOP: _watch_gateway,
        words.SHOW_HELP: lambda _: _print(words.HELP),
        words.SHOW_VERSION: lambda _: _print(f"{words.VERSION} ({build()})\n"),
    }
    commands[options.action](options)


def _let_signals_end(noted: list[int], numbers: Iterable[int] = boot.NOTED) -> None:
    """End at each of these signals from now on, and at once if there was one."""
    for number in numbers:
        signal.signal(number, signal.SIG_DFL)
        if number in noted:
            signal.raise_signal(number)


def serve_handover(handover: boot.Handover) -> None:
    """Run the gateway that the porch has been standing in for."""
    door = socket.socket(fileno=handover.door)
    door.setblocking(False)
    options = words.read_options(handover.arguments)
    found = _unpack(handover.payload)
    if found is None:  # as good as no snapshot, but somebody is at the door already
        loaded, config = _load_or_end(options)
        warnings, inputs = loaded.complaints.warnings, loaded.inputs
    else:
        loaded, inputs = None, Inputs(os.environ)
        config, warnings = found
    _introduce(config, warnings)
    if loaded is not None:
        _store(loaded, options)
    _run(Start(config, warnings, inputs, door, options, handover.signals, handover.parked))


def _unpack(payload: bytes) -> "tuple[Config, list[Complaint]] | None":
    """Return what a snapshot holds, None if it cannot be used."""
    try:
        packed_config, packed_warnings = marshal.loads(payload)  # noqa: S302  checked by whoever read it
        config, warnings = unpack(packed_config), unpack(packed_warnings)
    except (ValueError, EOFError, TypeError, LookupError, AttributeError):
        return None
    is_whole = isinstance(config, Config) and isinstance(warnings, tuple)
    return (config, list(warnings)) if is_whole and all(isinstance(one, Complaint) for one in warnings) else None


# Running


def _run_gateway(options: words.Options, signals: list[int]) -> None:
    loaded, config = _load_or_end(options)
    _introduce(config, loaded.complaints.warnings)
    _store(loaded, options)
    door = _open_door(config.listen, shares_port=config.server.reuse_port)
    _run(Start(config, loaded.complaints.warnings, loaded.inputs, door, options, signals))


def _run_demo(options: words.Options, signals: list[int]) -> None:
    from busbar_fast.demo import serve_demo  # noqa: PLC0415  brings the mock backend with it

    _let_signals_end(signals, (signal.SIGHUP,))  # there is nothing to reload, and the terminal may be gone
    set_up(os.environ.get("BUSBAR_LOG"), is_json=False)
    parser = _choose_parser()
    door = _open_door(Listen(host=options.host, port=options.port))

    async def serve() -> None:
        await serve_demo(door, parser, _watch_stops(signals), lambda text: _print(text + "\n"))

    _run_loop(serve, signals)


def _introduce(config: Config, warnings: Iterable[Complaint]) -> None:
    """Set the log up, and tell what was configured before anything is made of it."""
    _set_up_log(config)
    tell_start(config)
    tell_warnings(warnings)


def _run(start: Start) -> None:
    # Keys and prompts are in our memory: a crash must not leave them in a file.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in (signal.SIGUSR1, signal.SIGUSR2):  # they ask for nothing here, and would end the process
        signal.signal(number, signal.SIG_IGN)
    _run_loop(lambda: _serve(start), start.signals)


def _run_loop(serve: Callable[[], Coroutine[Any, Any, None]], signals: list[int]) -> None:
    """Run on uvloop, or on the stock loop where uvloop is missing."""
    try:
        import uvloop  # noqa: PLC0415  optional: not every platform has it
    except ModuleNotFoundError:
        asyncio.run(serve())
    else:
        uvloop.run(serve())
    boot.note_signals(signals)  # the loop took its handlers with it
    atexit.register(_ignore_stops)  # called when no thread is waited for any more


def _ignore_stops() -> None:
    """Ignore stops from now on: all is done, and the interpreter, which is being taken down, would die of them."""
    for stop in boot.STOPS:
        signal.signal(stop, signal.SIG_IGN)


async def _serve(start: Start) -> None:
    """Serve until a signal, then leave in order."""
    config, options = start.config, start.options
    loop = asyncio.get_running_loop()
    try:
        engine = Engine(config, start.inputs, loop, _choose_parser())
    except (OSError, NoSecret) as error:
        _fail(f"{config.config_file}: {'tls: ' if isinstance(error, OSError) else ''}{error}")
    except BusbarError as error:
        from busbar_fast.governance.sealing import BadSeal  # noqa: PLC0415  here alone

        rules = config.governance
        place = f"secret_key_env: {rules.secret_key_env}" if isinstance(error, BadSeal) else f"db_path: {rules.db_path}"
        _fail(f"{config.config_file}: governance.{place}: {error}")
    reloads = Reloads(engine, lambda: _load(options), lambda loaded: _settle(loaded, options))
    stops = _watch_stops(start.signals)
    loop.add_signal_handler(signal.SIGHUP, reloads.ask)
    if config.governance.enabled and config.governance.admin_listen is not None:
        engine.open_back(_open_door(config.governance.admin_listen))
        host, port = engine.back_addresses[0]
        _log.info("operators listening", extra=fields(listen=str(Listen(host=host, port=port))))
    engine.open(start.door, start.parked)
    gc.freeze()  # what a start makes stays; without it each full collection takes 5 ms (gc.collect(), 3.11, 2026-11)
    address = str(Listen(host=engine.addresses[0][0], port=engine.addresses[0][1]))
    tell_listening(config, address)
    if sys.stderr is not None and sys.stderr.isatty():
        _greet(config, address)
    if signal.SIGHUP in start.signals:
        reloads.ask()
    first = await stops.get()
    reloads.cancel()
    await engine.end(stops, first)
    _log.info("busbar-fast ends")
    _note_stops(start.signals)


def _settle(loaded: "Loaded", options: words.Options) -> None:
    """Follow a reload with what lies outside the engine."""
    assert loaded.config is not None  # nothing else comes into force
    _set_up_log(loaded.config)
    _store(loaded, options)


def _greet(config: Config, address: str) -> None:
    """Tell a person at a terminal what runs here; everybody else has the log."""
    origin = f"{'http' if config.tls is None else 'https'}://{address}"
    text = BANNER.format(version=__version__, origin=origin, pools=len(config.pools), models=len(config.models))
    _write(sys.stderr, text)


def _watch_stops(noted: list[int]) -> "asyncio.Queue[int]":
    """Return a queue that gets every SIGTERM and SIGINT, those that were noted first; the third ends the process."""
    stops = asyncio.Queue[int]()

    def note(number: int) -> None:
        boot.note_signal(noted, number)
        stops.put_nowait(number)

    loop = asyncio.get_running_loop()
    for stop in boot.STOPS:
        loop.add_signal_handler(stop, note, stop)
    for number in noted:
        if number in boot.STOPS:
            stops.put_nowait(number)
    return stops


def _note_stops(noted: list[int]) -> None:
    """Note what comes from now on, before the loop closes: it would leave nobody behind who takes a signal."""
    for number in boot.NOTED:
        asyncio.get_running_loop().remove_signal_handler(number)
        boot.note_signals(noted)  # at once: one without a handler would end the process


def _choose_parser() -> HeadParser:
    try:
        return choose_parser(os.environ.get("BUSBAR_HTTP_PARSER") or None)
    except (ValueError, ModuleNotFoundError) as error:
        _fail(str(error))


def _open_door(listen: Listen, *, shares_port: bool = False) -> socket.socket:
    """Return the listening socket, or end with a word about why there is none."""
    try:
        return bind(listen.host, listen.port, reuse_port=shares_port)
    except OSError as error:
        _fail(f"cannot listen on {listen}: {error.strerror or error}")
    except ValueError:
        _fail(f"cannot listen on {listen}: no such host name is possible")


def _set_up_log(config: Config) -> None:
    form = os.environ.get("BUSBAR_LOG_FORMAT") or config.observability.log_format
    set_up(os.environ.get("BUSBAR_LOG") or os.environ.get("RUST_LOG"), is_json=form == "json")


# Printing


def _fail(reason: str) -> NoReturn:
    _complain(f"[error] {reason}")
    sys.exit(1)


def _complain(line: str) -> None:
    """Write a line to stderr, if there is one that can be written to."""
    _write(sys.stderr, f"{_plain(line)}\n")


def _print(text: str) -> None:
    """Write what was asked for to stdout, or end with a word about why that cannot be done."""
    failure = _write(sys.stdout, text)
    if failure is not None:
        _fail(f"cannot write to stdout: {failure.strerror or failure}")


def _write(stream: TextIO | None, text: str) -> OSError | None:
    """Write a text; return why that cannot be done. What is left of it is dropped, lest it disturb the end."""
    if stream is None:  # closed before we were started
        return None
    try:
        stream.write(text)
        stream.flush()
    except OSError as failure:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        return failure
    return None


def _plain(text: str) -> str:
    """Return a text of one line that a terminal shows as it is."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


# The configuration


def _load(options: words.Options) -> "Loaded":
    from busbar_fast.config.files import find_catalog, find_config  # noqa: PLC0415  a warm start needs none of it
    from busbar_fast.config.load import load  # noqa: PLC0415  brings YAML with it
    from busbar_fast.config.vocabulary import Vocabulary  # noqa: PLC0415  as above
    from busbar_fast.dialects.registry import DIALECTS, MODEL_OPTIONS, SPECIAL_OPTIONS  # noqa: PLC0415  as above
    from busbar_fast.ir.report import FIELDS  # noqa: PLC0415  as above

    config_file, catalog_file = find_config(options.config, os.environ), find_catalog(options.providers, os.environ)
    vocabulary = Vocabulary(DIALECTS, MODEL_OPTIONS, _complaint_of_script, FIELDS, SPECIAL_OPTIONS)
    return load(config_file, catalog_file, os.environ, vocabulary)


def _complaint_of_script(source: str) -> str:
    from busbar_fast.reliability.policies.script import complaint_of_script  # noqa: PLC0415  few pools have a script

    return complaint_of_script(source)


def _load_or_end(options: words.Options) -> "tuple[Loaded, Config]":
    """Return a configuration to start with, or end with a line for everything that is wrong."""
    loaded = _load(options)
    complaints = loaded.complaints
    warnings = complaints.warnings if options.is_strict else []
    _refuse([*complaints.errors, *complaints.unavailable, *warnings])
    assert loaded.config is not None  # no error, so it was made
    return loaded, loaded.config


def _store(loaded: "Loaded", options: words.Options) -> None:
    """Keep the checked configuration for the next start, where there is a place for it."""
    from busbar_fast.config.files import find_catalog  # noqa: PLC0415  a warm start needs none of it

    config = loaded.config
    assert config is not None  # nothing else is stored
    catalog_file = find_catalog(options.providers, os.environ) or ""
    place = boot.snapshot_place(config.config_file, catalog_file, os.environb)
    if place is None:
        return
    server = config.server
    facts = boot.PorchFacts(
        config.listen.host,
        config.listen.port,
        is_http=config.tls is None and server.proxy_protocol == "off",
        has_lanes=bool(config.models),
        shares_port=server.reuse_port,
    )
    payload: Any = (pack(config), pack(tuple(loaded.complaints.warnings)))
    if not boot.store(place, loaded.inputs.seen, facts, marshal.dumps(payload)):
        _log.debug("no snapshot was written to %s", place)


def _refuse(complaints: Iterable[Complaint]) -> None:
    """End with a line for each complaint, if there is any."""
    lines = [f"[error] {complaint}" for complaint in complaints]
    for line in lines:
        _complain(line)
    if lines:
        sys.exit(1)


def _validate(options: words.Options) -> None:
    loaded = _load(options)
    complaints = loaded.complaints
    for warning in (*complaints.warnings, *complaints.unavailable):
        _complain(f"[warn] {warning}")
    _refuse(complaints.errors)
    config = loaded.config
    assert config is not None  # no error, so it was made
    _try_certificates(config, loaded.inputs)
    if options.is_strict and (complaints.warnings or complaints.unavailable):
        sys.exit(1)
    if not complaints.unavailable:
        _store(loaded, options)
    lines = [
        f"ok: {len(config.providers)} providers, {len(config.models)} models, {len(config.pools)} pools",
        f"config {config.config_file}",
        f"catalog {config.catalog_file or 'inside the package'}",
    ]
    _print("".join(f"{_plain(line)}\n" for line in lines))


def _try_certificates(config: Config, inputs: Inputs) -> None:
    """End with a word about TLS material that is well-formed and that OpenSSL refuses all the same, a weak key say."""
    if config.tls is None:
        return
    try:
        new_context(config.tls, inputs)
    except (OSError, NoSecret) as error:
        _fail(f"{config.config_file}: tls: {error}")


def _manage_keys(options: words.Options) -> None:
    from busbar_fast import keys_command  # noqa: PLC0415  only here

    _run_subcommand(keys_command.run, options.rest)


def _watch_gateway(options: words.Options) -> None:
    from busbar_fast.top import command, terminal  # noqa: PLC0415  only here

    try:
        _run_subcommand(command.run, options.rest)
    except terminal.Ended as ended:
        if ended.number != signal.SIGINT:
            signal.raise_signal(ended.number)


def _run_subcommand(run: Callable[[list[str]], str], rest: list[str]) -> None:
    """Print what a command that talks to a running gateway returns, or end with its word about why there is nothing."""
    from busbar_fast import subcommand  # noqa: PLC0415  only here

    try:
        _print(run(rest))
    except subcommand.Asked as asked:
        _print(str(asked))
    except subcommand.Misused as misused:
        _complain(str(misused))
        sys.exit(2)
    except subcommand.Failed as failed:
        _fail(str(failed))


def _check_health(options: words.Options) -> None:
    from busbar_fast.config.files import find_config  # noqa: PLC0415  only here
    from busbar_fast.config.glimpse import glimpse_door  # noqa: PLC0415  only here

    signal.signal(signal.SIGALRM, _end_wait)
    signal.setitimer(signal.ITIMER_REAL, _LIVE_LIMIT_S)  # for all of it, reading the file included
    try:
        door = glimpse_door(find_config(options.config, os.environ), Inputs(os.environ))
    except (ValueError, TimeoutError) as error:
        _fail(str(error))
    failure = _check_life(door)
    if failure:
        _fail(f"{door.listen}: {failure}")


def _check_life(door: "Door") -> str:
    """Return why nobody lives at an address, "" if somebody does.

    A gateway that wants certificates of its clients hangs up on us, with or without an alert, and not before it has
    shaken hands: that is as good a sign of life as an answer.
    """
    has_shaken, answer, listen = False, b"", door.listen
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)  # noqa: S104  what a wildcard means here
    try:
        with socket.create_connection((host, listen.port)) as plain:
            plain.sendall(_FOR_NOBODY[door.proxy_protocol])
            sock = _secured(plain) if door.is_tls else plain
            has_shaken = door.is_tls
            sock.sendall(_LIVE)
            while len(answer) < len(_WELL) and (piece := sock.recv(64)):
                answer += piece
    except OSError as error:
        if isinstance(error, TimeoutError) or not has_shaken or answer:
            return error.strerror or str(error)
    except ValueError:
        return "no such host name is possible"
    is_live = answer.startswith(_WELL) or (has_shaken and not answer)
    return "" if is_live else f"answered {answer[:40]!r}"


def _end_wait(_number: int, _frame: object) -> NoReturn:
    raise TimeoutError("no answer in time")


def _secured(plain: socket.socket) -> socket.socket:
    """Speak TLS to ourselves; whose certificate it is does not matter here."""
    import ssl  # noqa: PLC0415  only here

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain)


def _print_blocklist(options: words.Options) -> None:
    from busbar_fast.config.files import find_config  # noqa: PLC0415  only here
    from busbar_fast.config.glimpse import glimpse_security  # noqa: PLC0415  only here
    from busbar_fast.config.guards import denylist  # noqa: PLC0415  only here

    entries = list(denylist())
    try:
        security = glimpse_security(find_config(options.config, os.environ), Inputs(os.environ))
    except ValueError:
        _complain("the deployment file cannot be read: its own entries are missing here")
    else:
        entries += security.blocked_metadata_hosts
        for entry in security.allow_metadata_hosts:
            _complain(f"allowed by the configuration: {entry}")
        if security.allow_all_metadata:
            _complain("allowed by the configuration: everything")
    _print("".join(f"{entry}\n" for entry in entries))
