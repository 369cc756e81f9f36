"""What the README shows is run as it stands: the demo, and every client's snippet against it."""

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.house.source import ROOT
from tests.system.test_demo import LIMIT_S, SAID, Demo, demo

SNIPPETS = re.findall(r"```python\n# (.*?)\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def running() -> Iterator[Demo]:
    """Run the demo for all snippets."""
    with demo() as made:
        yield made


def test_every_client_has_its_snippet() -> None:
    """Design §8: six official clients, six snippets."""
    names = [name for name, _ in SNIPPETS]
    assert names == [
        "OpenAI, chat",
        "OpenAI, Responses",
        "Anthropic",
        "Google Gemini",
        "Amazon Bedrock",
        "Cohere",
    ]


@pytest.mark.parametrize(("name", "code"), SNIPPETS, ids=[name for name, _ in SNIPPETS])
def test_snippet_works_as_it_stands(running: Demo, name: str, code: str) -> None:
    """Design §8: what is copied from the README works at once; only the port is another one here."""
    assert "127.0.0.1:8080" in code, name
    done = subprocess.run(
        [sys.executable, "-c", code.replace("127.0.0.1:8080", f"127.0.0.1:{running.port}")],
        capture_output=True,
        text=True,
        check=False,
        timeout=4 * LIMIT_S,
    )
    assert (done.returncode, done.stdout.strip()) == (0, SAID), done.stderr
