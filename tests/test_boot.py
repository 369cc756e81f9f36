"""The rules of the porch without a socket: what starts it, where its snapshot is, when that holds, what a probe is."""

import marshal
import os
import posix
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from busbar_fast import __version__, boot
from busbar_fast.boot import PARK, Input, PorchFacts, find_config, judge, load, snapshot_place, store
from busbar_fast.wire.limits import Limits
from busbar_fast.wire.parsers import choose_parser
from busbar_fast.wire.requests import read_request

FACTS = PorchFacts("127.0.0.1", 8080, is_http=True, has_lanes=True)
PAYLOAD = b"\x00opaque\xff"
PROPERTY = settings(derandomize=True, deadline=None, max_examples=200)
SECRET = b"token-that-nobody-may-find"

Environ = dict[bytes, bytes]


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> Environ:
    """Return the environment that the porch sees, empty but for one variable."""
    variables = {b"KEY": SECRET}
    monkeypatch.setattr(posix, "environ", variables)
    return variables


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Leave the handlers of this process as they were."""
    before = {number: signal.getsignal(number) for number in boot.NOTED}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Deployment:
    """Files of a deployment in a folder of their own, and its snapshot."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "config.yaml"
        self.catalog = folder / "providers.yaml"
        self.config.write_bytes(b"auth: " + SECRET)
        self.config.chmod(0o640)
        self.place = folder / "cache" / "one.snapshot"

    @property
    def inputs(self) -> list[Input]:
        """What a loader has read: files and variables that are there and that are not, and a file's rights."""
        return [
            ("file", str(self.config), self.config.read_bytes()),
            ("file", str(self.catalog), None),
            ("rights", str(self.config), b"0"),
            ("env", "KEY", SECRET),
            ("env", "UNSET", None),
        ]

    def store(self) -> None:
        """Store a snapshot of the files as they are."""
        assert store(str(self.place), self.inputs, FACTS, PAYLOAD)

    def is_hit(self) -> bool:
        """Say whether the snapshot holds."""
        return load(str(self.place)) is not None


@pytest.fixture
def deployment(tmp_path: Path, environ: Environ) -> Deployment:
    """Return a deployment with a snapshot that holds."""
    assert environ
    made = Deployment(tmp_path)
    made.store()
    assert made.is_hit()
    return made


# Arguments and places


@pytest.mark.parametrize(
    ("arguments", "variables", "found"),
    [
        ("", {}, ("/etc/busbar/config.yaml", "")),
        ("", {b"BUSBAR_CONFIG": b"", b"BUSBAR_PROVIDERS": b""}, ("/etc/busbar/config.yaml", "")),
        ("", {b"BUSBAR_CONFIG": b"c", b"BUSBAR_PROVIDERS": b"p"}, ("c", "p")),
        ("--config f", {b"BUSBAR_CONFIG": b"c", b"BUSBAR_PROVIDERS": b"p"}, ("f", "p")),
        ("--providers=g --config=f", {b"BUSBAR_PROVIDERS": b"p"}, ("f", "g")),
        ("--config f --config=h", {}, ("h", "")),
        ("--config=a=b", {}, ("a=b", "")),
        ("", {b"BUSBAR_CONFIG": b"/\xff\xc3\xa4"}, ("/\udcff\xe4", "")),
    ],
)
def test_deployment_file_is_looked_up_in_order(arguments: str, variables: Environ, found: tuple[str, str]) -> None:
    """Config §2: a flag wins over its variable, an empty variable is unset, then comes the usual place."""
    assert find_config(arguments.split(), variables) == found


@pytest.mark.parametrize(
    "arguments",
    [
        "demo",
        "--help",
        "--version",
        "--validate",
        "--strict",
        "--healthcheck",
        "--config f --strict",
        "--validate --config f",
        "--config",
        "--config f --providers",
        "--config=",
        "--config --strict",
        "--config=-",
        "--conf f",
        "--config f g",
        "-- --config f",
    ],
)
def test_other_arguments_are_for_the_command_line(arguments: str) -> None:
    """Config §3: whatever is no plain run, or no proper use of a flag, is not for the porch."""
    assert find_config(arguments.split(), {b"BUSBAR_CONFIG": b"c"}) is None


def test_empty_argument_is_for_the_command_line() -> None:
    """Config §3: an empty word is neither a flag nor a path."""
    assert find_config([""], {}) is find_config(["--config", ""], {}) is None


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({b"BUSBAR_CACHE_DIR": b"/a", b"XDG_CACHE_HOME": b"/b", b"HOME": b"/c"}, "/a"),
        ({b"BUSBAR_CACHE_DIR": b"", b"XDG_CACHE_HOME": b"/b", b"HOME": b"/c"}, "/b/busbar-fast"),
        ({b"XDG_CACHE_HOME": b"", b"HOME": b"/c"}, "/c/.cache/busbar-fast"),
        ({b"XDG_CACHE_HOME": b"relative", b"HOME": b"/c"}, "/c/.cache/busbar-fast"),
        ({b"BUSBAR_CACHE_DIR": b"here"}, f"{posix.getcwd()}/here"),
        ({b"HOME": b"relative"}, None),
        ({}, None),
    ],
)
def test_snapshot_lies_in_the_first_cache_folder(variables: Environ, folder: str | None) -> None:
    """Design §5: the variable of ours, the user's cache folder, the usual place below home, or nowhere."""
    place = snapshot_place("/config.yaml", "", variables)
    assert (place and place.rpartition("/")[0]) == folder


def test_each_deployment_has_its_own_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Design §5: file, catalog and version make the name, and a relative path is the same as the whole one."""
    here = posix.getcwd()
    variables = {b"BUSBAR_CACHE_DIR": b"/cache"}
    pairs = [(f"{here}/c", ""), (f"{here}/d", ""), (f"{here}/c", f"{here}/p"), (f"{here}/d", f"{here}/p")]
    places = [snapshot_place(*pair, variables) for pair in pairs]
    assert len(set(places)) == 4
    assert snapshot_place("c", "p", variables) == places[2]
    monkeypatch.setattr(boot, "__version__", __version__ + "x")
    assert snapshot_place(*pairs[0], variables) not in places


def test_lost_working_folder_means_no_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Design §5: a relative path in a folder that was removed has no snapshot, and no harm is done."""
    lost = tmp_path / "lost"
    lost.mkdir()
    monkeypatch.chdir(lost)
    lost.rmdir()
    assert snapshot_place("c", "", {b"HOME": b"/home"}) is None
    assert snapshot_place("/c", "", {b"HOME": b"/home"}) is not None


# Storing and loading


@pytest.mark.parametrize("is_http", [False, True])
@pytest.mark.parametrize("has_lanes", [False, True])
def test_what_was_stored_is_loaded(deployment: Deployment, is_http: bool, has_lanes: bool) -> None:
    """Design §5: facts and payload come back."""
    facts = PorchFacts("::1", 65535, is_http=is_http, has_lanes=has_lanes, shares_port=True)
    assert store(str(deployment.place), deployment.inputs, facts, PAYLOAD)
    found = load(str(deployment.place))
    assert found is not None
    assert found.payload == PAYLOAD
    assert [getattr(found.porch, name) for name in PorchFacts.__slots__] == [has_lanes, "::1", is_http, 65535, True]


def test_snapshot_holds_no_contents(deployment: Deployment) -> None:
    """Design §5: names of inputs stand in the file, neither the configuration nor a variable's value."""
    raw = deployment.place.read_bytes()
    assert b"KEY" in raw
    assert str(deployment.config).encode() in raw
    assert SECRET not in raw
    assert b"auth" not in raw


def test_snapshot_is_for_its_owner_only(deployment: Deployment) -> None:
    """Design §5: folders made for it have mode 0700, the file has 0600, and nothing else is left beside it."""
    assert deployment.place.stat().st_mode & 0o7777 == 0o600
    assert deployment.place.parent.stat().st_mode & 0o7777 == 0o700
    assert list(deployment.place.parent.iterdir()) == [deployment.place]


def test_one_deployment_keeps_one_file(deployment: Deployment) -> None:
    """Design §5: each edit replaces the snapshot, so the cache does not grow."""
    for number in range(3):
        deployment.config.write_bytes(b"edit %d" % number)
        assert not deployment.is_hit()
        deployment.store()
        assert deployment.is_hit()
    assert list(deployment.place.parent.iterdir()) == [deployment.place]


def test_missing_folders_are_made(tmp_path: Path) -> None:
    """Design §5: a home without a cache folder gets one, all of it private."""
    place = tmp_path / "home" / ".cache" / "busbar-fast" / "one.snapshot"
    assert store(str(place), [], FACTS, b"")
    modes = [folder.stat().st_mode & 0o777 for folder in place.parents[:3]]
    assert modes == [0o700] * 3


def test_relative_input_is_found_from_anywhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, deployment: Deployment
) -> None:
    """Design §5: the name of a file is made whole when it is stored."""
    monkeypatch.chdir(tmp_path)
    assert store(str(deployment.place), [("file", "config.yaml", deployment.config.read_bytes())], FACTS, b"")
    monkeypatch.chdir("/")
    assert deployment.is_hit()
    deployment.config.unlink()
    assert not deployment.is_hit()


def fill_disk(_descriptor: int, _raw: bytes) -> int:
    """Fail as a write does when there is no room."""
    raise OSError(28, "No space left on device")


def write_slowly(descriptor: int, raw: memoryview) -> int:
    """Write no more than a few bytes."""
    return os.write(descriptor, raw[:7])


def test_full_disk_is_no_failure(monkeypatch: pytest.MonkeyPatch, deployment: Deployment) -> None:
    """Design §5: what cannot be written is not stored, nothing half written stays, and the old snapshot does."""
    with monkeypatch.context() as patch:
        patch.setattr(boot, "posix", SimpleNamespace(**{**vars(posix), "write": fill_disk}))
        assert not store(str(deployment.place), deployment.inputs, FACTS, PAYLOAD)
    assert deployment.is_hit()
    assert list(deployment.place.parent.iterdir()) == [deployment.place]


def test_short_writes_are_continued(monkeypatch: pytest.MonkeyPatch, deployment: Deployment) -> None:
    """Design §5: a file system that takes a few bytes at a time gets them all."""
    with monkeypatch.context() as patch:
        patch.setattr(boot, "posix", SimpleNamespace(**{**vars(posix), "write": write_slowly}))
        deployment.store()
    assert deployment.is_hit()


@pytest.mark.parametrize("where", ["config.yaml/one.snapshot", "config.yaml/deep/one.snapshot", "cache"])
def test_impossible_place_is_no_failure(deployment: Deployment, tmp_path: Path, where: str) -> None:
    """Design §5: a place below a file, or one that a folder has, is refused quietly and cleanly."""
    before = sorted(tmp_path.rglob("*"))
    assert not store(str(tmp_path / where), deployment.inputs, FACTS, PAYLOAD)
    assert sorted(tmp_path.rglob("*")) == before


# Odd snapshots


def record(*, names: Any = (), facts: Any = ("127.0.0.1", 80, True, True, False), payload: Any = b"") -> bytes:
    """Return a whole snapshot with a right sum and a right fingerprint of no inputs, parts of it replaced."""
    return signed(marshal.dumps((boot._fingerprint([]), names, facts, payload), 2))


def signed(body: bytes) -> bytes:
    return boot._MAGIC + boot._hash(body) + body


def rewrite(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Return what changes a file's bytes and leaves its mode."""

    def act(place: Path) -> None:
        place.write_bytes(change(place.read_bytes()))

    return act


def replace_by(raw: bytes) -> Callable[[Path], None]:
    return rewrite(lambda _: raw)


def flip(at: int) -> Callable[[Path], None]:
    """Return what flips one bit of a file."""
    return rewrite(lambda raw: bytes(byte ^ (at % len(raw) == index) for index, byte in enumerate(raw)))


def link_to_itself_elsewhere(place: Path) -> None:
    place.rename(place.with_name("other"))
    place.symlink_to("other")


def become_a_pipe(place: Path) -> None:
    place.unlink()
    os.mkfifo(place, 0o600)


def become_a_folder(place: Path) -> None:
    place.unlink()
    place.mkdir(0o600)


ODDITIES: dict[str, Callable[[Path], None]] = {
    "missing": Path.unlink,
    "a folder": become_a_folder,
    "a pipe": become_a_pipe,
    "a link": link_to_itself_elsewhere,
    "readable by all": lambda place: place.chmod(0o644),
    "readable by the group": lambda place: place.chmod(0o640),
    "writable by all": lambda place: place.chmod(0o602),
    "executable": lambda place: place.chmod(0o700),
    "read-only": lambda place: place.chmod(0o400),
    "set-uid": lambda place: place.chmod(0o4600),
    "empty": replace_by(b""),
    "the magic alone": rewrite(lambda raw: raw[: len(boot._MAGIC)]),
    "the sum cut": rewrite(lambda raw: raw[: len(boot._MAGIC) + 7]),
    "the body gone": rewrite(lambda raw: raw[: len(boot._MAGIC) + boot._HASH_BYTES]),
    "an empty body": replace_by(signed(b"")),
    "cut by half": rewrite(lambda raw: raw[: len(raw) // 2]),
    "cut by a byte": rewrite(lambda raw: raw[:-1]),
    "longer by a byte": rewrite(lambda raw: raw + b"\x00"),
    "a wrong magic": flip(0),
    "another format": rewrite(lambda raw: raw.replace(b"snapshot 3\n", b"snapshot 2\n")),
    "a wrong sum": flip(len(boot._MAGIC)),
    "a changed body": flip(-1),
    "no marshal": replace_by(signed(b"\xff\xff")),
    "cut marshal": replace_by(signed(marshal.dumps(("", "", "", ""), 2)[:-2])),
    "a number": replace_by(signed(marshal.dumps(5, 2))),
    "a list too short": replace_by(signed(marshal.dumps((b"", (), ()), 2))),
    "another fingerprint": replace_by(signed(marshal.dumps((b"", (), ("127.0.0.1", 80, True, True, False), b""), 2))),
    "names that are none": replace_by(record(names="KEY")),
    "a name without its kind": replace_by(record(names=("KEY",))),
    "a name of no kind": replace_by(record(names=(("network", "KEY"),))),
    "a file name with a zero": replace_by(record(names=(("file", "/a\x00b"),))),
    "a host of bytes": replace_by(record(facts=(b"127.0.0.1", 80, True, True, False))),
    "a port of text": replace_by(record(facts=("127.0.0.1", "80", True, True, False))),
    "a port too large": replace_by(record(facts=("127.0.0.1", 65536, True, True, False))),
    "a negative port": replace_by(record(facts=("127.0.0.1", -1, True, True, False))),
    "a yes that is a number": replace_by(record(facts=("127.0.0.1", 80, 0, True, False))),
    "facts missing": replace_by(record(facts=("127.0.0.1", 80, True, True))),
    "a payload of text": replace_by(record(payload="")),
}


@pytest.mark.parametrize("oddity", ODDITIES)
def test_odd_snapshot_is_a_miss(deployment: Deployment, oddity: str) -> None:
    """Design §5: anything odd about the file means that there is none, and it can be replaced unless it is a folder."""
    ODDITIES[oddity](deployment.place)
    assert not deployment.is_hit()
    if oddity != "a folder":
        deployment.store()
        assert deployment.is_hit()


def test_too_large_a_file_is_a_miss(monkeypatch: pytest.MonkeyPatch, deployment: Deployment) -> None:
    """Design §5: neither a snapshot nor an input above the limit is read, and one that just fits is."""
    assert boot._MOST_BYTES == 64 * 1024 * 1024
    limit = deployment.place.stat().st_size
    deployment.config.write_bytes(b"x" * limit)
    deployment.store()
    for size, is_hit in ((limit, True), (limit - 1, False)):
        monkeypatch.setattr(boot, "_MOST_BYTES", size)
        assert deployment.is_hit() == is_hit
    deployment.config.write_bytes(b"x" * (limit - 1))
    deployment.store()
    assert not deployment.is_hit()  # the snapshot itself is one byte too long


def test_record_that_is_not_odd_is_a_hit(deployment: Deployment) -> None:
    """Design §5: the records above fail by what was changed in them and by nothing else."""
    replace_by(record())(deployment.place)
    assert deployment.is_hit()


def test_snapshot_of_somebody_else_is_a_miss(monkeypatch: pytest.MonkeyPatch, deployment: Deployment) -> None:
    """Design §5: a file that another user owns is not read, whatever its mode."""
    monkeypatch.setattr(posix, "geteuid", lambda: os.geteuid() + 1)
    monkeypatch.setattr(marshal, "loads", lambda _: pytest.fail("the file was trusted"))
    assert not deployment.is_hit()


@pytest.mark.parametrize("mode", [0o644, 0o622])
def test_foreign_bytes_are_never_decoded(monkeypatch: pytest.MonkeyPatch, deployment: Deployment, mode: int) -> None:
    """Design §5: marshal sees nothing that somebody else could have written or was not meant to keep."""
    deployment.place.chmod(mode)
    monkeypatch.setattr(marshal, "loads", lambda _: pytest.fail("the file was trusted"))
    assert not deployment.is_hit()


# What a snapshot depends on


def remove_config(deployment: Deployment) -> None:
    deployment.config.unlink()


def make_config_a_folder(deployment: Deployment) -> None:
    deployment.config.unlink()
    deployment.config.mkdir()


def make_config_a_pipe(deployment: Deployment) -> None:
    """Put a pipe, which reads as empty, in the place of an empty file."""
    deployment.config.write_bytes(b"")
    deployment.store()
    assert deployment.is_hit()
    deployment.config.unlink()
    os.mkfifo(deployment.config)


def add_catalog(deployment: Deployment) -> None:
    deployment.catalog.write_bytes(b"")


def show_config_to_all(deployment: Deployment) -> None:
    deployment.config.chmod(0o644)


CHANGES = [show_config_to_all, remove_config, make_config_a_folder, make_config_a_pipe, add_catalog]


@pytest.mark.parametrize("change", CHANGES)
def test_changed_files_are_a_miss(deployment: Deployment, change: Callable[[Deployment], None]) -> None:
    """Design §5: a file that changed, came, went or can no longer be read is noticed."""
    change(deployment)
    assert not deployment.is_hit()


@pytest.mark.parametrize(
    ("name", "value"), [(b"KEY", b"other"), (b"KEY", b""), (b"KEY", None), (b"UNSET", b""), (b"UNSET", b"x")]
)
def test_changed_variables_are_a_miss(
    deployment: Deployment, environ: Environ, name: bytes, value: bytes | None
) -> None:
    """Design §5: a variable that changed, came or went is noticed, and an empty one is not an unset one."""
    if value is None:
        del environ[name]
    else:
        environ[name] = value
    assert not deployment.is_hit()


def test_other_files_and_variables_do_not_matter(deployment: Deployment, environ: Environ, tmp_path: Path) -> None:
    """Design §5: what the configuration was not made from changes nothing, and neither does a new time on its file."""
    environ[b"OTHER"] = b"x"
    (tmp_path / "other").write_bytes(b"x")
    os.utime(deployment.config, (1, 1))
    assert deployment.is_hit()


def test_path_that_became_impossible_is_absent(deployment: Deployment) -> None:
    """Design §5: a file that was not there is still not there when its path leads below another file."""
    deployment.catalog.symlink_to(deployment.config / "below")
    assert deployment.is_hit()


def test_file_behind_a_link_is_an_input(deployment: Deployment, tmp_path: Path) -> None:
    """Design §5: mounted configuration is a link, and where it points to may change."""
    for name in ("old", "new"):
        (tmp_path / name).write_bytes(name.encode())
        (tmp_path / name).chmod(0o640)
    deployment.config.unlink()
    deployment.config.symlink_to("old")
    deployment.store()
    assert deployment.is_hit()
    deployment.config.unlink()
    deployment.config.symlink_to("new")
    assert not deployment.is_hit()


def test_other_python_or_version_is_a_miss(monkeypatch: pytest.MonkeyPatch, deployment: Deployment) -> None:
    """Design §5: a snapshot holds for the version, the interpreter and the format that made it."""
    for thing, name, value in (
        (boot, "__version__", __version__ + "x"),
        (sys, "hexversion", sys.hexversion + 1),
        (boot, "_FORMAT", boot._FORMAT + 1),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(thing, name, value)
            assert not deployment.is_hit()
    assert deployment.is_hit()


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the folder of a package whose boot is ours."""
    package = tmp_path / "package"
    (package / "config" / "deep" / "deeper").mkdir(parents=True)
    (package / "dialects").mkdir()
    for name in ("config/load.py", "config/deep/rules.py", "dialects/registry.py"):
        (package / name).write_text("1")
    monkeypatch.setattr(boot, "__file__", str(package / "boot.py"))
    return package


@pytest.mark.parametrize(
    ("name", "is_hit"),
    [
        ("config/load.py", False),
        ("config/new.py", False),
        ("config/deep/rules.py", False),
        ("config/deep/new.py", False),
        ("dialects/registry.py", False),
        ("dialects/new.py", False),
        ("dialects/deep/new.py", True),
        ("config/notes.md", True),
        ("config/deep/deeper/new.py", True),
        ("wire/new.py", True),
    ],
)
def test_changed_code_is_a_miss(source: Path, deployment: Deployment, name: str, is_hit: bool) -> None:
    """Design §5: a source checkout never meets a snapshot that other code made."""
    deployment.store()
    (source / name).parent.mkdir(exist_ok=True)
    (source / name).write_text("22")
    assert deployment.is_hit() == is_hit


def test_touched_and_removed_code_is_a_miss(source: Path, deployment: Deployment) -> None:
    """Design §5: code of the same size is told apart by its time, and code that is gone is noticed."""
    code = source / "config" / "load.py"
    deployment.store()
    status = code.stat()
    os.utime(code, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert not deployment.is_hit()
    os.utime(code, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert deployment.is_hit()
    code.unlink()
    assert not deployment.is_hit()


NAMES = st.text("ABCdef_\xe4\udcff", min_size=1, max_size=6)
CONTENTS = st.none() | st.binary(max_size=12)


@st.composite
def changed_inputs(draw: st.DrawFn) -> tuple[list[Input], int, bytes | None]:
    """Draw inputs of both kinds, which of them changes, and to what."""
    keys = draw(st.lists(st.tuples(st.sampled_from(("file", "env")), NAMES), min_size=1, max_size=5, unique=True))
    inputs = [(kind, name, draw(CONTENTS)) for kind, name in keys]
    which = draw(st.integers(0, len(inputs) - 1))
    return inputs, which, draw(CONTENTS.filter(lambda content: content != inputs[which][2]))


def put(folder: str, variables: Environ, inputs: Iterable[Input]) -> None:
    """Make files and variables what the inputs say."""
    for kind, name, content in inputs:
        raw = os.fsencode(name)
        path = os.path.join(os.fsencode(folder), raw)  # noqa: PTH118  a Path cannot hold every name
        if kind == "env":
            variables.pop(raw, None)
            variables.update({} if content is None else {raw: content})
        elif content is not None:
            Path(os.fsdecode(path)).write_bytes(content)
        elif os.path.lexists(path):
            os.unlink(path)  # noqa: PTH108  same


@PROPERTY
@given(changed_inputs())
def test_any_change_of_one_input_changes_the_verdict(drawn: tuple[list[Input], int, bytes | None]) -> None:
    """Design §5: a snapshot holds exactly while every input is what it was."""
    inputs, which, content = drawn
    variables: Environ = {}
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(posix, "environ", variables)
        place = f"{folder}/s/one.snapshot"
        whole = [(kind, f"{folder}/{name}" if kind == "file" else name, held) for kind, name, held in inputs]
        put(folder, variables, inputs)
        assert store(place, whole, FACTS, PAYLOAD)
        assert load(place) is not None
        put(folder, variables, [(*inputs[which][:2], content)])
        assert load(place) is None
        put(folder, variables, inputs)
        assert load(place) is not None


@PROPERTY
@given(st.lists(st.tuples(st.sampled_from(("file", "env")), st.text(max_size=3), CONTENTS), max_size=4))
def test_neighbouring_inputs_are_told_apart(inputs: list[Input]) -> None:
    """Design §5: a byte that moves from one input to the next changes the fingerprint."""
    joined: list[Input] = [
        ("env", "".join(kind + name for kind, name, _ in inputs), b"".join(raw or b"" for *_, raw in inputs))
    ]
    assert (boot._fingerprint(inputs) == boot._fingerprint(joined)) == (inputs == joined)
    assert boot._fingerprint([*inputs]) == boot._fingerprint(inputs)


# Misses


class Engine:
    """What the porch is given for an engine."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.signals: list[int] = []

    def main(self, arguments: list[str], signals: list[int]) -> None:
        """Remember what the command line was asked."""
        self.asked.append(arguments)
        self.signals = signals


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Return the engine that is loaded."""
    made = Engine()
    monkeypatch.setattr(boot, "load_engine", lambda: made)
    return made


@pytest.mark.parametrize("arguments", [[], ["--config", "/nowhere"], ["--strict"], ["demo", "--port", "0"]])
def test_miss_goes_to_the_command_line(
    monkeypatch: pytest.MonkeyPatch, environ: Environ, engine: Engine, arguments: list[str]
) -> None:
    """Design §5: without a snapshot the full loader runs, with the arguments as they came."""
    assert environ
    monkeypatch.setattr(sys, "argv", ["busbar-fast", *arguments])
    boot.main()
    boot.main(arguments)
    assert engine.asked == [arguments, arguments]


def test_signals_are_noted_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch, environ: Environ) -> None:
    """Config §12: whatever is asked for, a signal while the engine loads waits for somebody who can act on it."""
    assert environ
    made = Engine()

    def load_slowly() -> Engine:
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.raise_signal(number)
        return made

    monkeypatch.setattr(boot, "load_engine", load_slowly)
    for arguments in ([], ["demo"], ["--validate"]):
        boot.main(arguments)
        assert made.signals == [signal.SIGHUP, signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("host", ["localhost", "256.0.0.1", "1", "", "fe80::1%lo", "127.0.0.1\x00", "nobody:here"])
def test_host_that_is_no_number_is_a_miss(deployment: Deployment, environ: Environ, engine: Engine, host: str) -> None:
    """Design §5: whatever has to be resolved or explained is left to the command line."""
    environ[b"BUSBAR_CACHE_DIR"] = bytes(deployment.place.parent)
    place = snapshot_place(str(deployment.config), "", environ)
    assert place
    assert store(place, deployment.inputs, PorchFacts(host, 0, is_http=True, has_lanes=True), b"")
    assert load(place) is not None
    boot.main(["--config", str(deployment.config)])
    assert len(engine.asked) == 1


def test_engine_that_cannot_be_loaded_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Config §3: the process ends with 1 and a readable line, even where the reason has several."""

    def fail() -> None:
        raise ImportError("no\n  such thing")

    monkeypatch.setattr(boot, "load_engine", fail)
    with pytest.raises(SystemExit) as ended:
        boot.main(["demo"])
    assert ended.value.code == 1
    assert capsys.readouterr().err == "[error] the engine could not be loaded: ImportError: no such thing\n"


# Probes

PROBE = b"GET /healthz HTTP/1.1\r\nHost: 10.0.0.1:8080\r\nUser-Agent: kube-probe/1.30\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (PROBE, b"/healthz"),
        (b"GET /livez HTTP/1.1\r\nhost:h\r\n\r\n", b"/livez"),
        (b"GET /livez HTTP/1.1\r\nA: \tb\r\nHOST: \t[::1]:80 \r\n\r\n", b"/livez"),
        (b"GET /livez HTTP/1.1\r\nHost:\r\n\r\n", b"/livez"),
        (b"GET /healthz HTTP/1.0\r\n\r\n", b"/healthz"),
        (b"GET /healthz HTTP/1.0\r\nHost: h\r\nX-Hosts: h\r\n\r\n", b"/healthz"),
    ],
)
def test_probe_is_known_when_its_head_is_whole(raw: bytes, path: bytes) -> None:
    """Operations §11: a whole head names its path, and no shorter start of it decides anything."""
    assert judge(raw) == path
    assert {judge(raw[:end]) for end in range(len(raw))} == {None}


LINE = b"GET /healthz HTTP/1.1\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        b"POST /healthz HTTP/1.1\r\n",
        b"HEAD /healthz HTTP/1.1\r\nHost: h\r\n\r\n",
        b"get /healthz HTTP/1.1\r\n",
        b"GET /readyz",
        b"GET /healthz?x",
        b"GET /healthz/",
        b"GET /Healthz",
        b"GET  /healthz",
        b"GET http://h/healthz",
        b"GET /healthz HTTP/1.2",
        b"GET /healthz\r",
        b"GET /healthz HTTP/1.1\n",
        b"GET /healthz HTTP/1.1\r\r",
        b"\r\n" + PROBE,
        b"\x16\x03\x01",
        b"\r\n\r\n",
        PROBE + b"G",
        PROBE + PROBE,
        LINE + b"\r\n",
        LINE + b"Host: h\r\nHost: h\r\n",
        b"GET /healthz HTTP/1.0\r\nHost: h\r\nhost: h\r\n\r\n",
        LINE + b"Host : h\r\n",
        LINE + b"Host: a b\r\n",
        LINE + b"Host: a/b\r\n",
        LINE + b"Host: \x00\r\n",
        LINE + b"Content-Length: 0\r\n",
        LINE + b"CONTENT-LENGTH:5\r\n",
        LINE + b"Transfer-Encoding: chunked\r\n",
        LINE + b"Expect: 100-continue\r\n",
        LINE + b"Upgrade: h2c\r\n",
        LINE + b"no colon\r\n",
        LINE + b": nameless\r\n",
        LINE + b" folded: x\r\n",
        LINE + b"A: b\r\n\tfolded\r\n",
        LINE + b"A: b\nHost: h\r\n",
        LINE + b"A: b\n",
        LINE + b"A: b\rc",
        LINE + b"A: \xe4\r\n",
        LINE + b"A\xe4: b\r\n",
        LINE + b"A(: b\r\n",
        LINE + b"Host: h\r\nA: " + b"b" * 4096,
    ],
)
def test_whatever_else_is_parked_at_once(raw: bytes) -> None:
    """Design §5: what is no probe, or might be read in two ways, is the engine's to decide."""
    assert judge(raw) == PARK


PIECES = st.sampled_from(
    (
        LINE,
        b"GET /livez HTTP/1.0\r\n",
        b"Host: h\r\n",
        b"host:h:1",
        b"A: b\r\n",
        b":",
        b"\r\n",
        b"\r",
        b"\n",
        b" ",
        b"A",
    )
)


@PROPERTY
@given(st.lists(PIECES | st.binary(min_size=1, max_size=2), max_size=6), st.booleans())
def test_engine_would_take_every_probe_for_one(pieces: list[bytes], is_whole: bool) -> None:
    """Operations §11: a head that is answered on the porch is one that the engine reads as the same request."""
    raw = LINE + b"".join(pieces) + (b"\r\n\r\n" if is_whole else b"")
    path = judge(raw)
    if path:
        head = read_request(raw, Limits(), choose_parser("httptools"))
        assert (head.method, head.target, head.length, head.expects_continue) == (b"GET", path, 0, False)


@PROPERTY
@given(st.lists(PIECES, max_size=8))
def test_no_byte_changes_a_verdict_back(pieces: list[bytes]) -> None:
    """Design §5: once a connection is parked, nothing that follows would have made a probe of it."""
    raw = b"".join(pieces)
    verdicts = [judge(raw[:end]) for end in range(len(raw) + 1)]
    parked = verdicts.index(PARK) if PARK in verdicts else len(verdicts)
    assert set(verdicts[parked:]) <= {PARK}
    assert set(verdicts[: max(parked - 1, 0)]) <= {None}
