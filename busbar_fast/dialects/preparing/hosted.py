"""Tools that a provider runs, where another one is asked: it runs its own of that kind, if the operator says so."""

from typing import Any, Final

from msgspec import structs

from busbar_fast.dialects.translator import Abilities, Hosting, Recipient
from busbar_fast.ir.blocks import NOTHING
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import ChoiceMode, HostedTool, Request

_SETTING: Final = "hosted_tools"
_MAP: Final = "map"
# What can be said of such a tool, and what stands for nothing said.
_OPTIONS: Final[dict[str, Any]] = {"allowed_domains": [], "blocked_domains": [], "place": None, "context_size": ""}


def fitting_hosted(request: Request, target: Abilities, recipient: Recipient, report: Report) -> list[HostedTool]:
    """Return the tools that the target's upstreams run: its own, and one for each kind of another's that is mapped."""
    known = target.hosted if recipient.options.get(_SETTING) == _MAP else {}
    found: list[HostedTool] = []
    mapped: set[str] = set()
    for tool in request.hosted:
        hosting = known.get(tool.kind)
        if tool.owner == target.name:
            found.append(tool)
        elif hosting is None or tool.kind in mapped or not _has_room(request, hosting, target):
            report.dropped("hosted_tools")
        elif _is_forbidden(request):
            report.mapped("tool_choice")
        else:
            mapped.add(tool.kind)
            report.mapped("hosted_tools", tool.kind)
            found.append(_likeness(tool, hosting, target, report))
    return found


def _has_room(request: Request, hosting: Hosting, target: Abilities) -> bool:
    """Say whether a tool can stand beside the functions of a request, and may be used where only some may."""
    if request.tool_choice is not None and request.tool_choice.allowed:
        return False
    names = [tool.name for tool in request.tools]
    return not names or (target.takes_hosted_beside and hosting.name not in names)


def _is_forbidden(request: Request) -> bool:
    """Say whether nothing may be called: such a tool is then better left out, since not all choices bind it."""
    return request.tool_choice is not None and request.tool_choice.mode is ChoiceMode.NONE


def _likeness(tool: HostedTool, hosting: Hosting, target: Abilities, report: Report) -> HostedTool:
    """Return the target's tool with what can be said of it; note what cannot."""
    changes: dict[str, Any] = {}
    for name, unsaid in _OPTIONS.items():
        if getattr(tool, name) != unsaid and name not in hosting.options:
            report.dropped("hosted_tools", name)
            changes[name] = unsaid
    if tool.has_more:
        report.dropped("hosted_tools")
    return structs.replace(tool, owner=target.name, raw=NOTHING, has_more=False, **changes)
