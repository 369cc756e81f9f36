"""Tools that the vendor runs: read for others who run such a tool too, and written in the place of theirs."""

from typing import Final

from msgspec import Raw

from busbar_fast.dialects.anthropic.translation.abilities import ABILITIES, CODE, NAME, SEARCH
from busbar_fast.dialects.members import Members, without_nothing
from busbar_fast.dialects.whereabouts import place_of, read_domains, read_place
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import HostedTool

# The types of tools; a date may follow.
_KINDS: Final = {
    "web_search": "web_search",
    "web_fetch": "url_context",
    "code_execution": "code_execution",
    "computer": "computer_use",
}
# The versions that all models take who take any, and that need no header field.
_SEARCH_TYPE: Final = "web_search_20250305"
_CODE_TYPE: Final = "code_execution_20250825"


def read_hosted(kind: str, members: Members, raw: Raw) -> HostedTool:
    """Read a tool of this type."""
    known = (name for word, name in _KINDS.items() if kind == word or kind.startswith(f"{word}_"))
    tool = HostedTool(next(known, "other"), NAME, raw)
    if tool.kind not in ABILITIES.hosted:
        return tool
    members.raw("name")
    if tool.kind == "web_search":
        tool.allowed_domains = read_domains(members, "allowed_domains")
        tool.blocked_domains = read_domains(members, "blocked_domains")
        tool.place = read_place(members.maybe_object("user_location"))
    tool.has_more = members.says_more
    return tool


def hosted_tool(tool: HostedTool, report: Report) -> object:
    """Return a tool as it is written; a search is either kept to some places or kept from some."""
    if tool.raw:
        return tool.raw
    if tool.kind == "code_execution":
        return {"type": _CODE_TYPE, "name": CODE}
    blocked = tool.blocked_domains
    if blocked and tool.allowed_domains:
        report.dropped("hosted_tools", "blocked_domains")
        blocked = []
    return without_nothing(
        {
            "type": _SEARCH_TYPE,
            "name": SEARCH,
            "allowed_domains": tool.allowed_domains or None,
            "blocked_domains": blocked or None,
            "user_location": place_of(tool.place),
        }
    )
