"""The sides of the comparison: how each is started, known to be ready, counted and stopped.

A side is a class with a name and a command line; `Running` is one started instance. To add a peer write a class like
`Nginx` (and its configuration beside the others in peers/) and list it in `PEERS` of `rivals.py`.
"""

import filecmp
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from busbar_fast.governance.keys import Held, Key, digest_of
from busbar_fast.governance.store import Store
from perf import http_reply, procfs, shapes
from perf.caller import Caller
from perf.figures import OURS, YARDSTICK, BenchError

ROOT: Final = Path(__file__).resolve().parent.parent
PEER_FILES: Final = ROOT / "perf" / "peers"
# What `--ours` may say by name instead of by command.
PROGRAMS: Final = {
    "core": "{python} perf/core.py {listen} {upstream}",
    "floor": "{python} perf/floor.py {listen} {upstream}",
}
_STOP_S: Final = 3.0


class Side:
    """What is compared; subclasses say how to start it."""

    name = ""
    program = ""
    package = ""
    listen = 0  # where every instance listens; 0 means on any free port
    is_faithful = True  # its answers are the upstream's, byte for byte
    ready_s = 15.0  # by then it has answered

    def argv(self, listen: int, upstream: int, scratch: Path) -> Sequence[str]:
        """Return the command line; configuration files may be written to scratch."""
        raise NotImplementedError

    def fields(self, upstream: int) -> str:  # noqa: ARG002  for those who are told by each request
        """Return the lines that each request needs in its head to get to the upstream."""
        return ""

    def environment(self, listen: int, scratch: Path) -> Mapping[str, str]:  # noqa: ARG002  for subclasses
        """Return the variables that only this side needs."""
        return {}

    def is_missing(self) -> bool:
        """Whether the program is not installed here."""
        return bool(self.program) and shutil.which(self.program) is None

    def remedy(self) -> str:
        """Say how to install what is missing."""
        return f"on Debian: sudo apt-get install {self.package}"

    def version(self) -> str:
        """Return the first line the program says about itself."""
        return ""


class Ours(Side):
    """The gateway as people run it, with its hot modules compiled and a configuration of its own."""

    name = OURS
    configuration = "ours.yaml"
    folder = ROOT / "build" / "compiled"

    def is_missing(self) -> bool:
        """Whether nobody has compiled what stands in the source now."""
        return not is_copy(self.folder)

    def remedy(self) -> str:
        """Name the target, and the way without it."""
        return "make compiled, or `--ours pure` for the program as written"

    def argv(self, listen: int, upstream: int, scratch: Path) -> Sequence[str]:
        """Write the configuration and start by path, which is the fastest way; snapshots stay in scratch."""
        written = write_configuration(ROOT / "perf" / self.configuration, listen, upstream, scratch)
        return [sys.executable, "-I", "-S", str(self.folder / "busbar_fast" / "__main__.py"), "--config", str(written)]

    def version(self) -> str:
        """Return what was started, folders left out: a record names no machine."""
        kind = "as written" if self.folder == ROOT else "compiled"
        return f"python -I -S busbar_fast/__main__.py --config {self.configuration}, {kind}"


class Pure(Ours):
    """The gateway as written."""

    name = "pure"
    folder = ROOT


class Single(Ours):
    """The gateway with one model and no pool, to tell what a pool adds."""

    name = "single"
    configuration = "single.yaml"


class Five(Ours):
    """The gateway with a pool of five members."""

    name = "five"
    configuration = "five.yaml"


class Governed(Ours):
    """The gateway with virtual keys; the token of the benchmark is one, whose limits are far away."""

    name = "governed"
    configuration = "governed.yaml"

    def argv(self, listen: int, upstream: int, scratch: Path) -> Sequence[str]:
        """Make a database that holds the key, and start like the other."""
        store = Store(str(scratch / f"{listen}.db"))
        if not store.open(0, 0).held:  # the same port may come up again
            key = Key("vk_perf", "perf", ("gpt-4o",), 2**40, "total", 2**32 - 1, 2**32 - 1)
            store.insert(Held(key, digest_of(shapes.TOKEN.encode()))).result()
        store.close()
        return super().argv(listen, upstream, scratch)


class Command(Side):
    """Anything else in our place, started by a command template with {python}, {listen} and {upstream} in it."""

    name = OURS

    def __init__(self, template: str) -> None:
        self.template = template

    def argv(self, listen: int, upstream: int, scratch: Path) -> Sequence[str]:
        """Fill in the template."""
        words = {"python": sys.executable, "listen": listen, "upstream": upstream, "scratch": scratch}
        return [word.format_map(words) for word in shlex.split(self.template)]

    def version(self) -> str:
        """Return the template, folders left out: a record names no machine."""
        return " ".join(Path(word).name if word.startswith("/") else word for word in shlex.split(self.template))


class Haproxy(Side):
    """The yardstick."""

    name = YARDSTICK
    program = "haproxy"
    package = "haproxy"
    configuration = "haproxy.cfg"

    def argv(self, listen: int, upstream: int, scratch: Path) -> Sequence[str]:
        """Write the configuration and stay in the foreground."""
        written = write_configuration(PEER_FILES / self.configuration, listen, upstream, scratch)
        return [self.program, "-db", "-f", str(written)]

    def version(self) -> str:
        """Ask the program."""
        return _first_line([self.program, "-v"])


class HaproxyCorked(Haproxy):
    """HAProxy without `option http-no-delay`: it holds back stream frames to send fewer, larger segments."""

    name = "haproxy-corked"
    configuration = "haproxy-corked.cfg"


class Nginx(Side):
    """nginx with one worker."""

    name = "nginx"
    program = "nginx"
    package = "nginx"

    def argv(self, listen: int, upstream: int, scratch: Path) -> Sequence[str]:
        """Write the configuration; the master stays in the foreground with its worker below it."""
        written = write_configuration(PEER_FILES / "nginx.conf", listen, upstream, scratch)
        return [self.program, "-p", str(scratch), "-e", str(scratch / "nginx-error.log"), "-c", str(written)]

    def version(self) -> str:
        """Ask the program."""
        return _first_line([self.program, "-v"])


class Paced(Side):
    """Our upstream: behind every side, measured by none."""

    name = "upstream"

    def argv(self, listen: int, upstream: int, scratch: Path) -> Sequence[str]:  # noqa: ARG002
        """Start the module beside this one."""
        return [sys.executable, "-m", "perf.upstream", str(listen)]


class Running:
    """One started instance of a side; leaving the context ends its whole process group."""

    def __init__(self, side: Side, upstream: int, scratch: Path) -> None:
        self.name = side.name
        self.is_faithful = side.is_faithful
        self.fields = side.fields(upstream)
        self._ready_s = side.ready_s
        self.port = side.listen or free_port()
        self.log_path = scratch / f"{side.name}-{self.port}.log"
        with self.log_path.open("wb") as log:
            self._child = subprocess.Popen(
                side.argv(self.port, upstream, scratch),
                cwd=ROOT,
                env={**_environment(scratch), **side.environment(self.port, scratch)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.pid = self._child.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait_ready(self) -> Self:
        """Return once a proxied answer is right, byte for byte where the side leaves it as it is."""
        request = shapes.encode_call(self.port, shapes.REQUEST, fields=self.fields)
        self.wait_answer(request, shapes.REPLY if self.is_faithful else None)
        return self

    def wait_answer(self, raw_request: bytes, expected: bytes | None) -> None:
        """Ask again and again until the answer is 200 (and `expected`); give up when the child ends or time is up."""
        deadline_s = time.monotonic() + self._ready_s
        last = "no connection"
        while time.monotonic() < deadline_s:
            if self._child.poll() is not None:
                raise BenchError(f"{self.name} ended with {self._child.returncode}: {self._log_tail()}")
            try:
                with Caller(self.port, timeout_s=5.0) as caller:
                    status, payload = caller.ask(raw_request)
            except (OSError, http_reply.BadReplyError) as wrong:
                last = repr(wrong)
            else:
                if status == http_reply.OK and expected in (None, payload):
                    return
                last = f"status {status}: {payload[:80]!r}"
            time.sleep(0.0002)  # the resolution of the cold start figures
        raise BenchError(f"{self.name} is not ready after {self._ready_s} s ({last}): {self._log_tail()}")

    def read_cpu(self) -> procfs.CpuReading:
        """Return the CPU time of the whole tree so far."""
        if self._child.poll() is not None:
            raise BenchError(f"{self.name} ended with {self._child.returncode}: {self._log_tail()}")
        return procfs.read_cpu(self.pid)

    def stop(self) -> None:
        """End the group that was started here, first politely."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                break
            try:
                self._child.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                continue

    def _log_tail(self) -> str:
        return self.log_path.read_text(errors="replace")[-600:].strip() or "(it wrote nothing)"


def free_port() -> int:
    """Return a loopback port nobody listens on at the moment."""
    with socket.socket() as finder:
        finder.bind(("127.0.0.1", 0))
        return int(finder.getsockname()[1])


def _environment(scratch: Path) -> dict[str, str]:
    """Return ours with byte code caching allowed (a cold start must not compile) and this tree importable."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    ours = {"PYTHONPATH": str(ROOT), "BUSBAR_PERF_TOKEN": shapes.TOKEN, "BUSBAR_CACHE_DIR": str(scratch / "cache")}
    return kept | ours


def is_copy(folder: Path) -> bool:
    """Return whether a folder holds the modules of ours that stand here, with something compiled beside them."""
    if folder == ROOT:
        return True
    ours = sorted(path.relative_to(ROOT) for path in (ROOT / "busbar_fast").rglob("*.py"))
    _, others, missing = filecmp.cmpfiles(ROOT, folder, map(str, ours), shallow=False)
    return not others and not missing and any((folder / "busbar_fast").rglob("*.so"))


def write_configuration(template: Path, listen: int, upstream: int, scratch: Path) -> Path:
    """Fill in a template and return where it is."""
    written = scratch / f"{listen}-{template.name}"
    text = template.read_text()
    written.write_text(text.format(listen=listen, upstream=upstream, scratch=scratch))
    return written


def _first_line(command: Sequence[str]) -> str:
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    return (said.stdout or said.stderr).splitlines()[0]
