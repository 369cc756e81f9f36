"""Tools that the vendor runs, read from its clients and written for its upstreams."""

from typing import Any

import pytest
from msgspec import Raw

from busbar_fast.dialects.anthropic.translation import TRANSLATOR
from busbar_fast.ir.blocks import Text
from busbar_fast.ir.report import Action, Entry
from busbar_fast.ir.requests import HostedTool, Place
from tests.dialects.translating import Bench

BENCH = Bench(TRANSLATOR)
PARIS: dict[str, Any] = {"type": "approximate", "city": "Paris", "country": "FR"}
SEARCH: dict[str, Any] = {"type": "web_search_20250305", "name": "web_search"}
CODE: dict[str, Any] = {"type": "code_execution_20250825", "name": "code_execution"}


def read(tool: dict[str, Any]) -> HostedTool:
    """Return a tool as it is understood, which comes back as it was."""
    document = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "tools": [tool]}
    request = BENCH.read(document)
    assert BENCH.write(request)["tools"] == [tool]
    (found,) = request.hosted
    assert found.owner == "anthropic"
    return found


def written(**said: Any) -> Any:
    """Return a search of another vendor's client as an upstream gets it."""
    hosted = [HostedTool("web_search", "anthropic", Raw(), **said)]
    return BENCH.write(BENCH.asked(Text("hi"), hosted=hosted))["tools"]


@pytest.mark.parametrize(
    ("tool", "said"),
    [
        (SEARCH, {}),
        (SEARCH | {"allowed_domains": ["a.test"]}, {"allowed_domains": ["a.test"]}),
        (SEARCH | {"blocked_domains": ["a.test"]}, {"blocked_domains": ["a.test"]}),
        (SEARCH | {"user_location": PARIS, "max_uses": None}, {"place": Place("Paris", country="FR")}),
        (SEARCH | {"max_uses": 3}, {"has_more": True}),
        (SEARCH | {"type": "web_search_20260318", "allowed_callers": ["direct"]}, {"has_more": True}),
    ],
)
def test_a_search_is_read(tool: dict[str, Any], said: dict[str, Any]) -> None:
    """Anthropic §5, typed tools: what others have a word for too, and whether there is more."""
    found = read(tool)
    assert found == HostedTool("web_search", "anthropic", found.raw, **said)


@pytest.mark.parametrize(
    ("kind", "is_more", "found"),
    [
        ("code_execution_20250825", False, "code_execution"),
        ("code_execution_20260521", True, "code_execution"),
        ("web_fetch_20250910", False, "url_context"),
        ("computer_20250124", True, "computer_use"),
        ("memory_20250818", True, "other"),
        ("web_searching_20250305", True, "other"),
    ],
)
def test_other_tools_are_told_apart(kind: str, *, is_more: bool, found: str) -> None:
    """Anthropic §5, typed tools: by how their types begin; only of those that can be mapped it counts what is said."""
    tool = read({"type": kind, "name": "n"} | ({"defer_loading": True} if is_more else {}))
    assert (tool.kind, tool.has_more) == (found, is_more and found == "code_execution")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ({}, {}),
        ({"allowed_domains": ["a.test"]}, {"allowed_domains": ["a.test"]}),
        ({"blocked_domains": ["a.test"]}, {"blocked_domains": ["a.test"]}),
        ({"place": Place("Paris", country="FR")}, {"user_location": PARIS}),
    ],
)
def test_a_search_of_others_is_written(said: dict[str, Any], shown: dict[str, Any]) -> None:
    """Anthropic §5, typed tools: in the version that needs no code to run."""
    assert written(**said) == [SEARCH | shown]
    assert BENCH.lost == set()


def test_a_search_has_one_list_of_places() -> None:
    """Anthropic §5, typed tools: the vendor refuses both, and what may be searched says more."""
    assert written(allowed_domains=["a.test"], blocked_domains=["b.test"]) == [SEARCH | {"allowed_domains": ["a.test"]}]
    assert BENCH.entries == [Entry(Action.DROPPED, "hosted_tools", "blocked_domains")]


def test_code_of_others_is_run() -> None:
    """Anthropic §5, typed tools: nothing is to be said of it."""
    hosted = [HostedTool("code_execution", "anthropic", Raw())]
    assert BENCH.write(BENCH.asked(Text("hi"), hosted=hosted))["tools"] == [CODE]
