"""Tools that the vendor runs, read from its clients and written for its upstreams."""

from typing import Any

import pytest
from msgspec import Raw

from busbar_fast.dialects.openai_responses.translation import TRANSLATOR
from busbar_fast.ir.blocks import Text
from busbar_fast.ir.requests import HostedTool, Place
from tests.dialects.translating import Bench

BENCH = Bench(TRANSLATOR)
PARIS: dict[str, Any] = {"type": "approximate", "city": "Paris", "timezone": "Europe/Paris"}
SEARCH: dict[str, Any] = {"type": "web_search"}
CODE: dict[str, Any] = {"type": "code_interpreter", "container": {"type": "auto"}}


def read(tool: dict[str, Any]) -> HostedTool:
    """Return a tool as it is understood, which comes back as it was."""
    request = BENCH.read({"model": "m", "input": "hi", "tools": [tool]})
    assert BENCH.write(request)["tools"] == [tool]
    (found,) = request.hosted
    assert found.owner == "responses"
    return found


def written(kind: str, **said: Any) -> Any:
    """Return a tool of another vendor's client as an upstream gets it."""
    return BENCH.write(BENCH.asked(Text("hi"), hosted=[HostedTool(kind, "responses", Raw(), **said)]))["tools"]


@pytest.mark.parametrize(
    ("tool", "said"),
    [
        (SEARCH, {}),
        ({"type": "web_search_preview_2025_03_11", "filters": None}, {}),
        (SEARCH | {"filters": {"allowed_domains": ["a.test"]}}, {"allowed_domains": ["a.test"]}),
        (SEARCH | {"filters": {"blocked_domains": ["a.test"]}}, {"blocked_domains": ["a.test"]}),
        (SEARCH | {"filters": {"type": "eq"}}, {"has_more": True}),
        (SEARCH | {"user_location": PARIS}, {"place": Place("Paris", timezone="Europe/Paris")}),
        (SEARCH | {"search_context_size": "low"}, {"context_size": "low"}),
        (SEARCH | {"search_context_size": "huge"}, {"has_more": True}),
        (SEARCH | {"external_web_access": False}, {"has_more": True}),
    ],
)
def test_a_search_is_read(tool: dict[str, Any], said: dict[str, Any]) -> None:
    """Responses §5, hosted tools: what others have a word for too, and whether there is more."""
    found = read(tool)
    assert found == HostedTool("web_search", "responses", found.raw, **said)


@pytest.mark.parametrize(
    ("container", "is_more"),
    [({"type": "auto"}, False), ({"type": "auto", "file_ids": ["file_1"]}, True), ("cntr_1", True), (None, False)],
)
def test_code_is_read(container: object, *, is_more: bool) -> None:
    """Responses §5, hosted tools: where it runs is nobody else's affair, unless it is nowhere in particular."""
    found = read({"type": "code_interpreter", "container": container})
    assert found == HostedTool("code_execution", "responses", found.raw, has_more=is_more)


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("file_search", "file_search"),
        ("computer_use_preview", "computer_use"),
        ("mcp", "mcp"),
        ("image_generation", "image_generation"),
        ("local_shell", "other"),
        ("web_searching", "other"),
    ],
)
def test_other_tools_are_told_apart(kind: str, found: str) -> None:
    """Responses §5, hosted tools: by how their types begin."""
    tool = read({"type": kind, "x": 1})
    assert tool == HostedTool(found, "responses", tool.raw)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ({}, {}),
        ({"allowed_domains": ["a.test"]}, {"filters": {"allowed_domains": ["a.test"]}}),
        ({"place": Place("Paris", timezone="Europe/Paris")}, {"user_location": PARIS}),
        ({"context_size": "high"}, {"search_context_size": "high"}),
    ],
)
def test_a_search_of_others_is_written(said: dict[str, Any], shown: dict[str, Any]) -> None:
    """Responses §5, hosted tools: as the vendor calls it today."""
    assert written("web_search", **said) == [SEARCH | shown]


def test_code_of_others_is_run() -> None:
    """Responses §5, hosted tools: the vendor insists on a place for it."""
    assert written("code_execution") == [CODE]
