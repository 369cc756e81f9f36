"""What the documents name as evidence is there."""

import re

import pytest

from tests.house.source import ROOT

NAMED = re.compile(r"`((?:tests|perf|docker|deploy)/[\w./-]+|test_\w+)`")


@pytest.mark.parametrize("name", ["threat-model.md", "deployment.md", "governance.md", "reliability.md"])
def test_named_files_and_tests_are_there(name: str) -> None:
    """A document that points to a test which was renamed proves nothing any more."""
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    named = set(NAMED.findall(text))
    missing = [
        path
        for path in named
        if not (ROOT / path).exists()
        and not (ROOT / f"{path}.py").exists()
        and not (ROOT / "tests" / "system" / f"{path}.py").exists()
    ]
    assert missing == []
    assert named or name != "threat-model.md"
