"""Who takes part in a comparison, and what somebody hears who asks for a gateway that is not installed."""

import shutil
from pathlib import Path

import pytest

from perf import rivals, shapes
from perf.__main__ import main
from perf.rivals import FOLDER_VARIABLE, PEERS, Litellm, Portkey, choose_peers
from perf.sides import Nginx, Ours, Pure, is_copy
from tests.house.source import ROOT

RIVALS = ["litellm", "portkey"]
TOLD = (
    b'data: {"id":"other","choices":[{"delta":{"content":"token %09d ","role":"assistant"}}]}\n\n'  # as others write it
)
END = b"data: [DONE]\n\n"


def told(numbers: list[int]) -> bytes:
    """Return deltas with these numbers, written anew."""
    return b"".join(TOLD % number for number in numbers)


@pytest.fixture
def no_nginx(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nginx be missing, whatever is installed here."""
    monkeypatch.setattr(Nginx, "is_missing", lambda _: True)


@pytest.mark.usefixtures("no_nginx")
def test_peers_are_those_asked_for() -> None:
    """Names without a peer are told apart from the others."""
    peers, unknown = choose_peers("governed,nobody,haproxy-corked,")
    assert [peer.name for peer in peers] == ["governed", "haproxy-corked"]
    assert unknown == ["nobody"]


@pytest.mark.parametrize("asked", ["", "nginx", "governed"])
def test_nginx_takes_part_once_where_it_is_installed(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    """It needs no asking, and asking does not measure it twice."""
    monkeypatch.setattr(Nginx, "is_missing", lambda _: False)
    assert [peer.name for peer in choose_peers(asked)[0]].count("nginx") == 1


def test_our_side_is_what_is_compiled_now(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without a folder, with nothing compiled in it, and with another source nothing is measured."""
    monkeypatch.setattr(Ours, "folder", tmp_path)
    assert main([]) == 2
    assert "make compiled, or `--ours pure`" in capsys.readouterr().out
    shutil.copytree(ROOT / "busbar_fast", tmp_path / "busbar_fast", ignore=shutil.ignore_patterns("__pycache__"))
    assert not is_copy(tmp_path)
    (tmp_path / "busbar_fast" / "clock.so").touch()
    assert is_copy(tmp_path)
    (tmp_path / "busbar_fast" / "clock.py").write_text("# another one\n")
    assert not is_copy(tmp_path)
    assert not Pure().is_missing()
    assert "as written" in Pure().version()


@pytest.mark.parametrize("name", RIVALS)
def test_gateway_that_is_not_installed_is_named_with_its_script(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Nothing is measured without it, and the message can be pasted into a shell."""
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    assert main(["--peers", name]) == 2
    said = capsys.readouterr().out
    assert f"{name}: sh perf/peers/{name}/install.sh FOLDER, then set {FOLDER_VARIABLE}=FOLDER" in said
    assert (ROOT / "perf" / "peers" / name / "install.sh").exists()


@pytest.mark.parametrize("rival", [Litellm, Portkey])
def test_installed_gateway_is_found_in_the_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rival: type[rivals.Installed]
) -> None:
    """What the script leaves behind is what is looked for, and an empty folder is none."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(rivals, "which", lambda _: "there")
    side = rival()
    assert side.is_missing()
    mark = tmp_path / side.name / side.mark
    mark.parent.mkdir(parents=True)
    mark.touch()
    assert not side.is_missing()
    assert any(str(mark) in word for word in side.argv(1, 2, tmp_path))


def test_each_rival_knows_the_upstream(tmp_path: Path) -> None:
    """One is told by its configuration, the other one by each request."""
    Litellm().argv(1111, 2222, tmp_path)
    (written,) = tmp_path.iterdir()
    assert written.read_text(encoding="utf-8").count("http://127.0.0.1:2222/v1") == 3
    assert "http://127.0.0.1:2222/v1\r\n" in Portkey().fields(2222)
    assert not any(PEERS[name].is_faithful for name in RIVALS)


def test_lines_of_a_side_stand_in_the_head_of_its_requests() -> None:
    """The body follows an empty line as ever."""
    request = shapes.encode_call(1, shapes.REQUEST, fields="x-a: b\r\n")
    assert request.count(b"\r\nx-a: b\r\n\r\n" + shapes.REQUEST) == 1
    assert shapes.encode_call(1, shapes.REQUEST) == request.replace(b"x-a: b\r\n", b"")


@pytest.mark.parametrize(
    ("payload", "is_right"),
    [
        (b"".join(shapes.stream_frames()), True),
        (told(list(range(64))) + END, True),
        (told(list(range(64))), False),
        (told(list(range(63))) + END, False),
        (told([1, 0, *range(2, 64)]) + END, False),
        (told([*range(64), 63]) + END, False),
    ],
)
def test_stream_written_anew_must_hold_every_delta_in_order(payload: bytes, is_right: bool) -> None:
    """A frame that is missing, doubled or out of place is noticed although the bytes are not the upstream's."""
    assert shapes.holds_stream(payload) is is_right


@pytest.mark.parametrize(
    ("payload", "is_right"),
    [(shapes.REPLY, True), (b'{"choices":[]}', False), (b'{"error":"Hi, all!"}', False)],
)
def test_answer_written_anew_must_say_the_same(payload: bytes, is_right: bool) -> None:
    """An error with status 200 is no answer."""
    assert shapes.holds_reply(payload) is is_right
