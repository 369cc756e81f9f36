"""Tools that the vendor runs: read for others who run such a tool too, and written in the place of theirs."""

from typing import Final

from msgspec import Raw

from busbar_fast.dialects.gemini.translation.abilities import ABILITIES, CLOUD, NAME
from busbar_fast.dialects.gemini.translation.fields import fields_in
from busbar_fast.dialects.members import write
from busbar_fast.dialects.translator import Recipient
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import HostedTool

_KINDS: Final = {
    "googleSearch": "web_search",
    "googleSearchRetrieval": "web_search",
    "enterpriseWebSearch": "web_search",
    "codeExecution": "code_execution",
    "urlContext": "url_context",
    "fileSearch": "file_search",
    "retrieval": "file_search",
    "googleMaps": "maps",
    "computerUse": "computer_use",
    "mcpServers": "mcp",
}
_BLOCKED: Final = "excludeDomains"


def read_hosted(name: str, raw: Raw) -> HostedTool:
    """Read the tool that a member of this name is."""
    tool = HostedTool(_KINDS.get(name, "other"), NAME, Raw(write({name: raw})))
    if tool.kind not in ABILITIES.hosted:
        return tool
    fields = fields_in(raw)
    if tool.kind == "web_search":
        tool.blocked_domains = fields.texts(_BLOCKED)
    tool.has_more = fields.says_more
    return tool


def hosted_tool(tool: HostedTool, recipient: Recipient, report: Report) -> object:
    """Return a tool as it is written; only the vendor's cloud keeps a search from some places."""
    if tool.raw:
        return tool.raw
    if tool.kind == "code_execution":
        return {"codeExecution": {}}
    blocked = tool.blocked_domains
    if blocked and CLOUD not in recipient.host:
        report.dropped("hosted_tools", "blocked_domains")
        blocked = []
    return {"googleSearch": {_BLOCKED: blocked} if blocked else {}}
