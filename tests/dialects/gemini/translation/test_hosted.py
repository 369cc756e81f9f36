"""Tools that the vendor runs, read and written."""

from typing import Any

import pytest
from msgspec import Raw

from busbar_fast.dialects.gemini.translation.hosted import hosted_tool, read_hosted
from busbar_fast.dialects.members import write
from busbar_fast.dialects.translator import Recipient
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import HostedTool
from tests.dialects.gemini.translation.turns import CLOUD, LANE, lost, raw, read


@pytest.mark.parametrize(
    ("name", "said", "kind", "found"),
    [
        ("googleSearch", {}, "web_search", {}),
        ("googleSearch", {"excludeDomains": ["a.test"]}, "web_search", {"blocked_domains": ["a.test"]}),
        ("googleSearch", {"exclude_domains": ["a.test"]}, "web_search", {"blocked_domains": ["a.test"]}),
        ("googleSearch", {"timeRangeFilter": {}}, "web_search", {"has_more": True}),
        ("googleSearchRetrieval", {"dynamicRetrievalConfig": {}}, "web_search", {"has_more": True}),
        ("enterpriseWebSearch", {}, "web_search", {}),
        ("codeExecution", {}, "code_execution", {}),
        ("urlContext", {"a": 1}, "url_context", {}),
        ("retrieval", {}, "file_search", {}),
        ("soon", {"a": 1}, "other", {}),
    ],
)
def test_tools_are_read(name: str, said: dict[str, Any], kind: str, found: dict[str, Any]) -> None:
    """What others have a word for too, and whether there is more (gemini.md section 4)."""
    assert read_hosted(name, raw(said)) == HostedTool(kind, "gemini", Raw(write({name: raw(said)})), **found)


def test_a_tool_is_read_wherever_it_stands() -> None:
    """In either spelling (gemini.md section 3)."""
    document = {"contents": {"parts": {"text": "hi"}}, "tools": [{"google_search": {}}, {"code_execution": {}}]}
    assert [tool.kind for tool in read(document).hosted] == ["web_search", "code_execution"]


@pytest.mark.parametrize(
    ("lane", "blocked", "shown", "losses"),
    [
        (LANE, [], {}, []),
        (LANE, ["a.test"], {}, [("dropped", "hosted_tools")]),
        (CLOUD, [], {}, []),
        (CLOUD, ["a.test"], {"excludeDomains": ["a.test"]}, []),
    ],
)
def test_a_search_of_others_is_written(
    lane: Recipient, blocked: list[str], shown: dict[str, Any], losses: list[tuple[str, str]]
) -> None:
    """Only the cloud keeps it from some places, the other service refuses to (gemini.md section 4)."""
    report = Report()
    tool = HostedTool("web_search", "gemini", Raw(), blocked_domains=blocked)
    assert hosted_tool(tool, lane, report) == {"googleSearch": shown}
    assert lost(report) == losses


def test_code_of_others_is_run() -> None:
    """And what the vendor's own client wrote comes back (gemini.md section 4)."""
    assert hosted_tool(HostedTool("code_execution", "gemini", Raw()), LANE, Report()) == {"codeExecution": {}}
    own = HostedTool("maps", "gemini", Raw(b'{"googleMaps":{}}'))
    assert hosted_tool(own, LANE, Report()) == own.raw
