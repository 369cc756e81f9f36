"""Marks of a prompt that may stay: the last ones are worth the most, so the first ones go."""

from collections.abc import Sequence
from typing import Any, TypeVar

from msgspec import Struct, structs

from busbar_fast.dialects.translator import Abilities, Recipient
from busbar_fast.ir.blocks import AnyBlock, SearchResult, ToolResult
from busbar_fast.ir.report import Report
from busbar_fast.ir.requests import Request

_Marked = TypeVar("_Marked", bound=Struct)  # has a `mark`


def with_fitting_marks(request: Request, target: Abilities, recipient: Recipient, report: Report) -> Request:
    """Return a request with as many marks as the target takes, in the order of a prompt: tools, system, turns."""
    marks = _count_marks(request)
    if not marks:
        return request
    takes_any = target.takes_marks == "always" or (target.takes_marks == "gated" and recipient.has_prompt_caching)
    if not takes_any:
        report.dropped("cache_control")
        return _without_first(request, marks)
    if target.most_marks and marks > target.most_marks:
        report.truncated("cache_control", f"{marks} to {target.most_marks}")
        return _without_first(request, marks - target.most_marks)
    return request


def _count_marks(request: Request) -> int:
    count = _count_in(request.system) + (request.mark is not None)
    for tool in request.tools:
        count += tool.mark is not None
    for message in request.messages:
        count += _count_in(message.blocks)
    return count


def _count_in(blocks: Sequence[AnyBlock]) -> int:
    count = 0
    for block in blocks:
        count += block.mark is not None
        for part in _parts(block):
            count += part.mark is not None
    return count


def _parts(block: AnyBlock) -> Sequence[AnyBlock]:
    return block.blocks if isinstance(block, ToolResult | SearchResult) else ()


def _without_first(request: Request, count: int) -> Request:
    """Return a request without its first marks."""
    eraser = _Eraser(count)
    return structs.replace(
        request,
        tools=eraser.without(request.tools),
        system=eraser.without(request.system),
        messages=[structs.replace(message, blocks=eraser.without(message.blocks)) for message in request.messages],
        mark=eraser.without([request])[0].mark,
    )


class _Eraser:
    """Takes away so many marks, the first that it comes across."""

    def __init__(self, count: int) -> None:
        self._count = count

    def without(self, found: Sequence[_Marked]) -> list[_Marked]:
        """Return records, copied where they lose a mark."""
        return [self._one(one) for one in found]

    def _one(self, one: Any) -> Any:
        if any(part.mark is not None for part in _parts(one)):
            one = structs.replace(one, blocks=self.without(one.blocks))
        if one.mark is None or not self._count:
            return one
        self._count -= 1
        return structs.replace(one, mark=None)
