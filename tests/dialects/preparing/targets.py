"""Dialects that take next to nothing, or nearly everything, and what a preparing step makes of a request for them."""

from busbar_fast.dialects.preparing import prepare_request
from busbar_fast.dialects.translator import Abilities, Recipient
from busbar_fast.ir.blocks import AnyBlock, Inline, MediaKind, Plain, Url
from busbar_fast.ir.report import Action, Report
from busbar_fast.ir.requests import Message, Request, Role

HERE, THERE = "here", "there"
LANE = Recipient("m")

NARROW = Abilities(THERE)
WIDE = Abilities(
    THERE,
    tool_prefix="t_",
    seal="abcd",
    opens=frozenset(("abcd", "kind")),
    takes_thinking=True,
    takes_redacted=True,
    takes_later_system="always",
    takes_marks="always",
    takes_user=True,
    takes_plans=True,
    takes_json_results=True,
    takes_error_flag=True,
    takes_citations=True,
    takes_search_results=True,
    takes_code=True,
    takes_documents=True,
    takes_text_documents=True,
    takes_image_detail=True,
    media=frozenset((kind, source) for kind in MediaKind for source in (Inline, Url, Plain)),
    result_media=frozenset((kind, source) for kind in MediaKind for source in (Inline, Url, Plain)),
    takes_custom_tools=True,
    takes_strict=True,
    choices=frozenset(("none", "named", "allowed")),
    takes_parallel=True,
    sampling=frozenset(("top_k", "seed", "n", "frequency_penalty", "presence_penalty", "has_logprobs", "top_logprobs")),
)


def spoken(*blocks: AnyBlock, role: Role = Role.USER) -> Request:
    """Return a request of one turn."""
    return Request(HERE, messages=[Message(role, list(blocks))])


def noted(report: Report, action: Action | None = None) -> list[str]:
    """Return what was noted, of one action or of all, in order."""
    return [entry.field for entry in report.entries if action in (None, entry.action)]


def prepared(request: Request, target: Abilities = NARROW, lane: Recipient = LANE) -> tuple[Request, list[str]]:
    """Return a request as a target gets it, and what was lost of it."""
    report = Report()
    return prepare_request(request, target, lane, report), noted(report)


def said(*blocks: AnyBlock, target: Abilities = NARROW) -> tuple[list[AnyBlock], list[str]]:
    """Return what becomes of the blocks of a turn, and what was noted."""
    request, fields = prepared(spoken(*blocks), target)
    return [block for message in request.messages for block in message.blocks], fields
