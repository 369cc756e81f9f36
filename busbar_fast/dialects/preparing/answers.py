"""An answer on its way to a client of another dialect."""

from collections.abc import Callable
from typing import Any, Final

from msgspec import structs

from busbar_fast.dialects.guard import fenced, field_of
from busbar_fast.dialects.spelling import Spelling
from busbar_fast.dialects.translator import Abilities
from busbar_fast.ir import seals
from busbar_fast.ir.answers import Answer, Reason, Stop
from busbar_fast.ir.blocks import AnyBlock, Block, Code, CodeResult, Held, Media, Opaque, Seal, Text, Thinking, ToolUse
from busbar_fast.ir.report import Report

_PROMOTED: Final = (Reason.END_TURN, Reason.NONE)


def prepare_answer(
    answer: Answer, client: Abilities, spelling: Spelling, fallback_model: str, report: Report
) -> Answer:
    """Return an answer in which nothing is left that only the vendor of the lane understands.

    The one that is given is not changed.
    """
    is_own = answer.source == client.name
    blocks: list[AnyBlock] = []
    for index, block in enumerate(answer.blocks):
        prepare = _PREPARED.get(type(block))
        kept = block if prepare is None else prepare(block, index, client, spelling, report)
        if kept is not None:
            ext = block.ext if is_own else None
            seal = block.seal if is_own else _shown(block, client, spelling, report)
            blocks.append(structs.replace(kept, seal=seal, ext=ext))
    stop = answer.stop
    if stop.reason in _PROMOTED and any(isinstance(block, ToolUse) for block in blocks):
        stop = Stop(Reason.TOOL_USE, stop.native, stop.owner)
    return structs.replace(
        answer,
        id=answer.id if is_own else "",
        model=answer.model or fallback_model,
        blocks=blocks,
        stop=stop,
        ext=answer.ext if is_own else None,
    )


def _shown(block: AnyBlock, client: Abilities, spelling: Spelling, report: Report) -> Seal | None:
    """Return the seal of a block as the client sees it."""
    seal = block.seal
    if seal is None and isinstance(block, Thinking) and client.seal and not client.takes_unsealed_thinking:
        seal = seals.UNSEALED
    if seal is None:
        return None
    if not client.seal:
        report.dropped("signature")
        return None
    return Seal(client.seal, spelling.shown_seal(seal))


def _tool_use(block: ToolUse, index: int, _client: Abilities, spelling: Spelling, _report: Report) -> AnyBlock:
    name = spelling.shown_tool_name(block.name)
    return structs.replace(block, id=spelling.shown_tool_id(block.id, index), name=name)


def _thinking(block: Thinking, _index: int, client: Abilities, spelling: Spelling, report: Report) -> AnyBlock | None:
    """Return a thought; what only its vendor can read travels in an envelope, like a seal."""
    if not block.is_redacted:
        return block
    if client.takes_redacted and block.seal is not None:
        return structs.replace(block, sealed=spelling.shown_seal(block.seal))
    report.dropped("redacted_thinking")
    return None


def _media(block: Media, _index: int, client: Abilities, _spelling: Spelling, report: Report) -> AnyBlock | None:
    if isinstance(block.source, Held) and block.source.owner != client.name:
        report.dropped("vendor_file")
        return None
    return block


def _code(block: Code | CodeResult, _index: int, client: Abilities, _spelling: Spelling, report: Report) -> AnyBlock:
    if client.takes_code:
        return block
    report.mapped("code")
    return Text(fenced(block))


def _opaque(block: Opaque, _index: int, client: Abilities, _spelling: Spelling, report: Report) -> AnyBlock | None:
    if block.owner == client.name:
        return block
    report.dropped(field_of(block))
    return None


_PREPARED: Final[dict[type[Block], Callable[[Any, int, Abilities, Spelling, Report], AnyBlock | None]]] = {
    ToolUse: _tool_use,
    Thinking: _thinking,
    Media: _media,
    Code: _code,
    CodeResult: _code,
    Opaque: _opaque,
}
