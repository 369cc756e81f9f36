"""The porch: answers health probes while the engine is still being loaded.

The engine is everything else: the loop, the parsers, the gateway. Loading it takes several times as long as starting
Python, so this is the only module that runs before it, and it imports built-ins and small C modules only. Who adds an
import here measures the start again.

A start has two ways. With a valid *snapshot* of the checked configuration we listen at once, and a second thread
serves the porch while this one loads the engine: probes are answered, every other connection is parked with the bytes
read so far, and `cli.serve_handover` gets all of it. Anything else is a miss: the engine is loaded first and
`cli.main` reads the configuration, reports what is wrong with it and calls `store`. Signals are noted from the first
line on, whatever the way; who acts on them gets the list.

A snapshot names the files and variables it was made from and holds a fingerprint of their contents, never the contents
themselves. It counts only if all of them read the same again. This module must not know what a configuration means;
what the engine wants to find again is the opaque payload.
"""

import _imp
import _signal  # type: ignore[import-not-found]  # typeshed lacks it
import _socket
import _thread
import gc
import marshal
import posix
import select
import sys
import time

from busbar_fast import __version__

TYPE_CHECKING = False  # what typing calls so; typing itself takes longer to import than all of this
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import ModuleType
    from typing import Any

# What a snapshot was made from: kind, name, content; None where there is no such file or variable. Of "env" and "file"
# the content, of "rights" whether every user may read the file: "1" or "0".
Input = tuple[str, str, bytes | None]

_DEFAULT_CONFIG = "/etc/busbar/config.yaml"

_FORMAT = 3  # of a snapshot; raise it with every change to what `store` writes
_MAGIC = b"busbar-fast snapshot %d\n" % _FORMAT
_HASH_BYTES = 16
_MOST_BYTES = 64 * 1024 * 1024  # of a snapshot, and of each file it was made from
_PLAIN_MARSHAL = 2  # the newest version whose bytes depend on values alone, not on who else refers to them

_BACKLOG = 4096
_KEEPALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))
_ACCEPTS_PER_TURN = 64
_MOST_HELD = 1 << 20  # where the system sets no limit
# While the engine is being loaded, each system call of the porch waits this long for its turn at the interpreter.
_SWITCH_S = 0.0001
_GREETING_S = 0.001
STOPS = (_signal.SIGTERM, _signal.SIGINT)
NOTED = (*STOPS, _signal.SIGHUP)
_KILLED = 130
_exit = posix._exit  # noqa: SLF001  documented: ends the process at once
_STANDARD_DESCRIPTORS = 3
# Where there is no epoll, poll does the same, counting in milliseconds.
_new_poller: "Callable[[], Any]" = getattr(select, "epoll", select.poll)
_WAIT_UNITS = 1 if hasattr(select, "epoll") else 1000
_PAUSE_S = 0.1

_HEAD_BYTES = 4096  # a probe's head is shorter
_REQUEST_LINES = {
    b"GET %b HTTP/1.%d" % (path, minor): (path, minor) for path in (b"/healthz", b"/livez") for minor in (0, 1)
}
_ALPHANUMERIC = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_NAME_BYTES = _ALPHANUMERIC + b"!#$%&'*+.^_`|~-"
_HOST_BYTES = _ALPHANUMERIC + b"._~:[]-"
_VALUE_BYTES = bytes((9, *range(32, 127)))
_NOT_FOR_PROBES = (b"content-length", b"transfer-encoding", b"expect", b"upgrade")
PARK = b""


class PorchFacts:
    """What the porch has to know of a configuration; where connections do not begin with HTTP it does not speak."""

    __slots__ = ("has_lanes", "host", "is_http", "port", "shares_port")

    def __init__(self, host: str, port: int, *, is_http: bool, has_lanes: bool, shares_port: bool = False) -> None:
        self.host = host
        self.port = port
        self.is_http = is_http
        self.has_lanes = has_lanes
        self.shares_port = shares_port


class Snapshot:
    """A stored configuration that still holds."""

    __slots__ = ("payload", "porch")

    def __init__(self, porch: PorchFacts, payload: bytes) -> None:
        self.porch = porch
        self.payload = payload


class Handover:
    """What the porch leaves to the engine, descriptors included.

    Signals are noted in `signals` until the engine installs handlers of its own; it looks there afterwards.
    """

    __slots__ = ("arguments", "door", "parked", "payload", "signals")

    def __init__(self, arguments: list[str], payload: bytes, signals: list[int]) -> None:
        self.arguments = arguments
        self.payload = payload
        self.signals = signals
        self.door = -1  # the listening socket
        self.parked: list[tuple[int, str, bytes]] = []  # descriptor, peer, bytes read so far; in order of arrival


def main(arguments: list[str] | None = None) -> None:
    """Run the program: on the porch first if there is a snapshot to stand on, else as the command line says."""
    signals: list[int] = []
    note_signals(signals)
    _fill_standard_descriptors()
    words = sys.argv[1:] if arguments is None else arguments
    found = find_config(words, posix.environ)
    place = None if found is None else snapshot_place(*found, posix.environ)
    snapshot = None if place is None else load(place)
    door = None if snapshot is None else open_door(snapshot.porch)
    if snapshot is None or door is None:
        _engine().main(words, signals)
        return
    handover = Handover(words, snapshot.payload, signals)
    engine = _load_behind_porch(door, snapshot.porch, handover)
    handover.door = door.detach()
    engine.serve_handover(handover)


def note_signals(noted: list[int]) -> None:
    """Write signals into a list until somebody else installs handlers; the third stop ends the process all the same."""
    for number in NOTED:
        _signal.signal(number, lambda number, _: note_signal(noted, number))


def note_signal(noted: list[int], number: int) -> None:
    """Note a signal. The third stop does not wait for anybody, neither for threads nor for what is to be cleared."""
    noted.append(number)
    if sum(one in STOPS for one in noted) > len(STOPS):
        _exit(_KILLED)


def _fill_standard_descriptors() -> None:
    """Open what was closed by whoever started us: an event loop takes 0, 1 and 2 for what they are everywhere else."""
    number = 0
    while number < _STANDARD_DESCRIPTORS:
        try:
            number = posix.open("/dev/null", posix.O_RDWR)
        except OSError:
            return
    posix.close(number)


def load_engine() -> "ModuleType":
    """Import the engine, with the packages it needs where Python was told not to look for them (-S)."""
    if "site" not in sys.modules:
        import site  # noqa: PLC0415  not before the porch stands

        site.main()
    if posix.environ.get(b"BUSBAR_PURE"):
        _leave_out_compiled(sys.modules[__package__].__path__[0])
    # Nearly all that is made meanwhile stays. HOT: 8 ms of 120 until the first answer, perf `start`, 3.11, 2026-11
    gc.disable()
    try:
        from busbar_fast import cli  # noqa: PLC0415  this is the engine
    finally:
        gc.freeze()
        gc.enable()
    return cli


def _leave_out_compiled(package: str) -> None:
    """Let our own modules be found as they were written only, whatever was compiled and lies beside them."""
    from importlib import machinery  # noqa: PLC0415  only here

    def find(folder: str) -> machinery.FileFinder:
        if folder != package and not folder.startswith(package + "/"):
            raise ImportError(folder)
        return machinery.FileFinder(folder, (machinery.SourceFileLoader, machinery.SOURCE_SUFFIXES))

    sys.path_hooks.insert(0, find)
    sys.path_importer_cache.pop(package, None)


def _engine() -> "ModuleType":
    """Return the engine, or end with a word about why there is none."""
    try:
        return load_engine()
    except Exception as error:  # noqa: BLE001  whatever it is, there is nothing else to run
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        if sys.stderr is not None:
            sys.stderr.write(f"[error] the engine could not be loaded: {reason}\n")
        sys.exit(1)


def _load_behind_porch(door: "_socket.socket", facts: PorchFacts, handover: Handover) -> "ModuleType":
    """Load the engine while the porch is served; return it when nobody is on the porch any more.

    It is loaded on the main thread, because `threading` takes the thread that first imports it for that one.
    """
    if not facts.is_http:  # who connects waits in the kernel's queue
        return _engine()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    porch = Porch(door, facts, handover.signals)
    porch.greet()
    _thread.start_new_thread(porch.serve, ())
    try:
        return _engine()
    finally:
        handover.parked = porch.leave()
        sys.setswitchinterval(interval)


# Where things are


def find_config(arguments: "Sequence[str]", environ: "Mapping[bytes, bytes]") -> tuple[str, str] | None:
    """Return the deployment file and the catalog that was named ("" = none); None unless a plain run is asked for."""
    named = {"--config": "", "--providers": ""}
    words = iter(arguments)
    for word in words:
        flag, joint, value = word.partition("=")
        if flag not in named:
            return None
        named[flag] = value if joint else next(words, "")
        if not named[flag] or named[flag].startswith("-"):
            return None
    config = named["--config"] or _variable("BUSBAR_CONFIG", environ) or _DEFAULT_CONFIG
    return config, named["--providers"] or _variable("BUSBAR_PROVIDERS", environ)


def snapshot_place(config_path: str, catalog_path: str, environ: "Mapping[bytes, bytes]") -> str | None:
    """Return the path of a deployment's one snapshot, or None where there is no folder for it."""
    folder = _variable("BUSBAR_CACHE_DIR", environ)
    shared, home = _variable("XDG_CACHE_HOME", environ), _variable("HOME", environ)
    if not folder and shared.startswith("/"):
        folder = f"{shared}/busbar-fast"
    elif not folder and home.startswith("/"):
        folder = f"{home}/.cache/busbar-fast"
    if not folder:
        return None
    try:
        deployment = (_absolute(config_path), _absolute(catalog_path), __version__)
        return f"{_absolute(folder)}/{_hash(marshal.dumps(deployment, _PLAIN_MARSHAL)).hex()}.snapshot"
    except OSError:  # the working folder is gone
        return None


def _variable(name: str, environ: "Mapping[bytes, bytes]") -> str:
    return environ.get(_encode_name(name), b"").decode(sys.getfilesystemencoding(), "surrogateescape")


def _encode_name(name: str) -> bytes:
    return name.encode(sys.getfilesystemencoding(), "surrogateescape")


def _absolute(path: str) -> str:
    return path if path[:1] in ("", "/") else f"{posix.getcwd()}/{path}"


# The snapshot


def store(place: str, inputs: "Sequence[Input]", porch: PorchFacts, payload: bytes) -> bool:
    """Replace the snapshot at this place; return whether that was possible.

    The contents are those that the payload was made from, so that a file changed since then is a miss.
    """
    temporary = f"{place}.{posix.getpid()}.{time.time_ns()}"
    try:
        read = [(kind, name if kind == "env" else _absolute(name), content) for kind, name, content in inputs]
        facts = (porch.host, porch.port, porch.is_http, porch.has_lanes, porch.shares_port)
        names = tuple((kind, name) for kind, name, _ in read)
        body = marshal.dumps((_fingerprint(read), names, facts, payload), _PLAIN_MARSHAL)
        _make_folder(place.rpartition("/")[0])
        _write_new(temporary, _MAGIC + _hash(body) + body)
        posix.rename(temporary, place)
    except OSError:
        _is_done(posix.unlink, temporary)
        return False
    return True


def load(place: str) -> Snapshot | None:
    """Return the snapshot if it is ours, whole and made from what is there now; anything odd counts as none."""
    try:
        raw = _read_file(place, is_ours=True)
        body = raw[len(_MAGIC) + _HASH_BYTES :]
        if raw[: -len(body)] != _MAGIC + _hash(body):
            return None
        return _check(marshal.loads(body))  # noqa: S302  the file is ours alone and its sum is right
    except (OSError, ValueError, EOFError, TypeError):
        return None


def _check(record: object) -> Snapshot | None:
    """Return the snapshot that a record holds if it has the right form and its inputs are what they were."""
    match record:
        case (
            bytes(fingerprint),
            tuple(names),
            (str(host), int(port), bool(is_http), bool(has_lanes), bool(shares)),
            bytes(payload),
        ):
            inputs = [_read_input(str(kind), str(name)) for kind, name in names]
            if fingerprint == _fingerprint(inputs) and 0 <= port <= 65535:
                facts = PorchFacts(host, port, is_http=is_http, has_lanes=has_lanes, shares_port=shares)
                return Snapshot(facts, payload)
    return None


def _read_input(kind: str, name: str) -> Input:
    if kind == "env":
        return kind, name, posix.environ.get(_encode_name(name))
    if kind not in ("file", "rights"):
        raise ValueError(kind)
    try:
        return kind, name, _read_file(name) if kind == "file" else b"%d" % bool(posix.stat(name).st_mode & 0o004)
    except (FileNotFoundError, NotADirectoryError):
        return kind, name, None


def _fingerprint(inputs: list[Input]) -> bytes:
    """Return a hash of the inputs and of everything else that a snapshot depends on."""
    package = __file__.rpartition("/")[0]
    code = (*_stamps(f"{package}/config", 1), *_stamps(f"{package}/dialects", 0))
    facts = (_FORMAT, __version__, sys.hexversion, code)
    return _hash(marshal.dumps((facts, tuple(inputs)), _PLAIN_MARSHAL))


def _stamps(folder: str, levels: int) -> list[tuple[str, int, int]]:
    """Return path, size and time of the modules in a folder, subfolders of so many levels included."""
    found = []
    try:
        entries = list(posix.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    for entry in entries:
        if entry.name.endswith(".py"):
            status = entry.stat()
            found.append((entry.path, status.st_size, status.st_mtime_ns))
        elif levels and entry.is_dir():
            found += _stamps(entry.path, levels - 1)
    return sorted(found)


def _hash(raw: bytes) -> bytes:
    """Return a sum that tells contents apart; it resists nobody, for who may change an input may change them all."""
    return _imp.source_hash(1, raw) + _imp.source_hash(2, raw)


def _read_file(path: str, *, is_ours: bool = False) -> bytes:
    """Return what a regular file holds; ours is one that nobody else could have written or can read."""
    links = posix.O_NOFOLLOW if is_ours else 0
    descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK | links)
    try:
        status = posix.fstat(descriptor)
        mode = status.st_mode
        if mode & 0o170000 != 0o100000:
            raise ValueError("not a regular file")
        if is_ours and (mode & 0o7777 != 0o600 or status.st_uid != posix.geteuid()):
            raise ValueError("not ours alone")
        return _read_all(descriptor, status.st_size)
    finally:
        posix.close(descriptor)


def _read_all(descriptor: int, size: int) -> bytes:
    pieces: list[bytes] = []
    room = _MOST_BYTES + 1
    while piece := posix.read(descriptor, min(size + 1, room)):
        pieces.append(piece)
        room -= len(piece)
        if not room:
            raise ValueError("too large")
    return b"".join(pieces)


def _write_new(path: str, raw: bytes) -> None:
    descriptor = posix.open(path, posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC, 0o600)
    try:
        left = memoryview(raw)
        while left:
            left = left[posix.write(descriptor, left) :]
    finally:
        posix.close(descriptor)


def _make_folder(folder: str) -> None:
    try:
        posix.mkdir(folder, 0o700)
    except FileExistsError:
        return
    except FileNotFoundError:
        _make_folder(folder.rpartition("/")[0] or "/")
        posix.mkdir(folder, 0o700)


def _is_done(call: "Callable[..., object]", *arguments: object) -> bool:
    """Make a system call that may fail; return whether it worked."""
    try:
        call(*arguments)
    except OSError:
        return False
    return True


# The porch


def open_door(facts: PorchFacts) -> "_socket.socket | None":
    """Return the listening socket; None if the address is no number or cannot be had, which `cli` then looks into."""
    family = _socket.AF_INET6 if ":" in facts.host else _socket.AF_INET
    try:
        _socket.inet_pton(family, facts.host)
        door = _socket.socket(family, _socket.SOCK_STREAM)
    except (OSError, ValueError):
        return None
    try:
        # As `wire.listener.bind` does it: accepted sockets inherit these.
        door.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        if facts.shares_port:
            door.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEPORT, 1)
        door.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        door.setsockopt(_socket.SOL_SOCKET, _socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE:
            if hasattr(_socket, name):
                door.setsockopt(_socket.IPPROTO_TCP, getattr(_socket, name), value)
        door.bind((facts.host, facts.port))
        door.listen(_BACKLOG)
        door.setblocking(False)
    except OSError:
        door.close()
        return None
    return door


def judge(raw: bytes) -> bytes | None:
    """Return the path that a probe asks for, PARK if the engine has to decide, None while it can become a probe."""
    head, head_end, behind = raw.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    if not fields and not head_end:
        return None if any((known + b"\r").startswith(line) for known in _REQUEST_LINES) else PARK
    path, minor = _REQUEST_LINES.get(line, (PARK, 0))
    begun = b"" if head_end else fields.pop()
    if not path or behind or len(raw) >= _HEAD_BYTES or begun.removesuffix(b"\r").translate(None, _VALUE_BYTES):
        return PARK
    hosts = sum(field[:5].lower() == b"host:" for field in fields)
    if hosts > 1 or not all(map(_is_for_probes, fields)):
        return PARK
    if not head_end:
        return None
    return path if hosts >= minor else PARK


def _is_for_probes(field: bytes) -> bool:
    """Return whether this line may stand in the head of a probe without anybody reading it in two ways."""
    name, colon, value = field.partition(b":")
    name = name.lower()
    if not name or not colon or name in _NOT_FOR_PROBES or name.translate(None, _NAME_BYTES):
        return False
    if name == b"host":
        return not value.strip(b" \t").translate(None, _HOST_BYTES)
    return not value.translate(None, _VALUE_BYTES)


class Porch:
    """Whoever comes before the engine is ready: probes are answered, the others are held in order of arrival.

    `serve` runs on a thread of its own. `leave` is called by the one that loads the engine; they meet at a bell, a pair
    of sockets: one side rings, the other hangs up when it has stopped.
    """

    __slots__ = ("_bell", "_door", "_facts", "_held", "_is_paused", "_most", "_poller", "_rope", "_signals")

    def __init__(self, door: "_socket.socket", facts: PorchFacts, signals: list[int]) -> None:
        self._door: Any = door  # typeshed does not know how to accept without the wrapper class
        self._facts = facts
        self._signals = signals
        self._held: dict[int, tuple[str, bytes]] = {}  # descriptor → peer, bytes read so far
        descriptors = posix.sysconf("SC_OPEN_MAX")  # -1 is no limit
        self._most = descriptors // 2 if descriptors > 0 else _MOST_HELD  # the engine needs some to be loaded
        self._is_paused = False
        self._rope, self._bell = _socket.socketpair()
        self._poller = _new_poller()
        self._poller.register(door.fileno(), select.POLLIN)
        self._poller.register(self._bell.fileno(), select.POLLIN)

    def leave(self) -> list[tuple[int, str, bytes]]:
        """End the serving; return the connections that are left, theirs from now on."""
        self._rope.shutdown(_socket.SHUT_WR)
        self._rope.recv(1)
        self._rope.close()
        return [(guest, peer, raw) for guest, (peer, raw) in self._held.items()]

    def greet(self) -> None:
        """Serve for a moment on the thread that will load the engine, while nobody contends for the interpreter."""
        left_s = _GREETING_S
        end_s = time.monotonic() + left_s
        while left_s > 0:
            self._turn(left_s)
            left_s = end_s - time.monotonic()

    def serve(self) -> None:
        """Serve the porch until the bell rings."""
        try:
            while self._turn(_PAUSE_S if self._is_paused else None):
                continue
        finally:
            self._bell.close()

    def _turn(self, wait_s: float | None) -> bool:
        """Wait and see to whatever came; return whether to go on."""
        events = self._poller.poll(None if wait_s is None else wait_s * _WAIT_UNITS)
        if self._is_paused:
            self._is_paused = False
            self._poller.register(self._door.fileno(), select.POLLIN)
        for number, _ in events:
            if number == self._bell.fileno():
                return False
            if number == self._door.fileno():
                self._accept()
            else:
                self._read(number)
        return True

    def _accept(self) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            if len(self._held) >= self._most:
                self._pause()
                return
            try:
                guest, address = self._door._accept()  # noqa: SLF001  the C class has no other
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # no descriptor or no memory: who waits goes on waiting in the kernel's queue
                self._pause()
                return
            posix.set_blocking(guest, False)
            self._held[guest] = (address[0], b"")
            self._poller.register(guest, select.POLLIN)
            self._read(guest)

    def _pause(self) -> None:
        self._is_paused = True
        self._poller.unregister(self._door.fileno())

    def _read(self, guest: int) -> None:
        """Read what a guest has to say, up to the length of a probe; then answer, park or go on listening."""
        peer, raw = self._held[guest]
        try:
            piece = posix.read(guest, _HEAD_BYTES - len(raw))
        except BlockingIOError:
            return
        except OSError:
            self._dismiss(guest)
            return
        if not piece and not raw:
            self._dismiss(guest)
            return
        self._held[guest] = (peer, raw + piece)
        path = judge(raw + piece) if piece else PARK
        if path == PARK:
            self._poller.unregister(guest)
        elif path is not None:
            _is_done(posix.write, guest, self._encode_answer(path))
            self._dismiss(guest)

    def _dismiss(self, guest: int) -> None:
        self._poller.unregister(guest)
        posix.close(guest)
        del self._held[guest]

    def _encode_answer(self, path: bytes) -> bytes:
        status, body = b"503 Service Unavailable", b"no usable lanes"
        if path == b"/livez" or self._facts.has_lanes:
            status, body = b"200 OK", b"ok"
        if path == b"/healthz" and not set(STOPS).isdisjoint(self._signals):
            status, body = b"503 Service Unavailable", b"draining"
        date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime()).encode()
        return (
            b"HTTP/1.1 %b\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\nDate: %b\r\n"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n%b" % (status, date, len(body), body)
        )
