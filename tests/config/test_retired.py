"""Reasons for keys of another schema."""

import pytest

from busbar_fast.config.complaints import Path
from busbar_fast.config.retired import reason


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (("groups",), "`governance`"),
        (("auth", "chain"), "`auth.client_tokens`"),
        (("auth", "token"), "removed"),
        (("pools", "a.b", "hooks"), "`policy`"),
        (("providers", "z.ai", "scope"), "nothing like it"),
        (("limits", "max_keys_per_principal"), "nothing like it"),
        (("limits", "request_header_max_bytes"), "`limits.max_header_bytes`"),
        (("limits", "shutdown_drain_timeout_secs"), "`shutdown.drain_timeout_secs`"),
    ],
)
def test_a_retired_key_has_a_reason(path: Path, words: str) -> None:
    """Config §15: a key is known by its path, under any name of a pool or provider."""
    assert words in reason(path)


@pytest.mark.parametrize(
    "path",
    [("listen",), ("auth.chain",), ("pools", "hooks"), ("providers", "p", "x"), ("pools", "a", "b", "hooks"), ()],
)
def test_other_keys_have_none(path: Path) -> None:
    """Config §15: a path that only looks alike is not retired."""
    assert reason(path) == ""
