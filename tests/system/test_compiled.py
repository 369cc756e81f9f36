"""The compiled program: it builds, says what it is, serves, and steps back for the program as it was written.

Compiled are a few small modules, to prove the way; `make compiled` makes all of them, which takes minutes.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.house.source import ROOT

FEW = [f"busbar_fast/wire/{name}.py" for name in ("backpressure", "buffers", "requests", "wheel")]
LIMIT_S = 15.0
BODY = {"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the program, compiled in part."""
    made = tmp_path_factory.mktemp("compiled")
    done = subprocess.run(
        [sys.executable, "-m", "native", made, "--effort", "0", "--only", *FEW],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("4 modules compiled\n")
    return made


def command(folder: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-I", "-S", str(folder / "busbar_fast" / "__main__.py"), *arguments]


@contextmanager
def demo(folder: Path, **more: str) -> Iterator[str]:
    """Run the demo; yield where it is."""
    environ = {**os.environ, "PYTHONUNBUFFERED": "1", **more}
    with subprocess.Popen(
        command(folder, "demo", "--port", "0"), env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as program:
        try:
            assert program.stdout is not None
            for line in program.stdout:
                found = re.search(rb"(http://127\.0\.0\.1:\d+) ", line)
                if found:
                    yield found[1].decode()
                    break
        finally:
            program.terminate()
            program.communicate(timeout=LIMIT_S)
    assert program.returncode == 0


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("variables", "word"), [({}, "compiled"), ({"BUSBAR_PURE": "1"}, "pure")])
@pytest.mark.parametrize("is_relative", [False, True])
def test_build_is_told(folder: Path, variables: dict[str, str], word: str, *, is_relative: bool) -> None:
    """The version says which program it is, and a variable chooses, however the program was named."""
    place = Path(os.path.relpath(folder, ROOT)) if is_relative else folder
    done = subprocess.run(
        command(place, "--version"), cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith(f"({word})\n")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("pure", ["", "1"])
def test_both_serve(folder: Path, pure: str) -> None:
    """Whole answers, streams, and a client that leaves in the middle of one."""
    with demo(folder, BUSBAR_PURE=pure) as origin, httpx.Client(base_url=origin, trust_env=False) as client:
        for _ in range(3):
            answer = client.post("/v1/chat/completions", json=BODY)
            assert answer.status_code == 200, answer.text
            assert answer.json()["choices"][0]["message"]["content"] == "You said: Hello"
        with client.stream("POST", "/v1/chat/completions", json=BODY | {"stream": True}) as answer:
            assert next(answer.iter_lines()).startswith("data: ")
        with client.stream("POST", "/v1/chat/completions", json=BODY | {"stream": True}) as answer:
            assert "data: [DONE]" in answer.read().decode()
        assert client.post("/v1/chat/completions", json=BODY | {"model": "nobody"}).status_code == 404
