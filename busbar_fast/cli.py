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
from typing import TYPE_CHECKING, Any, NoReturn

from busbar_fast import options as words
from busbar_fast.config.complaints import Complaint
from busbar_fast.config.inputs import Inputs
from busbar_fast.config.record import pack, unpack
from busbar_fast.config.schema import Config, Listen
from busbar_fast.config.secrets import NoSecret
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
_KILLED = 130


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
    inputs = Inputs(os.environ)
    try:
        packed_config, packed_warnings = marshal.loads(handover.payload)  # noqa: S302  checked by whoever read it
        config, warnings = unpack(packed_config), unpack(packed_warnings)
    except (ValueError, EOFError, TypeError, KeyError) as error:
        _fail(f"the snapshot of the configuration cannot be used: {error!r}")
    _set_up_log(config)
    door = socket.socket(fileno=handover.door)
    door.setblocking(False)
    _run(lambda: _serve(config, warnings, inputs, door, handover.parked, handover.signals, handover.arguments))


# Running


def _run_gateway(options: words.Options) -> None:
    loaded = _load(options)
    complaints = loaded.complaints
    refusals = [*complaints.errors, *complaints.unavailable]
    if options.is_strict:
        refusals += complaints.warnings
    _refuse(refusals)
    config = loaded.config
    assert config is not None  # no error, so it was made
    _set_up_log(config)
    _store(loaded, options)
    door = _open_door(config.listen)
    arguments = [f"--{name}={value}" for name in ("config", "providers") if (value := getattr(options, name))]
    _run(lambda: _serve(config, complaints.warnings, loaded.inputs, door, (), [], arguments))


def _run_demo(options: words.Options) -> None:
    from busbar_fast.demo import serve_demo  # noqa: PLC0415  brings the mock backend with it

    set_up(os.environ.get("BUSBAR_LOG"), is_json=False)
    parser = _choose_parser()
    door = _open_door(Listen(host=options.host, port=options.port))

    async def serve() -> None:
        stops = _watch_stops([])
        await serve_demo(door, parser, stops, lambda text: print(text, flush=True))

    _run(serve)


def _run(serve: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run on uvloop, or on the stock loop where uvloop is missing."""
    try:
        import uvloop  # noqa: PLC0415  optional: not every platform has it
    except ModuleNotFoundError:
        asyncio.run(serve())
    else:
        uvloop.run(serve())


async def _serve(
    config: Config,
    warnings: Iterable[Complaint],
    inputs: Inputs,
    door: socket.socket,
    parked: Iterable[Parked],
    signals: list[int],
    arguments: list[str],
) -> None:
    """Serve until a signal, then leave in order. `signals` came before anybody listened to them."""
    loop = asyncio.get_running_loop()
    try:
        engine = Engine(config, inputs, loop, _choose_parser())
    except (OSError, NoSecret) as error:
        _fail(f"{config.config_file}: {error}")
    tell_start(config)
    tell_warnings(warnings)
    options = words.read_options(arguments)
    reloads = Reloads(engine, lambda: _load(options), lambda loaded: _store(loaded, options))
    stops = _watch_stops(signals)
    loop.add_signal_handler(signal.SIGHUP, reloads.ask)
    engine.open(door, parked)
    tell_listening(config, str(Listen(host=engine.addresses[0][0], port=engine.addresses[0][1])))
    if signal.SIGHUP in signals:
        reloads.ask()
    first = await stops.get()
    reloads.cancel()
    await engine.end(stops, first)
    _log.info("busbar-fast ends")


def _watch_stops(before: list[int]) -> "asyncio.Queue[int]":
    """Return a queue that gets every SIGTERM and SIGINT, those from before first; the third ends the process."""
    stops = asyncio.Queue[int]()
    count = 0

    def note(number: int) -> None:
        nonlocal count
        count += 1
        if count > len(_STOPS):
            raise SystemExit(_KILLED)
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
    if options.is_strict and (complaints.warnings or complaints.unavailable):
        sys.exit(1)
    config = loaded.config
    assert config is not None  # no error, so it was made
    if not complaints.unavailable:
        _store(loaded, options)
    print(f"ok: {len(config.providers)} providers, {len(config.models)} models, {len(config.pools)} pools")
    print(f"config {config.config_file}")
    print(f"catalog {config.catalog_file or 'inside the package'}")


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
    try:
        with socket.create_connection((host, listen.port), _LIVE_LIMIT_S) as plain:
            sock = _secured(plain) if is_tls else plain
            sock.sendall(_LIVE)
            return sock.recv(64).startswith(b"HTTP/1.1 200 ")
    except OSError as error:
        print(f"[error] {listen}: {error.strerror or error}", file=sys.stderr)
        return False


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
