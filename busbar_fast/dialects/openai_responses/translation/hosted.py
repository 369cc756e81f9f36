"""Tools that the vendor runs: read for others who run such a tool too, and written in the place of theirs."""

from typing import Final

from msgspec import Raw

from busbar_fast.dialects.members import Members, is_object, object_of, without_nothing
from busbar_fast.dialects.openai_responses.translation.abilities import ABILITIES, NAME
from busbar_fast.dialects.whereabouts import place_of, read_domains, read_place
from busbar_fast.ir.requests import CONTEXT_SIZES, HostedTool

# The types of tools; a date may follow, or that it is a preview.
_KINDS: Final = {
    "web_search": "web_search",
    "file_search": "file_search",
    "code_interpreter": "code_execution",
    "computer": "computer_use",
    "mcp": "mcp",
    "image_generation": "image_generation",
}
_CODE: Final = {"type": "code_interpreter", "container": {"type": "auto"}}


def read_hosted(kind: str, members: Members, raw: Raw) -> HostedTool:
    """Read a tool of this type."""
    known = (name for word, name in _KINDS.items() if kind == word or kind.startswith(f"{word}_"))
    tool = HostedTool(next(known, "other"), NAME, raw)
    if tool.kind not in ABILITIES.hosted:
        return tool
    if tool.kind == "web_search":
        has_more = _read_filters(tool, members.maybe_object("filters"))
        tool.place = read_place(members.maybe_object("user_location"))
        size = members.maybe_text("search_context_size") or ""
        tool.context_size = size if size in CONTEXT_SIZES else ""
        has_more = has_more or size != tool.context_size
    else:
        has_more = _is_special(members.raw("container"))
    tool.has_more = has_more or members.says_more
    return tool


def _read_filters(tool: HostedTool, filters: Members | None) -> bool:
    """Read where a search may look; return whether more than that is said."""
    if filters is None:
        return False
    tool.allowed_domains = read_domains(filters, "allowed_domains")
    tool.blocked_domains = read_domains(filters, "blocked_domains")
    return filters.says_more


def _is_special(container: Raw) -> bool:
    """Say whether code is to run anywhere but in a new place with nothing in it."""
    if not is_object(container):
        return bool(container)
    members = object_of(container, "container")
    members.raw("type")
    return members.says_more


def hosted_tool(tool: HostedTool) -> object:
    """Return a tool as it is written."""
    if tool.raw:
        return tool.raw
    if tool.kind == "code_execution":
        return _CODE
    return without_nothing(
        {
            "type": "web_search",
            "filters": {"allowed_domains": tool.allowed_domains} if tool.allowed_domains else None,
            "user_location": place_of(tool.place),
            "search_context_size": tool.context_size or None,
        }
    )
