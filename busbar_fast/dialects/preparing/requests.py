"""A request on its way to another dialect: one step after the other, in an order that matters.

The request that is given is never changed, nor anything in it: another lane may get it next. What needs no change is
shared with it.
"""

from collections.abc import Sequence
from typing import Final, TypeVar

from msgspec import structs

from busbar_fast.dialects.preparing.blocks import BlockPreparer, behind_results
from busbar_fast.dialects.preparing.documents import with_fitting_documents
from busbar_fast.dialects.preparing.losses import report_members
from busbar_fast.dialects.preparing.marks import with_fitting_marks
from busbar_fast.dialects.preparing.openapi import to_json_schema
from busbar_fast.dialects.preparing.sampling import prepared_sampling
from busbar_fast.dialects.preparing.tools import with_fitting_tools
from busbar_fast.dialects.translator import Abilities, Recipient
from busbar_fast.errors import Misshapen
from busbar_fast.ir.blocks import AnyBlock
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import Document, Message, OutputFormat, Request, Role

_T = TypeVar("_T")
# HOT: a member of an enumeration takes 0.1 µs to find, CPython 3.11, 2026-11
_TOOL: Final[Role] = Role.TOOL
_SYSTEM: Final[Role] = Role.SYSTEM
_USER: Final[Role] = Role.USER


def prepare_request(request: Request, target: Abilities, recipient: Recipient, report: Report) -> Request:
    """Return a request without what the target has no place for. Raise Misshapen for what must not fall away.

    One that was written in the target's own dialect only loses what other vendors have sealed; whatever else is in it
    is between its client and its vendor.
    """
    if request.source == target.name:
        return _reopened(request, target, report)
    _refuse_kept(request, recipient, report)
    report_members(request.ext, report, (*request.held, *request.guards))
    system, messages, documents = _conversation(request, target, recipient, report)
    request = structs.replace(
        request,
        system=system,
        messages=messages,
        documents=documents,
        sampling=prepared_sampling(request.sampling, target, recipient, report),
        reasoning=_if(request.reasoning, target.takes_reasoning and recipient.has_reasoning, "reasoning", report),
        format=_plain_format(request.format),
        user=_if(request.user, target.takes_user, "user", report) or "",
        held=[],
        guards=[],
        ext=None,
    )
    request = with_fitting_tools(request, target, recipient, report)
    request = with_fitting_documents(request, target, report)
    return with_fitting_marks(request, target, recipient, report)


def _reopened(request: Request, target: Abilities, report: Report) -> Request:
    preparer = BlockPreparer(target, report)
    turns = ((message, preparer.reopened(message.blocks)) for message in request.messages)
    messages = [structs.replace(message, blocks=blocks) for message, blocks in turns if blocks or not message.blocks]
    return structs.replace(request, messages=messages)


def _refuse_kept(request: Request, recipient: Recipient, report: Report) -> None:
    """See to what only its own vendor has, or guards: it falls away if the operator says so, else nobody is asked."""
    for names, falls_away, label in (
        (request.held, recipient.drops_held, "server_state"),
        (request.guards, recipient.drops_guards, "guardrails"),
    ):
        if names and not falls_away:
            raise Misshapen(names[0], "is not supported with this model")
        if names:
            report.dropped(label)


def _if(value: _T | None, is_taken: bool, label: str, report: Report) -> _T | None:
    """Return a value that the target takes; note one that it does not."""
    if value and not is_taken:
        report.dropped(label)
    return value if is_taken else None


def _plain_format(asked: OutputFormat | None) -> OutputFormat | None:
    """Return what an answer should look like, with a schema that everybody reads."""
    if asked is None or not asked.is_openapi:
        return asked
    return structs.replace(asked, is_openapi=False, schema=to_json_schema(asked.schema))


def _conversation(
    request: Request, target: Abilities, recipient: Recipient, report: Report
) -> tuple[list[AnyBlock], list[Message], list[Document]]:
    """Return the system prompt, the turns and the documents as the target takes them."""
    takes_later = target.takes_later_system == "always" or (
        target.takes_later_system == "asked" and recipient.options.get("inline_system") is True
    )
    preparer = BlockPreparer(target, report)
    system = preparer.prepared(request.system)
    messages: list[Message] = []
    for message in request.messages:
        report_members(message.ext, report)
        if message.role is not _TOOL:
            _add(messages, _USER, preparer.take_beside())
        blocks = preparer.prepared(message.blocks)
        if message.role is _SYSTEM and not takes_later:
            report.mapped("message_role")
            system += blocks
            continue
        if preparer.beside and message.role is not _TOOL:
            at = behind_results(blocks)
            blocks[at:at] = preparer.take_beside()
        _add(messages, message.role, blocks)
    _add(messages, _USER, preparer.take_beside())
    return system, messages, request.documents + preparer.documents


def _add(messages: list[Message], role: Role, blocks: Sequence[AnyBlock]) -> None:
    """Add a turn, if anything is said in it."""
    if blocks:
        messages.append(Message(role, list(blocks)))
