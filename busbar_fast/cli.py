"""The command line: what was asked for is done here, from the first check to the exit code. The only place that prints.

A start without a snapshot comes through `main`, one from the porch through `serve_handover`; both end in the same run.
What only some commands need is imported by them.
"""

import asyncio
import logging
import marshal
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from busbar_fast import options as words
from busbar_fast.config.complaints import Complaint
from busbar_fast.config.inputs import Inputs
from busbar_fast.config.record import pack, unpack
from busbar_fast.config.schema import Config, Listen
from busbar_fast.config.secrets import NoSecret
from busbar_fast.gateway.certificates import new_context
from busbar_fast.gateway.engine import Engine, Parked
from busbar_fast.gateway.narration import tell_listening, tell_start, tell_warnings
from busbar_fast.gateway.reload import Reloads
from busbar_fast.observe.log import set_up
from busbar_fast.wire.listener import bind
from busbar_fast.wire.parsers import HeadParser, choose_parser

if TYPE_CHECKING:
    from busbar_fast.boot import Handover
    from busbar_fast.config.load import Loaded

_log = logging.getLogger("busbar_fast")

_STOPS = (signal.SIGTERM, signal.SIGINT)
_LIVE = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_LIVE_LIMIT_S = 5.0
_WELL = b"HTTP/1.1 200 "
_KILLED = 130


class Start(NamedTuple):
    """What a gateway starts with. `signals` came before anybody could act on them."""

    config: Config
    warnings: Iterable[Complaint]
    inputs: Inputs
    door: socket.socket
    options: words.Options
    signals: list[int]
    parked: Iterable[Parked] = ()


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; ends the process with its exit code."""
    try:
        options = words.read_options(sys.argv[1:] if arguments is None else arguments)
    except words.Usage as usage:
        print(f"busbar-fast: {usage}; see busbar-fast --help", file=sys.stderr)
        sys.exit(2)
    actions: dict[int, Callable[[words.Options], None]] = {
        words.RUN: _run_gateway,
        words.VALIDATE: _validate,
        words.HEALTHCHECK: _check_health,
        words.BLOCKLIST: _print_blocklist,
        words.DEMO: _run_demo,
        words.SHOW_HELP: lambda _: print(words.HELP, end=""),
        words.SHOW_VERSION: lambda _: print(words.VERSION),
    }
    actions[options.action](options)


def serve_handover(handover: "Handover") -> None:
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


def _run_gateway(options: words.Options) -> None:
    signals = _note_signals()
    loaded, config = _load_or_end(options)
    _introduce(config, loaded.complaints.warnings)
    _store(loaded, options)
    door = _open_door(config.listen)
    _run(Start(config, loaded.complaints.warnings, loaded.inputs, door, options, signals))


def _run_demo(options: words.Options) -> None:
    from busbar_fast.demo import serve_demo  # noqa: PLC0415  brings the mock backend with it

    set_up(os.environ.get("BUSBAR_LOG"), is_json=False)
    parser = _choose_parser()
    door = _open_door(Listen(host=options.host, port=options.port))

    async def serve() -> None:
        stops = _watch_stops([])
        await serve_demo(door, parser, stops, lambda text: print(text, flush=True))

    _run_loop(serve)


def _introduce(config: Config, warnings: Iterable[Complaint]) -> None:
    """Set the log up, and tell what was configured before anything is made of it."""
    _set_up_log(config)
    tell_start(config)
    tell_warnings(warnings)


def _run(start: Start) -> None:
    _run_loop(lambda: _serve(start))


def _run_loop(serve: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run on uvloop, or on the stock loop where uvloop is missing."""
    try:
        import uvloop  # noqa: PLC0415  optional: not every platform has it
    except ModuleNotFoundError:
        asyncio.run(serve())
    else:
        uvloop.run(serve())


async def _serve(start: Start) -> None:
    """Serve until a signal, then leave in order."""
    config, options = start.config, start.options
    loop = asyncio.get_running_loop()
    try:
        engine = Engine(config, start.inputs, loop, _choose_parser())
    except (OSError, NoSecret) as error:
        _fail(f"{config.config_file}: {'tls: ' if isinstance(error, OSError) else ''}{error}")
    reloads = Reloads(engine, lambda: _load(options), lambda loaded: _settle(loaded, options))
    stops = _watch_stops(start.signals)
    loop.add_signal_handler(signal.SIGHUP, reloads.ask)
    engine.open(start.door, start.parked)
    tell_listening(config, str(Listen(host=engine.addresses[0][0], port=engine.addresses[0][1])))
    if signal.SIGHUP in start.signals:
        reloads.ask()
    first = await stops.get()
    reloads.cancel()
    await engine.end(stops, first)
    _log.info("busbar-fast ends")


def _settle(loaded: "Loaded", options: words.Options) -> None:
    """Follow a reload with what lies outside the engine."""
    assert loaded.config is not None  # nothing else comes into force
    _set_up_log(loaded.config)
    _store(loaded, options)


def _note_signals() -> list[int]:
    """Return a list that gets the signals which come before the gateway can act on them; it does so afterwards."""
    noted: list[int] = []
    for number in (*_STOPS, signal.SIGHUP):
        signal.signal(number, lambda number, _: _note_signal(noted, number))
    return noted


def _note_signal(noted: list[int], number: int) -> None:
    noted.append(number)
    if sum(stop in _STOPS for stop in noted) > len(_STOPS):
        raise SystemExit(_KILLED)


def _watch_stops(before: list[int]) -> "asyncio.Queue[int]":
    """Return a queue that gets every SIGTERM and SIGINT, those from before first; the third ends the process."""
    stops = asyncio.Queue[int]()
    seen: list[int] = []

    def note(number: int) -> None:
        _note_signal(seen, number)
        stops.put_nowait(number)

    loop = asyncio.get_running_loop()
    for stop in _STOPS:
        loop.add_signal_handler(stop, note, stop)
    for number in before:
        if number in _STOPS:
            note(number)
    return stops


def _choose_parser() -> HeadParser:
    try:
        return choose_parser(os.environ.get("BUSBAR_HTTP_PARSER") or None)
    except (ValueError, ModuleNotFoundError) as error:
        _fail(str(error))


def _open_door(listen: Listen) -> socket.socket:
    """Return the listening socket, or end with a word about why there is none."""
    try:
        return bind(listen.host, listen.port)
    except OSError as error:
        _fail(f"cannot listen on {listen}: {error.strerror or error}")
    except UnicodeError:
        _fail(f"cannot listen on {listen}: no such host name is possible")


def _set_up_log(config: Config) -> None:
    form = os.environ.get("BUSBAR_LOG_FORMAT") or config.observability.log_format
    set_up(os.environ.get("BUSBAR_LOG") or os.environ.get("RUST_LOG"), is_json=form == "json")


def _fail(reason: str) -> NoReturn:
    print(f"[error] {reason}", file=sys.stderr)
    sys.exit(1)


# The configuration


def _load(options: words.Options) -> "Loaded":
    from busbar_fast.config.files import find_catalog, find_config  # noqa: PLC0415  a warm start needs none of it
    from busbar_fast.config.load import load  # noqa: PLC0415  brings YAML with it
    from busbar_fast.config.vocabulary import Vocabulary  # noqa: PLC0415  as above
    from busbar_fast.dialects.registry import DIALECTS, MODEL_OPTIONS  # noqa: PLC0415  as above

    config_file, catalog_file = find_config(options.config, os.environ), find_catalog(options.providers, os.environ)
    return load(config_file, catalog_file, os.environ, Vocabulary(DIALECTS, MODEL_OPTIONS))


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
    from busbar_fast import boot  # noqa: PLC0415  the porch is not there on every start

    config = loaded.config
    assert config is not None  # nothing else is stored
    place = boot.snapshot_place(
        config.config_file, options.providers or os.environ.get("BUSBAR_PROVIDERS", ""), os.environb
    )
    if place is None:
        return
    facts = boot.PorchFacts(
        config.listen.host, config.listen.port, is_tls=config.tls is not None, has_lanes=bool(config.models)
    )
    payload: Any = (pack(config), pack(tuple(loaded.complaints.warnings)))
    if not boot.store(place, loaded.inputs.seen, facts, marshal.dumps(payload)):
        _log.debug("no snapshot was written to %s", place)


def _refuse(complaints: Iterable[Complaint]) -> None:
    """End with a line for each complaint, if there is any."""
    lines = [f"[error] {complaint}" for complaint in complaints]
    if lines:
        print("\n".join(lines), file=sys.stderr)
        sys.exit(1)


def _validate(options: words.Options) -> None:
    loaded = _load(options)
    complaints = loaded.complaints
    for warning in (*complaints.warnings, *complaints.unavailable):
        print(f"[warn] {warning}", file=sys.stderr)
    _refuse(complaints.errors)
    config = loaded.config
    assert config is not None  # no error, so it was made
    _try_certificates(config, loaded.inputs)
    if options.is_strict and (complaints.warnings or complaints.unavailable):
        sys.exit(1)
    if not complaints.unavailable:
        _store(loaded, options)
    print(f"ok: {len(config.providers)} providers, {len(config.models)} models, {len(config.pools)} pools")
    print(f"config {config.config_file}")
    print(f"catalog {config.catalog_file or 'inside the package'}")


def _try_certificates(config: Config, inputs: Inputs) -> None:
    """End with a word about TLS material that is well-formed and that OpenSSL refuses all the same, a weak key say."""
    if config.tls is None:
        return
    try:
        new_context(config.tls, inputs)
    except (OSError, NoSecret) as error:
        _fail(f"{config.config_file}: tls: {error}")


def _check_health(options: words.Options) -> None:
    from busbar_fast.config.files import find_config  # noqa: PLC0415  only here
    from busbar_fast.config.glimpse import glimpse_door  # noqa: PLC0415  only here

    path = find_config(options.config, os.environ)
    try:
        listen, is_tls = glimpse_door(path, Inputs(os.environ))
    except ValueError as error:
        _fail(str(error))
    if not _is_live(listen, is_tls=is_tls):
        sys.exit(1)


def _is_live(listen: Listen, *, is_tls: bool) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)  # noqa: S104  what a wildcard means here
    signal.signal(signal.SIGALRM, _end_wait)
    signal.setitimer(signal.ITIMER_REAL, _LIVE_LIMIT_S)  # for all of it, looking the name up included
    try:
        with socket.create_connection((host, listen.port)) as plain:
            sock = _secured(plain) if is_tls else plain
            sock.sendall(_LIVE)
            answer = b""
            while len(answer) < len(_WELL) and (piece := sock.recv(64)):
                answer += piece
    except OSError as error:
        reason = error.strerror or str(error)
    else:
        if answer.startswith(_WELL):
            return True
        reason = f"answered {answer[:40]!r}"
    print(f"[error] {listen}: {reason}", file=sys.stderr)
    return False


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
        print("the deployment file cannot be read: its own entries are missing here", file=sys.stderr)
    else:
        entries += security.blocked_metadata_hosts
        for entry in security.allow_metadata_hosts:
            print(f"allowed by the configuration: {entry}", file=sys.stderr)
        if security.allow_all_metadata:
            print("allowed by the configuration: everything", file=sys.stderr)
    print("\n".join(entries))
